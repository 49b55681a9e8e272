"""Arguments of `vllm serve`: those that follow from the specification, and the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ftgen.emulation.estimate.serving import lora_rank
from ftgen.lower.service import Result, result_path
from ftgen.spec import Serving, Spec
from ftgen.trainers import vllm


def arguments(spec: Spec, serving: Serving, result: Result, name: str) -> Mapping[str, Any]:
    """Return the content of vLLM's configuration file for a service of this name.

    Raises:
        KeyError: the release of vLLM is unknown.
    """
    release = vllm.surface(serving.version)
    return vllm.configuration({**_own(spec, serving, result, name), **serving.args}, release)


def _own(spec: Spec, serving: Serving, result: Result, name: str) -> dict[str, Any]:
    served, weights = serving.served_name or name, result_path(spec, result)
    base = f"{spec.storage.models.path}/{spec.model.directory}"
    adapter = result.adapter_rank is not None
    return {
        "model": base if adapter else weights,
        "served_model_name": [f"{served}-base" if adapter else served],
        "port": serving.port,
        "dtype": serving.dtype,
        **({"tensor_parallel_size": spec.hardware.devices} if spec.hardware.devices > 1 else {}),
        "max_model_len": context(spec, serving),
        "gpu_memory_utilization": serving.memory_utilization,
        # Answers that are under way are finished when the pod ends.
        "shutdown_timeout": serving.grace_period,
        **({"chat_template": f"{weights}/{serving.chat_template}"} if serving.chat_template else {}),
        **(_adapter(result.adapter_rank, served, weights) if result.adapter_rank is not None else {}),
    }


def context(spec: Spec, serving: Serving) -> int:
    """Return the longest sequence that is served, in tokens."""
    return serving.context or spec.model.context or 0


def _adapter(rank: int, served: str, weights: str) -> dict[str, Any]:
    module = json.dumps({"name": served, "path": weights}, ensure_ascii=False)
    return {"enable_lora": True, "max_lora_rank": lora_rank(rank), "lora_modules": [module]}
