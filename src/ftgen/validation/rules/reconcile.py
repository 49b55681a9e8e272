"""Rules over what makes a reconciler restart, delete or take over an object: labels, annotations, its own options.

ftgen writes none of these itself; overlays, and the labels and annotations of `cluster`, may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.lower.objects import SERVICE_LABEL
from ftgen.spec import Spec
from ftgen.text.shapes import mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import RECONCILER, ROLLOUT, SYNC
from ftgen.validation.rules.defaults import mutate

_PRUNE_GUARDS = {
    "argocd": ("argocd.argoproj.io/sync-options", "Prune=false"),
    "flux": ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
}
_ARGO_KEYS = ("app.kubernetes.io/instance", "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id")
_PHASES = ("argocd.argoproj.io/hook", "argocd.argoproj.io/sync-wave", "helm.sh/hook")
_FLUX_FORCE = "kustomize.toolkit.fluxcd.io/force"
_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"


@rule("FT290", "application-without-a-reconciler", on=ROLLOUT)
def _nobody(spec: Spec) -> Iterator[Finding]:
    """An Application for a manifest that no reconciler applies.

    Refused: `delivery=kubectl +delivery.application=true`.
    Write: `delivery=argocd` or `delivery=flux`.
    """
    if spec.delivery.application and spec.delivery.reconciler == "kubectl":
        help_ = "write delivery=argocd or delivery=flux"
        yield Finding("kubectl has no Application to render", "delivery.application", value="true", help=help_)


@rule("FT450", "training-as-a-hook", on=SYNC)
def _phase(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A training that is a hook, or in a sync wave.

    Argo CD runs hooks again on every sync, and deletes what the last one left before it does.  A wave makes
    the sync wait for hours until the training has ended, and no other commit is synchronised meanwhile.

    Refused: the annotation `argocd.argoproj.io/hook: Sync`.
    Write: nothing; Argo CD orders claims before jobs by itself.
    """
    for key in _PHASES:
        # With Skip, Argo CD neither creates nor prunes the object.
        if _metadata(manifest, "annotations").get(key, "Skip") != "Skip":
            yield Finding(f"{key} would repeat or hold up the training", _path("annotations", key), help="remove it")


@rule("FT451", "replaced-by-force", on=(SYNC, RECONCILER))
def _replaced(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """An object that its reconciler deletes and creates again, or an Application that says so of all its objects.

    `Replace=true` and `Force=true` of Argo CD, and Flux's `force`, act whenever the object is applied: a
    commit that has nothing to do with it kills a training and starts it from the beginning.

    Of the `syncOptions` of an Application, or of an ApplicationSet's template, Argo CD reads `Replace=true`
    alone (controller/sync.go, applyObject in gitops-engine/pkg/sync): each sync puts every object anew, and a forced
    one deletes it first. A Kustomization of Flux with `force: true` deletes what it cannot change. Both are warnings,
    as what they apply may be no training.

    Refused: `argocd.argoproj.io/sync-options: Replace=true,Force=true`; `syncOptions: [Replace=true]`.
    Write: `Prune=false,Delete=false`; a changed run is a new run.
    """
    kind = text(manifest.get("kind"))
    if kind in _RECONCILERS:
        yield from _replacing(kind, manifest)
        return
    annotations = _metadata(manifest, "annotations")
    options = {option.strip().lower() for option in str(annotations.get(_SYNC_OPTIONS, "")).split(",")}
    if options & {"replace=true", "force=true"}:
        help_ = "write Prune=false,Delete=false"
        yield Finding("Replace and Force would restart the training", _path("annotations", _SYNC_OPTIONS), help=help_)
    for section in ("annotations", "labels"):
        if str(_metadata(manifest, section).get(_FLUX_FORCE, "")).lower() == "enabled":
            yield Finding("Flux would restart the training by force", _path(section, _FLUX_FORCE), help="remove it")


def _replacing(kind: str, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    spec, path = mapping(manifest.get("spec")), _RECONCILERS[kind]
    if kind == "ApplicationSet":
        spec = mapping(mapping(spec.get("template")).get("spec"))
    if kind == "Kustomization" and spec.get("force") is True:
        headline = "Flux would delete what it cannot change, a training, too"
        yield Finding(headline, f"{path}.force", "true", f"remove {path}.force", Severity.WARNING)
    options = mapping(spec.get("syncPolicy")).get("syncOptions")
    for i, option in enumerate(options if isinstance(options, list) else ()):
        if option == "Replace=true":
            headline = f"the {kind} would put every object anew, a training, too"
            where = f"{path}.syncPolicy.syncOptions[{i}]"
            yield Finding(headline, where, option, "remove Replace=true", Severity.WARNING)


_RECONCILERS = {"Application": "spec", "ApplicationSet": "spec.template.spec", "Kustomization": "spec"}
"""Paths of what a kind says of the objects that it applies."""


@rule("FT452", "claimed-for-another-application", on=SYNC)
def _claimed(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A label or annotation by which Argo CD tracks the objects of an Application.

    Argo CD writes it itself; another value assigns the object to another Application, which may prune it.

    Refused: the label `app.kubernetes.io/instance`.
    Write: `app.kubernetes.io/part-of`, or a label of your own.
    """
    for section in ("labels", "annotations"):
        for key in _ARGO_KEYS:
            if key in _metadata(manifest, section):
                yield Finding(f"{key} is Argo CD's own to write", _path(section, key), help="remove it")


@rule("FT454", "implicit-default", on=SYNC)
def _implicit(manifest: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """A field that admission would fill in, so that the manifest cannot be applied twice.

    Volcano's mutating webhook fills in tasks on creation only.  A later apply takes the values away again,
    and the validating webhook refuses that as a change of an immutable field; Argo CD's sync fails, and so
    does everything in the same Kustomization of Flux.

    Refused: an overlay that adds a task without `maxRetry` and `minAvailable`.
    Write: both of them.
    """
    if manifest.get("kind") != "Job" or context.reconciler not in _PRUNE_GUARDS:
        return
    job = dict(manifest)
    for path, value in _added(job, mutate(job), ""):
        yield Finding(f"admission would write {path}, and refuse the second apply", path, help=f"set it to {value!r}")


@rule("FT453", "unguarded-against-pruning", Severity.WARNING, on=SYNC)
def _unguarded(manifest: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """An object that its reconciler may delete when its file goes.

    Reconcilers read the guard from the live object, so it must be there from the beginning.  What serves a model needs
    none: unlike a training it loses nothing when it is created again.

    Refused: an overlay that sets `argocd.argoproj.io/sync-options` without `Prune=false`.
    Write: `Prune=false,Delete=false` beside the other options.
    """
    key, guard = _PRUNE_GUARDS.get(context.reconciler, ("", ""))
    if SERVICE_LABEL in _metadata(manifest, "labels"):
        return
    if guard and guard not in str(_metadata(manifest, "annotations").get(key, "")).split(","):
        headline = f"{context.reconciler} would delete the {manifest['kind']} when its file goes"
        yield Finding(headline, _path("annotations", key), help=f"add {guard} to {key}")


def _added(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of each field that `after` has and `before` has not."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            if before.get(key) is not value and before.get(key) != value:
                yield from _added(before.get(key), value, f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if old is not new and old != new:
                yield from _added(old, new, f"{path}[{index}]")
    else:
        yield path, after


def _metadata(manifest: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    return mapping(mapping(manifest.get("metadata")).get(section))


def _path(section: str, key: str) -> str:
    return f'metadata.{section}["{key}"]'
