"""Studies in real git repositories, and functions in place of trainings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.gitops.repositories import git, home

from ftgen import cli

__all__ = ["git", "home"]

SPACE = ("trainer.lr=tag(log, interval(1e-5,1e-2))", "trainer.args.lora_rank=choice(8,16,32)")


def loss(params: Mapping[str, Any]) -> float:
    """A bowl in the logarithm of the learning rate, with a bottom of its own for each rank; at least 0."""
    offset = {"8": 0.4, "16": 0.0, "32": 0.2}[params.get("trainer.args.lora_rank", "16")]
    return (math.log10(params["trainer.lr"]) + 3.3) ** 2 + offset


@dataclass
class Tree:
    """A study's tree in a bare repository, on a branch `main`."""

    bare: Path
    git: Callable[..., str]
    capsys: pytest.CaptureFixture[str]

    @property
    def at(self) -> tuple[str, ...]:
        return ("--repo", str(self.bare), "--branch", "main", "--path", "jobs")

    def ftgen(self, *words: str) -> tuple[int, str, str]:
        """Run a verb on the tree; return its exit code, standard output and standard error."""
        self.capsys.readouterr()
        code = cli.main([words[0], *self.at, *words[1:]])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def tune(self, *words: str) -> tuple[int, str, str]:
        return self.ftgen("tune", *words)

    def study(self, name: str = "lr") -> dict[str, Any]:
        return json.loads(self.git(self.bare, "show", f"main:jobs/{name}/{name}.ftgen-study"))

    def trials(self, name: str = "lr") -> list[dict[str, Any]]:
        return self.study(name)["trials"]

    def files(self) -> list[str]:
        return self.git(self.bare, "ls-tree", "-r", "--name-only", "main").splitlines()

    def show(self, path: str) -> str:
        return self.git(self.bare, "show", f"main:{path}") + "\n"

    @property
    def commits(self) -> int:
        return int(self.git(self.bare, "rev-list", "--count", "main"))


@pytest.fixture
def tree(tmp_path, git, capsys, monkeypatch) -> Tree:
    bare = tmp_path / "server.git"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Tree(bare, git, capsys)


def results(trials: list[dict[str, Any]], function: Callable[[Mapping[str, Any]], float] = loss) -> str:
    """What trainings would say at their end, a line each."""
    lines = [
        json.dumps({"run": trial["run"], "value": function(trial["params"])}) for trial in trials if "run" in trial
    ]
    return "".join(f"{line}\n" for line in lines)
