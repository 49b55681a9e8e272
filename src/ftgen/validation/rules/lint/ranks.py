"""Rules over the pods of a distributed training: gang, host names, placement, job volumes and queues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.emulation import controller
from ftgen.text.paths import child
from ftgen.text.shapes import entries, integer, mapping, optional_integer, strings, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules import LINT
from ftgen.validation.rules.lint.cards import pod_count
from ftgen.validation.rules.lint.devices import card_count, vendors_of
from ftgen.validation.rules.lint.shell import (
    TRAINING_COMMAND,
    Script,
    find_all,
    find_all_in_texts,
    has_match,
    has_match_in_any,
    shell_text,
    shell_texts,
)

FRAMEWORKS = frozenset(("pytorch", "tensorflow", "mpi", "ray"))
_PUBLISHED = re.compile(r"\bVC_([A-Z0-9_]+?)_(HOSTS|NUM)\b")
_READ = re.compile(r"\$[({]?(V[CK]_[A-Z0-9_]+)\b")
_KUEUE = "kueue.x-k8s.io/queue-name"


@rule("FT455", "partial-gang", Severity.WARNING, on=LINT)
def partial_gang(job: Job) -> Iterator[Finding]:
    """A distributed job may start with fewer pods than it has.

    The pods that were placed wait in a collective for those that were not, and hold their cards meanwhile.  Pods
    without cards may well be meant to come and go, so that is only noted.

    Refused: `replicas: 2` with `minAvailable: 1`.
    Write: `minAvailable: 2`.
    """
    total = pod_count(job)
    least = integer(job.spec.get("minAvailable"))
    waiting = any(strings(mapping(task.body.get("dependsOn")).get("name")) for task in job.tasks)
    if 0 < least < total and not waiting:
        headline = f"a partial gang: {least} of {total} pods may start alone"
        severity = None if any(map(vendors_of, job.pods)) else Severity.NOTE
        yield Finding(headline, "spec.minAvailable", least, f"set spec.minAvailable to {total}", severity)


@rule("FT456", "ranks-without-names", on=LINT)
def ranks_without_names(job: Job) -> Iterator[Finding]:
    """Several pods train together, but nothing tells them who the others are.

    The svc plugin makes their host names, VC_<TASK>_HOSTS and the files in /etc/volcano, the env plugin their index;
    pytorch, mpi, tensorflow and ray bring svc and their own.  It is an error where a script reads what no plugin
    makes, and a warning where pods with cards have no names at all.

    Refused: `replicas: 2` and `${VC_TASK_INDEX}` in the script, without plugins.
    Write: `plugins: {env: [], svc: []}`.
    """
    if pod_count(job) < 2:  # noqa: PLR2004 - more than one
        return
    plugins = {*job.plugins, *(("svc",) if FRAMEWORKS & job.plugins.keys() else ())}
    missing = [
        name
        for name, pattern in _PLUGIN_MAKES.items()
        if name not in plugins and any(_reads(pattern, c) for c in job.containers)
    ]
    severity = None
    if not missing and not {"svc", *FRAMEWORKS} & plugins and _is_nameless(job):
        missing, severity = ["svc"], Severity.WARNING
    if missing:
        headline = f"{pod_count(job)} pods cannot find each other without the plugin {' and '.join(missing)}"
        help_ = f"add {', '.join(f'{name}: []' for name in missing)} to spec.plugins"
        yield Finding(headline, "spec.plugins", "", help_, severity)


_PLUGIN_MAKES = {
    "env": re.compile(r"\bV[CK]_TASK_INDEX\b"),
    "svc": re.compile(r"\bVC_[A-Z0-9_]+?_(?:HOSTS|NUM)\b|/etc/volcano\b"),
}
# A script that names its peers itself needs no plugin.
_PEERS = re.compile(r"master|rdzv|hostfile|rank|nnodes|peer", re.IGNORECASE)


def _reads(pattern: re.Pattern[str], container: Container) -> bool:
    """Return whether a container reads variables or files of a plugin, and does not set them itself."""
    values = [text(variable.get("value")) for _, variable in container.env]
    set_here = {text(variable.get("name")) for _, variable in container.env}
    names = find_all_in_texts(pattern, (*(script.raw for script in shell_texts(container)), *values))
    return any(name not in set_here for name in names)


def _is_nameless(job: Job) -> bool:
    """Return whether pods with cards start a training, and neither their variables nor scripts mention peers."""
    containers = [c for pod in job.pods if vendors_of(pod) for c in pod.main_containers]
    texts = ((*(text(v.get("name")) for _, v in c.env), shell_text(c).code) for c in containers)
    starts = any(has_match(TRAINING_COMMAND, shell_text(c).code) for c in containers)
    return starts and not any(has_match_in_any(_PEERS, container_texts) for container_texts in texts)


@rule("FT457", "hosts-of-another-task", Severity.WARNING, on=LINT)
def hosts_of_another_task(job: Job) -> Iterator[Finding]:
    """A script reads the host names of a task that the job does not have.

    The svc plugin publishes VC_<TASK>_HOSTS and VC_<TASK>_NUM with the task's name in capitals; any other variable
    is empty, and a script that takes empty for "one node" trains alone in every pod.  The same names stand in
    /etc/volcano/<task>.host, and each is <job>-<task>-<index>.<job>.  VC_TASK_INDEX is the only other variable with
    VC_ that Volcano sets; in a command, `$(NAME)` of a variable that is not set stays as it is. A script may name
    what takes the place of a variable, or ask whether there is one and read that of a task that the job has.

    Refused: `${VC_WORKER_HOSTS}` in a job whose task is `train`, `$(VC_WORKER_0_SVC)`.
    Write: `${VC_TRAIN_HOSTS}`.
    """
    known = {controller.variable_stem(task.name) for task in job.tasks}
    for task in job.tasks:
        for container in task.pod.containers:
            for script in shell_texts(container):
                yield from _of_another_task(job, script, known)
                yield from _never_set(job, container, script, known)
                yield from _absent_hosts(job, script)


def _of_another_task(job: Job, script: Script, known: set[str]) -> Iterator[Finding]:
    """Find variables of tasks that the job does not have."""
    published = find_all(_PUBLISHED, script.code)
    for owner, suffix in published:
        name = f"VC_{owner}_{suffix}"
        has_another = any(other in known for other, _ in published)
        if owner not in known and not _is_provided_for(name, script.code, has_another=has_another):
            headline = f"the script reads {name}; Volcano publishes {_variables(known, suffix)}"
            severity = Severity.ERROR if pod_count(job) > 1 else None
            yield Finding(headline, script.path, name, f"read {_variables(known, suffix)}", severity)


def _never_set(job: Job, container: Container, script: Script, known: set[str]) -> Iterator[Finding]:
    """Find variables named like Volcano's that neither Volcano nor the container sets."""
    has_another = any(owner in known for owner, _ in find_all(_PUBLISHED, script.code))
    for name in find_all(_READ, script.raw):
        if name in controller.INDEX_VARIABLES or _PUBLISHED.fullmatch(name):
            continue
        is_set = _is_provided_for(name, script.code, has_another=has_another)
        if not is_set and not container.body.get("envFrom") and not _sets(container, name):
            headline = f"nothing sets {name}; Volcano publishes {_variables(known, 'HOSTS')}"
            severity = Severity.ERROR if pod_count(job) > 1 else None
            yield Finding(headline, script.path, name, f"read {_variables(known, 'HOSTS')}", severity)


