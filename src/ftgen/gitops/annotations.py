"""Annotations of a committed manifest, edited line by line so that every other byte stays as it was.

Only files whose bytes are those that ftgen wrote are edited, and those are block style: two spaces a level, one
key a line, values that take several lines indented below their key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from ftgen import record, yamlio
from ftgen.diagnostics import Rejected, error

Annotations = Mapping[str, str | None]
"""Annotations to set, or to take away where the value is None."""

_HOOK = "argocd.argoproj.io/hook"
_OPTIONS = "argocd.argoproj.io/sync-options"
_COMPARE = "argocd.argoproj.io/compare-options"
_SSA = "kustomize.toolkit.fluxcd.io/ssa"
_FLUX_PRUNE = "kustomize.toolkit.fluxcd.io/prune"
TOMBSTONE: Annotations = MappingProxyType({_HOOK: "Skip", _SSA: "Ignore"})
"""What an archived run carries: Argo CD and Flux skip the object, whether or not it is there."""
_GUARDS = {"Prune=false", "Prune=confirm", "Delete=false", "Delete=confirm"}

_METADATA = re.compile(r"^metadata:\n((?:  .*\n|\n)+)", re.MULTILINE)
_FIELD = re.compile(r"^  (?=[^ -])", re.MULTILINE)
_ANNOTATION = re.compile(r"^    (?=[^ -])", re.MULTILINE)
_HEAD = "  annotations:\n"


def annotated(content: bytes, annotations: Annotations) -> bytes:
    """A manifest with annotations set or taken away; what is set comes first.

    Raises:
        Rejected: FT527, where the manifest is not laid out as ftgen does it.
    """
    text = text_of(content)
    start, end = _metadata(text)
    fields = _split(_FIELD, text[start:end])
    place = next((index for index, field in enumerate(fields) if field.startswith(_HEAD)), len(fields))
    old = _split(_ANNOTATION, "".join(fields[place : place + 1]).removeprefix(_HEAD))
    kept = [line for line in old if _key(line) not in annotations]
    put = [_line(key, value) for key, value in annotations.items() if value is not None]
    fields[place : place + 1] = ["".join([_HEAD, *put, *kept])] if put or kept else []
    return "".join([text[:start], *fields, text[end:]]).encode()


def annotations_of(content: bytes) -> Mapping[str, str]:
    """The annotations of a manifest that are text; reads nothing of it but its metadata."""
    text = text_of(content)
    start, end = _metadata(text)
    said = record.of({"metadata": yamlio.parse(text[start:end], "metadata")})
    return {key: value for key, value in said.items() if isinstance(value, str)}


def text_of(content: bytes) -> str:
    """The text of a committed manifest; an index may list any bytes as ftgen's own.

    Raises:
        Rejected: FT527, where it is none.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _foreign() from None


def unguarded(content: bytes) -> Annotations:
    """Without what keeps reconcilers from removing the object, and from touching it at all."""
    options = annotations_of(content).get(_OPTIONS, "").split(",")
    left = ",".join(option for option in options if option and option.strip() not in _GUARDS)
    # Argo CD shows what is to be pruned only without IgnoreExtraneous; Flux takes the guard off the live
    # object only where it may touch it, which IfNotPresent in git forbids.
    return {_OPTIONS: left or None, _COMPARE: None, _FLUX_PRUNE: None, _SSA: None}


def revived(content: bytes) -> Annotations:
    """The annotations of a run that is to be created: no tombstone, and Flux creates it once only."""
    there = annotations_of(content)
    flux = "IfNotPresent" if _FLUX_PRUNE in there else None
    return {_HOOK: None, _SSA: flux} if there.get(_HOOK) == "Skip" else {}


def _metadata(text: str) -> tuple[int, int]:
    found = _METADATA.search(text)
    if found is None:
        raise _foreign()
    return found.span(1)


def _foreign() -> Rejected:
    told = "a committed manifest is not laid out as ftgen writes it"
    return Rejected([error("FT527", told, help="publish the run again with --overwrite")])


def _split(start: re.Pattern[str], text: str) -> list[str]:
    """The text cut where an item starts, each with the lines that are indented below it."""
    cuts = [found.start() for found in start.finditer(text)]
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])]


def _key(line: str) -> str:
    return line.partition(":")[0].strip().strip("\"'")


def _line(key: str, value: str) -> str:
    return "".join(f"    {line}\n" for line in yamlio.dump({key: value}).splitlines())
