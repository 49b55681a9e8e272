"""A queue for a sweep: its capability leaves room for so many jobs at a time.

Volcano has no count of jobs to limit.  What it limits is what a queue's pods may hold together: a job is
admitted while its requests fit under the capability (the proportion and capacity plugins,
scheduling.volcano.sh/v1beta1).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ftgen import kube
from ftgen.diagnostics import Rejected, error
from ftgen.lower import Object
from ftgen.sweeping.index import Row

# `default` serves everyone and `root` is above all queues: neither is a sweep's to limit.
_NOT_OURS = frozenset({"", "default", "root"})


def queue(rows: Sequence[Row], max_parallel: int, labels: dict[str, str], folder: str) -> Object:
    """The Queue that leaves room for `max_parallel` of the sweep's jobs, the largest ones.

    Raises:
        Rejected: FT036, when the jobs are in several queues or in one that is not theirs alone.
    """
    queues = sorted({row.queue for row in rows})
    if len(queues) > 1 or queues[0] in _NOT_OURS:
        told = "sweep.max_parallel needs one queue that is the sweep's own, and its jobs go to " + " and ".join(queues)
        raise Rejected([error("FT036", told, "cluster.queue", queues[0], f"add cluster.queue={folder}")])
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "Queue",
        "metadata": {"name": queues[0], "labels": {"app.kubernetes.io/managed-by": "ftgen", **labels}},
        # Written because the queue's webhook would write them.
        "spec": {"weight": 1, "reclaimable": True, "capability": _capability(rows, max_parallel)},
    }


def _capability(rows: Sequence[Row], jobs: int) -> dict[str, str]:
    most: dict[str, Fraction] = {}
    for row in rows:
        for name, amount in row.requests.items():
            most[name] = max(most.get(name, Fraction(0)), amount)
    return {name: _quantity(name, jobs * amount) for name, amount in most.items() if amount}


def _quantity(name: str, amount: Fraction) -> str:
    """Memory in binary units, as people write it; all else as it counts."""
    mebibytes = amount / 2**20
    if "memory" in name and mebibytes.denominator == 1:
        return kube.canonical_quantity(f"{mebibytes}Mi")
    return kube.canonical_quantity(f"{amount * 1000}m" if (amount * 1000).denominator == 1 else f"{float(amount)}")
