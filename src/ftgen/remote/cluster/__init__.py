"""Clusters: what became of committed runs there, and what the API server says of manifests; everything read-only.

kubectl and its own configuration make the connection.  What it answers is checked where it enters (`objects`), and
all that follows is pure: the join of committed and live runs (`runs`), and why one does not run (`causes`).

Error codes:

* FT570: there is no kubectl, or it has no such context or configuration.
* FT571: the API server cannot be reached.
* FT572: the user is unknown there, or lacks a right.
* FT573: the cluster does not serve a kind, as without Volcano.
* FT574: an answer has not the shape of its kind.
* FT575: kubectl failed otherwise.
* FT576: there is no run of that name, or none of its pods has a log.
* FT577: the API server refuses an object.
* FT578: the API server accepts what ftgen says it refuses, or the reverse: a bug of ftgen.

Warnings: FT579, what the API server warns of.  Notes of `mlflow`: FT660, the MLflow server cannot be reached; FT661, it
refuses; FT662, it does not answer as MLflow does.
"""

from ftgen.remote.cluster.causes import Cause, why
from ftgen.remote.cluster.kubectl import Kubectl, KubectlFailed, failure, rejected
from ftgen.remote.cluster.log import Progress, progress
from ftgen.remote.cluster.objects import Pod
from ftgen.remote.cluster.runs import UNKNOWN_RUN, Committed, Run, committed, join, selected
from ftgen.remote.cluster.state import ClusterState, read, read_logs, read_surroundings

__all__ = [
    "UNKNOWN_RUN",
    "Cause",
    "ClusterState",
    "Committed",
    "Kubectl",
    "KubectlFailed",
    "Pod",
    "Progress",
    "Run",
    "committed",
    "failure",
    "join",
    "progress",
    "read",
    "read_logs",
    "read_surroundings",
    "rejected",
    "selected",
    "why",
]
