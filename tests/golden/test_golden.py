"""Selection to bytes: every option of every group, and hardware, trainers, storage and nodes in pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations

import pytest
from tools.options import GROUPS

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request

from .cases import CASES, EXPECTED, FILES, ONE_NODE_ONLY, WITHOUT_CACHE, expected, path, written
from .placeholders import pinned


@pytest.fixture(scope="module")
def rendered() -> Callable[[str], str]:
    """Render a case, once."""
    composer = Composer(Request(config_path=runtime.conf_dir()))
    return cache(lambda case: pinned(pipeline.compile_job(composer, CASES[case].overrides)))


@pytest.mark.parametrize("file", FILES)
def test_golden(file: str, rendered: Callable[[str], str], *, update_golden: bool) -> None:
    fresh = written(file, rendered)
    if update_golden:
        path(file).parent.mkdir(parents=True, exist_ok=True)
        path(file).write_text(fresh, encoding="utf-8")
    assert fresh == path(file).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_the_expected_manifest_is_read_back(case: str, rendered: Callable[[str], str]) -> None:
    assert expected(case) == rendered(case)


def test_no_golden_is_left_over() -> None:
    """A golden whose option is gone would never be looked at again."""
    assert {file for file in EXPECTED.rglob("*") if file.is_file()} == {path(file) for file in FILES}


def test_hardware_trainers_storage_and_nodes_meet_in_pairs() -> None:
    met = {pair for case in CASES.values() for pair in combinations(sorted(case.overrides), 2)}
    groups = {group: [f"{group}={option}" for option in GROUPS[group]] for group in ("hardware", "trainer", "storage")}
    groups["nodes"] = ["hardware.nodes=1", "hardware.nodes=2"]
    apart = {(choice, "hardware.nodes=2") for choice in ONE_NODE_ONLY}
    apart |= {(f"trainer={option}", "storage=model-cache") for option in WITHOUT_CACHE}
    for one, other in combinations(groups, 2):
        if {one, other} != {"hardware", "storage"}:
            pairs = {(a, b) for a in groups[one] for b in groups[other]} - apart
            assert {tuple(sorted(pair)) for pair in pairs} <= met
