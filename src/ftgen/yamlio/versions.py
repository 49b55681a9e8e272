"""The scalars that YAML 1.1 and YAML 1.2 read differently, in what others wrote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Location
from ftgen.yamlio.nodes import Document
from ftgen.yamlio.problems import location
from ftgen.yamlio.scalars import resolved


@dataclass(frozen=True, slots=True)
class Disputed:
    """A plain scalar that is one value under YAML 1.1 and another under YAML 1.2, such as `0755` or `on`.

    Attributes:
        text: as it is written.
        old: what YAML 1.1 reads, as PyYAML does.
        new: what YAML 1.2 reads, as ruamel.yaml does.
        location: where it stands.
    """

    text: str
    old: Any
    new: Any
    location: Location


def disputed(document: Document) -> list[Disputed]:
    """The scalars of a document that its readers disagree on, in the document's order; each node once."""
    return [
        Disputed(event.value, *readings, location(document.file, event.start_mark))
        for event in document.doubtful
        if (readings := _readings(event.value))
    ]


@lru_cache(maxsize=8192)
def _readings(text: str) -> tuple[Any, Any] | None:
    """Both values of a plain scalar, where they differ."""
    if text.isdecimal() and text[0] != "0":
        return None
    from ruamel.yaml import YAML  # noqa: PLC0415 - few manifests hold anything that needs a second opinion

    old, new = resolved(None, text)[0], YAML(typ="safe", pure=True).load(text)
    # A date stays text wherever manifests are read.
    new = new if isinstance(new, (bool, int, float, str, type(None))) else text
    return None if (type(old), old) == (type(new), new) else (old, new)
