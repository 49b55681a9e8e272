"""What the cluster's admission says to a VolcanoJob, without a cluster.

Follows Volcano's job webhooks (pkg/webhooks/admission/jobs: mutate, validate) for the version given, and
what the API server itself checks beside the schema: names, labels and annotations.  A job refused here is refused there; the other way round holds for every field ftgen knows to write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ftgen import kube
from ftgen.diagnostics import Diagnostic
from ftgen.rules import Finding, plugins, rule, run
from ftgen.rules.change import change_class, immutable_field, task_count
from ftgen.rules.defaults import mutate, structural
from ftgen.rules.job import Job, Task, Version, amount, count, mapping, number, read, strings, text
from ftgen.rules.pod import POD_RULES
from ftgen.rules.policies import RULES_OF_POLICIES
from ftgen.rules.volumes import job_volume_claim, job_volume_path

__all__ = ["Queue", "admit_create", "admit_update", "change_class", "mutate"]

_LONGEST_NAME = 63
_MOST_TASKS_NAMED = 8


@dataclass(frozen=True, slots=True)
class Queue:
    """What admission asks about a queue: its `status.state`, and its `spec.parent` (empty at the root)."""

    state: str = "Open"
    parent: str = ""


def admit_create(
    job: dict[str, Any],
    *,
    volcano_version: Version,
    queues: Mapping[str, Queue] | None = None,
) -> list[Diagnostic]:
    """Why the cluster would refuse to create this job; empty when it would not.

    The job is judged as the mutating webhook leaves it.  Rules about queues run only where `queues` says
    which there are, by name.
    """
    seen = read(mutate(job, volcano_version=volcano_version), volcano_version)
    found = run(_CREATE, seen)
    return found if queues is None else found + run((unusable_queue,), seen, queues)


def admit_update(
    old: dict[str, Any],
    new: dict[str, Any],
    *,
    volcano_version: Version,
) -> list[Diagnostic]:
    """Why the cluster would refuse to replace the stored job `old` by `new`; empty when it would not.

    On UPDATE only the CRD's defaults are filled in, and only counts and partitions are checked again
    (validateJobUpdate in validate/admit_job.go); everything else in spec but the four mutable fields must
    mean the same as before.
    """
    before = read(structural(old, volcano_version=volcano_version), volcano_version)
    after = read(structural(new, volcano_version=volcano_version), volcano_version)
    return run(_UPDATE, after) + run((task_count, immutable_field), before, after)


@rule("FT310", "bad-job-name")
def bad_job_name(job: Job) -> Iterator[Finding]:
    """The job's name is missing, too long or no DNS name.

    The API server wants a DNS-1123 subdomain and Volcano's job webhook a qualified name, so 63 characters
    at most.  `generateName` is cut to 58 characters and gets five more before it is judged.

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


@rule("FT311", "no-tasks")
def no_tasks(job: Job) -> Iterator[Finding]:
    """The job has no tasks.

    Volcano's job webhook refuses it at once.

    Refused: `spec.tasks: []`.
    Write: one task for each role of pods.
    """
    if not job.tasks:
        yield Finding("the job has no tasks", "spec.tasks", help="add a task with a name, replicas and a template")


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
        if job.name and task.name and not kube.is_qualified_name(pod):
            yield Finding(
                f"the pod name {pod!r} has {len(pod)} characters; 63 are allowed",
                job.name_path,
                job.name,
                f"shorten the name by {len(pod) - _LONGEST_NAME}",
            )


@rule("FT314", "negative-count")
def negative_count(job: Job) -> Iterator[Finding]:
    """A count is below zero, or `minSuccess` below one.

    Up to 1.13 the job webhook checks replicas, minAvailable, maxRetry and ttlSecondsAfterFinished, from 1.14
    the CRD's minimums do.

    Refused: `spec.ttlSecondsAfterFinished: -1`.
    Write: leave it out to keep the job.
    """
    counted = ("minAvailable", "maxRetry", "ttlSecondsAfterFinished", "minSuccess")
    fields = [("spec", job.spec, field) for field in counted]
    for path, body, field in (*fields, *_task_counts(job)):
        value = count(body.get(field))
        if value is not None and (value < 0 or (field == "minSuccess" and value < 1)):
            least = 1 if field == "minSuccess" else 0
            yield Finding(f"{field} is {value} but must be at least {least}", f"{path}.{field}", value)


