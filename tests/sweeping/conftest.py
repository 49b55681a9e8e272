"""A composer over the packaged configuration, with a group of sweeps beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftgen import runtime, sweeping
from ftgen.config.compose import Composer, Request
from ftgen.sweeping import Sweep


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder whose options are found before the packaged ones."""
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


def composer_with(folder: Path) -> Composer:
    return Composer(Request(config_path=runtime.conf_dir(), config_dirs=(folder,)))


def overrides(expanded: Sweep) -> list[tuple[str, ...]]:
    return [point.overrides for point in expanded.points]


def labels(composer: Composer, *words: str, limit: int = sweeping.LIMIT) -> list[str]:
    return [point.label for point in sweeping.expand(composer, words, limit=limit).points]
