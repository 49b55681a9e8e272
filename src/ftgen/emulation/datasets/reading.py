"""How a training reads its data: the trainer's arguments that decide it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers import arguments, llamafactory

_LOADED_AS = {"dpo": "rm"}
"""Stage -> the stage that its workflow loads data for (llamafactory/train/dpo/workflow.py)."""


class Reading(Struct, frozen=True):
    """Arguments of a training that decide what becomes of a row.

    Attributes:
        stage: the stage that data is loaded for: `pt`, `sft`, `rm`, `kto` or `ppo`.
        trainer: the trainer's own stage, for messages.
        template: chat template; None for the tokenizer's own.
        multimodal: whether the template takes images and the like.
        plain_tools: whether the template writes tools in LLaMA-Factory's default format.
        cutoff_len: tokens that are left of a row.
        max_samples: rows that are used; None for all.
        val_size: share or number of rows that are split off for evaluation; 0 for none.
        workers: processes that convert rows, each a part of them.
        mix_strategy: order of the rows of several data sets.
        mixed_at_random: whether that order is drawn (`interleave_probs`).
        batch: rows that are tokenized at a time (`preprocessing_batch_size`).
        streaming: whether rows are read one by one, so that no types are fixed.
        packing: whether rows are put together until they fill `cutoff_len`.
        train: names of the entries that are trained on.
        evaluated: names of the entries for evaluation.
        info: the entry that ftgen writes where the repository has no dataset_info.json, by its name.
        accepted: codes that the configuration accepts, each with the reason.
    """

    stage: str = "sft"
    trainer: str = "sft"
    template: str | None = None
    multimodal: bool = False
    plain_tools: bool = False
    cutoff_len: int = 2048
    max_samples: int | None = None
    val_size: float = 0.0
    workers: int = 1
    mix_strategy: str = "concat"
    mixed_at_random: bool = False
    batch: int = 1000
    streaming: bool = False
    packing: bool = False
    train: tuple[str, ...] = ()
    evaluated: tuple[str, ...] = ()
    info: Mapping[str, Any] | None = None
    accepted: Mapping[str, str] | None = None

    @property
    def drawn(self) -> bool:
        """Return whether the rows that are trained on come in an order that is drawn at random."""
        return bool(self.val_size) or self.mixed_at_random

    def held_out(self, rows: int) -> int:
        """Return how many of so many rows are split off for evaluation, at most all."""
        return min(llamafactory.held_out(self.val_size, rows), rows)


def reading_of(spec: Spec) -> Reading | None:
    """Return how a job reads its data; None where the user's own command does.

    Raises:
        ValueError: see `reading_of_arguments`.
    """
    if not isinstance(spec.trainer, LlamaFactory):
        return None
    info = spec.dataset.info.model_dump(exclude_none=True) if spec.dataset.info else None
    found = reading_of_arguments(llamafactory.training(spec), spec.trainer.version)
    return replace(found, info={str(spec.dataset.name): info} if info else None, accepted=spec.accepted)


def reading_of_arguments(given: Mapping[str, Any], version: str | None = None) -> Reading:
    """Return how LLaMA-Factory reads data by arguments of its own, of a release, or of the newest one that is known.

    Raises:
        ValueError: an argument has a type that the release does not take; the text says which.
    """
    known = arguments.surface(version or arguments.versions()[0])
    given = arguments.normalise(given, known)

    def value(name: str, *types: type) -> Any:
        found = given.get(name, known.arguments[name].default)
        if found is not None and type(found) not in types:
            raise ValueError(f"{name} is {found!r}, which LLaMA-Factory does not take")
        return found

    stage, template = value("stage", str) or "sft", value("template", str)
    flags, packing = known.templates.get(str(template), frozenset()), value("packing", bool)
    return Reading(
        stage=_LOADED_AS.get(stage, stage),
        trainer=stage,
        template=template,
        multimodal="multimodal" in flags,
        plain_tools="tools" not in flags and not value("tool_format", str),
        cutoff_len=max(value("cutoff_len", int) or 0, 1),
        max_samples=value("max_samples", int),
        val_size=float(value("val_size", int, float) or 0),
        workers=value("preprocessing_num_workers", int) or 1,
        mix_strategy=value("mix_strategy", str) or "concat",
        batch=max(value("preprocessing_batch_size", int) or 0, 1),
        streaming=bool(value("streaming", bool)),
        mixed_at_random=value("interleave_probs", str, list) is not None,
        packing=value("neat_packing", bool) or (stage == "pt" if packing is None else packing),
        train=_names("dataset", value("dataset", str, list)),
        evaluated=_names("eval_dataset", value("eval_dataset", str, list)),
    )


def _names(argument: str, value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value or ()
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{argument} is {value!r}, which LLaMA-Factory does not take")
    return tuple(word.strip() for word in words)
