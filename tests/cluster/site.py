"""The suite's own part of a cluster: namespaces, queues and classes under a random suffix, and their removal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ftgen.text import tables

from . import crds
from .facts import GROUPS, SIMULATED_NODES, Facts
from .kubectl import Kubectl, Object, wait_for

SUITE = "ftgen.dev/suite"
"""Label of everything that a run of the suite makes; its value is the run's suffix."""
CLAIMS = frozenset({"sft-qwen3-volume", "sft-workspace", "work", "models"})
"""The claims that an administrator has made for the storage options that create none."""
_CLUSTER_SCOPED = ("queues.scheduling.volcano.sh", "priorityclasses", "storageclasses", "crds")


@dataclass
class Site:
    """What one run of the suite makes on a cluster.

    Attributes:
        kubectl: the cluster.
        facts: what the cluster was before.
        suffix: tells apart two runs of the suite on one cluster.
        made: the products whose CRDs the suite made from `schemas/`.
        programs: Volcano's programs that answer.
        numbers: tell namespaces apart, because one of the same name may still be on its way out.
    """

    kubectl: Kubectl
    facts: Facts
    suffix: str = field(default_factory=lambda: secrets.token_hex(3))
    made: list[str] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def labels(self) -> dict[str, str]:
        """The label of what this run makes."""
        return {SUITE: self.suffix}

    @property
    def storage_class(self) -> str:
        """The class of the administrator's claims: volumes that every node can mount."""
        return f"ftgen-shared-{self.suffix}"

    @property
    def queue(self) -> str:
        """The queue of the suite's jobs."""
        return f"ftgen-{self.suffix}"

    @property
    def has(self) -> set[str]:
        """What a check can ask for: programs that run, and nodes that are simulated."""
        return self.programs | ({SIMULATED_NODES} if self.facts.simulated else set())

    def rows(self) -> list[str]:
        """Return the lines that say what the suite ran on."""
        nodes = f"{self.facts.nodes}, {'simulated by `make cluster`' if self.facts.simulated else 'not simulated'}"
        products = ((name, self._found(name)) for name in self.facts.products)
        programs = ", ".join(sorted(self.programs)) or "none"
        rows = [("Kubernetes", self.facts.kubernetes), ("nodes", nodes), *products, ("programs", programs)]
        return tables.table(rows)

    def _found(self, product: str) -> str:
        crds_made = "; CRDs made from schemas/ for this run" if product in self.made else ""
        return f"{self.facts.products[product] or 'not found'}{crds_made}"

    def prepare(self) -> None:
        """Make the CRDs that are missing, the storage class and the queue."""
        self.made = [name for name in GROUPS if not self.facts.products[name]]
        for name in self.made:
            self._serve([kind for group in GROUPS[name] for kind in crds.kinds(group)])
        provisioner = "shared.ftgen.dev"
        self.create("storage.k8s.io/v1", "StorageClass", self.storage_class, provisioner=provisioner)
        self.create("scheduling.volcano.sh/v1beta1", "Queue", self.queue, spec={"weight": 1})

    def _serve(self, kinds: list[tuple[str, str]]) -> None:
        made = [crds.definition(api_version, kind, self.labels) for api_version, kind in kinds]
        self.kubectl("create", "-f", "-", objects=made)
        wait_for("the CRDs are served", self._is_served, seconds=30)

    def _is_served(self) -> bool:
        found = self.kubectl.items("crds", f"--selector={SUITE}={self.suffix}")
        conditions = ((each.get("status") or {}).get("conditions") or [] for each in found)
        return all(any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions)

    def create(self, api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> None:
        """Create an object with the suite's label."""
        where = {"namespace": namespace} if namespace else {}
        metadata = {"name": name, "labels": self.labels, **where}
        self.kubectl(
            "create", "-f", "-", objects=[{"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}]
        )

    def namespace(self, name: str, **labels: str) -> str:
        """Make a namespace with the secret that ftgen's jobs find there."""
        full = f"ftgen-{self.suffix}-{next(self.numbers)}-{name}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": full, "labels": self.labels | labels}}
        self.kubectl("create", "-f", "-", objects=[body])
        data = {"MODEL_REPO_GIT_USER": "nobody", "MODEL_REPO_GIT_TOKEN": "none"}
        self.create("v1", "Secret", "aml-image-builder-secret", full, stringData=data)
        return full

    def claim(self, namespace: str, *names: str) -> None:
        """Make claims as an administrator does, for the storage options that create none."""
        spec = {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": self.storage_class,
            "resources": {"requests": {"storage": "100Gi"}},
        }
        for name in names:
            self.create("v1", "PersistentVolumeClaim", name, namespace, spec=spec)

    def remove(self, namespace: str) -> None:
        """Delete a namespace with all in it, and the volumes that its claims leave behind."""
        self.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        claimed = (v for v in self.kubectl.items("persistentvolumes") if _namespace_of(v) == namespace)
        names = [f"persistentvolume/{volume['metadata']['name']}" for volume in claimed]
        if names:
            self.kubectl("delete", "--wait=false", "--ignore-not-found", *names)

    def remove_all(self) -> None:
        """Delete everything that carries the suite's label, and wait until it is gone."""
        selector = f"--selector={SUITE}={self.suffix}"
        namespaces = [each["metadata"]["name"] for each in self.kubectl.items("namespaces", selector)]
        for name in namespaces:
            self.remove(name)
        wait_for("the suite's namespaces are gone", lambda: not self.kubectl.items("namespaces", selector), seconds=180)
        for kind in _CLUSTER_SCOPED:
            self.kubectl("delete", kind, selector, "--ignore-not-found", "--timeout=60s")


def _namespace_of(volume: Object) -> str:
    found: str = (volume["spec"].get("claimRef") or {}).get("namespace", "")
    return found
