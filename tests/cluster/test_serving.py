"""What serves a result.

A Deployment and an InferenceService are accepted and keep what ftgen wrote; a second apply changes nothing; another
revision rolls in place, and what is deleted comes back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftgen import runtime
from ftgen.config.compose import Composer, Request
from ftgen.pipeline import Workspace
from ftgen.pipeline.serving import TrainedRun, compile_service

from .facts import SIMULATED_NODES
from .kubectl import wait_for
from .site import CLAIMS, Site
from .trees import Tree

pytestmark = pytest.mark.cluster

HARDWARE = ("nvidia-vgpu", "full-gpu", "nvidia-mig", "nvidia-vgpu-volcano", "ascend", "ascend-a3")
STORAGE = ("topolvm", "nfs", "emptydir")
RUN = TrainedRun("sft-1a2b3c4d", ())
FOREVER = '- {pod: ".*", seconds: -1}\n'


@pytest.fixture(scope="module")
def tree(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Services by hardware and storage, both kinds."""
    made = Tree(site.kubectl, site.namespace("serving"), tmp_path_factory.mktemp("serving"))
    for hardware in HARDWARE:
        for storage in STORAGE:
            for kind in ("deployment", "kserve"):
                name = f"{hardware}-{storage}-{kind[0]}"[-28:].lstrip("-")
                words = (f"hardware={hardware}", f"storage={storage}", f"serving={kind}", f"serving.name=s{name}")
                made.write(rendered(made.namespace, *words))
    site.claim(made.namespace, *sorted(CLAIMS))
    yield made
    site.remove(made.namespace)


def rendered(namespace: str, *words: str) -> dict[str, bytes]:
    composer = Composer(Request(config_path=runtime.conf_dir(), config_name="serve"))
    chosen = (*words, f"cluster.namespace={namespace}", "model.output_url=https://git.example.com/team/result")
    return dict(compile_service(composer, RUN, chosen, Workspace(composer)).files)


def test_every_object_is_accepted(tree: Tree) -> None:
    assert set(tree.apply().values()) == {"created"}


def test_nothing_is_changed_or_lost(tree: Tree) -> None:
    assert tree.differences() == []


def test_a_second_apply_changes_nothing(tree: Tree) -> None:
    assert {name: did for name, did in tree.apply().items() if did != "unchanged"} == {}
    answer = tree.diff()
    assert (answer.code, answer.out) == (0, ""), answer.err


def test_applying_by_the_server_changes_nothing(tree: Tree) -> None:
    for _twice in range(2):
        assert set(tree.apply("--server-side").values()) == {"serverside-applied"}
    assert tree.differences() == []


@pytest.mark.needs(SIMULATED_NODES)
def test_a_revision_rolls_in_place_and_what_is_deleted_comes_back(
    site: Site, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site.create("v1", "ConfigMap", "simulation", namespace, data={"rules": FOREVER})
    tree = Tree(site.kubectl, namespace, tmp_path_factory.mktemp("rolling"))
    words = ("storage=nfs", "hardware=full-gpu", "serving.name=answers")

    def ready() -> str:
        """Return the revision whose pods are all ready; empty while they are not."""
        live = site.kubectl.find("deployments.apps", "answers", "--namespace", namespace) or {}
        status, wanted = live.get("status", {}), live.get("spec", {}).get("replicas")
        whole = status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == wanted
        seen = status.get("observedGeneration") == live.get("metadata", {}).get("generation")
        revision = live.get("metadata", {}).get("annotations", {}).get("deployment.kubernetes.io/revision", "")
        return str(revision) if whole and seen else ""

    def run(name: str) -> dict[str, bytes]:
        return rendered(namespace, *words, "serving.replicas=2", f"serving.revision={name}")

    tree.write(run("sft-1a2b3c4d"))
    tree.apply()
    assert wait_for("the pods are ready", ready, seconds=120) == "1"
    tree.write(run("sft-9f8e7d6c"))
    done = tree.apply()
    assert done["deployment.apps/answers"] == "configured"
    assert {did for name, did in done.items() if "deployment" not in name} == {"unchanged"}
    wait_for("the new pods are ready", lambda: ready() == "2", seconds=120)
    pods = site.kubectl.items("pods", "--namespace", namespace)
    told = [pod["spec"]["containers"][0]["env"][0]["value"] for pod in pods if pod["status"]["phase"] == "Running"]
    assert len(told) == 2
    assert all("sft-9f8e7d6c" in text for text in told)
    site.kubectl("delete", "pods", "--all", "--wait=false", "--namespace", namespace)
    wait_for("the pods come back", lambda: ready() == "2", seconds=120)
