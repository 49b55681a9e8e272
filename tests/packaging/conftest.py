"""ftgen's wheel, installed into an environment that has nothing else of it, without the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel.

    Attributes:
        wheel: the wheel.
        folder: the environment's folder.
    """

    wheel: Path
    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a shell in which the environment's programs come first, then those of the tests."""
        path = os.pathsep.join([str(self.bin), *(p for p in os.environ["PATH"].split(os.pathsep) if p)])
        return {**os.environ, "PATH": path, "FTGEN_TRACEBACK": "1"}

    def run(self, *words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        return subprocess.run(
            [self.bin / words[0], *words[1:]],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**self.environment, **env},
        )

    def shell(self, script: str, cwd: Path, *, shell: str = "bash", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a script in which `ftgen` is the installed one, as a pipeline runs it."""
        return subprocess.run(
            [shell, "-e", *(("-o", "pipefail") if shell == "bash" else ()), "-c", script],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**self.environment, **env},
        )


def pip(*words: str | Path) -> None:
    """Run pip of the tests' environment, without the network."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def environment(folder: Path) -> Path:
    """Make an environment that finds what ftgen depends on in the tests' own, and not their ftgen."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    place = next(folder.glob("lib/python*/site-packages"))
    (place / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("installed")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, ROOT)
    (wheel,) = place.glob("*.whl")
    folder = environment(place / "venv")
    pip("--python", folder / "bin" / "python", "install", "--no-deps", wheel)
    return Installed(wheel, folder)


@pytest.fixture(scope="session")
def _rendered(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rendered") / "repository"
    assert installed.run("ftgen", "init", "repository", "--ci", "none", cwd=place.parent).returncode == 0
    assert installed.run("ftgen", cwd=place).returncode == 0
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Render"]):
        subprocess.run([*git, *words], cwd=place, check=True)
    return place


@pytest.fixture
def rendered(_rendered: Path, tmp_path: Path) -> Path:
    """A small repository with a configuration and what it renders to."""
    return Path(shutil.copytree(_rendered, tmp_path / "repository", symlinks=True))
