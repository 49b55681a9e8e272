"""What goes to standard output: manifests, or one machine-readable array, and never both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from ftgen import cli

# One warning: slices of shared cards together.
NOTICED = ["hardware.devices=2"]


def test_one_array_of_diagnostics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*NOTICED, "--format", "json", "-o", str(tmp_path)]) == 0
    assert [d["code"] for d in json.loads(capsys.readouterr().out)] == ["FT259"]


def test_an_empty_array_where_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--format", "json", "-o", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("words", [NOTICED, ["-m", "trainer.lr=1e-4,2e-4", *NOTICED]])
def test_manifests_alone_on_standard_output(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--format", "json", "-o", "-"]) == 0
    shown = capsys.readouterr()
    assert {d["kind"] for d in yaml.safe_load_all(shown.out)} == {"ConfigMap", "Job"}
    assert [d["code"] for d in json.loads(shown.err)] == ["FT259"]


def test_a_rejection_is_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["hardware.nodes=0", "--format", "json", "-o", "-"]) == 1
    assert [d["code"] for d in json.loads(capsys.readouterr().out)] == ["FT103"]


def test_one_array_however_often_a_verb_has_something_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "-b", "main", "repo"], check=True)
    publish = ["publish", "--repo", "repo", "--branch", "main", "--path", "jobs", "--format", "json"]
    for words, code, found in ((NOTICED, 0, ["FT259", "FT531"]), (["hardware.nodes=0"], 1, ["FT103"])):
        assert cli.main([*publish, *words]) == code
        assert [d["code"] for d in json.loads(capsys.readouterr().out)] == found
    assert cli.main([*publish, *NOTICED, "--format", "sarif"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


@pytest.mark.parametrize("verb", ["plan", "diff", "image"])
def test_what_a_verb_prints_itself_stands_alone(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [verb, *NOTICED, "--format", "json", *(() if verb == "image" else ("-o", str(tmp_path)))]
    assert cli.main(words) in {0, 1}
    shown = capsys.readouterr()
    assert "FT259" not in shown.out
    assert isinstance(json.loads(shown.err.partition("\nbuild it")[0] or "[]"), list)


def test_what_was_found_is_printed_though_the_verb_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that fills up after the diagnostics were collected must not take them along."""
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a b: x}\n", encoding="utf-8"
    )

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftgen.cli.check.output.print_status", full)
    assert cli.main(["check", "--format", "json", str(tmp_path / "bad.yaml")]) == 1
    shown = capsys.readouterr()
    assert "FT383" in {d["code"] for d in json.loads(shown.out)}
    assert "No space left" in shown.err
