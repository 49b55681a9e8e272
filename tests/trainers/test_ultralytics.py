"""The arguments of Ultralytics' `yolo`: how they are derived, what is refused, and the real program's own verdict."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from tools import derive_ultralytics

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.spec import Command, admit
from ftgen.trainers import command
from ftgen.validation.rules.command_arguments import check_command_arguments

DEFAULTS = """
# Train settings ----
model: # (str, optional) path to model file, i.e. a.pt
epochs: 100 # (int) number of epochs to train for
batch: 16 # (int | float) batch size
lr0: 0.01 # (float) initial learning rate
fraction: 1.0 # (float | int | list) share of the data
classes: # (int | list[int], optional) filter
"""
MODULE = """
CFG_FRACTION_KEYS = frozenset({"lr0", "fraction"})
CFG_INT_MIN = {"epochs": 1}  # least
"""


def compiled(*words: str) -> pipeline.Compiled:
    return pipeline.compile_job(Composer(Request(config_path=runtime.conf_dir())), words)


def trainer(*words: str) -> Command:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    spec = admit(composer.compose(composer.parse(("trainer=yolo", *words))).config)
    assert isinstance(spec.trainer, Command)
    return spec.trainer


def told(**args: Any) -> list[Diagnostic]:
    base = trainer()
    return check_command_arguments(base.model_copy(update={"args": args}))


def test_types_and_bounds_are_those_of_the_package() -> None:
    found = derive_ultralytics.arguments(DEFAULTS, MODULE)
    assert {name: each["type"] for name, each in found.items()} == {
        "model": ["null", "str"],
        "epochs": ["int", "null"],
        "batch": ["float", "int", "null"],
        "lr0": ["float", "null"],
        "fraction": ["float", "int", "list", "null"],
        "classes": ["int", "list", "null"],
        "save_dir": ["null", "str"],
    }
    assert (found["epochs"]["minimum"], found["lr0"]["minimum"], found["lr0"]["maximum"]) == (1, 0, 1)
    assert "maximum" not in found["fraction"]


def test_an_argument_without_a_type_ends_the_derivation() -> None:
    with pytest.raises(SystemExit, match="says no type of b"):
        derive_ultralytics.arguments("a: 1 # (int) a\nb: 2\n", MODULE)


def test_files_are_those_that_were_derived() -> None:
    assert derive_ultralytics.SURFACES.tampered() == []


@pytest.mark.parametrize(
    ("args", "code", "help_"),
    [
        ({"epoch": 3}, "FT201", "did you mean epochs?"),
        ({"learning_rate": 3}, "FT201", "leave learning_rate out"),
        ({"epochs": "many"}, "FT202", "leave it out for the default, 100"),
        ({"epochs": 0}, "FT203", "write a number at least 1"),
        ({"lr0": 3}, "FT203", "write a number at most 1"),
        ({"rect": "on"}, "FT202", "write true, without quotes"),
        ({"imgsz": {"a": 1}}, "FT202", "leave it out for the default, 640"),
    ],
)
def test_refused(args: dict[str, Any], code: str, help_: str) -> None:
    (found,) = told(**args)
    assert (found.code, found.subject, found.help) == (code, f"trainer.args.{next(iter(args))}", help_)


def test_what_only_the_pod_knows_is_not_judged() -> None:
    assert told(device="$(DEVICE_IDS)", workers="$(DEVICE_IDS)") == []


def test_a_number_is_written_as_its_argument_wants_it() -> None:
    words = command.words(trainer("trainer.args.epochs=1e2", "trainer.args.lr0=1", "trainer.args.patience='7'"))
    assert {"epochs=100", "lr0=1.0", "patience=7"} <= set(words)


def test_the_packaged_options_are_accepted() -> None:
    for option in ("yolo", "yolo-scratch"):
        assert check_command_arguments(trainer(f"trainer={option}")) == []


HELD = "hardware.packages=[git,git-lfs,mlflow,ultralytics]"


@pytest.mark.parametrize("words", ["trainer.requirements=['ultralytics==8.0.0']", "trainer.requirements=[]"])
def test_another_release_is_said_not_to_be_checked(words: str) -> None:
    assert [d.code for d in compiled("trainer=yolo", words, "trainer.args.epoch=1", HELD).diagnostics] == ["FT756"]


def test_the_pipeline_asks() -> None:
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(
            Composer(Request(config_path=runtime.conf_dir())), ("trainer=yolo", "trainer.args.epoch=1", HELD)
        )
    assert [d.code for d in refused.value.diagnostics] == ["FT201"]


@pytest.mark.parametrize(
    ("words", "headline"),
    [
        (("trainer.args.batch=-1",), "the size of a batch is found on one card alone, and there are 2"),
        (("trainer.args.batch=0.7",), "the size of a batch is found on one card alone, and there are 2"),
        (("trainer.args.batch='0.7'",), "the size of a batch is found on one card alone, and there are 2"),
        (("trainer.args.batch=1",), "a batch of 1 is less than an image for each of 2 cards"),
        (
            ("trainer.args.batch=-1", "trainer.args.device='0,1'"),
            "the size of a batch is found on one card alone, and there are 2",
        ),
        (
            ("trainer.args.batch=-1", "trainer.args.device=[0,1]"),
            "the size of a batch is found on one card alone, and there are 2",
        ),
        (
            ("trainer.args.batch=null", "hardware.nodes=1", "hardware.devices=32"),
            "a batch of 16 is less than an image for each of 32 cards",
        ),
        (("trainer.args.batch=2",), None),
        (("trainer.args.batch=-1", "trainer.args.device=0"), None),
        (("trainer.args.batch=-1", "hardware.devices=1"), None),
        (("trainer.args.batch=-1", "hardware=cpu"), None),
        (("trainer.args.batch=-1", "trainer.package=null"), None),
        (
            ("trainer.args.batch=-1", "hardware=ascend"),
            "the size of a batch is found on one card alone, and there are 2",
        ),
    ],
)
def test_a_batch_is_shared_out_among_the_cards(words: tuple[str, ...], headline: str | None) -> None:
    found = told_of_the_job("hardware=full-gpu", "hardware.devices=2", HELD, *words).get("FT044")
    assert (found.headline if found else None) == headline


def told_of_the_job(*words: str) -> dict[str, Diagnostic]:
    try:
        found = compiled("trainer=yolo", *words).diagnostics
    except Rejected as refused:
        found = refused.diagnostics
    return {d.code: d for d in found}


# ---- the real program --------------------------------------------------------------------------------

# Arguments whose values `check_cfg` judges by code of their own.
JUDGED_BY_CODE = {"amp", "fraction", "quantize", "scale"}
VALUES: tuple[Any, ...] = (0, 1, 2, 300, -1, 0.5, 1.5, True, False, "a", "bf16", [1, 2], [0.1, 0.5])


@pytest.mark.slow
def test_ultralytics_takes_what_is_accepted_and_refuses_other_names() -> None:
    real: Any = importlib.import_module("ultralytics.cfg")
    base = trainer()
    known = command.known_arguments(base)
    assert known is not None
    assert known.keys() == {*real.DEFAULT_CFG_DICT, "save_dir"}
    accepted = [
        (name, value) for name in known.keys() - JUDGED_BY_CODE for value in VALUES if not told(**{name: value})
    ]
    assert len(accepted) > len(known)
    for name, value in accepted:
        (word,) = command.words(base.model_copy(update={"args": {name: value}}))[2:]
        real.get_cfg(overrides=dict([real.parse_key_value_pair(word)]))
    for name in ("epoch", "learning_rate", "image_size"):
        with pytest.raises(SyntaxError):
            real.get_cfg(overrides={name: 1})
