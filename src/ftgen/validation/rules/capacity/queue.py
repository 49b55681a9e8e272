"""Rule over what a queue of Volcano may hold.

Source: pkg/scheduler/plugins of Volcano: proportion (JobEnqueueableFn, AllocatableFn, by the queue's capability) and
capacity (the same along the queue's ancestors).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ftgen.diagnostics import Severity
from ftgen.text.shapes import amounts, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.inventory import ClusterObject, Inventory
from ftgen.validation.manifest import Job
from ftgen.validation.rules import CAPACITY
from ftgen.validation.rules.capacity import demand

_UNLIMITED_AT_ZERO = ("cpu", "memory")


@rule("FT603", "beyond-the-queue", on=CAPACITY)
def beyond_the_queue(job: Job, context: Context) -> Iterator[Finding]:
    """The gang or the whole job is larger than what its queue may hold.

    Volcano does not start a job whose gang exceeds the queue's capability in a resource: it stays Pending without
    pods. Pods beyond the gang wait until others have ended. A parent queue counts where the cluster's scheduler uses
    the plugin capacity. Other jobs of the queue are not counted. A capability of 0 CPU or memory, and one of pods, is
    none at all.

    Refused: `minAvailable: 2` with 8 cards each in a queue with `capability: {nvidia.com/gpu: 8}`.
    Write: fewer cards or pods, or another queue.
    """
    name = text(job.spec.get("queue"))
    inventory = context.saved("Queue", name)
    defaults = demand.container_defaults(job, context.inventory)
    by_task = demand.by_task(job, lambda task: demand.pod_resources(task.pod, defaults).requests)
    for queue in _line(inventory, name):
        for resource, capability in amounts(queue.spec.get("capability")).items():
            if resource in by_task and (capability > 0 or resource not in _UNLIMITED_AT_ZERO):
                amount = demand.fewest(job, by_task[resource]), demand.whole(job, by_task[resource])
                yield from _excess(queue, resource, capability, amount, is_own=queue.name == name)


def _line(inventory: Inventory, name: str) -> Iterator[ClusterObject]:
    """Yield a queue and its ancestors, each once."""
    seen: set[str] = set()
    while name not in seen and (queue := inventory.find("Queue", name)):
        yield queue
        seen.add(name)
        name = text(queue.spec.get("parent"))


def _excess(
    queue: ClusterObject, resource: str, capability: Fraction, amount: tuple[Fraction, Fraction], *, is_own: bool
) -> Iterator[Finding]:
    gang, whole = amount
    if whole <= capability:
        return
    starts = gang <= capability
    asked, most = (demand.quantity(resource, value) for value in (whole if starts else gang, capability))
    who, effect = ("the job", "some of its pods wait") if starts else ("the gang", "it never starts")
    condition = "" if is_own else " where the scheduler's plugin capacity counts parents"
    headline = f"{who} asks for {asked} of {resource}; {queue.label} may hold {most}: {effect}{condition}"
    severity = Severity.WARNING if starts or not is_own else None
    place = queue.at("spec", "capability", resource)
    yield Finding(
        headline, "spec.queue", queue.name, f"ask for at most {most}, or choose another queue", severity, (place,)
    )
