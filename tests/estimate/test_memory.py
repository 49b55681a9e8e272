"""The fit of a run: what is estimated, when it is refused, and which override mends it."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.emulation import estimate as estimates
from ftgen.emulation.estimate import Verdict
from ftgen.emulation.estimate.job import fit_summary, term_summary
from ftgen.spec import admit
from ftgen.validation import Context, validate
from ftgen.validation.rules import SPEC, memory

# Sizes without the plus are taken as they are.
AS_SAID = ("hardware.memory=8Gi", "hardware.per_card.memory.limit=16Gi", "storage.workspace.size=5Gi")


@pytest.fixture(scope="module")
def composer():
    return Composer(Request(config_path=runtime.conf_dir()))


@pytest.fixture(scope="module")
def resolved(composer):
    return lambda *overrides: pipeline.resolve(admit(composer.compose(composer.parse(overrides)).config))


def found(resolved):
    own = {rule.code for rule in SPEC.rules if rule.check.__module__ == memory.__name__}
    context = Context(estimate=resolved.estimate)
    return [
        (d.code, str(d.severity), d.subject, d.help) for d in validate(SPEC, resolved.spec, context) if d.code in own
    ]


def fit(resolved):
    return fit_summary(resolved.spec, resolved.estimate)


def test_the_default_fits(resolved):
    verdict = fit(resolved())

    assert found(resolved()) == []
    assert verdict.keys() == {"device_gib", "available_gib", "verdict"}
    assert (verdict["available_gib"], verdict["verdict"]) == (8.0, "fits")
    assert sum(term_summary(resolved().estimate).values()) == pytest.approx(verdict["device_gib"], abs=0.05)


def test_weights_beyond_the_share_are_refused(resolved):
    problems = found(resolved("model=qwen3-8b", *AS_SAID))

    assert [(code, severity, subject) for code, severity, subject, _ in problems] == [
        ("FT280", "error", "hardware.memory"),
        ("FT282", "warning", "hardware.per_card.memory.limit"),
        ("FT283", "warning", "storage.workspace.size"),
    ]


def test_activations_beyond_the_share_are_a_warning_and_the_help_mends_it(resolved):
    tight = ("trainer.batch_size=8", "hardware.memory=8Gi")
    [(code, severity, _, help_)] = found(resolved(*tight))
    mended = help_.removeprefix("write ").split()

    assert (code, severity) == ("FT280", "warning")
    assert found(resolved(*tight, *mended)) == []


def test_help_keeps_the_batch_of_an_update(resolved):
    before = resolved("trainer.batch_size=8", *AS_SAID)
    [(_, _, _, help_)] = found(before)
    after = resolved("trainer.batch_size=8", *AS_SAID, *help_.removeprefix("write ").split())

    rows = [each.spec.trainer.batch_size * each.spec.trainer.gradient_accumulation for each in (before, after)]
    assert rows[0] == rows[1]


def test_a_size_with_a_plus_grows_with_the_model(resolved):
    small, large = resolved("hardware.memory=8Gi+"), resolved("hardware.memory=8Gi+", "model=qwen3-8b")

    assert small.spec.hardware.memory == "8Gi"
    assert fit(large)["verdict"] == "fits"
    assert fit(resolved("model=qwen3-8b", "hardware.memory=23Gi"))["verdict"] != "fits"
    assert large.spec.hardware.memory == "24Gi"
    assert found(large) == []


@pytest.mark.parametrize("batch", [1, 7, 10**6, 10**8])
def test_a_share_is_the_smallest_that_holds_the_training_however_large(resolved, batch):
    grown = resolved("hardware.memory=1Gi+", f"trainer.batch_size={batch}")
    needed, gib = grown.estimate, int(grown.spec.hardware.memory.removesuffix("Gi"))
    assert estimates.verdict(needed, gib) is Verdict.FITS
    assert gib == 1 or estimates.verdict(needed, gib - 1) is not Verdict.FITS or gib > 2**53


@pytest.mark.parametrize("batch", [10**15, 2**63 - 1])
def test_a_share_larger_than_any_quantity_is_the_largest(resolved, batch):
    """Kubernetes cuts what is more; the rules that compare the share with the estimate refuse it."""
    grown = resolved("hardware.memory=1Gi+", f"trainer.batch_size={batch}")
    assert grown.spec.hardware.memory == f"{2**33 - 1}Gi"
    assert estimates.verdict(grown.estimate, 2**33 - 1) is Verdict.DOES_NOT_FIT


def test_a_size_with_a_plus_stays_where_nothing_can_be_estimated(resolved):
    assert resolved("hardware.memory=8Gi+", "model.shape=null", "model.name=other").spec.hardware.memory == "8Gi"
    assert resolved("trainer=command", "trainer.command=[a]").spec.storage.workspace.size == "5Gi"


def test_a_tight_fit_is_a_note(resolved):
    needed = fit(resolved())["device_gib"]

    assert [each[:2] for each in found(resolved(f"hardware.memory={int(needed * 1024 * 1.04)}Mi"))] == [
        ("FT281", "note")
    ]


def test_host_memory_counts_shared_memory(resolved):
    small = ("hardware.per_card.memory.limit=6Gi", "hardware.per_card.memory.request=2Gi", "storage.shm=4Gi")
    [(code, severity, _, help_)] = found(resolved(*small))

    assert (code, severity) == ("FT282", "warning")
    assert found(resolved(*small, help_.removeprefix("write "))) == []


def test_claims_that_are_made_are_measured_and_existing_ones_are_not(resolved):
    big = ("hardware=full-gpu", "model=qwen3-8b", "storage.workspace.size=5Gi")

    assert [each[2] for each in found(resolved(*big))] == ["storage.workspace.size"]
    assert found(resolved(*big, "storage.workspace.claim=there")) == []


def test_an_unknown_card_or_shape_is_not_guessed(resolved):
    unknown = fit(resolved("hardware.memory=null", "hardware.cores=null"))

    assert (unknown["available_gib"], unknown["verdict"]) == (None, None)
    assert fit(resolved("model.shape=null")) is None
    assert fit(resolved("trainer=command", "trainer.command=[a]")) is None
    assert term_summary(resolved("model.shape=null").estimate) == {}


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
            {"optimizer": "low rank by SVD", "optimizer_rank": 64},
        ),
        (
            ("trainer=sft-full", "trainer.args.use_apollo=true", "trainer.args.apollo_rank=128"),
            {"optimizer": "low rank", "optimizer_rank": 128},
        ),
        (
            ("trainer.args.finetuning_type=oft", "trainer.args.oft_block_size=64", "trainer.args.oft_target=[q_proj]"),
            {"method": "oft", "oft_block": 64, "lora_target": "q_proj", "trainable": 28 * 1024 * 63 // 2},
        ),
        (
            ("trainer.args.finetuning_type=oft", "trainer.args.oft_block_size=0", "trainer.args.oft_rank=16"),
            {"oft_rank": 16, "trainable": 28 * (5 * 1024 * 63 + 2048 * 127 + 3072 * 191) // 2},
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
def test_arguments_reach_the_estimate(resolved, overrides, wanted):
    training = resolved(*overrides).estimate.training

    assert {name: getattr(training, name) for name in wanted} == wanted


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
