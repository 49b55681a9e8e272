"""`--help` and its kin: complete, instant, on standard output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ftgen import __version__, cli, runtime
from ftgen.cli.arguments import VERBS
from ftgen.cli.help import GROUPS
from ftgen.config import catalog


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words) == 0
    return capsys.readouterr().out


def test_help_names_every_verb_group_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["--help"], capsys)
    assert all(f"  {verb} " in text for verb in VERBS)
    for group, options in catalog.groups([runtime.conf_dir()]).items():
        assert f"\n{group}\n" in text
        assert all(f"  {option} " in text for option in options)


def test_every_verb_is_in_one_group_of_at_most_seven() -> None:
    assert sorted(verb for verbs in GROUPS.values() for verb in verbs) == sorted(VERBS)
    assert all(len(verbs) <= 7 for verbs in GROUPS.values())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_own_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told([verb, "--help"], capsys)
    assert VERBS[verb] in text
    assert "--help, -h" in text
    assert all(len(line) <= 160 for line in text.splitlines())


def test_examples_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    told(["hardware=ascend", "trainer.lr=1e-4", "-o", "-"], capsys)
    told(["groups", "hardware", "--json"], capsys)
    told(["explain", "trainer.lr", "+experiment=qwen3-identity-vgpu"], capsys)


def test_hydra_help_says_what_hydra_s_flags_mean(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["--hydra-help"], capsys)
    for flag in (
        "--cfg",
        "--info",
        "--multirun",
        "--config-dir",
        "--config-path",
        "--config-name",
        "--shell-completion",
    ):
        assert flag in text


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(["--version"], capsys) == f"ftgen {__version__}\n"


def test_an_unknown_flag_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--ovewrite"]) == 2
    assert "did you mean --overwrite?" in capsys.readouterr().err


def test_check_loads_no_compiler_and_no_second_reader() -> None:
    folder = Path(__file__).parents[2] / "out"
    code = (
        f"import sys; from ftgen import cli; code = cli.main(['check', '-q', {str(folder)!r}]);"
        "print(code, {'hydra', 'omegaconf', 'ruamel.yaml', 'ftgen.lower.overlay'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 set()\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ftgen import cli; cli.main(['--help']);"
        "sys.exit(str({'hydra', 'pydantic', 'yaml'} & {*sys.modules} or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
