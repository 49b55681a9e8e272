"""References to keys, looked up without OmegaConf wherever that is all that a configuration asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")


class NotPlain(Exception):  # noqa: N818 - a question for OmegaConf, not a malfunction
    """An interpolation says more than which key to look up."""


class Plain:
    """Interpolation of configurations that only refer to keys by their full names, equal to OmegaConf's."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        """Look keys up in this configuration, as written."""
        self.root = root
        self._open: set[str] = set()

    def resolved(self) -> dict[str, Any]:
        """All of it with every reference replaced.

        Raises:
            NotPlain: where OmegaConf has to be asked.
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
            return self._looked_up(whole[1])
        if "\\" in text or "${" in _REFERENCE.sub("", text):
            raise NotPlain(text)
        return _REFERENCE.sub(lambda found: self._part(found[1]), text)

    def _part(self, key: str) -> str:
        value = self._looked_up(key)
        if isinstance(value, dict | list | float) or value is None:
            raise NotPlain(key)
        return str(value)

    def _looked_up(self, key: str) -> Any:
        if key in self._open:
            raise NotPlain(key)
        node: Any = self.root
        for name in key.split("."):
            if not isinstance(node, dict) or name not in node:
                raise NotPlain(key)
            node = node[name]
        self._open.add(key)
        value = self._value(node)
        self._open.discard(key)
        return value
