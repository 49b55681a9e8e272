"""How a training reads its data: the trainer's arguments that decide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers import arguments, llamafactory

_LOADED_AS = {"dpo": "rm"}
"""Stage -> the stage that its workflow loads data for (llamafactory/train/dpo/workflow.py)."""


@dataclass(frozen=True, slots=True)
class Reading:
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
    train: tuple[str, ...] = ()
    evaluated: tuple[str, ...] = ()
    info: Mapping[str, Any] | None = None
    accepted: Mapping[str, str] | None = None


def reading_of(spec: Spec) -> Reading | None:
    """Return how a job reads its data; None where the user's own command does.

    The arguments have been checked: their types are those of the release.
    """
    if not isinstance(spec.trainer, LlamaFactory):
        return None
    given = llamafactory.training(spec)
    known = arguments.surface(spec.trainer.version)

    def value(name: str) -> Any:
        return given.get(name, known.arguments[name].default)

    stage, template = str(value("stage") or "sft"), value("template")
    flags = known.templates.get(str(template), frozenset())
    info = spec.dataset.info.model_dump(exclude_none=True) if spec.dataset.info else None
    return Reading(
        stage=_LOADED_AS.get(stage, stage),
        trainer=stage,
        template=template,
        multimodal="multimodal" in flags,
        plain_tools="tools" not in flags and not value("tool_format"),
        cutoff_len=int(value("cutoff_len")),
        max_samples=value("max_samples"),
        val_size=float(value("val_size") or 0),
        workers=int(value("preprocessing_num_workers") or 1),
        train=_names(value("dataset")),
        evaluated=_names(value("eval_dataset")),
        info={spec.dataset.name: info} if info else None,
        accepted=spec.accepted,
    )


def _names(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(word).strip() for word in words)
