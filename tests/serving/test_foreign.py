"""What a run records of its rendering, when the run may have come with a foreign repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ftgen import cli


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOY_INFO", "hunter2canary")
    assert cli.main(["model=qwen3-0.6b", "-q"]) == 0
    (file,) = Path("out").rglob("job-*.yaml")
    return file


def record(job: Path, *overrides: str) -> Path:
    text = job.read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    known = manifest["metadata"]["annotations"]["ftgen.dev/overrides"]
    file = Path("evil.yaml")
    file.write_text(text.replace(known, json.dumps(overrides).replace("'", "''")), encoding="utf-8")
    return file


@pytest.mark.parametrize("value", ["${oc.env:DEPLOY_INFO}", "'${oc.env:DEPLOY_INFO}'", "$\\{oc.env\\:DEPLOY_INFO\\}"])
def test_a_service_publishes_no_variable_that_a_run_chose(
    job: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = record(job, "model=qwen3-0.6b", f"cluster.namespace={value}")
    capsys.readouterr()

    assert cli.main(["serve", str(evil), "serving=deployment", "-o", "served"]) == 1
    shown = "".join(capsys.readouterr())
    assert "error[FT002]" in shown
    assert "hunter2canary" not in shown
    assert not Path("served").exists()


def test_a_line_is_explained_by_no_folder_that_the_manifest_chose(
    job: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path_factory.mktemp("theirs")
    (theirs / "home").mkdir()
    (theirs / "home" / "notes.yaml").write_text("hint: the-answer-is-42\n", encoding="utf-8")
    evil = record(job, f"hydra.searchpath=[{theirs}]", "+home@trainer.args=notes")
    number = next(n for n, text in enumerate(evil.read_text().split("\n"), 1) if "value:" in text)
    capsys.readouterr()

    assert cli.main(["explain", f"{evil}:{number}"]) == 1
    shown = "".join(capsys.readouterr())
    assert "names a folder outside" in shown
    assert "the-answer-is-42" not in shown
