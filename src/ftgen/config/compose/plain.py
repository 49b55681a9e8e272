"""Interpolation without OmegaConf, for configurations that only reference keys (`${a.b}`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")


class NeedsOmegaConf(Exception):  # noqa: N818 - control flow, not an error
    """Interpolation that is more than a reference to an existing key of plain values."""


class ChainTooLong(Exception):  # noqa: N818 - as above
    """A chain of references that no interpreter follows to its end; `key` is its first."""

    def __init__(self, key: str) -> None:
        """Keep the key."""
        self.key = key
        super().__init__(key)


class TooMuch(Exception):  # noqa: N818 - as above
    """Interpolations that come to more than anyone writes."""


class Room:
    """Room for what interpolations come to: sixty lines that each name the one before twice come to a trillion."""

    def __init__(self, least: int = 64) -> None:
        """Start with room for some hundred configurations; each value takes `least` beside its text."""
        self._left, self._least = _ROOM, least

    def take(self, value: Any) -> None:
        """Take the room of a value, that of nested ones aside.

        Raises:
            TooMuch: there is none left.
        """
        self._left -= self._least + (len(value) if isinstance(value, (str, list, dict)) else 0)
        if self._left < 0:
            raise TooMuch


_ROOM = 1 << 23  # characters


class ReferenceResolver:
    """Resolver of references to keys by their full names, with the same results as OmegaConf's."""

    def __init__(self, root: Mapping[str, Any], room: Room) -> None:
        """Look keys up in this unresolved configuration."""
        self.root = root
        self._room = room
        self._in_progress: dict[str, None] = {}

    def resolved(self) -> dict[str, Any]:
        """Return the configuration with every reference replaced.

        Raises:
            NeedsOmegaConf: if only OmegaConf can resolve it.
            ChainTooLong: of more than some hundred references; OmegaConf follows fewer.
            TooMuch: they come to more than there is room for.
        """
        try:
            result: dict[str, Any] = self._value(self.root)
        except RecursionError:
            raise ChainTooLong(next(iter(self._in_progress))) from None
        return result

    def _value(self, value: Any) -> Any:
        if self._in_progress:  # what nothing refers to is as long as its file
            self._room.take(value)
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
        self._room.take(value)
        return str(value)

    def _look_up(self, key: str) -> Any:
        if key in self._in_progress:
            raise NeedsOmegaConf(key)
        node: Any = self.root
        for name in key.split("."):
            if not isinstance(node, dict) or name not in node:
                raise NeedsOmegaConf(key)
            node = node[name]
        self._in_progress[key] = None
        value = self._value(node)
        del self._in_progress[key]
        return value
