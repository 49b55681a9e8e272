"""Labels: readable, of the point alone, and told apart."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import sweeping
from ftgen.config.compose import Composer
from ftgen.sweeping.label import new_labeller
from ftgen.text import kube

from .conftest import labels

_plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40))
_values: st.SearchStrategy[Any] = st.one_of(_plain, st.lists(_plain, max_size=3))


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("trainer.lr=choice(1e-4)", "lr1e-4"),
        ("trainer.lr=choice(0.0002)", "lr2e-4"),
        ("trainer.lr=choice(1.5e-5)", "lr1p5e-5"),
        ("trainer.args.lora_dropout=choice(0.05)", "dropout0p05"),
        ("trainer.args.lora_rank=choice(16)", "r16"),
        ("trainer.epochs=choice(3)", "e3"),
        ("trainer.args.seed=choice(-1)", "sm1"),
        ("trainer.precision=choice(bf16)", "precision-bf16"),
        ("trainer.merge=choice(true)", "merge-true"),
        ("sweep.axes={model.revision:[null]}", "revision-null"),
        ("model=choice(qwen3-0.6b)", "qwen3-0-6b"),
        ("trainer.args.lora_target=choice([q_proj,v_proj])", "lora-target-q-proj-v-proj-40c7"),
        ("trainer.args.lora_target=choice([q,v])", "lora-target-q-v"),
    ],
)
def test_a_value_reads_as_people_write_it(composer: Composer, word: str, label: str) -> None:
    assert labels(composer, word) == [label]


def test_the_order_of_axes_and_values_does_not_matter(composer: Composer) -> None:
    some = labels(composer, "trainer.lr=1e-4,2e-4", "hardware=ascend,nvidia-vgpu")
    more = labels(composer, "hardware=nvidia-vgpu,full-gpu,ascend", "trainer.lr=5e-5,2e-4,1e-4")
    assert set(some) <= set(more)
    assert set(some) == {"ascend-lr1e-4", "ascend-lr2e-4", "nvidia-vgpu-lr1e-4", "nvidia-vgpu-lr2e-4"}


def test_keys_that_share_a_word_are_spelled_out(composer: Composer) -> None:
    assert labels(composer, "trainer.lr=choice(1)", "trainer.args.learning_rate=choice(2)") == [
        "args-learning-rate2-trainer-lr1"
    ]


def test_an_alias_replaces_the_word(composer: Composer) -> None:
    assert labels(composer, "trainer.lr=choice(1)", "sweep.alias={trainer.lr:rate}") == ["rate1"]


def test_values_that_read_the_same_are_told_apart(composer: Composer) -> None:
    same = labels(composer, "name=a.b,a-b,'a-b '")
    assert len(set(same)) == 3
    assert all(label.startswith("name-a-b") for label in same)


def test_one_value_more_renames_nothing(composer: Composer) -> None:
    few = sweeping.expand(composer, ["trainer.lr=choice(1e-4)", "model=qwen3-0.6b,qwen3-8b"]).points
    many = sweeping.expand(composer, ["trainer.lr=3e-4,1e-4", "model=qwen3-8b,qwen3-0.6b,qwen3-14b"]).points
    named = {point.overrides[0] + point.overrides[1]: point.label for point in many}
    assert all(named[point.overrides[0] + point.overrides[1]] == point.label for point in few)


@given(st.dictionaries(st.sampled_from(["a.b", "a.c", "d", "group"]), _values, min_size=1))
def test_every_label_can_stand_in_a_name(values: dict[str, Any]) -> None:
    label = new_labeller(values, {"group"}, {}).label(values)
    assert re.fullmatch(r"[a-z0-9]+(-+[a-z0-9]+)*", label)
    assert kube.slug(f"x-{label}", 63)


@given(st.integers() | st.floats(allow_nan=False), st.integers() | st.floats(allow_nan=False))
def test_different_numbers_read_differently(one: float, other: float) -> None:
    same = new_labeller(["k"], (), {})
    if one != other:
        assert same.label({"k": one}) != same.label({"k": other})
