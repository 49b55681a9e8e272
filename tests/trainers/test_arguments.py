import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftgen.diagnostics import Severity
from ftgen.trainers.arguments import normalise, surface
from ftgen.validation import Rule
from ftgen.validation.rules.trainer import arguments, hardware, job
from ftgen.validation.rules.trainer.check import check_arguments
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING, TrainingFacts

LATEST = surface("0.9.5")
RULES = tuple(dict.fromkeys((*TRAINING.rules, *EXPORT.rules)))
GOOD = {
    "model_name_or_path": "/mnt/models/Qwen3-0.6B",
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "dataset": "identity",
    "template": "qwen3",
    "report_to": "none",
    "output_dir": "output_models",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def problems(extra, facts=None, of=LATEST):
    return check_arguments(GOOD | extra, of, facts or TrainingFacts())


def test_a_sound_setting_has_nothing_to_report():
    assert problems({}) == []


@pytest.mark.parametrize(
    ("name", "headline", "help_"),
    [
        ("lora_rnk", "LLaMA-Factory 0.9.5 has no argument lora_rnk", "did you mean lora_rank?"),
        ("zzz", "LLaMA-Factory 0.9.5 has no argument zzz", "leave zzz out"),
        ("dpo_beta", "dpo_beta was dropped after llamafactory 0.7.1", "write pref_beta"),
        ("evaluation_strategy", "evaluation_strategy was dropped after transformers 4.45.2", "write eval_strategy"),
        (
            "placement_strategy",
            "placement_strategy was dropped after llamafactory 0.9.4",
            "leave placement_strategy out",
        ),
        (
            "train_sampling_strategy",
            "train_sampling_strategy is no argument of this image: transformers 5.5.4 knows it, the image has 4.57.6",
            "leave train_sampling_strategy out",
        ),
    ],
)
def test_unknown_arguments_are_named_with_their_cure(name, headline, help_):
    [found] = problems({name: 1})
    assert (found.code, found.subject, found.headline, found.help) == ("FT201", f"trainer.args.{name}", headline, help_)


@pytest.mark.parametrize(
    ("name", "value", "headline", "help_"),
    [
        ("bf16", "yes", "bf16 is true or false, not 'yes'", "write true, without quotes"),
        ("bf16", "off", "bf16 is true or false, not 'off'", "write false, without quotes"),
        ("lora_rank", 1.5, "lora_rank is a whole number, not 1.5", "leave it out for the default, 8"),
        ("run_name", 7, "run_name is a text, not 7", 'put it in quotes: "7"'),
        ("deepspeed", 3, "deepspeed is a mapping or a text, not 3", 'put it in quotes: "3"'),
        (
            "adapter_name_or_path",
            ["a", "b"],
            "adapter_name_or_path is a text, not ['a', 'b']",
            "write one text; where it names several, with commas between them: 'a,b'",
        ),
        ("hub_token", {"t": 1}, "hub_token is a text, not this", "leave it out for the default, None"),
    ],
)
def test_wrong_types_say_what_is_wanted(name, value, headline, help_):
    [found] = problems({name: value})
    assert (found.code, found.headline, found.help) == ("FT202", headline, help_)


@pytest.mark.parametrize(
    ("name", "value", "help_"),
    [
        ("stage", "grpo", "choose among pt, sft, rm, ppo, dpo, kto"),
        ("finetuning_type", "Lora", "did you mean lora?"),
        ("save_strategy", "step", "did you mean steps?"),
        ("optim", "adamw_torc", "did you mean adamw_torch?"),
        ("fsdp", "full_shrd offload", "did you mean full_shard?"),
        ("export_device", "cuda", "choose among cpu, auto"),
    ],
)
def test_values_that_are_no_choice(name, value, help_):
    [found] = problems({name: value})
    assert (found.code, found.value, found.help) == ("FT203", value, help_)


def test_a_rule_is_silent_about_a_value_that_was_refused():
    found = problems({"val_size": "a tenth", "eval_strategy": "steps"})
    assert [d.code for d in found] == ["FT202"]


def test_a_training_argument_is_refused_in_the_export():
    merge = {"model_name_or_path": "m", "export_dir": "out", "output_dir": "o"}
    [found] = check_arguments(merge, LATEST, TrainingFacts(), "export")
    assert (found.code, found.subject) == ("FT201", "trainer.export.output_dir")
    assert found.headline == "output_dir is no argument of export"


def test_normalised_arguments_are_of_their_types_and_never_null():
    plain = normalise({"learning_rate": "1e-4", "lora_alpha": None, "save_steps": 5, "num_train_epochs": 3}, LATEST)
    assert plain == {"learning_rate": 1e-4, "save_steps": 5, "num_train_epochs": 3.0}
    assert isinstance(plain["num_train_epochs"], float)


def test_normalising_twice_changes_nothing():
    once = normalise(GOOD | {"learning_rate": "1e-4", "val_size": "1"}, LATEST)
    assert normalise(once, LATEST) == once


def test_secrets_never_reach_a_diagnostic():
    for value in ("hf_secret", 5, {"hf_secret": 1}):
        assert all("hf_secret" not in str(found) for found in problems({"hub_token": value}))


@example({".": None})
@given(st.dictionaries(st.sampled_from(sorted(LATEST.arguments)) | st.text(max_size=12), JSON, max_size=8))
def test_check_is_total(args):
    for command in ("train", "export"):
        for found in check_arguments(args, LATEST, TrainingFacts(), command):
            assert found.headline
            assert not found.headline.endswith(".")
            assert found.subject.startswith(f"trainer.{'args' if command == 'train' else 'export'}.")


@given(st.dictionaries(st.sampled_from(sorted(LATEST.arguments)), JSON, max_size=8))
def test_normalise_is_idempotent(args):
    once = normalise(args, LATEST)
    assert json.dumps(normalise(once, LATEST)) == json.dumps(once)


def test_every_rule_has_its_own_code_and_name():
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
    assert all("FT200" <= rule.code <= "FT299" for rule in RULES)


def test_no_rule_is_forgotten():
    written = [v for module in (arguments, hardware, job) for v in vars(module).values() if isinstance(v, Rule)]
    assert {rule.code for rule in written} == {rule.code for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_explains_itself(rule):
    lines = rule.page.splitlines()
    assert lines[0].endswith(".")
    assert all(any(line.strip().startswith(word) for line in lines) for word in ("Why: ", "Example: ", "Instead: "))


def test_notes_do_not_refuse():
    found = problems({"finetuning_type": "full", "lora_alpha": 32})
    assert [(d.code, d.severity) for d in found] == [("FT240", Severity.NOTE)]
