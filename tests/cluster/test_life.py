"""The life of a run.

Publish, a new run, priority, archive, stop, rerun, gc. A reconciler's part is played with kubectl, for Argo CD and for
Flux; no job may be created twice, and none deleted but by `stop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.acceptance.conftest import Said, at, ftgen, git, home, server, source, tree

from .reconciler import Reconciler
from .site import Site
from .trees import JOB

__all__ = ["at", "ftgen", "git", "home", "server", "source", "tree"]

pytestmark = pytest.mark.cluster


@pytest.fixture(params=["argocd", "flux"])
def reconciler(request: pytest.FixtureRequest, site: Site, namespace: str) -> Reconciler:
    return Reconciler(request.param, site.kubectl, namespace)


@pytest.fixture
def priority(site: Site) -> Iterator[str]:
    name = f"ftgen-high-{site.suffix}"
    site.create("scheduling.k8s.io/v1", "PriorityClass", name, value=1000)
    yield name
    site.kubectl("delete", "priorityclass", name)


def only(names: set[str]) -> str:
    (name,) = names
    return name


def test_a_run_lives_through_every_step(
    ftgen: Callable[..., Said],
    at: tuple[str, ...],
    tree: Callable[[], dict[str, str]],
    reconciler: Reconciler,
    priority: str,
) -> None:
    created: dict[str, str] = {}

    def step(*words: str) -> None:
        said = ftgen(*words, *at)
        assert said.code == 0, said.err
        for _again in range(2):
            reconciler.sync(tree())
            for name, uid in reconciler.jobs.items():
                assert created.setdefault(name, uid) == uid

    def publish(*words: str) -> None:
        where = (
            f"cluster.namespace={reconciler.namespace}",
            f"delivery={reconciler.name}",
            "storage=nfs",
            "hardware=cpu",
        )
        step("publish", *where, *words)

    def live_priority(name: str) -> str | None:
        job = reconciler.kubectl.find(JOB, name, "--namespace", reconciler.namespace)
        assert job is not None
        found: str | None = job["spec"].get("priorityClassName")
        return found

    publish()
    first = only(set(reconciler.jobs))

    publish(f"cluster.priority_class={priority}")
    assert set(reconciler.jobs) == {first}
    # Flux creates a job once; Argo CD brings the change to the one that runs.
    assert (live_priority(first) == priority) is (reconciler.name == "argocd")

    publish("trainer.lr=3e-4", f"cluster.priority_class={priority}", "--new-run")
    second = only(set(reconciler.jobs) - {first})

    step("archive", first)
    assert set(reconciler.jobs) == {first, second}
    reconciler.kubectl("delete", JOB, first, "--namespace", reconciler.namespace)
    step("gc")
    assert set(reconciler.jobs) == {second}

    step("rerun", first)
    again = f"{first}-r2"
    assert set(reconciler.jobs) == {second, again}

    step("stop", second)
    assert set(reconciler.jobs) == {second, again}
    step("stop", second)
    assert set(reconciler.jobs) == {again}

    step("archive", again)
    step("stop", first)
    step("stop", again)
    assert [path for path in tree() if "/job-" in path] == []
    assert set(reconciler.jobs) == {again}


def test_the_index_is_no_manifest(
    ftgen: Callable[..., Said], at: tuple[str, ...], server: Path, reconciler: Reconciler, git: Callable[..., str]
) -> None:
    words = (f"cluster.namespace={reconciler.namespace}", f"delivery={reconciler.name}", "storage=nfs", "hardware=cpu")
    assert ftgen("publish", *at, *words).code == 0
    git(server.parent, "clone", "--quiet", str(server), "clone")
    folder = server.parent / "clone" / "training"
    assert (folder / "ftgen.lock").is_file()
    lines = reconciler.kubectl("apply", "--recursive", "-f", str(folder))
    assert {line.rpartition(" ")[2] for line in lines} == {"created"}
    assert len(lines) == len(list(folder.rglob("*.yaml")))
