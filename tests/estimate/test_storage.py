"""Host memory and space on the volumes."""

from __future__ import annotations

import pytest

from ftgen.emulation.estimate import Shape, Training, estimate


def training(models, name, **arguments):
    return Training(shape=Shape.of(models[name]["shape"]), **arguments)


def test_the_smallest_model_trains_and_merges_in_16_gib(models):
    result = estimate(training(models, "qwen3-0.6b"))
    assert result.host_gib < 16
    assert result.workspace_gib < 5


def test_merging_eight_billion_parameters_wants_more_than_training_them(models):
    terms = {term.name for term in estimate(training(models, "llama3.1-8b")).host_terms}
    assert "merged model" in terms


def test_every_card_of_a_pod_adds_a_process(models):
    one = estimate(training(models, "qwen3-0.6b", merge=False))
    four = estimate(training(models, "qwen3-0.6b", merge=False, devices=4, world=4))
    assert four.host_gib == pytest.approx(4 * one.host_gib)


def test_an_offloaded_optimizer_moves_to_the_host(models):
    arguments = {"method": "full", "zero_stage": 3, "world": 8, "devices": 8, "deepspeed": True}
    stays = estimate(training(models, "llama3.1-8b", **arguments))
    moves = estimate(training(models, "llama3.1-8b", **arguments, offload_optimizer=True))
    assert moves.host_gib - stays.host_gib == pytest.approx(12 * 8_030_261_248 / 2**30)
    assert moves.device_gib < stays.device_gib


def test_a_model_fetched_by_git_lfs_takes_its_weights_twice(models):
    assert estimate(training(models, "llama3.1-8b")).models_gib == pytest.approx(4 * 8_030_261_248 / 2**30)


def test_a_full_checkpoint_of_7b_is_about_80_gib(models):
    """Alauda's own figure for a 7B checkpoint with its optimizer."""
    terms = estimate(training(models, "mistral-7b-v0.3", method="full")).workspace_terms
    checkpoints = next(term.gib for term in terms if term.name == "checkpoints")
    assert checkpoints / 2 == pytest.approx(80, rel=0.1)


def test_checkpoints_of_adapters_are_small_and_smaller_without_the_optimizer(models):
    whole = estimate(training(models, "llama3.1-8b", merge=False))
    slim = estimate(training(models, "llama3.1-8b", merge=False, save_only_model=True))
    assert slim.workspace_gib == pytest.approx(whole.workspace_gib / 3)
    assert whole.workspace_gib < 1
