"""Runs: the committed jobs of a tree, joined with the live ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Rejected, error
from ftgen.output.tree import DELIVERY, Lock, State
from ftgen.output.tree.lock import is_job
from ftgen.remote.cluster.fields import Key
from ftgen.remote.cluster.objects import Job, Pod
from ftgen.remote.cluster.shape import PodShape
from ftgen.remote.cluster.state import ClusterState
from ftgen.text import kube

UNKNOWN_RUN = "FT576"
_QUEUE = re.compile(rb"^  queue: [\"']?([a-z0-9.-]{1,253})[\"']?$", re.MULTILINE)
_SHOWN = 20


class Committed(Struct, frozen=True):
    """Committed job.

    Attributes:
        key: namespace and name; the name is empty where the cluster chooses it.
        identity: identity of its run.
        path: its file in the tree.
        state: its state in the life of the run.
        queue: the queue that its manifest names; empty if unknown.
        deliveries: paths in the cluster's API of the objects that bring it.
        is_volcano: whether it is Volcano's, and not Kubernetes' own.
    """

    key: Key
    identity: str
    path: str
    state: State
    queue: str = ""
    deliveries: tuple[str, ...] = ()
    is_volcano: bool = True


class Run(Struct, frozen=True):
    """Run: what was committed of it, and what lives; at least one of both.

    Attributes:
        key: namespace and name of its job.
        committed: its file; None if no file of the tree is its own.
        job: the live job; None if the cluster has none.
        pods: its pods by rank.
        is_stray: whether a tree was named that does not have it.
    """

    key: Key
    committed: Committed | None = None
    job: Job | None = None
    pods: Sequence[Pod] = ()
    is_stray: bool = False

    @property
    def name(self) -> str:
        """Return the name of its job, or the path of its file where the cluster chooses the name."""
        return self.key[1] or (self.committed.path if self.committed else "")

    @property
    def is_ended(self) -> bool:
        """Return whether its job ended, however."""
        return self.job is not None and self.job.phase in {"Completed", "Failed", "Terminated", "Aborted"}

    @property
    def is_running(self) -> bool:
        """Return whether its containers train."""
        return self.job is not None and self.job.phase == "Running"

    @property
    def waits(self) -> bool:
        """Return whether its job is there and does not run yet."""
        return self.job is not None and not self.is_ended and not self.is_running

    @property
    def waiting_shape(self) -> PodShape | None:
        """Return what a pod without a node asks for, the job's template as long as there are no pods; else None."""
        if self.job is None or not self.waits:
            return None
        return next((pod.shape for pod in self.pods if not pod.node), None if self.pods else self.job.shape)

    @property
    def state(self) -> str:
        """Return its state in one word or two."""
        if self.job is None:
            archived = self.committed is not None and self.committed.state is State.ARCHIVED
            return "archived" if archived else "never created"
        if not self.is_ended and any(_prepares(pod) for pod in self.pods):
            return "fetching"
        return (self.job.phase or "Pending").lower()

    @property
    def decisive_pod(self) -> Pod | None:
        """Return the pod that matters: the first that failed, else that of rank 0."""
        return next((pod for pod in self.pods if pod.phase == "Failed"), next(iter(self.pods), None))


def _prepares(pod: Pod) -> bool:
    return pod.phase == "Pending" and any(c.init and c.state == "running" for c in pod.containers)


def committed(lock: Lock, read: Callable[[str], bytes | None] = lambda _: None) -> list[Committed]:
    """Return the jobs of a tree.

    Args:
        lock: its index.
        read: reader of its files, asked for the queue of each job.
    """
    deliveries = _deliveries(lock)
    jobs = [(path, entry) for path, entry in sorted(lock.files.items()) if is_job(entry.object)]
    return [
        Committed(
            _key(entry.object),
            entry.run,
            path,
            entry.state,
            _queue(read(path) or b""),
            deliveries.get(path.partition("/")[0], ()),
            entry.object.startswith("batch.volcano.sh/"),
        )
        for path, entry in jobs
    ]


