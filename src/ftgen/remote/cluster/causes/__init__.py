"""Why a run does not train: one sentence, and what to do about it.

Each function names one cause, or none.  They are asked in the order in which a job meets the obstacles, so that the
first answer is what must be mended first: a closed queue before short cards, a claim before an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftgen.remote.cluster.causes import claims, creation, failure, placement, queue, start
from ftgen.remote.cluster.causes.cause import Cause, redacted
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.state import ClusterState

_CAUSES: Sequence[Callable[[Run, ClusterState], Cause | None]] = (
    creation.never_created,
    failure.failed,
    queue.obstacle,
    creation.refused_pods,
    claims.obstacle,
    placement.obstacle,
    start.obstacle,
    creation.uncommitted,
)


def why(run: Run, seen: ClusterState) -> Cause | None:
    """Return why a run does not train, without secrets; None for one that trains, has finished or needs time."""
    return next((redacted(cause) for ask in _CAUSES if (cause := ask(run, seen))), None)


__all__ = ["Cause", "why"]
