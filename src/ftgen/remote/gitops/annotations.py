"""Annotations of a committed manifest, edited line by line so that every other byte stays as it was.

Only files with the bytes that ftgen wrote are edited.  These are block style: two spaces a level, one key a line,
values of several lines indented below their key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from ftgen.diagnostics import Rejected, error
from ftgen.lower import record
from ftgen.output.tree.lock import HOOK
from ftgen.text import yamlio

Annotations = Mapping[str, str | None]
"""Annotations to set, or to remove if the value is None."""

_OPTIONS = "argocd.argoproj.io/sync-options"
_COMPARE = "argocd.argoproj.io/compare-options"
_SSA = "kustomize.toolkit.fluxcd.io/ssa"
_FLUX_PRUNE = "kustomize.toolkit.fluxcd.io/prune"
TOMBSTONE: Annotations = MappingProxyType({HOOK: "Skip", _SSA: "Ignore"})
"""Annotations of an archived run: Argo CD and Flux skip the object, whether or not it exists."""
_GUARDS = {"Prune=false", "Prune=confirm", "Delete=false", "Delete=confirm"}

_METADATA = re.compile(r"^metadata:\n((?:  .*\n|\n)+)", re.MULTILINE)
_FIELD = re.compile(r"^  (?=[^ -])", re.MULTILINE)
_ANNOTATION = re.compile(r"^    (?=[^ -])", re.MULTILINE)
_HEAD = "  annotations:\n"


def annotated(content: bytes, annotations: Annotations) -> bytes:
    """Return a manifest with annotations set or removed; one that it has stays in its place, a new one comes first.

    Raises:
        Rejected: FT527, when the manifest has another layout than ftgen writes.
    """
    text = text_of(content)
    start, end = _metadata(text)
    fields = _split(_FIELD, text[start:end])
    position = next((index for index, field in enumerate(fields) if field.startswith(_HEAD)), len(fields))
    old = _split(_ANNOTATION, "".join(fields[position : position + 1]).removeprefix(_HEAD))
    lines = {key: _line(key, value) for key, value in annotations.items() if value is not None}
    kept = [lines.pop(key, "") if (key := _key(line)) in annotations else line for line in old]
    block = "".join([*lines.values(), *kept])
    fields[position : position + 1] = [f"{_HEAD}{block}"] if block else []
    return "".join([text[:start], *fields, text[end:]]).encode()


def annotations_of(content: bytes) -> Mapping[str, str]:
    """Return the annotations of a manifest that are text; parse only its metadata."""
    text = text_of(content)
    start, end = _metadata(text)
    values = record.annotations_of({"metadata": yamlio.parse(text[start:end], "metadata")})
    return {key: value for key, value in values.items() if isinstance(value, str)}


def text_of(content: bytes) -> str:
    """Decode a committed manifest; an index may list any bytes as ftgen's own.

    Raises:
        Rejected: FT527, when it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _unknown_layout() from None


def unguarded(content: bytes) -> Annotations:
    """Return the annotations that remove the guards, so reconcilers may prune the object and change it."""
    options = annotations_of(content).get(_OPTIONS, "").split(",")
    remaining = ",".join(option for option in options if option and option.strip() not in _GUARDS)
    # Argo CD shows objects to prune only without IgnoreExtraneous; Flux removes the guard from the live object
    # only if it may change it, which IfNotPresent in git forbids.
    return {_OPTIONS: remaining or None, _COMPARE: None, _FLUX_PRUNE: None, _SSA: None}


def revived(content: bytes) -> Annotations:
    """Return the annotations of a run to create again: no tombstone, and Flux creates it only once."""
    current = annotations_of(content)
    flux = "IfNotPresent" if _FLUX_PRUNE in current else None
    return {HOOK: None, _SSA: flux} if current.get(HOOK) == "Skip" else {}


def _metadata(text: str) -> tuple[int, int]:
    found = _METADATA.search(text)
    if found is None:
        raise _unknown_layout()
    return found.span(1)


def _unknown_layout() -> Rejected:
    headline = "a committed manifest is not laid out as ftgen writes it"
    return Rejected([error("FT527", headline, help="publish the run again with --overwrite")])


def _split(start: re.Pattern[str], text: str) -> list[str]:
    """Split the text where an item starts; each part has the lines that are indented below the item."""
    cuts = [found.start() for found in start.finditer(text)]
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])]


def _key(line: str) -> str:
    return line.partition(":")[0].strip().strip("\"'")


def _line(key: str, value: str) -> str:
    return "".join(f"    {line}\n" for line in yamlio.dump({key: value}).splitlines())
