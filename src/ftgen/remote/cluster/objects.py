"""Typed views of the cluster's objects: every field has a value, whatever the server sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from ftgen.emulation.placement import Taint
from ftgen.remote.cluster.fields import (
    NEVER,
    Amounts,
    Key,
    Object,
    annotation,
    count,
    key_of,
    label,
    message,
    metadata,
    moment,
    text,
    texts,
)
from ftgen.remote.cluster.shape import PodShape, shape_of
from ftgen.text import kube
from ftgen.text.shapes import amounts, entries, mapping

RUN_LABEL = "ftgen.dev/run"
FOLDER_LABEL = "app.kubernetes.io/part-of"
_JOB_LABELS = ("volcano.sh/job-name", "batch.kubernetes.io/job-name", "job-name")
_INDEX_LABELS = ("volcano.sh/task-index", "batch.kubernetes.io/job-completion-index")
_TRAINS = "train"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")


class Condition(Struct, frozen=True):
    """Condition of an object: whether its type holds, and why."""

    type: str
    holds: bool
    reason: str
    message: str


def _conditions(status: Object) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            text(body.get("type")),
            body.get("status") == "True",
            text(body.get("reason")),
            message(body.get("message")),
        )
        for _, body in entries(status.get("conditions"))
    )


class Tracking(Struct, frozen=True):
    """MLflow experiment that a job reports to; `workspace` is empty for the server's default."""

    experiment: str
    workspace: str


def _tracking(template: Object) -> Tracking | None:
    """Return where the containers of a pod report to; None for one that names no MLflow server."""
    for _, container in entries(template.get("containers")):
        values = {text(each.get("name")): text(each.get("value")) for _, each in entries(container.get("env"))}
        if values.get("MLFLOW_TRACKING_URI") and (experiment := values.get("MLFLOW_EXPERIMENT_NAME")):
            workspace = values.get("MLFLOW_WORKSPACE", "")
            return Tracking(experiment, workspace if kube.is_label_value(workspace) else "")
    return None


class Job(Struct, frozen=True):
    """Live job, Volcano's or Kubernetes' own.

    Attributes:
        key: namespace and name.
        uid: its identifier.
        run: label of its run.
        folder: label of the run's folder.
        phase: Volcano's word; empty before the controller has seen the job.
        message: the controller's words on the phase.
        created: when it was created.
        queue: its queue; empty for Kubernetes' own.
        pods: number of pods that it wants.
        restarts: how often it was started again.
        shape: what its first task's pods ask for.
        priority_class: name of its priority class.
        tracking: where it reports to MLflow; None if it does not.
    """

    key: Key
    uid: str
    run: str
    folder: str
    phase: str
    message: str
    created: datetime
    queue: str
    pods: int
    restarts: int
    shape: PodShape
    priority_class: str
    tracking: Tracking | None

    @property
    def is_volcano(self) -> bool:
        """Return whether Volcano runs it; Kubernetes' own jobs have no queue."""
        return bool(self.queue)


def volcano_job(body: Object) -> Job:
    """Return the view of a VolcanoJob."""
    spec, status = mapping(body.get("spec")), mapping(body.get("status"))
    state, tasks = mapping(status.get("state")), [task for _, task in entries(spec.get("tasks"))]
    claims = [text(volume.get("volumeClaimName")) for _, volume in entries(spec.get("volumes"))]
    template = mapping(mapping(tasks[0].get("template")).get("spec")) if tasks else {}
    return Job(
        key_of(body),
        text(metadata(body).get("uid")),
        label(body, RUN_LABEL),
        label(body, FOLDER_LABEL),
        text(state.get("phase")),
        message(state.get("message")) or text(state.get("reason")),
        moment(metadata(body).get("creationTimestamp")),
        text(spec.get("queue")) or "default",
        sum(count(task.get("replicas")) for task in tasks),
        count(status.get("retryCount")),
        shape_of(template, more_claims=[claim for claim in claims if claim]),
        text(spec.get("priorityClassName")),
        _tracking(template),
    )


def plain_job(body: Object) -> Job:
    """Return the view of a Kubernetes Job, with its conditions in Volcano's words."""
    spec, status = mapping(body.get("spec")), mapping(body.get("status"))
    template = mapping(mapping(spec.get("template")).get("spec"))
    ended = next((c for c in _conditions(status) if c.holds and c.type in {"Complete", "Failed", "Suspended"}), None)
    words = {"Complete": "Completed", "Failed": "Failed", "Suspended": "Aborted"}
    running = "Running" if count(status.get("ready")) else "Pending"
    wanted = count(spec.get("parallelism")) or 1
    return Job(
        key_of(body),
        text(metadata(body).get("uid")),
        label(body, RUN_LABEL) or label(mapping(spec.get("template")), RUN_LABEL),
        label(body, FOLDER_LABEL),
        words[ended.type] if ended else running,
        ended.message if ended else "",
        moment(metadata(body).get("creationTimestamp")),
        "",
        wanted,
        _retries(status, wanted),
        shape_of(template),
        text(template.get("priorityClassName")),
        _tracking(template),
    )