@lru_cache(maxsize=256)
def _is_provided_for(name: str, code: str, *, has_another: bool) -> bool:
    """Return whether a script sets a variable, or says what holds where there is none.

    A default that is empty, and a test, say it only where the script reads a variable that there is (`has_another`).
    """
    if re.search(_SETS.format(name=name), code):
        return True
    if has_another and re.search(_ASKS.format(name=name), code):
        return True
    reads = len(re.findall(rf"\$\{{?{name}\b", code))
    return 0 < reads == len(re.findall(rf"\$\{{{name}:?[-+](?!\}})", code))


# What gives a variable of the shell a value: an assignment, a loop, and the builtins that take its name.
_SETS = (
    r"\b{name}\+?=(?!=)|\b{name}:=|\b(?:for|select)[ \t]+{name}\b"
    r"|(?<![\w-])(?:read|mapfile|readarray|getopts|local|declare|typeset)\b[^\n;|&]{{0,200}}?[ \t]{name}\b"
    r"|\bprintf[ \t]+-v[ \t]+{name}\b"
)
# What asks whether there is one: an empty default, a test, and the ways of Python.
_ASKS = (
    r"\$\{{{name}:?[-+]"
    r"|(?:\[|\btest\b)[^\n]{{0,200}}?[ \t]-[nzv][ \t]+[\"']?(?:\$\{{?)?{name}\b"
    r"|(?:\bget|\bgetenv)\([ \t]*\\?[\"']{name}\b"
)


