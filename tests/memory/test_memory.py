"""The fit of a run: what is estimated, when it is refused, and which override mends it."""

import pytest

from ftgen import fit as estimates
from ftgen import pipeline, project
from ftgen.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.fit import Verdict
from ftgen.rules import SPEC, memory
from ftgen.validation import validate

# Sizes without the plus are taken as they are.
AS_SAID = ("hardware.memory=8Gi", "hardware.per_card.memory.limit=16Gi", "storage.workspace.size=5Gi")


@pytest.fixture(scope="module")
def composer():
    return Composer(Request(config_path=project.conf_dir()))


@pytest.fixture(scope="module")
def spec(composer):
    return lambda *overrides: pipeline.understand(composer.compose(composer.parse(overrides)).config)


def told(spec):
    own = {rule.code for rule in SPEC.questions if rule.check.__module__ == memory.__name__}
    return [(d.code, str(d.severity), d.subject, d.help) for d in validate(SPEC, spec) if d.code in own]


def test_the_default_fits(spec):
    verdict = memory.fit(spec())

    assert told(spec()) == []
    assert verdict.keys() == {"device_gib", "available_gib", "verdict"}
    assert (verdict["available_gib"], verdict["verdict"]) == (8.0, "fits")
    assert sum(memory.terms(spec()).values()) == pytest.approx(verdict["device_gib"], abs=0.05)


def test_weights_beyond_the_share_are_refused(spec):
    found = told(spec("model=qwen3-8b", *AS_SAID))

    assert [(code, severity, subject) for code, severity, subject, _ in found] == [
        ("FT280", "error", "hardware.memory"),
        ("FT282", "warning", "hardware.per_card.memory.limit"),
        ("FT283", "warning", "storage.workspace.size"),
    ]


def test_activations_beyond_the_share_are_a_warning_and_the_help_mends_it(spec):
    tight = ("trainer.batch_size=8", "hardware.memory=8Gi")
    [(code, severity, _, help_)] = told(spec(*tight))
    mended = help_.removeprefix("write ").split()

    assert (code, severity) == ("FT280", "warning")
    assert told(spec(*tight, *mended)) == []


def test_help_keeps_the_batch_of_an_update(spec):
    before = spec("trainer.batch_size=8", *AS_SAID)
    [(_, _, _, help_)] = told(before)
    after = spec("trainer.batch_size=8", *AS_SAID, *help_.removeprefix("write ").split())

    rows = [s.trainer.batch_size * s.trainer.gradient_accumulation for s in (before, after)]
    assert rows[0] == rows[1]


def test_a_size_with_a_plus_grows_with_the_model(spec):
    small, large = spec("hardware.memory=8Gi+"), spec("hardware.memory=8Gi+", "model=qwen3-8b")

    assert small.hardware.memory == "8Gi"
    assert memory.fit(large)["verdict"] == "fits"
    assert memory.fit(spec("model=qwen3-8b", "hardware.memory=23Gi"))["verdict"] != "fits"
    assert large.hardware.memory == "24Gi"
    assert told(large) == []


@pytest.mark.parametrize("batch", [1, 7, 10**6, 10**15])
def test_a_share_is_the_smallest_that_holds_the_training_however_large(spec, batch):
    grown = spec("hardware.memory=1Gi+", f"trainer.batch_size={batch}")
    needed, gib = memory.estimate(grown), int(grown.hardware.memory.removesuffix("Gi"))
    assert estimates.verdict(needed, gib) is Verdict.FITS
    assert gib == 1 or estimates.verdict(needed, gib - 1) is not Verdict.FITS or gib > 2**53


def test_a_size_with_a_plus_stays_where_nothing_can_be_estimated(spec):
    assert spec("hardware.memory=8Gi+", "model.shape=null", "model.name=other").hardware.memory == "8Gi"
    assert spec("trainer=command", "trainer.command=[a]").storage.workspace.size == "5Gi"


def test_a_tight_fit_is_a_note(spec):
    needed = memory.fit(spec())["device_gib"]

    assert [each[:2] for each in told(spec(f"hardware.memory={int(needed * 1024 * 1.04)}Mi"))] == [("FT281", "note")]


def test_host_memory_counts_shared_memory(spec):
    small = ("hardware.per_card.memory.limit=6Gi", "hardware.per_card.memory.request=2Gi", "storage.shm=4Gi")
    [(code, severity, _, help_)] = told(spec(*small))

    assert (code, severity) == ("FT282", "warning")
    assert told(spec(*small, help_.removeprefix("write "))) == []


