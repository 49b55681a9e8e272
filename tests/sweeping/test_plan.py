"""`ftgen plan`: what would be rendered, and what it asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli

SWEEP = ("-m", "trainer.lr=1e-4,2e-4", "model=qwen3-0.6b,qwen3-1.7b", "hardware=ascend", "hardware.devices=2")


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["plan", *words]) == 0
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan(capsys, *words, "--json"))
    return found


def test_nothing_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plan(capsys, *SWEEP)
    assert list(tmp_path.iterdir()) == []


def test_totals_are_sums(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, *SWEEP)
    totals = found["totals"]
    assert totals["jobs"] == len(found["jobs"]) == 4
    assert totals["pods"] == 4
    assert totals["devices"] == sum(job["devices"] for job in found["jobs"]) == 8
    assert totals["card_gib"] == 8 * 32
    assert totals["storage_gib"] == sum(job["storage_gib"] for job in found["jobs"])


def test_shared_claims_count_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("storage=nfs", "storage.models.create=true", "storage.workspace.claim=mine", "storage.models.size=10Gi")
    found = as_json(capsys, *SWEEP, *words)
    assert [job["storage_gib"] for job in found["jobs"]] == [10, 10, 10, 10]
    assert found["totals"]["storage_gib"] == 10


def test_a_status_for_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert {job["status"] for job in as_json(capsys, *SWEEP)["jobs"]} == {"new"}
    assert cli.main([*SWEEP, "-q"]) == 0
    assert {job["status"] for job in as_json(capsys, *SWEEP)["jobs"]} == {"unchanged"}
    more = as_json(capsys, "-m", "trainer.lr=2e-4,3e-4", *SWEEP[2:])["jobs"]
    assert sorted(job["status"] for job in more) == ["new", "new", "unchanged", "unchanged"]


def test_what_a_named_sweep_no_longer_has_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-m", "sweep.name=s", "trainer.lr=1e-4,2e-4,3e-4", "-q"]) == 0
    found = as_json(capsys, "-m", "sweep.name=s", "trainer.lr=1e-4,2e-4")
    assert len(found["gone"]) == 1
    assert "lr3e-4" in found["gone"][0]


def test_a_sweep_that_shrinks_is_planned_and_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    many = ("-m", "sweep.name=mine", "trainer.lr=1e-4,2e-4,3e-4,4e-4")
    assert cli.main([*many[:2], many[2], "-q"]) == 0
    few = ("-m", "sweep.name=mine", "trainer.lr=choice(1e-4)")
    assert cli.main(["plan", *few]) == 0
    told = capsys.readouterr()
    assert told.out.count("gone: ") == 3
    assert "warning[FT505]" in told.err
    assert cli.main([*few, "-q"]) == 1


def test_one_job_is_a_plan_too(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "hardware=ascend")
    assert len(found["jobs"]) == 1
    assert found["jobs"][0]["job"].startswith("sft-qwen3-0-6b-")


def test_the_table_names_what_differs_and_says_once_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    lines = plan(capsys, *SWEEP).splitlines()
    assert "hardware=ascend" in lines[0]
    assert "model=" not in lines[0]
    assert "model=qwen3-0.6b" in lines
    assert any(
        line.startswith("sft-qwen3-1-7b-lr2e-4-") and "0.0002" in line and line.endswith("new") for line in lines
    )
    assert re.fullmatch(r"4 jobs, 4 pods, 8 cards with 256 GiB, [0-9.]+ GiB of storage: 4 new", lines[-1])


def test_a_large_sweep_fits_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ("-m", "trainer.args.seed=range(0,200)", "model=qwen3-0.6b,qwen3-1.7b")
    lines = plan(capsys, *words).splitlines()
    assert len(lines) < 20
    assert all(len(line) <= 80 for line in lines)
    assert "  … and 197 more: trainer.args.seed 0 … 199 (200 values)" in lines
    assert lines[-1].startswith("400 jobs")
    assert len(plan(capsys, *words, "--all").splitlines()) > 400


def test_a_plan_of_what_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,-1"]) == 1
    assert "trainer.lr cannot be -1" in capsys.readouterr().err


def test_fit_is_told_with_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "--fit", "-o", str(tmp_path), "model=qwen3-8b", "hardware=full-gpu"]
    assert cli.main([*words, "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["fit"] == {"device_gib": job["fit"]["device_gib"], "available_gib": 80.0, "verdict": "fits"}
    assert 16 < job["fit"]["device_gib"] < 40
    assert sum(job["fit_terms"].values()) == pytest.approx(job["fit"]["device_gib"], abs=0.1)
    assert cli.main(words) == 0
    assert f"{job['fit']['device_gib']:g} GiB of a card: fits in 80 GiB (weights" in capsys.readouterr().out


def test_a_narrow_terminal_hides_nothing_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = plan(capsys, "--fit", "hardware=ascend")
    monkeypatch.setenv("COLUMNS", "80")
    narrow = plan(capsys, "--fit", "hardware=ascend")
    assert all(len(line) <= 80 for line in narrow.splitlines())
    assert narrow.split() == wide.split()
