"""Names that pass admission and that no pod can have.

The job's and tasks' names end up in pod names, host names, labels, a Service and volumes, each with its own
limit; the controller hits them after the job was admitted, retries and ends the job as Terminated.
"""

from __future__ import annotations

from collections.abc import Iterator

from ftgen import schema
from ftgen.emulation import controller
from ftgen.text.shapes import text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import AGREEMENT
from ftgen.validation.rules.defaults import with_needed_plugins

_LONGEST_LABEL = 63
_PLUGIN_LIMITS = (("svc", 59, "a volume"), ("ssh", 59, "a volume"), ("ray", 54, "a Service"))


@rule("FT410", "long-hostname", on=AGREEMENT)
def long_hostname(job: Job) -> Iterator[Finding]:
    """A pod's name `<job>-<task>-<replica index>` is longer than 63 characters.

    Volcano's webhook counts the task's position, not the replica's index, so ten and more replicas add
    digits that it did not count. With the svc plugin the name is a host name and pods are refused when they are
    created; without it the host name is cut and no longer tells the replicas apart.

    Refused: a job name of 56 characters with a task `train` of 11 replicas.
    Write: a name of 55 or less.
    """
    for task in job.tasks:
        length = len(controller.pod_name(job.name, task.name, max(task.replicas - 1, 0)))
        if length > _LONGEST_LABEL:
            yield Finding(
                f"the pods of task {task.name!r} get names of {length} characters; 63 are allowed",
                job.name_path,
                job.name,
                f"shorten the name by {length - _LONGEST_LABEL}",
            )


@rule("FT411", "unusable-service-name", on=AGREEMENT)
def unusable_service_name(job: Job, context: Context) -> Iterator[Finding]:
    """With the svc plugin the job's name begins with a letter and has no dot.

    The plugin, which pytorch, mpi, tensorflow and ray bring along, creates a Service named like the job, and uses the
    name as a subdomain. Clusters before Kubernetes 1.36 want a letter in front. The job is admitted and stays Pending.

    Refused: `metadata.name: 7b-lora` or `qwen2.5-lora` with `plugins: {svc: []}`.
    Write: `x-7b-lora`, `qwen2-5-lora`.
    """
    problem = "has a dot" if "." in job.name else "begins with a digit" if job.name[:1].isdecimal() else ""
    if not problem or "svc" not in with_needed_plugins(job.plugins, job.version):
        return
    if "." in job.name or not takes_digits(context.kubernetes_version):
        yield Finding(
            f"the job name {job.name!r} {problem}, so the svc plugin cannot name a Service after it",
            job.name_path,
            job.name,
            "begin with a letter and use dashes",
        )


def takes_digits(release: str) -> bool:
    """Return whether a stated release lets a Service's name begin with a digit (RelaxedServiceNameValidation)."""
    lines = schema.KUBERNETES
    return bool(release) and lines.index(schema.kubernetes_release(release)) >= lines.index("1.36")


@rule("FT413", "long-plugin-names", on=AGREEMENT)
def long_plugin_names(job: Job) -> Iterator[Finding]:
    """A plugin adds a suffix for which the job's name leaves no room.

    svc and ssh add volumes `<job>-svc` and `<job>-ssh`, ray a Service `<job>-head-svc`; all are DNS labels
    of 63 characters without dots.

    Refused: a job name of 60 characters with `plugins: {ssh: []}`.
    Write: 59 or less.
    """
    added = with_needed_plugins(job.plugins, job.version) if job.plugins else {}
    for plugin, limit, what in _PLUGIN_LIMITS:
        dotted = "." in job.name and plugin != "svc"
        if plugin in added and (len(job.name) > limit or dotted):
            problem = "has a dot" if dotted else f"has {len(job.name)} characters"
            yield Finding(
                f"the {plugin} plugin names {what} after the job, whose name {problem}; {limit} are allowed",
                job.name_path,
                job.name,
                f"use at most {limit} characters and no dot",
            )


@rule("FT414", "long-queue-name", on=AGREEMENT, cel="object.?spec.?queue.orValue('').size() <= 63")
def long_queue_name(job: Job) -> Iterator[Finding]:
    """The queue's name is longer than the label it becomes.

    A queue may have a name of 253 characters; the controller labels every pod with it (volcano.sh/queue-name)
    and labels have 63.

    Refused: a queue name of 70 characters.
    Write: a queue with a shorter name.
    """
    queue = text(job.spec.get("queue"))
    if len(queue) > _LONGEST_LABEL:
        yield Finding(f"the queue's name has {len(queue)} characters; its label has 63", "spec.queue", queue)
