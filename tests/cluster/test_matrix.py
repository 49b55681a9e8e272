"""Hardware by storage, on one node and on two.

What ftgen renders is accepted, means the same to the server, and changes nothing when it is applied again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tools.options import GROUPS, chosen

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected, Severity

from .facts import SIMULATED_NODES
from .kubectl import wait_until_none
from .programs import CONTROLLERS, SCHEDULER
from .site import CLAIMS, Site
from .trees import Tree

pytestmark = pytest.mark.cluster

REFUSED = {"rbd": "FT255"}
"""Storage that two nodes cannot share, and the code of the refusal."""


@pytest.fixture(scope="module", params=list(GROUPS["storage"]))
def tree(
    request: pytest.FixtureRequest, site: Site, composer: Composer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tree]:
    """All hardware with one storage, in a namespace of its own because storage options create claims of one name."""
    storage: str = request.param
    made = Tree(site.kubectl, site.namespace(storage), tmp_path_factory.mktemp(storage))
    for hardware in GROUPS["hardware"]:
        for nodes in (1, 2):
            made.write(rendered(composer, made.namespace, hardware, storage, nodes))
    created = {each["metadata"]["name"] for each in made.objects if each["kind"] == "PersistentVolumeClaim"}
    site.claim(made.namespace, *sorted(CLAIMS - created))
    yield made
    site.remove(made.namespace)


def rendered(composer: Composer, namespace: str, hardware: str, storage: str, nodes: int) -> dict[str, bytes]:
    """Render a combination; nothing where it is refused for its one good reason."""
    words = [*chosen("hardware", hardware), *chosen("storage", storage), f"hardware.nodes={nodes}"]
    try:
        return dict(pipeline.compile_job(composer, [*words, f"cluster.namespace={namespace}"]).files)
    except Rejected as rejected:
        if (nodes, errors(rejected)) != (2, {REFUSED.get(storage)}):
            raise
        return {}


def errors(rejected: Rejected) -> set[str]:
    return {each.code for each in rejected.diagnostics if each.severity is Severity.ERROR}


def test_every_object_is_accepted(tree: Tree) -> None:
    assert set(tree.apply().values()) == {"created"}
    assert len(tree.phases()) == len(tree.jobs) > 0


def test_nothing_is_added_changed_or_lost(tree: Tree) -> None:
    assert tree.differences() == []


def test_a_second_apply_changes_nothing(tree: Tree) -> None:
    assert {name: did for name, did in tree.apply().items() if did != "unchanged"} == {}


def test_diff_is_empty(tree: Tree) -> None:
    answer = tree.diff()
    assert (answer.code, answer.out) == (0, ""), answer.err


def test_applying_by_the_server_changes_nothing(tree: Tree) -> None:
    for _twice in range(2):
        assert set(tree.apply("--server-side").values()) == {"serverside-applied"}
    assert tree.differences() == []


@pytest.mark.needs(CONTROLLERS, SCHEDULER, SIMULATED_NODES)
def test_every_job_completes(tree: Tree) -> None:
    wait_until_none(tree.unfinished, seconds=300)
    assert tree.differences() == []
