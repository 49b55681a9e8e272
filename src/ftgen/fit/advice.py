"""Does it fit, and if not, what is the smallest change that does?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ftgen.fit.device import Term, moments, peak
from ftgen.fit.storage import disk, host
from ftgen.fit.training import Training

ROOM = 0.92
"""Share of a card that may be planned: nine estimates in ten are within 8 percent of the measurement."""

TENSOR_ERROR = 0.97
"""The tensors alone are estimated within 3 percent, so that below this share they cannot be."""

CARDS = {
    "T4": 15360,
    "L4": 23034,
    "RTX 4090": 24564,
    "A100 40GB": 40960,
    "L40S": 46068,
    "A100 80GB": 81920,
    "H20 96GB": 97871,
    "H200": 143771,
    "B200": 183359,
}
"""MiB of common cards as `nvidia.com/gpu.memory` reports them, smallest first."""

SHORTEST = 512
"""Shortest `cutoff_len` worth proposing, in tokens."""


class Verdict(StrEnum):
    """What an estimate means for a card."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training takes, in GiB.

    Attributes:
        terms: what fills one card at the fullest moment.
        moment: that moment: `forward`, `loss` or `gradients`.
        device_gib: the terms together; what `nvidia-smi` shows, and a vGPU limit must hold.
        floor_gib: the most that tensors and context take, without blocks the allocator can give back.
        host_terms: what fills the pod's memory.
        model_terms: space wanted on the models' volume.
        workspace_terms: space wanted on the workspace.
        training: what is estimated.
    """

    terms: tuple[Term, ...]
    moment: str
    device_gib: float
    floor_gib: float
    host_terms: tuple[Term, ...]
    model_terms: tuple[Term, ...]
    workspace_terms: tuple[Term, ...]
    training: Training

    @property
    def host_gib(self) -> float:
        """Memory of one pod, without `/dev/shm`."""
        return sum(term.gib for term in self.host_terms)

    @property
    def models_gib(self) -> float:
        """Space on the models' volume."""
        return sum(term.gib for term in self.model_terms)

    @property
    def workspace_gib(self) -> float:
        """Space on the workspace."""
        return sum(term.gib for term in self.workspace_terms)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that makes a training fit.

    Attributes:
        description: the change in words, for a diagnostic's help.
        edits: arguments and their new values: LLaMA-Factory's names, or a key with a dot for ftgen's own.
        estimate: what the changed training takes.
    """

    description: str
    edits: tuple[tuple[str, object], ...]
    estimate: Estimate


def estimate(training: Training) -> Estimate:
    """What `training` takes on its fullest card, in its pod and on its volumes."""
    fullest = peak(training)
    models, workspace = disk(training)
    floor = max(moment.tensors_gib for moment in moments(training))
    return Estimate(fullest.terms, fullest.moment, fullest.gib, floor, host(training), models, workspace, training)


def verdict(estimate: Estimate, available_gib: float) -> Verdict:
    """Whether a card, or a share of one, with `available_gib` holds the training.

    It does not when the tensors alone exceed the card even if they are overestimated.  It is tight when the
    allocator's blocks or the estimate's error may exceed it.
    """
    if estimate.floor_gib * TENSOR_ERROR > available_gib:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if estimate.device_gib <= ROOM * available_gib else Verdict.TIGHT


def smallest_change(training: Training, available_gib: float) -> Change | None:
    """The change that costs the result least and makes the training fit.

    None when nothing does, and when the training fits as it is.

    In this order: checkpointing, as many rows at once as FSDP would accumulate, a smaller batch with as much more
    accumulation, shorter rows, a quantized base, adapters instead of all weights, ZeRO-3 or FSDP over more cards, a
    bigger card.
    """
    if verdict(estimate(training), available_gib) is Verdict.FITS:
        return None
    for candidate, edits in _candidates(training):
        changed = estimate(candidate)
        if verdict(changed, available_gib) is Verdict.FITS:
            return Change(_in_words(edits), edits, changed)
    return _bigger_card(training, available_gib)


_Edits = tuple[tuple[str, object], ...]


def _candidates(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Gentle steps alone, then together, then the ones that change the training's nature."""
    yield from (*_checkpointing(training), *_at_once(training), *_batches(training), *_lengths(training))
    squeezed, edits = _squeezed(training)
    yield squeezed, edits
    yield from _after(edits, _lengths(squeezed))
    bases = ((training, ()), (squeezed, edits))
    for base, so_far in bases:
        yield from _after(so_far, _lighter(base))
    for lighter, more in _lighter(squeezed):
        yield from _after(edits + more, _lengths(lighter))
    for base, so_far in bases:
        yield from _after(so_far, _sharded(base))


