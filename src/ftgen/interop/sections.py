"""Values by dotted key as the nested sections of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as sections; a later key wins over an earlier one that it goes through."""
    whole: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        section = whole
        for parent in parents:
            if not isinstance(section.get(parent), dict):
                section[parent] = {}
            section = section[parent]
        section[last] = value
    return whole
