"""Annotations of a manifest that record how to render it again: written by `lower`, read back here.

Anybody may have edited them since, so their shape is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ftgen.config.pins import Pins, of_annotation
from ftgen.text import yamlio

VERSION = "ftgen.dev/version"
DIGEST = "ftgen.dev/config-digest"
OVERRIDES = "ftgen.dev/overrides"
SWEEP = "ftgen.dev/sweep"
PINS = "ftgen.dev/pins"
"""Annotation with the commits and digests that took the place of movable references."""
SERVES = "ftgen.dev/serves"
"""Annotation of what serves a result, with the run."""


class ServedRun(Struct, frozen=True):
    """Run whose result is served.

    Attributes:
        name: name of the job; empty where the API server generated it.
        base: its name without the hash of its content.
    """

    name: str
    base: str


class RecordedPoint(Struct, frozen=True):
    """Position of a job in a sweep.

    Attributes:
        name: folder of the sweep.
        label: label of the job, unique among the points.
        swept: keys that the sweep varies.
    """

    name: str
    label: str
    swept: tuple[str, ...]


def annotations_of(manifest: Any) -> Mapping[str, Any]:
    """Return the annotations of a manifest, `{}` if they or the manifest are malformed."""
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}


def overrides(annotations: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the overrides from which a job was rendered.

    Raises:
        ValueError: if the annotation is no list of texts.
    """
    value = _read(annotations, OVERRIDES, "no list of overrides")
    if not _is_texts(value):
        raise ValueError(f"{OVERRIDES} is no list of overrides")
    return tuple(value)


def point(annotations: Mapping[str, Any]) -> RecordedPoint | None:
    """Return the position of a job in its sweep, None for a single job.

    Raises:
        ValueError: if the annotation is malformed.
    """
    if SWEEP not in annotations:
        return None
    match _read(annotations, SWEEP, "no place in a sweep"):
        case {"name": str(name), "label": str(label), "swept": list(swept)} if _is_texts(swept):
            return RecordedPoint(name, label, tuple(swept))
        case _:
            raise ValueError(f"{SWEEP} is no place in a sweep")


def pins(annotations: Mapping[str, Any]) -> Pins:
    """Return the pins that a manifest was rendered with.

    Raises:
        ValueError: if the annotation is malformed.
    """
    return of_annotation(_read(annotations, PINS, "no pins")) if PINS in annotations else {}


def served(annotations: Mapping[str, Any]) -> ServedRun | None:
    """Return the run whose result is served, None for a job.

    Raises:
        ValueError: if the annotation is malformed.
    """
    if SERVES not in annotations:
        return None
    match _read(annotations, SERVES, "no run"):
        case {"run": str(name), "base": str(base)}:
            return ServedRun(name, base)
        case _:
            raise ValueError(f"{SERVES} is no run")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _read(annotations: Mapping[str, Any], name: str, complaint: str) -> Any:
    try:
        return yamlio.parse_json(annotations.get(name))
    except ValueError as reason:
        raise ValueError(f"{name} is {complaint}: {reason}") from None
