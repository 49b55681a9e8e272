"""Resources of the training container, with its cards, and claims of devices."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from ftgen.lower.objects import Object, managed_labels, optional
from ftgen.spec import PerCard, Spec, UnitResource
from ftgen.text import kube


def resources(spec: Spec) -> Object:
    """Return requests and limits of the training container: host resources per card, and the cards.

    Cards and shares of them are requested as well as limited, because a queue's capability counts the requests of the
    job's template.  Shares are limits alone where another scheduler places the pods, such as HAMi's: no node reports
    them there, and Volcano would never let a job in that requests what no node has.
    """
    cards, per_card = spec.hardware.devices, spec.hardware.per_card
    count = {spec.hardware.counted: str(cards)} if spec.hardware.counted else {}
    if spec.network.rdma_resource:
        count[spec.network.rdma_resource] = str(spec.network.rdma_devices)
    parts = dict(shares(spec))
    return {
        "requests": {**_host(per_card, "request", cards), **count, **({} if spec.hardware.scheduler else parts)},
        "limits": {**_host(per_card, "limit", cards), **count, **parts},
        **optional("claims", [{"name": claim["name"]} for claim in device_claims(spec)]),
    }


def shares(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield resource names with the share of each card, in the units of its device plugin."""
    hardware = spec.hardware
    if hardware.memory and hardware.resources.memory:
        yield hardware.resources.memory.name, str(units(hardware.memory, hardware.resources.memory))
    if hardware.cores and hardware.resources.cores:
        yield hardware.resources.cores.name, str(units(str(hardware.cores), hardware.resources.cores))


def units(quantity: str, resource: UnitResource) -> int:
    """Return a quantity in the resource's unit, rounded up to a template; callers have checked that it divides."""
    wanted = _units(quantity, resource.unit)
    return min((size for size in resource.templates if size >= wanted), default=wanted)


@lru_cache(maxsize=1024)
def _units(quantity: str, unit: str) -> int:
    return int(kube.parse_quantity(quantity) / kube.parse_quantity(unit))


def device_template(spec: Spec, device_class: str) -> Object:
    """Return the template of each pod's claim of a device class (dynamic resource allocation, Kubernetes 1.34)."""
    request = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": spec.hardware.devices}
    name = device_template_name(spec)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name, "namespace": spec.cluster.namespace, "labels": managed_labels(spec)},
        "spec": {"spec": {"devices": {"requests": [{"name": "cards", "exactly": request}]}}},
    }


def device_template_name(spec: Spec) -> str:
    """Return the name of the template, from its content: it is immutable, and jobs with equal claims share it."""
    return kube.slug(f"{spec.hardware.resources.device_class}-{spec.hardware.devices}", 63)


def device_claims(spec: Spec) -> list[Object]:
    """Return the pod's claims of devices; none without a device class."""
    if not spec.hardware.resources.device_class:
        return []
    return [{"name": "cards", "resourceClaimTemplateName": device_template_name(spec)}]


def _host(per_card: PerCard, bound: str, cards: int) -> dict[str, str]:
    cpu, memory = getattr(per_card.cpu, bound), getattr(per_card.memory, bound)
    return {"cpu": _times(cpu, cards), "memory": _times(memory, cards)}


@lru_cache(maxsize=1024)
def _times(amount: str, cards: int) -> str:
    digits = amount.rstrip("KMGTPEikmun")
    total = Fraction(digits) * cards
    number = str(total) if total.denominator == 1 else f"{float(total):.3f}"
    return kube.canonical_quantity(number + amount[len(digits) :])
