"""Context of a check: the facts of the cluster, and the objects that come with a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ftgen.schema.version import Version
from ftgen.spec import Card, Facts, StorageClass
from ftgen.validation.inventory import RESOURCES, SNAPSHOT, Inventory, Queue
from ftgen.validation.manifest import NEWEST, ClaimSpecs, ConfigMaps, Job

if TYPE_CHECKING:  # `check` estimates nothing
    from ftgen.emulation.estimate import Estimate


class FactMissing(Exception):  # noqa: N818 - a rule that cannot be judged, not a malfunction
    """Fact that a rule needs and that nobody has stated; carries its configuration key."""


# Defaults need no validation, whose schema would have to be built here.
NO_FACTS = Facts.model_construct()


class Context(Struct, frozen=True, eq=False):
    """Values beside the subject that a rule may read; empty and None mean unknown, and no rule guesses.

    Attributes:
        version: Volcano version.
        facts: facts of the cluster.
        hardware: card of the chosen hardware; what it states wins over the card in `facts`.
        pod_security: level of the pod security standards that the namespace enforces.
        claims: PersistentVolumeClaims that come with the manifest.
        config_maps: ConfigMaps that come with the manifest.
        reconciler: program that applies the manifest, such as `flux`.
        swept: configuration keys that a sweep varies; none for a single job.
        estimate: the memory and space that the training takes.
        queues: the cluster's queues by name.
        before: stored job that the subject would replace.
        inventory: objects of the cluster that the job is weighed against.
        kubernetes_version: Kubernetes version as it is stated; empty where nobody has.
    """

    version: Version = NEWEST
    facts: Facts = NO_FACTS
    hardware: Card | None = None
    pod_security: str = ""
    claims: ClaimSpecs = ()
    config_maps: ConfigMaps = ()
    reconciler: str = ""
    swept: frozenset[str] = frozenset()
    estimate: Estimate | None = None
    queues: Mapping[str, Queue] | None = None
    before: Job | None = None
    inventory: Inventory | None = None
    kubernetes_version: str = ""

    def fact(self, name: str) -> Any:
        """Return a fact by its name.

        Raises:
            FactMissing: nobody has stated the fact.
        """
        value = getattr(self.facts, name)
        if value is None:
            raise FactMissing(f"cluster.facts.{name}")
        return value

    def card(self, name: str) -> Any:
        """Return a fact about the cards of a node; None where nobody has stated it."""
        stated = getattr(self.hardware, name) if self.hardware else None
        return getattr(self.facts.card, name) if stated is None else stated

    def security_level(self) -> str:
        """Return the namespace's pod security level; raise `FactMissing` where it is unknown."""
        if not self.pod_security:
            raise FactMissing("cluster.pod_security")
        return self.pod_security

    def cards_per_node(self) -> int:
        """Return the number of cards of a node; raise `FactMissing` where it is unknown."""
        per_node = self.card("per_node")
        if per_node is None:
            raise FactMissing("cluster.facts.card.per_node")
        return int(per_node)

    @property
    def knows_nodes(self) -> bool:
        """Return whether the nodes themselves were saved, so that the rules about them say more than a fact would."""
        return self.inventory is not None and self.inventory.has_all("Node")

    def storage_class(self, name: str) -> StorageClass:
        """Return the facts of a storage class; raise `FactMissing` where nobody has stated any."""
        saved = self.inventory.storage_classes if self.inventory else {}
        stated: Mapping[str, StorageClass] = self.facts.storage_classes or {} if saved else self.fact("storage_classes")
        for classes in (stated, saved):
            if name in classes:
                return classes[name]
        raise FactMissing(f"cluster.facts.storage_classes.{name or 'default'}")

    def saved(self, kind: str, name: str = "", namespace: str = "") -> Inventory:
        """Return the objects of the cluster, among them all of a kind (in a namespace), or the one of a name.

        Raises:
            FactMissing: nobody has stated the objects of the kind, or there may be more of them than was stated.
        """
        if self.inventory is None:
            raise FactMissing(SNAPSHOT)
        if not self.inventory.has_all(kind, namespace) and not (name and self.inventory.find(kind, name)):
            raise FactMissing(f"{SNAPSHOT}.{RESOURCES[kind]}")
        return self.inventory

    def claim(self, name: str) -> Mapping[str, Any] | None:
        """Return the spec of a claim that comes with the manifest; None where no claim has the name."""
        return next((spec for claim, spec in self.claims if claim == name), None)
