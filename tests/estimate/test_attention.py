"""Attention scores: measured of Gemma 2, which caps them, and where a run has them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ftgen.emulation.estimate.device import peak


def test_capped_scores_are_near_the_measurement(capped):
    for step in capped:
        assert step.training.trainable == step.trainable
        assert peak(step.training).gib == pytest.approx(step.used, rel=0.08)


def test_a_capped_score_takes_eight_bytes(capped):
    """Tensors of attention without fusion less those of fused attention, both without checkpointing."""
    plain = [step for step in capped if not step.training.checkpointing]
    fused = {(s.training.batch, s.training.cutoff_len): s.allocated for s in plain if s.training.flash_attn == "sdpa"}
    unfused = [step for step in plain if step.training.flash_attn == "disabled"]
    assert len(unfused) == len(fused) == 3
    for step in unfused:
        took = step.allocated - fused[step.training.batch, step.training.cutoff_len]
        difference = peak(step.training).tensors_gib - peak(replace(step.training, flash_attn="sdpa")).tensors_gib
        assert difference == pytest.approx(took, rel=0.01)


@pytest.mark.parametrize(
    ("overrides", "attention"),
    [
        (("model=gemma2-9b",), "disabled"),
        (("model=gemma2-9b", "trainer.args.flash_attn=fa2"), "disabled"),
        (("model=gemma2-9b", "trainer.args.flash_attn=sdpa"), "sdpa"),
        (("model=gemma2-9b", "hardware.packages=[flash_attn,mlflow,git-lfs]"), "auto"),
        (
            ("model=gemma2-9b", "hardware.packages=[flash_attn,mlflow,git-lfs]", "trainer.args.flash_attn=disabled"),
            "disabled",
        ),
        (("model=gemma3-4b",), "auto"),
        (("model=qwen3-8b",), "auto"),
    ],
)
def test_gemma_2_alone_has_no_fused_attention_without_flash_attn(described, overrides, attention):
    assert described(*overrides).flash_attn == attention
