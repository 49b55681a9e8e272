"""Verdicts, and the smallest change that makes a training fit."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity
from ftgen.emulation.estimate import Shape, Training, Verdict, estimate, smallest_change, verdict


def training(models, name, **arguments):
    return Training(shape=Shape.of(models[name]["shape"]), **arguments)


def test_the_smallest_model_adapts_in_a_share_of_8_gib(models):
    one = training(models, "qwen3-0.6b", batch=1, cutoff_len=1024, precision="fp16")
    assert verdict(estimate(one), 8) is Verdict.FITS


def test_eight_billion_parameters_do_not(models):
    one = training(models, "qwen3-8b", batch=1, cutoff_len=1024)
    assert verdict(estimate(one), 8) is Verdict.DOES_NOT_FIT


def test_between_the_two_it_is_tight(models):
    result = estimate(training(models, "qwen3-4b", batch=1, cutoff_len=1024))
    assert verdict(result, result.device_gib) is Verdict.TIGHT


def test_what_fits_has_its_smallest_change_at_the_first_step(models):
    off = training(models, "qwen3-8b", batch=1, cutoff_len=2048, checkpointing=False)
    change = smallest_change(off, 24)
    assert change is not None
    assert change.edits == (("disable_gradient_checkpointing", False),)


def test_the_batch_shrinks_no_further_than_it_must(models):
    change = smallest_change(training(models, "qwen3-0.6b", batch=8, cutoff_len=2048), 24)
    assert change is not None
    assert change.edits == (("per_device_train_batch_size", 4),)
    assert "gradient_accumulation_steps" in change.description


def test_rows_are_shortened_when_the_batch_is_one_already(models):
    change = smallest_change(training(models, "qwen3-8b", batch=1, cutoff_len=8192), 24)
    assert change is not None
    assert change.edits == (("cutoff_len", 2048),)


def test_a_base_too_large_for_the_card_is_quantized(models):
    change = smallest_change(training(models, "qwen3-14b", batch=1, cutoff_len=1024), 24)
    assert change is not None
    assert change.edits == (("quantization_bit", 4),)


def test_full_training_over_too_few_cards_becomes_lora_first(models):
    change = smallest_change(training(models, "qwen3-8b", method="full", batch=1, cutoff_len=1024), 40)
    assert change is not None
    assert change.edits == (("finetuning_type", "lora"),)


def test_a_quantized_base_that_is_still_too_large_wants_a_bigger_card(models):
    one = training(models, "llama3.3-70b", method="qlora", batch=1, cutoff_len=512)
    change = smallest_change(one, 24)
    assert change is not None
    assert change.edits == ()
    assert "A100 80GB" in change.description


def test_nothing_helps_a_model_larger_than_every_card(models):
    one = training(models, "qwen2.5-72b", method="qlora", batch=1, cutoff_len=131072)
    assert smallest_change(one, 1) is None


def test_the_largest_models_are_told_the_card_and_what_else(models):
    change = smallest_change(training(models, "llama3.1-70b", cutoff_len=4096), 24)
    assert change is not None
    assert "A100 80GB" in change.description
    assert dict(change.edits) == {"per_device_train_batch_size": 1, "quantization_bit": 4}


def test_what_fits_needs_no_change(models):
    assert smallest_change(training(models, "qwen3-0.6b", batch=1), 24) is None


def test_steps_combine_where_none_suffices_alone(models):
    change = smallest_change(training(models, "qwen3-8b", batch=8, cutoff_len=2048), 10)
    assert change is not None
    assert dict(change.edits) == {"per_device_train_batch_size": 1, "quantization_bit": 4, "cutoff_len": 512}


@pytest.mark.parametrize("available", [8, 24, 48, 80, 140])
@pytest.mark.parametrize("method", ["lora", "full", "pure_bf16", "freeze", "qlora"])
def test_a_proposal_fits_where_it_was_made_for(models, method, available):
    for name in ("qwen3-0.6b", "llama3.1-8b", "qwen3-32b", "qwen3-30b-a3b"):
        change = smallest_change(training(models, name, method=method), available)
        if change is not None and not change.description.startswith("use a card"):
            assert verdict(change.estimate, available) is Verdict.FITS


TABLE = [
    ("full", 32, 120),
    ("pure_bf16", 16, 60),
    ("lora", 16, 16),
    ("freeze", 16, 16),
    ("qlora", 8, 10),
    ("qlora", 4, 6),
]


@pytest.mark.parametrize(("method", "bits", "gigabytes"), TABLE)
def test_llamafactorys_own_table_for_7b_is_near(models, method, bits, gigabytes):
    """Its README speaks of GB without saying for how many tokens; a short row is meant."""
    arguments = {"quantization_bit": bits} if method == "qlora" else {}
    one = training(models, "mistral-7b-v0.3", method=method, batch=1, cutoff_len=512, **arguments)
    assert 0.75 * gigabytes <= estimate(one).device_gib * 2**30 / 1e9 <= 1.5 * gigabytes


def test_zero_3_divides_what_one_card_holds(models):
    alone = training(models, "llama3.1-8b", method="full", batch=1, cutoff_len=512, deepspeed=True)
    shared = training(models, "llama3.1-8b", method="full", batch=1, cutoff_len=512, zero_stage=3, world=8, devices=8)
    assert estimate(shared).device_gib < estimate(alone).device_gib / 3


def test_ddp_carries_a_copy_of_the_gradients(models):
    alone = estimate(training(models, "qwen3-1.7b", method="full", batch=1, cutoff_len=512))
    pair = estimate(training(models, "qwen3-1.7b", method="full", batch=1, cutoff_len=512, world=2))
    assert pair.device_gib - alone.device_gib == pytest.approx(4 * 1_720_574_976 / 2**30)


def test_fsdp_takes_the_rows_of_an_update_at_once_rather_than_keep_gradients(models):
    full = training(models, "qwen3-30b-a3b", method="full", batch=2, accumulation=2, cutoff_len=1024, zero_stage=3)
    change = smallest_change(replace(full, fsdp=True, world=16, devices=8), 80)
    assert change is not None
    assert change.edits == (("per_device_train_batch_size", 4), ("gradient_accumulation_steps", 1))
    assert change.description == "set per_device_train_batch_size=4 and gradient_accumulation_steps=1"


def test_a_mixture_of_experts_is_shared_by_fsdp(models):
    alone = training(models, "qwen3-30b-a3b", method="lora", batch=1, cutoff_len=512, devices=8, world=16)
    change = smallest_change(alone, 16)
    assert change is not None
    assert change.edits == (("trainer.parallel", "fsdp"),)


def test_an_adapter_takes_no_optimizer_that_trains_all_weights(models):
    for optimizer, switch in (("low rank by SVD", "use_galore"), ("low rank", "use_apollo"), ("block", "use_badam")):
        full = training(models, "qwen3-8b", method="pure_bf16", optimizer=optimizer, batch=1, cutoff_len=512)
        change = smallest_change(full, 19)
        assert change is not None
        assert change.edits[:2] == (("finetuning_type", "lora"), (switch, False))
        assert change.estimate.training.optimizer == "adamw"


def test_a_quantized_base_keeps_the_rotations(models):
    rotated = training(models, "qwen3-8b", method="oft", oft_block=0, oft_rank=8, batch=1, cutoff_len=1024)
    change = smallest_change(rotated, 24)
    assert change is not None
    assert change.edits == (("quantization_bit", 4),)
    assert change.estimate.training.trainable == rotated.trainable


CARD = ("hardware=full-gpu", "hardware.card.memory=24Gi")


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (("model=qwen3-14b", *CARD), "quantization_bit"),
        (("model=qwen3-14b", *CARD, "trainer.args.pissa_init=true"), ""),
        (("model=qwen3-14b", *CARD, "trainer.args.resize_vocab=true"), "trainer.parallel=z3"),
        (("model=qwen3-14b", *CARD, "trainer.args.add_tokens=abc"), "trainer.parallel=z3"),
        (("model=qwen3-14b", *CARD, "trainer.args.fp8=true"), "trainer.parallel=z3"),
        (("model=qwen3-14b", *CARD, "trainer.args.quantization_method=eetq"), "trainer.parallel=z3"),
        (("model=qwen3-14b", "hardware=ascend", "hardware.card.memory=24Gi"), "trainer.parallel=z3"),
        (("model=qwen2.5-72b", *CARD), "quantization_bit"),
        (("model=qwen3-14b", *CARD, "trainer.args.fp8=true", "trainer.args.use_unsloth=true"), ""),
        (("model=qwen3-30b-a3b", *CARD), "trainer.parallel=fsdp"),
        (("model=qwen3-30b-a3b", *CARD, "dataset=preference-pairs", "trainer.args.stage=rm"), "quantization_bit"),
    ],
)
def test_no_proposal_is_refused_by_another_rule(words, proposed):
    found = diagnostics(*words)
    [help_] = [diagnostic.help for diagnostic in found if diagnostic.code == "FT280"]
    mended = diagnostics(*words, *help_.removeprefix("write ").split()) if help_.startswith("write ") else ()
    before = {diagnostic.code for diagnostic in found}
    assert not {diagnostic.code for diagnostic in mended if diagnostic.severity is Severity.ERROR} - before
    named = [word for word in ("quantization_bit", "trainer.parallel=z3", "trainer.parallel=fsdp") if word in help_]
    assert named == ([proposed] if proposed else [])


def diagnostics(*words):
    try:
        return pipeline.compile_job(Composer(Request(config_path=runtime.conf_dir())), words).diagnostics
    except Rejected as refused:
        return refused.diagnostics
