"""Rules over the ResourceQuotas of a job's namespace.

Sources: pkg/quota/v1/evaluator/core (pods.go, persistent_volume_claims.go) of Kubernetes, and CheckRequest of its
admission plugin.  What is in use is not saved: a job is weighed as if it were alone in the namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Severity
from ftgen.text.paths import child
from ftgen.text.shapes import amounts, entries, mapping, optional_integer, strings, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.inventory import ClusterObject
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules import CAPACITY
from ftgen.validation.rules.capacity import demand
from ftgen.validation.rules.capacity.demand import Amounts, Resources
from ftgen.validation.rules.lint.storage import claims
from ftgen.validation.rules.resources import is_extended

_NATIVE = ("cpu", "memory", "ephemeral-storage")
_REQUIRED = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
"""Resources of a quota that every container has to state."""
_HUGE_PAGES = "hugepages-"
_OF_CLASS = ".storageclass.storage.k8s.io/"


@rule("FT600", "beyond-a-quota", on=CAPACITY)
def beyond_a_quota(job: Job, context: Context) -> Iterator[Finding]:
    """A pod, the gang or the whole job asks for more than a ResourceQuota of the namespace allows.

    The API server refuses each pod with which the namespace would exceed a hard limit. A gang of which a pod is
    refused never starts; where the gang fits and the whole job does not, the rest waits until pods have ended. Other
    users of the namespace are not counted.

    Refused: `minAvailable: 2` with 8 cards each under `hard: {requests.nvidia.com/gpu: "8"}`.
    Write: fewer cards or pods, another namespace, or a larger quota.
    """
    defaults = demand.container_defaults(job, context.inventory)
    for quota in demand.of_namespace(job, context, "ResourceQuota"):
        covered = [task for task in job.tasks if _covers(quota, task, job, context)]
        usage = demand.by_task(job, lambda task: _usage(job, task, context, defaults) if task in covered else {})  # noqa: B023
        shared = {} if _scopes(quota) else _shared_usage(job, context)
        for name, hard in amounts(quota.spec.get("hard")).items():
            weighed = _Weighed(job, quota, name, hard, usage.get(name, {}), shared.get(name, Fraction()))
            yield from weighed.findings()


class _Weighed(Struct, frozen=True):
    """One hard limit of a quota with what a job asks of it: each pod by its task, and all pods together."""

    job: Job
    quota: ClusterObject
    name: str
    hard: Fraction
    by_task: Mapping[int, Fraction]
    shared: Fraction

    def findings(self) -> Iterator[Finding]:
        """Yield the worst excess, if there is any."""
        for task in self.job.tasks:
            one = self.by_task.get(task.index, Fraction()) + self.shared
            if task.replicas and one > self.hard and one:
                yield self._finding(f"one pod of {task.name}", one, self._path(task), "it is never created")
                return
        gang, whole = (count(self.job, self.by_task) + self.shared for count in (demand.fewest, demand.whole))
        if gang > self.hard:
            who = f"the gang of {demand.Gang.of(self.job).total} pods"
            yield self._finding(who, gang, "spec.minAvailable", "it never starts")
        elif whole > self.hard:
            first = next((task for task in self.job.tasks if self.by_task.get(task.index)), None)
            path = f"{first.path}.replicas" if first else "spec.volumes"
            yield self._finding("the job with all its pods", whole, path, "the rest waits", Severity.WARNING)

    def _finding(self, who: str, asked: Fraction, path: str, effect: str, severity: Severity | None = None) -> Finding:
        allowed, wanted = (demand.quantity(self.name, value) for value in (self.hard, asked))
        headline = f"{who} asks for {wanted} of {self.name}; {self.quota.label} allows {allowed}: {effect}"
        place = self.quota.at("spec", "hard", self.name)
        return Finding(headline, path, wanted, f"ask for at most {allowed}", severity, (place,))

    def _path(self, task: Task) -> str:
        field, _, rest = self.name.partition(".")
        resource, fields = (rest, (field,)) if field in {"requests", "limits"} else (self.name, ("requests", "limits"))
        path = demand.path_of(task.pod, resource, fields)
        return demand.path_of(task.pod, resource) if path.endswith(".containers") else path


def _usage(job: Job, task: Task, context: Context, defaults: Resources) -> Amounts:
    """Return what one pod of a task takes from quotas, with the claims that are its own."""
    resources = demand.pod_resources(task.pod, defaults)
    usage = {"pods": Fraction(1), "count/pods": Fraction(1)}
    for name, value in resources.requests.items():
        if name in _NATIVE or name.startswith(_HUGE_PAGES):
            usage |= {name: value, f"requests.{name}": value}
        elif is_extended(name):
            usage[f"requests.{name}"] = value
    usage |= {f"limits.{name}": value for name, value in resources.limits.items() if name in _NATIVE}
    own = [claim.spec for claim in claims(job, context) if claim.task is task and not claim.shared]
    return demand.added(usage, _of_claims(own))


def _shared_usage(job: Job, context: Context) -> Amounts:
    """Return what a job takes from quotas once, whatever its pods: itself, and the claims that Volcano makes for it."""
    own = [claim.spec for claim in claims(job, context) if claim.path.endswith(".volumeClaim")]
    return demand.added({"count/jobs.batch.volcano.sh": Fraction(1)}, _of_claims(own))


def _of_claims(specs: list[Mapping[str, Any]]) -> Amounts:
    found: Amounts = {}
    for spec in specs:
        size = amounts(mapping(spec.get("resources")).get("requests")).get("storage", Fraction())
        one = {"persistentvolumeclaims": Fraction(1), "requests.storage": size}
        storage_class = text(spec.get("storageClassName"))
        named = {f"{storage_class}{_OF_CLASS}{name}": value for name, value in one.items()} if storage_class else {}
        found = demand.added(found, {**one, **named, "count/persistentvolumeclaims": Fraction(1)})
    return found


def _scopes(quota: ClusterObject) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [
        {"scopeName": name, "operator": "Exists"} for name in strings(quota.spec.get("scopes"))
    ]
    return plain + [each for _, each in entries(mapping(quota.spec.get("scopeSelector")).get("matchExpressions"))]


def _covers(quota: ClusterObject, task: Task, job: Job, context: Context) -> bool:
    return all(_in_scope(scope, task, job, context) for scope in _scopes(quota))


def _in_scope(scope: Mapping[str, Any], task: Task, job: Job, context: Context) -> bool:
    """Return whether a quota's scope holds a task's pods; an unknown scope holds none."""
    has_deadline = optional_integer(task.pod.spec.get("activeDeadlineSeconds")) is not None
    is_best_effort = _is_best_effort(task, demand.container_defaults(job, context.inventory))
    verdicts = {
        "Terminating": has_deadline,
        "NotTerminating": not has_deadline,
        "BestEffort": is_best_effort,
        "NotBestEffort": not is_best_effort,
        "PriorityClass": _has_priority_class(scope, _priority_class(task, job, context)),
    }
    return verdicts.get(text(scope.get("scopeName")), False)


def _is_best_effort(task: Task, defaults: Resources) -> bool:
    requests, limits = demand.pod_resources(task.pod, defaults)
    return not any(each.get(name) for each in (requests, limits) for name in demand.POD_LEVEL)


def _priority_class(task: Task, job: Job, context: Context) -> str:
    """Return the class of a task's pods: the template's, the job's, or the one of the cluster that is the default."""
    classes = context.inventory.of("PriorityClass") if context.inventory else ()
    default = [each.name for each in classes if each.body.get("globalDefault") is True]
    stated = text(task.pod.spec.get("priorityClassName")) or text(job.spec.get("priorityClassName"))
    return stated or next(iter(default), "")


