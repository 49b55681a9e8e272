"""What is allowed and still goes wrong: rules over any VolcanoJob, written by ftgen or not.

They know the manifest, the claims beside it and the facts of the cluster; a rule that needs a fact which
nobody has stated is skipped, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ftgen.diagnostics import Diagnostic, note
from ftgen.rules import Rule, diagnosed
from ftgen.rules.job import Job, Version, read
from ftgen.rules.lint import ascend, cards, delivery, launch, pods, ranks, scripts, storage  # noqa: F401 - define rules
from ftgen.rules.lint.around import RULES_OF_LINT, Around, Unknown
from ftgen.spec import Card, Spec

__all__ = [
    "RULES_OF_LINT",
    "TWINS",
    "UNKNOWN_FACT",
    "Around",
    "Lacking",
    "around",
    "claims_in",
    "find",
    "lint",
    "summed",
    "untold",
]

UNKNOWN_FACT = "FT499"

TWINS: Mapping[str, tuple[str, ...]] = {
    "FT403": ("FT251",),
    "FT405": ("FT252",),
    "FT409": ("FT259",),
    "FT436": ("FT267",),
    "FT446": ("FT265", "FT270"),
    "FT459": ("FT454",),
    "FT469": ("FT262",),
    "FT473": ("FT260",),
    "FT474": ("FT254",),
    "FT475": ("FT255",),
    "FT476": ("FT255",),
    "FT481": ("FT256",),
    "FT478": ("FT279",),
    "FT480": ("FT258",),
    "FT482": ("FT257",),
    "FT486": ("FT272",),
    "FT496": ("FT258",),
}
"""Rules over manifests whose question is asked of the configuration too: accepting that one accepts both."""


def lint(manifest: Mapping[str, Any], surroundings: Around, *, volcano_version: Version) -> list[Diagnostic]:
    """What the rules find in a job or a claim, and nothing in other objects; a note for each fact that a rule lacked.

    The job is judged as it is written.
    """
    if manifest.get("kind") not in ("Job", "PersistentVolumeClaim"):
        return []
    job = read(manifest, volcano_version)
    rules = (storage.unserved_mode,) if manifest.get("kind") == "PersistentVolumeClaim" else RULES_OF_LINT
    return summed(each for rule in rules for each in find(rule, job, surroundings))


@dataclass(frozen=True, slots=True)
class Lacking:
    """A rule could not be judged to its end, because nobody has stated a fact."""

    fact: str
    rule: str


def find(rule: Rule, job: Job, surroundings: Around) -> list[Diagnostic | Lacking]:
    """What one rule finds in a job, and the fact that it lacked, if any."""
    found: list[Diagnostic | Lacking] = []
    try:
        for finding in rule.check(job, surroundings):
            found.append(diagnosed(rule, finding))  # noqa: PERF401 - what was found before a fact lacked stays
    except Unknown as fact:
        found.append(Lacking(str(fact), rule.name))
    return found


def summed(found: Iterable[Diagnostic | Lacking]) -> list[Diagnostic]:
    """What several rules found, and a note for each fact that some lacked."""
    told: list[Diagnostic] = []
    lacking: dict[str, list[str]] = {}
    for each in found:
        if isinstance(each, Lacking):
            lacking.setdefault(each.fact, []).append(each.rule)
        else:
            told.append(each)
    return [*told, *(_unknown(fact, names) for fact, names in lacking.items())]


def _unknown(fact: str, names: list[str]) -> Diagnostic:
    headline = f"{fact} is not stated, so {', '.join(names)} could not be judged"
    return note(UNKNOWN_FACT, headline, fact, "", f"state {fact} in conf/cluster/<name>.yaml")


def around(spec: Spec, objects: Iterable[Mapping[str, Any]]) -> Around:
    """What surrounds the objects of one run: the cluster's facts, with the chosen hardware's card."""
    card = {**spec.cluster.facts.card.model_dump(), **spec.hardware.card.model_dump(exclude_none=True)}
    facts = spec.cluster.facts.model_copy(update={"card": Card(**card)})
    return Around(facts, spec.cluster.pod_security, claims_in(objects))


def claims_in(objects: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The specs of the PersistentVolumeClaims among some objects, by name."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in objects:
        metadata, spec = each.get("metadata"), each.get("spec")
        if each.get("kind") == "PersistentVolumeClaim" and isinstance(metadata, dict) and isinstance(spec, dict):
            found[str(metadata.get("name", ""))] = spec
    return found


def untold(diagnostics: Iterable[Diagnostic], told: Collection[str]) -> list[Diagnostic]:
    """The diagnostics whose code, and whose twin's, is not among those told or accepted already."""
    return [d for d in diagnostics if not {d.code, *TWINS.get(d.code, ())}.intersection(told)]
