"""What is wrong in a point is located where its override stands: in the file that sweeps it, or on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftgen import cli


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, group: str = "sweep") -> None:
    file = Path("conf", group, "mine.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")


def blamed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main([*words]) == 1
    return [line.partition(": error")[0] for line in capsys.readouterr().err.splitlines() if ": error" in line]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("axes: {trainer.lr: [1.0e-4, -1]}\n", "1:29"),
        ("axes:\n  trainer.lr:\n  - 1.0e-4\n  - -1\n", "4:5"),
        ("axes:\n  trainer.lr: 1e-4,-1\n", "2:15"),
        ("axes:\n  trainer.lr: 1e-4,,2\n", "2:15"),
        ("axes: {trainer.epochs: [1, 2]}\nalso:\n- axes:\n    trainer.lr: [-1, 2.0e-4]\n", "4:18"),
        ("axes:\n  trainer.lrr: [1, 2]\n", "2:17"),
        ("axes:\n  trainer.args.template: [qwen3, qwen]\n", "2:34"),
        ("axes:\n  trainer.epochs: interval(1,2)\n", "2:19"),
        ("axes:\n  trainer.epochs: []\n", "2:19"),
        ("axes:\n  hardware: [full-gpu, full-gpuu]\nexclude: hardware.nodes == 7\n", "2:24"),
        ("axes:\n  sweep.shuffle: [1, 2]\n", "2:18"),
    ],
)
def test_a_value_of_a_file_that_sweeps(text: str, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(text)
    assert blamed(capsys, "-m", "name=mine", "+sweep=mine") == [f"conf/sweep/mine.yaml:{place}"]


def test_a_parameter_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    written("# @package _global_\nhydra:\n  sweeper:\n    params:\n      trainer.lr: -1,1e-4\n", "experiment")
    assert blamed(capsys, "-m", "name=mine", "+experiment=mine") == ["conf/experiment/mine.yaml:5:19"]


def test_a_swept_value_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert blamed(capsys, "-m", "name=mine", "+sweep.axes={trainer.lr:[1e-4,-1]}") == ["<command line>:2"]


def test_a_column_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert blamed(capsys, "compare", "sweep.shuffle=1", "hardware=full-gpuu,ascend") == ["<command line>:2"]
