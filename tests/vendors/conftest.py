"""Rendering from the packaged configuration, and from a folder of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftgen import pipeline
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.pipeline import Compiled

Render = Callable[..., Compiled]
Refuse = Callable[..., tuple[Diagnostic, ...]]
Write = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(Request(directory=tmp_path_factory.mktemp("empty")))


@pytest.fixture
def render(shared: Composer) -> Render:
    """Render from the packaged configuration."""
    return lambda *overrides: pipeline.compile_job(shared, overrides)


@pytest.fixture
def refuse(shared: Composer) -> Refuse:
    """What a command line is refused with."""

    def refused(*overrides: str) -> tuple[Diagnostic, ...]:
        with pytest.raises(Rejected) as rejected:
            pipeline.compile_job(shared, overrides)
        return rejected.value.diagnostics

    return refused


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the user's own."""

    def written(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return written


@pytest.fixture
def render_here(tmp_path: Path) -> Render:
    """Render from a working directory with files of its own."""
    return lambda *overrides: pipeline.compile_job(Composer(Request(directory=tmp_path)), overrides)


@pytest.fixture
def refuse_here(render_here: Render) -> Refuse:
    """What a command line is refused with in a working directory with files of its own."""

    def refused(*overrides: str) -> tuple[Diagnostic, ...]:
        with pytest.raises(Rejected) as rejected:
            render_here(*overrides)
        return rejected.value.diagnostics

    return refused


@pytest.fixture
def pod() -> Callable[[Compiled], dict[str, Any]]:
    """The pod of a job's one task."""

    def spec(job: Compiled) -> dict[str, Any]:
        found: dict[str, Any] = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]
        return found

    return spec


@pytest.fixture
def codes() -> Callable[[Compiled], set[str]]:
    """Codes of what was noticed about a job."""
    return lambda job: {d.code for d in job.diagnostics}
