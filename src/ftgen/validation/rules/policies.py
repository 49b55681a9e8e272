"""Life-cycle policies as Volcano's job webhook checks them.

It checks `spec.policies` and every task's `policies` by the same rules, each list for itself (validatePolicies
in pkg/webhooks/admission/jobs/validate/util.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftgen.schema.version import Version
from ftgen.text import kube
from ftgen.text.shapes import entries, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import ADMISSION

EVENTS = (
    "*",
    "PodFailed",
    "PodEvicted",
    "PodPending",
    "Unknown",
    "TaskCompleted",
    "TaskFailed",
    "JobUpdated",
)
"""Events that a policy may react to; PodRunning, OutOfSync and CommandIssued are Volcano's own."""

_ACTIONS = (
    "AbortJob",
    "RestartJob",
    "RestartTask",
    "RestartPod",
    "TerminateJob",
    "CompleteJob",
    "ResumeJob",
)

PolicyList = list[tuple[str, dict[str, Any]]]
"""Policies of the job or of one task, each with its path."""


def actions(version: Version) -> tuple[str, ...]:
    """Return the actions that a policy may take; RestartPartition came with 1.14."""
    return (*_ACTIONS, "RestartPartition") if version >= (1, 14, 0) else _ACTIONS


def policy_lists(job: Job) -> Iterator[PolicyList]:
    """Yield the job's policies, then every task's, each as a list of (path, policy)."""
    for path, body in (("spec", job.spec), *((task.path, task.body) for task in job.tasks)):
        yield [(f"{path}.policies[{i}]", policy) for i, policy in entries(body.get("policies"))]


def events(policy: dict[str, Any]) -> list[str]:
    """Return the distinct events that a policy reacts to, `events` before `event`."""
    return [e for e in dict.fromkeys((*strings(policy.get("events")), text(policy.get("event")))) if e]


@rule("FT317", "ambiguous-trigger", on=ADMISSION)
def ambiguous_trigger(job: Job) -> Iterator[Finding]:
    """A policy needs either events or an exit code, and not both.

    Volcano's job webhook refuses a policy that names both, and one that names neither.

    Refused: `{action: RestartJob}` and `{event: PodFailed, exitCode: 137, action: RestartJob}`.
    Write: two policies, one with `event`, one with `exitCode`.
    """
    for path, policy in (each for group in policy_lists(job) for each in group):
        has_code = optional_integer(policy.get("exitCode")) is not None
        if has_code and events(policy):
            yield Finding("the policy names both events and an exit code", path, help="split it into two policies")
        elif not has_code and not events(policy):
            yield Finding(
                "the policy names neither an event nor an exit code",
                path,
                help=f"set {path}.event to PodFailed",
            )


@rule("FT318", "internal-event", on=ADMISSION)
def internal_event(job: Job) -> Iterator[Finding]:
    """A policy reacts to an event that is not for users.

    Volcano's job webhook knows eleven events and lets users react to eight of them; PodRunning, OutOfSync
    and CommandIssued are its own.

    Refused: `{event: PodRunning, action: CompleteJob}`.
    Write: one of `*`, PodFailed, PodEvicted, PodPending, Unknown, TaskCompleted, TaskFailed, JobUpdated.
    """
    for path, policy in (each for group in policy_lists(job) for each in group):
        for event in events(policy):
            if event not in EVENTS:
                yield Finding(
                    f"no policy can react to the event {event!r}",
                    path,
                    event,
                    f"use one of {', '.join(EVENTS)}",
                )


@rule("FT319", "unknown-action", on=ADMISSION)
def unknown_action(job: Job) -> Iterator[Finding]:
    """A policy asks for an action that users cannot ask for.

    Volcano's job webhook checks the action of policies with events (not of those with an exit code) against
    the actions users may take.  RestartPartition exists from 1.14 on.

    Refused: `{event: PodFailed, action: SyncJob}`.
    Write: RestartJob, RestartTask, RestartPod, AbortJob, TerminateJob, CompleteJob or ResumeJob.
    """
    known = actions(job.version)
    for path, policy in (each for group in policy_lists(job) for each in group):
        action = text(policy.get("action"))
        if action not in known and events(policy):
            yield Finding(
                f"{action!r} is no action a policy can take",
                f"{path}.action",
                action,
                f"use one of {', '.join(known)}",
            )


@rule("FT320", "repeated-trigger", on=ADMISSION)
def repeated_trigger(job: Job) -> Iterator[Finding]:
    """Two policies of one list have the same event or the same exit code.

    Only the first could ever act, so Volcano's job webhook refuses the second.  Naming an event twice within
    one policy is fine.

    Refused: `[{event: PodFailed, action: RestartJob}, {event: PodFailed, action: AbortJob}]`.
    Write: one policy per event.
    """
    for group in policy_lists(job):
        seen: set[str | int] = set()
        for path, policy in group:
            code = optional_integer(policy.get("exitCode"))
            triggers: list[str | int] = [*events(policy)] if code is None else [code]
            for trigger in triggers:
                if trigger in seen:
                    yield Finding(f"an earlier policy already acts on {trigger}", path, trigger, f"remove {path}")
            seen.update(triggers)


@rule("FT321", "zero-exit-code", on=ADMISSION)
def zero_exit_code(job: Job) -> Iterator[Finding]:
    """A policy reacts to exit code 0, which is success.

    Volcano's job webhook refuses it; negative codes pass.

    Refused: `{exitCode: 0, action: CompleteJob}`.
    Write: `{event: TaskCompleted, action: CompleteJob}`.
    """
    for path, policy in (each for group in policy_lists(job) for each in group):
        if optional_integer(policy.get("exitCode")) == 0:
            yield Finding(
                "exit code 0 is success and starts no policy",
                f"{path}.exitCode",
                0,
                f"use {path}.event: TaskCompleted",
            )


@rule("FT332", "bad-duration", on=ADMISSION)
def bad_duration(job: Job) -> Iterator[Finding]:
    """A policy's timeout or the job's runningEstimate is no duration that Go reads.

    Volcano's webhooks cannot decode such a job, and refuse it.  A duration is numbers with the units h, m, s and ms,
    without blanks; there are no days.

    Refused: `timeout: 5 minutes`, `runningEstimate: 1d`.
    Write: `timeout: 5m`, `runningEstimate: 24h`.
    """
    places = [("spec.runningEstimate", job.spec.get("runningEstimate"))]
    places += [(f"{path}.timeout", policy.get("timeout")) for group in policy_lists(job) for path, policy in group]
    for path, value in places:
        if isinstance(value, str) and (problem := _duration_problem(value)):
            yield Finding(problem, path, value, "write h, m and s, as in 24h, 1h30m or 90s")


def _duration_problem(value: str) -> str:
    try:
        kube.parse_duration(value)
    except ValueError as error:
        return str(error)
    return ""


@rule("FT322", "any-event-among-others", on=ADMISSION)
def any_event_among_others(job: Job) -> Iterator[Finding]:
    """The event `*` stands beside other events in the same list of policies.

    `*` matches every event, so Volcano's job webhook wants it alone; exit codes may stay beside it.

    Refused: `[{event: "*", action: AbortJob}, {event: PodEvicted, action: RestartJob}]`.
    Write: name the events you mean.
    """
    for group in policy_lists(job):
        named = {event: path for path, policy in group for event in events(policy)}
        if "*" in named and len(named) > 1:
            yield Finding("the event * leaves nothing to other policies", named["*"], "*", "name the events you mean")
