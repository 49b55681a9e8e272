"""Estimate of a training, verdict for a card, and the smallest change that makes the training fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from ftgen.emulation.estimate.device import Term, moments, peak
from ftgen.emulation.estimate.storage import disk, host
from ftgen.emulation.estimate.training import SWITCHES, Training

ROOM = 0.92
"""Share of a card that an estimate may fill: nine estimates in ten are within 8 percent of the measurement."""
ROOM_OF_OTHERS = 0.84
"""The same for 8-bit bases, embeddings beside adapters and what `_LESS_CERTAIN` names: 16 percent measured."""
_LESS_CERTAIN = ("one moment", "8 bits", "no state")
"""Optimizers, by their states, of which PyTorch's allocator keeps more than the estimate takes for cached."""

TENSOR_ERROR = 0.97
"""Lower bound of the tensors' actual size as a share of their estimate, which is within 3 percent."""

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
    """Whether an estimate fits a card."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does not fit"


class Estimate(Struct, frozen=True):
    """Memory and space of a training, in GiB.

    Attributes:
        terms: memory of one card at its peak.
        moment: moment of the peak: `forward`, `loss`, `gradients` or `update`.
        device_gib: sum of the terms, which `nvidia-smi` shows and a vGPU limit must allow.
        floor_gib: peak of tensors and context, without cached blocks, which the allocator can free.
        host_terms: memory of the pod.
        model_terms: space on the models' volume.
        workspace_terms: space on the workspace.
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
        """Return the memory of one pod, without `/dev/shm`."""
        return sum(term.gib for term in self.host_terms)

    @property
    def models_gib(self) -> float:
        """Return the space on the models' volume."""
        return sum(term.gib for term in self.model_terms)

    @property
    def workspace_gib(self) -> float:
        """Return the space on the workspace."""
        return sum(term.gib for term in self.workspace_terms)


class Change(Struct, frozen=True):
    """A change that makes a training fit.

    Attributes:
        description: the change in words, for a diagnostic's help.
        edits: arguments and their new values: names of LLaMA-Factory, or dotted keys of ftgen.
        estimate: estimate of the changed training.
    """

    description: str
    edits: tuple[tuple[str, object], ...]
    estimate: Estimate


def estimate(training: Training) -> Estimate:
    """Estimate the memory of the fullest card and of its pod, and the space on the volumes."""
    use = peak(training)
    models, workspace = disk(training)
    floor = max(moment.tensors_gib for moment in moments(training))
    return Estimate(use.terms, use.moment, use.gib, floor, host(training), models, workspace, training)


def verdict(estimate: Estimate, available_gib: float) -> Verdict:
    """Compare an estimate with the memory of a card, or of a share of one.

    It does not fit if the tensors alone exceed the card even when they are overestimated.  It is tight if cached
    blocks or the estimate's error may exceed it.
    """
    if estimate.floor_gib * TENSOR_ERROR > available_gib:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if estimate.device_gib <= _room(estimate.training) * available_gib else Verdict.TIGHT


def _room(training: Training) -> float:
    is_other = training.quantization_bit == 8 or training.additional_target or training.optimizer in _LESS_CERTAIN  # noqa: PLR2004 - bits
    return ROOM_OF_OTHERS if is_other else ROOM


def smallest_change(training: Training, available_gib: float) -> Change | None:
    """Find the change that makes the training fit and affects its result least.

    Return None if nothing helps, or if the training fits unchanged.

    Try in this order: checkpointing, as many rows at once as FSDP would accumulate, a smaller batch with more
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
    """Yield changes that keep the method, alone and together, then changes of the method, then of the sharding."""
    yield from (*_checkpointing(training), *_single_pass(training), *_batches(training), *_lengths(training))
    reduced, edits = _reduced(training)
    yield reduced, edits
    yield from _after(edits, _lengths(reduced))
    bases = ((training, ()), (reduced, edits))
    for base, so_far in bases:
        yield from _after(so_far, _lighter(base))
    for lighter, more in _lighter(reduced):
        yield from _after(edits + more, _lengths(lighter))
    for base, so_far in bases:
        yield from _after(so_far, _sharded(base))


def _after(edits: _Edits, candidates: Iterable[tuple[Training, _Edits]]) -> Iterator[tuple[Training, _Edits]]:
    """Prepend the edits that led to the candidates."""
    return ((training, edits + more) for training, more in candidates)


def _checkpointing(training: Training) -> Iterator[tuple[Training, _Edits]]:
    if not training.checkpointing:
        yield replace(training, checkpointing=True), (("disable_gradient_checkpointing", False),)


def _single_pass(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Yield all rows of an update in one pass: FSDP keeps whole gradients between the passes of an update."""
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


