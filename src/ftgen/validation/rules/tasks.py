"""Tasks as Volcano's job webhook checks them: names, order, partitions, placement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.schema.version import Version, has_optional_partitions
from ftgen.text import kube
from ftgen.text.shapes import amount, integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job, Task
from ftgen.validation.rules import ADMISSION, UPDATE

_LONGEST_NAME = 63
_MOST_TASKS_NAMED = 8


@rule("FT310", "bad-job-name", on=ADMISSION)
def bad_job_name(job: Job) -> Iterator[Finding]:
    """The job's name is missing, too long or no DNS name.

    The API server wants a DNS-1123 subdomain and Volcano's job webhook a qualified name, so 63 characters
    at most.  `generateName` is cut to 58 characters and gets five more before it is checked.

    Refused: `metadata.name: My_Run`.
    Write: `metadata.name: my-run`.
    """
    if not job.name:
        yield Finding("the job has neither a name nor a generateName", "metadata.name", help="set metadata.name")
    elif not kube.is_dns1123_subdomain(job.name) or len(job.name) > _LONGEST_NAME:
        yield Finding(
            f"the job name {job.name!r} is no DNS name of at most 63 characters",
            job.name_path,
            job.name,
            "use lower-case letters, digits and dashes",
        )


@rule("FT311", "no-tasks", on=ADMISSION)
def no_tasks(job: Job) -> Iterator[Finding]:
    """The job has no tasks.

    Volcano's job webhook refuses it at once.

    Refused: `spec.tasks: []`.
    Write: one task for each role of pods.
    """
    if not job.tasks:
        yield Finding("the job has no tasks", "spec.tasks", help="add a task with a name, replicas and a template")


@rule("FT312", "bad-task-name", on=ADMISSION)
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


@rule("FT313", "long-pod-name", on=ADMISSION)
def long_pod_name(job: Job) -> Iterator[Finding]:
    """Job name, task name and the task's position together exceed 63 characters.

    Volcano's job webhook forms `<job>-<task>-<position of the task>` and wants a qualified name.  The pods'
    real names end in the replica's index; `long-hostname` checks those.

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


@rule("FT328", "unordered-tasks", on=ADMISSION)
def unordered_tasks(job: Job) -> Iterator[Finding]:
    """The tasks' `dependsOn` do not form an order.

    Volcano's job webhook sorts the tasks and refuses what it cannot sort: a name that is no task, the same
    name twice in one list, a task that waits for itself, a cycle.

    Refused: `dependsOn: {name: [fetch, fetch]}`.
    Write: `dependsOn: {name: [fetch]}`.
    """
    names = {task.name for task in job.tasks}
    dependencies = {task.name: _dependencies(task) for task in job.tasks}
    has_bad_name = False
    for task in job.tasks:
        for name, times in Counter(dependencies[task.name]).items():
            if name not in names or times > 1:
                has_bad_name = True
                problem = "is named twice" if name in names else "is no task of this job"
                yield Finding(f"{name!r} in dependsOn {problem}", f"{task.path}.dependsOn.name", name)
    if not has_bad_name and (unsortable := _unsortable(dependencies)):
        path = next(task.path for task in job.tasks if task.name in unsortable)
        listed = ", ".join(sorted(unsortable)[:_MOST_TASKS_NAMED])
        yield Finding(f"these tasks wait for each other: {listed}", f"{path}.dependsOn", listed, "break the cycle")


def _dependencies(task: Task) -> list[str]:
    return strings(mapping(task.body.get("dependsOn")).get("name"))


def _unsortable(dependencies: Mapping[str, list[str]]) -> set[str]:
    """Return the tasks that a topological sort leaves over: those of a cycle, and those that wait for one."""
    left = dict(dependencies)
    while ready := {name for name, others in left.items() if not any(other in left for other in others)}:
        left = {name: others for name, others in left.items() if name not in ready}
    return set(left)


@rule("FT331", "fractional-cpu-with-topology", on=ADMISSION)
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