def _after(edits: _Edits, candidates: Iterable[tuple[Training, _Edits]]) -> Iterator[tuple[Training, _Edits]]:
    """The candidates, each with the edits that led to it."""
    return ((training, edits + more) for training, more in candidates)


def _checkpointing(training: Training) -> Iterator[tuple[Training, _Edits]]:
    if not training.checkpointing:
        yield replace(training, checkpointing=True), (("disable_gradient_checkpointing", False),)


def _at_once(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """The rows of an update in one pass, where FSDP would keep whole gradients from one to the next."""
    if training.fsdp and training.zero_stage and training.accumulation > 1:
        batch = training.batch * training.accumulation
        edits = (("per_device_train_batch_size", batch), ("gradient_accumulation_steps", 1))
        yield replace(training, batch=batch, accumulation=1), edits


def _halves(value: int, least: int) -> Iterator[int]:
    while value // 2 >= least:
        value //= 2
        yield value


def _batches(training: Training) -> Iterator[tuple[Training, _Edits]]:
    for batch in _halves(training.batch, 1):
        yield replace(training, batch=batch), (("per_device_train_batch_size", batch),)


def _lengths(training: Training) -> Iterator[tuple[Training, _Edits]]:
    for length in _halves(training.cutoff_len, SHORTEST):
        yield replace(training, cutoff_len=length), (("cutoff_len", length),)


def _squeezed(training: Training) -> tuple[Training, _Edits]:
    """Checkpointing and one row a step, which leave the result as it is."""
    steps = [[*_checkpointing(training)], [*_batches(training)][-1:]]
    edits = tuple(edit for step in steps for _, edits in step for edit in edits)
    return replace(training, checkpointing=True, batch=1), edits


def _lighter(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Less that learns, then fewer bits for what does not."""
    if training.method in ("full", "pure_bf16"):
        adapted, edits = replace(training, method="lora"), (("finetuning_type", "lora"),)
        yield adapted, edits
        yield from _after(edits, _lighter(adapted))
    if training.method in ("lora", "oft") and training.quantized_bits is None and training.zero_stage == 0:
        yield replace(training, method="qlora", quantization_bit=4), (("quantization_bit", 4),)


def _sharded(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Shares of all over the cards there are, then over more of one node; not for pure_bf16, which excludes it.

    By ZeRO-3, but by FSDP what it shares already, and a mixture of experts, for which ZeRO-3 is far too slow.
    """
    if training.method == "pure_bf16" or training.quantized_bits is not None:
        return
    by_torch = training.fsdp or training.shape.experts > 0
    way: _Edits = (("trainer.parallel", "fsdp"),) if by_torch else (("deepspeed", "z3"),)
    nodes = training.world // training.devices
    for devices in (count for count in (1, 2, 4, 8) if count >= training.devices and count * nodes > 1):
        more = (("hardware.devices", devices),) if devices > training.devices else ()
        shared = replace(training, zero_stage=3, deepspeed=not by_torch, fsdp=by_torch)
        yield replace(shared, devices=devices, world=devices * nodes), (*more, *way)


def _bigger_card(training: Training, available_gib: float) -> Change | None:
    """The smallest larger card that holds the training as it is, or else made as light as it gets."""
    squeezed, edits = _squeezed(training)
    candidates: list[tuple[Training, _Edits]] = [(training, ()), (squeezed, edits), *_after(edits, _lighter(squeezed))]
    needs = [(estimate(candidate), more) for candidate, more in candidates]
    for card, mib in CARDS.items():
        for needed, more in needs:
            if mib / 1024 > available_gib and verdict(needed, mib / 1024) is Verdict.FITS:
                also = f" and {_in_words(more)}" if more else ""
                return Change(f"use a card with {mib / 1024:.0f} GiB or more ({card}){also}", more, needed)
    return None


def _in_words(edits: _Edits) -> str:
    """The edits as assignments, with what keeps the batch the same size."""
    text = " and ".join(f"{key}={_plain(value)}" for key, value in edits)
    if {key for key, _ in edits}.isdisjoint({"gradient_accumulation_steps"}) and "per_device_train_batch_size" in text:
        text += ", with gradient_accumulation_steps raised by the same factor"
    return f"set {text}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
