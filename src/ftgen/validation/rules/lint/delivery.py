"""Rules over what reconcilers do with a job: names, expiry and substitution.

Sources: argo-cd's sync code (hooks, sync options, prune), kubectl's apply, Flux's kustomize-controller and its
variable substitution (github.com/fluxcd/pkg/kustomize, envsubst).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.text.shapes import mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import LINT
from ftgen.validation.rules.lint.shell import has_match

_ARGO = "argocd.argoproj.io/"
_FLUX = "kustomize.toolkit.fluxcd.io/"
_VARIABLE = re.compile(r"\$\{")


def _labels_and_annotations(job: Job) -> dict[str, Any]:
    """Return labels and annotations of the job together: Flux reads both alike."""
    metadata = mapping(job.manifest.get("metadata"))
    return {**mapping(metadata.get("labels")), **mapping(metadata.get("annotations"))}


def reconciled_by(notes: Mapping[str, Any]) -> str:
    """Return the reconciler that the job's labels and annotations name; empty where they name none."""
    keys = list(map(str, notes))
    if any(key.startswith(_ARGO) for key in keys):
        return "Argo CD"
    return "Flux" if any(key.startswith(_FLUX) for key in keys) else ""


@rule("FT496", "name-that-cannot-be-applied", Severity.NOTE, on=LINT, twins=("FT258",))
def generated_name(job: Job) -> Iterator[Finding]:
    """A name made by the API server can be created but not applied.

    `kubectl apply`, kustomize and Flux refuse generateName; Argo CD would create another job with every sync.

    Refused: `metadata.generateName` in a repository that a reconciler reads.
    Write: `metadata.name`, or `kubectl create`.
    """
    metadata = mapping(job.manifest.get("metadata"))
    if text(metadata.get("generateName")) and not text(metadata.get("name")):
        reconciler = reconciled_by(_labels_and_annotations(job))
        headline = f"{reconciler or 'kubectl apply'} cannot apply a generated name"
        severity = Severity.ERROR if reconciler else None
        yield Finding(headline, "metadata.generateName", metadata["generateName"], "set metadata.name", severity)


@rule("FT480", "costly-expiry", Severity.WARNING, on=LINT, twins=("FT258",))
def expiry(job: Job) -> Iterator[Finding]:
    """The job's expiry deletes its volume too, or makes a reconciler run it again.

    Volcano deletes the Job object ttlSecondsAfterFinished after its end, and with it the inline claims it owns. To
    Argo CD and Flux the job is then missing, and the next commit or interval creates it again.

    Refused: `ttlSecondsAfterFinished: 3600` with `spec.volumes[0].volumeClaim`, or with a reconciler's annotations.
    Write: `volumeClaimName`; no expiry under a reconciler.
    """
    notes, ttl = _labels_and_annotations(job), optional_integer(job.spec.get("ttlSecondsAfterFinished"))
    if ttl is None:
        return
    for i, volume in job.volumes:
        if isinstance(volume.get("volumeClaim"), dict):
            help_ = "name a claim that stays"
            yield Finding("the job's expiry deletes this claim too", f"spec.volumes[{i}].volumeClaim", "", help_)
    if (reconciler := reconciled_by(notes)) and notes.get(f"{_ARGO}hook") != "Skip":
        headline = f"{reconciler} runs the job again once Volcano has deleted it after {ttl} s"
        yield Finding(headline, "spec.ttlSecondsAfterFinished", ttl, "remove it")


@rule("FT498", "substituted-script", Severity.WARNING, on=LINT)
def substituted(job: Job) -> Iterator[Finding]:
    """Flux replaces `${NAME}` in scripts by its own variables.

    Where a Kustomization has postBuild substitution, `${LR:-1e-4}` becomes 1e-4 whatever the pod's variables say,
    and an undefined name is an error or nothing.

    Refused: `${…}` in a job with Flux's annotations, without `kustomize.toolkit.fluxcd.io/substitute: disabled`.
    Write: that annotation.
    """
    notes = _labels_and_annotations(job)
    if reconciled_by(notes) != "Flux" or notes.get(f"{_FLUX}substitute") == "disabled":
        return
    for container in job.containers:
        for key in ("command", "args"):
            for i, word in enumerate(strings(container.body.get(key))):
                if has_match(_VARIABLE, word):
                    headline, help_ = (
                        "Flux may replace ${...} in this script",
                        f"annotate it {_FLUX}substitute: disabled",
                    )
                    yield Finding(headline, f"{container.path}.{key}[{i}]", "", help_)
                    return
