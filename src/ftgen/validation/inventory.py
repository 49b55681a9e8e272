"""Objects of a cluster that jobs are weighed against: nodes, queues, quotas, limit ranges and classes.

They come from the files of a check, and from a snapshot that `ftgen facts` or `kubectl get … -o yaml` wrote.  A
snapshot, and every list that the API server returned, holds all objects of its kinds; other files may hold some.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Location, Rejected, error
from ftgen.spec import StorageClass
from ftgen.text import yamlio
from ftgen.text.files import is_there
from ftgen.text.paths import Steps
from ftgen.text.shapes import amounts, entries, mapping, text
from ftgen.validation.manifest import objects

KINDS: Mapping[tuple[str, str], str] = {
    ("v1", "Node"): "nodes",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("v1", "LimitRange"): "limitranges",
    ("scheduling.k8s.io/v1", "PriorityClass"): "priorityclasses",
    ("scheduling.volcano.sh/v1beta1", "Queue"): "queues",
    ("storage.k8s.io/v1", "StorageClass"): "storageclasses",
}
"""Resources of the API by version and kind of the objects."""
RELEASE = ("ftgen.dev/v1", "Release")
"""Version and kind of what `ftgen facts` writes of the release of a product, `version`: no object of the API."""
RESOURCES: Mapping[str, str] = {kind: resource for (_, kind), resource in KINDS.items()}

SNAPSHOT = "cluster.facts.snapshot"
"""Configuration key of the file with the objects of the cluster."""

_NAMES_KIND = re.compile(rf"""kind["']?:[ \t]*["']?(?:{"|".join((*RESOURCES, RELEASE[1]))})(?:List)?\b""")
EVERYWHERE = "*"
"""Namespace of a list that holds the objects of all namespaces."""
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
"""Annotation of the cluster's default storage class."""
PASSING_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Beginnings of the taints that Kubernetes sets and takes away by a node's condition."""


class ClusterObject(Struct, frozen=True, eq=False):
    """Object of a cluster with its place in a file; `body` is untrusted."""

    kind: str
    namespace: str
    name: str
    body: dict[str, Any]
    document: yamlio.Document
    path: Steps

    def at(self, *steps: str | int) -> Location:
        """Return the location of a field, or of its nearest existing parent."""
        mark = self.document.nearest((*self.path, *steps))
        return Location(self.document.file, mark.line, mark.column)

    @property
    def spec(self) -> dict[str, Any]:
        """Return its spec; empty where it has none."""
        return mapping(self.body.get("spec"))

    @property
    def label(self) -> str:
        """Return kind and name for messages."""
        return f"{self.kind} {self.name}"


class Queue(Struct, frozen=True):
    """Queue as admission reads it: its `status.state`, its `spec.parent` (empty at the root), and where it stands."""

    state: str = "Open"
    parent: str = ""
    place: Location | None = None


class Node(Struct, frozen=True, eq=False):
    """Node as the scheduler reads it; `allocatable` is None where nobody has stated it."""

    saved: ClusterObject
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...]
    allocatable: Mapping[str, Fraction] | None
    unschedulable: bool

    @property
    def name(self) -> str:
        """Return its name."""
        return self.saved.name


class Inventory(Struct, frozen=True, eq=False, dict=True):
    """Objects of a cluster.

    Attributes:
        objects: the objects, one of each kind, namespace and name.
        complete: kinds of which these are all objects, each with the namespace of which that holds (`EVERYWHERE`: all).
    """

    objects: tuple[ClusterObject, ...] = ()
    complete: frozenset[tuple[str, str]] = frozenset()

    def has_all(self, kind: str, namespace: str = "") -> bool:
        """Return whether these are all objects of a kind; of a namespaced kind all those in the namespace."""
        return not self.complete.isdisjoint({(kind, EVERYWHERE), (kind, namespace)})

    def joined(self, *others: Inventory) -> Inventory:
        """Return all objects together; of two with the same name, the last."""
        every = [each for inventory in (self, *others) for each in inventory.objects]
        unique = {(each.kind, each.namespace, each.name): each for each in every}
        return Inventory(tuple(unique.values()), self.complete.union(*(other.complete for other in others)))

    def of(self, kind: str, namespace: str = "") -> tuple[ClusterObject, ...]:
        """Return the objects of a kind, by name; of a namespaced kind those in the namespace."""
        return self._by_kind.get((kind, namespace), ())

    def find(self, kind: str, name: str) -> ClusterObject | None:
        """Return the object of a kind without namespaces by its name; None where there is none."""
        return next((each for each in self.of(kind) if each.name == name), None)

    @cached_property
    def _by_kind(self) -> dict[tuple[str, str], tuple[ClusterObject, ...]]:
        found: dict[tuple[str, str], tuple[ClusterObject, ...]] = {}
        for each in sorted(self.objects, key=lambda each: each.name):
            key = (each.kind, each.namespace)
            found[key] = (*found.get(key, ()), each)
        return found

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Return its nodes as the scheduler reads them; those of one kind of machine share their amounts."""
        kinds: dict[tuple[tuple[str, Fraction], ...], Mapping[str, Fraction]] = {}
        return tuple(_node(each, kinds) for each in self.of("Node"))

    @cached_property
    def node_resources(self) -> frozenset[str]:
        """Return the resources that some node lists."""
        return frozenset(name for node in self.nodes for name in node.allocatable or ())

    @cached_property
    def queues(self) -> Mapping[str, Queue]:
        """Return its queues as admission reads them, by name; `default` is on every cluster with Volcano."""
        stated = {each.name: _queue(each) for each in self.of("Queue")}
        return stated if self.has_all("Queue") else {"default": Queue(), **stated}

    @cached_property
    def storage_classes(self) -> Mapping[str, StorageClass]:
        """Return what its storage classes state, by name; the cluster's default class also by the empty name."""
        stated = {each.name: _storage_class(each) for each in self.of("StorageClass")}
        defaults = [each.name for each in self.of("StorageClass") if _is_default(each)]
        return {"": stated[defaults[0]], **stated} if len(defaults) == 1 else stated


