"""A sweep of 200 jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftgen import api

from .facts import SIMULATED_NODES
from .kubectl import wait_until_none
from .programs import CONTROLLERS, SCHEDULER
from .site import CLAIMS, Site
from .trees import Tree

pytestmark = pytest.mark.cluster

JOBS = 200


@pytest.fixture(scope="module")
def tree(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    made = Tree(site.kubectl, site.namespace("sweep"), tmp_path_factory.mktemp("sweep"))
    words = ("hardware=cpu", "storage=nfs", f"cluster.namespace={made.namespace}", f"cluster.queue={site.queue}")
    seeds = f"+trainer.args.seed=range(1,{JOBS + 1})"
    sweep = api.sweep((*words, seeds, "+sweep.name=seeds"), directory=tmp_path_factory.mktemp("empty"))
    sweep.write(made.folder)
    site.claim(made.namespace, *CLAIMS)
    yield made
    site.remove(made.namespace)


def test_every_job_is_created(tree: Tree) -> None:
    assert set(tree.apply().values()) == {"created"}
    assert len(tree.phases()) == JOBS


def test_a_second_apply_creates_and_changes_nothing(tree: Tree) -> None:
    assert set(tree.apply().values()) == {"unchanged"}
    assert tree.differences() == []


@pytest.mark.needs(CONTROLLERS, SCHEDULER, SIMULATED_NODES)
def test_every_job_completes(tree: Tree) -> None:
    wait_until_none(tree.unfinished, seconds=600)
