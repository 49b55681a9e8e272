"""What the cluster's admission says to a VolcanoJob, without a cluster.

Follows Volcano's job webhooks (pkg/webhooks/admission/jobs: mutate, validate) for the version given, and
what the API server itself checks beside the schema: names, labels and annotations.  A job refused
here is refused there; the other way round holds for every field ftgen knows to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ftgen import kube
from ftgen.diagnostics import Diagnostic
from ftgen.rules import Finding, plugins, rule, run
from ftgen.rules.change import change_class, immutable_field, task_count
from ftgen.rules.defaults import mutate, structural
from ftgen.rules.job import Job, Version, count, number, read, strings, text
from ftgen.rules.pod import POD_RULES
from ftgen.rules.policies import RULES_OF_POLICIES
from ftgen.rules.tasks import RULES_OF_PLACEMENT, RULES_OF_TASKS
from ftgen.rules.volumes import job_volume_claim, job_volume_path

__all__ = ["Queue", "admit_create", "admit_update", "change_class", "mutate"]

_LONGEST_NAME = 63


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
    found = run(RULES_OF_CREATION, seen)
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
            if field == "minAvailable" and value == body.get("replicas"):
                continue  # admission fills it in
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
    if job.tasks and 0 <= total < wanted:
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


_UPDATE = (negative_count, unreachable_gang, *RULES_OF_PLACEMENT)

RULES_OF_CREATION = (
    bad_job_name,
    no_tasks,
    *RULES_OF_TASKS,
    *_UPDATE,
    *RULES_OF_POLICIES,
    unknown_plugin,
    mpi_without_master,
    job_volume_path,
    job_volume_claim,
    *POD_RULES,
)
