"""Does it fit?  The run's memory and space, estimated by `fit`, against its cards, its limits and its claims."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

from ftgen import fit as estimates
from ftgen import kube, lower
from ftgen.diagnostics import Severity
from ftgen.fit import Estimate, Shape, Training, Verdict
from ftgen.rules import SPEC
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers.arguments import versions
from ftgen.trainers.llamafactory import Configurations
from ftgen.validation import Context, Finding, rule

_GIB = 2**30
_STAGES = ("pt", "sft", "rm", "dpo", "kto")
_SHIPPED = re.compile(r"ds_z([0-3])")
_REFERENCE_FREE = ("orpo", "simpo")
_FIXED = ("weights", "reference model", "optimizer states", "context")
# What `fit` calls by LLaMA-Factory's names, by the keys users type.
_KEYS = {
    "per_device_train_batch_size": "trainer.batch_size",
    "cutoff_len": "trainer.cutoff_len",
    "gradient_accumulation_steps": "trainer.gradient_accumulation",
    "deepspeed": "trainer.parallel",
}


def fit(spec: Spec, needed: Estimate | None) -> dict[str, Any] | None:
    """Return the memory of the fullest card in GiB, what is available, and the verdict; null for what is unknown.

    None where nothing was estimated.
    """
    if needed is None:
        return None
    there = available(spec)
    told = None if there is None else str(estimates.verdict(needed, there))
    rounded = None if there is None else round(there, 2)
    return {"device_gib": round(needed.device_gib, 2), "available_gib": rounded, "verdict": told}


def terms(needed: Estimate | None) -> dict[str, float]:
    """Return what fills the fullest card, in GiB by name; empty where it is unknown."""
    return {} if needed is None else {term.name: round(term.gib, 2) for term in needed.terms}


def estimate(spec: Spec, configured: Configurations | None) -> Estimate | None:
    """Estimate what the run takes; None where the model's shape or the trainer says nothing about it."""
    described = training(spec, configured)
    return None if described is None else _estimated(described)


# The jobs of a sweep share most trainings.
@lru_cache(maxsize=256)
def _estimated(described: Training) -> Estimate:
    return estimates.estimate(described)


def host_gib(spec: Spec, needed: Estimate) -> float:
    """GiB of host memory that one pod takes, /dev/shm included."""
    return needed.host_gib + float(kube.parse_quantity(lower.shared_memory(spec)) / _GIB)


def models_gib(spec: Spec, needed: Estimate) -> float:
    """GiB that model and data set take on their volume while git-lfs fetches them."""
    data = float(2 * kube.parse_quantity(spec.dataset.size) / _GIB) if spec.dataset.url else 0.0
    return (needed.models_gib if spec.model.url else 0.0) + data


def available(spec: Spec) -> float | None:
    """GiB of one card, or of the share of it; None where nobody has said."""
    size = spec.hardware.memory or spec.hardware.card.memory or spec.cluster.facts.card.memory
    return float(kube.parse_quantity(size) / _GIB) if size and spec.hardware.cards else None


