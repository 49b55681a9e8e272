"""Minimum sizes: `8Gi+` is 8Gi, or more if the estimate of the training is larger.

The smallest sufficient share of a card, limit of host memory and claim made for the run depend on model, method and
batch.  A size without the plus stays as it is, and rules compare it with the estimate.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, TypeVar

from ftgen import lower
from ftgen.estimate import Estimate, job
from ftgen.spec import Hardware, Section, Spec, Storage, Volume
from ftgen.text import kube

_GIB = 2**30
S = TypeVar("S", bound=Section)


def resolve_sizes(spec: Spec, estimate: Estimate | None) -> Spec:
    """Replace each `N+` of a specification by a plain quantity: the larger of N and the estimate, if there is one."""
    resolved = _replace(spec, hardware=_minimum_hardware(spec.hardware), storage=_minimum_storage(spec.storage))
    if estimate is None:
        return resolved
    hardware, storage = spec.hardware, spec.storage
    if _is_minimum(hardware.memory):
        resolved = _replace(resolved, hardware=_replace(resolved.hardware, memory=_share(resolved, estimate)))
    if _is_minimum(hardware.per_card.memory.limit):
        resolved = _with_limit(resolved, job.host_gib(resolved, estimate) / hardware.devices)
    if _is_minimum(storage.workspace.size):
        resolved = _with_volume(resolved, "workspace", estimate.workspace_gib)
    if _is_minimum(storage.models.size):
        resolved = _with_volume(resolved, "models", job.models_gib(resolved, estimate))
    return resolved


def _share(spec: Spec, estimate: Estimate) -> str | None:
    """Return the smallest share in whole GiB that the training fits with room to spare; at most the card, if known."""
    share, card = _larger(str(spec.hardware.memory), job.smallest_fitting_gib(estimate)), spec.hardware.card.memory
    return card if card and kube.parse_quantity(share) > kube.parse_quantity(card) else share


def _with_limit(spec: Spec, gib: float) -> Spec:
    per_card = spec.hardware.per_card
    memory = _replace(per_card.memory, limit=_larger(per_card.memory.limit, gib))
    return _replace(spec, hardware=_replace(spec.hardware, per_card=_replace(per_card, memory=memory)))


def _with_volume(spec: Spec, name: str, gib: float) -> Spec:
    volume: Volume = getattr(spec.storage, name)
    if not (volume.create or lower.is_temporary(spec, volume)):
        return spec
    return _replace(spec, storage=_replace(spec.storage, **{name: _replace(volume, size=_larger(volume.size, gib))}))


@lru_cache(maxsize=1024)
def _larger(minimum: str, gib: float) -> str:
    return minimum if kube.parse_quantity(minimum) >= ceil(gib) * _GIB else f"{ceil(gib)}Gi"


def _minimum_hardware(hardware: Hardware) -> Hardware:
    per_card = hardware.per_card
    return _replace(
        hardware,
        memory=_minimum(hardware.memory),
        per_card=_replace(
            per_card,
            cpu=_replace(per_card.cpu, limit=_minimum(per_card.cpu.limit)),
            memory=_replace(per_card.memory, limit=_minimum(per_card.memory.limit)),
        ),
    )


def _minimum_storage(storage: Storage) -> Storage:
    return _replace(
        storage,
        workspace=_replace(storage.workspace, size=_minimum(storage.workspace.size)),
        models=_replace(storage.models, size=_minimum(storage.models.size)),
    )


def _is_minimum(size: str | None) -> bool:
    return size is not None and size.endswith("+")


def _minimum(size: str | None) -> str | None:
    return size.removesuffix("+") if size is not None else None


def _replace(section: S, **changes: Any) -> S:
    """Return a copy of a section with changes, or the section itself if nothing changes."""
    changed = {key: value for key, value in changes.items() if getattr(section, key) is not value}
    return section.model_copy(update=changed) if changed else section
