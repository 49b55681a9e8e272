"""Estimate of a run: its specification as a training, and the estimate against its cards and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import Any

from ftgen import lower
from ftgen.emulation import estimate as estimates
from ftgen.emulation.estimate import Estimate, Shape, Training, Verdict, checkpoints
from ftgen.emulation.estimate.training import SWITCHES, number
from ftgen.spec import LlamaFactory, Spec
from ftgen.text import kube
from ftgen.trainers import image, llamafactory, quantization, sharding
from ftgen.trainers.arguments import versions
from ftgen.trainers.llamafactory import Configurations

_STAGES = ("pt", "sft", "rm", "dpo", "kto")
_REFERENCE_FREE = ("orpo", "simpo")
_FLASH = ("auto", "fa2")


def fit_summary(spec: Spec, estimate: Estimate | None) -> dict[str, Any] | None:
    """Return the memory of the fullest card and the available memory in GiB, and the verdict.

    Unknown values are null; None if there is no estimate.
    """
    if estimate is None:
        return None
    available_gib = available(spec)
    verdict = None if available_gib is None else str(estimates.verdict(estimate, available_gib))
    rounded = None if available_gib is None else round(available_gib, 2)
    return {"device_gib": round(estimate.device_gib, 2), "available_gib": rounded, "verdict": verdict}


def term_summary(estimate: Estimate | None) -> dict[str, float]:
    """Return the memory terms of the fullest card in GiB, by name; empty if there is no estimate."""
    return {} if estimate is None else {term.name: round(term.gib, 2) for term in estimate.terms}


def estimate_run(spec: Spec, configurations: Configurations | None) -> Estimate | None:
    """Estimate a run; None if the model's shape is unknown or the trainer cannot be estimated."""
    training = describe_training(spec, configurations)
    return None if training is None else _estimate(training)


# Most jobs of a sweep have the same training.
@lru_cache(maxsize=256)
def _estimate(training: Training) -> Estimate:
    return estimates.estimate(training)


def host_gib(spec: Spec, estimate: Estimate) -> float:
    """Return the host memory of one pod in GiB, with /dev/shm."""
    return estimate.host_gib + kube.gibibytes(lower.shared_memory(spec))


def models_gib(spec: Spec, estimate: Estimate) -> float:
    """Return the space in GiB of model and data set on their volume while git-lfs fetches them."""
    size = spec.dataset.size if spec.dataset.url else None
    data = 2 * kube.gibibytes(size) if size else 0.0
    return (estimate.models_gib if spec.model.url else 0.0) + data


def available(spec: Spec) -> float | None:
    """Return the memory of one card, or of its share, in GiB; None if it is not stated."""
    size = spec.hardware.memory or spec.hardware.card.memory or spec.cluster.facts.card.memory
    return kube.gibibytes(size) if size and spec.hardware.cards else None


def describe_training(spec: Spec, configurations: Configurations | None) -> Training | None:
    """Return a run as a `Training`; None if that cannot describe it."""
    trainer = spec.trainer
    if spec.model.shape is None or not isinstance(trainer, LlamaFactory) or trainer.version not in versions():
        return None
    args = configurations.training if configurations else {}
    shape = Shape.of(spec.model.shape.model_dump())
    bits = _quantized_bits(spec, args)
    stage = str(args.get("stage", "sft"))
    if stage not in _STAGES:
        return None  # PPO keeps a reward and a value model beside the policy
    return Training(
        shape=shape,
        method=_method(args, bits),
        stage=stage,  # type: ignore[arg-type]  # narrowed above
        batch=number(args, "per_device_train_batch_size", 8),
        accumulation=number(args, "gradient_accumulation_steps", 1),
        cutoff_len=number(args, "cutoff_len", 2048),
        checkpointing=not args.get("disable_gradient_checkpointing"),
        precision="bf16" if args.get("bf16") else "fp16" if args.get("fp16") else "fp32",
        lora_rank=number(args, "lora_rank", 8),
        lora_target=_target(args),
        oft_block=number(args, "oft_block_size", 32),
        oft_rank=number(args, "oft_rank", 0),
        quantization_bit=bits,
        quantizable=_is_quantizable(spec, args),
        freeze_layers=number(args, "freeze_trainable_layers", 2),
        **_sharding(args, spec.world_size),
        shardable=not any(map(args.get, _UNSHARDED)),
        world=spec.world_size,
        devices=spec.hardware.devices,
        reference_model=bool(args.get("ref_model")),
        **_optimizer(args),
        additional_target=_additional(args),
        reference_free=args.get("pref_loss") in _REFERENCE_FREE,
        flash_attn=_attention(spec, shape, args),
        liger=bool(args.get("enable_liger_kernel")),
        asft=bool(args.get("use_asft_loss")),
        checkpoints=checkpoints.most(spec, args),
        save_only_model=bool(args.get("save_only_model")),
        merge=trainer.merge,
        file_bytes=quantization.file_bytes(spec.model) or 0,
    )


