"""How many checkpoints lie on the workspace, and the warning where nothing bounds them."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.emulation.estimate import checkpoints, estimate
from ftgen.emulation.estimate.storage import checkpoint_gib
from ftgen.spec import admit

COMPOSER = Composer(Request(config_path=runtime.conf_dir()))
SPEC = admit(COMPOSER.compose(COMPOSER.parse(["hardware=full-gpu"])).config)
ALL = "trainer.args.max_samples=null"
FULL = ("trainer=sft-full", "model=qwen3-8b", "hardware=full-gpu", "hardware.devices=8")


def unbounded(*overrides: str) -> list[tuple[str, str]]:
    """Return place and help of each warning that is about the number of checkpoints."""
    found = pipeline.compile_job(COMPOSER, overrides).diagnostics
    return [(d.subject, d.help) for d in found if d.code == "FT283" and "checkpoints" in d.headline]


# 900 of 1000 rows, at four a step and four times, are 900 steps; those of max_samples=null are not known.
@pytest.mark.parametrize(
    ("overrides", "most"),
    [
        ((), 2),
        (("save_steps=100",), 9),
        (("save_steps=100", "num_train_epochs=1"), 3),
        (("save_steps=100", "val_size=0", "eval_strategy=no"), 10),
        (("save_steps=100", "max_samples=500"), 5),
        (("save_steps=100", "gradient_accumulation_steps=4"), 5),
        (("save_steps=100", "save_total_limit=3"), 4),
        (("max_samples=null",), None),
        (("max_samples=null", "save_total_limit=3"), 4),
        (("max_samples=null", "save_total_limit=1", "load_best_model_at_end=true"), 3),
        (("save_total_limit=-1", "max_steps=1000", "save_steps=100"), 10),
        (("save_total_limit=0", "max_steps=1050", "save_steps=100"), 11),
        (("max_steps=1000", "save_steps=100", "max_samples=null"), 10),
        (("save_total_limit=3", "max_steps=1000", "save_steps=100"), 4),
        (("save_total_limit=30", "max_steps=1000", "save_steps=100"), 10),
        (("save_steps=0.1", "max_samples=null"), 10),
        (("save_steps=0.001",), 900),
        (("save_strategy=epoch", "num_train_epochs=4"), 4),
        (("save_strategy=epoch", "num_train_epochs=7.5", "max_samples=null"), 8),
        (("save_strategy=epoch", "max_steps=1000"), None),
        (("save_strategy=no", "max_samples=null"), 2),
        (("max_steps=9000000000000000000", "save_steps=1"), 2**31),
    ],
)
def test_without_a_limit_every_checkpoint_stays(described, overrides, most):
    assert described(*(f"trainer.args.{word}" for word in overrides)).checkpoints == most


def test_cards_share_the_rows_of_a_step(described):
    """29 steps, of 32 rows each, four times over."""
    assert described(*FULL, "trainer.args.save_steps=10").checkpoints == 12


@pytest.mark.parametrize(
    ("arguments", "most"),
    [
        ({"dataset": "a,b", "max_samples": 1000}, 10),
        ({"dataset": "a, b", "max_samples": 1000, "mix_strategy": "interleave_over"}, 10),
        ({"dataset": "a,b", "mix_strategy": "interleave_over", "interleave_probs": "0.5,0.5", "max_samples": 9}, None),
        ({"max_samples": 1000, "packing": True}, 5),
        ({"max_samples": 1000, "tokenized_path": "/mnt/models/rows"}, None),
        ({"max_samples": 1000, "streaming": True}, None),
        ({"max_samples": 1000, "streaming": True, "max_steps": 300}, 3),
        ({"max_samples": 1000, "num_train_epochs": float("inf")}, None),
        ({"max_samples": 1000, "num_train_epochs": float("nan")}, None),
        ({"max_samples": 2**63 - 1, "num_train_epochs": 1e308}, 2**31),
        ({"max_samples": 10**400, "val_size": 0.5}, 2**31),
        ({"max_samples": 1000, "save_steps": 0}, 2),
        ({"max_samples": 1000, "save_strategy": "best", "eval_strategy": "steps", "eval_steps": 50}, 10),
        ({"max_samples": 1000, "save_strategy": "best", "eval_strategy": "steps", "logging_steps": 25}, 20),
        ({"save_strategy": "best", "eval_strategy": "epoch"}, 3),
        ({"save_strategy": "best"}, 2),
    ],
)
def test_what_is_known_of_the_rows_bounds_the_checkpoints(arguments, most):
    """Two rows a step, in one epoch."""
    given = {"num_train_epochs": 1.0, "per_device_train_batch_size": 2, "save_steps": 100} | arguments
    if given.get("eval_strategy") == "epoch":
        given["num_train_epochs"] = 3.0
    assert checkpoints.most(SPEC, given) == most


def test_an_entry_that_takes_so_many_rows_bounds_them():
    words = ["dataset.info.num_samples=250", ALL, "trainer.args.save_steps=10"]
    spec = admit(COMPOSER.compose(COMPOSER.parse(words)).config)
    own, other = ({"dataset": name, "num_train_epochs": 1.0} for name in (spec.dataset.name, "another"))
    assert checkpoints.most(spec, own | {"save_steps": 10, "per_device_train_batch_size": 5}) == 5
    assert checkpoints.most(spec, other) is None


def saved(rows: int, batch: int, accumulation: int, epochs: float, interval: int) -> int:
    """Count the saves of transformers' loop: after each interval, and after the last step."""
    batches = len(range(0, rows, batch))
    steps = ceil(epochs * max(batches // accumulation + int(batches % accumulation > 0), 1))
    return sum(1 for step in range(1, steps + 1) if step % interval == 0 or step == steps)


@given(st.integers(1, 300), st.integers(0, 99), *[st.integers(1, 9)] * 2, st.floats(0.1, 3), st.integers(1, 99))
def test_no_data_set_saves_more(rows, fewer, batch, accumulation, epochs, interval):
    arguments = {
        "max_samples": rows,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": epochs,
        "save_steps": interval,
    }
    most = checkpoints.most(SPEC, arguments)
    assert most == max(saved(rows, batch, accumulation, epochs, interval), 2)
    assert saved(max(rows - fewer, 1), batch, accumulation, epochs, interval) <= most


def test_a_claim_holds_every_checkpoint_of_a_known_number(described):
    few, many = (described(*FULL, f"trainer.args.save_steps={steps}") for steps in (500, 10))
    more = estimate(many).workspace_gib - estimate(few).workspace_gib
    assert more == pytest.approx(10 * checkpoint_gib(few))


def test_large_checkpoints_that_nothing_bounds_are_told_with_a_limit_that_mends_it():
    [(subject, help_)] = unbounded(*FULL, ALL)
    assert subject == "trainer.args.save_total_limit"
    assert unbounded(*FULL, ALL, help_.removeprefix("write ")) == []


def test_the_limit_is_what_the_claim_holds():
    [(_, help_)] = unbounded(*FULL, ALL, "storage.workspace.size=500Gi")
    assert help_ == "write trainer.args.save_total_limit=3"
    limited = (*FULL, ALL, "storage.workspace.size=500Gi", help_.removeprefix("write "))
    assert "FT283" not in {d.code for d in pipeline.compile_job(COMPOSER, limited).diagnostics}


@pytest.mark.parametrize(
    "words",
    [
        FULL,
        (ALL,),
        ("model=qwen3-8b", ALL, "storage.workspace.size=50Gi"),
        (*FULL, ALL, "trainer.args.max_steps=400"),
        (*FULL, ALL, "trainer.args.save_strategy=epoch"),
        (*FULL, ALL, "storage.workspace.size=4Ti"),
        (*FULL, ALL, "storage.workspace.claim=there"),
    ],
)
def test_few_or_small_checkpoints_and_claims_of_others_are_not_told(words):
    assert unbounded(*words) == []