def test_claims_that_are_made_are_measured_and_existing_ones_are_not(spec):
    big = ("hardware=full-gpu", "model=qwen3-8b", "storage.workspace.size=5Gi")

    assert [each[2] for each in told(spec(*big))] == ["storage.workspace.size"]
    assert told(spec(*big, "storage.workspace.claim=there")) == []


def test_an_unknown_card_or_shape_is_not_guessed(spec):
    unknown = memory.fit(spec("hardware.memory=null", "hardware.cores=null"))

    assert (unknown["available_gib"], unknown["verdict"]) == (None, None)
    assert memory.fit(spec("model.shape=null")) is None
    assert memory.fit(spec("trainer=command", "trainer.command=[a]")) is None
    assert memory.terms(spec("model.shape=null")) == {}


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (("trainer=sft-full",), {"method": "full"}),
        (("trainer=sft-full", "trainer.args.pure_bf16=true"), {"method": "pure_bf16"}),
        (("trainer=sft-qlora",), {"method": "qlora", "quantization_bit": 4}),
        (("trainer.args.disable_gradient_checkpointing=true",), {"checkpointing": False}),
        (("trainer.parallel=z3-offload",), {"zero_stage": 3, "offload_optimizer": True, "offload_parameters": True}),
        (("trainer.parallel=fsdp",), {"zero_stage": 0, "fsdp": False}),
        (("trainer.parallel=fsdp", "hardware.nodes=2"), {"zero_stage": 3, "fsdp": True, "deepspeed": False}),
        (
            ("trainer.parallel=fsdp-offload", "hardware.nodes=2"),
            {"zero_stage": 3, "fsdp": True, "offload_optimizer": True, "offload_parameters": True},
        ),
        (
            ("trainer.args.fsdp=shard_grad_op auto_wrap", "hardware.nodes=2"),
            {"zero_stage": 2, "fsdp": True, "offload_optimizer": False},
        ),
        (("trainer=sft-full", "trainer.args.use_badam=true"), {"method": "pure_bf16", "optimizer": "block"}),
        (
            ("trainer=sft-full", "trainer.args.use_galore=true", "trainer.args.galore_rank=64"),
            {"optimizer": "low rank", "optimizer_rank": 64},
        ),
        (("trainer.args.optim=paged_adamw_8bit",), {"optimizer": "8 bits"}),
        (("trainer.args.additional_target=[embed_tokens]",), {"additional_target": "embed_tokens"}),
        (("hardware.nodes=2", "hardware.devices=4"), {"world": 8, "devices": 4, "zero_stage": 3}),
        (
            ("trainer.args.lora_rank=64", "trainer.args.lora_target=[q_proj,v_proj]"),
            {"lora_rank": 64, "lora_target": "q_proj,v_proj"},
        ),
    ],
)
def test_arguments_reach_the_estimate(spec, overrides, wanted):
    asked = memory.training(spec(*overrides))

    assert {name: getattr(asked, name) for name in wanted} == wanted


def test_what_does_not_fit_can_be_accepted_with_a_reason(composer):
    with pytest.raises(Rejected):
        pipeline.compile_job(composer, ["model=qwen3-8b", "hardware.memory=8Gi"])

    accepted = ["model=qwen3-8b", "hardware.memory=8Gi", "allow.FT280=measured on our cards"]
    job = pipeline.compile_job(composer, accepted)

    assert "FT280" not in {d.code for d in job.diagnostics}


def test_accepting_what_is_no_rule_is_refused(composer):
    with pytest.raises(Rejected) as rejected:
        pipeline.compile_job(composer, ["allow.FFT280=x"])

    assert [(d.code, d.subject, d.help) for d in rejected.value.diagnostics if d.code == "FT284"] == [
        ("FT284", "allow.FFT280", "did you mean FT280?")
    ]


@pytest.mark.parametrize("code", ["FT312", "FT433", "FT486"])
def test_nobody_accepts_what_admission_denies(code, composer):
    with pytest.raises(Rejected) as rejected:
        pipeline.compile_job(composer, [f"allow.{code}=x"])

    assert [(d.subject, d.help) for d in rejected.value.diagnostics if d.code == "FT284"] == [
        (f"allow.{code}", f"remove allow.{code}, and mend what it tells of")
    ]
