"""Pages that several tests look at, each written once."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest
from tests.page.pages import SMALL, THOUSAND, written


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of four jobs."""
    with chdir(tmp_path_factory.mktemp("small")):
        return written("plan", *SMALL, "--lang", "en")


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of a thousand jobs."""
    with chdir(tmp_path_factory.mktemp("thousand")):
        return written("plan", *THOUSAND, "--lang", "en")
