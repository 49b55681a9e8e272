"""Arguments that follow from other keys: what is wrong with them is told about the key that the user wrote."""

import pytest

from ftgen import pipeline, project
from ftgen.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.trainers import llamafactory


def told(*overrides: str) -> dict[str, Diagnostic]:
    """What is said of a job on whole cards, by code."""
    composer = Composer(Request(config_path=project.conf_dir()))
    try:
        compiled = pipeline.compile_job(composer, ["hardware=full-gpu", *overrides])
    except Rejected as refused:
        return {d.code: d for d in refused.diagnostics}
    return {d.code: d for d in compiled.diagnostics}


@pytest.mark.parametrize(
    ("overrides", "code", "subject"),
    [
        (("trainer.parallel=fsdp",), "FT239", "trainer.parallel"),
        (("trainer.args.fsdp=offload",), "FT239", "trainer.args.fsdp"),
        (("trainer.parallel=z3", "hardware.devices=2", "trainer.args.fsdp=full_shard"), "FT239", "trainer.args.fsdp"),
        (("trainer.parallel=fsdp", "hardware.devices=2", "trainer.args.deepspeed={a: 1}"), "FT239", "trainer.parallel"),
        (("trainer.parallel=z3", "+trainer.args.pure_bf16=true"), "FT228", "trainer.args.pure_bf16"),
        (("trainer.resume=false",), "FT231", "trainer.resume"),
        (("trainer.args.overwrite_output_dir=true",), "FT231", "trainer.args.overwrite_output_dir"),
        (("hardware/card=t4", "trainer.precision=bf16"), "FT243", "trainer.precision"),
        (("model.template=qwen",), "FT248", "model.template"),
        (("model.template=qwen-3",), "FT247", "model.template"),
        (("trainer.args.template=qwen",), "FT248", "trainer.args.template"),
    ],
)
def test_the_key_that_was_written_is_named(overrides: tuple[str, ...], code: str, subject: str) -> None:
    found = told(*overrides)
    assert code in found
    assert found[code].subject == subject


def test_a_model_that_no_release_knows_has_the_template_it_says() -> None:
    assert "FT248" not in told("model.name=Our-Model", "model.template=qwen")
    assert "FT248" not in told("model.name=Our-Model", "model.template=qwen", "trainer.version=0.9.4")


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        ((), "ddp"),
        (("hardware.devices=8",), "ddp"),
        (("hardware.nodes=2",), "z3"),
        (("hardware.devices=8", "trainer=sft-full"), "z3"),
        (("hardware.devices=8", "trainer=sft-qlora"), "ddp"),
        (("hardware.nodes=2", "trainer=sft-qlora"), "fsdp"),
        (("hardware.nodes=2", "trainer=sft-qlora", "trainer.parallel=z3"), "z3"),
        (("hardware.nodes=2", "trainer=sft-qlora", "trainer.args.quantization_bit=8"), "ddp"),
        (("hardware.nodes=2", "trainer.parallel=ddp"), "ddp"),
        (("hardware.nodes=2", "trainer.args.fsdp=full_shard"), "ddp"),
        (("hardware.nodes=2", "trainer.args.deepspeed={zero_optimization: {stage: 2}}"), "ddp"),
    ],
)
def test_the_way_to_share_follows_from_nodes_and_method(overrides: tuple[str, ...], wanted: str) -> None:
    composer = Composer(Request(config_path=project.conf_dir()))
    spec = pipeline.compile_job(composer, ["hardware=full-gpu", *overrides]).spec
    assert llamafactory.parallel(spec) == wanted
