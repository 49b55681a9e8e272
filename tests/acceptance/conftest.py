"""The installed command line in scratch git repositories."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.gitops.cluster import Cluster
from tests.gitops.repositories import git, home

__all__ = ["git", "home"]

FTGEN = Path(sys.executable).with_name("ftgen")
PATH = "training"


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def server(tmp_path, git) -> Path:
    """The GitOps repository as its server holds it, with a commit of somebody else's."""
    bare, seed = tmp_path / "server.git", tmp_path / "seed"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    git(tmp_path, "clone", "--quiet", str(bare), str(seed))
    git(seed, "checkout", "--quiet", "-b", "main")
    (seed / "README.md").write_text("clusters\n")
    (seed / "clusters").mkdir()
    (seed / "clusters" / "app.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "clusters")
    git(seed, "push", "--quiet", "origin", "main")
    return bare


@pytest.fixture
def source(tmp_path, git) -> Path:
    """The user's configuration: a repository of its own, committed."""
    place = tmp_path / "source"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    option = place / "conf" / "cluster"
    option.mkdir(parents=True)
    (option / "lab.yaml").write_text("# The lab's cluster.\ndefaults: [alauda]\nnamespace: lab\n")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "Use the lab's cluster")
    return place


@pytest.fixture
def ftgen(source) -> Callable[..., Said]:
    """`ftgen(*words)`: run the installed command in the user's configuration."""

    def run(*words: str, cwd: Path = source, env: Mapping[str, str] | None = None) -> Said:
        line = [str(FTGEN), *words]
        done = subprocess.run(
            line, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
        )
        assert done.returncode in {0, 1, 2}, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def at(server) -> tuple[str, ...]:
    """The flags that name the tree on the server."""
    return ("--repo", f"file://{server}", "--branch", "main", "--path", PATH)


@pytest.fixture
def tree(server, git) -> Callable[[], dict[str, str]]:
    """`tree()`: every published file, by its path below the tree's folder."""

    def read() -> dict[str, str]:
        listed = git(server, "ls-tree", "-r", "--name-only", "main", f"{PATH}/").splitlines()
        return {path.removeprefix(f"{PATH}/"): f"{git(server, 'show', f'main:{path}')}\n" for path in listed}

    return read


@pytest.fixture
def make_cluster() -> Callable[[str], Cluster]:
    """`make_cluster(reconciler)`: an empty one."""
    return Cluster
