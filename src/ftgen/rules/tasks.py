"""Tasks as Volcano's job webhook judges them: names, order, partitions, placement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen import kube
from ftgen.rules import Finding, rule
from ftgen.rules.job import Job, Task, Version, amount, count, mapping, number, strings, text

_LONGEST_NAME = 63
_MOST_TASKS_NAMED = 8


@rule("FT312", "bad-task-name")
def bad_task_name(job: Job) -> Iterator[Finding]:
    """A task's name is no DNS-1123 label, or a second task has it.

    The name becomes part of pod names.  Up to 1.13 the job webhook checks its form, from 1.14 the CRD;
    uniqueness is the webhook's.

    Refused: two tasks named `train`; `name: Train`.
    Write: `name: train` and `name: evaluate`.
    """
    seen: set[str] = set()
    for task in job.tasks:
        if not kube.is_dns1123_label(task.name):
            yield Finding(
                f"the task name {task.name!r} is no DNS label",
                f"{task.path}.name",
                task.name,
                "use lower-case letters, digits and dashes, 63 at most",
            )
        elif task.name in seen:
            yield Finding(f"a second task is named {task.name!r}", f"{task.path}.name", task.name, "rename one of them")
        seen.add(task.name)


@rule("FT313", "long-pod-name")
def long_pod_name(job: Job) -> Iterator[Finding]:
    """Job name, task name and the task's position together exceed 63 characters.

    Volcano's job webhook forms `<job>-<task>-<position of the task>` and wants a qualified name.  The pods'
    real names end in the replica's index; `long-hostname` counts those.

    Refused: a job name of 60 characters with a task `train`.
    Write: a shorter job name.
    """
    for task in job.tasks:
        pod = f"{job.name}-{task.name}-{task.index}"
        if len(pod) > _LONGEST_NAME:
            yield Finding(
                f"the pod name {pod!r} has {len(pod)} characters; 63 are allowed",
                job.name_path,
                job.name,
                f"shorten the name by {len(pod) - _LONGEST_NAME}",
            )


@rule("FT328", "unordered-tasks")
def unordered_tasks(job: Job) -> Iterator[Finding]:
    """The tasks' `dependsOn` do not form an order.

    Volcano's job webhook sorts the tasks and refuses what it cannot sort: a name that is no task, the same
    name twice in one list, a task that waits for itself, a cycle.

    Refused: `dependsOn: {name: [fetch, fetch]}`.
    Write: `dependsOn: {name: [fetch]}`.
    """
    names = {task.name for task in job.tasks}
    waits = {task.name: _awaited(task) for task in job.tasks}
    broken = False
    for task in job.tasks:
        for name, times in Counter(waits[task.name]).items():
            if name not in names or times > 1:
                broken = True
                problem = "is named twice" if name in names else "is no task of this job"
                yield Finding(f"{name!r} in dependsOn {problem}", f"{task.path}.dependsOn.name", name)
    if not broken and (stuck := _unsortable(waits)):
        path = next(task.path for task in job.tasks if task.name in stuck)
        listed = ", ".join(sorted(stuck)[:_MOST_TASKS_NAMED])
        yield Finding(f"these tasks wait for each other: {listed}", f"{path}.dependsOn", listed, "break the cycle")


def _awaited(task: Task) -> list[str]:
    return strings(mapping(task.body.get("dependsOn")).get("name"))


def _unsortable(waits: Mapping[str, list[str]]) -> set[str]:
    left = dict(waits)
    while ready := {name for name, awaited in left.items() if not any(other in left for other in awaited)}:
        left = {name: awaited for name, awaited in left.items() if name not in ready}
    return set(left)


@rule("FT329", "two-tiers")
def two_tiers(job: Job) -> Iterator[Finding]:
    """`networkTopology` names its highest tier by number and by name.

    From 1.14, where highestTierName came, Volcano's job webhook wants at most one of the two; in a
    partition's networkTopology as well.

    Refused: `{mode: hard, highestTierAllowed: 2, highestTierName: rack}`.
    Write: `{mode: hard, highestTierName: rack}`.
    """
    places = [("spec", job.spec)]
    places += [(f"{t.path}.partitionPolicy", mapping(t.body.get("partitionPolicy"))) for t in job.tasks]
    for path, body in places if job.version >= (1, 14, 0) else ():
        topology = mapping(body.get("networkTopology"))
        if count(topology.get("highestTierAllowed")) is not None and text(topology.get("highestTierName")):
            yield Finding(
                "highestTierAllowed and highestTierName exclude each other",
                f"{path}.networkTopology.highestTierName",
                topology["highestTierName"],
                "remove one of them",
            )


@rule("FT330", "uneven-partitions")
def uneven_partitions(job: Job) -> Iterator[Finding]:
    """A task's partitions do not add up to its replicas or its gang.

    From 1.14 Volcano's job webhook wants totalPartitions and partitionSize above zero, replicas to be their
    product and minAvailable to be minPartitions times partitionSize (from 1.16 only with minPartitions).

    Refused: `replicas: 8` with `{totalPartitions: 3, partitionSize: 2}`.
    Write: `{totalPartitions: 4, partitionSize: 2, minPartitions: 4}` and `minAvailable: 8`.
    """
    for task in job.tasks if job.version >= (1, 14, 0) else ():
        policy = task.body.get("partitionPolicy")
        if isinstance(policy, dict) and (reason := _uneven(task, policy, job.version)):
            yield Finding(reason, f"{task.path}.partitionPolicy")


def _uneven(task: Task, policy: dict[str, Any], version: Version) -> str:
    total, size = number(policy.get("totalPartitions")), number(policy.get("partitionSize"))
    smallest = number(policy.get("minPartitions"))
    if total <= 0 or size <= 0:
        return "totalPartitions and partitionSize must be at least 1"
    if task.replicas != total * size:
        return f"{total} partitions of {size} are {total * size} pods, but replicas is {task.replicas}"
    if task.min_available not in (None, smallest * size) and (smallest > 0 or version < (1, 16, 0)):
        gang = f"{smallest} partitions of {size} are {smallest * size} pods"
        return f"{gang}, but minAvailable is {task.min_available}"
    return ""


@rule("FT331", "fractional-cpu-with-topology")
def fractional_cpu(job: Job) -> Iterator[Finding]:
    """A NUMA policy is set but a container does not ask for whole CPUs.

    With a topologyPolicy other than none, Volcano's job webhook wants an integer CPU request of at least 1
    in every container and init container; limits count where there are no requests at all.

    Refused: `topologyPolicy: single-numa-node` with `requests: {cpu: 100m}` in an init container.
    Write: `requests: {cpu: "1"}` there too.
    """
    pods = [t.pod for t in job.tasks if text(t.body.get("topologyPolicy")) not in ("", "none")]
    for container in (c for pod in pods for c in pod.containers):
        resources = mapping(container.body.get("resources"))
        requests = mapping(resources.get("requests")) or mapping(resources.get("limits"))
        cpus = amount(requests.get("cpu"))
        if cpus is None or cpus < 1 or cpus.denominator != 1:
            yield Finding(
                "topologyPolicy needs a whole number of CPUs in every container",
                f"{container.path}.resources.requests.cpu",
                requests.get("cpu", ""),
                f"set {container.path}.resources.requests.cpu to a whole number",
            )


RULES_OF_TASKS = (bad_task_name, long_pod_name, unordered_tasks, fractional_cpu)
RULES_OF_PLACEMENT = (two_tiers, uneven_partitions)
"""Checked again on every update."""
