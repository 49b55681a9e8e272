"""What surrounds a manifest: facts of its cluster, and the claims that come with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.rules import Finding, Rule, rule
from ftgen.rules.job import Job
from ftgen.spec import Facts, StorageClass


class Unknown(Exception):  # noqa: N818 - a rule that cannot be judged, not a malfunction
    """A rule needs a fact that nobody has stated; carries its configuration key."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a rule may know beside the manifest.

    Attributes:
        facts: of the cluster.
        pod_security: level of the pod security standards that the namespace enforces; empty where unknown.
        claims: specs of the PersistentVolumeClaims that come with the manifest, by name.
    """

    facts: Facts = field(default_factory=Facts)
    pod_security: str = ""
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def fact(self, name: str) -> Any:
        """A fact by its name.

        Raises:
            Unknown: nobody has stated it.
        """
        value = getattr(self.facts, name)
        if value is None:
            raise Unknown(f"cluster.facts.{name}")
        return value

    def security_level(self) -> str:
        """The namespace's pod security level; raises `Unknown`."""
        if not self.pod_security:
            raise Unknown("cluster.pod_security")
        return self.pod_security

    def cards_per_node(self) -> int:
        """How many cards a node has; raises `Unknown`."""
        if self.facts.card.per_node is None:
            raise Unknown("cluster.facts.card.per_node")
        return self.facts.card.per_node

    def storage_class(self, name: str) -> StorageClass:
        """What is known of a storage class; raises `Unknown`."""
        classes: Mapping[str, StorageClass] = self.fact("storage_classes")
        if name not in classes:
            raise Unknown(f"cluster.facts.storage_classes.{name or 'default'}")
        return classes[name]


Check = Callable[[Job, Around], Iterator[Finding]]
RULES_OF_LINT: list[Rule] = []
"""Every rule of this package, in the order of definition."""


def lint(code: str, name: str, severity: Severity = Severity.ERROR, *, denied: bool = False) -> Callable[[Check], Rule]:
    """Make a generator function over a job and what is around it a rule of this package."""

    def register(check: Check) -> Rule:
        RULES_OF_LINT.append(rule(code, name, severity, denied=denied)(check))
        return RULES_OF_LINT[-1]

    return register
