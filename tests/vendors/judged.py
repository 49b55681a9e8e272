"""What ftgen's own rules say of the objects of a job."""

from __future__ import annotations

from ftgen.diagnostics import Diagnostic, has_errors
from ftgen.pipeline import Compiled
from ftgen.schema import conform
from ftgen.schema.version import version_of
from ftgen.validation import Context, validate
from ftgen.validation.manifest import companions
from ftgen.validation.rules import AGREEMENT, CLAIM_LINT, LINT, admission


def judged(job: Compiled) -> list[Diagnostic]:
    """What schema, admission, agreement and lint say against the objects of a job; a kind without schema counts."""
    version = job.spec.cluster.volcano_version
    numbers = version_of(version)
    cluster, there = job.spec.cluster, companions(job.bundle.companions)
    context = Context(
        numbers, cluster.facts, job.spec.hardware.card, cluster.pod_security, there.claims, there.config_maps
    )
    found = [
        *(d for o in job.bundle.objects for d in conform.conform(o, volcano_version=version)),
        *admission.admit_create(job.bundle.job, volcano_version=numbers),
        *(d for scope in (AGREEMENT, LINT) for d in validate(scope, job.bundle.job, context)),
        *(d for each in job.bundle.companions for d in validate(CLAIM_LINT, each, context)),
    ]
    return [d for d in found if has_errors([d]) or d.code == conform.UNKNOWN_KIND]
