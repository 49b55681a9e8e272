"""Interpolation without OmegaConf, for configurations that only reference keys (`${a.b}`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")


class NeedsOmegaConf(Exception):  # noqa: N818 - control flow, not an error
    """Interpolation that is more than a reference to an existing key of plain values."""


class ReferenceResolver:
    """Resolver of references to keys by their full names, with the same results as OmegaConf's."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Look keys up in this unresolved configuration."""
        self.root = root
        self._in_progress: set[str] = set()

    def resolved(self) -> dict[str, Any]:
        """Return the configuration with every reference replaced.

        Raises:
            NeedsOmegaConf: if only OmegaConf can resolve it.
        """
        result: dict[str, Any] = self._value(self.root)
        return result

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(child) for child in value]
        return self._text(value) if isinstance(value, str) and ("$" in value or "\\" in value) else value

    def _text(self, text: str) -> Any:
        if "${" not in text:
            return text
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self._look_up(whole[1])
        if "\\" in text or "${" in _REFERENCE.sub("", text):
            raise NeedsOmegaConf(text)
        return _REFERENCE.sub(lambda found: self._substring(found[1]), text)

    def _substring(self, key: str) -> str:
        value = self._look_up(key)
        if isinstance(value, (dict, list, float)) or value is None:
            raise NeedsOmegaConf(key)
        return str(value)

    def _look_up(self, key: str) -> Any:
        if key in self._in_progress:
            raise NeedsOmegaConf(key)
        node: Any = self.root
        for name in key.split("."):
            if not isinstance(node, dict) or name not in node:
                raise NeedsOmegaConf(key)
            node = node[name]
        self._in_progress.add(key)
        value = self._value(node)
        self._in_progress.discard(key)
        return value
