"""Rule over the PriorityClasses of a cluster."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.text.shapes import text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import CAPACITY

_ALWAYS_THERE = ("system-cluster-critical", "system-node-critical")


@rule("FT604", "unknown-priority-class", on=CAPACITY)
def unknown_priority_class(job: Job, context: Context) -> Iterator[Finding]:
    """The priority class does not exist on the cluster.

    Volcano accepts the job; the API server then refuses its pods (admission plugin Priority). A template's class wins
    over that of the job.

    Refused: `priorityClassName: urgent` where there is none of that name.
    Write: one that exists, or none.
    """
    for name, path in _named(job):
        if name in _ALWAYS_THERE or context.saved("PriorityClass", name).find("PriorityClass", name):
            continue
        known = ", ".join(each.name for each in context.saved("PriorityClass").of("PriorityClass")) or "none"
        headline = f"there is no priority class {name}: the pods would be refused"
        yield Finding(headline, path, name, f"the cluster has {known}")


def _named(job: Job) -> Iterator[tuple[str, str]]:
    """Yield the classes that pods get, with their paths."""
    own = [text(pod.spec.get("priorityClassName")) for pod in job.pods]
    if (name := text(job.spec.get("priorityClassName"))) and not all(own):
        yield name, "spec.priorityClassName"
    for name, pod in zip(own, job.pods, strict=True):
        if name:
            yield name, f"{pod.spec_path}.priorityClassName"