def training(spec: Spec, configured: Configurations | None) -> Training | None:
    """Describe the run in the terms of `fit`; None where they do not cover it."""
    trainer = spec.trainer
    if spec.model.shape is None or not isinstance(trainer, LlamaFactory) or trainer.version not in versions():
        return None
    args = configured.training if configured else {}
    stage = str(args.get("stage", "sft"))
    if stage not in _STAGES:
        return None  # PPO holds a reward and a value model beside the policy
    return Training(
        shape=Shape.of(spec.model.shape.model_dump()),
        method=_method(args),
        stage=stage,  # type: ignore[arg-type]  # narrowed above
        batch=_number(args, "per_device_train_batch_size", 8),
        accumulation=_number(args, "gradient_accumulation_steps", 1),
        cutoff_len=_number(args, "cutoff_len", 2048),
        checkpointing=not args.get("disable_gradient_checkpointing"),
        precision="bf16" if args.get("bf16") else "fp16" if args.get("fp16") else "fp32",
        lora_rank=_number(args, "lora_rank", 8),
        lora_target=_joined(args.get("lora_target", "all")),
        quantization_bit=_number(args, "quantization_bit", 0) or None,
        freeze_layers=_number(args, "freeze_trainable_layers", 2),
        **_sharing(args, spec.world_size),
        world=spec.world_size,
        devices=spec.hardware.devices,
        reference_model=bool(args.get("ref_model")),
        **_optimizer(args),
        additional_target=_additional(args),
        reference_free=args.get("pref_loss") in _REFERENCE_FREE,
        flash_attn=str(args.get("flash_attn", "auto")),
        liger=bool(args.get("enable_liger_kernel")),
        checkpoints_kept=_number(args, "save_total_limit", 1),
        save_only_model=bool(args.get("save_only_model")),
        merge=trainer.merge,
    )


def _method(args: Mapping[str, Any]) -> Any:
    kind = str(args.get("finetuning_type", "lora"))
    if kind == "full" and (args.get("pure_bf16") or args.get("use_badam")):
        return "pure_bf16"  # LLaMA-Factory leaves what learns under BAdam in half precision too
    if kind == "lora" and args.get("quantization_bit"):
        return "qlora"
    return kind if kind in {"lora", "oft", "freeze", "full"} else "lora"


_PROJECTED = {"use_galore": "galore_rank", "use_apollo": "apollo_rank"}
_KEPT = (("8bit", "8 bits"), ("adafactor", "no state"), ("sgd", "no state"), ("lion", "one moment"))


def _optimizer(args: Mapping[str, Any]) -> dict[str, Any]:
    """What the optimizer keeps, by LLaMA-Factory's own switches and by transformers' `optim`."""
    if args.get("use_badam"):
        return {"optimizer": "block" if args.get("badam_mode", "layer") == "layer" else "no state"}
    for switch, rank in _PROJECTED.items():
        if args.get(switch):
            return {"optimizer": "low rank", "optimizer_rank": _number(args, rank, 16)}
    if args.get("use_muon") or args.get("use_adam_mini"):
        return {"optimizer": "one moment"}
    name = str(args.get("optim", "adamw_torch"))
    return {"optimizer": next((kept for part, kept in _KEPT if part in name), "adamw")}


def _additional(args: Mapping[str, Any]) -> str:
    """Modules that learn beside adapters; with a resized vocabulary and none named, both embeddings do."""
    named = args.get("additional_target")
    return _joined(named) if named else "embed_tokens,lm_head" if args.get("resize_vocab") else ""


def _number(args: Mapping[str, Any], name: str, default: int) -> int:
    value = args.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _joined(names: Any) -> str:
    return ",".join(map(str, names)) if isinstance(names, list | tuple) else str(names)


def _sharing(args: Mapping[str, Any], world: int) -> dict[str, Any]:
    """Who spreads what over the cards; FSDP does nothing for one process."""
    deepspeed, fsdp = args.get("deepspeed"), _joined(args.get("fsdp") or "")
    if deepspeed is None and fsdp and world > 1:
        offloads = "offload" in fsdp
        stage = 2 if "shard_grad_op" in fsdp else 0 if "no_shard" in fsdp else 3
        return {"zero_stage": stage, "fsdp": True, "offload_optimizer": offloads, "offload_parameters": offloads}
    return {
        "zero_stage": _zero_stage(deepspeed),
        "deepspeed": deepspeed is not None,
        "offload_optimizer": _offloads(deepspeed, "offload_optimizer"),
        "offload_parameters": _offloads(deepspeed, "offload_param"),
    }


def _zero_stage(deepspeed: Any) -> int:
    if isinstance(deepspeed, Mapping):
        section = deepspeed.get("zero_optimization")
        return _number(section, "stage", 0) if isinstance(section, Mapping) else 0
    named = _SHIPPED.search(str(deepspeed or ""))
    return int(named[1]) if named else 0


