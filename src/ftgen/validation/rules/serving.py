"""Rules over what is to serve a run's result: whether there is one that vLLM can serve, and cards that hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Severity
from ftgen.emulation.estimate import Shape
from ftgen.emulation.estimate import serving as estimates
from ftgen.emulation.estimate.serving import Fit, Service
from ftgen.spec import LlamaFactory, Serving, Spec
from ftgen.trainers import llamafactory
from ftgen.validation import Finding, rule
from ftgen.validation.rules import SERVICE

# Stages whose result answers no question: a reward model has a head that gives a number.
_NO_ANSWERS = frozenset({"rm"})
# Arguments whose adapters vLLM refuses (vllm/lora/peft_helper.py of 0.23).
_REFUSED = {
    "use_dora": "DoRA",
    "additional_target": "modules trained beside the adapter",
    "resize_vocab": "a larger vocabulary",
}
_MERGE = "train with trainer.merge=true, and serve the merged model"
_NAMED_TERMS = 3
_HALF = 0.5
# The oldest for which vLLM's images hold kernels (docker/Dockerfile of 0.23).
_OLDEST = 7.5
# The release that the tag of an image of vLLM, or of vLLM Ascend, begins with: `vllm-ascend:v0.23.0-a3`.
_RELEASE = re.compile(r"vllm[^/:]*:v?(?P<release>\d+\.\d+(?:\.\d+)?)")


class ServiceView(Struct, frozen=True):
    """Service as its rules read it.

    Attributes:
        spec: specification, with its sizes resolved.
        serving: its section `serving`.
        run: name of the run whose result is served; empty where the API server generated it.
        hardware: chosen option of the group hardware.
        service: what vLLM serves; None if the model's shape is unknown.
        fit: memory of each card; None if the model's shape is unknown.
    """

    spec: Spec
    serving: Serving
    run: str
    hardware: str
    service: Service | None
    fit: Fit | None


@rule("FT741", "result-that-is-nowhere", on=SERVICE)
def _nowhere(view: ServiceView) -> Iterator[Finding]:
    """A result that was pushed nowhere, or to a branch whose name is not known.

    The weights are fetched from the repository and branch that the run pushed.  With `delivery=kubectl` the API server
    names the run, and so the branch.

    Refused: a run without `model.output_url`.
    Write: `model.output_url=<repository>`, or `serving.revision=<the job's name>`.
    """
    if not view.spec.model.output_url:
        help_ = "set model.output_url in the training, or name the repository of the result here"
        yield Finding("the run pushes its result nowhere", "model.output_url", help=help_)
    if not view.run and view.serving.revision is None:
        headline = "the API server named the run, so the branch that it pushed is not known"
        help_ = "name it: serving.revision=<the job's name, as `kubectl get vcjob` shows it>"
        yield Finding(headline, "serving.revision", help=help_)


@rule("FT742", "model-that-answers-nothing", on=SERVICE)
def _answers(view: ServiceView) -> Iterator[Finding]:
    """A result that generates no text: a reward model gives a number.

    Refused: a run with `trainer.args.stage=rm`.
    Write: nothing; such a model serves a training by `trainer.args.reward_model`.
    """
    stage = str(_arguments(view).get("stage", "sft"))
    if stage in _NO_ANSWERS:
        yield Finding(f"the stage {stage} trains a model that answers nothing", "trainer.args.stage", stage)


@rule("FT743", "adapter-that-vllm-refuses", on=SERVICE)
def _adapter(view: ServiceView) -> Iterator[Finding]:
    """An adapter of a kind that vLLM does not load beside its base: OFT, DoRA, or one with whole modules.

    Refused: a run with `trainer.merge=false trainer.args.use_dora=true`.
    Write: `trainer.merge=true` in the training.
    """
    if llamafactory.adapter_rank(view.spec) is None:
        return
    args = _arguments(view)
    if args.get("finetuning_type") == "oft":
        yield Finding("vLLM serves no OFT adapter", "trainer.args.finetuning_type", "oft", _MERGE)
    for name, what in _REFUSED.items():
        if args.get(name):
            yield Finding(f"vLLM serves no adapter with {what}", f"trainer.args.{name}", args[name], _MERGE)


def _arguments(view: ServiceView) -> Mapping[str, Any]:
    trainer = view.spec.trainer
    return trainer.args if isinstance(trainer, LlamaFactory) else {}


@rule("FT744", "cards-without-vllm", on=SERVICE)
def _image(view: ServiceView) -> Iterator[Finding]:
    """Cards for which no image with vLLM is known, or for which its image holds no kernels.

    Refused: `hardware=gaudi`, `hardware=full-gpu hardware/card=v100-16gb`.
    Write: `serving.image=<an image>`, or other cards.
    """
    hardware, known = view.spec.hardware, view.serving.runtimes
    if not view.serving.image and known.get(view.hardware, known.get(hardware.vendor)) is None:
        there = ", ".join(name for name, runtime in known.items() if runtime)
        cards = f"hardware={view.hardware}" if view.hardware in known else f"cards of {hardware.vendor}"
        help_ = f"name one by serving.image; there are images for {there or 'none'}"
        yield Finding(f"no image with vLLM is known for {cards}", "serving.image", help=help_)
    capability = hardware.card.compute_capability
    if hardware.vendor == "nvidia" and capability and capability < _OLDEST:
        headline = f"vLLM has no kernels for cards before compute capability {_OLDEST}, such as {hardware.card.name}"
        yield Finding(headline, "hardware.card.compute_capability", capability, "take newer cards")


@rule("FT764", "image-of-another-vllm", Severity.WARNING, on=SERVICE)
def _other_release(view: ServiceView) -> Iterator[Finding]:
    """An image whose tag names another release of vLLM than the one whose arguments are checked.

    Arguments come and go with each release of vLLM, and an unknown one ends the server at its start.

    Refused: `serving.image=registry.example.com/vllm-openai:v0.11.0` with `serving.version=0.23.0`.
    Write: an image of that release.
    """
    image, version = view.serving.image or "", view.serving.version
    named = _RELEASE.search(image)
    if named and not f"{version}.".startswith(f"{named['release']}."):
        headline = f"the image holds vLLM {named['release']}, and the arguments are checked for {version}"
        yield Finding(headline, "serving.image", image, f"take an image of {version}")


@rule("FT745", "context-beyond-the-model", on=SERVICE)
def _context(view: ServiceView) -> Iterator[Finding]:
    """A context that is longer than the model was made for; vLLM does not start (config/model.py of 0.23).

    Refused: `model=qwen3-0.6b serving.context=100000`.
    Write: `serving.context=40960`, or leave it out.
    """
    asked, most = view.serving.context, view.spec.model.context
    if asked and most and asked > most:
        headline = f"{view.spec.model.name} was made for {most} tokens, and vLLM refuses {asked}"
        yield Finding(headline, "serving.context", asked, f"serving.context={most}")


@rule("FT746", "heads-that-do-not-divide", on=SERVICE)
def _heads(view: ServiceView) -> Iterator[Finding]:
    """Cards that cannot share the model: each takes whole attention heads, and whole or equally copied heads of keys.

    Refused: `model=qwen3-0.6b hardware.devices=3`: 16 heads.
    Write: `hardware.devices=2`.
    """
    service = view.service
    if service is None or _shared_by(service.shape, service.devices):
        return
    cards, shape = service.devices, service.shape
    fewer = max(n for n in range(1, min(cards, shape.heads + 1)) if _shared_by(shape, n))
    headline = f"{shape.heads} attention heads, {shape.kv_heads} of keys, cannot be shared by {cards} cards"
    yield Finding(headline, "hardware.devices", cards, f"hardware.devices={fewer}")


def _shared_by(shape: Shape, cards: int) -> bool:
    return not shape.heads % cards and not max(shape.kv_heads, cards) % min(shape.kv_heads, cards)


@rule("FT747", "service-that-does-not-fit", on=SERVICE)
def _memory(view: ServiceView) -> Iterator[Finding]:
    """Weights and the cache of one sequence that exceed what vLLM takes of each card; it does not start.

    docs/serving.md describes the estimate.  It is derived from vLLM's code, not measured.

    Refused: `hardware=nvidia-vgpu hardware.memory=4Gi` for Qwen3-0.6B with its whole context.
    Write: the context that the help names, a larger share, or more cards.
    """
    service, fit = view.service, view.fit
    if service is None or fit is None or fit.usable_gib is None or fit.gib <= fit.usable_gib:
        return
    parts = sorted(fit.terms, key=lambda term: -term.gib)[:_NAMED_TERMS]
    words = ", ".join(f"{term.name} {term.gib:.1f}" for term in parts)
    many = f"{service.concurrency} × " if service.concurrency > 1 else ""  # noqa: RUF001 - the sign for times
    headline = f"{view.spec.model.name} with {many}{service.context} tokens needs about {fit.gib:.1f} GiB of each card"
    headline += f" ({words}); vLLM takes {fit.usable_gib:.1f}"
    if fit.largest_context:
        yield Finding(headline, "serving.context", service.context, f"serving.context={fit.largest_context} fits")
    else:
        yield Finding(headline, "hardware", view.spec.hardware.memory or "", _more_memory(view, service))


@rule("FT749", "whole-card-of-a-shared-one", Severity.WARNING, on=SERVICE)
def _shared(view: ServiceView) -> Iterator[Finding]:
    """A card that others use at the same time, of which vLLM would take most of the memory.

    Time-slicing isolates no memory: vLLM sees the whole card, and refuses to start when less is free than it takes, or
    leaves its neighbours nothing.

    Refused: `hardware=nvidia-shared` with `serving.memory_utilization=0.9`.
    Write: your part of the card, such as `serving.memory_utilization=0.25` for one slice of four.
    """
    hardware, taken = view.spec.hardware, view.serving.memory_utilization
    unlimited = hardware.card.slice and hardware.memory is None and hardware.card.memory is None
    if unlimited and taken > _HALF:
        headline = f"vLLM would take {taken:.0%} of a card that others share"
        help_ = "serving.memory_utilization=0.25 for one slice of four"
        yield Finding(headline, "serving.memory_utilization", taken, help_)


def _more_memory(view: ServiceView, service: Service) -> str:
    """Return how to hold the weights: a larger share, or more cards."""
    if view.spec.hardware.memory:
        needed = estimates.total_gib(replace(service, context=estimates.BLOCK)) / view.serving.memory_utilization
        return f"hardware.memory={ceil(needed)}Gi or more, or a card of its own: hardware=full-gpu"
    return f"hardware.devices={2 * service.devices}, or cards with more memory"
