import json

import pytest
from tools import derive_llamafactory

from ftgen import runtime
from ftgen.trainers.surface import COUNT_OR_RATIO, WrongType, cast, export_keys, surface, versions

FIRST, SECOND = "0.9.5", "0.9.4"
RELEASES = [FIRST, SECOND]


def test_the_newest_release_comes_first():
    assert versions() == (FIRST, SECOND)


def test_an_unknown_release_is_a_key_error():
    with pytest.raises(KeyError):
        surface("0.0.1")


def test_the_committed_files_are_those_that_were_derived():
    assert derive_llamafactory.SURFACES.tampered() == []


def test_one_argument_a_line_and_no_prose():
    text = (runtime.schemas_dir() / "llamafactory" / f"{FIRST}.json").read_text()
    assert text.count("\n") > len(surface(FIRST).arguments)
    assert "help" not in json.loads(text)["arguments"]["lora_rank"]


@pytest.mark.parametrize("release", RELEASES)
def test_every_default_passes_its_own_type_check(release):
    for argument in surface(release).arguments.values():
        assert cast(argument, argument.default) == argument.default, argument.name


@pytest.mark.parametrize("release", RELEASES)
def test_every_default_is_among_the_choices(release):
    for argument in surface(release).arguments.values():
        if argument.choices and argument.default is not None:
            assert argument.default in argument.choices, argument.name


@pytest.mark.parametrize("release", RELEASES)
def test_every_replacement_of_a_retired_name_exists(release):
    of = surface(release)
    assert not of.retired.keys() & of.arguments.keys()
    assert {now for _, now in of.retired.values() if now} <= of.arguments.keys()


@pytest.mark.parametrize("release", RELEASES)
def test_every_known_model_has_a_known_template(release):
    of = surface(release)
    assert set(of.models.values()) <= of.templates.keys()


@pytest.mark.parametrize(
    ("name", "types", "default", "group", "commands"),
    [
        ("lora_rank", {"int"}, 8, "finetuning", {"train", "export"}),
        ("learning_rate", {"float"}, 5e-5, "training", {"train"}),
        ("model_name_or_path", {"str", "null"}, None, "model", {"train", "export"}),
        ("packing", {"bool", "null"}, None, "data", {"train", "export"}),
        ("deepspeed", {"dict", "str", "null"}, None, "training", {"train"}),
        ("dataset", {"list", "str", "null"}, None, "data", {"train", "export"}),
        ("image_max_pixels", {"int"}, 768 * 768, "model", {"train", "export"}),
        ("max_new_tokens", {"int"}, 1024, "generating", {"train", "export"}),
        ("ray_num_workers", {"int"}, 1, "training", {"train"}),
    ],
)
def test_what_is_known_of_an_argument(name, types, default, group, commands):
    argument = surface(FIRST).arguments[name]
    known = (argument.types, argument.default, argument.group, argument.commands)
    assert known == (types, default, group, commands)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("stage", ("pt", "sft", "rm", "ppo", "dpo", "kto")),
        ("finetuning_type", ("lora", "oft", "freeze", "full")),
        ("flash_attn", ("auto", "disabled", "sdpa", "fa2", "fa3")),
        ("save_strategy", ("no", "steps", "epoch", "best")),
        ("export_device", ("cpu", "auto")),
    ],
)
def test_choices_come_from_literals_and_enumerations(name, choices):
    assert surface(FIRST).arguments[name].choices == choices


def test_readers_of_an_argument():
    arguments = surface(FIRST).arguments
    assert arguments["lora_rank"].methods == ("lora",)
    assert arguments["additional_target"].methods == ("lora", "oft")
    assert arguments["ppo_epochs"].stages == ("ppo",)
    assert arguments["pref_beta"].stages == ("dpo", "kto")
    assert arguments["learning_rate"].transformers
    assert not arguments["lora_rank"].transformers


def test_credentials_are_known():
    secret = {name for name, argument in surface(FIRST).arguments.items() if argument.secret}
    assert {"hf_hub_token", "hub_token", "ms_hub_token", "om_hub_token", "swanlab_api_key"} <= secret
    assert not secret & {"add_tokens", "max_new_tokens", "ignore_pad_token_for_loss"}


def test_export_takes_no_training_argument():
    keys = export_keys(surface(FIRST))
    assert {"model_name_or_path", "adapter_name_or_path", "template", "export_dir", "infer_dtype", "stage"} <= keys
    assert not keys & {"do_train", "output_dir", "bf16", "report_to", "deepspeed", "overwrite_output_dir"}


def test_releases_differ():
    new, old = surface(FIRST), surface(SECOND)
    assert "preserve_thinking" in new.arguments
    assert "preserve_thinking" not in old.arguments
    assert "ray_run_name" in old.arguments
    assert new.retired["ray_run_name"] == ("llamafactory 0.9.4", None)
    assert (new.transformers, old.transformers) == ("4.57.6", "4.57.1")


def test_templates_know_their_kind():
    templates = surface(FIRST).templates
    assert "reasoning" in templates["qwen3"]
    assert templates["qwen"] == {"tools"}
    assert templates["default"] == frozenset()
    assert "multimodal" in templates["qwen2_vl"]
    assert "qwen3_nothink" in templates
    assert surface(FIRST).models["Qwen/Qwen3-0.6B"] == "qwen3"


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", "2E-5", 2e-5),
        ("learning_rate", 1, 1.0),
        ("num_train_epochs", "3", 3.0),
        ("lora_rank", "16", 16),
        ("lora_rank", 16.0, 16),
        ("max_samples", 1e3, 1000),
        ("val_size", 1, 1),
        ("val_size", 1.0, 1.0),
        ("val_size", "0.1", 0.1),
        ("save_steps", 500, 500),
        ("lora_alpha", None, None),
        ("bf16", True, True),
        ("deepspeed", {"a": 1}, {"a": 1}),
        ("deepspeed", "ds.json", "ds.json"),
        ("report_to", ["mlflow"], ["mlflow"]),
        ("resume_from_checkpoint", True, True),
        ("run_name", "7", "7"),
    ],
)
def test_values_become_what_the_yaml_needs(name, value, result):
    plain = cast(surface(FIRST).arguments[name], value)
    assert (plain, type(plain)) == (result, type(result))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bf16", "true"),
        ("bf16", 1),
        ("bf16", None),
        ("lora_rank", 1.5),
        ("lora_rank", True),
        ("lora_rank", "eight"),
        ("lora_rank", [8]),
        ("learning_rate", "nan"),
        ("learning_rate", float("inf")),
        ("learning_rate", 10**400),
        ("run_name", 7),
        ("deepspeed", 3),
        ("deepspeed", ["z3"]),
        ("label_names", "labels"),
        ("dataset", {}),
        ("parallelism_config", {}),
    ],
)
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises(WrongType):
        cast(surface(FIRST).arguments[name], value)


def test_counts_that_are_also_shares_exist():
    assert set(surface(FIRST).arguments) >= COUNT_OR_RATIO
