"""What a clone, a file or a word brings cannot control the terminal, whatever verb shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.terminal import FTGEN, on_terminal

from ftgen import cli, runtime
from ftgen.tuning import Study, Trial, TrialState

ESCAPE = "\x1b[31m"


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with control characters in values and comments, and a study with some in its metric."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_LINE", "ftgen hardware=")
    Path("conf/hardware").mkdir(parents=True)
    Path("conf/hardware/odd.yaml").write_text(f"# An {ESCAPE}odd option.\nvendor: x\n")
    primary = (runtime.conf_dir() / "config.yaml").read_text(encoding="utf-8")
    Path("conf/config.yaml").write_text(primary + 'zzz: "a\\e[31mb"\nhardware: {env: {A: "x\\e[31my"}}\n')
    trials = (Trial(0, {}, "a\x1b[2Jb", TrialState.COMPLETE, 0.5),)
    study = Study("lr", f"lo{ESCAPE}ss", "minimize", "tpe", 0, (), (f"name={ESCAPE}",), {}, 4, 2, trials=trials)
    Path("out/lr").mkdir(parents=True)
    Path(f"out/{study.path}").write_bytes(study.dump())
    Path("d.jsonl").write_text(json.dumps({"instruction": ESCAPE, "input": "", "output": ESCAPE}))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["groups"],
        ["groups", "hardware"],
        ["--help"],
        ["explain", "hardware.env.A"],
        ["explain", "zzz"],
        ["explain", "hardware", "hardware=odd"],
        ["-sc", "query=zsh"],
        ["--cfg", "job"],
        ["--info", "config"],
        ["plan", "-m", f"hardware.env.A='x{ESCAPE}',b"],
        ["plan", "--json"],
        ["-o", "-"],
        ["preview"],
        ["preview", "--all"],
        ["tune", "lr", "--show"],
        ["tune", "lr", "--show", "--json"],
        ["tune", f"x{ESCAPE}"],
        ["data", "d.jsonl"],
        ["check", f"a{ESCAPE}.yaml"],
        ["diff", f"a{ESCAPE}.yaml"],
        ["rebuild", f"a{ESCAPE}.yaml"],
        [f"--x{ESCAPE}"],
        ["-cn", f"x{ESCAPE}"],
        [f"name={ESCAPE}"],
        ["-o", f"o{ESCAPE}"],
        ["gc", "-o", f"o{ESCAPE}"],
        ["stop", f"x{ESCAPE}"],
        ["serve", f"x{ESCAPE}"],
    ],
    ids=lambda words: " ".join(words).replace(ESCAPE, "ESC"),
)
def test_nothing_that_is_shown_controls_the_terminal(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) in {0, 1, 2}
    said = capsys.readouterr()
    assert said.out + said.err
    assert "\x1b" not in said.out
    assert "\x1b" not in said.err


def test_a_bare_value_is_what_a_script_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--cfg", "job", "-p", "zzz"]) == 0
    assert capsys.readouterr().out == f"a{ESCAPE}b\n"


def test_a_bare_value_on_a_terminal_is_escaped(clone: Path) -> None:
    code, shown = on_terminal([FTGEN, "--cfg", "job", "-p", "zzz"], clone)
    assert (code, shown.strip()) == (0, "a\\x1b[31mb")


def test_no_line_of_a_log_is_a_command_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub Actions takes a line that begins with `::error` for a finding, also where a text of others began it."""
    monkeypatch.chdir(tmp_path)
    spoof = "a\n::error file=x,line=1::spoofed"
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": spoof}, "spec": {spoof: 1}}
    Path("nl").mkdir()
    Path("nl", spoof.replace("/", "") + ".yaml").write_text(json.dumps(job), encoding="utf-8")
    Path("old.json").write_text(json.dumps({**job, "spec": {}}), encoding="utf-8")
    Path("new.json").write_text(json.dumps({**job, "kind": spoof, "spec": {spoof: {spoof: spoof}}}), encoding="utf-8")
    for words in (["check", "nl"], ["check", "new.json"], ["diff", "old.json", "new.json"]):
        cli.main(words)
        out, err = capsys.readouterr()
        assert "spoofed" in out + err
        assert not [line for line in (out + err).split("\n") if line.lstrip().startswith(("::", "##["))], words


def test_no_completion_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("zz$(touch${IFS}pwn)", "zz`id`", "zz;id", f"zz{ESCAPE}", "zz\nid", "zz-plain")
    for place in ("conf/model", *(f"conf/{name}" for name in names)):
        Path(place).mkdir(parents=True)
        for name in names:
            Path(place, f"{name}.yaml").write_text("# odd\n", encoding="utf-8")
    for line, found in (("ftgen model=zz", "model=zz-plain"), ("ftgen zz", "zz-plain=")):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        for shell, separator in (("bash", " "), ("zsh", "\n")):
            assert cli.main(["-sc", f"query={shell}"]) == 0
            assert capsys.readouterr().out.strip().split(separator) == [found]
