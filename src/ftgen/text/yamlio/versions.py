"""Ambiguous scalars: those that YAML 1.1 and YAML 1.2 read differently, in documents of others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Location
from ftgen.text.yamlio.nodes import Document
from ftgen.text.yamlio.problems import location
from ftgen.text.yamlio.scalars import resolve_scalar


class AmbiguousScalar(Struct, frozen=True):
    """Plain scalar with one value under YAML 1.1 and another under YAML 1.2, such as `0755` or `on`.

    Attributes:
        text: scalar as written.
        old: value under YAML 1.1, as PyYAML reads it.
        new: value under YAML 1.2, as ruamel.yaml reads it.
        location: position of the scalar.
    """

    text: str
    old: Any
    new: Any
    location: Location


def ambiguous_scalars(document: Document) -> list[AmbiguousScalar]:
    """Return the ambiguous scalars of a document in its order, each node once."""
    return [
        AmbiguousScalar(event.value, *readings, location(document.file, event.start_mark))
        for event in document.maybe_ambiguous
        if (readings := _readings(event.value))
    ]


# ruamel.yaml takes longer to load than most manifests take to be checked.
_ALIKE = frozenset({"0", "true", "false", "null"})
"""Texts beside decimal numbers that both versions read alike, and that most manifests have."""


@lru_cache(maxsize=8192)
def _readings(text: str) -> tuple[Any, Any] | None:
    """Return a plain scalar's values under YAML 1.1 and 1.2, None if they agree."""
    if (text.isdecimal() and text[0] != "0") or text in _ALIKE:
        return None
    from ruamel.yaml import YAML  # noqa: PLC0415 - few manifests have candidates

    old = resolve_scalar(None, text)[0]
    try:
        new = YAML(typ="safe", pure=True).load(text)
    except ValueError:  # a number of more digits than Python converts
        new = text
    # Readers of manifests keep a date as text.
    new = new if isinstance(new, (bool, int, float, str, type(None))) else text
    return None if (type(old), old) == (type(new), new) else (old, new)
