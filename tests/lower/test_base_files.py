"""The base's files, which go back into a merged model as long as they describe it."""

from __future__ import annotations

import pytest
from tests.lower.test_folders import expanded
from tests.lower.test_shape import composer as composer  # noqa: PLC0414 - a fixture

from ftgen.config.compose import Composer

WHOLE = ("trainer=sft-full", "hardware=full-gpu", "hardware.devices=8")
WIDTHS = ("trainer.export.export_quantization_bit=4", "trainer.export.export_quantization_dataset=/mnt/models/c4.json")


@pytest.mark.parametrize("words", [(), WHOLE], ids=["adapters", "whole"])
def test_they_go_back(composer: Composer, words: tuple[str, ...]) -> None:
    assert "RESTORE_BASE_FILES" not in expanded(composer, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("hardware=full-gpu", "model=qwen3-8b", "model.quantization=mxfp4"),
        (*WHOLE, *WIDTHS),
        ("hardware=full-gpu", "model=qwen3-8b", "trainer.args.resize_vocab=true"),
    ],
    ids=["dequantized", "quantized", "resized"],
)
def test_they_would_describe_another_model(composer: Composer, words: tuple[str, ...]) -> None:
    assert expanded(composer, *words)["RESTORE_BASE_FILES"] == "false"