def _retries(status: Object, wanted: int) -> int:
    """Return how many pods of a Kubernetes Job took another's place; it counts those that failed, the last one, too."""
    return max(0, sum(count(status.get(name)) for name in ("failed", "active", "succeeded")) - wanted)


class Container(Struct, frozen=True):
    """Container of a live pod: `state` is `waiting`, `running`, `terminated` or empty."""

    name: str
    init: bool
    state: str
    reason: str
    message: str
    exit_code: int
    restarts: int

    @property
    def has_failed(self) -> bool:
        """Return whether it ended with an error."""
        return self.state == "terminated" and self.exit_code != 0


class Pod(Struct, frozen=True):
    """Live pod.

    Attributes:
        key: namespace and name.
        job: name of its job.
        is_volcano: whether that is a VolcanoJob.
        index: its rank in the task.
        created: when it was created.
        node: name of its node; empty before it has one.
        phase: Kubernetes' word.
        reason: why it is in that phase, such as `Evicted`.
        message: the same in words.
        is_ending: whether it is being deleted.
        shape: what it asks for.
        scheduled: its condition of that name.
        containers: init containers first, then the one that trains.
    """

    key: Key
    job: str
    is_volcano: bool
    index: int
    created: datetime
    node: str
    phase: str
    reason: str
    message: str
    is_ending: bool
    shape: PodShape
    scheduled: Condition | None
    containers: tuple[Container, ...]

    @property
    def failed_container(self) -> Container | None:
        """Return the first container that ended with an error."""
        return next((container for container in self.containers if container.has_failed), None)

    @property
    def speaker(self) -> str:
        """Return the name of the container whose log matters: the one that trains, before it the last of the others.

        A sidecar, which sites inject, speaks only where it failed and nothing trains.
        """
        started = [each for each in self.containers if each.state in {"running", "terminated"}]
        main = next((each for each in started if not each.init), None)
        if main is not None and main.state == "running":
            return main.name
        return (self.failed_container or main or (started[-1] if started else _NOBODY)).name


_NOBODY = Container("", False, "", "", "", 0, 0)


def pod(body: Object) -> Pod:
    """Return the view of a pod."""
    spec, status, key = mapping(body.get("spec")), mapping(body.get("status")), key_of(body)
    index, main = label(body, *_INDEX_LABELS), _main(spec)
    return Pod(
        key,
        label(body, *_JOB_LABELS),
        bool(label(body, _JOB_LABELS[0])),
        int(index) if index.isascii() and index.isdigit() and len(index) < 10 else 0,  # noqa: PLR2004 - an int32
        moment(metadata(body).get("creationTimestamp")),
        text(spec.get("nodeName")),
        text(status.get("phase")),
        text(status.get("reason")),
        message(status.get("message")),
        "deletionTimestamp" in metadata(body),
        shape_of(spec, key[1]),
        next((c for c in _conditions(status) if c.type == "PodScheduled"), None),
        tuple(sorted(_containers(status), key=lambda each: (not each.init, not each.init and each.name != main))),
    )


def _main(spec: Object) -> str:
    """Return the container that trains: ftgen's own, else the first; the kubelet sorts states by name."""
    names = [text(body.get("name")) for _, body in entries(spec.get("containers"))]
    return _TRAINS if _TRAINS in names else (names or [""])[0]


def _containers(status: Object) -> Iterator[Container]:
    for name in ("initContainerStatuses", "containerStatuses"):
        for _, body in entries(status.get(name)):
            states = mapping(body.get("state"))
            kind = next((kind for kind in ("waiting", "running", "terminated") if kind in states), "")
            state = mapping(states.get(kind))
            yield Container(
                text(body.get("name")),
                name.startswith("init"),
                kind,
                text(state.get("reason")),
                message(state.get("message")),
                count(state.get("exitCode")),
                count(body.get("restartCount")),
            )


class PodGroup(Struct, frozen=True):
    """Volcano's gang of one job: `phase` is Pending until the queue lets it in."""

    key: Key
    job_uid: str
    phase: str
    min_resources: Amounts
    conditions: tuple[Condition, ...]


