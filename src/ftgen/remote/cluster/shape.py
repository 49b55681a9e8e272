"""Shape of a pod: what it asks of a node, and whether a node's labels and taints suit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct, field

from ftgen.emulation.devices import counts_cards
from ftgen.emulation.placement import Toleration, meets
from ftgen.remote.cluster.fields import Amounts, Object, text, texts
from ftgen.text.shapes import amounts, entries, mapping, strings


class Requirement(Struct, frozen=True):
    """Requirement on a label of nodes, as in a node affinity."""

    key: str
    operator: str
    values: tuple[str, ...]

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node's labels meet it; an operator that is not known rules no node out."""
        return meets(self.operator, labels.get(self.key), self.values) is not False

    def __str__(self) -> str:
        shown = {"In": "=", "NotIn": "!=", "Gt": ">", "Lt": "<"}.get(self.operator)
        return f"{self.key}{shown}{'|'.join(self.values)}" if shown else f"{self.key} {self.operator}"


class PodShape(Struct, frozen=True):
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
        tuple(Requirement(key, "In", (value,)) for key, value in texts(spec.get("nodeSelector")).items()),
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
    return amounts(resources.get("limits")) | amounts(resources.get("requests"))


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