def _task_counts(job: Job) -> list[tuple[str, dict[str, Any], str]]:
    return [(t.path, t.body, field) for t in job.tasks for field in ("replicas", "minAvailable", "maxRetry")]


@rule("FT315", "unreachable-gang")
def unreachable_gang(job: Job) -> Iterator[Finding]:
    """`minAvailable` asks for more pods than there are.

    Volcano's job webhook compares each task's minAvailable with its replicas, and the job's with the sum of
    all replicas, on CREATE and on UPDATE.

    Refused: `replicas: 2` with `minAvailable: 3`.
    Write: `minAvailable: 2`.
    """
    for task in job.tasks:
        if task.min_available is not None and task.min_available > task.replicas:
            yield _too_large(task.min_available, task.replicas, task.path)
    total, wanted = sum(task.replicas for task in job.tasks), number(job.spec.get("minAvailable"))
    if job.tasks and wanted > total:
        yield _too_large(wanted, total, "spec")


def _too_large(wanted: int, present: int, path: str) -> Finding:
    return Finding(
        f"minAvailable is {wanted} but there are {present} replicas",
        f"{path}.minAvailable",
        wanted,
        f"set {path}.minAvailable to {present}",
    )


@rule("FT323", "unknown-plugin")
def unknown_plugin(job: Job) -> Iterator[Finding]:
    """The job asks for a plugin this Volcano does not have.

    Volcano's job webhook looks every key of `spec.plugins` up, by its exact name: ssh, env, svc, tensorflow,
    mpi, pytorch; hcclrank from 1.12.3; ray from 1.13.

    Refused: `plugins: {SVC: []}`.
    Write: `plugins: {svc: []}`.
    """
    there = plugins.known(job.version)
    for name in job.plugins:
        if name not in there:
            yield Finding(
                f"Volcano {'.'.join(map(str, job.version))} has no job plugin {name!r}",
                f"spec.plugins.{name}",
                name,
                f"use one of {', '.join(there)}",
            )


@rule("FT324", "mpi-without-master")
def mpi_without_master(job: Job) -> Iterator[Finding]:
    """The mpi plugin's master task does not exist; up to 1.14 the worker task must exist too.

    Volcano's job webhook looks for the tasks named by `--master` and `--worker` (default master, worker).

    Refused: `plugins: {mpi: []}` with one task `train`.
    Write: `plugins: {mpi: ["--master=train", "--worker=train"]}`, or name the tasks master and worker.
    """
    if "mpi" not in job.plugins or not job.tasks:
        return
    given = plugins.parse("mpi", tuple(strings(job.plugins["mpi"])), job.version).values
    for role in ("master", "worker") if job.version < (1, 15, 0) else ("master",):
        name = given.get(role, role)
        if all(task.name != name for task in job.tasks):
            yield Finding(
                f"the mpi plugin's {role} task {name!r} does not exist",
                "spec.plugins.mpi",
                name,
                f"add --{role}=<task> to spec.plugins.mpi",
            )


@rule("FT327", "unusable-queue")
def unusable_queue(job: Job, queues: Mapping[str, Queue]) -> Iterator[Finding]:
    """The queue does not exist, is not open, or is no leaf.

    Volcano's job webhook looks the queue up: its state must be Open, it must not be `root` and no other
    queue may have it as its parent.

    Refused: `spec.queue: research` where `research-a` has `parent: research`.
    Write: `spec.queue: research-a`.
    """
    name = text(job.spec.get("queue"))
    queue = queues.get(name)
    if queue is None:
        reason = "does not exist"
    elif queue.state != "Open":
        reason = f"is {queue.state or 'in no state'}, not Open"
    elif name == "root" or any(other.parent == name for other in queues.values()):
        reason = "is not a leaf"
    else:
        return
    yield Finding(f"the queue {name!r} {reason}", "spec.queue", name, "name an open leaf queue")


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
        return f"{smallest} partitions of {size} are {smallest * size} pods, but minAvailable is {task.min_available}"
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


_UPDATE = (negative_count, unreachable_gang, two_tiers, uneven_partitions)

_CREATE = (
    bad_job_name,
    no_tasks,
    bad_task_name,
    long_pod_name,
    *_UPDATE,
    *RULES_OF_POLICIES,
    unknown_plugin,
    mpi_without_master,
    job_volume_path,
    job_volume_claim,
    unordered_tasks,
    fractional_cpu,
    *POD_RULES,
)