def _sets(container: Container, name: str) -> bool:
    return any(text(variable.get("name")) == name for _, variable in container.env)


def _absent_hosts(job: Job, script: Script) -> Iterator[Finding]:
    """Find host files that the svc plugin does not write, and host names of pods that the job does not have."""
    replicas = {task.name: task.replicas for task in job.tasks}
    for name in find_all(_HOSTS_FILE, script.code) if _has_svc(job) else ():
        if name not in replicas:
            files = ", ".join(f"/etc/volcano/{task}.host" for task in sorted(replicas))
            headline = f"there is no /etc/volcano/{name}.host"
            yield Finding(headline, script.path, name, f"read {files}", Severity.ERROR)
    for name, task, index in find_all(_POD, script.code):
        if name == job.name and int(index) >= replicas.get(task, 0) and not _has_own_host_names(job):
            host = f"{controller.pod_name(name, task, int(index))}.{name}"
            headline = f"the job has no pod {host.partition('.')[0]}, so nothing has the name {host}"
            pods = ", ".join(f"{controller.pod_name(job.name, name, 0)}.{job.name}" for name in sorted(replicas))
            yield Finding(headline, script.path, host, f"name a pod that there is, such as {pods}", Severity.ERROR)


_HOSTS_FILE = re.compile(r"/etc/volcano/([a-z0-9-]+)\.host\b")

_POD = re.compile(r"(?<![\w.-])([a-z0-9.-]{1,63})-([a-z0-9-]{1,63})-([0-9]{1,9})\.\1\b")
"""Name of a pod that the svc plugin puts into DNS, of whatever job; the groups are job, task and index."""


def _has_svc(job: Job) -> bool:
    return bool({"svc", *FRAMEWORKS} & job.plugins.keys())


def _has_own_host_names(job: Job) -> bool:
    """Return whether pods set their own host name, or the API server makes the job's name."""
    return not job.name or any(pod.spec.get("hostname") or pod.spec.get("subdomain") for pod in job.pods)


def _variables(tasks: set[str], suffix: str) -> str:
    return " and ".join(f"VC_{task}_{suffix}" for task in sorted(tasks)) or "nothing"


@rule("FT458", "whole-nodes-on-one-node", Severity.WARNING, on=LINT)
def whole_nodes(job: Job, context: Context) -> Iterator[Finding]:
    """Pods that each fill a node are not kept apart.

    The scheduler finds out by itself where the cards of two pods do not fit one node; an anti-affinity states it, and
    also holds where a card is shared or a count is wrong.

    Refused: two replicas of 8 cards on nodes of 8 without podAntiAffinity.
    Write: a podAntiAffinity over kubernetes.io/hostname.
    """
    for task in job.tasks if pod_count(job) > 1 else ():
        cards = card_count(task.pod)
        if cards and not keeps_apart(job, task) and cards == context.cards_per_node():
            headline = f"each pod of {task.name!r} fills a node, but nothing keeps them apart"
            help_ = "add a podAntiAffinity over kubernetes.io/hostname that selects the job's own pods"
            yield Finding(headline, f"{task.pod.spec_path}.affinity", "", help_)


def keeps_apart(job: Job, task: Task, *, required: bool = False) -> bool:
    """Return whether a task's pods avoid each other's nodes; `required`: whether they must."""
    return any(selects(term, job, task) for term in _avoidance_terms(task, required=required))


def _avoidance_terms(task: Task, *, required: bool) -> list[dict[str, Any]]:
    """Return the anti-affinity terms by which a task's pods avoid nodes; `required`: only those that must hold."""
    rules = mapping(mapping(task.pod.spec.get("affinity")).get("podAntiAffinity"))
    terms = [term for _, term in entries(rules.get("requiredDuringSchedulingIgnoredDuringExecution"))]
    if not required:
        preferred = entries(rules.get("preferredDuringSchedulingIgnoredDuringExecution"))
        terms += [mapping(term.get("podAffinityTerm")) for _, term in preferred]
    return [term for term in terms if term.get("topologyKey") == "kubernetes.io/hostname"]


