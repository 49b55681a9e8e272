"""The base's files, which go back into a merged model as long as they describe it."""

from __future__ import annotations

import pytest
from tests.lower.test_folders import expanded
from tests.lower.test_shape import composer as composer  # noqa: PLC0414 - a fixture

from ftgen.config.compose import Composer
from ftgen.text import yamlio

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


@pytest.mark.parametrize("quantization", ["mxfp4", "null"])
def test_a_base_that_is_whole_once_loaded_is_merged_with_earlier_adapters(
    composer: Composer, quantization: str
) -> None:
    """The training merges them before it starts a new one (`_setup_lora_tuning`, model/adapter.py)."""
    earlier = ("trainer.args.adapter_name_or_path=/mnt/models/one", "trainer.args.create_new_adapter=true")
    card = ("hardware=full-gpu", "model=qwen3-8b", f"model.quantization={quantization}")
    export = yamlio.parse(expanded(composer, *card, *earlier)["EXPORT_CONFIG"], "")
    assert export["adapter_name_or_path"].split(",") == ["/mnt/models/one", "output_models"]
