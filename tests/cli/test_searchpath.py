"""`hydra.searchpath`: further places of options, after all others, as in Hydra."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftgen import cli, runtime

OPTION = (runtime.conf_dir() / "model" / "qwen3-0.6b.yaml").read_text(encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of options beside the working directory, with an option of its own and one that is packaged, too."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    options = tmp_path / "pack" / "conf" / "model"
    options.mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").write_text("", encoding="utf-8")
    for name in ("mine", "qwen3-8b"):
        (options / f"{name}.yaml").write_text(OPTION.replace("name: Qwen3-0.6B", "name: Mine"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return options.parent


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main([*words, "--cfg", "job", "-p", "model.name"]) == 0, capsys.readouterr()
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("said", ["file://{place}", "{place}", "pkg://pack.conf", "pkg://pack/conf", "../pack/conf"])
def test_it_is_said_on_the_command_line(said: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"hydra.searchpath=[{said.format(place=place)}]"
    assert shown(capsys, path, "model=mine") == "Mine"
    # It is appended, so that it shadows nothing; --config-dir does.
    assert shown(capsys, path, "model=qwen3-8b") == "Qwen3-8B"
    assert shown(capsys, "model=qwen3-8b", "-cd", str(place)) == "Mine"


def test_it_is_said_in_the_primary_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    primary = (runtime.conf_dir() / "config.yaml").read_text(encoding="utf-8")
    Path("conf").mkdir()
    Path("conf/config.yaml").write_text(f"{primary}\nhydra:\n  searchpath: [pkg://pack.conf]\n", encoding="utf-8")
    assert shown(capsys, "model=mine") == "Mine"
    assert cli.main(["groups", "model"]) == 0
    assert "\n  mine " in capsys.readouterr().out
    # The command line overrules it.
    assert cli.main(["hydra.searchpath=[]", "model=mine", "-o", "-"]) == 1


def test_a_manifest_remembers_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([f"hydra.searchpath=[{place}]", "model=mine", "-q"]) == 0
    (job,) = Path("out").rglob("job-*.yaml")
    assert cli.main(["rebuild", str(job)]) == 0
    number = next(n for n, text in enumerate(job.read_text().split("\n"), 1) if "value: /mnt/models/Qwen3" in text)
    assert cli.main(["explain", f"{job}:{number}"]) == 1, "a manifest chooses no folder to read"
    assert cli.main(["explain", f"{job}:{number}", "--config-dir", str(place)]) == 0
    assert "model.url" in capsys.readouterr().out


def test_an_option_cannot_say_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("conf/experiment/mine.yaml")
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\nhydra:\n  searchpath: [pkg://pack.conf]\n", encoding="utf-8")
    assert cli.main(["plan", "+experiment=mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("conf/experiment/mine.yaml:3:")
    assert "error[FT012]: experiment/mine.yaml sets hydra.searchpath, which only the primary file may" in said
    # What the help says.
    file.write_text("# @package _global_\njob: {restarts: 1}\n", encoding="utf-8")
    assert cli.main(["plan", "+experiment=mine", "hydra.searchpath=[pkg://pack.conf]"]) == 0


@pytest.mark.parametrize(
    "said",
    [
        "+hydra={{searchpath:[{place}]}}",
        "++hydra={{searchpath:[file://{place}],verbose:true}}",
        "hydra={{searchpath:[]}}",
        "+hydra.searchpath.0={place}",
        "~hydra.searchpath",
    ],
)
def test_another_form_of_it_would_be_passed_over(said: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said.format(place=place)
    assert cli.main(["plan", said]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"<command line>:1: error[FT012]: {said} comes too late: options are found by ")
    assert "help: write hydra.searchpath=[…]" in err
    assert cli.main(["plan", "+hydra={verbose:true}"]) == 0


def test_it_cannot_be_swept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", f"hydra.searchpath=[{place}],[{place}]"]) == 1
    assert capsys.readouterr().err.startswith("<command line>:1: error[FT016]: ")
