"""What a reconciler would do to an object against its author's will, seen on the manifest.

ftgen writes none of this itself; overlays and the cluster's own labels and annotations may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.rules import ROLLOUT, SYNC
from ftgen.rules.defaults import mutate
from ftgen.spec import Spec
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import mapping

_GUARDS = {
    "argocd": ("argocd.argoproj.io/sync-options", "Prune=false"),
    "flux": ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
}
_OWNED = ("app.kubernetes.io/instance", "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id")
_PHASES = ("argocd.argoproj.io/hook", "argocd.argoproj.io/sync-wave", "helm.sh/hook")
_FORCE = "kustomize.toolkit.fluxcd.io/force"
_OPTIONS = "argocd.argoproj.io/sync-options"


@rule("FT290", "application-without-a-reconciler", on=ROLLOUT)
def _nobody(spec: Spec) -> Iterator[Finding]:
    """An Application for a manifest that no reconciler applies.

    Refused: `delivery=kubectl +delivery.application=true`.
    Write: `delivery=argocd` or `delivery=flux`.
    """
    if spec.delivery.application and spec.delivery.reconciler == "kubectl":
        how = "write delivery=argocd or delivery=flux"
        yield Finding("kubectl has no Application to render", "delivery.application", value="true", help=how)


@rule("FT450", "training-as-a-hook", on=SYNC)
def _phase(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A training that is a hook, or in a sync wave.

    Argo CD runs hooks again on every sync, and deletes what the last one left before it does.  A wave makes
    the sync wait for hours until the training has ended, and no other commit is synchronised meanwhile.

    Refused: the annotation `argocd.argoproj.io/hook: Sync`.
    Write: nothing; Argo CD orders claims before jobs by itself.
    """
    for key in _PHASES:
        # Skip retires an object: it is neither created nor pruned.
        if _about(manifest, "annotations").get(key, "Skip") != "Skip":
            yield Finding(f"{key} would repeat or hold up the training", _path("annotations", key), help="remove it")


@rule("FT451", "replaced-by-force", on=SYNC)
def _replaced(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """An object that its reconciler deletes and creates again.

    `Replace=true` and `Force=true` of Argo CD, and Flux's `force`, act whenever the object is applied: a
    commit that has nothing to do with it kills a training and starts it from the beginning.

    Refused: `argocd.argoproj.io/sync-options: Replace=true,Force=true`.
    Write: `Prune=false,Delete=false`; a changed run is a new run.
    """
    annotations = _about(manifest, "annotations")
    options = {option.strip().lower() for option in str(annotations.get(_OPTIONS, "")).split(",")}
    if options & {"replace=true", "force=true"}:
        how = "write Prune=false,Delete=false"
        yield Finding("Replace and Force would restart the training", _path("annotations", _OPTIONS), help=how)
    for section in ("annotations", "labels"):
        if str(_about(manifest, section).get(_FORCE, "")).lower() == "enabled":
            yield Finding("Flux would restart the training by force", _path(section, _FORCE), help="remove it")


@rule("FT452", "claimed-for-another-application", on=SYNC)
def _claimed(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A label or annotation by which Argo CD knows what is whose.

    Argo CD writes it itself; another value makes the object another Application's, which may prune it.

    Refused: the label `app.kubernetes.io/instance`.
    Write: `app.kubernetes.io/part-of`, or a label of your own.
    """
    for section in ("labels", "annotations"):
        for key in _OWNED:
            if key in _about(manifest, section):
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
    if manifest.get("kind") != "Job" or context.reconciler not in _GUARDS:
        return
    job = dict(manifest)
    for path, value in _added(job, mutate(job), ""):
        yield Finding(f"admission would write {path}, and refuse the second apply", path, help=f"set it to {value!r}")


@rule("FT453", "unguarded-against-pruning", Severity.WARNING, on=SYNC)
def _unguarded(manifest: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """An object that its reconciler may delete when its file goes.

    Reconcilers read the guard from the live object, so it must be there from the beginning.

    Refused: an overlay that sets `argocd.argoproj.io/sync-options` without `Prune=false`.
    Write: `Prune=false,Delete=false` beside the other options.
    """
    key, guard = _GUARDS.get(context.reconciler, ("", ""))
    if guard and guard not in str(_about(manifest, "annotations").get(key, "")).split(","):
        told = f"{context.reconciler} would delete the {manifest['kind']} when its file goes"
        yield Finding(told, _path("annotations", key), help=f"add {guard} to {key}")


def _added(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What the second value has beyond the first: path and value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            if before.get(key) != value:
                yield from _added(before.get(key), value, f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                yield from _added(old, new, f"{path}[{index}]")
    else:
        yield path, after


def _about(manifest: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    return mapping(mapping(manifest.get("metadata")).get(section))


def _path(section: str, key: str) -> str:
    return f'metadata.{section}["{key}"]'
