"""`--json` of rendering and publishing: one document of what was done, or the errors alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli
from ftgen.output.tree import FileChange

CHANGES = {str(change) for change in FileChange}
BOTH = {"jobs", "totals", "changes", "adopted", "renamed", "diagnostics"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str, status: int = 0) -> Any:
        assert cli.main([*words, "--json"]) == status
        said = capsys.readouterr()
        assert said.err == ""
        return json.loads(said.out)

    return run


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for words in (
        ["init", "-q", "-b", "main", str(folder)],
        ["-C", str(folder), "config", "user.name", "A"],
        ["-C", str(folder), "config", "user.email", "a@example.com"],
        ["-C", str(folder), "commit", "-q", "--allow-empty", "-m", "begin"],
    ):
        subprocess.run(["git", *words], check=True)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml"))


def test_a_render_tells_what_became_of_each_file(run: Any) -> None:
    first = run("hardware=ascend")
    assert first.keys() == BOTH | {"out"}
    assert first["changes"].keys() == CHANGES
    assert first["changes"]["added"] == files(Path("out"))
    assert first["out"] == "out"
    (job,) = first["jobs"]
    assert job["file"] in first["changes"]["added"]
    assert job["job"] in job["file"]
    assert first["totals"]["pods"] == 1
    again = run("hardware=ascend")["changes"]
    assert again["unchanged"] == first["changes"]["added"]
    assert not again["added"]
    other = run("hardware=ascend", "trainer.lr=1e-5")
    assert other["changes"]["added"] == [other["jobs"][0]["file"]]
    assert other["changes"]["removed"] == [job["file"]]


def test_a_sweep_lists_its_jobs(run: Any) -> None:
    done = run("-m", "trainer.lr=1e-4,2e-4")
    assert [job["swept"] for job in done["jobs"]] == [{"trainer.lr": "0.0001"}, {"trainer.lr": "0.0002"}]
    assert done["totals"]["jobs"] == 2
    assert {job["file"] for job in done["jobs"]} <= set(done["changes"]["added"])


def test_what_is_rendered_is_what_plan_tells(run: Any) -> None:
    planned = run("plan", "-m", "trainer.lr=1e-4,2e-4")
    done = run("-m", "trainer.lr=1e-4,2e-4")
    assert done["jobs"] == [{k: v for k, v in job.items() if k != "status"} for job in planned["jobs"]]
    assert done["totals"] == planned["totals"]


def test_what_was_run_again_is_named_as_the_tree_names_it(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "trainer.lr=1e-4,2e-4", "name=ab"]
    first, _ = (job["job"] for job in run(*words)["jobs"])
    assert cli.main(["archive", first, "-q"]) == cli.main(["rerun", first, "-q"]) == 0
    capsys.readouterr()
    planned, done = run("plan", *words)["jobs"], run(*words)
    assert (planned[0]["job"], planned[0]["status"]) == (f"{first}-r2", "unchanged")
    assert done["jobs"] == [{key: value for key, value in job.items() if key != "status"} for job in planned]
    assert json.loads(Path("out/ab/ab.ftgen-index").read_text())["jobs"] == done["jobs"]
    assert all(Path("out", job["file"]).is_file() for job in done["jobs"])
    assert run("rebuild")["same"]


def test_a_run_that_has_ended_is_planned_as_kept(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run("name=aa")
    assert cli.main(["stop", "aa", "-q"]) == cli.main(["stop", "aa", "-q"]) == 0
    capsys.readouterr()
    assert [job["status"] for job in json.loads(said(capsys, "plan", "name=aa", "--json"))["jobs"]] == ["kept"]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def test_diagnostics_are_in_the_document(run: Any) -> None:
    (told,) = run("-m", "hydra/launcher=basic", "trainer.lr=1e-4,2e-4")["diagnostics"]
    assert (told["code"], told["severity"]) == ("FT037", "note")


def test_errors_are_an_array_of_diagnostics_and_nothing_is_written(run: Any) -> None:
    (told,) = run("trainer.lrr=1", status=1)
    assert told["code"] == "FT012"
    assert told["locations"] == [{"file": "<command line>", "line": 1, "column": 0}]
    assert not Path("out").exists()


def test_a_publication_tells_commit_branch_and_push(run: Any, repository: Path) -> None:
    words = ["publish", "--repo", str(repository), "--branch", "main", "--path", "jobs", "hardware=ascend"]
    done = run(*words)
    assert done.keys() == BOTH | {"repository", "branch", "path", "result", "commit", "pushed", "remote", "new_branch"}
    tip = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "main"], capture_output=True, text=True, check=True
    )
    assert done["commit"] == tip.stdout.strip()
    assert (done["result"], done["pushed"], done["branch"], done["path"]) == ("committed", False, "main", "jobs")
    assert done["changes"]["added"] == sorted(done["changes"]["added"]) != []
    again = run(*words)
    assert (again["result"], again["commit"], again["changes"]["added"]) == ("unchanged", done["commit"], [])


def test_a_publication_to_an_address_is_pushed(run: Any, repository: Path) -> None:
    bare = repository.parent / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(repository), str(bare)], check=True)
    done = run("publish", "--repo", f"file://{bare}", "--branch", "runs", "--push", "--allow-dirty", "hardware=ascend")
    assert (done["result"], done["pushed"], done["new_branch"]) == ("pushed", True, True)
    assert done["remote"] == f"file://{bare}"


@pytest.mark.parametrize("words", [["-o", "-"], ["--format", "sarif"], ["--format", "github"]])
def test_what_does_not_go_with_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--json", *words]) == 2
    assert "--json" in capsys.readouterr().err


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(("value", "told"), [("inf", ".inf"), ("-inf", "-.inf"), ("nan", ".nan")])
def test_numbers_that_json_lacks_are_texts(value: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "common.x", f"++common.x={value}", "--json"]) == 0
    explained = json.loads(capsys.readouterr().out, parse_constant=refuse_constant)
    assert explained["value"] == told
    for name, number in (("a", "1"), ("b", told)):
        Path(f"{name}.yaml").write_text(
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{x: {number}}}\n"
        )
    assert cli.main(["diff", "a.yaml", "b.yaml", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out, parse_constant=refuse_constant)
    assert found["fields"][0]["new"] == told
