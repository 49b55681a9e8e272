"""Git that knows nobody and nothing of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home of the test's own."""
    place = tmp_path / "home"
    place.mkdir()
    for name in list(os.environ):
        if name.startswith("GIT_") or name in {"EMAIL", "FTGEN_TRACEBACK"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return place


@pytest.fixture
def git(home) -> Callable[..., str]:
    """`git(folder, *arguments)`: what a git command prints there."""

    def run(folder: Path, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        line = ["git", *identity, "-C", str(folder), *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    return run