def selects(term: Mapping[str, Any], job: Job, task: Task) -> bool:
    """Return whether an affinity term selects the task's own pods; without a selector it selects none."""
    selector = term.get("labelSelector")
    namespaces = strings(term.get("namespaces"))
    elsewhere = namespaces and _namespace(job) not in namespaces and not isinstance(term.get("namespaceSelector"), dict)
    if not isinstance(selector, dict) or elsewhere:
        return False
    equal = [(key, [text(value)], "In") for key, value in mapping(selector.get("matchLabels")).items()]
    expressions = [
        (text(e.get("key")), strings(e.get("values")), e.get("operator"))
        for _, e in entries(selector.get("matchExpressions"))
    ]
    return all(_meets(operator, values, _label(key, job, task)) for key, values, operator in (*equal, *expressions))


def _meets(operator: object, values: list[str], label: str | None) -> bool:
    """Return whether a label meets a requirement of a selector (k8s.io/apimachinery, labels.Requirement.Matches)."""
    match operator:
        case "In":
            return label in values
        case "NotIn":
            return label not in values
        case _:
            return (label is not None) == (operator == "Exists")


def _label(key: str, job: Job, task: Task) -> str | None:
    """Return a label of a task's pods; the controller adds some of its own (job_controller_util.go)."""
    if key == _JOB_NAME:
        return job.name
    own = {"volcano.sh/task-spec": task.name, "volcano.sh/job-namespace": _namespace(job)}
    return own[key] if key in own else mapping(task.pod.metadata.get("labels")).get(key)


def _namespace(job: Job) -> str:
    return text(mapping(job.manifest.get("metadata")).get("namespace")) or "default"


@rule("FT393", "apart-from-another-job", Severity.WARNING, on=LINT)
def apart_from_another(job: Job) -> Iterator[Finding]:
    """Pods are kept away from the pods of another job only, not from each other.

    The term names another job by the label volcano.sh/job-name, as copies of a manifest do: the pods of this one may
    share a node.

    Refused: in the job `eight-by-eight`, podAntiAffinity with `volcano.sh/job-name` In `[mindx-dls-test]`.
    Write: the job's own name, or a label that its pods have.
    """
    for task in job.tasks if pod_count(job) > 1 else ():
        others = [
            name for term in _avoidance_terms(task, required=False) for name in _job_names(term) if name != job.name
        ]
        if others and not keeps_apart(job, task):
            headline = f"the pods of {task.name!r} avoid those of the job {others[0]}, not each other"
            path = f"{task.pod.spec_path}.affinity.podAntiAffinity"
            remedy = f"name {job.name}" if job.name_path == "metadata.name" else "select a label of the pods"
            yield Finding(headline, path, others[0], f"{remedy} in the labelSelector, or remove the term")


def _job_names(term: Mapping[str, Any]) -> list[str]:
    selector = mapping(term.get("labelSelector"))
    names = [text(mapping(selector.get("matchLabels")).get(_JOB_NAME))]
    for _, expression in entries(selector.get("matchExpressions")):
        names += (
            strings(expression.get("values"))
            if expression.get("key") == _JOB_NAME and expression.get("operator") == "In"
            else []
        )
    return [name for name in names if name]


_JOB_NAME = "volcano.sh/job-name"


@rule("FT459", "left-to-admission", Severity.WARNING, on=LINT, twins=("FT454",))
def left_to_admission(job: Job) -> Iterator[Finding]:
    """A field is left to Volcano's mutating webhook, so that a second apply differs.

    The webhook fills tasks in on creation only, and its counterpart refuses any difference on update: applying the
    same file again is refused.  It takes 0 and the empty text for absent: `maxRetry: 0` is stored as 3.

    Refused: a task without `minAvailable` or `maxRetry`, a job without `schedulerName`, `maxRetry: 0`.
    Write: the values that the webhook would: replicas, 3, volcano; `maxRetry: 1` for a single attempt.
    """
    if not text(job.spec.get("schedulerName")):
        yield Finding("the scheduler is left to admission", "spec.schedulerName", "", "set schedulerName: volcano")
    if not text(job.spec.get("queue")):
        headline = "the job goes to the queue default"
        severity = Severity.NOTE if job.spec.get("queue") is None else None  # the CRD's default stands for no text
        yield Finding(headline, "spec.queue", "", "set queue: default, or another", severity)
    if optional_integer(job.spec.get("maxRetry")) == 0:
        headline = "admission makes maxRetry 3 of 0: applying the same file again is refused"
        yield Finding(headline, "spec.maxRetry", 0, "set maxRetry: 3, or maxRetry: 1 for no second attempt")
    for task in job.tasks:
        for field, value in _filled_in(task).items():
            headline = f"admission fills in {field} of task {task.name!r}: applying the same file again is refused"
            yield Finding(headline, f"{task.path}.{field}", "", f"set {field}: {value}")


