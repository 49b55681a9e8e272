"""Manifests of any origin, judged as the pipeline judges its own: schema, admission, agreement, lint, secrets.

One document after another.  What is kept of them is a few jobs of each of the last kinds, so that rules are not
asked again about later ones that are the same in all they looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ftgen import contract, schema, yamlio
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, has_errors, warning
from ftgen.recall import Recalls, ask, at_hand, outline
from ftgen.rules import admission, agreement, lint, metadata, panel, reconcile, run, secrets
from ftgen.rules.job import Job, Version, mapping, read, version_of
from ftgen.rules.job import text as text_of
from ftgen.rules.lint import Around
from ftgen.spec import Facts

_JOB = ("batch.volcano.sh/v1alpha1", "Job")
_CLAIM = ("v1", "PersistentVolumeClaim")

Claims = Mapping[str, Mapping[str, Mapping[str, Any]]]
# To watch all rules costs what recalling saves on some fifty jobs: of a kind with fewer, each is judged anew.
_PATIENCE = 48
_NAMES_CLAIM = re.compile(r"""\bkind["']?:[ \t]*["']?PersistentVolumeClaim\b""")


@dataclass(frozen=True, slots=True)
class Terms:
    """What manifests are judged by.

    Attributes:
        volcano_version: whose schemas and admission decide.
        facts: of the cluster.
        pod_security: level of the pod security standards that the namespace enforces; empty where unknown.
        accepted: codes that are not told.
        imported: a folder with schemas of the cluster's own, asked first.
        claims: specs of the claims in other files, by namespace and name.
        recalls: what was found in the jobs before, so that rules are not asked again about what has not changed.
    """

    volcano_version: str = schema.DEFAULT
    facts: Facts = field(default_factory=Facts)
    pod_security: str = ""
    accepted: frozenset[str] = frozenset()
    imported: Path | None = None
    claims: Claims = field(default_factory=dict)
    recalls: Recalls = field(default_factory=partial(Recalls, _PATIENCE), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one text, located, and how many objects it holds."""

    diagnostics: tuple[Diagnostic, ...]
    objects: int


def check(text: str, file: str, terms: Terms) -> Verdict:
    """Everything that is wrong with the manifests of a text, with line and column in `file`.

    Raises:
        Rejected: the text is no YAML.
    """
    documents = yamlio.documents(text, file)
    placed = [(document, path, each) for document in documents for path, each in objects(document.value)]
    own = lint.claims_in(each for _, _, each in placed if isinstance(each, dict))
    found = [
        (where, path, d)
        for where, path, each in placed
        for d in _told(judge(each, terms, _around(each, own, terms)), terms)
    ]
    # A fact that nobody has stated has no place in a manifest: the file that wanted it is named.
    lacking = [d.at(Location(file)) for _, _, d in found if d.code == lint.UNKNOWN_FACT]
    told = [each for each in found if each[2].code != lint.UNKNOWN_FACT]
    doubtful = _told((_doubt(each) for document in documents for each in yamlio.disputed(document)), terms)
    return Verdict((*_in_order((*_located(told, text), *doubtful)), *lacking), len(placed))


def _around(manifest: Any, own: Mapping[str, Mapping[str, Any]], terms: Terms) -> Around:
    """What surrounds an object: the claims of its own file, and those of its namespace in the others."""
    return Around(terms.facts, terms.pod_security, {**terms.claims.get(_namespace(manifest), {}), **own})


def _namespace(manifest: Any) -> str:
    return text_of(mapping(mapping(manifest).get("metadata")).get("namespace"))


def claims_in(text: str, file: str) -> Claims:
    """The specs of a text's claims; a text that names none is not read as YAML, one that is none holds none."""
    if "PersistentVolumeClaim" not in text or not _NAMES_CLAIM.search(text):
        return {}
    try:
        documents = yamlio.documents(text, file)
    except Rejected:
        return {}
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in (held for document in documents for _, held in objects(document.value) if isinstance(held, dict)):
        found.setdefault(_namespace(each), {}).update(lint.claims_in([each]))
    return found


def objects(document: Any) -> Iterator[tuple[contract.Steps, Any]]:
    """The objects in a document with their places: itself, or the items of a List."""
    listed = isinstance(document, dict) and str(document.get("kind", "")).endswith("List")
    if listed and isinstance(document.get("items"), list):
        for index, item in enumerate(document["items"]):
            yield ("items", index), item
    else:
        yield (), document


def judge(manifest: Any, terms: Terms, around: Around) -> list[Diagnostic]:
    """What is wrong with one object; the rules do not run on what its schema refuses."""
    if not isinstance(manifest, dict):
        return [error(contract.WRONG_TYPE, "this is no Kubernetes object, but plain text or a list", "", manifest)]
    found = contract.conform(manifest, volcano_version=terms.volcano_version, imported=terms.imported)
    if has_errors(found):
        return found
    found += run(metadata.RULES_OF_METADATA, manifest)
    kind = (manifest["apiVersion"], manifest["kind"])
    numbers = version_of(terms.volcano_version)
    if kind == _JOB:
        with at_hand(terms.recalls.of(outline(manifest))):
            return [*found, *_of_job(manifest, around, numbers), *secrets.scan(manifest)]
    if kind == _CLAIM:
        found += run(reconcile.ANNOTATED, manifest) + lint.lint(manifest, around, volcano_version=numbers)
    return [*found, *secrets.scan(manifest)]


def _of_job(manifest: dict[str, Any], around: Around, version: Version) -> list[Diagnostic]:
    surroundings = (around.facts, around.pod_security, around.claims, version)
    stored = admission.mutate(manifest, volcano_version=version)
    found = ask(_ADMISSION, (stored, *surroundings))
    for each in (_AGREEMENT, _ANNOTATED):
        found += ask(each, (manifest, *surroundings))
    return found + lint.summed(ask(_LINT, (manifest, *surroundings)))


_Subject = tuple[dict[str, Any], Facts, str, Mapping[str, Mapping[str, Any]], Version]
"""A job, and what it is judged by."""


def _job(subject: _Subject) -> tuple[Job]:
    manifest, *_, version = subject
    return (read(manifest, version),)


def _linted(subject: _Subject) -> tuple[Job, Around]:
    manifest, facts, pod_security, claims, version = subject
    return read(manifest, version), Around(facts, pod_security, claims)


_ADMISSION = panel(admission.RULES_OF_CREATION, _job)
_AGREEMENT = panel(agreement.RULES_OF_AGREEMENT, _job)
_ANNOTATED = panel(reconcile.ANNOTATED, lambda subject: subject[:1])
_LINT = panel(lint.RULES_OF_LINT, _linted, lint.find)


def strict(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with every warning an error."""
    return [replace(d, severity=Severity.ERROR) if d.severity is Severity.WARNING else d for d in diagnostics]


def _told(diagnostics: Iterable[Diagnostic], terms: Terms) -> list[Diagnostic]:
    return lint.untold(diagnostics, terms.accepted)


def _located(found: list[tuple[yamlio.Document, contract.Steps, Diagnostic]], text: str) -> list[Diagnostic]:
    """The diagnostics with their places, in the text's order."""
    return [d.at(place(document, path, d, text)) for document, path, d in found]


def _in_order(located: Iterable[Diagnostic]) -> list[Diagnostic]:
    """As they stand in the text."""
    return sorted(located, key=lambda d: (d.locations[0].line, d.locations[0].column))


DISPUTED = "FT004"


def _doubt(found: yamlio.Disputed) -> Diagnostic:
    """Reconcilers, kubectl and people's scripts read YAML by different versions of its rules."""
    old, new = json.dumps(found.old), json.dumps(found.new)
    headline = f"{found.text} is {old} by YAML 1.1 and {new} by YAML 1.2, and there are tools of both"
    return warning(DISPUTED, headline, "", found.text, f"write {old}, or in quotes if it is text").at(found.location)


def place(document: yamlio.Document, path: contract.Steps, found: Diagnostic, text: str) -> Location:
    """Where a field stands, or the nearest thing around it that does: what is missing is missing there."""
    mark = document.nearest((*path, *contract.steps(found.subject)))
    inside = _inside(mark, found.value, text) if mark.block and found.value and "\n" not in found.value else None
    line, column = inside or (mark.line, mark.column)
    return Location(document.file, line, column)


def _inside(mark: yamlio.Mark, value: str, text: str) -> tuple[int, int] | None:
    """The line and column in a block scalar that hold the value, such as a line of a script."""
    lines = text.split("\n")
    outer = len(lines[mark.line - 1]) - len(lines[mark.line - 1].lstrip())
    for number in range(mark.value_line, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= outer:
            return None
        if value in line:
            return number + 1, line.index(value) + 1
    return None
