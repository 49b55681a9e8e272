"""The wheel in an environment of its own: everything that it needs is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, Installed

from ftgen import __version__, runtime
from ftgen.config import catalog


def test_it_is_the_wheels_ftgen_that_runs(installed: Installed, tmp_path: Path) -> None:
    where = installed.run("python", "-c", "import ftgen; print(ftgen.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(installed.folder))
    assert installed.run("ftgen", "--version", cwd=tmp_path).stdout == f"ftgen {__version__}\n"


def test_every_option_travels_with_it(installed: Installed, tmp_path: Path) -> None:
    shown = installed.run("ftgen", "groups", "--json", cwd=tmp_path).stdout
    assert all(
        f'"{option}"' in shown for options in catalog.groups([runtime.conf_dir()]).values() for option in options
    )


@pytest.mark.parametrize("words", [["hardware=ascend", "trainer.lr=1e-4"], ["plan", "-m", "trainer.lr=1e-4,2e-4"]])
def test_it_works_in_an_empty_folder(words: list[str], installed: Installed, tmp_path: Path) -> None:
    done = installed.run("ftgen", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_command_of_a_new_directory_works(installed: Installed, tmp_path: Path) -> None:
    said = installed.run("ftgen", "init", "mine", cwd=tmp_path).stderr
    steps = re.findall(r"^  (cd .*|ftgen.*)$", said.partition("next:")[2], re.MULTILINE)
    readme = re.findall(r"^\$ (.*)$", (tmp_path / "mine" / "README.md").read_text(), re.MULTILINE)
    assert len(steps) == 5
    assert readme[:3] == ["ftgen plan", "ftgen", "ftgen check out"]
    done = installed.shell("\n".join([*steps, *readme]), tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_command_of_the_page_works(installed: Installed, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "start.md").read_text()
    commands = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    assert commands[0] == "ftgen init"
    done = installed.shell("\n".join(commands), tmp_path)
    assert done.returncode == 0, done.stderr


def test_kubectl_finds_the_plug_in(installed: Installed, tmp_path: Path) -> None:
    done = installed.shell("kubectl ftgen --version", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"ftgen {__version__}\n")
    assert f"{installed.bin}/kubectl-ftgen" in installed.shell("kubectl plugin list", tmp_path).stdout
    done = installed.shell("kubectl ftgen hardware=ascend -o - && kubectl ftgen check out", tmp_path)
    assert "kind: Job" in done.stdout
    assert done.returncode == 1  # the exit code is ftgen's: there is no out


def test_the_plug_in_names_itself_in_its_help(installed: Installed, tmp_path: Path) -> None:
    shown = installed.shell("kubectl ftgen plan --help", tmp_path).stdout
    assert shown.startswith("kubectl ftgen plan [OVERRIDES] [FLAGS]\n")
    assert "\n  kubectl ftgen plan -m " in shown
    assert "kubectl" not in installed.shell("ftgen plan --help", tmp_path).stdout.partition("examples")[0]


@pytest.mark.parametrize(
    ("words", "offered", "directive"),
    [
        ("pl", ["plan"], 4),
        ("hardware=asc", None, 4),
        ("plan hardw", ["hardware.", "hardware="], 6),
        ("plan -m trainer.l", ["trainer.lr="], 6),
        ("--colo", ["--color"], 4),
        ("check ''", [], 0),
    ],
)
def test_kubectl_completes_its_words(
    words: str, offered: list[str] | None, directive: int, installed: Installed, tmp_path: Path
) -> None:
    """By kubectl's own completion, which asks `kubectl_complete-ftgen`."""
    *lines, last = installed.shell(f"kubectl __complete ftgen {words}", tmp_path).stdout.split("\n")[:-1]
    expected = [f"hardware={o}" for o in catalog.options([runtime.conf_dir()], "hardware") if o.startswith("asc")]
    assert [line for line in lines if line] == (expected if offered is None else offered)
    assert last == f":{directive}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("uvx", "--from", "{wheel}", "ftgen"),
        ("uvx", "--from", "{wheel}[data]", "ftgen"),
        ("pipx", "run", "--spec", "{wheel}", "ftgen"),
    ],
    ids=["uvx", "uvx-data", "pipx"],
)
def test_tools_that_install_it_of_their_own_accord(
    words: tuple[str, ...], installed: Installed, tmp_path: Path
) -> None:
    """With what it depends on from the package index, in a folder of its own, and no home but that."""
    command = " ".join(word.format(wheel=installed.wheel) for word in words)
    script = f"{command} --version && {command} hardware=ascend trainer.lr=1e-4"
    done = installed.shell(script, tmp_path, HOME=str(tmp_path / "home"), FTGEN_TRACEBACK="")
    assert done.returncode == 0, done.stderr
    assert f"ftgen {__version__}" in done.stdout
    assert list((tmp_path / "out").rglob("job-*.yaml"))


def test_the_root_holds_what_other_tools_look_for() -> None:
    assert all((ROOT / name).is_file() for name in ("action.yml", ".pre-commit-hooks.yaml", "Containerfile"))
    assert (ROOT / "templates" / "ftgen" / "template.yml").is_file()
