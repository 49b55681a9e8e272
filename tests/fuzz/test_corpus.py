"""Inputs that once broke something, one file each: every one ends as a command may end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.case import load
from tests.fuzz.run import Box

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_broke_once(file: Path, tmp_path: Path) -> None:
    case = load(file.read_text(encoding="utf-8"))
    verdict = Box(tmp_path).run(case)
    assert not verdict.finding, verdict.told
    assert case.code in {None, verdict.code}, verdict.err


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 20
