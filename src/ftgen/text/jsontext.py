"""JSON documents that every reader takes (RFC 8259), of values that YAML gave."""

from __future__ import annotations

import json
import math
from typing import Any


def document(value: Any) -> str:
    """Write a value as an indented JSON document without a final line end.

    JSON has no number for infinity and none for what is no number: these are texts, as YAML writes them.
    """
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, dict):
        return {_finite(key): _finite(part) for key, part in value.items()}
    return [*map(_finite, value)] if isinstance(value, (list, tuple)) else value
