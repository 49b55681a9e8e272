"""Runs to render and trees to look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gitops.runs import make_run

__all__ = ["make_run"]


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, with its content; links as what they point to."""

    def take(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    return take
