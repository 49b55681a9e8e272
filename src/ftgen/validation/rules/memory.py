"""Rules that compare the estimate of a run's memory and disk space with its cards, limits and claims."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from ftgen import lower
from ftgen.diagnostics import Severity
from ftgen.emulation import estimate as estimates
from ftgen.emulation.estimate import Estimate, Verdict
from ftgen.emulation.estimate.job import available, host_gib, models_gib, smallest_fitting_gib
from ftgen.emulation.estimate.storage import CHECKPOINTS, checkpoint_gib
from ftgen.spec import LlamaFactory, Spec, Volume
from ftgen.text import kube
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import SPEC

_GIB = 2**30
_FIXED = ("weights", "reference model", "optimizer states", "context")
# Configuration keys of the LLaMA-Factory arguments that the estimate's advice names.
_KEYS = {
    "per_device_train_batch_size": "trainer.batch_size",
    "cutoff_len": "trainer.cutoff_len",
    "gradient_accumulation_steps": "trainer.gradient_accumulation",
    "deepspeed": "trainer.parallel",
}


@rule("FT280", "does-not-fit", on=SPEC)
def _does_not_fit(spec: Spec, context: Context) -> Iterator[Finding]:
    """The training needs more memory than a card, or the share of one, has.

    An error if weights, optimizer and context exceed it, which do not depend on the rows. Else a warning, because
    rows shorter than cutoff_len take less. docs/fit.md describes the estimate and its accuracy.

    Refused: `model=qwen3-8b hardware.memory=8Gi`: 16 GiB of weights in a share of 8Gi.
    Write: what the help says, such as `hardware.memory=8Gi+` (that much, or what the training needs),
    `trainer=sft-qlora`, or `hardware=full-gpu`.
    """
    estimate, available_gib = context.estimate, available(spec)
    if estimate is None or available_gib is None or estimate.device_gib <= available_gib:
        return
    is_certain = sum(term.gib for term in estimate.terms if term.name in _FIXED) > available_gib
    largest = max(estimate.terms, key=lambda term: term.gib)
    headline = f"{_run(spec, estimate)} needs about {estimate.device_gib:.1f} GiB of each card"
    headline += f" ({largest.name}: {largest.gib:.1f}); {available_gib:.1f} GiB are available"
    severity = None if is_certain else Severity.WARNING
    yield Finding(headline, _subject(spec), _size(spec), _smallest_fix(spec, estimate, available_gib), severity)


@rule("FT281", "tight-fit", Severity.NOTE, on=SPEC)
def _tight_fit(spec: Spec, context: Context) -> Iterator[Finding]:
    """The training fills its card so far that the estimate's error could exceed it.

    Refused: an estimate above 92 percent of the card.
    Write: a smaller batch, or a larger share.
    """
    estimate, available_gib = context.estimate, available(spec)
    if estimate is None or available_gib is None or estimate.device_gib > available_gib:
        return
    if estimates.verdict(estimate, available_gib) is not Verdict.FITS:
        headline = f"{_run(spec, estimate)} needs about {estimate.device_gib:.1f} of {available_gib:.1f} GiB: tight"
        yield Finding(headline, _subject(spec), _size(spec), _smallest_fix(spec, estimate, available_gib))


@rule("FT282", "little-host-memory", Severity.WARNING, on=SPEC)
def _little_host_memory(spec: Spec, context: Context) -> Iterator[Finding]:
    """The pod's memory limit is below what its processes, the merge and /dev/shm take.

    The container is killed, often only after the training, while it merges.

    Refused: `hardware.per_card.memory.limit=4Gi`.
    Write: the limit that the help names.
    """
    estimate = context.estimate
    if estimate is None:
        return
    needed_gib = host_gib(spec, estimate)
    limit = lower.resources(spec)["limits"]["memory"]
    if needed_gib > kube.gibibytes(limit):
        headline = f"about {needed_gib:.0f} GiB of host memory are needed, /dev/shm included; the limit is {limit}"
        per_card = ceil(needed_gib / spec.hardware.devices)
        help_ = f"write hardware.per_card.memory.limit={per_card}Gi"
        yield Finding(headline, "hardware.per_card.memory.limit", spec.hardware.per_card.memory.limit, help_)


@rule("FT283", "small-claim", Severity.WARNING, on=SPEC)
def _small_claim(spec: Spec, context: Context) -> Iterator[Finding]:
    """A claim that is made for the run is smaller than what will lie on it.

    git-lfs keeps every file twice, when it fetches and when it pushes; the workspace holds the checkpoints that
    stay, one that is being written, and the result.  Without `save_total_limit` all checkpoints stay; where neither
    `max_samples` nor `max_steps` says how many they are, a claim that holds few of them fills up in mid-training.

    Refused: `model=qwen3-8b` in a workspace of 5Gi; `trainer=sft-full model=qwen3-8b trainer.args.max_samples=null`.
    Write: the size, or the limit, that the help names.
    """
    estimate = context.estimate
    if estimate is None:
        return
    if estimate.training.checkpoints is None and _is_made(spec, spec.storage.workspace):
        yield from _unlimited_checkpoints(spec, estimate)
    for key, volume, needed_gib in (
        ("workspace", spec.storage.workspace, estimate.workspace_gib),
        ("models", spec.storage.models, models_gib(spec, estimate)),
    ):
        if _is_made(spec, volume) and kube.parse_quantity(volume.size) < Fraction(needed_gib) * _GIB:
            headline = f"{volume.size} for the {key} are short of the {needed_gib:.1f} GiB that {spec.model.name} needs"
            help_ = f"write storage.{key}.size={ceil(needed_gib)}Gi"
            yield Finding(headline, f"storage.{key}.size", volume.size, help_)


def _is_made(spec: Spec, volume: Volume) -> bool:
    """Return whether a volume is made for the run; one that exists has the size that somebody gave it."""
    return volume.create or lower.is_temporary(spec, volume)


def _unlimited_checkpoints(spec: Spec, estimate: Estimate) -> Iterator[Finding]:
    """Yield a warning if the workspace holds few of the checkpoints that nothing bounds."""
    size, gib = spec.storage.workspace.size, checkpoint_gib(estimate.training)
    others_gib = sum(term.gib for term in estimate.workspace_terms if term.name != CHECKPOINTS)
    room_gib = max(kube.gibibytes(size) - others_gib, 0)
    if room_gib < _MANY_CHECKPOINTS * gib:
        held = int(room_gib / gib)
        headline = f"nothing bounds how many checkpoints of {gib:.1f} GiB stay; {size} for the workspace hold {held}"
        # The oldest goes after the newest is written.
        yield Finding(
            headline,
            "trainer.args.save_total_limit",
            help=f"write trainer.args.save_total_limit={max(held - 1, 1)}",
        )


_MANY_CHECKPOINTS = 10


@rule("FT285", "share-beyond-any-card", on=SPEC)
def _share_beyond_any_card(spec: Spec, context: Context) -> Iterator[Finding]:
    """A share that no card could give, where it is not known which cards there are.

    Sizes that grow (`8Gi+`) ask for what the training needs, even where nothing of that size exists; the pod would
    stay pending.  The most that a card has is 288 GB (NVIDIA B300, AMD Instinct MI355X; their data sheets).

    Refused: `model=qwen2.5-72b trainer=sft-full` on the default slice of a card.
    Write: what the help says, `hardware=full-gpu` with more cards among it.
    """
    share, estimate, largest_gib = spec.hardware.memory, context.estimate, _LARGEST_CARD / _GIB
    if share and not spec.hardware.card.memory and kube.parse_quantity(share) > _LARGEST_CARD:
        headline = f"{_run(spec, estimate)} asks for {share} of each card; no card has more than 288 GB"
        fits = estimate is not None and smallest_fitting_gib(estimate) <= largest_gib
        help_ = "write hardware.memory=8Gi+: that much, or what the training needs"
        yield Finding(headline, "hardware.memory", share, help_ if fits else _smallest_fix(spec, estimate, largest_gib))


_LARGEST_CARD = 288 * 10**9


def _whole_card_gib(spec: Spec) -> float:
    """Return the memory in GiB of the card that a share is cut from; of the largest card on sale, if not stated."""
    size = spec.hardware.card.memory or spec.cluster.facts.card.memory or str(_LARGEST_CARD)
    return kube.gibibytes(size)


def _run(spec: Spec, estimate: Estimate | None) -> str:
    return f"{spec.model.name} by {estimate.training.method if estimate else 'training'}"


def _subject(spec: Spec) -> str:
    return "hardware.memory" if spec.hardware.memory else "hardware.card.memory"


def _size(spec: Spec) -> str:
    return spec.hardware.memory or spec.hardware.card.memory or ""


def _smallest_fix(spec: Spec, estimate: Estimate | None, available_gib: float) -> str:
    """Suggest the smallest change by which the training fits, as overrides; first a larger share of the same card."""
    if estimate and spec.hardware.memory and (share := smallest_fitting_gib(estimate)) <= _whole_card_gib(spec):
        return f"write hardware.memory={share}Gi"
    change = estimates.smallest_change(estimate.training, available_gib) if estimate else None
    if estimate is None or change is None:
        return "use more cards, or a smaller model"
    overrides = [f"{_KEYS.get(name, _key(name))}={_override_text(value)}" for name, value in change.edits]
    batch = dict(change.edits).get("per_device_train_batch_size")
    accumulates = "gradient_accumulation_steps" in dict(change.edits)
    if isinstance(batch, int) and isinstance(spec.trainer, LlamaFactory) and not accumulates:
        factor = estimate.training.batch // batch
        overrides.append(f"trainer.gradient_accumulation={spec.trainer.gradient_accumulation * factor}")
    card = "" if change.description.startswith("set ") else change.description.partition(" and set ")[0]
    return " and ".join([card, *overrides] if card else [f"write {' '.join(overrides)}"])


def _key(name: str) -> str:
    return name if "." in name else f"trainer.args.{name}"


def _override_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
