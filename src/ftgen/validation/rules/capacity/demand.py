"""Demand of pods and of jobs, counted as Kubernetes' admission and schedulers count it.

Sources: resource.PodRequests and PodLimits of k8s.io/component-helpers (init containers, sidecars, pod-level
resources, overhead), SetDefaults_Pod (a limit is the request where none is set), the LimitRanger admission plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct

from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import amounts, entries, mapping, optional_integer, text
from ftgen.validation import Context
from ftgen.validation.inventory import ClusterObject, Inventory
from ftgen.validation.manifest import Container, Job, Pod, Task

Amounts = dict[str, Fraction]
"""Amounts by resource."""
POD_LEVEL = ("cpu", "memory")
_HUGE_PAGES = "hugepages-"


class Resources(NamedTuple):
    """Requests and limits of a container or pod, with defaults."""

    requests: Amounts
    limits: Amounts


NO_DEFAULTS = Resources({}, {})


def namespace(job: Job) -> str:
    """Return the namespace of a job; empty where the manifest leaves it to kubectl."""
    return text(mapping(job.manifest.get("metadata")).get("namespace"))


def of_namespace(job: Job, context: Context, kind: str) -> tuple[ClusterObject, ...]:
    """Return the saved objects of a kind in the job's namespace; raise `FactMissing` where nobody has saved any."""
    found = context.inventory.of(kind, namespace(job)) if context.inventory else ()
    return found or context.saved(kind, namespace=namespace(job)).of(kind, namespace(job))


def container_defaults(job: Job, inventory: Inventory | None) -> Resources:
    """Return what the namespace's limit ranges give containers that say nothing; nothing where they are unknown."""
    found = Resources({}, {})
    for limit_range in inventory.of("LimitRange", namespace(job)) if inventory else ():
        for _, item in container_items(limit_range):
            given = item_defaults(item)
            found = Resources({**given.requests, **found.requests}, {**given.limits, **found.limits})
    return found


def container_items(limit_range: ClusterObject) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the items of a limit range that are about containers, with their positions."""
    return ((i, item) for i, item in entries(limit_range.spec.get("limits")) if item.get("type") == "Container")


def item_defaults(item: Mapping[str, object]) -> Resources:
    """Return an item's defaults as the API server stores them (SetDefaults_LimitRangeItem)."""
    limits = amounts(item.get("max")) | amounts(item.get("default"))
    return Resources(amounts(item.get("min")) | limits | amounts(item.get("defaultRequest")), limits)


def container_resources(container: Container, defaults: Resources) -> Resources:
    """Return what a container asks for once it is stored."""
    stated = mapping(container.body.get("resources"))
    limits = amounts(stated.get("limits"))
    requests = limits | amounts(stated.get("requests"))
    return Resources(defaults.requests | requests, defaults.limits | limits)


def pod_resources(pod: Pod, defaults: Resources = NO_DEFAULTS) -> Resources:
    """Return what a pod asks for as a whole."""
    pod_level = mapping(pod.spec.get("resources"))
    own = amounts(pod_level.get("limits"))
    levels = {"limits": own, "requests": own | amounts(pod_level.get("requests"))}
    overhead = amounts(pod.spec.get("overhead"))
    requests, limits = (_aggregated(pod, defaults, index) for index in (0, 1))
    requests |= {name: value for name, value in levels["requests"].items() if _is_pod_level(name)}
    limits |= {name: value for name, value in levels["limits"].items() if _is_pod_level(name)}
    return Resources(added(requests, overhead), added(limits, {k: v for k, v in overhead.items() if k in limits}))


def _is_pod_level(name: str) -> bool:
    return name in POD_LEVEL or name.startswith(_HUGE_PAGES)


def _aggregated(pod: Pod, defaults: Resources, index: int) -> Amounts:
    """Return the larger of what runs together and what each init container needs beside the sidecars before it."""
    total: Amounts = {}
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in pod.main_containers:
        total = added(total, container_resources(container, defaults)[index])
    for container in pod.init_containers:
        own = container_resources(container, defaults)[index]
        if container.body.get("restartPolicy") == "Always":
            total, sidecars = added(total, own), added(sidecars, own)
            own = {}
        starting = _largest(starting, added(sidecars, own))
    return _largest(total, starting)


