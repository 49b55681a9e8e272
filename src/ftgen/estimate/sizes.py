"""Sizes that grow with the training: `8Gi+` is 8Gi, or as much more as the estimate asks for.

A share of a card, a limit of host memory and a claim made for the run are worth what fits into them, and the
smallest that does depends on model, method and batch.  A size without the plus is taken as it is, and judged.
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
    """Replace every `N+` of a specification by a plain quantity: N, or what the training needs where that is known."""
    least = _replace(spec, hardware=_least_hardware(spec.hardware), storage=_least_storage(spec.storage))
    if estimate is None:
        return least
    hardware, storage = spec.hardware, spec.storage
    if _grows(hardware.memory):
        least = _replace(least, hardware=_replace(least.hardware, memory=_share(least, estimate)))
    if _grows(hardware.per_card.memory.limit):
        least = _with_limit(least, job.host_gib(least, estimate) / hardware.devices)
    if _grows(storage.workspace.size):
        least = _with_volume(least, "workspace", estimate.workspace_gib)
    if _grows(storage.models.size):
        least = _with_volume(least, "models", job.models_gib(least, estimate))
    return least


def _share(spec: Spec, estimate: Estimate) -> str | None:
    """The smallest whole number of GiB that holds the training with room to spare, within the card if it is known."""
    share, card = _larger(str(spec.hardware.memory), job.smallest_fitting_gib(estimate)), spec.hardware.card.memory
    return card if card and kube.parse_quantity(share) > kube.parse_quantity(card) else share


def _with_limit(spec: Spec, gib: float) -> Spec:
    each = spec.hardware.per_card
    limited = _replace(each.memory, limit=_larger(each.memory.limit, gib))
    return _replace(spec, hardware=_replace(spec.hardware, per_card=_replace(each, memory=limited)))


def _with_volume(spec: Spec, name: str, gib: float) -> Spec:
    volume: Volume = getattr(spec.storage, name)
    if not (volume.create or lower.is_temporary(spec, volume)):
        return spec
    return _replace(spec, storage=_replace(spec.storage, **{name: _replace(volume, size=_larger(volume.size, gib))}))


@lru_cache(maxsize=1024)
def _larger(least: str, gib: float) -> str:
    return least if kube.parse_quantity(least) >= ceil(gib) * _GIB else f"{ceil(gib)}Gi"


def _least_hardware(hardware: Hardware) -> Hardware:
    each = hardware.per_card
    return _replace(
        hardware,
        memory=_least(hardware.memory),
        per_card=_replace(
            each,
            cpu=_replace(each.cpu, limit=_least(each.cpu.limit)),
            memory=_replace(each.memory, limit=_least(each.memory.limit)),
        ),
    )


def _least_storage(storage: Storage) -> Storage:
    return _replace(
        storage,
        workspace=_replace(storage.workspace, size=_least(storage.workspace.size)),
        models=_replace(storage.models, size=_least(storage.models.size)),
    )


def _grows(size: str | None) -> bool:
    return size is not None and size.endswith("+")


def _least(size: str | None) -> str | None:
    return size.removesuffix("+") if size is not None else None


def _replace(section: S, **changes: Any) -> S:
    """Copy a section with changes; return itself where nothing changes."""
    changed = {key: value for key, value in changes.items() if getattr(section, key) is not value}
    return section.model_copy(update=changed) if changed else section
