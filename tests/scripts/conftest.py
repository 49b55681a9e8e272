"""Servers and pods for the tests of the container scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .gitserver import TOKEN, USER, Forge, certificate, serve
from .pod import Pod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def forge(tmp_path: Path, keys: tuple[Path, Path]) -> Iterator[Forge]:
    root = tmp_path / "forge"
    root.mkdir()
    forge, server = serve(root, keys)
    yield forge
    server.shutdown()
    server.server_close()


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "pod-0", tmp_path / "volume", {"GIT_USER": USER, "GIT_TOKEN": TOKEN, "JOB_NAME": "sft-1"})
