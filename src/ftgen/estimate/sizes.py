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
    return _replace(spec, hardware=_hardware(spec, estimate), storage=_storage(spec, estimate))


def _hardware(spec: Spec, estimate: Estimate | None) -> Hardware:
    hardware, per_card = spec.hardware, spec.hardware.per_card
    limit = job.host_gib(spec, estimate) / hardware.devices if estimate else None
    cpu = _replace(per_card.cpu, limit=_size(per_card.cpu.limit, None))
    memory = _replace(per_card.memory, limit=_size(per_card.memory.limit, limit))
    return _replace(hardware, memory=_share(hardware, estimate), per_card=_replace(per_card, cpu=cpu, memory=memory))


def _share(hardware: Hardware, estimate: Estimate | None) -> str | None:
    """Return the smallest share in whole GiB that the training fits with room to spare; at most the card, if known."""
    if hardware.memory is None or not _is_minimum(hardware.memory):
        return hardware.memory
    if estimate is None:
        return _size(hardware.memory, None)
    share, card = _size(hardware.memory, job.smallest_fitting_gib(estimate)), hardware.card.memory
    return card if card and kube.parse_quantity(share) > kube.parse_quantity(card) else share


def _storage(spec: Spec, estimate: Estimate | None) -> Storage:
    workspace = _volume(spec, spec.storage.workspace, estimate.workspace_gib if estimate else None)
    models = _volume(spec, spec.storage.models, job.models_gib(spec, estimate) if estimate else None)
    return _replace(spec.storage, workspace=workspace, models=models)


def _volume(spec: Spec, volume: Volume, gib: float | None) -> Volume:
    """Size a volume; one that exists already has the size that somebody gave it."""
    made = volume.create or lower.is_temporary(spec, volume)
    return _replace(volume, size=_size(volume.size, gib if made else None))


def _is_minimum(size: str) -> bool:
    return size.endswith("+")


@lru_cache(maxsize=1024)
def _size(size: str, gib: float | None) -> str:
    """Return a plain size: of `N+`, N or the GiB that are needed, whichever is more."""
    minimum = size.removesuffix("+")
    if gib is None or not _is_minimum(size) or kube.parse_quantity(minimum) >= ceil(gib) * _GIB:
        return minimum
    return f"{ceil(gib)}Gi"


def _replace(section: S, **changes: Any) -> S:
    """Return a copy of a section with the changes, or the section itself if nothing changes."""
    changed = {key: new for key, new in changes.items() if (old := getattr(section, key)) is not new and old != new}
    return section.model_copy(update=changed) if changed else section
