"""`.pre-commit-hooks.yaml`, run by pre-commit itself from a clone of this repository."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml
from tests.packaging.conftest import ROOT, Installed

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository as it lies here, as a commit of its own."""
    place = tmp_path_factory.mktemp("clone")
    names = ("pyproject.toml", "README.md", ".pre-commit-hooks.yaml", "src", "conf", "overlays", "schemas")
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *words], cwd=place, check=True)
    return place


def test_each_hook_has_what_pre_commit_requires() -> None:
    assert [hook["id"] for hook in HOOKS] == ["ftgen-check", "ftgen-drift"]
    for hook in HOOKS:
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["entry"].startswith("ftgen ")


def test_pre_commit_runs_them(installed: Installed, rendered: Path, clone: Path, tmp_path: Path) -> None:
    """It builds and installs the clone; what that needs is taken from the tests' environment, not from an index."""
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the other way round
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
    }
    run = f"pre-commit try-repo --all-files --verbose {clone}"
    done = installed.shell(run, rendered, **offline)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == len(HOOKS)
    assert "0 errors" in done.stdout

    config = rendered / "conf" / "config.yaml"
    config.write_text(config.read_text() + "\nname: other\n")
    done = installed.shell(f"{run} ftgen-drift", rendered, **offline)
    assert done.returncode == 1
    assert "+ Job default/other" in done.stdout
