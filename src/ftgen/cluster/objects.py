"""Typed views of the cluster's objects: every field has a value, whatever the server sent.

A value of the wrong shape reads as absent, and texts hold no control characters, because they end on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from ftgen.text.lines import printable
from ftgen.validation.manifest import amount, entries, integer, mapping, strings
from ftgen.validation.rules.lint.devices import counts_cards

Object = Mapping[str, Any]
Amounts = Mapping[str, Fraction]
Key = tuple[str, str]
"""Namespace and name."""

RUN_LABEL = "ftgen.dev/run"
FOLDER_LABEL = "app.kubernetes.io/part-of"
_JOB_LABELS = ("volcano.sh/job-name", "batch.kubernetes.io/job-name", "job-name")
_INDEX_LABELS = ("volcano.sh/task-index", "batch.kubernetes.io/job-completion-index")
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
NEVER = datetime.fromtimestamp(0, UTC)


_LONGEST_MESSAGE = 4096


def text(value: object) -> str:
    """Return a text on one line; empty where the value is no text."""
    return printable(value) if isinstance(value, str) else ""


def _message(value: object) -> str:
    """Return a message on one line, long enough to hold an error inside of others."""
    return printable(value, _LONGEST_MESSAGE) if isinstance(value, str) else ""


def _moment(value: object) -> datetime:
    """Return a point in time; `NEVER` where the value is none."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else NEVER
    except ValueError:
        return NEVER
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _metadata(body: Object) -> dict[str, Any]:
    return mapping(body.get("metadata"))


def key_of(body: Object) -> Key:
    """Return namespace and name of an object."""
    metadata = _metadata(body)
    return text(metadata.get("namespace")), text(metadata.get("name"))


def _label(body: Object, *names: str) -> str:
    labels = mapping(_metadata(body).get("labels"))
    return next((text(labels[name]) for name in names if name in labels), "")


def _annotation(body: Object, *names: str) -> str:
    annotations = mapping(_metadata(body).get("annotations"))
    return next((text(annotations[name]) for name in names if name in annotations), "")


def _amounts(value: object) -> dict[str, Fraction]:
    read = ((str(name), amount(quantity)) for name, quantity in mapping(value).items())
    return {name: quantity for name, quantity in read if quantity is not None}


def _texts(value: object) -> dict[str, str]:
    return {str(name): text(content) for name, content in mapping(value).items()}


@dataclass(frozen=True, slots=True)
class Condition:
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
            _message(body.get("message")),
        )
        for _, body in entries(status.get("conditions"))
    )


@dataclass(frozen=True, slots=True)
class Requirement:
    """Requirement on a label of nodes, as in a node affinity."""

    key: str
    operator: str
    values: tuple[str, ...]

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node's labels meet it; numbers (`Gt`, `Lt`) compare as the scheduler does."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return _compares(value, self.values, self.operator)
            case _:
                return True

    def __str__(self) -> str:
        shown = {"In": "=", "NotIn": "!=", "Gt": ">", "Lt": "<"}.get(self.operator)
        return f"{self.key}{shown}{'|'.join(self.values)}" if shown else f"{self.key} {self.operator}"


