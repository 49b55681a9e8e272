"""A folder with a run that was rendered, and the command that serves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.gitops.conftest import bare
from tests.gitops.repositories import git, home

from ftgen import cli
from ftgen.text import yamlio

__all__ = ["bare", "git", "home"]

URL = "https://aml-gitlab.alaudatech.net/team/result"
Render = Callable[..., None]
Serve = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def render(capsys: pytest.CaptureFixture[str]) -> Render:
    """Render a run whose result goes to a repository."""

    def run(*words: str) -> None:
        assert cli.main([f"model.output_url={URL}", "-q", *words]) == 0, capsys.readouterr().err

    return run


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str]) -> Serve:
    """Serve a run, and return the objects by kind."""

    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert cli.main(["serve", *words, "-o", "-"]) == 0, capsys.readouterr().err
        return {each["kind"]: each for each in yamlio.parse_all(capsys.readouterr().out, "")}

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Serve a run that is refused, and return what is said; nothing may be written."""

    def run(*words: str) -> str:
        before = sorted(Path().rglob("*"))
        capsys.readouterr()
        assert cli.main(["serve", *words]) == 1
        assert sorted(Path().rglob("*")) == before
        said = capsys.readouterr()
        return said.out or said.err

    return run