def _offloads(deepspeed: Any, part: str) -> bool:
    if not isinstance(deepspeed, Mapping):
        return "offload" in str(deepspeed or "")
    section = deepspeed.get("zero_optimization")
    return isinstance(section, Mapping) and isinstance(section.get(part), Mapping)


@rule("FT280", "does-not-fit", on=SPEC)
def _does_not_fit(spec: Spec, context: Context) -> Iterator[Finding]:
    """The training needs more memory than a card, or the share of one, has.

    An error where what does not depend on the rows exceeds it: weights, optimizer, context. Else a warning, for
    rows shorter than cutoff_len take less. How it is computed, and how accurately, is told in docs/fit.md.

    Refused: `model=qwen3-8b hardware.memory=8Gi`: 16 GiB of weights in a share of 8Gi.
    Write: what the help says, such as `hardware.memory=8Gi+` (that much, or what the training needs),
    `trainer=sft-qlora`, or `hardware=full-gpu`.
    """
    needed, there = context.estimate, available(spec)
    if needed is None or there is None or needed.device_gib <= there:
        return
    hopeless = sum(term.gib for term in needed.terms if term.name in _FIXED) > there
    largest = max(needed.terms, key=lambda term: term.gib)
    headline = f"{_run(spec, needed)} needs about {needed.device_gib:.1f} GiB of each card"
    headline += f" ({largest.name}: {largest.gib:.1f}); {there:.1f} GiB are available"
    severity = None if hopeless else Severity.WARNING
    yield Finding(headline, _subject(spec), _size(spec), _mend(spec, needed, there), severity)


@rule("FT281", "tight-fit", Severity.NOTE, on=SPEC)
def _tight(spec: Spec, context: Context) -> Iterator[Finding]:
    """The training fills its card so far that the estimate's error could exceed it.

    Refused: an estimate above 92 percent of the card.
    Write: a smaller batch, or a larger share.
    """
    needed, there = context.estimate, available(spec)
    if needed is None or there is None or needed.device_gib > there:
        return
    if estimates.verdict(needed, there) is not Verdict.FITS:
        headline = f"{_run(spec, needed)} needs about {needed.device_gib:.1f} of {there:.1f} GiB: tight"
        yield Finding(headline, _subject(spec), _size(spec), _mend(spec, needed, there))


@rule("FT282", "little-host-memory", Severity.WARNING, on=SPEC)
def _host(spec: Spec, context: Context) -> Iterator[Finding]:
    """The pod's memory limit is below what its processes, the merge and /dev/shm take.

    The container is killed, often only after the training, while it merges.

    Refused: `hardware.per_card.memory.limit=4Gi`.
    Write: the limit that the help names.
    """
    needed = context.estimate
    if needed is None:
        return
    wanted = host_gib(spec, needed)
    limit = lower.resources(spec)["limits"]["memory"]
    if wanted > kube.parse_quantity(limit) / _GIB:
        headline = f"about {wanted:.0f} GiB of host memory are needed, /dev/shm included; the limit is {limit}"
        each = ceil(wanted / spec.hardware.devices)
        help_ = f"write hardware.per_card.memory.limit={each}Gi"
        yield Finding(headline, "hardware.per_card.memory.limit", spec.hardware.per_card.memory.limit, help_)


@rule("FT283", "small-claim", Severity.WARNING, on=SPEC)
def _small_claim(spec: Spec, context: Context) -> Iterator[Finding]:
    """A claim that is made for the run is smaller than what will lie on it.

    git-lfs keeps every file twice, when it fetches and when it pushes; the workspace holds the checkpoints that
    stay, one that is being written, and the result.

    Refused: `model=qwen3-8b` in a workspace of 5Gi.
    Write: the size that the help names.
    """
    needed = context.estimate
    if needed is None:
        return
    for key, volume, wanted in (
        ("workspace", spec.storage.workspace, needed.workspace_gib),
        ("models", spec.storage.models, models_gib(spec, needed)),
    ):
        made = volume.create or lower.is_temporary(spec, volume)
        if made and kube.parse_quantity(volume.size) < Fraction(wanted) * _GIB:
            headline = f"{volume.size} for the {key} are short of the {wanted:.1f} GiB that {spec.model.name} needs"
            yield Finding(headline, f"storage.{key}.size", volume.size, f"write storage.{key}.size={ceil(wanted)}Gi")


