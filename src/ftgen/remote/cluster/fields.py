"""Fields of the cluster's objects, read at the door: a value of the wrong shape reads as absent.

Texts hold no control characters, because they end on a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from ftgen.text import kube
from ftgen.text.lines import printable
from ftgen.text.shapes import integer, mapping

Object = Mapping[str, Any]
Amounts = Mapping[str, Fraction]
Key = tuple[str, str]
"""Namespace and name."""

NEVER = datetime.fromtimestamp(0, UTC)
_LONGEST_MESSAGE = 4096


def text(value: object) -> str:
    """Return a text on one line; empty where the value is no text."""
    return printable(value) if isinstance(value, str) else ""


def message(value: object) -> str:
    """Return a message on one line, long enough to hold an error inside of others."""
    return printable(value, _LONGEST_MESSAGE) if isinstance(value, str) else ""


def count(value: object) -> int:
    """Return an integer; 0 where the value is none, or one that the API, which has 64 bits for it, cannot hold."""
    read = integer(value)
    return read if abs(read) <= kube.INT64_MAX else 0


def moment(value: object) -> datetime:
    """Return a point in time; `NEVER` where the value is none."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else NEVER
    except ValueError:
        return NEVER
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def metadata(body: Object) -> dict[str, Any]:
    """Return the metadata of an object."""
    return mapping(body.get("metadata"))


def key_of(body: Object) -> Key:
    """Return namespace and name of an object."""
    names = metadata(body)
    return text(names.get("namespace")), text(names.get("name"))


def label(body: Object, *names: str) -> str:
    """Return the first of some labels that an object has; empty where it has none."""
    labels = mapping(metadata(body).get("labels"))
    return next((text(labels[name]) for name in names if name in labels), "")


def annotation(body: Object, *names: str) -> str:
    """Return the first of some annotations that an object has; empty where it has none."""
    annotations = mapping(metadata(body).get("annotations"))
    return next((text(annotations[name]) for name in names if name in annotations), "")


def texts(value: object) -> dict[str, str]:
    """Return texts by key, as of labels."""
    return {str(name): text(content) for name, content in mapping(value).items()}
