"""Causes at creation: the job that nobody created, pods that the API server refuses, jobs that git does not know."""

from __future__ import annotations

from ftgen.output.tree import State
from ftgen.remote.cluster.causes.cause import Cause, refusal, words
from ftgen.remote.cluster.causes.queue import closed, missing
from ftgen.remote.cluster.runs import Committed, Run
from ftgen.remote.cluster.state import ClusterState

_REFUSED = ("FailedCreate", "CreatePodFailed", "PVCError", "PluginError", "PodGroupError")
"""Reasons of Volcano's and Kubernetes' job controllers for pods that they could not create."""


def never_created(run: Run, seen: ClusterState) -> Cause | None:
    """Return why a committed run has no live job; None for an archived run, which should have none."""
    each = run.committed
    if run.job is not None or each is None or each.state is State.ARCHIVED:
        return None
    if each.state is State.STOPPING:
        return Cause("stopped", "its job is gone", f"`ftgen stop {run.name}` removes its file")
    return _namespace(each, seen) or missing(each.queue, seen) or closed(each.queue, seen) or _delivered(each, seen)


def _namespace(each: Committed, seen: ClusterState) -> Cause | None:
    return refusal(f'namespace "{each.key[0]}" not found') if each.key[0] in seen.missing_namespaces else None


def _delivered(each: Committed, seen: ClusterState) -> Cause:
    """Return what the reconciler says of a run, or that it says nothing."""
    for brought in seen.deliveries:
        path = brought.kind.lower() + "s/" + brought.key[1]
        said = brought.refused.get(each.key[1]) or brought.message
        if said and any(own.endswith(path) for own in each.deliveries):
            how = f"mend it and let the {brought.kind} {brought.key[1]} synchronise again"
            return refusal(said) or Cause(
                "not-synchronised", f"the {brought.kind} {brought.key[1]} says: {words(said)}", how
            )
    how = (
        f"let the reconciler synchronise, or `kubectl create -f {each.path}`; `ftgen check --server` asks for refusals"
    )
    return Cause("never-created", "it is committed and was never created", how)


def refused_pods(run: Run, seen: ClusterState) -> Cause | None:
    """Return why the job's pods could not be created."""
    if run.job is None or run.is_ended or len(run.pods) >= run.job.pods:
        return None
    reported = [*seen.events_by_object.get(("Job", run.key), ())]
    said = next((event.message for event in reported if event.reason in _REFUSED), "")
    how = f"`kubectl describe -n {run.key[0]} jobs.batch.volcano.sh {run.key[1]}` shows all of it"
    return (refusal(said) or Cause("pods-refused", f"its pods cannot be created: {words(said)}", how)) if said else None


def uncommitted(run: Run, _seen: ClusterState) -> Cause | None:
    """Return that a live job has no file in the tree that the user named."""
    if run.job is None or not run.is_stray or run.is_ended:
        return None
    kind = "jobs.batch.volcano.sh" if run.job.is_volcano else "jobs.batch"
    how = f"name the tree that has it (-o, --repo), or end it: `kubectl delete -n {run.key[0]} {kind} {run.key[1]}`"
    return Cause("not-in-git", "it runs and is in this tree no longer", how)
