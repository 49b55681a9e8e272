"""The trainer's arguments in the light of the rest of the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ftgen.diagnostics import Diagnostic, error
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers import arguments, llamafactory
from ftgen.trainers.arguments import Facts


def judge(spec: Spec) -> list[Diagnostic]:
    """What LLaMA-Factory would refuse of the training's arguments, and of the merge's."""
    trainer = spec.trainer
    if not isinstance(trainer, LlamaFactory):
        return []
    if trainer.version not in arguments.versions():
        known = ", ".join(arguments.versions())
        headline = f"the arguments of LLaMA-Factory {trainer.version} are not known"
        return [error("FT103", headline, "trainer.version", trainer.version, f"use one of {known}")]
    surface = arguments.surface(trainer.version)
    facts = _facts(spec, trainer.version)
    found = arguments.check(llamafactory.training(spec), surface, facts)
    export = llamafactory.export(spec)
    merging = arguments.check(export, surface, facts, "export") if export else []
    # What the merge takes over from the training is told once, where it was written.
    told = {(d.code, d.headline) for d in found}
    every = [*found, *(d for d in merging if (d.code, d.headline) not in told)]
    return [_where_written(diagnostic, trainer.args) for diagnostic in every]


# The keys that arguments follow from, which users set instead of the arguments.
_ORIGINS = {
    "bf16": "trainer.precision",
    "dataset": "dataset.name",
    "deepspeed": "trainer.parallel",
    "fp16": "trainer.precision",
    "fsdp": "trainer.parallel",
    "model_name_or_path": "model.name",
    "overwrite_output_dir": "trainer.resume",
    "report_to": "tracking.report_to",
    "template": "model.template",
}


def _where_written(diagnostic: Diagnostic, given: Mapping[str, object]) -> Diagnostic:
    """The diagnostic about the key that the argument follows from, where the user did not give the argument."""
    section, _, name = diagnostic.subject.rpartition(".")
    if section not in {"trainer.args", "trainer.export"} or name in given or name not in _ORIGINS:
        return diagnostic
    return replace(diagnostic, subject=_ORIGINS[name])


def _facts(spec: Spec, version: str) -> Facts:
    hardware, info = spec.hardware, spec.dataset.info
    return Facts(
        nodes=hardware.nodes,
        devices=hardware.devices,
        torchrun=spec.world_size > 1 or "deepspeed" in llamafactory.training(spec),
        vendor=hardware.vendor,
        card=hardware.card.name or "",
        bf16=hardware.card.bf16,
        compute_capability=hardware.card.compute_capability,
        stages=frozenset(spec.dataset.stages),
        ranking=bool(info.ranking) if info else None,
        template=arguments.template_of(version, spec.model.name) or spec.model.template,
        layers=spec.model.shape.layers if spec.model.shape else None,
    )
