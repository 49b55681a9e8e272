"""Estimates against training steps of two NVIDIA H100 that share the work (torch 2.11, transformers 4.57.6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from ftgen.emulation.estimate import Shape, Training
from ftgen.emulation.estimate.device import CONTEXT, GIB, peak

ROWS = [json.loads(line) for line in Path(__file__).with_name("shared.jsonl").read_text().splitlines()]
WAYS = {"fsdp": {"zero_stage": 3, "fsdp": True}, "z3": {"zero_stage": 3, "deepspeed": True}}


def training(row, models):
    given = {key: row[key] for key in ("method", "stage", "world", "batch", "accumulation", "cutoff_len")}
    shape = Shape.of(models[row["model"]]["shape"])
    return Training(shape=shape, devices=row["world"], **given, **WAYS[row["parallel"]])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["parallel"])
def test_the_estimate_is_near_the_measurement(row, models):
    estimated = peak(training(row, models))
    context = CONTEXT / GIB
    assert estimated.gib == pytest.approx(row["reserved_gib"] + context, rel=0.05)
    assert estimated.tensors_gib == pytest.approx(row["allocated_gib"] + context, rel=0.05)


def test_fsdp_keeps_whole_gradients_only_between_the_batches_of_a_step(models):
    several = training(ROWS[0], models)
    one = replace(several, accumulation=1)
    assert peak(several).gib - peak(one).gib > 2 * several.trainable / GIB / 2
    assert peak(replace(several, zero_stage=0, fsdp=False, world=1)) == peak(
        replace(one, zero_stage=0, fsdp=False, world=1)
    )


def test_fsdp_holds_a_share_of_everything_that_learns(models):
    two = replace(training(ROWS[0], models), accumulation=1)
    eight = replace(two, world=8)
    named = {term.name: term.gib for term in peak(eight).terms}
    assert peak(eight).gib < peak(two).gib
    assert named["optimizer states"] == pytest.approx(8 * eight.trainable / 8 / GIB)
