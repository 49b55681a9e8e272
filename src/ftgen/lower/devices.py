"""Cards and what comes with them: resources of the training container, claims of devices."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from ftgen.lower.objects import Object, managed_labels, optional
from ftgen.spec import PerCard, Spec, UnitResource
from ftgen.text import kube


def resources(spec: Spec) -> Object:
    """Return requests and limits of the training container: host resources by card, and the cards themselves.

    The card count is requested as well as limited, because Volcano's queues count requests only; shares of
    memory and compute are limits alone, because no node advertises them.
    """
    cards, each = spec.hardware.devices, spec.hardware.per_card
    count = {spec.hardware.counted: str(cards)} if spec.hardware.counted else {}
    if spec.network.rdma_resource:
        count[spec.network.rdma_resource] = str(spec.network.rdma_devices)
    return {
        "requests": {**_host(each, "request", cards), **count},
        "limits": {**_host(each, "limit", cards), **count, **dict(shares(spec))},
        **optional("claims", [{"name": claim["name"]} for claim in device_claims(spec)]),
    }


def shares(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the share of each card, in the units of its device plugin."""
    hardware = spec.hardware
    if hardware.memory and hardware.resources.memory:
        yield hardware.resources.memory.name, str(units(hardware.memory, hardware.resources.memory))
    if hardware.cores and hardware.resources.cores:
        yield hardware.resources.cores.name, str(units(str(hardware.cores), hardware.resources.cores))


def units(quantity: str, resource: UnitResource) -> int:
    """Count a quantity in the resource's unit, or in its next template; callers have checked that it divides."""
    wanted = int(kube.parse_quantity(quantity) / kube.parse_quantity(resource.unit))
    return min((size for size in resource.templates if size >= wanted), default=wanted)


def device_template(spec: Spec, device_class: str) -> Object:
    """Make the template of what each pod claims of a device class (dynamic resource allocation, Kubernetes 1.34)."""
    wanted = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": spec.hardware.devices}
    name = device_template_name(spec)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name, "namespace": spec.cluster.namespace, "labels": managed_labels(spec)},
        "spec": {"spec": {"devices": {"requests": [{"name": "cards", "exactly": wanted}]}}},
    }


def device_template_name(spec: Spec) -> str:
    """Name the template by what it claims, since it cannot be changed; jobs that claim the same share it."""
    return kube.slug(f"{spec.hardware.resources.device_class}-{spec.hardware.devices}", 63)


def device_claims(spec: Spec) -> list[Object]:
    """Return the pod's own claims of devices."""
    if not spec.hardware.resources.device_class:
        return []
    return [{"name": "cards", "resourceClaimTemplateName": device_template_name(spec)}]


def _host(each: PerCard, bound: str, cards: int) -> dict[str, str]:
    return {"cpu": _times(getattr(each.cpu, bound), cards), "memory": _times(getattr(each.memory, bound), cards)}


@lru_cache(maxsize=1024)
def _times(amount: str, cards: int) -> str:
    digits = amount.rstrip("KMGTPEikmun")
    total = Fraction(digits) * cards
    number = str(total) if total.denominator == 1 else f"{float(total):.3f}"
    return kube.canonical_quantity(number + amount[len(digits) :])
