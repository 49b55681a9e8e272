"""Arguments that follow from other keys: what is wrong with them is told about the key that the user wrote."""

import json

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected, Severity
from ftgen.trainers import llamafactory


def told(*overrides: str) -> dict[str, Diagnostic]:
    """What is said of a job on whole cards, by code."""
    composer = Composer(Request(config_path=runtime.conf_dir()))
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


MIXTURE = ("model=qwen3-30b-a3b", "storage=nfs")
ROWS_AT_ONCE = ("hardware.memory=null", "hardware/card=b200", "trainer.batch_size=1", "trainer.gradient_accumulation=1")
REWARD = ("trainer=dpo-lora", "trainer.args.stage=rm")


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
        ((*MIXTURE, "hardware.devices=8"), "ddp"),
        ((*MIXTURE, "hardware.nodes=2"), "fsdp"),
        ((*MIXTURE, "hardware.devices=8", "trainer=sft-full", *ROWS_AT_ONCE), "fsdp"),
        ((*MIXTURE, "hardware.nodes=2", "trainer=sft-qlora"), "fsdp"),
        ((*MIXTURE, "hardware=ascend", "hardware.nodes=2", "hardware.devices=8"), "fsdp"),
        ((*MIXTURE, "hardware=ascend", "hardware.nodes=2", "trainer=sft-qlora"), "ddp"),
        ((*MIXTURE, "hardware.nodes=2", "hardware.devices=8", *REWARD), "z3"),
        (("hardware.nodes=2", "trainer.args.fsdp=full_shard"), "ddp"),
        (("hardware.nodes=2", "trainer.args.deepspeed={zero_optimization: {stage: 2}}"), "ddp"),
    ],
)
def test_the_way_to_share_follows_from_nodes_and_method(overrides: tuple[str, ...], wanted: str) -> None:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    spec = pipeline.compile_job(composer, ["hardware=full-gpu", *overrides]).spec
    assert llamafactory.parallel(spec) == wanted


@pytest.mark.parametrize("shape", [(), ("hardware.nodes=2",), ("hardware.devices=8", "trainer=sft-full")])
@pytest.mark.parametrize("hardware", ["full-gpu", "ascend"])
def test_what_is_chosen_by_itself_for_a_mixture_of_experts_is_not_warned_of(
    hardware: str, shape: tuple[str, ...]
) -> None:
    assert "FT292" not in told(*MIXTURE, f"hardware={hardware}", *shape)


def judged(*overrides: str) -> dict[str, Diagnostic]:
    """What is said of a configuration that came as far as these rules."""
    found = told(*overrides)
    assert not {code for code in found if code < "FT200"}
    return found


KEPT = ("storage=nfs", "storage.workspace.claim=w")
CACHED = (
    "storage=model-cache",
    "storage.cache.uri=hf://Qwen/Qwen3-0.6B",
    "storage.cache.nodes=[{key: gpu, operator: Exists}]",
)
ONLY_MODEL = "trainer.args.save_only_model=true"


@pytest.mark.parametrize(
    ("overrides", "severity"),
    [
        ((*KEPT, ONLY_MODEL, "hardware.devices=4", "trainer.parallel=z2"), Severity.ERROR),
        ((*KEPT, ONLY_MODEL, "hardware.devices=4", "trainer.parallel=fsdp"), Severity.ERROR),
        ((*KEPT, ONLY_MODEL), Severity.WARNING),
        ((*KEPT, ONLY_MODEL, "hardware.devices=4", "trainer.parallel=z2", "trainer.resume=false"), None),
        ((ONLY_MODEL, "hardware.devices=4", "trainer.parallel=z2"), None),
        ((ONLY_MODEL, *KEPT, "trainer.args.output_dir=/tmp/out"), None),
        (("trainer.args.resume_from_checkpoint=true",), Severity.ERROR),
    ],
)
def test_a_job_that_resumes_keeps_what_it_resumes_from(overrides: tuple[str, ...], severity: Severity | None) -> None:
    found = judged(*overrides).get("FT287")
    assert (found.severity if found else None) is severity