def pod_group(body: Object) -> PodGroup:
    """Return the view of a PodGroup."""
    status = mapping(body.get("status"))
    owners = [text(owner.get("uid")) for _, owner in entries(metadata(body).get("ownerReferences"))]
    return PodGroup(
        key_of(body),
        owners[0] if owners else "",
        text(status.get("phase")),
        amounts(mapping(body.get("spec")).get("minResources")),
        _conditions(status),
    )


class Claim(Struct, frozen=True):
    """PersistentVolumeClaim: `node` is where its pod was placed, for volumes that are made there."""

    key: Key
    phase: str
    storage_class: str | None
    provisioner: str
    node: str


def claim(body: Object) -> Claim:
    """Return the view of a PersistentVolumeClaim."""
    name = mapping(body.get("spec")).get("storageClassName")
    return Claim(
        key_of(body),
        text(mapping(body.get("status")).get("phase")),
        text(name) if isinstance(name, str) else None,
        annotation(body, *_PROVISIONERS),
        annotation(body, _SELECTED_NODE),
    )


class StorageClass(Struct, frozen=True):
    """StorageClass: `waits` says that a volume is made only once its pod has a node."""

    name: str
    provisioner: str
    waits: bool


def storage_class(body: Object) -> StorageClass:
    """Return the view of a StorageClass."""
    waits = body.get("volumeBindingMode") == "WaitForFirstConsumer"
    return StorageClass(key_of(body)[1], text(body.get("provisioner")), waits)


class Event(Struct, frozen=True):
    """Event: something that a controller reports of an object."""

    kind: str
    key: Key
    reason: str
    message: str
    last: datetime


def event(body: Object) -> Event:
    """Return the view of an Event."""
    about = mapping(body.get("involvedObject"))
    series = mapping(body.get("series"))
    times = (series.get("lastObservedTime"), body.get("lastTimestamp"), body.get("eventTime"))
    last = next((read for value in times if (read := moment(value)) != NEVER), NEVER)
    key = (text(about.get("namespace")), text(about.get("name")))
    return Event(text(about.get("kind")), key, text(body.get("reason")), message(body.get("message")), last)


class Queue(Struct, frozen=True):
    """Volcano's queue: a resource that `capability` does not name is not limited."""

    name: str
    state: str
    capability: Amounts
    allocated: Amounts


def queue(body: Object) -> Queue:
    """Return the view of a Queue."""
    status = mapping(body.get("status"))
    return Queue(
        key_of(body)[1],
        text(status.get("state")),
        amounts(mapping(body.get("spec")).get("capability")),
        amounts(status.get("allocated")),
    )


class Node(Struct, frozen=True):
    """Node: `is_open` unless it is cordoned or not ready."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Amounts
    is_open: bool


def node(body: Object) -> Node:
    """Return the view of a Node, without taints that merely prefer no pods or repeat its state."""
    spec, status = mapping(body.get("spec")), mapping(body.get("status"))
    ready = any(c.type == "Ready" and c.holds for c in _conditions(status))
    taints = [
        Taint(*(text(taint.get(name)) for name in ("key", "value", "effect")))
        for _, taint in entries(spec.get("taints"))
    ]
    return Node(
        key_of(body)[1],
        texts(metadata(body).get("labels")),
        tuple(t for t in taints if t.effect != "PreferNoSchedule" and not t.key.startswith("node.kubernetes.io/")),
        amounts(status.get("allocatable")),
        ready and spec.get("unschedulable") is not True,
    )


class Delivery(Struct, frozen=True):
    """Object of a reconciler: Argo CD's Application, Flux's Kustomization.

    Attributes:
        key: namespace and name.
        kind: its kind.
        message: why it could not apply everything; empty if it did.
        refused: what it says of single objects, by their names.
    """

    key: Key
    kind: str
    message: str
    refused: Mapping[str, str]


def delivery(body: Object) -> Delivery:
    """Return the view of an Application or a Kustomization."""
    status = mapping(body.get("status"))
    operation = mapping(status.get("operationState"))
    results = [result for _, result in entries(mapping(operation.get("syncResult")).get("resources"))]
    failed = text(operation.get("phase")) in {"Failed", "Error"}
    unready = next((c.message for c in _conditions(status) if c.type == "Ready" and not c.holds), "")
    problems = next((c.message for c in _conditions(status) if c.type.endswith("Error")), "")
    return Delivery(
        key_of(body),
        text(body.get("kind")),
        (message(operation.get("message")) if failed else "") or unready or problems,
        {text(r.get("name")): message(r.get("message")) for r in results if r.get("status") == "SyncFailed"},
    )
