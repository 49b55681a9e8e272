"""Settings of DDP, DeepSpeed and FSDP, written into the trainer's YAML.

Inline settings need no file in the image.  LLaMA-Factory hands DeepSpeed's mapping to transformers'
HfDeepSpeedConfig, which fills every "auto" from the training arguments.  For FSDP, transformers makes
accelerate's plugin from two arguments (`fsdp` and `fsdp_config` of `TrainingArguments`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

ZERO_3 = 3
_SHIPPED = re.compile(r"ds_z([0-3])_\w*config\.json$")

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


# FSDP 1: FSDP 2 saves in shards, and loses adapters that one process loads for all.
_FSDP: dict[str, Any] = {
    "backward_prefetch": "backward_pre",
    # One process of a node reads the weights and broadcasts them; otherwise each process reads the whole model.
    "cpu_ram_efficient_loading": True,
    "sync_module_states": True,
    "use_orig_params": True,
}


def arguments(parallel: str) -> dict[str, Any]:
    """Return the trainer's arguments for `ddp`, `z0`, `z2`, `z3`, `fsdp`, or one of them with `-offload`."""
    kind, _, offload = parallel.partition("-")
    if kind == "ddp":
        return {}
    if kind == "fsdp":
        return {"fsdp": "full_shard auto_wrap" + (" offload" if offload else ""), "fsdp_config": dict(_FSDP)}
    return {"deepspeed": {**_BATCHES, "zero_optimization": _optimization(kind, offload=bool(offload))}}


def _optimization(stage: str, *, offload: bool) -> dict[str, Any]:
    offloaded = _OFFLOADED[stage] if offload else ()
    return {
        "stage": int(stage.removeprefix("z")),
        "overlap_comm": False,
        "contiguous_gradients": True,
        **_OF_STAGE[stage],
        **{f"offload_{part}": {"device": "cpu", "pin_memory": True} for part in offloaded},
    }


_OF_STAGE: dict[str, dict[str, Any]] = {
    "z0": {},
    "z2": {"round_robin_gradients": True},
    "z3": {
        "reduce_bucket_size": "auto",
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        # Without this a ZeRO-3 run saves no usable weights.
        "stage3_gather_16bit_weights_on_model_save": True,
    },
}
_OFFLOADED = {"z0": ("optimizer",), "z2": ("optimizer",), "z3": ("optimizer", "param")}


def settings(deepspeed: object) -> Mapping[str, Any] | None:
    """Return DeepSpeed's settings, given as a mapping or as JSON text; None if a file in the image holds them."""
    if isinstance(deepspeed, str) and deepspeed.startswith("{"):
        deepspeed = _json(deepspeed)
    return deepspeed if isinstance(deepspeed, Mapping) else None


def zero_stage(deepspeed: object) -> int | None:
    """Return DeepSpeed's ZeRO stage by its settings or by a shipped file's name; None if neither tells it."""
    given = settings(deepspeed)
    if given is not None:
        section = given.get("zero_optimization")
        stage = section.get("stage", 0) if isinstance(section, Mapping) else 0
        return stage if isinstance(stage, int) else None
    named = _SHIPPED.search(deepspeed) if isinstance(deepspeed, str) else None
    return int(named[1]) if named else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
