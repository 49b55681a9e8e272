"""Admission of a VolcanoJob, checked without a cluster.

Follows Volcano's job webhooks (pkg/webhooks/admission/jobs: mutate, validate) for the given version, and
the API server's own checks beside the schema: names, labels and annotations.  A job refused here is
refused there; the converse holds for every field that ftgen writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Diagnostic
from ftgen.schema.version import Version
from ftgen.text.shapes import text
from ftgen.validation import Context, Finding, Queue, rule, validate
from ftgen.validation.manifest import Job, read_job
from ftgen.validation.rules import ADMISSION, UPDATE
from ftgen.validation.rules.change import change_class
from ftgen.validation.rules.defaults import mutate, with_crd_defaults, with_quantities_as_text

__all__ = ["Queue", "admit_create", "admit_update", "change_class", "mutate", "with_quantities_as_text"]


def admit_create(
    job: dict[str, Any],
    *,
    volcano_version: Version,
    queues: Mapping[str, Queue] | None = None,
) -> list[Diagnostic]:
    """Return why the cluster would refuse to create this job; empty where it would not.

    The job is checked as the mutating webhook leaves it.  Rules about queues run only where `queues` gives
    the cluster's queues by name.
    """
    stored = mutate(job, volcano_version=volcano_version)
    return validate(ADMISSION, stored, Context(version=volcano_version, queues=queues))


def admit_update(
    old: dict[str, Any],
    new: dict[str, Any],
    *,
    volcano_version: Version,
) -> list[Diagnostic]:
    """Return why the cluster would refuse to replace the stored job `old` by `new`; empty where it would not.

    On UPDATE only the CRD's defaults are filled in, and only counts and partitions are checked again
    (validateJobUpdate in validate/admit_job.go); everything else in spec but the four mutable fields must
    mean the same as before.
    """
    before = read_job(with_crd_defaults(old, volcano_version=volcano_version), volcano_version)
    after = with_crd_defaults(new, volcano_version=volcano_version)
    return validate(UPDATE, after, Context(version=volcano_version, before=before))


@rule("FT327", "unusable-queue", on=ADMISSION, denied=False)
def unusable_queue(job: Job, context: Context) -> Iterator[Finding]:
    """The queue does not exist, is not open, or is no leaf.

    Volcano's job webhook looks the queue up: its state must be Open, it must not be `root` and no other
    queue may have it as its parent.

    Refused: `spec.queue: research` where `research-a` has `parent: research`.
    Write: `spec.queue: research-a`.
    """
    queues = context.queues
    if queues is None:
        return
    name = text(job.spec.get("queue"))
    queue = queues.get(name)
    if queue is None:
        if context.inventory is not None:
            context.saved("Queue")
        reason = "does not exist"
    elif queue.state != "Open":
        reason = f"is {queue.state or 'in no state'}, not Open"
    elif name == "root" or any(other.parent == name for other in queues.values()):
        reason = "is not a leaf"
    else:
        return
    related = (queue.place,) if queue and queue.place else ()
    yield Finding(f"the queue {name!r} {reason}", "spec.queue", name, "name an open leaf queue", related=related)
