"""Rules over the processes that containers start, and over pods whose processes have ended.

Sources: the pytorch plugin of Volcano (pkg/controllers/job/plugins/distributed-framework/pytorch: RANK and WORLD_SIZE
count pods), torchrun's and accelerate's options, Kubernetes' default of restartPolicy, Volcano's job states (a job is
over when its pods have ended, or when a policy says so).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.emulation.devices import counts_cards
from ftgen.text.paths import child
from ftgen.text.shapes import optional_integer, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules import LINT
from ftgen.validation.rules.lint.cards import literal_variables, pod_count
from ftgen.validation.rules.lint.devices import accelerators, vendors_of, whole_number
from ftgen.validation.rules.lint.shell import TRAINING_COMMAND, find_all, has_match, shell_text, shell_texts
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
    sets RANK and WORLD_SIZE for pods, not for cards, and starts nothing; ftgen's train.sh starts one process where
    NPROC_PER_NODE is not set. Of what a script starts in some cases only, the number that fits best counts.

    Refused: `torchrun --nproc_per_node=8` with 4 cards; `python train.py` with the pytorch plugin and 8 cards; 4 cards
    by an overlay with `hardware.devices=1`.
    Write: as many processes as cards: `torchrun --nnodes=$WORLD_SIZE --node_rank=$RANK --nproc_per_node=8`.
    """
    for container in (c for pod in job.pods for c in pod.main_containers):
        yield from _too_many_nodes(job, container)
        cards = _card_count(container)
        if not cards:
            continue
        processes, path, value = _processes(container, cards)
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
        elif not processes and cards > 1 and _is_one_by_default(container):
            headline = f"one process for {cards} cards: train.sh starts one where NPROC_PER_NODE is not set"
            yield Finding(headline, _path_of_cards(container), cards, f"write hardware.devices={cards}, which sets it")


def _too_many_nodes(job: Job, container: Container) -> Iterator[Finding]:
    """Find a launcher that waits for more nodes than the job has pods."""
    pods = pod_count(job)
    for script in shell_texts(container):
        numbers = [int(number) for number in find_all(_NODES, script.code)]
        for number in numbers:
            if number > pods and (min(numbers) > pods or str(number) in find_all(_NODES, _certain(script.code))):
                headline = f"the launcher waits for {number} nodes, and the job has {pods} pods"
                yield Finding(headline, script.path, number, f"write {pods}, or raise replicas", Severity.ERROR)


_NODES = re.compile(r"--nnodes[= \t]+['\"]?([0-9]{1,6})\b(?!:)")


def _card_count(container: Container) -> int:
    return sum(whole_number(value) for name, (_, value) in accelerators(container).items() if counts_cards(name))


def _path_of_cards(container: Container) -> str:
    name, field = next((name, field) for name, (field, _) in accelerators(container).items() if counts_cards(name))
    return child(f"{container.path}.resources.{field}", name)


def _processes(container: Container, cards: int) -> tuple[int, str, str]:
    """Return the number of processes that a container sets, with its path and text; 0 where it sets none."""
    for script in shell_texts(container):
        if counts := _numbers(script.code):
            number = _likely(counts, _numbers(_certain(script.code)), cards) if len(counts) > 1 else counts[0]
            return number, script.path, str(number)
    value, path = literal_variables(container).get("NPROC_PER_NODE", ("", ""))
    number = int(value[:9]) if value.isascii() and value.isdigit() else 0
    return number, f"{path}.value", value


def _numbers(code: str) -> list[int]:
    return [int(number[:9]) for groups in _process_counts(code) for number in groups if number]


def _likely(counts: list[int], certain: list[int], cards: int) -> int:
    """Return the number of processes that a script starts, of several: what it starts in any case, else what fits."""
    if max(certain, default=0) > cards or len(certain) == len(counts):
        return max(certain)
    return max((count for count in counts if count <= cards), default=min(counts))


# Words that open and close what a script does in some cases only, and such commands without them.
_BRANCH = re.compile(r"(?<![\w$./-])(if|case|fi|esac)(?![\w-])")
_IN_SOME_CASES = re.compile(r"\|\|[^\n;]*|\][ \t]*&&[^\n;|]*")


@lru_cache(maxsize=64)
def _certain(code: str) -> str:
    """Return a script without what it does in some cases only."""
    kept, depth, end = [], 0, 0
    for word in _BRANCH.finditer(code):
        kept.append("" if depth else code[end : word.start()])
        depth = max(depth + (1 if word[1] in {"if", "case"} else -1), 0)
        end = word.end()
    kept.append("" if depth else code[end:])
    return _IN_SOME_CASES.sub("", "".join(kept))


def _is_one_by_default(container: Container) -> bool:
    """Return whether a container runs ftgen's train.sh without saying a number of processes, as far as it shows."""
    variables = literal_variables(container)
    if "NPROC_PER_NODE" in variables or container.body.get("envFrom"):
        return False
    script, *given = shell_texts(container)
    asks = "TRAIN_CONFIG" in variables or any("NPROC_PER_NODE" in command.code for command in given)
    return asks and (_ONE_PROCESS in script.code or script.raw.endswith("/opt/ftgen/train.sh"))


_ONE_PROCESS = "NPROC_PER_NODE=${NPROC_PER_NODE:-1}"


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
