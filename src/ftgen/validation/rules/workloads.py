"""Jobs of Kubernetes' own and Deployments as the API server validates them beside their pods.

Follows validateJobSpec and its neighbours in pkg/apis/batch/validation, and ValidateDeploymentSpec in
pkg/apis/apps/validation, of k8s.io/kubernetes 1.36, without what only more than a hundred thousand completions need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import DEPLOYMENT, KUBERNETES_JOB, Job
from ftgen.validation.rules import WORKLOAD
from ftgen.validation.rules.scheduling import selector_problems

_Problem = tuple[str, str]
"""Path of a field below the checked object, and the message."""

_GENERATED = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
"""Labels by which the API server lets a Job select its pods."""
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)
_OF_INDEXES = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
_MODES = ("NonIndexed", "Indexed")
_MOST_AT_ONCE = 100_000

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_REPLACEMENTS = ("TerminatingOrFailed", "Failed")

_TIMES = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_DEADLINE = 600  # what the API server fills in for progressDeadlineSeconds
_STRATEGIES = ("RollingUpdate", "Recreate")
_PERCENT = re.compile(r"[0-9]+%")
_NOTHING = re.compile(r"0+%")


@rule("FT380", "selector-of-other-pods", on=WORKLOAD)
def selector_of_other_pods(job: Job) -> Iterator[Finding]:
    """A Deployment's selector does not select the pods of its template, or a Job has a selector that it cannot have.

    The labels of the template have whatever `spec.selector` asks for, which is something
    (ValidatePodTemplateSpecForReplicaSet in pkg/apis/apps/validation of Kubernetes). The API server writes the selector
    of a Job, unless `manualSelector` is true (validateGeneratedSelector in pkg/apis/batch/validation).

    Refused: `selector: {matchLabels: {app: chat}}` with `template: {metadata: {labels: {app: sft}}}`.
    Write: the same labels in both; in a Job, no selector.
    """
    selector = mapping(job.spec.get("selector"))
    wanted, expressions = mapping(selector.get("matchLabels")), entries(selector.get("matchExpressions"))
    if job.kind == KUBERNETES_JOB and job.spec.get("manualSelector") is not True:
        if own := [key for key in wanted if key not in _GENERATED]:
            headline = f"the API server writes the selector of a Job, and would refuse {own[0]}"
            yield Finding(headline, "spec.selector", own[0], "remove spec.selector, or set manualSelector: true")
        return
    if job.kind == DEPLOYMENT and not wanted and not expressions:
        yield Finding("the selector selects nothing in particular", "spec.selector", help="select a label of the pods")
    if job.kind not in (DEPLOYMENT, KUBERNETES_JOB):
        return
    if problems := list(selector_problems(selector, "spec.selector")):
        yield from (Finding(message, path) for path, message in problems)
        return
    for pod in job.pods:
        labels = mapping(pod.metadata.get("labels"))
        missed = [key for key, value in wanted.items() if labels.get(key) != value]
        missed += [text(each.get("key")) for _, each in expressions if not _selects(each, labels)]
        for key in missed:
            help_ = "write the same labels into spec.selector and the template"
            headline = f"by {key} the selector does not select the pods of the template"
            yield Finding(headline, f"{pod.metadata_path}.labels", text(labels.get(key)), help_)


def _selects(requirement: dict[str, Any], labels: dict[str, Any]) -> bool:
    key, values = text(requirement.get("key")), strings(requirement.get("values"))
    if requirement.get("operator") in _OPERATORS:
        return (labels.get(key) in values) is (requirement.get("operator") == "In")
    return (key in labels) is (requirement.get("operator") == "Exists")


@rule("FT381", "impossible-completions", on=WORKLOAD)
def impossible_completions(job: Job) -> Iterator[Finding]:
    """A batch/v1 Job counts its completions in a way that cannot be.

    No count is negative. An indexed Job says how many completions it has, and its pods get host names of 63 characters
    at most, `<name>-<index>`; limits for each index, and a successPolicy, are those of an indexed Job (ValidateJob,
    validateJobSpec in pkg/apis/batch/validation of Kubernetes).

    Refused: `completionMode: Indexed` without `completions`.
    Write: `completions: 2` beside it.
    """
    if job.kind != KUBERNETES_JOB:
        return
    for field, message in _count_problems(job.spec):
        yield Finding(message, f"spec.{field}")
    completions = integer(job.spec.get("completions"))
    if job.spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{job.name}-{completions - 1}"
        # FT336 refuses what no object can be called.
        if kube.is_dns1123_subdomain(job.name) and not kube.is_dns1123_label(host):
            help_ = "use at most 63 characters with the index, and no dot"
            yield Finding(f"no pod of an indexed Job can have the host name {host!r}", job.name_path, job.name, help_)


def _count_problems(spec: dict[str, Any]) -> Iterator[_Problem]:
    counts = {field: optional_integer(spec.get(field)) for field in _COUNTS}
    for field, count in counts.items():
        if count is not None and count < 0:
            yield field, f"{field} is {count}; it cannot be negative"
    mode, completions, failed = spec.get("completionMode"), counts["completions"], counts["maxFailedIndexes"]
    if mode is not None and mode not in _MODES:
        yield "completionMode", f"completionMode is {' or '.join(_MODES)}"
    if mode == "Indexed" and completions is None:
        yield "completions", "an indexed Job needs its completions"
    if mode == "Indexed" and (counts["parallelism"] or 0) > _MOST_AT_ONCE:
        yield "parallelism", f"an indexed Job has {_MOST_AT_ONCE} pods at once at most"
    if mode in (None, "NonIndexed"):
        yield from ((f, f"{f} needs completionMode Indexed") for f in _OF_INDEXES if spec.get(f) is not None)
    if failed is not None and counts["backoffLimitPerIndex"] is None:
        yield "backoffLimitPerIndex", "maxFailedIndexes needs a backoffLimitPerIndex"
    if mode == "Indexed" and None not in (failed, completions) and (failed or 0) > (completions or 0):
        yield "maxFailedIndexes", f"maxFailedIndexes is {failed}, more than the {completions} completions"


@rule("FT384", "bad-pod-failure-policy", on=WORKLOAD)
def bad_pod_failure_policy(job: Job) -> Iterator[Finding]:
    """A batch/v1 Job's podFailurePolicy or podReplacementPolicy is incomplete, or goes with something else.

    A podFailurePolicy needs pods that are not restarted in place (`restartPolicy: Never`), and no other
    podReplacementPolicy than Failed. A rule has an action, and either exit codes or conditions; exit codes are in
    order, each once, those of `In` are not 0, and a container that it names is one of the pod's
    (validatePodFailurePolicy in pkg/apis/batch/validation of Kubernetes).

    Refused: `podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: In, values: [0]}}]}`.
    Write: `values: [137]`.
    """
    if job.kind != KUBERNETES_JOB:
        return
    policy, replacement = job.spec.get("podFailurePolicy"), job.spec.get("podReplacementPolicy")
    taken = _REPLACEMENTS[1:] if isinstance(policy, dict) else _REPLACEMENTS
    if replacement is not None and replacement not in taken:
        yield Finding(f"podReplacementPolicy is {' or '.join(taken)}", "spec.podReplacementPolicy", text(replacement))
    if not isinstance(policy, dict):
        return
    for pod in job.pods:
        if pod.spec.get("restartPolicy") == "OnFailure":  # FT363 refuses any other but Never
            path = f"{pod.spec_path}.restartPolicy"
            yield Finding("a podFailurePolicy needs restartPolicy Never", path, "OnFailure", "write Never")
    containers = {container.name for container in job.containers}
    for i, each in entries(policy.get("rules")):
        for field, message in _failure_problems(each, containers):
            yield Finding(message, ".".join(filter(None, (f"spec.podFailurePolicy.rules[{i}]", field))))
        if each.get("action") == "FailIndex" and job.spec.get("backoffLimitPerIndex") is None:
            path = f"spec.podFailurePolicy.rules[{i}].action"
            yield Finding("FailIndex needs a backoffLimitPerIndex", path, "FailIndex")


def _failure_problems(each: dict[str, Any], containers: set[str]) -> Iterator[_Problem]:
    if each.get("action") not in _ACTIONS:
        yield "action", f"an action is one of {', '.join(_ACTIONS)}"
    codes, conditions = each.get("onExitCodes"), entries(each.get("onPodConditions"))
    if isinstance(codes, dict) is bool(conditions):
        yield "", "a rule has either onExitCodes or onPodConditions"
    if isinstance(codes, dict):
        yield from ((f"onExitCodes.{field}", message) for field, message in _code_problems(codes, containers))


def _code_problems(codes: dict[str, Any], containers: set[str]) -> Iterator[_Problem]:
    operator, name, listed = codes.get("operator"), codes.get("containerName"), codes.get("values")
    values = [integer(value) for value in listed] if isinstance(listed, list) else []
    if operator not in _OPERATORS:
        yield "operator", f"an operator is {' or '.join(_OPERATORS)}"
    if name is not None and text(name) not in containers:
        yield "containerName", f"the pod has no container {text(name)!r}"
    if not values or values != sorted(set(values)):
        yield "values", "exit codes are in order, each once, and one at least"
    if operator == "In" and 0 in values:
        yield "values", "0 is no failure, and cannot be among the exit codes of In"


@rule("FT385", "impossible-rollout", on=WORKLOAD)
def impossible_rollout(job: Job) -> Iterator[Finding]:
    """A Deployment cannot be rolled out as it says.

    No number is negative. Recreate has no `rollingUpdate`, which lets a pod more or a pod less run, at least one of
    the two; the deadline for progress is later than the time after which a pod counts as available, and 600 seconds
    where nobody says (ValidateDeploymentSpec, ValidateDeploymentStrategy in pkg/apis/apps/validation of Kubernetes).

    Refused: `strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}`.
    Write: `strategy: {type: Recreate}`.
    """
    if job.kind != DEPLOYMENT:
        return
    numbers = {field: optional_integer(job.spec.get(field)) for field in _TIMES}
    for field, number in numbers.items():
        if number is not None and number < 0:
            yield Finding(f"{field} is {number}; it cannot be negative", f"spec.{field}", number)
    stated, ready = numbers["progressDeadlineSeconds"], numbers["minReadySeconds"] or 0
    deadline = _DEADLINE if stated is None else stated
    if deadline <= ready and deadline >= 0:
        headline = f"a pod is available after {ready} seconds, and the deadline for that is {deadline}"
        path = "spec.progressDeadlineSeconds"
        yield Finding(headline, path, "" if stated is None else stated, f"set {path} to more than {ready}")
    for field, message in _strategy_problems(mapping(job.spec.get("strategy"))):
        yield Finding(message, f"spec.strategy.{field}")


def _strategy_problems(strategy: dict[str, Any]) -> Iterator[_Problem]:
    name, rolling = text(strategy.get("type")) or _STRATEGIES[0], strategy.get("rollingUpdate")
    if name not in _STRATEGIES:
        yield "type", f"a strategy is {' or '.join(_STRATEGIES)}"
    if name == "Recreate" and rolling is not None:
        yield "rollingUpdate", "Recreate has no rollingUpdate"
    if name != "RollingUpdate":
        return
    more, less = mapping(rolling).get("maxSurge"), mapping(rolling).get("maxUnavailable")
    for field, amount in (("maxSurge", more), ("maxUnavailable", less)):
        if (isinstance(amount, int) and amount < 0) or (isinstance(amount, str) and not _PERCENT.fullmatch(amount)):
            yield f"rollingUpdate.{field}", f"{field} is a number of pods or a percentage of them"
    if _is_nothing(more) and _is_nothing(less):
        yield "rollingUpdate.maxUnavailable", "with a maxSurge of 0, maxUnavailable is at least 1"


def _is_nothing(amount: object) -> bool:
    return (isinstance(amount, int) and amount == 0) or (isinstance(amount, str) and bool(_NOTHING.fullmatch(amount)))
