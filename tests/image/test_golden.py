"""Selection to Dockerfile: every hardware option with LLaMA-Factory, bases with a command, trackers, other trainers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.difference import difference
from tests.image.dockerfile import CASES, REFUSED, asked

EXPECTED = Path(__file__).with_name("expected")
DEFAULT = "full-gpu"


def _path(case: str) -> Path:
    form = "Dockerfile" if case == DEFAULT else "txt" if case in REFUSED else "diff"
    return EXPECTED / f"{case}.{form}"


def _written(case: str) -> str:
    """Return the default's recipe, the difference of another from it, or why there is none; and what is told of it."""
    code, text, told = asked(*CASES[case])
    assert (code == 1) is (case in REFUSED)
    if case == DEFAULT:
        return text
    return told if case in REFUSED else f"{told}\n{difference(asked(*CASES[DEFAULT])[1], text)}"


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, *, update_golden: bool) -> None:
    fresh = _written(case)
    if update_golden:
        EXPECTED.mkdir(exist_ok=True)
        _path(case).write_text(fresh, encoding="utf-8")
    assert fresh == _path(case).read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    assert set(EXPECTED.iterdir()) == {_path(case) for case in CASES}
