"""The packaged models and the measured training steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.emulation.estimate import Shape, Training

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Step:
    """One measured training step; `used` is None where it did not fit the card."""

    model: str
    training: Training
    used: float | None
    allocated: float | None
    trainable: int


def _models() -> dict[str, dict[str, Any]]:
    files = sorted((runtime.conf_dir() / "model").glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text()) for file in files}


def _step(row: dict[str, Any], models: dict[str, dict[str, Any]]) -> Step:
    arguments = ("method", "lora_rank", "lora_target", "checkpointing", "batch", "cutoff_len")
    arguments += ("stage", "reference_free", "flash_attn")
    arguments += ("precision", "quantization_bit", "optimizer", "optimizer_rank", "additional_target")
    given = {key: row[key] for key in arguments if key in row}
    training = Training(shape=Shape.of(models[row["model"]]["shape"]), **given)
    return Step(row["model"], training, row.get("device_used_gib"), row.get("allocated_gib"), row["trainable"])


def _steps(name: str) -> list[Step]:
    models = _models()
    return [_step(json.loads(line), models) for line in (HERE / name).read_text().splitlines()]


@pytest.fixture(scope="session")
def models() -> dict[str, dict[str, Any]]:
    return _models()


@pytest.fixture(scope="session")
def measured() -> list[Step]:
    """The steps the coefficients were checked against while they were written."""
    return _steps("measured.jsonl")


@pytest.fixture(scope="session")
def held_out() -> list[Step]:
    """Steps of other models and settings."""
    return _steps("held_out.jsonl")


@pytest.fixture(scope="session")
def terms() -> list[Step]:
    """Steps with one term each that the others lack: another precision, base, optimizer, target or loss."""
    return _steps("terms.jsonl")


@pytest.fixture(scope="session")
def capped() -> list[Step]:
    """Steps of a model that caps its attention scores, with fused attention and without."""
    return _steps("capped.jsonl")


@pytest.fixture(scope="session")
def described() -> Callable[..., Training]:
    """The training that is estimated of a run with these overrides on whole cards."""
    return _described


def _described(*overrides: str) -> Training:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    compiled = pipeline.compile_job(composer, ["hardware=full-gpu", *overrides])
    assert compiled.estimate is not None
    return compiled.estimate.training
