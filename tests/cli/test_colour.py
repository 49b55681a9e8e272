"""Colour by the usual conventions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.terminal import FTGEN, on_terminal

from ftgen import cli
from ftgen.cli.streams import coloured

RED = "\x1b[1;31merror[FT103]\x1b[0m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "choice", "on_a_terminal", "in_a_file"),
    [
        ({}, "auto", True, False),
        ({}, "always", True, True),
        ({}, "never", False, False),
        ({"NO_COLOR": "1"}, "auto", False, False),
        ({"NO_COLOR": ""}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", True, True),
        ({"FORCE_COLOR": "1"}, "auto", True, True),
        ({"FORCE_COLOR": ""}, "auto", True, False),
        ({"CLICOLOR_FORCE": "1"}, "auto", True, True),
        ({"CLICOLOR_FORCE": "0"}, "auto", True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", False, False),
        ({"FORCE_COLOR": "1"}, "never", False, False),
        ({"CLICOLOR": "0"}, "auto", False, False),
        ({"CLICOLOR": "1"}, "auto", True, False),
        ({"TERM": "dumb"}, "auto", False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, "auto", True, True),
    ],
)
def test_the_conventions(
    environment: dict[str, str], choice: str, on_a_terminal: bool, in_a_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (coloured(Terminal(), choice), coloured(io.StringIO(), choice)) == (on_a_terminal, in_a_file)


def test_a_terminal(tmp_path: Path) -> None:
    assert RED in on_terminal([FTGEN, "hardware.nodes=0"], tmp_path)[1]
    assert "\x1b[1;31" not in on_terminal([FTGEN, "hardware.nodes=0"], tmp_path, env={"NO_COLOR": "1"})[1]
    assert "\x1b[1;31" not in on_terminal([FTGEN, "hardware.nodes=0", "--color", "never"], tmp_path)[1]


def test_every_verb_that_colours_heeds_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    colours = ["--color", "always"]
    assert cli.main(["plan", *colours]) == 0
    assert capsys.readouterr().out.count("\x1b[32mnew\x1b[0m") == 1
    assert cli.main([]) == 0
    assert cli.main(["diff", "trainer.lr=1e-5", *colours]) == 1
    assert "\x1b[33m~ Job" in capsys.readouterr().out
    job = next(Path("out").rglob("job-*.yaml"))
    job.write_text(job.read_text().replace("learning_rate: 0.0002", "learning_rate: 0.1"))
    assert cli.main(["rebuild", str(job), *colours]) == 1
    assert "\x1b[33m" in capsys.readouterr().out
    assert cli.main(["plan", "hardware.nodes=0", *colours]) == 1
    assert RED in capsys.readouterr().err
    assert cli.main(["check", "out", *colours]) == 0
    assert "\x1b[1;36mnote[" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_what_programs_read_is_never_coloured(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["hardware.nodes=0", "--format", form, "--color", "always"]) == 1
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
