"""Rules over the processes that containers start, and over pods whose processes have ended.

Sources: the pytorch plugin of Volcano (pkg/controllers/job/plugins/distributed-framework/pytorch: RANK and WORLD_SIZE
count pods), torchrun's and accelerate's options, Kubernetes' default of restartPolicy, Volcano's job states (a job is
over when its pods have ended, or when a policy says so).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.emulation.devices import counts_cards
from ftgen.text.shapes import optional_integer, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules import LINT
from ftgen.validation.rules.lint.cards import literal_variables, pod_count
from ftgen.validation.rules.lint.devices import accelerators, vendors_of, whole_number
from ftgen.validation.rules.lint.shell import TRAINING_COMMAND, find_all, has_match, shell_text
from ftgen.validation.rules.policies import events, policy_lists

_PROCESSES = re.compile(
    r"--nproc[-_]per[-_]node[= \t]+['\"]?([0-9]+)\b|\bdeepspeed\b[^\n;|&]{0,200}?--num_gpus[= \t]+['\"]?([0-9]+)\b"
)


def _process_counts(code: str) -> tuple[Any, ...]:
    """Return the numbers of processes that a script gives; the test before the search is cheap and mostly fails."""
    return find_all(_PROCESSES, code) if "nproc" in code or "num_gpus" in code else ()


_PLAIN_PYTHON = re.compile(
    r"(?:^|[\n;&|])[ \t]*(?:exec[ \t]+)?(?:/\S{0,300}/)?python[0-9.]*[ \t]+(?!-[mc]\b)[^\n]{0,300}\.py\b"
)
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
        yield from _too_many_nodes(job, container)
        cards = _card_count(container)
        if not cards:
            continue
        processes, path, value = _processes(container)
        if processes > cards:
            headline = f"{processes} processes for {cards} cards: the processes without a card end at once"
            yield Finding(
                headline, path, value, f"start {cards} processes, or ask for {processes} cards", Severity.ERROR
            )
        elif 0 < processes < cards:
            headline = f"{processes} processes for {cards} cards: {cards - processes} cards lie idle"
            yield Finding(headline, path, value, f"start {cards} processes, or ask for {processes} cards")
        elif not processes and cards > 1 and "pytorch" in job.plugins and _is_single(container):
            headline = f"one process for {cards} cards: the pytorch plugin counts pods and starts nothing"
            help_ = f"start torchrun --nnodes=$WORLD_SIZE --node_rank=$RANK --nproc_per_node={cards}"
            yield Finding(headline, shell_text(container).path, cards, help_)


def _too_many_nodes(job: Job, container: Container) -> Iterator[Finding]:
    """Find a launcher that waits for more nodes than the job has pods."""
    script, pods = shell_text(container), pod_count(job)
    for number in find_all(_NODES, script.code):
        if int(number) > pods:
            headline = f"the launcher waits for {number} nodes, and the job has {pods} pods"
            yield Finding(headline, script.path, number, f"write {pods}, or raise replicas", Severity.ERROR)


_NODES = re.compile(r"--nnodes[= \t]+['\"]?([0-9]{1,6})\b(?!:)")


def _card_count(container: Container) -> int:
    return sum(whole_number(value) for name, (_, value) in accelerators(container).items() if counts_cards(name))


def _processes(container: Container) -> tuple[int, str, str]:
    """Return the number of processes that a container sets, with its path and text; 0 where it sets none."""
    script = shell_text(container)
    counts = [int(number[:9]) for groups in _process_counts(script.code) for number in groups if number]
    if counts:
        return max(counts), script.path, str(max(counts))
    value, path = literal_variables(container).get("NPROC_PER_NODE", ("", ""))
    number = int(value[:9]) if value.isascii() and value.isdigit() else 0
    return number, f"{path}.value", value


def _is_single(container: Container) -> bool:
    """Return whether a container runs a single Python program, as far as the manifest shows."""
    script = shell_text(container)
    words = "\n".join((script.code, *literal_variables(container)))
    return has_match(_PLAIN_PYTHON, script.code) and not has_match(_SPAWNS, words)


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
    for task, task_policies in zip(job.tasks, list(policy_lists(job))[1:], strict=True) if pod_count(job) else ():
        scripts = [shell_text(c) for c in task.pod.main_containers]
        restart_policy = text(task.pod.spec.get("restartPolicy"))
        if restart_policy not in {"", "Always"} or not scripts or not all(s.known for s in scripts):
            continue
        awaited = any(_completes(policy) for _, policy in task_policies)
        trains = any(has_match(TRAINING_COMMAND, s.code) for s in scripts) and not any(
            has_match(_FOREVER, s.code) for s in scripts
        )
        ends = not any(has_match(_ENDLESS, s.code) for s in scripts)
        if trains or awaited or (ends and not restart_policy and vendors_of(task.pod)):
            headline = f"the pods of {task.name!r} start again when they are done: restartPolicy is Always"
            headline += "" if restart_policy else " where nothing is said"
            path = f"{task.pod.spec_path}.restartPolicy"
            yield Finding(
                headline, path, restart_policy, "set restartPolicy: Never", Severity.ERROR if trains else None
            )


@rule("FT394", "eviction-ends-the-job", Severity.WARNING, on=LINT)
def eviction_ends_the_job(job: Job) -> Iterator[Finding]:
    """A drained or preempted pod ends the job, though a policy would start it again.

    The containers of an evicted pod get SIGTERM and fail, mostly with exit code 143, before the pod is gone. So Volcano
    sees PodFailed first and takes the first policy that matches it (updatePod in job_controller_handler.go,
    applyPolicies in job_controller_util.go); PodEvicted comes to a job that has ended. Without any policy for it, a
    failed pod ends a job that has no other.

    Refused: `{event: PodEvicted, action: RestartJob}` with `{event: PodFailed, action: TerminateJob}`, or alone in a
    job of one pod.
    Write: `{exitCode: 143, action: RestartJob}` before the others, or RestartJob for PodFailed with a small maxRetry.
    """
    of_job, *of_tasks = policy_lists(job)
    for of_task in of_tasks:
        policies = [*of_task, *of_job]
        restarts = [path for path, policy in policies if "PodEvicted" in events(policy) and _restarts(policy)]
        failure = next(((path, policy) for path, policy in policies if _matches_terminated(policy)), None)
        if not restarts or (failure and _restarts(failure[1])) or (failure is None and pod_count(job) != 1):
            continue
        headline = "an evicted pod fails with 143 first, which ends the job: it is not started again"
        help_ = "put {exitCode: 143, action: RestartJob} before the other policies"
        yield Finding(headline, failure[0] if failure else restarts[0], help=help_)
        return


_TERMINATED = 143


def _matches_terminated(policy: dict[str, Any]) -> bool:
    """Return whether a policy is for a pod that failed after SIGTERM."""
    return bool({"PodFailed", "*"} & {*events(policy)}) or optional_integer(policy.get("exitCode")) == _TERMINATED


def _restarts(policy: dict[str, Any]) -> bool:
    return text(policy.get("action")).startswith("Restart")


# Commands that keep a container up whatever else its script does.
_FOREVER = re.compile(
    r"\bsleep[ \t]+(?:inf|[0-9]{4,}|[0-9.]+[hd])|\btail[ \t]+-[a-zA-Z]*[fF]\b|\bsshd[ \t]+-D"
    r"|\bwhile[ \t]+(?:true|:|\[?[ \t]*1)"
)


def _is_completed_by_another(job: Job) -> bool:
    """Return whether a policy ends the job when a task completes whose pods end."""
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
