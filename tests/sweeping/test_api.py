"""ftgen from Python: values in, values out, nothing left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import ftgen
from ftgen import cli

WORDS = ["trainer.lr=1e-4,2e-4", "hardware=ascend"]


def test_a_job_is_what_the_command_line_renders(capsys: pytest.CaptureFixture[str]) -> None:
    job = ftgen.job(["hardware=ascend"])
    assert cli.main(["hardware=ascend", "-o", "-"]) == 0
    assert job.yaml == capsys.readouterr().out
    assert job.manifest == [*yaml.safe_load_all(job.yaml)][-1]
    assert job.manifest["metadata"]["name"] == job.name


def test_a_sweep_is_a_sequence_of_jobs(tmp_path: Path) -> None:
    jobs = ftgen.sweep(WORDS)
    assert [job.row.swept for job in jobs] == [{"trainer.lr": "0.0001"}, {"trainer.lr": "0.0002"}]
    assert jobs[0].overrides == ("trainer.lr=0.0001", "hardware=ascend")
    assert jobs.totals.jobs == len(jobs) == 2
    assert jobs.jobs == tuple([*yaml.safe_load_all(job.yaml)][-1] for job in jobs)
    jobs.write(tmp_path)
    assert cli.main(["-m", *WORDS, "-o", str(tmp_path / "other"), "-q"]) == 0
    written = {path: (tmp_path / path).read_bytes() for job in jobs for path in job.files}
    assert written == {path: (tmp_path / "other" / path).read_bytes() for path in written}


def test_a_sweep_is_a_table() -> None:
    jobs = ftgen.sweep(WORDS)
    (first, _) = jobs.records()
    assert first["trainer.lr"] == "0.0001"
    assert first["devices"] == 1
    shown = jobs._repr_html_()
    assert shown.count("<tr>") == 3
    assert first["job"] in shown


def test_memory_is_a_bar_against_the_card() -> None:
    jobs = ftgen.sweep(["trainer.batch_size=1,4", "hardware.memory=8Gi", "hardware.devices=1"])
    shown = jobs._repr_html_()
    assert [verdict in shown for verdict in ("4.11 of 8 GiB: fits", "10.61 of 8 GiB: does not fit")] == [True, True]
    assert shown.count("<svg") == 2
    parts = [part for job in jobs for part in job.row.terms]
    assert shown.count("<rect") == len(parts)
    assert all(f"■</span> {part}" in shown for part in parts)
    assert "not estimated" in ftgen.job(["trainer=yolo", "model=yolo26n", "dataset=coco8-images"])._repr_html_()


def test_what_is_shown_as_text_is_short() -> None:
    rendered = ftgen.sweep(["trainer.lr=1e-4,2e-4"])
    assert repr(rendered) == "<ftgen.Sweep sft-qwen3-0-6b: 2 jobs, 2 pods, 2 cards>"
    assert repr(rendered[0]).startswith("<ftgen.Job sft-qwen3-0-6b-lr1e-4-")
    assert all(len(repr(job)) < 300 for job in rendered)


def test_html_is_escaped() -> None:
    shown = ftgen.sweep(["cluster.annotations={note:'<b>'},{note:'<i>'}"])._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert "<b>'" not in ftgen.job(["cluster.annotations={note:'<b>'}"])._repr_html_()


def test_a_data_frame_is_made_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas is the notebook's own; what it is handed is all there is to hold."""
    frame = SimpleNamespace(from_records=lambda records, index: (records, index))
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=frame))
    jobs = ftgen.sweep(WORDS)
    assert jobs.to_pandas() == (jobs.records(), "job")


def test_what_is_wrong_is_raised() -> None:
    with pytest.raises(ftgen.Rejected, match=r"trainer\.lr cannot be -1"):
        ftgen.sweep(["trainer.lr=1e-4,-1"])


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pace, variables = gc.get_threshold(), dict(os.environ)
    ftgen.sweep(WORDS)
    assert (gc.get_threshold(), dict(os.environ)) == (pace, variables)
    assert not GlobalHydra.instance().is_initialized()
    assert not OmegaConf.has_resolver("hydra")
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_importing_costs_nothing() -> None:
    code = "import sys, ftgen; sys.exit(any(m in sys.modules for m in ('hydra', 'omegaconf', 'pydantic', 'yaml')))"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