def _queue(content: bytes) -> str:
    """Return the queue of a rendered job; reading the line costs a thousandth of parsing the file."""
    found = _QUEUE.search(content)
    return found[1].decode() if found else ""


def _key(described: str) -> Key:
    namespace, _, name = described.rpartition(" ")[2].partition("/")
    return namespace, name


_APIS = {
    "Application": ("argoproj.io/", "applications"),
    "Kustomization": ("kustomize.toolkit.fluxcd.io/", "kustomizations"),
}


def _deliveries(lock: Lock) -> dict[str, tuple[str, ...]]:
    """Return the API paths of the reconcilers' objects in the tree by the folder that they bring."""
    found: dict[str, tuple[str, ...]] = {}
    for path, entry in sorted(lock.files.items()):
        version, _, rest = entry.object.partition(" ")
        kind, (namespace, name) = rest.partition(" ")[0], _key(entry.object)
        group, plural = _APIS.get(kind, ("", ""))
        if path.startswith(f"{DELIVERY}/") and group and version.startswith(group) and _are_names(namespace, name):
            folder = entry.name.rpartition("/")[2]
            found[folder] = (*found.get(folder, ()), f"/apis/{version}/namespaces/{namespace}/{plural}/{name}")
    return found


def _are_names(*names: str) -> bool:
    return all(kube.is_dns1123_subdomain(name) for name in names)


def join(jobs: Iterable[Committed], seen: ClusterState, *, has_tree: bool = True) -> list[Run]:
    """Join committed and live jobs, in time linear in both; the committed ones first, in the tree's order.

    Args:
        jobs: the committed ones.
        seen: the live ones.
        has_tree: whether there is a tree, so that a job outside of it is worth a word.
    """
    # A VolcanoJob and a Job of Kubernetes may have the same name: they are two.
    left = {(job.key, job.is_volcano): job for job in seen.jobs}
    by_label: dict[tuple[str, str, bool], list[Job]] = {}
    for job in seen.jobs:
        by_label.setdefault((job.key[0], job.run, job.is_volcano), []).append(job)
    runs: list[Run] = []
    for each in jobs:
        # The cluster names what has generateName: its label tells whose it is.
        label = (each.key[0], _run_label(each), each.is_volcano)
        named = left.get((each.key, each.is_volcano))
        own = [named] if named else by_label.get(label, []) if not each.key[1] else []
        runs += [_run(each, live, seen) for live in own] or [_run(each, None, seen)]
        for live in own:
            left.pop((live.key, live.is_volcano), None)
    others = (_run(None, job, seen) for job in sorted(left.values(), key=lambda job: job.key))
    return [*runs, *(replace(run, is_stray=has_tree) for run in others)]


def _run_label(job: Committed) -> str:
    return kube.label_value(job.identity.replace("/", "-"))


def _run(committed: Committed | None, job: Job | None, seen: ClusterState) -> Run:
    if job is None:
        return Run(committed.key if committed else ("", ""), committed)
    return Run(job.key, committed, job, seen.pods_by_job.get(job.key, ()))


def selected(runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """Return the runs that any of the names selects: a job's name, an identity, a file's path, or a pattern of these.

    Raises:
        Rejected: FT576, when a name selects none.
    """
    unknown = [name for name in names if not any(_is_named(run, name) for run in runs)]
    if unknown:
        known = sorted({run.name for run in runs})[:_SHOWN]
        how = f"one of: {', '.join(known)}" if known else "nothing is there: check -o, --repo and --namespace"
        raise Rejected([error(UNKNOWN_RUN, f"there is no run {name}", name, help=how) for name in unknown])
    return [run for run in runs if not names or any(_is_named(run, name) for name in names)]


def _is_named(run: Run, name: str) -> bool:
    own = [run.key[1], *((run.committed.identity, run.committed.path) if run.committed else ())]
    return any(each and (each == name or fnmatchcase(each, name)) for each in own)
