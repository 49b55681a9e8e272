"""State of the cluster: read by few requests, all at once, and indexed for linear joins."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.remote.cluster import objects
from ftgen.remote.cluster.fields import Key, key_of
from ftgen.remote.cluster.kubectl import DENIED, FAILED, SHAPE, UNSERVED, Kubectl, KubectlFailed, failure, list_path
from ftgen.remote.cluster.objects import (
    Claim,
    Delivery,
    Event,
    Job,
    Node,
    Pod,
    PodGroup,
    Queue,
    StorageClass,
)
from ftgen.text.lines import printable
from ftgen.text.shapes import entries

_View = TypeVar("_View")
_MANAGED = "app.kubernetes.io/managed-by=ftgen"
_AT_ONCE = 8
# Not only warnings: that a queue is full, Volcano reports as a normal event.
_ORDINARY = ("Scheduled", "Pulling", "Pulled", "Created", "Started", "ExternalProvisioning", "WaitForFirstConsumer")
_OBSTACLES = ",".join(f"reason!={reason}" for reason in _ORDINARY)
_ON_NODES = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"


class ClusterState(Struct, frozen=True, dict=True):
    """Objects of some namespaces, and of the cluster where the reader may see them.

    Attributes:
        jobs: ftgen's jobs.
        pods: their pods.
        namespaces: where these were read.
        groups: PodGroups there; a job that runs needs none.
        claims: every claim of the namespaces.
        events: what controllers reported there, but for ordinary progress.
        queues: Volcano's queues; None if they could not be read, as for the next three.
        nodes: the nodes.
        placed: the pods of all namespaces that hold a place on a node.
        classes: the storage classes.
        deliveries: reconcilers' objects that bring committed runs.
        missing_namespaces: namespaces that do not exist.
        logs: last lines of pods, by namespace and name.
        unread: what could not be read, and why.
    """

    jobs: Sequence[Job] = ()
    pods: Sequence[Pod] = ()
    namespaces: Sequence[str] = ()
    groups: Sequence[PodGroup] = ()
    claims: Sequence[Claim] | None = None
    events: Sequence[Event] = ()
    queues: Sequence[Queue] | None = None
    nodes: Sequence[Node] | None = None
    placed: Sequence[Pod] | None = None
    classes: Sequence[StorageClass] | None = None
    deliveries: Sequence[Delivery] = ()
    missing_namespaces: Collection[str] = ()
    logs: Mapping[Key, str] = field(default_factory=dict)
    unread: Sequence[Diagnostic] = ()

    @cached_property
    def pods_by_job(self) -> Mapping[Key, Sequence[Pod]]:
        """Return the pods of each job, by rank; of a Kubernetes Job, which keeps failed ones, the last of each rank."""
        ordered = sorted(self.pods, key=lambda pod: (pod.index, pod.created, pod.key))
        last = {(pod.key[0], pod.job, pod.index): pod for pod in ordered}
        kept = (pod for pod in ordered if pod.is_volcano or last[pod.key[0], pod.job, pod.index] is pod)
        return _grouped(kept, lambda pod: (pod.key[0], pod.job))

    @cached_property
    def _groups_by_job(self) -> Mapping[str, PodGroup]:
        return {group.job_uid: group for group in self.groups}

    def group_of(self, job: Job | None) -> PodGroup | None:
        """Return the PodGroup of a job; None where it has none yet."""
        return self._groups_by_job.get(job.uid) if job else None

    @cached_property
    def events_by_object(self) -> Mapping[tuple[str, Key], Sequence[Event]]:
        """Return the events by kind and key of what they are about, the last one first."""
        ordered = sorted(self.events, key=lambda event: event.last, reverse=True)
        return _grouped(ordered, lambda event: (event.kind, event.key))

    @cached_property
    def claim_by_key(self) -> Mapping[Key, Claim]:
        """Return the claims by namespace and name."""
        return {claim.key: claim for claim in self.claims or ()}

    @cached_property
    def queue_by_name(self) -> Mapping[str, Queue]:
        """Return the queues by name."""
        return {queue.name: queue for queue in self.queues or ()}

    @cached_property
    def class_by_name(self) -> Mapping[str, StorageClass]:
        """Return the storage classes by name."""
        return {each.name: each for each in self.classes or ()}

    @cached_property
    def free(self) -> Mapping[str, dict[str, Any]] | None:
        """Return what each node has left, by node and resource; None if nodes or pods could not be read."""
        if self.nodes is None or self.placed is None:
            return None
        left = {node.name: dict(node.allocatable) for node in self.nodes}
        for pod in self.placed:
            amounts = left.get(pod.node, {})
            for name in amounts.keys() & pod.shape.requests.keys():
                amounts[name] -= pod.shape.requests[name]
            if "pods" in amounts:
                amounts["pods"] -= 1
        return left


_Index = TypeVar("_Index")


def _grouped(values: Iterable[_View], key: Callable[[_View], _Index]) -> dict[_Index, list[_View]]:
    groups: dict[_Index, list[_View]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


class _Request(Struct, frozen=True):
    """Request for a list: its path, its name in messages, and the view of its items."""

    path: str
    what: str
    view: Callable[[Any], Any]


def _in(namespace: str, group: str, kind: str, what: str, view: Callable[[Any], Any], **query: str) -> _Request:
    """Return the request for the objects of a namespace; of the whole cluster where it is empty."""
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    where = f"list {what} in namespace {namespace}" if namespace else f"list {what}"
    return _Request(f"{list_path(group, kind, namespace)}{'?' if asked else ''}{asked}", where, view)


def read(kubectl: Kubectl, namespaces: Iterable[str], *, plain_jobs: bool = True) -> ClusterState:
    """Read the jobs of some namespaces with their pods.

    Args:
        kubectl: the connection.
        namespaces: their names.
        plain_jobs: whether Kubernetes' own jobs are read beside Volcano's.

    Raises:
        Rejected: FT57x, when the jobs cannot be read.
    """
    batch: dict[str, _Request] = {}
    plain, pods = [], []
    for name in sorted(set(namespaces)):
        labels = {"labelSelector": _MANAGED}
        batch[name] = _in(name, "batch.volcano.sh/v1alpha1", "jobs", "VolcanoJobs", objects.volcano_job, **labels)
        if plain_jobs:
            plain.append(_in(name, "batch/v1", "jobs", "Jobs", objects.plain_job, **labels))
        pods.append(_in(name, "v1", "pods", "pods", objects.pod, labelSelector=objects.RUN_LABEL))
    answers = _answers(kubectl, [*batch.values(), *plain, *pods])
    return ClusterState(
        [*_found(answers, [*batch.values()]), *_found(answers, plain)],
        _found(answers, pods),
        _readable(answers, batch, has_plain_jobs=bool(_found(answers, plain))),
        unread=_unread(answers),
    )


def _readable(answers: Answers, jobs: Mapping[str, _Request], *, has_plain_jobs: bool) -> list[str]:
    """Return the namespaces that the reader may look into.

    Raises:
        Rejected: there is none, or the jobs of one cannot be read for another reason than a missing right.
    """
    refused = {name: d for name, request in jobs.items() if isinstance(d := answers[request.path], Diagnostic)}
    # A cluster without Volcano may run Kubernetes' own jobs.
    others = [d for d in refused.values() if d.code != DENIED and not (d.code == UNSERVED and has_plain_jobs)]
    closed = {name for name, d in refused.items() if d.code == DENIED}
    if others or closed == jobs.keys():
        raise Rejected([*others, *refused.values()][:1])
    return [name for name in jobs if name not in closed]


def read_surroundings(
    kubectl: Kubectl, seen: ClusterState, namespaces: Iterable[str], deliveries: Iterable[str]
) -> ClusterState:
    """Read what keeps a job from running: its gang, events, claims, queues, nodes, and the pods on them.

    Args:
        kubectl: the connection.
        seen: what was read already.
        namespaces: where jobs wait.
        deliveries: paths of the reconcilers' objects that bring runs which do not exist.
    """
    names = sorted(set(namespaces))
    gangs = "scheduling.volcano.sh/v1beta1", "podgroups", "PodGroups", objects.pod_group
    groups = [_in(n, *gangs, labelSelector=_MANAGED) for n in names]
    claims = [_in(n, "v1", "persistentvolumeclaims", "claims", objects.claim) for n in names]
    events = [_in(n, "v1", "events", "events", objects.event, fieldSelector=_OBSTACLES) for n in names]
    queues = _in("", "scheduling.volcano.sh/v1beta1", "queues", "queues", objects.queue)
    nodes = _in("", "v1", "nodes", "nodes", objects.node)
    placed = _placed_elsewhere(seen.namespaces)
    classes = _in("", "storage.k8s.io/v1", "storageclasses", "storage classes", objects.storage_class)
    empty = set(names) - {job.key[0] for job in seen.jobs}
    spaces = {n: _Request(f"/api/v1/namespaces/{quote(n, safe='')}", "", key_of) for n in sorted(empty)}
    paths = [_Request(path, "", objects.delivery) for path in sorted(set(deliveries))]
    answers = _answers(kubectl, [*groups, *claims, *events, queues, nodes, *placed, classes, *spaces.values(), *paths])
    shown = {
        path: answer for path, answer in answers.items() if path not in {r.path for r in (*spaces.values(), *paths)}
    }
    return replace(
        seen,
        groups=_found(answers, groups),
        claims=None if _is_refused(answers, claims) else _found(answers, claims),
        events=_found(answers, events),
        queues=_list(answers, queues),
        nodes=_list(answers, nodes),
        placed=None if _is_refused(answers, placed) else [*_found(answers, placed), *filter(_is_placed, seen.pods)],
        classes=_list(answers, classes),
        deliveries=_found(answers, paths),
        missing_namespaces=[n for n, request in spaces.items() if _is_missing(answers[request.path])],
        unread=[*seen.unread, *_unread(shown)],
    )


def _placed_elsewhere(namespaces: Iterable[str]) -> list[_Request]:
    """Return the requests for the pods on nodes but for those of runs that were read already, often most of them."""
    others = ",".join([_ON_NODES, *(f"metadata.namespace!={name}" for name in namespaces)])
    what, label = "pods of all namespaces", objects.RUN_LABEL
    return [
        _in("", "v1", "pods", what, objects.pod, labelSelector=f"!{label}", fieldSelector=_ON_NODES),
        _in("", "v1", "pods", what, objects.pod, labelSelector=label, fieldSelector=others),
    ]


def _is_placed(pod: Pod) -> bool:
    return bool(pod.node) and pod.phase not in {"Succeeded", "Failed"}


Answers = Mapping[str, "Sequence[Any] | Diagnostic"]


def _answers(kubectl: Kubectl, requests: Sequence[_Request]) -> Answers:
    with _uncollected(), ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda request: _answer(kubectl, request), requests)
        return dict(zip((request.path for request in requests), answers, strict=True))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the collector of cycles, of which JSON has none: for a thousand jobs it takes a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _answer(kubectl: Kubectl, request: _Request) -> Sequence[Any] | Diagnostic:
    """Return the views of a list, or of a single object; or why it could not be read."""
    try:
        answer = kubectl.get(request.path)
    except KubectlFailed as problem:
        return failure(problem, request.what, "kubectl")
    if not isinstance(answer, dict):
        return _not_a_list(request)
    if not str(answer.get("kind", "")).endswith("List"):
        return [request.view(answer)] if "metadata" in answer and not request.what else _not_a_list(request)
    if not isinstance(answer.get("items"), list):
        return _not_a_list(request)
    return [request.view(body) for _, body in entries(answer["items"])]


def _not_a_list(request: _Request) -> Diagnostic:
    how = f"look at it: `kubectl get --raw '{request.path}'`; a proxy, or another program, may stand between"
    return error(SHAPE, "the API server's answer has not the shape of its kind", "kubectl", request.path, help=how)


def _found(answers: Answers, requests: Sequence[_Request]) -> list[Any]:
    return [view for request in requests for view in _list(answers, request) or ()]


def _list(answers: Answers, request: _Request) -> Sequence[Any] | None:
    answer = answers[request.path]
    return None if isinstance(answer, Diagnostic) else answer


def _is_refused(answers: Answers, requests: Sequence[_Request]) -> bool:
    return any(isinstance(answers[request.path], Diagnostic) for request in requests)


def _is_missing(answer: Sequence[Any] | Diagnostic) -> bool:
    return isinstance(answer, Diagnostic) and "(NotFound)" in answer.headline


def _unread(answers: Answers) -> list[Diagnostic]:
    """Return why some lists could not be read; each right and kind once, as namespaces tend to be alike."""
    return list({d.headline: d for d in answers.values() if isinstance(d, Diagnostic)}.values())


_TAIL = "tailLines=200&limitBytes=65536"


def read_logs(kubectl: Kubectl, pods: Iterable[Pod]) -> tuple[Mapping[Key, str], list[Diagnostic]]:
    """Return the last lines of some pods, of the container that failed, else of the main one; and why one has none."""
    asked = list(pods)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        texts = list(pool.map(lambda pod: _log(kubectl, pod), asked))
    found = {pod.key: text for pod, text in zip(asked, texts, strict=True) if isinstance(text, str)}
    refused = [text for text in texts if isinstance(text, Diagnostic)]
    return found, refused[:1]


def _log(kubectl: Kubectl, pod: Pod) -> str | Diagnostic:
    container = pod.speaker
    namespace, name = (quote(part, safe="") for part in pod.key)
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/log?container={quote(container, safe='')}&{_TAIL}"
    try:
        return kubectl.run("get", "--raw", path).decode("utf-8", "replace")
    except KubectlFailed as problem:
        refused = failure(problem, f"read the log of pod {pod.key[1]}", "kubectl")
        return refused if refused.code == DENIED else _no_log(problem, pod)


def _no_log(problem: KubectlFailed, pod: Pod) -> Diagnostic:
    """Return that a log cannot be read: its node's kubelet must answer, not only the API server."""
    headline = f"the log of pod {pod.key[1]} cannot be read: {printable(problem.message)}"
    how = f"let an administrator look at node {pod.node}; `kubectl logs -n {pod.key[0]} {pod.key[1]}` tries again"
    return error(FAILED, headline, "kubectl", help=how)