def _has_priority_class(scope: Mapping[str, Any], name: str) -> bool:
    values = strings(scope.get("values"))
    verdicts = {"In": name in values, "NotIn": name not in values, "DoesNotExist": not name}
    return verdicts.get(text(scope.get("operator")), bool(name))


@rule("FT601", "unstated-under-a-quota", on=CAPACITY)
def unstated_under_a_quota(job: Job, context: Context) -> Iterator[Finding]:
    """A container leaves out what a ResourceQuota of the namespace counts.

    Where a quota limits CPU or memory, the API server refuses every pod with a container, or init container, that does
    not state them, unless the pod states them as a whole or a LimitRange gives them.

    Refused: a container without `limits.cpu` under `hard: {limits.cpu: "64"}`.
    Write: `limits: {cpu: "8"}`.
    """
    for quota in demand.of_namespace(job, context, "ResourceQuota"):
        required = [name for name in amounts(quota.spec.get("hard")) if name in _REQUIRED]
        for task in job.tasks if required else ():
            if not mapping(task.pod.spec.get("resources")) and _covers(quota, task, job, context):
                for container in task.pod.containers:
                    yield from _unstated(job, container, quota, required, context)


def _unstated(
    job: Job, container: Container, quota: ClusterObject, required: list[str], context: Context
) -> Iterator[Finding]:
    for name in required:
        field, _, resource = name.rpartition(".")
        field = field or "requests"
        resources = demand.container_resources(container, demand.container_defaults(job, context.inventory))
        if resource not in (resources.limits if field == "limits" else resources.requests):
            context.saved("LimitRange", namespace=demand.namespace(job))  # which may give it
            headline = f"container {container.name} states no {field}.{resource}, which {quota.label} counts"
            path = child(f"{container.path}.resources.{field}", resource)
            help_ = f"state {field}.{resource}: the pods are refused without it"
            yield Finding(headline, path, "", help_, related=(quota.at("spec", "hard", name),))
