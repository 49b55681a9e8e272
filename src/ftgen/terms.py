"""The terms that manifests are judged by, and how those of a run are written down beside it.

A render writes them for each of its runs, so that `ftgen check` of what it wrote judges by the same ones.  They stand
apart from `ftgen.check`, which a render has no other use for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Severity
from ftgen.spec import Card, Facts, Spec, admit_facts
from ftgen.validation import Call, Scope
from ftgen.validation.manifest import Companions, mapping, strings, text, version_of


def _ask(_: Mapping[str, Any]) -> Call:
    return Scope.ask


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What manifests are judged by.

    Attributes:
        volcano_version: whose schemas and admission decide.
        assumed: whether nobody has said which release the cluster has: what a newer one takes is then no error.
        facts: of the cluster.
        pod_security: level of the pod security standards that the namespace enforces; empty where unknown.
        accepted: codes that are not told.
        allowed: codes that were accepted when the manifest was rendered, each with the reason: told as notes.
        warned: codes of the warnings that were reported when the manifest was rendered: they are notes now.
        imported: a folder with schemas of the cluster's own, asked first.
        companions: the claims and ConfigMaps in other files, by namespace.
        call_for: returns how rules are asked about a job; for many jobs, only those whose input has changed.
    """

    volcano_version: str = schema.DEFAULT
    assumed: bool = False
    facts: Facts = field(default_factory=Facts)
    pod_security: str = ""
    accepted: frozenset[str] = frozenset()
    allowed: Mapping[str, str] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()
    imported: Path | None = None
    companions: Mapping[str, Companions] = field(default_factory=dict)
    call_for: Callable[[Mapping[str, Any]], Call] = field(default=_ask, repr=False, compare=False)


def dump_options(spec: Spec, diagnostics: Iterable[Diagnostic]) -> str:
    """Write the terms that a run of ftgen's own is judged by, as JSON text for `restore_options`.

    Args:
        spec: of the run.
        diagnostics: what was reported when it was rendered; the warnings among them were accepted by writing it.
    """
    terms = {
        "volcano_version": spec.cluster.volcano_version,
        "pod_security": spec.cluster.pod_security,
        "facts": _facts(spec),
        "allow": spec.accepted,
        "warned": sorted({d.code for d in diagnostics if d.severity is Severity.WARNING}),
    }
    return json.dumps(terms, ensure_ascii=False, sort_keys=True, default=_said)


def _facts(spec: Spec) -> Facts:
    """Return the facts of the cluster, with the card that the chosen hardware states."""
    card = {**spec.cluster.facts.card.model_dump(), **spec.hardware.card.model_dump(exclude_none=True)}
    return spec.cluster.facts.model_copy(update={"card": Card(**card)})


def _said(section: Any) -> dict[str, Any]:
    """Return what a section of the configuration says, which pydantic would first have to compile a serializer for."""
    return {key: value for key, value in section if value is not None}


def restore_options(said: str, terms: CheckOptions) -> CheckOptions:
    """The terms with what `dump_options` wrote, which may have come with a clone.

    Raises:
        Rejected: the facts are none.
        ValueError: it is no JSON, or names no release.
    """
    judged = mapping(json.loads(said))
    release = text(judged.get("volcano_version")) or schema.DEFAULT
    version_of(release)
    allowed = {code: reason for code, reason in mapping(judged.get("allow")).items() if text(reason)}
    facts = admit_facts(mapping(judged.get("facts")))
    security = text(judged.get("pod_security"))
    warned = frozenset(strings(judged.get("warned")))
    found = replace(terms, facts=facts, pod_security=security, allowed=allowed, warned=warned)
    return replace(found, volcano_version=release, assumed=False) if terms.assumed else found
