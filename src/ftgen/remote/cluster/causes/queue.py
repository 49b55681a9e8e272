"""Causes in Volcano's queue, which lets a job in before its pods exist."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ftgen.remote.cluster.causes.cause import Cause, refusal, shown
from ftgen.remote.cluster.fields import Amounts
from ftgen.remote.cluster.objects import Queue
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.state import ClusterState


def obstacle(run: Run, seen: ClusterState) -> Cause | None:
    """Return what in the queue keeps a job from starting."""
    if run.job is None or not run.job.is_volcano or not run.waits:
        return None
    return missing(run.job.queue, seen) or closed(run.job.queue, seen) or _full(run, seen) or _unseen(run, seen)


def missing(name: str, seen: ClusterState) -> Cause | None:
    """Return that a queue does not exist."""
    if not name or seen.queues is None or name in seen.queue_by_name:
        return None
    return refusal(f'unable to find job queue: queues "{name}" not found')


def closed(name: str, seen: ClusterState) -> Cause | None:
    """Return that a queue takes no jobs."""
    queue = seen.queue_by_name.get(name)
    if queue is None or queue.state in {"Open", ""}:
        return None
    return refusal(f"can only submit job to queue with state `Open`, queue `{name}` status is `{queue.state}`")


def _full(run: Run, seen: ClusterState) -> Cause | None:
    """Return which resource of the queue is used up; one that its capability does not name is not limited."""
    group, queue = seen.group_of(run.job), seen.queue_by_name.get(run.job.queue if run.job else "")
    if group is None or queue is None or group.phase not in {"Pending", ""}:
        return None
    return next(_over(queue, group.min_resources), None)


def _over(queue: Queue, asked: Amounts) -> Iterator[Cause]:
    for name, most in queue.capability.items():
        need, used = _of(asked, name), _of(queue.allocated, name)
        if need > most:
            what = f"the queue {queue.name} never holds as much: it may have {shown(name, most)} {name}"
            yield Cause(
                "queue-too-small",
                f"{what}, the run asks for {shown(name, need)}",
                "ask for less, or set cluster.queue to a larger one",
            )
        elif used + need > most:
            what = f"the queue {queue.name} is full: {shown(name, used)} of {shown(name, most)} {name} are in use"
            yield Cause(
                "queue-full",
                f"{what}, the run asks for {shown(name, need)}",
                "wait for a run to end, or set cluster.queue to another",
            )


def _of(amounts: Amounts, name: str) -> Fraction:
    """Return an amount; quota and PodGroups may name a resource with `requests.` in front."""
    return amounts.get(name, amounts.get(f"requests.{name}", Fraction(0)))


def _unseen(run: Run, seen: ClusterState) -> Cause | None:
    if seen.group_of(run.job) is not None or (run.job and run.job.phase):
        return None
    how = "let an administrator look at volcano-controllers (`kubectl get pods -A -l app=volcano-controller`)"
    return Cause("controller-silent", "Volcano's controller has not taken notice of the job", how)