def added(one: Mapping[str, Fraction], other: Mapping[str, Fraction]) -> Amounts:
    """Return the sums by resource."""
    return {**one, **{name: one.get(name, Fraction()) + value for name, value in other.items()}}


def times(count: int, one: Mapping[str, Fraction]) -> Amounts:
    """Return the multiples by resource."""
    return {name: count * value for name, value in one.items()}


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {**one, **{name: max(one.get(name, value), value) for name, value in other.items()}}


class Gang(Struct, frozen=True):
    """Number of pods that a job needs at once.

    Attributes:
        total: that number.
        least: the number that each task contributes at least, by the task's position.
    """

    total: int
    least: Mapping[int, int]

    @classmethod
    def of(cls, job: Job) -> Gang:
        """Return the gang of a job, as Volcano's PodGroup has it.

        The minimum of each task counts only if the job's minimum covers them all (CheckTaskValid of its scheduler).
        """
        least = {task.index: _minimum(task) for task in job.tasks}
        stated = optional_integer(job.spec.get("minAvailable"))
        total = sum(least.values()) if stated is None else stated
        covered = total >= sum(least.values())
        return cls(max(total, 0), least if covered else dict.fromkeys(least, 0))


def _minimum(task: Task) -> int:
    return min(task.replicas if task.min_available is None else task.min_available, task.replicas)


def fewest(job: Job, demand: Mapping[int, Fraction]) -> Fraction:
    """Return the least amount of one resource that a job's gang can take, by the demand of one pod of each task."""
    gang = Gang.of(job)
    found = sum((gang.least[i] * each for i, each in demand.items()), Fraction())
    missing = gang.total - sum(gang.least.values())
    for task in sorted(job.tasks, key=lambda task: demand.get(task.index, Fraction())):
        taken = max(0, min(missing, task.replicas - gang.least[task.index]))
        found += taken * demand.get(task.index, Fraction())
        missing -= taken
    return found


def whole(job: Job, demand: Mapping[int, Fraction]) -> Fraction:
    """Return the amount of one resource that all pods of a job take together."""
    return sum((task.replicas * demand.get(task.index, Fraction()) for task in job.tasks), Fraction())


def by_task(job: Job, amounts_of: Callable[[Task], Mapping[str, Fraction]]) -> dict[str, dict[int, Fraction]]:
    """Return the demand of one pod of each task, by resource and then by the task's position."""
    found: dict[str, dict[int, Fraction]] = {}
    for task in job.tasks:
        for name, value in amounts_of(task).items():
            found.setdefault(name, {})[task.index] = value
    return found


def path_of(pod: Pod, name: str, fields: Sequence[str] = ("requests", "limits")) -> str:
    """Return the path at which a pod asks for most of a resource; of its containers where it says nothing of it.

    Args:
        pod: the pod.
        name: name of the resource.
        fields: fields of a container's resources, of which the first that states it counts.
    """
    stated = [
        (found[0][1], child(f"{container.path}.resources.{found[0][0]}", name))
        for container in (*pod.main_containers, *pod.init_containers)
        if (found := _stated(container, name, fields))
    ]
    return max(stated, key=lambda each: each[0])[1] if stated else f"{pod.spec_path}.containers"


def _stated(container: Container, name: str, fields: Sequence[str]) -> list[tuple[str, Fraction]]:
    """Return the fields of a container's resources that state a resource, with its amounts."""
    resources = mapping(container.body.get("resources"))
    amounts_of = [(field, amounts(resources.get(field)).get(name)) for field in fields]
    return [(field, value) for field, value in amounts_of if value is not None]


def quantity(name: str, value: Fraction) -> str:
    """Write an amount of a resource for people: memory and storage in powers of 1024, others as numbers."""
    if name.rpartition(".")[2] in {"memory", "ephemeral-storage", "storage"} or _HUGE_PAGES in name:
        scaled, unit = value, ""
        for larger in ("Ki", "Mi", "Gi", "Ti"):
            if scaled < 1024:  # noqa: PLR2004 - the next unit
                break
            scaled, unit = scaled / 1024, larger
        return f"{round(float(scaled), 1):g}{unit}"
    return kube.canonical_quantity(f"{round(value * 1000)}m")
