"""What a run takes: the estimate of its training in the terms of its specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import Any

from ftgen import estimate as estimates
from ftgen import lower
from ftgen.estimate import Estimate, Shape, Training, Verdict
from ftgen.spec import LlamaFactory, Spec
from ftgen.text import kube
from ftgen.trainers.arguments import versions
from ftgen.trainers.llamafactory import Configurations

_GIB = 2**30
_STAGES = ("pt", "sft", "rm", "dpo", "kto")
_SHIPPED = re.compile(r"ds_z([0-3])")
_REFERENCE_FREE = ("orpo", "simpo")


def fit_summary(spec: Spec, estimate: Estimate | None) -> dict[str, Any] | None:
    """Return the memory of the fullest card in GiB, what is available, and the verdict; null for what is unknown.

    None where nothing was estimated.
    """
    if estimate is None:
        return None
    there = available(spec)
    told = None if there is None else str(estimates.verdict(estimate, there))
    rounded = None if there is None else round(there, 2)
    return {"device_gib": round(estimate.device_gib, 2), "available_gib": rounded, "verdict": told}


def term_summary(estimate: Estimate | None) -> dict[str, float]:
    """Return what fills the fullest card, in GiB by name; empty where it is unknown."""
    return {} if estimate is None else {term.name: round(term.gib, 2) for term in estimate.terms}


def estimate_run(spec: Spec, configurations: Configurations | None) -> Estimate | None:
    """Estimate what the run takes; None where the model's shape or the trainer says nothing about it."""
    described = describe_training(spec, configurations)
    return None if described is None else _estimated(described)


# The jobs of a sweep share most trainings.
@lru_cache(maxsize=256)
def _estimated(described: Training) -> Estimate:
    return estimates.estimate(described)


def host_gib(spec: Spec, estimate: Estimate) -> float:
    """GiB of host memory that one pod takes, /dev/shm included."""
    return estimate.host_gib + float(kube.parse_quantity(lower.shared_memory(spec)) / _GIB)


def models_gib(spec: Spec, estimate: Estimate) -> float:
    """GiB that model and data set take on their volume while git-lfs fetches them."""
    data = float(2 * kube.parse_quantity(spec.dataset.size) / _GIB) if spec.dataset.url else 0.0
    return (estimate.models_gib if spec.model.url else 0.0) + data


def available(spec: Spec) -> float | None:
    """GiB of one card, or of the share of it; None where nobody has said."""
    size = spec.hardware.memory or spec.hardware.card.memory or spec.cluster.facts.card.memory
    return float(kube.parse_quantity(size) / _GIB) if size and spec.hardware.cards else None


def describe_training(spec: Spec, configurations: Configurations | None) -> Training | None:
    """Describe the run in the terms of `estimate`; None where they do not cover it."""
    trainer = spec.trainer
    if spec.model.shape is None or not isinstance(trainer, LlamaFactory) or trainer.version not in versions():
        return None
    args = configurations.training if configurations else {}
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


def smallest_fitting_gib(estimate: Estimate) -> int:
    """The smallest whole number of GiB that holds the training; by halves, since nonsense may need 10^12 of them."""
    low = ceil(estimate.device_gib)
    high = 2 * low + 1
    while low < high:
        middle = (low + high) // 2
        fits = estimates.verdict(estimate, middle) is Verdict.FITS
        low, high = (low, middle) if fits else (middle + 1, high)
    return low
