"""Causes of an end: what the failed pod and its log say."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.remote.cluster import log
from ftgen.remote.cluster.causes.cause import Cause, refusal, words
from ftgen.remote.cluster.objects import Pod
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.state import ClusterState

_KILLED, _TERMINATED = 137, 143


def failed(run: Run, seen: ClusterState) -> Cause | None:
    """Return why a job ended without a result."""
    if run.job is None or not run.is_ended or run.job.phase == "Completed":
        return None
    pod = next((pod for pod in run.pods if pod.phase == "Failed"), None)
    causes: list[Cause] = [*(_of_pod(pod, run, seen) if pod else ()), *_of_job(run, seen)]
    return causes[0]


def _of_pod(pod: Pod, run: Run, seen: ClusterState) -> Iterator[Cause]:
    container = pod.failed_container
    if container is not None and container.reason == "OOMKilled":
        what = f"failed: container {container.name} used more memory than its limit"
        yield Cause("failed", what, "raise the limit (hardware.per_card.memory.limit)")
    if pod.reason == "Evicted":
        yield Cause("evicted", f"failed: {pod.node} evicted its pod ({words(pod.message)})", _again(run))
    text = seen.logs.get(pod.key, "") or (container.message if container else "")
    if meaning := log.meaning(text, run.name):
        yield Cause("failed", f"failed: {words(meaning.line).rstrip('.')}", meaning.remedy)
    if container is not None:
        yield _exit(container.exit_code, container.name, pod, run)
    if pod.reason or pod.message:
        yield Cause("failed", f"failed: pod {pod.key[1]} {pod.reason or words(pod.message)}", _again(run))


def _exit(code: int, name: str, pod: Pod, run: Run) -> Cause:
    if code in {_KILLED, _TERMINATED}:
        how = (
            "was killed, perhaps for its memory"
            if code == _KILLED
            else "was told to stop, as by a drain or a preemption"
        )
        return Cause("killed", f"failed: container {name} on {pod.node} {how} (exit code {code})", _again(run))
    return Cause(
        "failed", f"failed: container {name} ended with exit code {code}", f"`ftgen logs {run.name}` shows why"
    )


def _again(run: Run) -> str:
    return f"`ftgen rerun {run.name}` trains it again"


_NO_POD = ", and no failed pod is left, as after a drain, a preemption or an eviction"


def _of_job(run: Run, seen: ClusterState) -> Iterator[Cause]:
    """Return what the controller says of a job of which no failed pod is left."""
    phase = run.job.phase if run.job else ""
    warned = [
        event.message for event in seen.events_by_object.get(("Job", run.key), ()) if event.reason != "ExecuteAction"
    ]
    said = next((found for message in warned if (found := refusal(message))), None)
    if said:
        yield Cause(said.kind, f"{phase.lower()}: {said.what}", f"{said.remedy}, then `ftgen rerun {run.name}`")
    if phase == "Aborted":
        yield Cause(
            "aborted", "somebody aborted it", f"`vcctl job resume -n {run.key[0]} -N {run.key[1]}` continues it"
        )
    message = (run.job.message if run.job else "") or (warned[0] if warned else "")
    yield Cause("failed", f"{phase.lower()}{f': {words(message)}' if message else _NO_POD}", _again(run))
