"""Rules over the nodes of a cluster: whether one of them can hold a pod, and all of them the gang.

What runs there is not saved: a node counts as empty.  A cluster that adds nodes by itself has more than were saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from ftgen.diagnostics import Location, Severity
from ftgen.text.paths import child
from ftgen.text.shapes import mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.inventory import Node
from ftgen.validation.manifest import Job, Task
from ftgen.validation.rules import CAPACITY
from ftgen.validation.rules.capacity import demand
from ftgen.validation.rules.capacity.demand import Gang, quantity
from ftgen.validation.rules.capacity.fit import Fit, fits, selects, untolerated

_SHOWN = 3


def _fits(job: Job, context: Context) -> Sequence[Fit]:
    return fits(job, context.saved("Node"))


@rule("FT605", "no-node-with-the-labels", on=CAPACITY)
def no_node_with_the_labels(job: Job, context: Context) -> Iterator[Finding]:
    """No node of the cluster has the name and labels that a pod requires.

    Node name, node selector and required node affinity exclude every node: the job waits for ever.

    Refused: `nodeSelector: {gpu: h200}` where nodes are labelled `gpu: h100`.
    Write: a label that a node has.
    """
    for fit in _fits(job, context):
        if not fit.selected:
            path, value = _requirement(fit.task, fit.inventory.nodes)
            what = value or "what its selector and affinity name together"
            headline = f"a pod of {fit.task.name} requires {what}, and no node has it"
            places = tuple(node.saved.at("metadata", "labels") for node in fit.inventory.nodes[:1])
            yield Finding(headline, path, value, _instead(value, fit.inventory.nodes), related=places)


def _instead(value: str, nodes: Iterable[Node]) -> str:
    """Return a remedy that names what the nodes have in place of a label."""
    key = value.partition("=")[0]
    there = sorted({label for node in nodes if (label := node.labels.get(key))})
    has = f"the nodes have {key}={', '.join(there[:_SHOWN])}" if there else f"no node has a label {key}"
    return has if key else "require labels that one node has together"


def _requirement(task: Task, nodes: Iterable[Node]) -> tuple[str, str]:
    """Return path and value of the requirement that no node meets by itself, else of the selector as a whole."""
    spec, path = task.pod.spec, task.pod.spec_path
    if name := text(spec.get("nodeName")):
        return f"{path}.nodeName", name
    for key, value in mapping(spec.get("nodeSelector")).items():
        if all(node.labels.get(key) != value for node in nodes):
            return child(f"{path}.nodeSelector", key), f"{key}={value}"
    affinity = {"affinity": spec.get("affinity")}
    by_affinity = all(not selects(affinity, node) for node in nodes)
    return f"{path}.affinity.nodeAffinity" if by_affinity else f"{path}.nodeSelector", ""


@rule("FT606", "no-node-that-is-tolerated", on=CAPACITY)
def no_node_that_is_tolerated(job: Job, context: Context) -> Iterator[Finding]:
    """Every node that could hold a pod has a taint that the pod does not tolerate, or is cordoned.

    Taints with the effect NoSchedule or NoExecute keep pods away until someone removes them. Where only cordoned nodes
    (`kubectl cordon`) are left, the job waits until one is released. Taints that Kubernetes sets by a node's condition
    are not counted.

    Refused: eight cards where the nodes with cards are tainted `nvidia.com/gpu:NoSchedule`.
    Write: `tolerations: [{key: nvidia.com/gpu, operator: Exists}]`.
    """
    for fit in _fits(job, context):
        path = f"{fit.task.pod.spec_path}.tolerations"
        if fit.roomy and not fit.tolerated:
            keys = list(dict.fromkeys(key for node in fit.roomy for key in untolerated(fit.task.pod.spec, node)))
            headline = (
                f"a pod of {fit.task.name} fits on {_names(fit.roomy)}, and does not tolerate {' and '.join(keys)}"
            )
            places = tuple(node.saved.at("spec", "taints") for node in fit.roomy[:1])
            yield Finding(headline, path, keys[0], f"tolerate {keys[0]}", related=places)
        elif fit.tolerated and not fit.ready:
            headline = f"a pod of {fit.task.name} fits on cordoned nodes only, {_names(fit.tolerated)}: it waits"
            help_ = f"release one: kubectl uncordon {fit.tolerated[0].name}"
            places = tuple(node.saved.at("spec", "unschedulable") for node in fit.tolerated[:1])
            yield Finding(headline, path, "", help_, Severity.WARNING, places)


@rule("FT607", "no-node-with-room", on=CAPACITY)
def no_node_with_room(job: Job, context: Context) -> Iterator[Finding]:
    """No node has enough of a resource for one pod, even when it is empty.

    A pod lies on one node. What nodes offer is their `status.allocatable`, less than their capacity. Only nodes with
    the labels that the pod requires are counted.

    Refused: 16 cards for one pod where each node has 8.
    Write: `hardware.nodes=2 hardware.devices=8`, or what one node has.
    """
    for fit in _fits(job, context):
        if fit.selected and not fit.roomy:
            yield _without_room(fit)


def _without_room(fit: Fit) -> Finding:
    which = "node that its labels leave" if len(fit.selected) < len(fit.inventory.nodes) else "node"
    short = fit.short()
    if not short:
        asked = ", ".join(f"{quantity(name, value)} {name}" for name, value in fit.requests.items() if name != "pods")
        headline = f"no {which} has all of {asked} together for a pod of {fit.task.name}"
        return Finding(
            headline, demand.path_of(fit.task.pod, "cpu"), "", "ask for less", related=_places(fit.selected, "")
        )
    name = max(short, key=lambda each: ("/" in each, each))
    asked, most = (quantity(name, value) for value in (fit.requests[name], fit.most(name, fit.selected)))
    headline = f"a pod of {fit.task.name} asks for {asked} of {name}; no {which} has more than {most}"
    help_ = f"ask for at most {most}" if fit.most(name, fit.selected) else _elsewhere(fit, name)
    return Finding(headline, demand.path_of(fit.task.pod, name), asked, help_, related=_places(fit.selected, name))


def _elsewhere(fit: Fit, name: str) -> str:
    having = [node for node in fit.inventory.nodes if (node.allocatable or {}).get(name)]
    return f"choose nodes that have it: {_names(having)}" if having else f"ask for what the nodes have, not {name}"


def _places(nodes: Iterable[Node], name: str) -> tuple[Location, ...]:
    """Return the place of the resource, or of all, on the node that has most of it."""
    best = max(nodes, key=lambda node: (node.allocatable or {}).get(name, Fraction()))
    return (best.saved.at("status", "allocatable", *([name] if name else [])),)


@rule("FT608", "gang-beyond-the-nodes", on=CAPACITY)
def gang_beyond_the_nodes(job: Job, context: Context) -> Iterator[Finding]:
    """The nodes together hold fewer pods than the job needs at once, or than it has.

    Volcano starts a gang only where all of its pods fit at the same time. Pods beyond the gang wait. Host ports, host
    networking with ports and a required anti-affinity to its own labels allow one pod a node.

    Refused: `minAvailable: 5` with 8 cards each on four nodes of 8 cards.
    Write: `minAvailable: 4` and four replicas.
    """
    placed = _fits(job, context)
    if not all(fit.tolerated for fit in placed):
        return  # no pod of a task fits anywhere, which is a rule of its own
    gang = Gang.of(job)
    for fit in placed:
        yield from _too_many(fit, gang, is_only=len(placed) == 1)
    if len(placed) > 1:
        yield from _too_much(job, placed)


def _too_many(fit: Fit, gang: Gang, *, is_only: bool) -> Iterator[Finding]:
    """Yield a finding where the nodes hold too few pods of one task."""
    room = fit.total_room()
    needed = gang.total if is_only else gang.least[fit.task.index]
    if room is None or room >= fit.task.replicas:
        return
    held = f"{_count(fit.tolerated)} that can hold a pod of {fit.task.name} hold {room} together"
    place = (fit.tolerated[0].saved.at("status", "allocatable"),)
    if needed > room:
        headline = f"the gang needs {needed}, and {held}"
        path = "spec.minAvailable" if is_only else f"{fit.task.path}.minAvailable"
        yield Finding(headline, path, needed, f"need at most {room} pods at once", related=place)
    else:
        headline = f"{fit.task.replicas} pods are asked for, and {held}: the rest waits"
        path = f"{fit.task.path}.replicas"
        yield Finding(headline, path, fit.task.replicas, f"write {room}", Severity.WARNING, place)


def _too_much(job: Job, placed: Sequence[Fit]) -> Iterator[Finding]:
    """Yield a finding where several tasks together need more of a resource than all their nodes have."""
    nodes = list(dict.fromkeys(node for fit in placed for node in fit.tolerated))
    if any(node.allocatable is None for node in nodes):
        return
    by_index = {fit.task.index: fit.requests for fit in placed}
    for name, by_task in demand.by_task(job, lambda task: by_index.get(task.index, {})).items():
        asked = demand.fewest(job, by_task)
        there = sum(((node.allocatable or {}).get(name, Fraction()) for node in nodes), Fraction())
        if asked > there and name != "pods":
            headline = (
                f"the gang asks for {quantity(name, asked)} of {name}; {_count(nodes)} have {quantity(name, there)}"
            )
            place = (nodes[0].saved.at("status", "allocatable", name),)
            yield Finding(
                headline, "spec.minAvailable", quantity(name, asked), "need fewer pods at once", related=place
            )


def _count(nodes: Iterable[Node]) -> str:
    number = len(list(nodes))
    return f"{number} node{'s' * (number != 1)}"


def _names(nodes: Iterable[Node]) -> str:
    names = [node.name for node in nodes]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
