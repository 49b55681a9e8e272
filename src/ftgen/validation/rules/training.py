"""Validation of the trainer's arguments, with the facts that the rest of the specification states."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from ftgen import lower
from ftgen.diagnostics import Diagnostic, error
from ftgen.emulation.estimate.shape import Shape, linear_layers
from ftgen.spec import LlamaFactory, Section, Spec
from ftgen.text import kube
from ftgen.trainers import arguments, image, llamafactory
from ftgen.trainers.llamafactory import Configurations
from ftgen.validation import Call, Scope
from ftgen.validation.rules.command_arguments import check_command_arguments
from ftgen.validation.rules.trainer.check import check_arguments
from ftgen.validation.rules.trainer.setting import TrainingFacts, is_within


def validate_arguments(spec: Spec, configurations: Configurations | None, call: Call = Scope.ask) -> list[Diagnostic]:
    """Return the diagnostics of the arguments of LLaMA-Factory's training and merge, or of a command."""
    trainer = spec.trainer
    if not isinstance(trainer, LlamaFactory):
        return check_command_arguments(trainer)
    if configurations is None:
        known = ", ".join(arguments.versions())
        headline = f"the arguments of LLaMA-Factory {trainer.version} are not known"
        return [error("FT103", headline, "trainer.version", trainer.version, f"use one of {known}")]
    surface = arguments.surface(trainer.version)
    facts = _facts(spec, trainer, configurations)
    found = check_arguments(configurations.training, surface, facts, call=call)
    export = configurations.export
    of_export = check_arguments(export, surface, _facts_of_merge(facts, trainer), "export", call) if export else []
    # The merge takes arguments over from the training: each problem of these is reported once, for the training.
    reported = {(d.code, d.headline) for d in found}
    found += [d for d in of_export if (d.code, d.headline) not in reported]
    return [_at_origin(diagnostic, trainer.args) for diagnostic in found]


# Configuration keys that arguments are derived from, and that users set instead.
_ORIGINS = {
    "bf16": "trainer.precision",
    "dataset": "dataset.name",
    "dataset_dir": "dataset.name",
    "deepspeed": "trainer.parallel",
    "fp16": "trainer.precision",
    "fsdp": "trainer.parallel",
    "model_name_or_path": "model.name",
    "overwrite_output_dir": "trainer.resume",
    "report_to": "tracking.report_to",
    "template": "model.template",
}


def _at_origin(diagnostic: Diagnostic, given: Mapping[str, object]) -> Diagnostic:
    """Move a diagnostic to the key that the argument is derived from, unless the user gave the argument itself."""
    section, _, name = diagnostic.subject.rpartition(".")
    if section not in {"trainer.args", "trainer.export"} or name in given or name not in _ORIGINS:
        return diagnostic
    return replace(diagnostic, subject=_ORIGINS[name])


def _facts(spec: Spec, trainer: LlamaFactory, configurations: Configurations) -> TrainingFacts:
    hardware, shape, info = spec.hardware, spec.model.shape, spec.dataset.info
    return TrainingFacts(
        nodes=hardware.nodes,
        devices=hardware.devices,
        torchrun=spec.world_size > 1 or "deepspeed" in configurations.training,
        vendor=hardware.vendor,
        card=hardware.card.name or "",
        bf16=hardware.card.bf16,
        compute_capability=hardware.card.compute_capability,
        stages=frozenset(spec.dataset.stages),
        ranking=bool(info.ranking) if info else None,
        dataset_entry=str(spec.dataset.name) if info else "",
        reasoning=spec.dataset.reasoning,
        template=arguments.template_of(trainer.version, str(spec.model.name)) or spec.model.template,
        quantization=spec.model.quantization or "",
        layers=shape.layers if shape else None,
        experts=shape.experts if shape else 0,
        context=spec.model.context,
        modules=_modules(spec),
        tied=shape.tied_embeddings if shape else None,
        packages=image.installed_packages(spec),
        processors=_processors(hardware.per_card.cpu.limit) * hardware.devices,
        environment=_environment(spec),
        offline=str(hardware.env.get("HF_HUB_OFFLINE", "1")).lower() in _TRUE,
        tracker=spec.tracking.report_to,
        merged=_merged(trainer),
        merged_adapter=next(iter(_adapters(configurations)[-1:]), ""),
        **_folders(spec),
    )


def _adapters(configurations: Configurations) -> tuple[str, ...]:
    """Return the adapters that the merge puts into the base."""
    return llamafactory.named((configurations.export or {}).get("adapter_name_or_path"))


def _facts_of_merge(facts: TrainingFacts, trainer: LlamaFactory) -> TrainingFacts:
    """Return the facts of the merge: it may put adapters that a quantized base trained into the whole weights."""
    return replace(facts, quantization="") if "model_name_or_path" in trainer.export else facts


def _merged(trainer: LlamaFactory) -> str | None:
    folder = trainer.export.get("export_dir") if trainer.merge else None
    return str(folder) if folder else None


# Values that huggingface_hub reads as true (constants.py); train.sh sets 1 if the variable is unset.
_TRUE = frozenset({"1", "on", "yes", "true"})


def _environment(spec: Spec) -> frozenset[str]:
    """Return the names of the variables that the user sets, of which trackers read some."""
    return frozenset(spec.hardware.env)


@lru_cache(maxsize=64)
def _processors(limit: str) -> float:
    return float(kube.parse_quantity(limit.removesuffix("+")))


def _modules(spec: Spec) -> frozenset[str]:
    """Return the names of the layers that adapters can train; none for a vision model, of which not all are known."""
    shape = spec.model.shape
    return _layers(shape) if shape and not shape.vision_parameters else frozenset()


@lru_cache(maxsize=64)
def _layers(shape: Section) -> frozenset[str]:
    return frozenset(linear_layers(Shape.of(shape.model_dump())))


def _folders(spec: Spec) -> dict[str, Any]:
    """Return the folders present before the training, the mounts, and who finds the checkpoints: later runs, nodes."""
    volumes = [spec.storage.workspace, spec.storage.models]
    staying = [volume for volume in volumes if not lower.is_temporary(spec, volume)]
    kept = [volume.path.rstrip("/") for volume in staying]
    claimed = [volume.path for volume in staying if not volume.host_path]
    fetched = [llamafactory.model_path(spec)] if spec.model.url or spec.storage.cache else []
    fetched += [llamafactory.dataset_path(spec)] if spec.dataset.url else []
    output = posixpath.join(spec.storage.workspace.path, spec.trainer.output)
    return {
        "folders": (*kept, *fetched),
        "mounts": tuple(volume.path.rstrip("/") for volume in volumes),
        "resumes": any(is_within(output, folder) for folder in kept),
        "shared": any(is_within(output, folder) for folder in claimed),
    }
