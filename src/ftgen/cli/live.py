"""Shared code of the verbs for a cluster: the tree that the flags name, joined with what lives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ftgen.cli import reading
from ftgen.cli.arguments import Arguments
from ftgen.output.tree import LOCK_NAME
from ftgen.remote import cluster
from ftgen.remote.cluster import ClusterState, Committed, Kubectl, Run

if TYPE_CHECKING:
    from ftgen.remote.cluster import mlflow

_MOST_LOGS = 8
"""Each log is a request to a kubelet, and a process."""


class Tree(Struct, frozen=True):
    """Committed jobs of a tree; `exists` says whether there is an index at all."""

    jobs: Sequence[Committed]
    exists: bool


class Observed(Struct, frozen=True):
    """Runs that were asked for, and the state that tells why one does not run.

    Attributes:
        runs: the runs.
        seen: the state.
        tracked: what MLflow says of their jobs; None if it was not asked.
    """

    runs: Sequence[Run]
    seen: ClusterState
    tracked: mlflow.Tracked | None = None


def kubectl(arguments: Arguments) -> Kubectl:
    """Return the connection that the flags name."""
    return Kubectl(arguments.flags.context, arguments.flags.kubeconfig)


def committed_tree(arguments: Arguments) -> Tree:
    """Return the jobs of the repository or folder that the flags name.

    Raises:
        Rejected: FT5xx, when it cannot be read.
        Usage: when a flag is missing that another flag needs.
    """
    exists = arguments.flags.repo is not None or (reading.folder(arguments) / LOCK_NAME).exists()
    with reading.open_tree(arguments) as (store, lock):
        return Tree(cluster.committed(lock, store.read), exists)


def observe(arguments: Arguments, names: Sequence[str], *, logs: bool = True) -> Observed:
    """Read the runs that some names select, all where there are none.

    Args:
        arguments: the command line.
        names: see `cluster.selected`.
        logs: whether the last lines of some are read, too.

    Raises:
        Rejected: FT57x, when the cluster cannot be asked, or has no such run.
    """
    connection, known = kubectl(arguments), committed_tree(arguments)
    plain = not known.exists or not all(job.is_volcano for job in known.jobs)
    asked = _namespaces(arguments, known, connection)
    seen = cluster.read(connection, asked, plain_jobs=plain)
    # What lives in a namespace that the user may not look into is unknown, and not absent.
    closed = asked.difference(seen.namespaces)
    readable = [job for job in known.jobs if job.key[0] not in closed]
    runs = cluster.selected(cluster.join(readable, seen, has_tree=known.exists), names)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(cluster.read_logs, connection, _speaking(runs) if logs else ())
        if troubled := [run for run in runs if _is_troubled(run)]:
            paths = (path for run in troubled if run.job is None and run.committed for path in run.committed.deliveries)
            seen = cluster.read_surroundings(connection, seen, {run.key[0] for run in troubled}, paths)
        found, unread = reading.result()
    return Observed(runs, replace(seen, logs=found, unread=[*seen.unread, *unread]))


def with_tracking(observed: Observed, server: mlflow.Server) -> Observed:
    """Join what an MLflow server says of the runs' jobs; what it does not tell is a note."""
    from ftgen.remote.cluster import mlflow  # noqa: PLC0415 - as in `ftgen.cli.status`

    found, unread = mlflow.tracked_runs(server, [run.job for run in observed.runs if run.job is not None])
    return replace(observed, tracked=found, seen=replace(observed.seen, unread=[*observed.seen.unread, *unread]))


def _namespaces(arguments: Arguments, known: Tree, connection: Kubectl) -> set[str]:
    named = {job.key[0] for job in known.jobs} | {arguments.flags.namespace}
    if named - {""}:
        return named - {""}
    try:
        return {connection.namespace()}
    except cluster.KubectlFailed as problem:
        raise cluster.rejected(problem, "read its configuration", "kubectl config view") from None


def _is_troubled(run: Run) -> bool:
    """Return whether it takes more than the job and its pods to say why a run does not train."""
    if run.job is None:
        return run.state != "archived"
    return not run.is_running and run.job.phase != "Completed"


def _speaking(runs: Iterable[Run]) -> Iterator[cluster.Pod]:
    """Yield the pods whose logs are read: of failed runs, then of running ones, as many as take no time."""
    live = [run for run in runs if run.job is not None and run.job.phase != "Completed"]
    live.sort(key=lambda run: run.is_running)
    pods = [pod for run in live if (pod := run.decisive_pod) is not None and pod.speaker]
    yield from pods[:_MOST_LOGS]
