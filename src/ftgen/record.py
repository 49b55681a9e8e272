"""What a manifest says of how it was rendered: the annotations that rebuild it, written by `lower`, read back here.

Anybody may have edited them since, so that nothing about their shape is taken for granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftgen import yamlio

VERSION = "ftgen.dev/version"
DIGEST = "ftgen.dev/config-digest"
OVERRIDES = "ftgen.dev/overrides"
SWEEP = "ftgen.dev/sweep"


@dataclass(frozen=True, slots=True)
class Point:
    """Where a job stands in a sweep.

    Attributes:
        name: the sweep's folder.
        label: what tells the job from the other points.
        swept: the keys that the sweep varies.
    """

    name: str
    label: str
    swept: tuple[str, ...]


def of(manifest: Any) -> Mapping[str, Any]:
    """What a manifest says in its annotations; anything may have been read from a file."""
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def overrides(said: Mapping[str, Any]) -> tuple[str, ...]:
    """The command line that a job was rendered from.

    Raises:
        ValueError: the annotation is no list of texts.
    """
    listed = _read(said, OVERRIDES, "no list of overrides")
    if not _is_texts(listed):
        raise ValueError(f"{OVERRIDES} is no list of overrides")
    return tuple(listed)


def point(said: Mapping[str, Any]) -> Point | None:
    """Where a job stands in its sweep; None for a job of its own.

    Raises:
        ValueError: the annotation tells no place in a sweep.
    """
    if SWEEP not in said:
        return None
    match _read(said, SWEEP, "no place in a sweep"):
        case {"name": str(name), "label": str(label), "swept": list(swept)} if _is_texts(swept):
            return Point(name, label, tuple(swept))
        case _:
            raise ValueError(f"{SWEEP} is no place in a sweep")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _read(said: Mapping[str, Any], name: str, what: str) -> Any:
    try:
        return yamlio.parse_json(said.get(name))
    except ValueError as problem:
        raise ValueError(f"{name} is {what}: {problem}") from None
