"""A sweep that was rendered before is compiled again exactly where something that makes it was touched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ftgen import batch, cli, project

OPTION = (project.conf_dir() / "model" / "qwen3-0.6b.yaml").read_text(encoding="utf-8")
PATCH = "kind: PodTemplate\ntemplate: {metadata: {annotations: {a: b}}}\n"
SWEEP = ["-m", "trainer.args.seed=range(0,24)", "model=mine"]


class Compiles:
    """Counts the jobs that are compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs = 0
        really = batch.compile_composition

        def counted(*args: object) -> object:
            self.jobs += 1
            return really(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(batch, "compile_composition", counted)

    def by(self, *words: str) -> int:
        before = self.jobs
        assert cli.main([*SWEEP, *words]) == 0
        return self.jobs - before


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiles:
    """In a folder with a model option of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/mine.yaml").write_text(OPTION, encoding="utf-8")
    return Compiles(monkeypatch)


def test_nothing_is_compiled_where_nothing_was_touched(compiled: Compiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled.by() == 24
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")}
    first = capsys.readouterr().err
    assert compiled.by() == 0
    again = capsys.readouterr().err
    assert again.splitlines()[-1] == first.splitlines()[-1].replace("25 added", "25 unchanged")
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")} == before


def test_warnings_are_told_again(compiled: Compiles, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["storage.workspace.size=1Gi"]
    assert compiled.by(*words) == 24
    first = [line for line in capsys.readouterr().err.splitlines() if "warning[" in line]
    assert first
    assert compiled.by(*words) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if "warning[" in line] == first
    assert cli.main([*SWEEP, *words, "--strict"]) == 1


def _edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "# touched\n", encoding="utf-8")


def _add(path: str, text: str = "") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


TOUCHES: dict[str, Callable[[], object]] = {
    "an option": lambda: _edit(Path("conf/model/mine.yaml")),
    "the time of an option alone": lambda: os.utime("conf/model/mine.yaml", ns=(1, 1)),
    "a new option": lambda: _add("conf/tracking/mine.yaml", "report_to: none\n"),
    "an overlay": lambda: _add("overlays/model/mine/a.yaml", PATCH),
    "a script": lambda: _add("conf/trainer/train.sh", "true\n"),
    "a manifest that is gone": lambda: next(Path("out").rglob("job-*.yaml")).unlink(),
    "an index that is gone": lambda: next(Path("out").rglob("*.ftgen-index")).unlink(),
    "what is remembered": lambda: [_edit(entry) for entry in Path("caches").rglob("*.json")],
    "all that is remembered": lambda: [entry.unlink() for entry in Path("caches").rglob("*.json")],
    "another sweep in the tree": lambda: cli.main(["-m", "trainer.lr=1e-4,2e-4", "+sweep.name=other"]),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_whatever_was_touched(touch: str, compiled: Compiles) -> None:
    assert compiled.by() == 24
    TOUCHES[touch]()
    assert compiled.by() == 24
    assert compiled.by() == 0


def test_a_manifest_that_was_edited_is_noticed(compiled: Compiles) -> None:
    assert compiled.by() == 24
    _edit(next(Path("out").rglob("job-*.yaml")))
    assert cli.main(SWEEP) == 1
    assert cli.main([*SWEEP, "--overwrite"]) == 0


@pytest.mark.parametrize("words", [["trainer.lr=1e-4"], ["-o", "elsewhere"], ["--csv"]])
def test_another_command_line_is_another_sweep(words: list[str], compiled: Compiles) -> None:
    assert compiled.by() == 24
    assert compiled.by(*words) == 24


def test_what_the_environment_says_is_asked_each_time(compiled: Compiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for queue in ("one", "two"):
        monkeypatch.setenv("QUEUE", queue)
        assert compiled.by("cluster.queue=${oc.env:QUEUE}") == 24
        assert f"queue: {queue}" in next(Path("out").rglob("job-*.yaml")).read_text(encoding="utf-8")
    _edit(Path("conf/model/mine.yaml"))
    option = OPTION.replace("revision: null", "revision: ${oc.env:QUEUE}")
    Path("conf/model/mine.yaml").write_text(option, encoding="utf-8")
    assert compiled.by() == compiled.by() == 24


def test_packs_of_overlays_are_looked_at_each_time(compiled: Compiles) -> None:
    _add("pack/model/mine/a.yaml", PATCH)
    assert compiled.by("overlays=[pack]") == compiled.by("overlays=[pack]") == 24


def test_it_does_without_a_place_to_remember(compiled: Compiles, monkeypatch: pytest.MonkeyPatch) -> None:
    _add("file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").resolve()))
    assert compiled.by() == compiled.by() == 24


def test_a_few_sweeps_are_remembered(compiled: Compiles) -> None:
    assert compiled.by() == 24
    (entry,) = Path("caches").rglob("*.json")
    assert json.loads(entry.read_text(encoding="utf-8"))["totals"]["jobs"] == 24
    for number in range(40):
        _add(str(entry.with_name(f"{number}.json")), "{}")
    assert compiled.by("trainer.lr=1e-4") == 24
    assert len(list(Path("caches").rglob("*.json"))) == 32
