"""Progress on a real terminal and in a log, and where none belongs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.terminal import FTGEN, on_terminal

from ftgen import cli
from ftgen.cli import progress
from ftgen.cli.arguments import Arguments, parse
from ftgen.cli.progress import Meter, duration

SWEEP = ["-m", "trainer.lr=range(1,241)"]
BAR = re.compile(r"\r\x1b\[K(\w+ \[#* *\] [\d,]+/[\d,]+ (?:jobs|files), [\d,.]+/s, [\dms]+ left)")
SOON = progress._Display(0.0, 0.0, live=False)
# The same program, which draws at once: how much takes a second depends on the machine.
EAGER = [
    sys.executable,
    "-c",
    (
        "import sys; from ftgen import cli; from ftgen.cli import progress;"
        " progress._LINE = progress._Display(0.0, 0.0, live=True); sys.exit(cli.program())"
    ),
]


def after_erasing(shown: str) -> str:
    """What is left on the terminal's lines: a carriage return and an erasure take away what stood there."""
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in shown.split("\n"))


def arguments(*words: str) -> Arguments:
    return parse(list(words))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("sweep")
    code, shown = on_terminal([*EAGER, *SWEEP], place)
    assert code == 0, shown
    return place, shown


def test_a_sweep_shows_a_bar_with_rate_and_remaining_time(swept: tuple[Path, str]) -> None:
    assert len(BAR.findall(swept[1])) > 2
    assert "compiling [" not in after_erasing(swept[1])
    assert "(242 added)" in swept[1]


def test_a_plan_leaves_no_bar_above_its_table(tmp_path: Path) -> None:
    """The table goes to standard output, which knows nothing of the line on standard error."""
    code, shown = on_terminal([*EAGER, "plan", *SWEEP], tmp_path)
    assert code == 0
    assert BAR.search(shown)
    assert "compiling [" not in after_erasing(shown)


def test_a_check_of_many_files_shows_one_too(tmp_path: Path) -> None:
    for number in range(500):
        text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}, namespace: a}}\ndata: {{a: b}}\n"
        (tmp_path / f"c{number}.yaml").write_text(text)
    code, shown = on_terminal([*EAGER, "check", "."], tmp_path)
    assert code == 0, shown
    assert [line for line in BAR.findall(shown) if line.startswith(("checking", "reading"))]
    assert "files, " not in after_erasing(shown).partition("500 files")[0]


@pytest.mark.parametrize("flags", [["--quiet"], ["--format", "json"]])
def test_none_where_it_is_not_wanted(flags: list[str], swept: tuple[Path, str]) -> None:
    code, shown = on_terminal([*EAGER, *SWEEP, *flags, "-o", "again"], swept[0])
    assert code == 0
    assert "\r\x1b[K" not in shown


def test_a_terminal_without_cursor_control_gets_lines(tmp_path: Path) -> None:
    _, shown = on_terminal([*EAGER, "-m", "trainer.lr=range(1,61)"], tmp_path, env={"TERM": "dumb"})
    assert "\x1b" not in shown


def test_waiting_for_a_cluster_says_for_what_and_how_long(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nsleep 2.2\necho 'The connection to the server was refused' >&2\nexit 1\n")
    program.chmod(0o755)
    code, shown = on_terminal([FTGEN, "facts"], tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert code == 1
    assert "reading the cluster's nodes, queues and quotas (1s)" in shown
    assert "quotas (" not in after_erasing(shown)


def test_the_steps_of_a_slow_push_are_told(tmp_path: Path) -> None:
    """The server takes its time in a hook of its own."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "server.git"], cwd=tmp_path, check=True)
    hook = tmp_path / "server.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nsleep 2.2\n")
    hook.chmod(0o755)
    words = [
        "publish",
        "--repo",
        f"file://{tmp_path}/server.git",
        "--branch",
        "main",
        "--path",
        "jobs",
        "--allow-dirty",
    ]
    code, shown = on_terminal([FTGEN, *words], tmp_path)
    assert code == 0, shown
    assert "updating main (" in shown
    assert "updating main (" not in after_erasing(shown)


def test_a_log_gets_plain_lines(
    swept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(swept[0])
    monkeypatch.setattr(progress, "_LOG", SOON)
    assert cli.main(["check", "out"]) == 0
    told = capsys.readouterr().err
    assert re.search(r"^ftgen: checking \[#+ *\] \d+/\d+ files, [\d,.]+/s, \d+s left$", told, re.MULTILINE)
    assert "\x1b" not in told


def test_rows_of_a_data_set_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LOG", SOON)
    rows = "".join(f'{{"instruction": "count to {n}", "input": "", "output": "{n}"}}\n' for n in range(2500))
    (tmp_path / "rows.jsonl").write_text(rows)
    cli.main(["data", str(tmp_path / "rows.jsonl")])
    assert re.findall(r"^ftgen: reading: ([\d,]+) rows, [\d,]+/s$", capsys.readouterr().err, re.MULTILINE) == [
        "1,000",
        "2,000",
    ]


def test_ten_seconds_pass_before_a_log_gets_its_first_line() -> None:
    assert (progress._LOG.delay, progress._LOG.interval) == (10, 10)
    assert progress._LINE.delay == 1


def test_the_words() -> None:
    meter = Meter("checking", "files", arguments("check"), 5000)
    meter(1250)
    assert meter.text(5.0) == f"checking [{'#' * 6}{' ' * 18}] 1,250/5,000 files, 250/s, 15s left"
    assert Meter("reading", "rows", arguments("data")).text(3.0) == "reading: 0 rows, 0.0/s"
    assert [duration(seconds) for seconds in (0.4, 59.6, 125, 3790)] == ["0s", "1m00s", "2m05s", "1h03m"]
    empty = Meter("checking", "files", arguments("check"), 0)
    assert "0/0" in empty.text(0.0)
