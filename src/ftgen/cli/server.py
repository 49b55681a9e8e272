"""`ftgen check --server`: the API server's answers beside ours, and where the two differ."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from ftgen.cli import live
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic, Rejected, Severity, error, warning
from ftgen.remote.cluster import server
from ftgen.remote.cluster.causes.cause import refusal
from ftgen.remote.cluster.server import DIFFERENCE, REFUSED, WARNED, Answer
from ftgen.text import yamlio
from ftgen.text.paths import Steps
from ftgen.validation import check
from ftgen.validation.manifest import objects as objects_of

_REPORT = "report it with the manifest and the releases of Kubernetes and Volcano: this is a bug of ftgen"


class _Object(Struct, frozen=True):
    """Object of a file: its document, its path there, and its first line."""

    document: yamlio.Document
    path: Steps
    manifest: Mapping[str, Any]
    text: str
    line: int

    def locate(self, found: Diagnostic) -> Diagnostic:
        return found.at(check.locate(self.document, self.path, found, self.text))


def diagnostics(texts: Mapping[str, str], ours: Sequence[Diagnostic], arguments: Arguments) -> list[Diagnostic]:
    """Ask the API server about the objects of some texts by file name; return what it says, and what ftgen missed.

    Raises:
        Rejected: FT57x, when it cannot be asked.
    """
    objects = [each for name, text in texts.items() for each in _objects(name, text)]
    if not objects:
        return []
    answers = server.ask(live.kubectl(arguments), [each.manifest for each in objects])
    refused = _refused_by_us(objects, ours)
    return [
        each.locate(found)
        for index, (each, answer) in enumerate(zip(objects, answers, strict=True))
        for found in _findings(answer, refused.get(index))
    ]


def _objects(name: str, text: str) -> Iterator[_Object]:
    """Yield the objects of a text; what is no object, or no YAML, was reported already."""
    documents: list[yamlio.Document] = []
    with suppress(Rejected):
        documents = yamlio.documents(text, name)
    for document in documents:
        for path, manifest in objects_of(document.value):
            if isinstance(manifest, dict) and "kind" in manifest:
                yield _Object(document, path, manifest, text, document.nearest(path).line)


def _refused_by_us(objects: Sequence[_Object], ours: Sequence[Diagnostic]) -> dict[int, Diagnostic]:
    """Return, by an object's position, the first error of ours that says the server refuses it."""
    starts: dict[str, list[tuple[int, int]]] = {}
    for index, each in enumerate(objects):
        starts.setdefault(each.document.file, []).append((each.line, index))
    refused: dict[int, Diagnostic] = {}
    for found in ours:
        rows = starts.get(found.locations[0].file, []) if found.locations else []
        if rows and found.severity is Severity.ERROR and server.claims_refusal(found.code):
            before = bisect_right(rows, (found.locations[0].line, len(objects)))
            refused.setdefault(rows[max(before - 1, 0)][1], found)
    return refused


def _findings(answer: Answer, ours: Diagnostic | None) -> Iterator[Diagnostic]:
    for said in answer.warnings:
        yield warning(
            WARNED, f"the API server warns: {said}", server.field(said), help="heed it, or take the field out"
        )
    if answer.refusal:
        cause = refusal(answer.refusal)
        how = cause.remedy if cause else "mend what it names"
        said = cause.what if cause and server.is_unjudged(answer.refusal) else answer.refusal
        yield error(REFUSED, f"the API server refuses it: {said}", server.field(said), help=how)
    if answer.refusal and ours is None and server.is_foreseeable(answer.refusal):
        headline = "ftgen check does not find what the API server refuses"
        yield warning(DIFFERENCE, headline, server.field(answer.refusal), help=_REPORT)
    if ours is not None and not answer.refusal:
        headline = f"ftgen says that the API server refuses it ({ours.code}), and it does not"
        yield warning(DIFFERENCE, headline, ours.subject, help=_REPORT)
