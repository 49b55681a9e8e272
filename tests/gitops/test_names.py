"""The words that select runs of a tree: one run's alone, whatever its delivery; what is ambiguous is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftgen import cli


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(*words: str) -> int:
    return cli.main([*words, "-q"])


def states() -> dict[str, str]:
    files = json.loads(Path("out/ftgen.lock").read_text(encoding="utf-8"))["files"]
    return {entry["run"]: entry["state"] for path, entry in files.items() if "/job-" in path}


@pytest.mark.parametrize("verb", ["archive", "stop"])
@pytest.mark.parametrize("named", ["one", "one/job-one.yaml"])
def test_of_jobs_that_the_api_server_names_one_is_selected(verb, named):
    for name in ("one", "two"):
        assert done("delivery=kubectl", f"name={name}") == 0
    assert done("-m", "delivery=kubectl", "name=sweep", "trainer.lr=1e-4,2e-4") == 0
    assert done(verb, named) == 0
    assert [run for run, state in states().items() if state != "active"] == ["one"]


def test_what_belongs_to_no_run_selects_none(capsys):
    assert done("-m", "delivery=kubectl", "name=sweep", "trainer.lr=1e-4,2e-4") == 0
    assert done("stop", "sweep/sweep.ftgen-index") == 1
    assert "one of: sweep/lr1e-4, sweep/lr2e-4" in capsys.readouterr().err
    assert set(states().values()) == {"active"}


@pytest.mark.parametrize("delivery", ["argocd", "kubectl"])
def test_a_label_selects_its_point(delivery, capsys):
    assert done("-m", f"delivery={delivery}", "name=a", "trainer.lr=1e-4,2e-4") == 0
    assert done("archive", "lr2e-4") == 0
    assert states() == {"a/lr1e-4": "active", "a/lr2e-4": "archived"}
    assert done("-m", f"delivery={delivery}", "name=b", "trainer.lr=1e-4,2e-4") == 0
    capsys.readouterr()
    assert done("stop", "lr1e-4") == 1
    said = capsys.readouterr().err
    assert "lr1e-4 is the label of several runs" in said
    assert "one of: a/lr1e-4, b/lr1e-4" in said
    assert done("stop", "b/lr1e-4") == 0
    assert states()["a/lr1e-4"] == "active"


def test_one_that_is_being_stopped_is_named(capsys):
    assert done("delivery=kubectl", "name=one") == 0
    assert done("stop", "one") == 0
    assert done("archive", "one") == 1
    assert "one is being stopped" in capsys.readouterr().err


def test_a_service_is_served_anew_by_its_name(capsys):
    assert done("model.output_url=https://git.example.com/team/result") == 0
    assert done("serve", "sft-qwen3-0-6b") == 0
    assert done("serve", "service/sft-qwen3-0-6b", "serving.replicas=3") == 0
    (file,) = Path("out").rglob("deployment-*.yaml")
    assert "replicas: 3" in file.read_text(encoding="utf-8")
    assert done("serve", "*") == 0
    assert done("serve", "nowhere") == 1
    assert "nowhere is no committed run" in capsys.readouterr().err