def _compares(value: str | None, bounds: Sequence[str], operator: str) -> bool:
    try:
        number, bound = int(value or ""), int(bounds[0])
    except (ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound


@dataclass(frozen=True, slots=True)
class Toleration:
    """Toleration of a taint."""

    key: str
    operator: str
    value: str
    effect: str

    def accepts(self, taint: Taint) -> bool:
        """Return whether a pod with it may go to a node with the taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.operator == "Exists":
            return not self.key or self.key == taint.key
        return self.key == taint.key and self.value == taint.value


@dataclass(frozen=True, slots=True)
class Taint:
    """Taint of a node that keeps pods away."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class PodShape:
    """What a pod asks of a node.

    Attributes:
        requests: amounts by resource.
        card: the resource that counts its cards; empty where it asks for none.
        selector: requirements that all have to hold.
        alternatives: lists of requirements, of which one has to hold; empty where any node does.
        tolerations: tolerated taints.
        claims: names of claims; those of a pod that exists with its own.
        one_per_node: whether two pods of the run never share a node.
    """

    requests: Amounts = field(default_factory=dict)
    card: str = ""
    selector: tuple[Requirement, ...] = ()
    alternatives: tuple[tuple[Requirement, ...], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    claims: tuple[str, ...] = ()
    one_per_node: bool = False

    @property
    def cards(self) -> int:
        """Return the number of cards."""
        return int(self.requests.get(self.card, 0))


def shape_of(spec: Object, pod_name: str = "", more_claims: Sequence[str] = ()) -> PodShape:
    """Return what a pod's spec, or a template's, asks of a node."""
    affinity = mapping(spec.get("affinity"))
    requests = _requests(spec)
    return PodShape(
        requests,
        next((name for name in requests if counts_cards(name)), ""),
        tuple(Requirement(key, "In", (value,)) for key, value in _texts(spec.get("nodeSelector")).items()),
        _alternatives(affinity),
        tuple(
            Toleration(*(text(body.get(name)) for name in ("key", "operator", "value", "effect")))
            for _, body in entries(spec.get("tolerations"))
        ),
        (*_claims(spec, pod_name), *more_claims),
        _is_alone(affinity),
    )


def _requests(spec: Object) -> dict[str, Fraction]:
    """Return the sum of the containers, or what an init container needs where that is more; limits stand in."""
    total: dict[str, Fraction] = {}
    for _, body in entries(spec.get("containers")):
        for name, quantity in _of_container(body).items():
            total[name] = total.get(name, Fraction(0)) + quantity
    for _, body in entries(spec.get("initContainers")):
        for name, quantity in _of_container(body).items():
            total[name] = max(total.get(name, Fraction(0)), quantity)
    return total


def _of_container(body: Object) -> dict[str, Fraction]:
    resources = mapping(body.get("resources"))
    return _amounts(resources.get("limits")) | _amounts(resources.get("requests"))


def _alternatives(affinity: Object) -> tuple[tuple[Requirement, ...], ...]:
    required = mapping(mapping(affinity.get("nodeAffinity")).get("requiredDuringSchedulingIgnoredDuringExecution"))
    return tuple(
        tuple(
            Requirement(text(body.get("key")), text(body.get("operator")), tuple(strings(body.get("values"))))
            for _, body in entries(term.get("matchExpressions"))
        )
        for _, term in entries(required.get("nodeSelectorTerms"))
    )


def _is_alone(affinity: Object) -> bool:
    apart = mapping(affinity.get("podAntiAffinity")).get("requiredDuringSchedulingIgnoredDuringExecution")
    return any(term.get("topologyKey") == "kubernetes.io/hostname" for _, term in entries(apart))


def _claims(spec: Object, pod_name: str) -> Iterator[str]:
    for _, volume in entries(spec.get("volumes")):
        if claim := text(mapping(volume.get("persistentVolumeClaim")).get("claimName")):
            yield claim
        if pod_name and isinstance(volume.get("ephemeral"), dict):
            yield f"{pod_name}-{text(volume.get('name'))}"


@dataclass(frozen=True, slots=True)
class Job:
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
        text(_metadata(body).get("uid")),
        _label(body, RUN_LABEL),
        _label(body, FOLDER_LABEL),
        text(state.get("phase")),
        _message(state.get("message")) or text(state.get("reason")),
        _moment(_metadata(body).get("creationTimestamp")),
        text(spec.get("queue")) or "default",
        sum(integer(task.get("replicas")) for task in tasks),
        integer(status.get("retryCount")),
        shape_of(template, more_claims=[claim for claim in claims if claim]),
        text(spec.get("priorityClassName")),
    )


def plain_job(body: Object) -> Job:
    """Return the view of a Kubernetes Job, with its conditions in Volcano's words."""
    spec, status = mapping(body.get("spec")), mapping(body.get("status"))
    template = mapping(mapping(spec.get("template")).get("spec"))
    ended = next((c for c in _conditions(status) if c.holds and c.type in {"Complete", "Failed", "Suspended"}), None)
    words = {"Complete": "Completed", "Failed": "Failed", "Suspended": "Aborted"}
    running = "Running" if integer(status.get("ready")) else "Pending"
    return Job(
        key_of(body),
        text(_metadata(body).get("uid")),
        _label(body, RUN_LABEL) or _label(mapping(spec.get("template")), RUN_LABEL),
        _label(body, FOLDER_LABEL),
        words[ended.type] if ended else running,
        ended.message if ended else "",
        _moment(_metadata(body).get("creationTimestamp")),
        "",
        integer(spec.get("parallelism")) or 1,
        integer(status.get("failed")),
        shape_of(template),
        text(template.get("priorityClassName")),
    )


@dataclass(frozen=True, slots=True)
class Container:
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


@dataclass(frozen=True, slots=True)
class Pod:
    """Live pod.

    Attributes:
        key: namespace and name.
        job: name of its job.
        index: its rank in the task.
        node: name of its node; empty before it has one.
        phase: Kubernetes' word.
        reason: why it is in that phase, such as `Evicted`.
        message: the same in words.
        is_ending: whether it is being deleted.
        shape: what it asks for.
        scheduled: its condition of that name.
        containers: init containers first.
    """

    key: Key
    job: str
    index: int
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
        """Return the name of the container whose log matters: the failed one, else the last that was started."""
        started = [each.name for each in self.containers if each.state in {"running", "terminated"}]
        return self.failed_container.name if self.failed_container else (started or [""])[-1]


def pod(body: Object) -> Pod:
    """Return the view of a pod."""
    spec, status, key = mapping(body.get("spec")), mapping(body.get("status")), key_of(body)
    index = _label(body, *_INDEX_LABELS)
    return Pod(
        key,
        _label(body, *_JOB_LABELS),
        int(index) if index.isascii() and index.isdigit() and len(index) < 10 else 0,  # noqa: PLR2004 - an int32
        text(spec.get("nodeName")),
        text(status.get("phase")),
        text(status.get("reason")),
        _message(status.get("message")),
        "deletionTimestamp" in _metadata(body),
        shape_of(spec, key[1]),
        next((c for c in _conditions(status) if c.type == "PodScheduled"), None),
        tuple(_containers(status)),
    )


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
                _message(state.get("message")),
                integer(state.get("exitCode")),
                integer(body.get("restartCount")),
            )


