"""What a rule may know beside its subject: facts of the cluster, and what comes with a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftgen.spec import Card, Facts, StorageClass
from ftgen.validation.manifest import NEWEST, ClaimSpecs, ConfigMaps, Job, Version

if TYPE_CHECKING:  # `check` estimates nothing
    from ftgen.fit import Estimate


class FactMissing(Exception):  # noqa: N818 - a rule that cannot be judged, not a malfunction
    """A rule needs a fact that nobody has stated; carries its configuration key."""


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Queue:
    """What admission asks about a queue: its `status.state`, and its `spec.parent` (empty at the root)."""

    state: str = "Open"
    parent: str = ""


@dataclass(frozen=True, eq=False)
class Context:
    """What surrounds the subject of a rule; empty and None mean unknown, and no rule guesses.

    Attributes:
        version: of Volcano.
        facts: of the cluster.
        hardware: the card that the chosen hardware states, which wins over that of the facts.
        pod_security: level of the pod security standards that the namespace enforces.
        claims: the PersistentVolumeClaims that come with a manifest.
        config_maps: the ConfigMaps that come with it.
        reconciler: what applies a manifest.
        swept: the keys that a sweep varies; none for a job of its own.
        estimate: the memory and space that the training takes.
        queues: the cluster's queues by name.
        before: the stored job that the subject would replace.
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

    def fact(self, name: str) -> Any:
        """Return a fact by its name.

        Raises:
            FactMissing: nobody has stated it.
        """
        value = getattr(self.facts, name)
        if value is None:
            raise FactMissing(f"cluster.facts.{name}")
        return value

    def card(self, name: str) -> Any:
        """Return what is known of the cards of a node; None where nobody has said."""
        stated = getattr(self.hardware, name) if self.hardware else None
        return getattr(self.facts.card, name) if stated is None else stated

    def security_level(self) -> str:
        """Return the namespace's pod security level; raises `FactMissing`."""
        if not self.pod_security:
            raise FactMissing("cluster.pod_security")
        return self.pod_security

    def cards_per_node(self) -> int:
        """Return how many cards a node has; raises `FactMissing`."""
        there = self.card("per_node")
        if there is None:
            raise FactMissing("cluster.facts.card.per_node")
        return int(there)

    def storage_class(self, name: str) -> StorageClass:
        """Return what is known of a storage class; raises `FactMissing`."""
        classes: Mapping[str, StorageClass] = self.fact("storage_classes")
        if name not in classes:
            raise FactMissing(f"cluster.facts.storage_classes.{name or 'default'}")
        return classes[name]

    def claim(self, name: str) -> Mapping[str, Any] | None:
        """Return the spec of a claim that comes with the manifest; None where there is none of that name."""
        return next((spec for known, spec in self.claims if known == name), None)