def _reduced(training: Training) -> tuple[Training, _Edits]:
    """Return the training with checkpointing and one row per pass, which do not affect its result."""
    steps = [[*_checkpointing(training)], [*_batches(training)][-1:]]
    edits = tuple(edit for step in steps for _, edits in step for edit in edits)
    return replace(training, checkpointing=True, batch=1), edits


def _lighter(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Yield an adapter instead of all weights, then a quantized base."""
    if training.method in ("full", "pure_bf16"):
        # These optimizers train all weights, or none.
        switch = SWITCHES.get(training.optimizer)
        edits: _Edits = (("finetuning_type", "lora"), *(((switch, False),) if switch else ()))
        adapted = replace(training, method="lora", optimizer="adamw" if switch else training.optimizer)
        yield adapted, edits
        yield from _after(edits, _lighter(adapted))
    is_whole = training.quantized_bits is None and training.zero_stage == 0
    if training.method in ("lora", "oft") and is_whole and training.quantizable:
        method = "qlora" if training.method == "lora" else training.method
        yield replace(training, method=method, quantization_bit=4), (("quantization_bit", 4),)


def _sharded(training: Training) -> Iterator[tuple[Training, _Edits]]:
    """Yield sharding over the present cards, then over more of one node; none for what excludes it.

    Shard with ZeRO-3, or with FSDP if the training uses it, and for a mixture of experts: ZeRO-3 is far too slow there.
    """
    if training.method == "pure_bf16" or training.quantized_bits is not None or training.optimizer in SWITCHES:
        return
    by_fsdp = training.fsdp or training.shape.experts > 0
    # FSDP cannot spread a reward model's float32 head with frozen weights in half precision.
    if not training.shardable or (by_fsdp and training.stage == "rm" and training.method != "full"):
        return
    method: _Edits = (("trainer.parallel", "fsdp"),) if by_fsdp else (("deepspeed", "z3"),)
    nodes = training.world // training.devices
    for devices in (count for count in (1, 2, 4, 8) if count >= training.devices and count * nodes > 1):
        more = (("hardware.devices", devices),) if devices > training.devices else ()
        sharded = replace(training, zero_stage=3, deepspeed=not by_fsdp, fsdp=by_fsdp)
        yield replace(sharded, devices=devices, world=devices * nodes), (*more, *method)


def _bigger_card(training: Training, available_gib: float) -> Change | None:
    """Return the smallest larger card that fits the training unchanged, or else with ever stronger changes."""
    reduced, edits = _reduced(training)
    candidates: list[tuple[Training, _Edits]] = [(training, ()), (reduced, edits), *_after(edits, _lighter(reduced))]
    estimates = [(estimate(candidate), more) for candidate, more in candidates]
    for card, mib in CARDS.items():
        for changed, more in estimates:
            if mib / 1024 > available_gib and verdict(changed, mib / 1024) is Verdict.FITS:
                also = f" and {_in_words(more)}" if more else ""
                return Change(f"use a card with {mib / 1024:.0f} GiB or more ({card}){also}", more, changed)
    return None


def _in_words(edits: _Edits) -> str:
    """Format edits as assignments, with the accumulation that keeps the batch the same size."""
    text = " and ".join(f"{key}={_plain(value)}" for key, value in edits)
    if {key for key, _ in edits}.isdisjoint({"gradient_accumulation_steps"}) and "per_device_train_batch_size" in text:
        text += ", with gradient_accumulation_steps raised by the same factor"
    return f"set {text}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
