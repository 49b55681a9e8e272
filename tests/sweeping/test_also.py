"""`sweep.also`: several sweeps as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ftgen import cli, sweeping
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected

ALSO = "+sweep.also=[{axes:{hardware:[ascend,full-gpu],trainer.epochs:[1,2]}}]"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def points(*words: str) -> list[tuple[str, ...]]:
    return [point.overrides for point in sweeping.expand(Composer(Request(words)), words).points]


def test_the_points_of_each_follow_one_another() -> None:
    first = points("trainer.lr=1e-4,2e-4")
    second = points("hardware=ascend,full-gpu", "trainer.epochs=1,2")
    assert points("trainer.lr=1e-4,2e-4", ALSO) == [*first, *second]


def test_without_axes_of_its_own_the_sweep_is_what_also_lists() -> None:
    assert points(ALSO) == points("hardware=ascend,full-gpu", "trainer.epochs=1,2")


def test_what_the_command_line_sets_holds_for_all_and_replaces_an_axis() -> None:
    found = points("trainer.lr=1e-4,2e-4", "trainer.epochs=5", "storage=nfs", ALSO)
    assert found == [
        *(
            ("trainer.lr=0.0001", "trainer.epochs=5", "storage=nfs"),
            ("trainer.lr=0.0002", "trainer.epochs=5", "storage=nfs"),
        ),
        *(
            ("hardware=ascend", "trainer.epochs=5", "storage=nfs"),
            ("hardware=full-gpu", "trainer.epochs=5", "storage=nfs"),
        ),
    ]


def test_a_point_of_two_sweeps_is_one() -> None:
    also = "+sweep.also=[{axes:{trainer.lr:[2e-4,3e-4]}},{axes:{trainer.lr:[3e-4]}}]"
    assert points("trainer.lr=1e-4,2e-4", also) == points("trainer.lr=1e-4,2e-4,3e-4")


def test_each_has_its_own_pairs_and_conditions_and_those_of_all_hold_for_each() -> None:
    also = (
        "+sweep.also=[{axes:{trainer.epochs:[1,2],trainer.args.lora_rank:[8,16]},zip:[trainer.epochs,trainer.args.lora_rank]},"
        "{axes:{trainer.epochs:[1,2,3]},exclude:'trainer.epochs == 2'}]"
    )
    found = points("trainer.lr=1e-4,2e-4", also, "+sweep.exclude='trainer.epochs == 3 or trainer.lr == 1e-4'")
    assert found == [
        ("trainer.lr=0.0002",),
        ("trainer.epochs=1", "trainer.args.lora_rank=8"),
        ("trainer.epochs=2", "trainer.args.lora_rank=16"),
        ("trainer.epochs=1",),
    ]


def test_sample_shuffle_and_limit_are_of_the_whole() -> None:
    words = ("trainer.lr=1e-4,2e-4", ALSO)
    assert set(points(*words, "+sweep.sample=3")) < set(points(*words))
    assert sorted(points(*words, "+sweep.shuffle=1")) == sorted(points(*words))
    with pytest.raises(Rejected) as rejected:
        sweeping.expand(Composer(Request(words)), words, limit=5)
    assert rejected.value.diagnostics[0].headline == "the sweep has 6 points, and 5 are allowed"


@pytest.mark.parametrize(
    ("also", "headline"),
    [
        ("x", "must be a list of sweeps, each a mapping with axes, not 'x'"),
        ("[{axes:{}}]", "must be a list of sweeps, each a mapping with axes"),
        ("[{axes:{name:[a]},sample:2}]", "each with axes, zip, exclude, include and no sample"),
        ("[{axes:{name:[a]},also:[]}]", "each with axes, zip, exclude, include and no also"),
        ("[{axes:{name:[a]},zip:[name,trainer.lr]}]", "sweep.zip pairs trainer.lr, which is not swept"),
        ("[{axes:{hydra.mode:[a]}}]", "sweep.axes sets hydra.mode"),
        ("[{axes:{name:3}}]", "must be a mapping of keys to lists of values"),
    ],
)
def test_what_is_no_sweep(also: str, headline: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,2e-4", f"+sweep.also={also}"]) == 1
    assert headline in capsys.readouterr().err


def names(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert cli.main(["-m", "--json", *words]) == 0
    return [job["job"] for job in json.loads(capsys.readouterr().out)["jobs"]]


def test_a_sweep_in_a_file_has_one_folder_and_index(capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/sweep").mkdir(parents=True)
    text = "axes: {trainer.lr: [1.0e-4]}\nalso:\n- axes: {hardware: [ascend], trainer.lr: 'range(1,3)'}\n"
    Path("conf/sweep/two.yaml").write_text(text, encoding="utf-8")
    found = names(["+sweep=two"], capsys)
    assert [name.rpartition("-")[0] for name in found] == ["two-lr1e-4", "two-ascend-lr1", "two-ascend-lr2"]
    index = json.loads(Path("out/two/two.ftgen-index").read_text(encoding="utf-8"))
    assert [job["job"] for job in index["jobs"]] == found
    for job in index["jobs"]:
        assert cli.main(["rebuild", f"out/{job['file']}"]) == 0
