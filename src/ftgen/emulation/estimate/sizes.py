"""Minimum sizes: `8Gi+` is 8Gi, or more if the estimate of the training is larger.

The smallest sufficient share of a card, limit of host memory and claim made for the run depend on model, method and
batch.  A size without the plus stays as it is, and rules compare it with the estimate.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, TypeVar

from msgspec import Struct

from ftgen import lower
from ftgen.emulation.estimate import Estimate, job
from ftgen.spec import Hardware, Section, Spec, Storage, Volume
from ftgen.text import kube
from ftgen.text.sharing import Once, anew

_GIB = 2**30
# Larger quantities of bytes are cut by Kubernetes; what needs more is refused by the rules that compare the estimate.
_MOST_GIB = 2**33 - 1
S = TypeVar("S", bound=Section)


class Needs(Struct, frozen=True):
    """What the minimum sizes of a specification must hold, in GiB; None: not known, or no minimum to compare with.

    Attributes:
        card: smallest memory of each card, or share of one, that suffices with room to spare.
        host: memory of a pod, with `/dev/shm`.
        models: space on the models volume.
        workspace: space on the workspace.
    """

    card: float | None = None
    host: float | None = None
    models: float | None = None
    workspace: float | None = None


def resolve_sizes(spec: Spec, estimate: Estimate | None, once: Once = anew) -> Spec:
    """Replace each `N+` of a specification by a plain quantity: the larger of N and the estimate, if there is one."""
    if estimate is None:
        return fit_sizes(spec, Needs(), once)
    # The share takes a search, which a whole card can do without.
    shared = spec.hardware.memory is not None and _is_minimum(spec.hardware.memory)
    card = job.smallest_fitting_gib(estimate) if shared else None
    host, models = job.host_gib(spec, estimate), job.models_gib(spec, estimate)
    return fit_sizes(spec, Needs(card, host, models, estimate.workspace_gib), once)


def fit_sizes(spec: Spec, needs: Needs, once: Once = anew) -> Spec:
    """Replace each `N+` of a specification by a plain quantity: the larger of N and what is needed."""
    return _replace(spec, hardware=once(_hardware, spec.hardware, needs), storage=_storage(spec, needs))


def _hardware(hardware: Hardware, needs: Needs) -> Hardware:
    per_card = hardware.per_card
    limit = None if needs.host is None else needs.host / hardware.devices
    cpu = _replace(per_card.cpu, limit=_size(per_card.cpu.limit, None))
    memory = _replace(per_card.memory, limit=_size(per_card.memory.limit, limit))
    return _replace(hardware, memory=_share(hardware, needs), per_card=_replace(per_card, cpu=cpu, memory=memory))


def _share(hardware: Hardware, needs: Needs) -> str | None:
    """Return the smallest share in whole GiB that suffices; at most the card, if known."""
    if hardware.memory is None or not _is_minimum(hardware.memory):
        return hardware.memory
    share, card = _size(hardware.memory, needs.card), hardware.card.memory
    is_larger = needs.card is not None and card and kube.parse_quantity(share) > kube.parse_quantity(card)
    return card if is_larger else share


def _storage(spec: Spec, needs: Needs) -> Storage:
    workspace = _volume(spec, spec.storage.workspace, needs.workspace)
    models = _volume(spec, spec.storage.models, needs.models)
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
    whole = 0 if gib is None or not _is_minimum(size) else ceil(min(gib, _MOST_GIB))
    return minimum if kube.parse_quantity(minimum) >= whole * _GIB else f"{whole}Gi"


def _replace(section: S, **changes: Any) -> S:
    """Return a copy of a section with the changes, or the section itself if nothing changes."""
    changed = {key: new for key, new in changes.items() if (old := getattr(section, key)) is not new and old != new}
    return section.model_copy(update=changed) if changed else section
