"""Sizes that follow from the model and its cache, and whether the cards hold them."""

from __future__ import annotations

from typing import Any

from ftgen import lower
from ftgen.emulation.estimate import Shape
from ftgen.emulation.estimate import serving as estimates
from ftgen.emulation.estimate.device import GIB
from ftgen.emulation.estimate.job import available
from ftgen.emulation.estimate.serving import Fit, Service
from ftgen.emulation.estimate.sizes import Needs, fit_sizes
from ftgen.pipeline.serving.arguments import context
from ftgen.spec import Serving, Spec
from ftgen.text import kube
from ftgen.trainers import llamafactory


def resolve(spec: Spec, serving: Serving) -> tuple[Spec, Service | None]:
    """Resolve the minimum sizes (`8Gi+`) of the pods; return them with what is estimated.

    The second value is None if the model's shape is unknown.
    """
    service = describe(spec, serving)
    if service is None:
        return fit_sizes(spec, Needs()), None
    share = estimates.total_gib(service) / serving.memory_utilization
    host = estimates.host_gib(service) + float(kube.parse_quantity(lower.shared_memory(spec)) / GIB)
    return fit_sizes(spec, Needs(share, host, estimates.models_gib(service))), service


def describe(spec: Spec, serving: Serving) -> Service | None:
    """Return what vLLM serves, for the estimate; None if the model's shape is unknown."""
    if spec.model.shape is None or spec.model.parameters is None:
        return None
    return Service(
        shape=Shape.of(spec.model.shape.model_dump()),
        parameters=spec.model.parameters,
        # With `auto`, vLLM takes weights in float32 for half precision.
        value_bytes=4 if serving.dtype == "float32" else 2,
        devices=spec.hardware.devices,
        context=context(spec, serving),
        concurrency=serving.concurrency,
        adapter_rank=llamafactory.adapter_rank(spec) or 0,
        batched_tokens=_number(serving, "max_num_batched_tokens"),
        sequences=_number(serving, "max_num_seqs"),
        graphs=spec.hardware.vendor == "nvidia" and not serving.args.get("enforce_eager"),
    )


def _number(serving: Serving, name: str) -> int:
    value: Any = serving.args.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def fit(spec: Spec, serving: Serving, service: Service) -> Fit:
    """Compare what a service needs with its cards."""
    return estimates.fit(service, available(spec), serving.memory_utilization, spec.model.context or 0)
