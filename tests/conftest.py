"""What every group of tests shares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Examples are judged by what they show, not by how long a busy machine takes.
settings.register_profile("ftgen", deadline=None, derandomize=True)
settings.load_profile("ftgen")

# What pytest-xdist says of its own terminal is no width of ours.
os.environ.pop("COLUMNS", None)

# Programs that came with the tests' own packages, kubectl among them, are found before those of the machine.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the expected manifests anew")


@pytest.fixture(autouse=True, scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What ftgen notes of interrupted writes is nobody else's."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
