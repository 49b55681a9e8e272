"""What must hold of every estimate, whatever the model and the arguments."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tools.options import LANGUAGE_MODELS

from ftgen import runtime
from ftgen.emulation.estimate import Shape, Training, estimate

SHAPES = [
    Shape.of(yaml.safe_load((runtime.conf_dir() / "model" / f"{option}.yaml").read_text())["shape"])
    for option in LANGUAGE_MODELS
]

trainings = st.builds(
    Training,
    shape=st.sampled_from(SHAPES),
    method=st.sampled_from(["lora", "qlora", "oft", "freeze", "full", "pure_bf16"]),
    stage=st.sampled_from(["pt", "sft", "rm", "dpo", "kto"]),
    batch=st.integers(1, 64),
    cutoff_len=st.integers(1, 32768),
    checkpointing=st.booleans(),
    precision=st.sampled_from(["fp16", "bf16", "fp32"]),
    lora_rank=st.integers(1, 256),
    freeze_layers=st.integers(1, 8),
    zero_stage=st.integers(0, 3),
    world=st.sampled_from([1, 2, 8, 16]),
    flash_attn=st.sampled_from(["auto", "disabled"]),
    liger=st.booleans(),
    optimizer=st.sampled_from(["adamw", "one moment", "8 bits", "no state", "low rank", "low rank by SVD", "block"]),
    optimizer_rank=st.integers(1, 128),
    additional_target=st.sampled_from(["", "embed_tokens", "embed_tokens,lm_head"]),
    reference_model=st.booleans(),
)


def gib(training):
    return estimate(training).device_gib


@given(trainings)
def test_terms_sum_to_the_total_and_none_is_negative(training):
    result = estimate(training)
    assert abs(sum(term.gib for term in result.terms) - result.device_gib) < 1e-9
    assert all(term.gib > 0 for term in result.terms)
    assert result.floor_gib <= result.device_gib


@given(trainings)
def test_a_bigger_batch_never_takes_less(training):
    assert gib(replace(training, batch=training.batch + 1)) >= gib(training)


@given(trainings)
def test_longer_rows_never_take_less(training):
    assert gib(replace(training, cutoff_len=training.cutoff_len * 2)) >= gib(training)


@given(trainings)
def test_a_higher_rank_never_takes_less(training):
    assert gib(replace(training, lora_rank=training.lora_rank * 2)) >= gib(training)


@given(trainings)
def test_checkpointing_never_takes_more(training):
    on, off = replace(training, checkpointing=True), replace(training, checkpointing=False)
    assert estimate(on).floor_gib <= estimate(off).floor_gib


@given(trainings)
def test_reference_models_never_take_less(training):
    assert gib(replace(training, reference_free=True)) <= gib(replace(training, reference_free=False))


@given(trainings, st.sampled_from([1, 2]))
def test_a_higher_zero_stage_never_takes_more(training, stage):
    lower = replace(training, zero_stage=stage, deepspeed=True)
    assert gib(replace(lower, zero_stage=stage + 1 if stage < 2 else 2)) <= gib(lower)


@given(trainings)
def test_more_cards_under_zero_3_never_take_more(training):
    sharded = replace(training, zero_stage=3, deepspeed=True, world=2)
    assert gib(replace(sharded, world=4)) <= gib(sharded)


@given(trainings)
def test_quantizing_the_base_never_makes_weights_larger(training):
    plain = replace(training, method="lora", zero_stage=0, precision="bf16")
    weights = [
        next(term.gib for term in estimate(replace(plain, quantization_bit=bits)).terms if term.name == "weights")
        for bits in (4, 8, None)
    ]
    assert weights == sorted(weights)


@given(trainings)
def test_more_checkpoints_take_more_space(training):
    more = replace(training, checkpoints=training.checkpoints + 1)
    assert estimate(more).workspace_gib > estimate(training).workspace_gib


@given(trainings)
def test_no_optimizer_takes_more_than_adamw(training):
    assert gib(training) <= gib(replace(training, optimizer="adamw")) + 1e-9


@given(trainings)
def test_whole_embeddings_beside_adapters_never_take_less(training):
    assert gib(training) >= gib(replace(training, additional_target="")) - 1e-9


def test_what_an_optimizer_keeps_of_eight_billion_parameters():
    """AdamW 8 bytes each under float32; 2 at 8 bits; a rank of 128 a few hundredths; BAdam one layer of 36."""
    shape = next(each for each in SHAPES if (each.hidden, each.layers, each.vocab) == (4096, 36, 151936))

    def states(optimizer, method="full"):
        training = Training(shape=shape, method=method, optimizer=optimizer, optimizer_rank=128)
        named = {term.name: term.gib for term in estimate(training).terms}
        return round(named.get("optimizer states", 0), 1)

    whole = round(8 * 8_190_735_360 / 2**30, 1)
    assert states("adamw") == whole
    assert abs(states("8 bits") - whole / 4) < 0.1
    assert states("no state") == 0
    assert 0.16 * whole < states("low rank") < 0.25 * whole  # the embeddings keep AdamW's moments
    assert states("block", "pure_bf16") < 3
