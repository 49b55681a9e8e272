"""Volcano Queue of a sweep, whose capability admits a limited number of jobs at a time.

Volcano cannot limit the number of jobs, only the resources that a queue's pods request together: it admits a job
while its requests fit under the capability (the proportion and capacity plugins, scheduling.volcano.sh/v1beta1).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ftgen.diagnostics import Rejected, error
from ftgen.lower import Object
from ftgen.sweeping.index import Row
from ftgen.text import kube

# All users share `default`, and `root` is the parent of all queues: a sweep must not limit either.
_SHARED_QUEUES = frozenset({"", "default", "root"})


def queue(rows: Sequence[Row], max_parallel: int, labels: dict[str, str], folder: str) -> Object:
    """Make the Queue that has room for `max_parallel` of the sweep's largest jobs.

    Raises:
        Rejected: FT036, if the jobs are in several queues, or in `default` or `root`.
    """
    queues = sorted({row.queue for row in rows})
    if len(queues) > 1 or queues[0] in _SHARED_QUEUES:
        text = "sweep.max_parallel needs one queue that is the sweep's own, and its jobs go to " + " and ".join(queues)
        raise Rejected([error("FT036", text, "cluster.queue", queues[0], f"add cluster.queue={folder}")])
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "Queue",
        "metadata": {"name": queues[0], "labels": {"app.kubernetes.io/managed-by": "ftgen", **labels}},
        # The queue's webhook sets the same defaults, so that the stored object does not differ.
        "spec": {"weight": 1, "reclaimable": True, "capability": _capability(rows, max_parallel)},
    }


def _capability(rows: Sequence[Row], jobs: int) -> dict[str, str]:
    largest: dict[str, Fraction] = {}
    for row in rows:
        for name, amount in row.requests.items():
            largest[name] = max(largest.get(name, Fraction(0)), amount)
    return {name: _quantity(name, jobs * amount) for name, amount in largest.items() if amount}


def _quantity(name: str, amount: Fraction) -> str:
    """Write memory in MiB and larger binary units, any other amount in its canonical form."""
    mebibytes = amount / 2**20
    if "memory" in name and mebibytes.denominator == 1:
        return kube.canonical_quantity(f"{mebibytes}Mi")
    return kube.canonical_quantity(f"{amount * 1000}m" if (amount * 1000).denominator == 1 else f"{float(amount)}")