@rule("FT314", "negative-count", on=(ADMISSION, UPDATE))
def negative_count(job: Job) -> Iterator[Finding]:
    """A count is below zero, or `minSuccess` below one.

    Up to 1.13 the job webhook checks replicas, minAvailable, maxRetry and ttlSecondsAfterFinished, from 1.14
    the CRD's minimums do.

    Refused: `spec.ttlSecondsAfterFinished: -1`.
    Write: leave it out to keep the job.
    """
    counts = ("minAvailable", "maxRetry", "ttlSecondsAfterFinished", "minSuccess")
    fields = [("spec", job.spec, field) for field in counts]
    for path, body, field in (*fields, *_counts_of_tasks(job)):
        value = optional_integer(body.get(field))
        if value is not None and (value < 0 or (field == "minSuccess" and value < 1)):
            if field == "minAvailable" and value == body.get("replicas"):
                continue  # admission copies it from replicas, which is reported already
            least = 1 if field == "minSuccess" else 0
            yield Finding(f"{field} is {value} but must be at least {least}", f"{path}.{field}", value)


def _counts_of_tasks(job: Job) -> list[tuple[str, dict[str, Any], str]]:
    return [(t.path, t.body, field) for t in job.tasks for field in ("replicas", "minAvailable", "maxRetry")]


@rule("FT315", "unreachable-gang", on=(ADMISSION, UPDATE))
def unreachable_gang(job: Job) -> Iterator[Finding]:
    """`minAvailable` asks for more pods than there are.

    Volcano's job webhook compares each task's minAvailable with its replicas, and the job's with the sum of
    all replicas, on CREATE and on UPDATE.

    Refused: `replicas: 2` with `minAvailable: 3`.
    Write: `minAvailable: 2`.
    """
    for task in job.tasks:
        if task.min_available is not None and task.min_available > task.replicas:
            yield _gang_too_large(task.min_available, task.replicas, task.path)
    total, wanted = sum(task.replicas for task in job.tasks), integer(job.spec.get("minAvailable"))
    if job.tasks and 0 <= total < wanted:
        yield _gang_too_large(wanted, total, "spec")


def _gang_too_large(wanted: int, present: int, path: str) -> Finding:
    return Finding(
        f"minAvailable is {wanted} but there are {present} replicas",
        f"{path}.minAvailable",
        wanted,
        f"set {path}.minAvailable to {present}",
    )


@rule("FT329", "two-tiers", on=(ADMISSION, UPDATE))
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
        if optional_integer(topology.get("highestTierAllowed")) is not None and text(topology.get("highestTierName")):
            yield Finding(
                "highestTierAllowed and highestTierName exclude each other",
                f"{path}.networkTopology.highestTierName",
                topology["highestTierName"],
                "remove one of them",
            )


@rule("FT330", "uneven-partitions", on=(ADMISSION, UPDATE))
def uneven_partitions(job: Job) -> Iterator[Finding]:
    """A task's partitions do not add up to its replicas or its gang.

    From 1.14 Volcano's job webhook wants totalPartitions and partitionSize above zero, replicas to be their
    product and minAvailable to be minPartitions times partitionSize (from 1.14.3 and 1.15.1 only with minPartitions).

    Refused: `replicas: 8` with `{totalPartitions: 3, partitionSize: 2}`.
    Write: `{totalPartitions: 4, partitionSize: 2, minPartitions: 4}` and `minAvailable: 8`.
    """
    for task in job.tasks if job.version >= (1, 14, 0) else ():
        policy = task.body.get("partitionPolicy")
        if isinstance(policy, dict) and (reason := _partition_problem(task, policy, job.version)):
            yield Finding(reason, f"{task.path}.partitionPolicy")


def _partition_problem(task: Task, policy: dict[str, Any], version: Version) -> str:
    total, size = integer(policy.get("totalPartitions")), integer(policy.get("partitionSize"))
    smallest = integer(policy.get("minPartitions"))
    if total <= 0 or size <= 0:
        return "totalPartitions and partitionSize must be at least 1"
    if task.replicas != total * size:
        return f"{total} partitions of {size} are {total * size} pods, but replicas is {task.replicas}"
    if task.min_available not in (None, smallest * size) and (smallest > 0 or not has_optional_partitions(version)):
        gang = f"{smallest} partitions of {size} are {smallest * size} pods"
        return f"{gang}, but minAvailable is {task.min_available}"
    return ""