NOTHING_SAVED = Inventory()


def inventory_in(source: str, file: str, *, saved: bool = False) -> Inventory:
    """Return the objects of a cluster in a text; with `saved`, they are all of their kinds.

    A text that names no such kind is not parsed.

    Raises:
        Rejected: the text is not valid YAML.
    """
    if not _NAMES_KIND.search(source):
        return NOTHING_SAVED
    documents = yamlio.documents(source, file)
    found = tuple(each for document in documents for each in _objects(document))
    listed = {each for document in documents for each in _listed(document.value)}
    # Nodes register themselves, so that whoever writes down some writes down those that there are.
    listed |= {(each.kind, each.namespace) for each in found if saved or each.kind == "Node"}
    return Inventory((), frozenset(listed)).joined(Inventory(found))


def read_snapshot(name: str, folders: Iterable[Path]) -> Inventory:
    """Return the objects of a snapshot, the first of its name below the folders.

    A configuration may come with a clone, so that neither its name nor a link may lead out of the folder.

    Raises:
        Rejected: FT002, there is no such file or it cannot be read; FT001, it is no YAML.
    """
    for folder in () if name.startswith("/") or ".." in name.split("/") else folders:
        if is_there(folder / name):
            file = folder / name
            return inventory_in(yamlio.read_text(file, within=folder), str(file), saved=True)
    help_ = "name a file below conf/ or the working directory, such as `ftgen facts -o FILE` writes"
    raise Rejected([error(yamlio.FILE, f"there is no snapshot {name}", SNAPSHOT, name, help_)])


def _objects(document: yamlio.Document) -> Iterator[ClusterObject]:
    for path, body in objects(document.value):
        kind = _kind(body)
        metadata = mapping(mapping(body).get("metadata"))
        name, namespace = text(metadata.get("name")), text(metadata.get("namespace"))
        if kind and name:
            yield ClusterObject(kind, namespace, name, body, document, path)


def _kind(body: Any) -> str:
    """Return the kind of an object if jobs are weighed against it, else the empty text."""
    version, kind = text(mapping(body).get("apiVersion")), text(mapping(body).get("kind"))
    return kind if (version, kind) in (*KINDS, RELEASE) else ""


def _listed(document: Any) -> Iterator[tuple[str, str]]:
    """Yield the kinds that a list holds all objects of, each with the namespace of which that holds.

    `NodeList` is such a list, and of a namespace if its metadata names one; `List` holds whatever kubectl was asked
    for, which its items show.
    """
    kind = text(mapping(document).get("kind"))
    if kind == "List":
        yield from ((_kind(body), _namespace(body)) for _, body in objects(document) if _kind(body))
    elif kind.removesuffix("List") in RESOURCES and kind.endswith("List"):
        yield kind.removesuffix("List"), _namespace(document) or EVERYWHERE


def _namespace(body: Any) -> str:
    return text(mapping(mapping(body).get("metadata")).get("namespace"))


def _node(saved: ClusterObject, kinds: dict[tuple[tuple[str, Fraction], ...], Mapping[str, Fraction]]) -> Node:
    """Return a node; `kinds` holds the amounts of the nodes before it."""
    labels = mapping(mapping(saved.body.get("metadata")).get("labels"))
    stated = mapping(saved.body.get("status")).get("allocatable")
    taints = tuple(taint for _, taint in entries(saved.spec.get("taints")))
    allocatable = amounts(stated)
    shared = kinds.setdefault(tuple(sorted(allocatable.items())), allocatable)
    return Node(
        saved,
        {str(key): text(value) for key, value in labels.items()},
        taints,
        shared if isinstance(stated, dict) else None,
        saved.spec.get("unschedulable") is True,
    )


def _queue(saved: ClusterObject) -> Queue:
    state = text(mapping(saved.body.get("status")).get("state"))
    # A queue that is yet to be created has no state; Volcano's controller opens it.
    return Queue(state or "Open", text(saved.spec.get("parent")), saved.at("status", "state") if state else saved.at())


def _storage_class(saved: ClusterObject) -> StorageClass:
    binding = text(saved.body.get("volumeBindingMode")) or "Immediate"
    return StorageClass.model_construct(provisioner=text(saved.body.get("provisioner")), binding=binding)


def _is_default(saved: ClusterObject) -> bool:
    annotations = mapping(mapping(saved.body.get("metadata")).get("annotations"))
    return annotations.get(DEFAULT_CLASS) == "true"
