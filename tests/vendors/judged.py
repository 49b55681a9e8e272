"""What ftgen's own rules say of the objects of a job."""

from __future__ import annotations

from ftgen import contract
from ftgen.diagnostics import Diagnostic, has_errors
from ftgen.pipeline import Compiled
from ftgen.rules import admission, agreement, lint
from ftgen.rules.job import version_of


def judged(job: Compiled) -> list[Diagnostic]:
    """What schema, admission, agreement and lint say against the objects of a job; a kind without schema counts."""
    version = job.spec.cluster.volcano_version
    numbers = version_of(version)
    surroundings = lint.around(job.spec, job.bundle.objects)
    found = [
        *(d for o in job.bundle.objects for d in contract.conform(o, volcano_version=version)),
        *admission.admit_create(job.bundle.job, volcano_version=numbers),
        *agreement.cohere(job.bundle.job, volcano_version=numbers),
        *(d for o in job.bundle.objects for d in lint.lint(o, surroundings, volcano_version=numbers)),
    ]
    return [d for d in found if has_errors([d]) or d.code == contract.UNKNOWN_KIND]
