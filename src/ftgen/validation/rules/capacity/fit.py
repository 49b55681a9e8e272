"""Fit of a pod to nodes, as the scheduler's filters see it.

Source: pkg/scheduler/framework/plugins of Kubernetes (nodeaffinity, nodename, noderesources, nodeports,
interpodaffinity, tainttoleration), which Volcano's plugin predicates calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from msgspec import Struct

from ftgen.emulation.devices import counts_cards
from ftgen.emulation.placement import Taint, Toleration, meets
from ftgen.text.shapes import entries, integer, mapping, strings, text
from ftgen.validation.inventory import PASSING_TAINTS, Inventory, Node
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules.capacity import demand
from ftgen.validation.rules.capacity.demand import Amounts, Resources
from ftgen.validation.rules.lint.devices import vendor_of

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_HOST = "kubernetes.io/hostname"
_KEEPS_AWAY = ("NoSchedule", "NoExecute")


class Fit(Struct, frozen=True, eq=False, dict=True):
    """Nodes that can hold a pod of a task; each set of nodes is a part of the one before.

    Attributes:
        task: the task.
        inventory: the cluster.
        requests: requests of one pod.
    """

    task: Task
    inventory: Inventory
    requests: Amounts

    @classmethod
    def of(cls, task: Task, inventory: Inventory, defaults: Resources) -> Fit:
        """Return the fit of a task's pods, whose containers get the defaults of the namespace."""
        asked = demand.pod_resources(task.pod, defaults).requests
        listed = inventory.node_resources
        # A share of a card that no node lists is counted by the vendor's own scheduler.
        counted = {
            name: value
            for name, value in asked.items()
            if value > 0 and (name in listed or not vendor_of(name) or counts_cards(name))
        }
        return cls(task, inventory, {"pods": Fraction(1), **counted})

    @cached_property
    def selected(self) -> tuple[Node, ...]:
        """Return the nodes with the labels that the pod requires."""
        return tuple(node for node in self.inventory.nodes if selects(self.task.pod.spec, node))

    @cached_property
    def roomy(self) -> tuple[Node, ...]:
        """Return the selected nodes that have room for one pod."""
        return tuple(node for node in self.selected if self.room(node) != 0)

    @cached_property
    def tolerated(self) -> tuple[Node, ...]:
        """Return the roomy nodes without a taint that keeps the pod away."""
        return tuple(node for node in self.roomy if not untolerated(self.task.pod.spec, node))

    @cached_property
    def ready(self) -> tuple[Node, ...]:
        """Return the tolerated nodes that nobody has cordoned."""
        return tuple(node for node in self.tolerated if not node.unschedulable)

    def room(self, node: Node) -> int | None:
        """Return how many such pods an empty node holds; None where its resources are unknown."""
        if node.allocatable is None:
            return None
        kind = id(node.allocatable)  # nodes of one kind of machine share it
        if kind not in self._rooms:
            self._rooms[kind] = self._room(node.allocatable)
        return self._rooms[kind]

    @cached_property
    def _rooms(self) -> dict[int, int]:
        return {}

    def _room(self, offered: Mapping[str, Fraction]) -> int:
        allocatable = {"pods": Fraction(_PODS_OF_A_NODE), **offered}
        counts = [allocatable.get(name, Fraction()) // value for name, value in self.requests.items()]
        return max(0, min(*counts, 1) if _excludes_its_like(self.task) else min(counts))

    def most(self, resource: str, nodes: Iterable[Node]) -> Fraction:
        """Return the largest amount of a resource that one of the nodes has."""
        return max((each.get(resource, Fraction()) for node in nodes if (each := node.allocatable)), default=Fraction())

    def short(self) -> list[str]:
        """Return the resources of which no selected node has enough."""
        return [name for name, value in self.requests.items() if self.most(name, self.selected) < value]

    def total_room(self) -> int | None:
        """Return how many such pods the tolerated nodes hold together; None where that of one is unknown."""
        rooms = [self.room(node) for node in self.tolerated]
        known = [room for room in rooms if room is not None]
        return sum(known) if len(known) == len(rooms) else None


_PODS_OF_A_NODE = 10_000
"""Bound for a node that does not say how many pods it takes; no kubelet takes as many."""


def selects(spec: Mapping[str, Any], node: Node) -> bool:
    """Return whether a node has the name and labels that a pod requires."""
    name, selector = text(spec.get("nodeName")), mapping(spec.get("nodeSelector"))
    if name not in ("", node.name) or any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    required = mapping(mapping(spec.get("affinity")).get("nodeAffinity")).get(_REQUIRED)
    terms = [term for _, term in entries(mapping(required).get("nodeSelectorTerms"))]
    return not isinstance(required, dict) or any(_matches(term, node) for term in terms)


def _matches(term: Mapping[str, Any], node: Node) -> bool:
    expressions = [(each, node.labels) for _, each in entries(term.get("matchExpressions"))]
    fields = [(each, {"metadata.name": node.name}) for _, each in entries(term.get("matchFields"))]
    # A term without requirements matches no node.
    return bool(expressions or fields) and all(_meets(each, labels) for each, labels in [*expressions, *fields])


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(text(requirement.get("key"))), strings(requirement.get("values"))
    return meets(text(requirement.get("operator")), value, values) is True


def untolerated(spec: Mapping[str, Any], node: Node) -> list[str]:
    """Return the lasting taints of a node that keep a pod away."""
    read = (Taint(*_texts(taint, "key", "value", "effect")) for taint in node.taints)
    taints = [taint for taint in read if taint.effect in _KEEPS_AWAY and not taint.key.startswith(PASSING_TAINTS)]
    tolerations = [
        Toleration(*_texts(each, "key", "operator", "value", "effect"))
        for _, each in (entries(spec.get("tolerations")) if taints else ())
    ]
    return [taint.key for taint in taints if not any(each.accepts(taint) for each in tolerations)]


def _texts(body: Mapping[str, Any], *names: str) -> Iterator[str]:
    return (text(body.get(name)) for name in names)


def _excludes_its_like(task: Task) -> bool:
    """Return whether a node holds one pod of a task: by its host ports, or by an anti-affinity to its own labels."""
    spec = task.pod.spec
    ports = [port for container in task.pod.main_containers for port in _ports(container)]
    if any(integer(port.get("hostPort")) or spec.get("hostNetwork") is True for port in ports):
        return True
    terms = mapping(mapping(spec.get("affinity")).get("podAntiAffinity")).get(_REQUIRED)
    return any(_is_about_itself(term, mapping(task.pod.metadata.get("labels"))) for _, term in entries(terms))


def _ports(container: Container) -> list[dict[str, Any]]:
    return [port for _, port in entries(container.body.get("ports"))]


def _is_about_itself(term: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    selector = mapping(term.get("labelSelector"))
    wanted = mapping(selector.get("matchLabels"))
    plain = bool(wanted) and not selector.get("matchExpressions") and not term.get("namespaces")
    return plain and term.get("topologyKey") == _HOST and all(labels.get(key) == value for key, value in wanted.items())


@lru_cache(maxsize=8)
def fits(job: Job, inventory: Inventory) -> Sequence[Fit]:
    """Return the fit of each task that has pods, once for all rules about nodes."""
    defaults = demand.container_defaults(job, inventory)
    return [Fit.of(task, inventory, defaults) for task in job.tasks if task.replicas]
