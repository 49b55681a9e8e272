"""Every question that a compile asks of a specification and of a job, so that a sweep can recall the answers.

What judges a specification has it for its subject; what judges manifests, the specification, the claims and the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.lower import Object
from ftgen.recall import Panel
from ftgen.rules import Rule, admission, agreement, identity, lint, meaning, memory, panel, reconcile
from ftgen.rules.job import Job, Version, read, version_of
from ftgen.rules.lint.around import Around
from ftgen.spec import Spec

Subject = tuple[Spec, Sequence[Object], Object]


def _version(spec: Spec) -> Version:
    return version_of(spec.cluster.volcano_version)


def _spec(spec: Spec) -> tuple[Spec]:
    return (spec,)


def _job(subject: Subject) -> tuple[Job]:
    spec, _, job = subject
    return (read(job, _version(spec)),)


def _linted(subject: Subject) -> tuple[Job, Around, Subject]:
    spec, claims, job = subject
    return read(job, _version(spec)), lint.around(spec, (*claims, job)), subject


def _lint(rule: Rule, view: tuple[Job, Around, Subject]) -> list[Diagnostic]:
    # A fact that nobody has stated is told by `ftgen check` alone.
    return _serious(d for d in lint.find(rule, *view[:2]) if isinstance(d, Diagnostic))


def _lint_claims(view: tuple[Job, Around, Subject]) -> list[Diagnostic]:
    _, around, (spec, claims, _) = view
    return _serious(d for claim in claims for d in lint.lint(claim, around, volcano_version=_version(spec)))


def _serious(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [d for d in found if d.severity is not Severity.NOTE]


MEANING = panel((*identity.RULES_OF_IDENTITY, *meaning.RULES_OF_MEANING, *memory.RULES_OF_MEMORY), _spec)
DELIVERY = Panel(_spec, (lambda view: reconcile.judge(*view),))
ADMISSION = panel(admission.RULES_OF_CREATION, _job)
"""Asked of the job as it would be stored."""
AGREEMENT = panel(agreement.RULES_OF_AGREEMENT, _job)
LINT = Panel(_linted, (_lint_claims, *(partial(_lint, rule) for rule in lint.RULES_OF_LINT)))
