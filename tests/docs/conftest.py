"""A machine for the commands of a page: a folder of one's own, a home, git servers and a cluster, all of them made."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.gitops.repositories import git, home
from tests.status.clusters import FakeKubectl

from ftgen import cli

__all__ = ["git", "home"]

DATA = Path(__file__).parent / "data"
NAMESPACE = "kubeflow-admin-cpaas-io"
SERVER = "https://git.example.com/team/"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote to the terminal."""

    code: int
    text: str


@pytest.fixture
def ftgen() -> Callable[..., Said]:
    """`ftgen(words)`: run the command line in this process; both streams are one terminal."""

    def run(words: list[str]) -> Said:
        terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with redirect_stdout(terminal), redirect_stderr(terminal):
            code = cli.main(words)
        return Said(code, terminal.buffer.getvalue().decode())  # type: ignore[attr-defined]

    return run


@pytest.fixture
def machine(tmp_path: Path, home: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's working directory: a git repository, with the files of `data/` that pages take as given.

    `~/clusters` is a GitOps repository, `https://git.example.com/team/…` a server, and kubectl has a cluster.
    """
    for path in DATA.rglob("*"):
        if path.is_file():
            place = tmp_path / path.relative_to(DATA)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    (home / ".gitconfig").write_text(
        f'[user]\n\tname = Ada\n\temail = ada@example.com\n[url "file://{tmp_path}/servers/"]\n\tinsteadOf = {SERVER}\n'
    )
    for folder in (tmp_path / "work", home / "clusters", tmp_path / "servers" / "data.git"):
        _repository(folder, git)
    git(tmp_path / "servers" / "data.git", "tag", "v2")
    git(tmp_path, "clone", "--quiet", "--bare", str(home / "clusters"), str(tmp_path / "servers" / "clusters.git"))
    _cluster(FakeKubectl(tmp_path / "bin", NAMESPACE), monkeypatch)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def _repository(folder: Path, git: Callable[..., str]) -> None:
    """Commit a folder, empty or not, to the branch main of a new repository."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "begin")


def _cluster(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give kubectl a cluster with a queue, and a quota of four cards."""
    kubectl.at("queues", items=[{"metadata": {"name": "default"}, "spec": {}, "status": {"state": "Open"}}])
    quota = {"metadata": {"name": "cards", "namespace": NAMESPACE}, "spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}
    kubectl.answer("/api/v1/resourcequotas", items=[quota])
    kubectl.answer("/api/v1/limitranges", items=[])
    kubectl.answer("/apis/scheduling.k8s.io/v1/priorityclasses", items=[])
    monkeypatch.setenv("PATH", kubectl.path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