def _filled_in(task: Task) -> dict[str, object]:
    """Return the fields that the webhook would add to a task: path in the task to value."""
    missing: dict[str, object] = {}
    if not task.name:
        missing["name"] = f"default{task.index}"
    if optional_integer(task.body.get("minAvailable")) is None:
        missing["minAvailable"] = task.replicas
    if not integer(task.body.get("maxRetry")):
        missing["maxRetry"] = 3
    if task.pod.spec.get("hostNetwork") is True and not text(task.pod.spec.get("dnsPolicy")):
        missing["template.spec.dnsPolicy"] = "ClusterFirstWithHostNet"
    return missing


@rule("FT460", "init-container-without-the-job-volume", on=LINT)
def job_volume_in_init(job: Job) -> Iterator[Finding]:
    """An init container uses a path that only a job volume provides.

    Volcano mounts `spec.volumes` into main containers and never into init containers; what an init container
    writes there is lost with its own file system.

    Refused: `cd /mnt/workspace` in an init container, with `spec.volumes[0].mountPath: /mnt/workspace`.
    Write: a volume of the pod template, mounted in both.
    """
    paths = [text(volume.get("mountPath")).rstrip("/") for _, volume in job.volumes]
    for container in (c for pod in job.pods for c in pod.init_containers):
        mounted = {text(mount.get("mountPath")).rstrip("/") for _, mount in container.mounts}
        script = shell_text(container)
        used = "\n".join((script.code, *(text(variable.get("value")) for _, variable in container.env)))
        for path in (p for p in paths if p and p not in mounted):
            if _names_path(path, mounted, used):
                headline = f"{path} is a job volume, which never reaches the init container {container.name!r}"
                yield Finding(headline, script.path, path, "mount a volume of the pod template there")


def _names_path(path: str, mounted: set[str], used: str) -> bool:
    """Return whether a text names a path, or one below it that has no mount of its own."""
    below = [mount for mount in mounted if mount.startswith(f"{path}/")]
    named = (each for each in _absolute_paths(used) if re.match(rf"{re.escape(path)}(?![\w.-])", each))
    return any(not any(re.match(rf"{re.escape(mount)}(?![\w.-])", each) for mount in below) for each in named)


def _absolute_paths(used: str) -> Iterator[str]:
    """Yield the paths that stand in a text by themselves: not after a host, a scheme or a variable."""
    for word in find_all(_WORDS, used):
        path = _BEFORE_PATH.sub("", word)
        yield from (each for each in path.split(":") if path.startswith("/") and each.startswith("/"))


_WORDS = re.compile(r"[^\s\"'=,;|&(<>`\[]+")
_BEFORE_PATH = re.compile(r"^(?:file://|-\w|@)(?=/)")


@rule(
    "FT461",
    "two-queueing-systems",
    Severity.WARNING,
    on=LINT,
    cel=f"""\
!('{_KUEUE}' in object.metadata.?labels.orValue({{}}))
|| object.?spec.?queue.orValue('default') in ['', 'default']
""",
)
def two_queues(job: Job) -> Iterator[Finding]:
    """Kueue and Volcano are both asked to queue the job.

    Each waits for its own quota; the job starts when both agree, or never.

    Refused: the label `kueue.x-k8s.io/queue-name` with `spec.queue: research`.
    Write: one of them.
    """
    labels = mapping(mapping(job.manifest.get("metadata")).get("labels"))
    if _KUEUE in labels and text(job.spec.get("queue")) not in {"", "default"}:
        headline = "Kueue's queue and Volcano's both hold the job"
        yield Finding(headline, child("metadata.labels", _KUEUE), labels[_KUEUE], "remove the label or spec.queue")
