"""DeepSpeed's configuration, inline in the trainer's YAML: no file has to exist in the image.

LLaMA-Factory hands the mapping to transformers' HfDeepSpeedConfig, which fills every "auto" from the
training arguments.
"""

from __future__ import annotations

from typing import Any

_PRECISION = {"enabled": "auto"}
_BATCHES: dict[str, Any] = {
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
    "fp16": {
        **_PRECISION,
        "loss_scale": 0,
        "loss_scale_window": 1000,
        "initial_scale_power": 16,
        "hysteresis": 2,
        "min_loss_scale": 1,
    },
    "bf16": _PRECISION,
}


def zero(stage: str) -> dict[str, Any]:
    """The configuration of a ZeRO stage: `z0`, `z2`, `z3`, and `z2-offload` or `z3-offload` to host memory."""
    number, _, offload = stage.removeprefix("z").partition("-")
    return {**_BATCHES, "zero_optimization": _OPTIMIZATIONS[number](bool(offload))}


def _zero_0(offload: bool) -> dict[str, Any]:
    return {
        "stage": 0,
        "overlap_comm": False,
        "contiguous_gradients": True,
        **_offloaded(offload, "optimizer"),
    }


def _zero_2(offload: bool) -> dict[str, Any]:
    return {
        "stage": 2,
        "overlap_comm": False,
        "contiguous_gradients": True,
        "round_robin_gradients": True,
        **_offloaded(offload, "optimizer"),
    }


def _zero_3(offload: bool) -> dict[str, Any]:
    return {
        "stage": 3,
        "overlap_comm": False,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        # Without it a ZeRO-3 run saves no usable weights.
        "stage3_gather_16bit_weights_on_model_save": True,
        **_offloaded(offload, "optimizer", "param"),
    }


def _offloaded(offload: bool, *what: str) -> dict[str, Any]:
    return {f"offload_{part}": {"device": "cpu", "pin_memory": True} for part in what} if offload else {}


_OPTIMIZATIONS = {"0": _zero_0, "2": _zero_2, "3": _zero_3}