@pytest.mark.parametrize(
    ("overrides", "subject"),
    [
        (("trainer.args.adapter_name_or_path=/mnt/workspace/earlier/out",), "trainer.args.adapter_name_or_path"),
        (("trainer.args.adapter_name_or_path=/mnt/workspace/earlier/out", *KEPT), None),
        (
            ("trainer.args.adapter_name_or_path=/mnt/models/Other", "storage.models.claim=null"),
            "trainer.args.adapter_name_or_path",
        ),
        (
            ("trainer.args.resume_from_checkpoint=output_models/checkpoint-5", *KEPT),
            "trainer.args.resume_from_checkpoint",
        ),
        (("model.url=null", "storage.models.claim=null"), "model.name"),
        (("dataset.url=null", "storage.models.claim=null"), "dataset.name"),
        (("model.url=null", "dataset.url=null"), None),
        (CACHED, None),
        (("trainer.args.model_name_or_path=org/model", "+hardware.env.HF_HUB_OFFLINE=0"), None),
    ],
)
def test_what_is_read_is_there(overrides: tuple[str, ...], subject: str | None) -> None:
    found = judged(*overrides).get("FT288")
    assert (found.subject if found else None) == subject


@pytest.mark.parametrize(
    ("overrides", "subject"),
    [
        (("tracking=none", "trainer.args.report_to=mlflow"), "trainer.args.report_to"),
        (("trainer.args.report_to=none",), "trainer.args.report_to"),
        (("trainer.args.report_to=[tensorboard]",), "trainer.args.report_to"),
        (("tracking=none", "trainer.args.report_to=wandb"), "trainer.args.report_to"),
        (("tracking=none", "trainer.args.report_to=wandb", "+hardware.env.WANDB_MODE=offline"), None),
        (("tracking=none", "trainer.args.report_to=mlflow", "+hardware.env.MLFLOW_TRACKING_URI=http://m"), None),
        (("tracking=none",), None),
        (("trainer.args.report_to=[mlflow,tensorboard]",), None),
    ],
)
def test_runs_are_reported_where_tracking_says(overrides: tuple[str, ...], subject: str | None) -> None:
    found = judged(*overrides).get("FT289")
    assert (found.subject if found else None) == subject


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ((), "identity_alauda"),
        (("trainer.args.dataset=[a,b]",), "a,b"),
        (("+trainer.args.eval_dataset=c", "trainer.args.val_size=0"), "identity_alauda,c"),
        (("trainer.args.dataset_dir=ONLINE", "+hardware.env.HF_HUB_OFFLINE=0"), None),
        (("trainer.args.dataset_dir=/mnt/models/other",), None),
        (("trainer=command", "trainer.command=[x]"), None),
    ],
)
def test_prepare_is_told_which_data_sets_must_be_there(overrides: tuple[str, ...], names: str | None) -> None:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    compiled = pipeline.compile_job(composer, ["hardware=full-gpu", *overrides])
    (container,) = compiled.bundle.job["spec"]["tasks"][0]["template"]["spec"]["initContainers"]
    environment = {e["name"]: e.get("value") for e in container["env"]}
    assert environment.get("DATASET_NAMES") == names
    arguments = json.loads(environment.get("DATASET_ARGUMENTS") or "{}")
    assert arguments.get("stage") == (names and "sft"), "how the rows are read goes with where"
    assert set(arguments) <= {*llamafactory.training(compiled.spec)} if names else arguments == {}


def configured(*overrides: str) -> tuple[dict[str, object], dict[str, object] | None, bool]:
    """The arguments of the training and of the merge, and whether the base's own files are put back."""
    composer = Composer(Request(config_path=runtime.conf_dir()))
    kept = ["hardware=full-gpu", "storage=nfs", "storage.workspace.claim=w", *overrides]
    spec = pipeline.compile_job(composer, kept).spec
    found = llamafactory.configurations(spec)
    assert found is not None
    export = None if found.export is None else dict(found.export)
    return dict(found.training), export, llamafactory.keeps_base_files(spec, found.training)


EARLIER = "trainer.args.adapter_name_or_path=/mnt/workspace/earlier/out"


