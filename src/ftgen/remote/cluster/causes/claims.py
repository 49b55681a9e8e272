"""Causes in claims: those that do not exist, and those that nobody gives a volume."""

from __future__ import annotations

from ftgen.remote.cluster.causes.cause import Cause, words
from ftgen.remote.cluster.fields import Key
from ftgen.remote.cluster.objects import Claim
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.state import ClusterState

_FAILED = ("ProvisioningFailed", "FailedBinding")
_KNOWN_CLASS = "set storage.storage_class to one of `kubectl get storageclasses`"


def obstacle(run: Run, seen: ClusterState) -> Cause | None:
    """Return which claim keeps a pod from a node or from starting."""
    if not run.waits or seen.claims is None:
        return None
    shapes = [pod.shape for pod in run.pods if pod.phase == "Pending"] or [s for s in (run.waiting_shape,) if s]
    names = dict.fromkeys(name for shape in shapes for name in shape.claims)
    causes = (_cause((run.key[0], name), run, seen) for name in names)
    return next((cause for cause in causes if cause), None)


def _cause(key: Key, run: Run, seen: ClusterState) -> Cause | None:
    found = seen.claim_by_key.get(key)
    if found is None:
        return _missing(key, run)
    if found.phase == "Lost":
        how = "restore it, or name another claim under storage"
        return Cause("claim-lost", f"the volume of claim {key[1]} is gone", how)
    return _pending(found, seen) if found.phase != "Bound" else None


def _missing(key: Key, run: Run) -> Cause | None:
    """Return that a claim does not exist; the cluster makes those of a pod itself, which bear its name."""
    if any(key[1].startswith(f"{pod.key[1]}-") for pod in run.pods):
        return None
    how = f"create it, or name one of `kubectl get pvc -n {key[0]}` (storage.models.claim, storage.workspace.claim)"
    return Cause("claim-missing", f"the claim {key[1]} does not exist", how)


def _pending(found: Claim, seen: ClusterState) -> Cause | None:
    """Return why a claim has no volume; None where it waits for its pod's node, which is no obstacle."""
    name, said = found.storage_class, _said(seen, found)
    if seen.classes is None and not found.provisioner:
        # Who may not see the classes cannot tell a claim that waits for its pod, unless somebody complains.
        return Cause("claim-pending", f"the claim {found.key[1]} waits: {words(said)}", _KNOWN_CLASS) if said else None
    if seen.classes is not None and name is None:
        what = f"the claim {found.key[1]} names no storage class, and the cluster has no default"
        return Cause("claim-pending", what, _KNOWN_CLASS)
    if seen.classes is not None and name and name not in seen.class_by_name:
        what = f"the claim {found.key[1]} waits: its storage class {name} does not exist"
        return Cause("claim-pending", what, _KNOWN_CLASS)
    return _unprovided(found, seen, said) if said or not _waits_for_node(found, seen) else None


def _waits_for_node(found: Claim, seen: ClusterState) -> bool:
    known = seen.class_by_name.get(found.storage_class or "")
    return known is not None and known.waits and not found.node


def _unprovided(found: Claim, seen: ClusterState, said: str) -> Cause:
    """Return that a provisioner, or a person, has made no volume."""
    known = seen.class_by_name.get(found.storage_class or "")
    provisioner = found.provisioner or (known.provisioner if known else "")
    if provisioner in {"", "kubernetes.io/no-provisioner"}:
        who = f"that somebody makes (class {found.storage_class or 'none'}){f': {words(said)}' if said else ''}"
        how = "create such a PersistentVolume, or choose another storage"
        return Cause("claim-pending", f"the claim {found.key[1]} waits for a volume {who}", how)
    node = f" on node {found.node}" if found.node else ""
    what = f"the claim {found.key[1]} waits: {provisioner} (class {found.storage_class}) has made no volume{node}"
    how = f"let an administrator look at {provisioner} (`kubectl describe pvc -n {found.key[0]} {found.key[1]}`)"
    return Cause("claim-pending", f"{what}{f', and says: {words(said)}' if said else ''}", how)


def _said(seen: ClusterState, found: Claim) -> str:
    events = seen.events_by_object.get(("PersistentVolumeClaim", found.key), ())
    return next((event.message for event in events if event.reason in _FAILED), "")