@dataclass(frozen=True, slots=True)
class PodGroup:
    """Volcano's gang of one job: `phase` is Pending until the queue lets it in."""

    key: Key
    job_uid: str
    phase: str
    min_resources: Amounts
    conditions: tuple[Condition, ...]


def pod_group(body: Object) -> PodGroup:
    """Return the view of a PodGroup."""
    status = mapping(body.get("status"))
    owners = [text(owner.get("uid")) for _, owner in entries(_metadata(body).get("ownerReferences"))]
    return PodGroup(
        key_of(body),
        owners[0] if owners else "",
        text(status.get("phase")),
        _amounts(mapping(body.get("spec")).get("minResources")),
        _conditions(status),
    )


@dataclass(frozen=True, slots=True)
class Claim:
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
        _annotation(body, *_PROVISIONERS),
        _annotation(body, _SELECTED_NODE),
    )


@dataclass(frozen=True, slots=True)
class StorageClass:
    """StorageClass: `waits` says that a volume is made only once its pod has a node."""

    name: str
    provisioner: str
    waits: bool


def storage_class(body: Object) -> StorageClass:
    """Return the view of a StorageClass."""
    waits = body.get("volumeBindingMode") == "WaitForFirstConsumer"
    return StorageClass(key_of(body)[1], text(body.get("provisioner")), waits)


@dataclass(frozen=True, slots=True)
class Event:
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
    last = next((moment for value in times if (moment := _moment(value)) != NEVER), NEVER)
    key = (text(about.get("namespace")), text(about.get("name")))
    return Event(text(about.get("kind")), key, text(body.get("reason")), _message(body.get("message")), last)


@dataclass(frozen=True, slots=True)
class Queue:
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
        _amounts(mapping(body.get("spec")).get("capability")),
        _amounts(status.get("allocated")),
    )


@dataclass(frozen=True, slots=True)
class Node:
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
        _texts(_metadata(body).get("labels")),
        tuple(t for t in taints if t.effect != "PreferNoSchedule" and not t.key.startswith("node.kubernetes.io/")),
        _amounts(status.get("allocatable")),
        ready and spec.get("unschedulable") is not True,
    )


@dataclass(frozen=True, slots=True)
class Delivery:
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
    failed = operation.get("phase") in {"Failed", "Error"}
    unready = next((c.message for c in _conditions(status) if c.type == "Ready" and not c.holds), "")
    problems = next((c.message for c in _conditions(status) if c.type.endswith("Error")), "")
    return Delivery(
        key_of(body),
        text(body.get("kind")),
        (_message(operation.get("message")) if failed else "") or unready or problems,
        {text(r.get("name")): _message(r.get("message")) for r in results if r.get("status") == "SyncFailed"},
    )