def _quantized_bits(spec: Spec, args: Mapping[str, Any]) -> int | None:
    """Return the bits of the base's linear layers; how a base comes wins over `quantization_bit`."""
    kind = spec.model.quantization
    return quantization.memory_bits(kind) if kind else number(args, "quantization_bit", 0) or None


# What keeps a base whole (`_verify_model_args`, hparams/parser.py), and what keeps it together under ZeRO-3.
_UNQUANTIZED = ("pissa_init", "fp8", "create_new_adapter")
_UNSHARDED = ("pissa_init", "use_unsloth", "use_kt", "auto_find_batch_size")


def _is_quantizable(spec: Spec, args: Mapping[str, Any]) -> bool:
    """Return whether the base may be quantized to 4 bits; Ascend has no bitsandbytes but one built for it."""
    is_whole = any(map(args.get, _UNQUANTIZED)) or llamafactory.resizes_vocabulary(args)
    is_able = spec.hardware.vendor != "ascend" and args.get("quantization_method", "bnb") in ("bnb", "hqq")
    return is_able and not is_whole and spec.model.quantization is None


def _method(args: Mapping[str, Any], bits: int | None) -> Any:
    kind = str(args.get("finetuning_type", "lora"))
    if kind == "full" and (args.get("pure_bf16") or args.get("use_badam")):
        return "pure_bf16"  # under BAdam, LLaMA-Factory keeps trained weights in half precision too
    if kind == "lora" and bits:
        return "qlora"
    return kind if kind in {"lora", "oft", "freeze", "full"} else "lora"


def _attention(spec: Spec, shape: Shape, args: Mapping[str, Any]) -> str:
    """Return `flash_attn` as LLaMA-Factory resolves it: Gemma 2's scores are capped by FlashAttention-2 or unfused.

    `configure_attn_implementation` (model/model_utils/attention.py) takes sdpa for no other model's scores.
    """
    asked = str(args.get("flash_attn", "auto"))
    has_flash = "flash-attn" in (image.installed_packages(spec) or ())
    return "disabled" if shape.caps_scores and asked in _FLASH and not has_flash else asked


_RANKS = {"low rank by SVD": "galore_rank", "low rank": "apollo_rank"}
_OPTIMIZER_STATES = (("8bit", "8 bits"), ("adafactor", "no state"), ("sgd", "no state"), ("lion", "one moment"))


def _optimizer(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimizer's states, by LLaMA-Factory's own switches and by transformers' `optim`."""
    if args.get(SWITCHES["block"]):
        return {"optimizer": "block" if args.get("badam_mode", "layer") == "layer" else "no state"}
    for states, rank in _RANKS.items():
        if args.get(SWITCHES[states]):
            return {"optimizer": states, "optimizer_rank": number(args, rank, 16)}
    if args.get("use_muon") or args.get("use_adam_mini"):
        return {"optimizer": "one moment"}
    name = str(args.get("optim", "adamw_torch"))
    return {"optimizer": next((states for part, states in _OPTIMIZER_STATES if part in name), "adamw")}


def _target(args: Mapping[str, Any]) -> str:
    name = llamafactory.TARGETS.get(str(args.get("finetuning_type")), "lora_target")
    return llamafactory.joined(args.get(name, "all"))


def _additional(args: Mapping[str, Any]) -> str:
    """Return the modules trained in addition to adapters; for a resized vocabulary, both embeddings by default."""
    modules = args.get("additional_target")
    if modules:
        return llamafactory.joined(modules)
    return llamafactory.joined(llamafactory.EMBEDDINGS) if llamafactory.resizes_vocabulary(args) else ""


def _sharding(args: Mapping[str, Any], world: int) -> dict[str, Any]:
    """Return how weights and states are sharded over the cards; FSDP does nothing for one process."""
    deepspeed, fsdp = args.get("deepspeed"), llamafactory.joined(args.get("fsdp") or "")
    if deepspeed is None and fsdp and world > 1:
        offloads = "offload" in fsdp
        stage = 2 if "shard_grad_op" in fsdp else 0 if "no_shard" in fsdp else 3
        return {"zero_stage": stage, "fsdp": True, "offload_optimizer": offloads, "offload_parameters": offloads}
    return {
        "zero_stage": sharding.zero_stage(deepspeed) or 0,
        "deepspeed": deepspeed is not None,
        "offload_optimizer": _offloads(deepspeed, "offload_optimizer"),
        "offload_parameters": _offloads(deepspeed, "offload_param"),
    }


def _offloads(deepspeed: Any, part: str) -> bool:
    given = sharding.settings(deepspeed)
    if given is None:
        return "offload" in str(deepspeed or "")
    section = given.get("zero_optimization")
    return isinstance(section, Mapping) and isinstance(section.get(part), Mapping)


def smallest_fitting_gib(estimate: Estimate) -> int:
    """Return the smallest card memory in whole GiB that the training fits; bisect, as nonsense may need 10^12 GiB."""
    low = ceil(estimate.device_gib)
    high = 2 * low + 1
    while low < high:
        middle = (low + high) // 2
        fits = estimates.verdict(estimate, middle) is Verdict.FITS
        low, high = (low, middle) if fits else (middle + 1, high)
    return low