@pytest.mark.parametrize(
    ("overrides", "base", "adapters"),
    [
        ((), "/mnt/models/Qwen3-0.6B", "output_models"),
        (("trainer.args.model_name_or_path=/mnt/workspace/a/m",), "/mnt/workspace/a/m", "output_models"),
        ((EARLIER,), "/mnt/models/Qwen3-0.6B", "output_models"),
        (
            (EARLIER, "trainer.args.create_new_adapter=true"),
            "/mnt/models/Qwen3-0.6B",
            "/mnt/workspace/earlier/out,output_models",
        ),
        ((f"{EARLIER}\\,/mnt/workspace/b",), "/mnt/models/Qwen3-0.6B", "/mnt/workspace/earlier/out,output_models"),
        (
            (EARLIER, "trainer.args.create_new_adapter=true", "trainer.parallel=z3", "hardware.devices=2"),
            "/mnt/models/Qwen3-0.6B",
            "output_models",
        ),
        (("trainer.args.output_dir=null",), "/mnt/models/Qwen3-0.6B", "trainer_output"),
    ],
)
def test_a_merge_takes_what_the_training_started_from(overrides: tuple[str, ...], base: str, adapters: str) -> None:
    chosen, export, _ = configured(*overrides)
    assert export is not None
    assert (export["model_name_or_path"], export["adapter_name_or_path"]) == (base, adapters)
    assert chosen["model_name_or_path"] == base


LONG = ("trainer.cutoff_len=41000", "trainer.args.rope_scaling=yarn")


@pytest.mark.parametrize(
    ("overrides", "keeps", "said"),
    [
        ((), True, None),
        (LONG, False, "yarn"),
        (("trainer.args.rope_scaling=yarn",), True, None),
        ((*LONG, "trainer=sft-full"), False, None),
        (("trainer.args.new_special_tokens_config=/mnt/models/t.yaml",), False, None),
        (("trainer.args.add_tokens=abc",), False, None),
        (("trainer.args.model_name_or_path=/mnt/workspace/a/m",), False, None),
    ],
)
def test_the_bases_files_stay_where_they_describe_the_result(
    overrides: tuple[str, ...], keeps: bool, said: str | None
) -> None:
    _, export, kept = configured(*overrides)
    assert export is not None
    assert (kept, export.get("rope_scaling")) == (keeps, said)


@pytest.mark.parametrize(
    ("overrides", "subject"),
    [
        (("model.quantization=gptq",), "model.name"),
        (("model.quantization=gptq", "trainer.merge=false"), None),
        (("model.quantization=gptq", "trainer.export.model_name_or_path=/mnt/models/Whole"), None),
        (("model.quantization=mxfp4",), None),
        ((), None),
    ],
)
def test_adapters_of_a_quantized_base_are_not_merged_into_it(overrides: tuple[str, ...], subject: str | None) -> None:
    found = judged(*overrides).get("FT230")
    assert (found.subject if found else None) == subject


EACH_NODE = ("hardware.nodes=2", "trainer.args.save_on_each_node=true")


@pytest.mark.parametrize(
    ("overrides", "is_warned"),
    [
        ((*KEPT, *EACH_NODE), True),
        (("storage=local-path", *EACH_NODE), False),
        (("storage=hostpath", *EACH_NODE), False),
        ((*KEPT, EACH_NODE[1]), False),
    ],
)
def test_nodes_of_one_storage_do_not_all_save(overrides: tuple[str, ...], is_warned: bool) -> None:
    assert ("FT297" in told(*overrides)) is is_warned


PISSA = "trainer.args.pissa_init=true"
CONVERT = "trainer.args.pissa_convert=true"


@pytest.mark.parametrize(
    ("overrides", "subject"),
    [
        ((PISSA,), "trainer.args.pissa_init"),
        ((PISSA, "trainer.args.pissa_iter=-1"), None),
        ((PISSA, CONVERT, "trainer.export.adapter_name_or_path=output_models/pissa_converted"), None),
        ((PISSA, CONVERT, "trainer.merge=false"), None),
        ((PISSA, CONVERT, "trainer.merge=false", *KEPT), "trainer.args.pissa_convert"),
        ((PISSA, "trainer.merge=false"), "trainer.args.pissa_init"),
        ((), None),
    ],
)
def test_a_pissa_adapter_is_merged_into_the_base_that_it_was_trained_on(
    overrides: tuple[str, ...], subject: str | None
) -> None:
    found = judged(*overrides).get("FT221")
    assert (found.subject if found else None) == subject
