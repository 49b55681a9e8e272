"""conf/model: every option is complete, and its numbers agree with its shape."""

from __future__ import annotations

import pytest
import yaml
from tools.options import LANGUAGE_MODELS

from ftgen import runtime
from ftgen.emulation.estimate import Shape, parameters

FILES = [runtime.conf_dir() / "model" / f"{option}.yaml" for option in LANGUAGE_MODELS]
KEYS = [
    "name",
    "hub",
    "url",
    "revision",
    "output_url",
    "template",
    "parameters",
    "dtype",
    "context",
    "shape",
]

PUBLISHED = {
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen2.5-7b": 7_615_616_512,
    "llama3.1-8b": 8_030_261_248,
    "llama3.2-1b": 1_235_814_400,
    "gemma2-9b": 9_241_705_984,
    "gemma3-4b": 4_300_079_472,
    "glm4-9b-0414": 9_400_279_040,
    "mistral-7b-v0.3": 7_248_023_552,
    "phi4-14b": 14_659_507_200,
}
"""Totals that the models' publishers state."""


def test_the_families_people_fine_tune_are_there():
    assert len(FILES) >= 22


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_option_says_what_it_is_and_has_every_key(file):
    text = file.read_text()
    assert text.startswith("# ")
    assert list(yaml.safe_load(text)) == KEYS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_parameters_follow_from_the_shape(file):
    option = yaml.safe_load(file.read_text())
    assert option["parameters"] == parameters(Shape.of(option["shape"]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_repositories_are_the_clusters(file):
    option = yaml.safe_load(file.read_text())
    assert option["url"] == f"${{cluster.repositories}}/{option['name']}"
    result = "wy-sft-output" if file.stem == "qwen3-0.6b" else f"{option['name']}-sft"
    assert option["output_url"] == f"${{cluster.repositories}}/{result}"


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_parameters_are_the_publishers(models, name, total):
    assert models[name]["parameters"] == total


def test_an_unknown_key_of_a_shape_is_refused(models):
    with pytest.raises(TypeError, match="hiden"):
        Shape.of({**models["qwen3-0.6b"]["shape"], "hiden": 1})
