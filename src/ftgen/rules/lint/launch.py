"""How containers start their processes, and what becomes of a pod whose processes have ended.

Sources: the pytorch plugin of Volcano (pkg/controllers/job/plugins/distributed-framework/pytorch: RANK and WORLD_SIZE
count pods), torchrun's and accelerate's options, Kubernetes' default of restartPolicy, Volcano's job states (a job is
over when its pods have ended, or when a policy says so).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.rules import LINT
from ftgen.rules.lint.cards import literal_variables, pod_count
from ftgen.rules.lint.devices import accelerators, counts_cards, vendors_of, whole_number
from ftgen.rules.lint.shell import TRAINING_COMMAND, find_all, has_match, shell_text
from ftgen.rules.policies import events, policy_lists
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job, Task, text

_PROCESSES = re.compile(
    r"--nproc[-_]per[-_]node[= \t]+['\"]?([0-9]+)\b|\bdeepspeed\b[^\n;|&]{0,200}?--num_gpus[= \t]+['\"]?([0-9]+)\b"
)


def _counted(code: str) -> tuple[Any, ...]:
    """Return the numbers of processes that a script gives; most scripts give none, which costs less to see first."""
    return find_all(_PROCESSES, code) if "nproc" in code or "num_gpus" in code else ()


_PLAIN = re.compile(r"(?:^|[\n;&|])[ \t]*(?:exec[ \t]+)?(?:/\S*/)?python[0-9.]*[ \t]+(?!-[mc]\b)[^\n]*\.py\b")
_SPAWNS = re.compile(
    r"torchrun|torch\.distributed|accelerate|deepspeed|llamafactory|mpirun|mpiexec|horovodrun|\bray\b|swift"
    r"|spawn|nproc|num[-_](?:gpus|processes|workers|nodes)|gpus|devices|world[-_]?size|&[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ENDLESS = re.compile(
    r"\bsleep\b|\btail[ \t]+-[a-zA-Z]*[fF]|\bsshd\b|\bwhile\b|\bwait\b|\bserve|server|\bray[ \t]+start|daemon"
    r"|jupyter|notebook|tensorboard|uvicorn|gunicorn|nginx|httpd|vllm|--port\b|\bps\b",
    re.IGNORECASE,
)


@rule("FT391", "processes-unlike-cards", Severity.WARNING, on=LINT)
def unlike_cards(job: Job) -> Iterator[Finding]:
    """A pod starts more processes than it has cards, or one process for several, or waits for more nodes than pods.

    A process that finds no card of its own number ends at once. The other way round cards lie idle: the pytorch plugin
    sets RANK and WORLD_SIZE for pods, not for cards, and starts nothing.

    Refused: `torchrun --nproc_per_node=8` with 4 cards; `python train.py` with the pytorch plugin and 8 cards.
    Write: as many processes as cards: `torchrun --nnodes=$WORLD_SIZE --node_rank=$RANK --nproc_per_node=8`.
    """
    for container in (c for pod in job.pods for c in pod.main_containers):
        yield from _lonely(job, container)
        cards = _cards(container)
        if not cards:
            continue
        started, path, value = _started(container)
        if started > cards:
            said = f"{started} processes for {cards} cards: the processes without a card end at once"
            yield Finding(said, path, value, f"start {cards} processes, or ask for {started} cards", Severity.ERROR)
        elif 0 < started < cards:
            said = f"{started} processes for {cards} cards: {cards - started} cards lie idle"
            yield Finding(said, path, value, f"start {cards} processes, or ask for {started} cards")
        elif not started and cards > 1 and "pytorch" in job.plugins and _is_single(container):
            said = f"one process for {cards} cards: the pytorch plugin counts pods and starts nothing"
            help_ = f"start torchrun --nnodes=$WORLD_SIZE --node_rank=$RANK --nproc_per_node={cards}"
            yield Finding(said, shell_text(container).path, cards, help_)


def _lonely(job: Job, container: Container) -> Iterator[Finding]:
    """A launcher that waits for more nodes than the job has pods."""
    script, there = shell_text(container), pod_count(job)
    for number in find_all(_NODES, script.code):
        if int(number) > there:
            said = f"the launcher waits for {number} nodes, and the job has {there} pods"
            yield Finding(said, script.path, number, f"write {there}, or raise replicas", Severity.ERROR)


_NODES = re.compile(r"--nnodes[= \t]+['\"]?([0-9]{1,6})\b(?!:)")


def _cards(container: Container) -> int:
    return sum(whole_number(value) for name, (_, value) in accelerators(container).items() if counts_cards(name))


def _started(container: Container) -> tuple[int, str, str]:
    """How many processes a container starts on purpose, where that is said and what; 0 where nothing says it."""
    script = shell_text(container)
    said = [int(number[:9]) for groups in _counted(script.code) for number in groups if number]
    if said:
        return max(said), script.path, str(max(said))
    value, path = literal_variables(container).get("NPROC_PER_NODE", ("", ""))
    number = int(value[:9]) if value.isascii() and value.isdigit() else 0
    return number, f"{path}.value", value


def _is_single(container: Container) -> bool:
    """Whether a container runs one program of Python, as far as the manifest says."""
    script = shell_text(container)
    words = "\n".join((script.code, *literal_variables(container)))
    return has_match(_PLAIN, script.code) and not has_match(_SPAWNS, words)


@rule("FT392", "restarted-when-done", Severity.WARNING, on=LINT)
def restarted_when_done(job: Job) -> Iterator[Finding]:
    """A pod starts again when it has done its work, so that the job never ends.

    In a pod template restartPolicy is Always where nothing is said, and Volcano does not change that. Such a pod never
    succeeds: TaskCompleted does not happen, and a finished training begins anew. The job ends only by a policy on
    another task's completion. It is an error where the command is a training.

    Refused: `command: [torchrun, train.py]` without restartPolicy.
    Write: `restartPolicy: Never`, or OnFailure.
    """
    if _is_completed_by_another(job):
        return
    for task, own in zip(job.tasks, list(policy_lists(job))[1:], strict=True) if pod_count(job) else ():
        scripts = [shell_text(c) for c in task.pod.main_containers]
        given = text(task.pod.spec.get("restartPolicy"))
        if given not in {"", "Always"} or not scripts or not all(s.known for s in scripts):
            continue
        awaited = any(_completes(policy) for _, policy in own)
        trains = any(has_match(TRAINING_COMMAND, s.code) for s in scripts) and not any(
            has_match(_FOREVER, s.code) for s in scripts
        )
        ends = not any(has_match(_ENDLESS, s.code) for s in scripts)
        if trains or awaited or (ends and not given and vendors_of(task.pod)):
            said = f"the pods of {task.name!r} start again when they are done: restartPolicy is Always"
            said += "" if given else " where nothing is said"
            path = f"{task.pod.spec_path}.restartPolicy"
            yield Finding(said, path, given, "set restartPolicy: Never", Severity.ERROR if trains else None)


# What keeps a container up whatever else its script does.
_FOREVER = re.compile(
    r"\bsleep[ \t]+(?:inf|[0-9]{4,}|[0-9.]+[hd])|\btail[ \t]+-[a-zA-Z]*[fF]\b|\bsshd[ \t]+-D"
    r"|\bwhile[ \t]+(?:true|:|\[?[ \t]*1)"
)


def _is_completed_by_another(job: Job) -> bool:
    """Whether a policy ends the job when some task completes whose pods do end."""
    lists = list(policy_lists(job))
    return (any(_completes(policy) for _, policy in lists[0]) and any(map(_ends, job.tasks))) or any(
        _ends(task) and any(_completes(policy) for _, policy in group)
        for task, group in zip(job.tasks, lists[1:], strict=True)
    )


def _completes(policy: dict[str, object]) -> bool:
    ends = text(policy.get("action")) in {"CompleteJob", "TerminateJob", "AbortJob"}
    return ends and bool({"*", "TaskCompleted"} & set(events(policy)))


def _ends(task: Task) -> bool:
    return text(task.pod.spec.get("restartPolicy")) in {"Never", "OnFailure"}