@rule("FT285", "share-beyond-any-card", on=SPEC)
def _beyond(spec: Spec, context: Context) -> Iterator[Finding]:
    """A share that no card could give, where it is not known which cards there are.

    Sizes that grow (`8Gi+`) ask for what the training needs, even where nothing of that size exists; the pod would
    stay pending.  The most that a card has is 288 GB (NVIDIA B300, AMD Instinct MI355X; their data sheets).

    Refused: `model=qwen2.5-72b trainer=sft-full` on the default slice of a card.
    Write: what the help says, `hardware=full-gpu` with more cards among it.
    """
    share, needed, most = spec.hardware.memory, context.estimate, _LARGEST_CARD / _GIB
    if share and not spec.hardware.card.memory and kube.parse_quantity(share) > _LARGEST_CARD:
        headline = f"{_run(spec, needed)} asks for {share} of each card; no card has more than 288 GB"
        fits = needed is not None and needed.device_gib <= most
        grow = "write hardware.memory=8Gi+: that much, or what the training needs"
        yield Finding(headline, "hardware.memory", share, grow if fits else _mend(spec, needed, most))


_LARGEST_CARD = 288 * 10**9


def _largest(spec: Spec) -> float:
    """GiB of the card that a share is cut from; of the largest there is, where nobody has said."""
    size = spec.hardware.card.memory or spec.cluster.facts.card.memory or str(_LARGEST_CARD)
    return float(kube.parse_quantity(size) / _GIB)


def holding(needed: Estimate) -> int:
    """The smallest whole number of GiB that holds the training; by halves, since nonsense may need 10^12 of them."""
    low = ceil(needed.device_gib)
    high = 2 * low + 1
    while low < high:
        middle = (low + high) // 2
        fits = estimates.verdict(needed, middle) is Verdict.FITS
        low, high = (low, middle) if fits else (middle + 1, high)
    return low


def _run(spec: Spec, needed: Estimate | None) -> str:
    return f"{spec.model.name} by {needed.training.method if needed else 'training'}"


def _subject(spec: Spec) -> str:
    return "hardware.memory" if spec.hardware.memory else "hardware.card.memory"


def _size(spec: Spec) -> str:
    return spec.hardware.memory or spec.hardware.card.memory or ""


def _mend(spec: Spec, needed: Estimate | None, available_gib: float) -> str:
    """Suggest the smallest change that makes it fit, as overrides: of a share, a larger one of the same card."""
    if needed and spec.hardware.memory and (share := holding(needed)) <= _largest(spec):
        return f"write hardware.memory={share}Gi"
    change = estimates.smallest_change(needed.training, available_gib) if needed else None
    if needed is None or change is None:
        return "use more cards, or a smaller model"
    words = [f"{_KEYS.get(name, _key(name))}={_plain(value)}" for name, value in change.edits]
    batch = dict(change.edits).get("per_device_train_batch_size")
    accumulated = "gradient_accumulation_steps" in dict(change.edits)
    if isinstance(batch, int) and isinstance(spec.trainer, LlamaFactory) and not accumulated:
        factor = needed.training.batch // batch
        words.append(f"trainer.gradient_accumulation={spec.trainer.gradient_accumulation * factor}")
    card = "" if change.description.startswith("set ") else change.description.partition(" and set ")[0]
    return " and ".join([card, *words] if card else [f"write {' '.join(words)}"])


def _key(name: str) -> str:
    return name if "." in name else f"trainer.args.{name}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
