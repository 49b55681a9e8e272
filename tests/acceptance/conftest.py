"""The installed command line in scratch git repositories, and a cluster that answers as Volcano's would."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ftgen import yamlio
from ftgen.rules.admission import admit_create, admit_update, mutate
from ftgen.rules.defaults import structural

FTGEN = Path(sys.executable).with_name("ftgen")
PATH = "training"
VOLCANO = (1, 12, 2)


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Git knows nobody and nothing of this machine."""
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


@dataclass
class Cluster:
    """A cluster with Argo CD or Flux in it, as far as jobs and claims go.

    Follows what the reconcilers do with their annotations, and Volcano's webhooks on create and update.
    """

    reconciler: str
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    inventory: set[str] = field(default_factory=set)

    def sync(self, files: Mapping[str, str]) -> None:
        """Bring the cluster to what git says, pruning what is no longer there."""
        desired = dict(_identified(files))
        for name, manifest in desired.items():
            if not self._is_skipped(manifest):
                self._apply(name, manifest)
        self._prune({name for name in self.inventory if name not in desired and name in self.objects})
        self.inventory = set(desired)

    def finish(self, name: str) -> None:
        """The job has ended, and somebody has cleaned it up."""
        del self.objects[next(key for key in self.objects if key.endswith(f"/{name}"))]

    def job(self, name: str) -> dict[str, Any]:
        """A live job."""
        return next(live for key, live in self.objects.items() if key.endswith(f"/{name}"))

    @property
    def jobs(self) -> list[str]:
        """The names of the live jobs."""
        return sorted(key.rpartition("/")[2] for key in self.objects if "Job" in key)

    def _is_skipped(self, manifest: dict[str, Any]) -> bool:
        annotations = _annotations(manifest)
        if self.reconciler == "argocd":
            return annotations.get("argocd.argoproj.io/hook") == "Skip"
        return annotations.get("kustomize.toolkit.fluxcd.io/ssa") == "Ignore"

    def _apply(self, name: str, manifest: dict[str, Any]) -> None:
        live = self.objects.get(name)
        if live is None:
            problems = admit_create(manifest, volcano_version=VOLCANO) if "Job" in name else []
            self._take(name, problems, mutate(manifest, volcano_version=VOLCANO) if "Job" in name else manifest)
            self.created.append(name)
        elif _annotations(manifest).get("kustomize.toolkit.fluxcd.io/ssa") != "IfNotPresent":
            # A merge patch: lists are replaced as a whole, so what a webhook had added in them is taken back.
            patched = _merge(live, manifest)
            problems = admit_update(live, patched, volcano_version=VOLCANO) if "Job" in name else []
            self._take(name, problems, structural(patched, volcano_version=VOLCANO) if "Job" in name else patched)

    def _take(self, name: str, problems: list[Any], stored: dict[str, Any]) -> None:
        self.denied += [f"{name}: {problem.headline}" for problem in problems]
        if not problems:
            self.objects[name] = copy.deepcopy(stored)

    def _prune(self, gone: set[str]) -> None:
        """Guards are read from the live object, whatever git said last."""
        for name in sorted(gone):
            annotations = _annotations(self.objects[name])
            guard = annotations.get("argocd.argoproj.io/sync-options", "").split(",")
            if "Prune=false" in guard or annotations.get("kustomize.toolkit.fluxcd.io/prune") == "disabled":
                continue
            del self.objects[name]
            self.deleted.append(name)


@pytest.fixture
def make_cluster() -> Callable[[str], Cluster]:
    """`make_cluster(reconciler)`: an empty one."""
    return Cluster


def _identified(files: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    manifests = [
        yamlio.parse(text, path)
        for path, text in files.items()
        if path.endswith(".yaml") and not path.startswith("_delivery/")
    ]
    return [(f"{m['kind']}/{m['metadata'].get('namespace', '')}/{m['metadata']['name']}", m) for m in manifests]


def _annotations(manifest: dict[str, Any]) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _merge(live: Any, wanted: Any) -> Any:
    """Spec fields as a JSON merge patch lays them on the live object; metadata maps are the author's whole."""
    merged = {**live, "spec": {**live["spec"], **wanted["spec"]}, "metadata": wanted["metadata"]}
    dropped = {"priorityClassName"} - wanted["spec"].keys()
    merged["spec"] = {key: value for key, value in merged["spec"].items() if key not in dropped}
    return merged
