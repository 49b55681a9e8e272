"""What the pods of a distributed training need of each other, and of the job around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftgen.diagnostics import Severity
from ftgen.rules import Finding
from ftgen.rules.job import Job, Task, child, count, entries, mapping, number, strings, text
from ftgen.rules.lint.around import Around, lint
from ftgen.rules.lint.cards import pods_in_all
from ftgen.rules.lint.devices import cards
from ftgen.rules.lint.shell import found, shell_text

_FRAMEWORKS = frozenset(("pytorch", "tensorflow", "mpi", "ray"))
_PUBLISHED = re.compile(r"\bVC_([A-Z0-9_]+?)_(HOSTS|NUM)\b")
_KUEUE = "kueue.x-k8s.io/queue-name"


@lint("FT455", "partial-gang")
def partial_gang(job: Job, _: Around) -> Iterator[Finding]:
    """A distributed job may start with fewer pods than it has.

    The pods that were placed wait in a collective for those that were not, and hold their cards meanwhile.

    Refused: `replicas: 2` with `minAvailable: 1`.
    Write: `minAvailable: 2`.
    """
    total = pods_in_all(job)
    wanted = number(job.spec.get("minAvailable"))
    waiting = any(strings(mapping(task.body.get("dependsOn")).get("name")) for task in job.tasks)
    if 0 < wanted < total and not waiting:
        said = f"a partial gang: {wanted} of {total} pods may start alone"
        yield Finding(said, "spec.minAvailable", wanted, f"set spec.minAvailable to {total}")


@lint("FT456", "ranks-without-names")
def ranks_without_names(job: Job, _: Around) -> Iterator[Finding]:
    """Several pods train together, but nothing tells them who the others are.

    The svc plugin makes their host names and VC_<TASK>_HOSTS, the env plugin their index; pytorch, mpi,
    tensorflow and ray bring their own.

    Refused: `replicas: 2` without plugins.
    Write: `plugins: {env: [], svc: []}`.
    """
    if pods_in_all(job) < 2 or _FRAMEWORKS & job.plugins.keys():  # noqa: PLR2004 - more than one
        return
    missing = [name for name in ("env", "svc") if name not in job.plugins]
    if missing:
        said = f"{pods_in_all(job)} pods cannot find each other without the plugin {' and '.join(missing)}"
        yield Finding(said, "spec.plugins", "", f"add {', '.join(f'{name}: []' for name in missing)} to spec.plugins")


@lint("FT457", "hosts-of-another-task", Severity.WARNING)
def hosts_of_another_task(job: Job, _: Around) -> Iterator[Finding]:
    """A script reads the host names of a task that the job does not have.

    The svc plugin publishes VC_<TASK>_HOSTS and VC_<TASK>_NUM with the task's name in capitals; any other variable
    is empty, and a script that takes empty for "one node" trains alone in every pod.

    Refused: `${VC_WORKER_HOSTS}` in a job whose task is `train`.
    Write: `${VC_TRAIN_HOSTS}`.
    """
    known = {task.name.replace("-", "_").upper() for task in job.tasks}
    for task in job.tasks:
        for container in task.pod.containers:
            for owner, what in found(_PUBLISHED, shell_text(container).code):
                if owner not in known:
                    said = f"the script reads VC_{owner}_{what}; Volcano publishes {_list(known, what)}"
                    severity = Severity.ERROR if pods_in_all(job) > 1 else None
                    path = shell_text(container).path
                    yield Finding(said, path, f"VC_{owner}_{what}", f"read {_list(known, what)}", severity)


def _list(tasks: set[str], what: str) -> str:
    return " and ".join(f"VC_{task}_{what}" for task in sorted(tasks)) or "nothing"


@lint("FT458", "whole-nodes-on-one-node", Severity.WARNING)
def whole_nodes(job: Job, around: Around) -> Iterator[Finding]:
    """Pods that each fill a node are not kept apart.

    The scheduler finds out by itself where the cards of two pods do not fit one node; an anti-affinity says it, and
    holds where a card is shared or a count is wrong.

    Refused: two replicas of 8 cards on nodes of 8 without podAntiAffinity.
    Write: a podAntiAffinity over kubernetes.io/hostname.
    """
    for task in job.tasks if pods_in_all(job) > 1 else ():
        wanted = cards(task.pod)
        if wanted and not keeps_apart(task) and wanted == around.cards_per_node():
            said = f"each pod of {task.name!r} fills a node, but nothing keeps them apart"
            help_ = "add a podAntiAffinity over kubernetes.io/hostname"
            yield Finding(said, f"{task.pod.spec_path}.affinity", "", help_)


def keeps_apart(task: Task, *, required: bool = False) -> bool:
    """Whether a task's pods avoid each other's nodes; `required`: never share one."""
    rules = mapping(mapping(task.pod.spec.get("affinity")).get("podAntiAffinity"))
    terms = [term for _, term in entries(rules.get("requiredDuringSchedulingIgnoredDuringExecution"))]
    if not required:
        preferred = entries(rules.get("preferredDuringSchedulingIgnoredDuringExecution"))
        terms += [mapping(term.get("podAffinityTerm")) for _, term in preferred]
    return any(term.get("topologyKey") == "kubernetes.io/hostname" for term in terms)


@lint("FT459", "left-to-admission", Severity.WARNING)
def left_to_admission(job: Job, _: Around) -> Iterator[Finding]:
    """A field is left to Volcano's mutating webhook, so that a second apply differs.

    The webhook fills tasks in on creation only, and its counterpart refuses any difference on update: applying the
    same file again is refused.

    Refused: a task without `minAvailable` or `maxRetry`, a job without `schedulerName`.
    Write: the values that the webhook would: replicas, 3, volcano.
    """
    if not text(job.spec.get("schedulerName")):
        yield Finding("the scheduler is left to admission", "spec.schedulerName", "", "set schedulerName: volcano")
    if not text(job.spec.get("queue")):
        said = "the job goes to the queue default"
        yield Finding(said, "spec.queue", "", "set queue: default, or another", Severity.NOTE)
    for task in job.tasks:
        for field, value in _filled_in(task).items():
            said = f"admission fills in {field} of task {task.name!r}: applying the same file again is refused"
            yield Finding(said, f"{task.path}.{field}", "", f"set {field}: {value}")


def _filled_in(task: Task) -> dict[str, object]:
    """What the webhook would write into a task, by its path there."""
    missing: dict[str, object] = {}
    if not task.name:
        missing["name"] = f"default{task.index}"
    if count(task.body.get("minAvailable")) is None:
        missing["minAvailable"] = task.replicas
    if not number(task.body.get("maxRetry")):
        missing["maxRetry"] = 3
    if task.pod.spec.get("hostNetwork") is True and not text(task.pod.spec.get("dnsPolicy")):
        missing["template.spec.dnsPolicy"] = "ClusterFirstWithHostNet"
    return missing


@lint("FT460", "init-container-without-the-job-volume")
def job_volume_in_init(job: Job, _: Around) -> Iterator[Finding]:
    """An init container uses a path that only a job volume provides.

    Volcano mounts `spec.volumes` into main containers and never into init containers; what an init container
    writes there is lost with its own file system.

    Refused: `cd /mnt/workspace` in an init container, with `spec.volumes[0].mountPath: /mnt/workspace`.
    Write: a volume of the pod template, mounted in both.
    """
    paths = [text(volume.get("mountPath")).rstrip("/") for _, volume in job.volumes]
    for container in (c for pod in job.pods for c in pod.init_containers):
        mounted = {text(mount.get("mountPath")).rstrip("/") for _, mount in container.mounts}
        used = shell_text(container)
        values = "\n".join(text(variable.get("value")) for _, variable in container.env)
        for path in (p for p in paths if p and p not in mounted):
            if re.search(rf"{re.escape(path)}(?![\w.-])", f"{used.code}\n{values}"):
                said = f"{path} is a job volume, which never reaches the init container {container.name!r}"
                yield Finding(said, used.path, path, "mount a volume of the pod template there")


@lint("FT461", "two-queueing-systems", Severity.WARNING)
def two_queues(job: Job, _: Around) -> Iterator[Finding]:
    """Kueue and Volcano are both asked to queue the job.

    Each waits for its own quota; the job starts when both agree, or never.

    Refused: the label `kueue.x-k8s.io/queue-name` with `spec.queue: research`.
    Write: one of them.
    """
    labels = mapping(mapping(job.manifest.get("metadata")).get("labels"))
    if _KUEUE in labels and text(job.spec.get("queue")) not in {"", "default"}:
        said = "Kueue's queue and Volcano's both hold the job"
        yield Finding(said, child("metadata.labels", _KUEUE), labels[_KUEUE], "remove the label or spec.queue")
