"""The shape of a job: a master and its workers with each launcher, groups of nodes, and how near they are placed."""

from __future__ import annotations

from typing import Any

import pytest
from tools.options import chosen

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.review import preview
from ftgen.schema.version import version_of

NODES = ("hardware=full-gpu", "storage=nfs", "hardware.nodes=3")
MASTER = (*NODES, "hardware.topology=master-worker")
COMMAND = ("trainer=command", "trainer.command=[run,a b]", "model=none", "dataset=none")
NEWEST = ("cluster.volcano_version=newest",)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def job(composer: Composer, *words: str) -> dict[str, Any]:
    return pipeline.compile_job(composer, words).bundle.job


def spec(composer: Composer, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = job(composer, *words)["spec"]
    return found


def container(task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = task["template"]["spec"]["containers"][0]
    return found


# ---- master and workers ----------------------------------------------------------------------------


def test_the_master_is_a_task_of_its_own_and_ends_the_job(composer: Composer) -> None:
    body = spec(composer, *MASTER)
    master, worker = body["tasks"]
    assert [(t["name"], t["replicas"], t["minAvailable"]) for t in (master, worker)] == [
        ("master", 1, 1),
        ("worker", 2, 2),
    ]
    assert body["minAvailable"] == 3
    assert master["policies"] == [{"event": "TaskCompleted", "action": "CompleteJob"}]
    assert "policies" not in worker
    assert not any("dependsOn" in task for task in body["tasks"])
    assert master["template"] == worker["template"]
    assert body["policies"] == spec(composer, *NODES)["policies"]


def test_flat_is_what_it_was(composer: Composer) -> None:
    assert job(composer, *NODES) == job(composer, *NODES, "hardware.topology=flat") | {
        "metadata": job(composer, *NODES)["metadata"]
    }
    [task] = spec(composer, *MASTER, "hardware.nodes=1")["tasks"]
    assert (task["name"], task["replicas"]) == ("train", 1)


@pytest.mark.parametrize(
    ("launcher", "own"),
    [
        ("pytorch", {"pytorch": ["--master=master", "--worker=worker", "--port=29500"]}),
        (
            "mpi",
            {
                "mpi": ["--master=master", "--worker=worker", "--port=2222"],
                "ssh": ["--ssh-key-file-path=/etc/ftgen/ssh", "--ssh-port=2222"],
            },
        ),
        ("ray", {}),
    ],
)
def test_each_launcher_has_its_plugins(composer: Composer, launcher: str, own: dict[str, Any]) -> None:
    found = spec(composer, *MASTER, *COMMAND, f"trainer.launcher={launcher}")["plugins"]
    assert found == {"env": [], "svc": ["--publish-not-ready-addresses=true"], **own}


def test_the_port_of_the_network_is_the_plugins(composer: Composer) -> None:
    assert "--port=12345" in spec(composer, *MASTER, "network.master_port=12345")["plugins"]["pytorch"]


@pytest.mark.parametrize(
    ("launcher", "words"),
    [("pytorch", []), ("mpi", ["/bin/bash", "/opt/ftgen/mpi.sh"]), ("ray", ["/bin/bash", "/opt/ftgen/ray.sh"])],
)
def test_the_command_is_started_by_scripts_that_are_there(composer: Composer, launcher: str, words: list[str]) -> None:
    compiled = pipeline.compile_job(composer, [*MASTER, *COMMAND, f"trainer.launcher={launcher}", "delivery=kubectl"])
    [config_map] = [each for each in compiled.bundle.objects if each["kind"] == "ConfigMap"]
    for task in compiled.bundle.job["spec"]["tasks"]:
        assert container(task)["command"] == ["/bin/bash", "/opt/ftgen/launch.sh", "/opt/ftgen/train.sh"]
        assert container(task)["args"] == [*words, "run", "a b"]
    named = {
        word.rpartition("/")[2] for word in [*words, "train.sh", "launch.sh", "prepare.sh"] if word.endswith(".sh")
    }
    assert config_map["data"].keys() == named


def test_a_plain_job_keeps_its_scripts_inline(composer: Composer) -> None:
    compiled = pipeline.compile_job(composer, [*NODES, *COMMAND, "delivery=kubectl"])
    assert [each["kind"] for each in compiled.bundle.objects if each["kind"] == "ConfigMap"] == []


@pytest.mark.parametrize("version", ["1.12.4", "1.14.0", "1.15.1"])
@pytest.mark.parametrize(
    ("launcher", "ranks", "own"),
    [
        ("pytorch", [0, 1, 2], {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK"}),
        ("mpi", [None] * 3, {"MPI_HOST", "MASTER_PORT"}),
        ("ray", [None] * 3, {"MASTER_PORT"}),
    ],
)
def test_what_its_pods_see(
    composer: Composer, version: str, launcher: str, ranks: list[int | None], own: set[str]
) -> None:
    words = [*MASTER, *COMMAND, f"trainer.launcher={launcher}", f"cluster.volcano_version={version}"]
    compiled = pipeline.compile_job(composer, words)
    assert compiled.bundle.job is not None
    master, *workers = preview.pods(compiled.bundle.objects, version_of(version))
    name = compiled.bundle.job["metadata"]["name"]
    assert [pod.name for pod in (master, *workers)] == [f"{name}-master-0", f"{name}-worker-0", f"{name}-worker-1"]
    assert [pod.rank for pod in (master, *workers)] == ranks
    seen = {each.name: each.value for each in master.containers[-1].env}
    assert own == seen.keys() & {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "MPI_HOST"}
    assert (seen["TASK_NAME"], seen["NNODES"]) == ("master", "3")
    assert seen["VC_WORKER_HOSTS"] == ",".join(f"{pod.name}.{name}" for pod in workers)
    if launcher == "mpi":
        assert seen["MPI_HOST"] == seen["VC_WORKER_HOSTS"]
        assert "MPI_HOST" not in {each.name for each in workers[0].containers[-1].env}


def test_the_longest_name_leaves_room_for_the_workers(composer: Composer) -> None:
    compiled = pipeline.compile_job(composer, [*MASTER, f"name={'a' * 80}"])
    pods = preview.pods(compiled.bundle.objects)
    assert max(len(pod.name) for pod in pods) + len("-r99") == 63


# ---- placement -------------------------------------------------------------------------------------


def test_groups_are_placed_near_to_each_other(composer: Composer) -> None:
    groups = "hardware.partition={size: 2, network_topology: {highest_tier: 1}}"
    near = "cluster.network_topology={mode: soft, highest_tier_name: spine}"
    body = spec(composer, *NODES, *NEWEST, "hardware.nodes=4", groups, near)
    assert body["networkTopology"] == {"mode": "soft", "highestTierName": "spine"}
    [task] = body["tasks"]
    assert task["partitionPolicy"] == {
        "totalPartitions": 2,
        "partitionSize": 2,
        "minPartitions": 2,
        "networkTopology": {"mode": "hard", "highestTierAllowed": 1},
    }
    assert task["minAvailable"] == 4


def test_a_pod_is_labelled_with_its_group(composer: Composer) -> None:
    compiled = pipeline.compile_job(composer, [*NODES, *NEWEST, "hardware.nodes=4", "hardware.partition={size: 2}"])
    assert "networkTopology" not in compiled.bundle.job["spec"]["tasks"][0]["partitionPolicy"]


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("hardware.partition={size: 3}", "hardware.partition"),
        ("cluster.network_topology={highest_tier_name: leaf}", "cluster.network_topology.highest_tier_name"),
    ],
)
@pytest.mark.parametrize(("version", "refused"), [("1.12.4", True), ("1.13.0", True), ("1.14.0", False)])
def test_a_field_of_a_later_release_is_refused(
    composer: Composer, setting: str, key: str, version: str, refused: bool
) -> None:
    words = [*NODES, setting, f"cluster.volcano_version={version}"]
    if not refused:
        assert spec(composer, *words)
        return
    with pytest.raises(Rejected) as rejected:
        job(composer, *words)
    [found] = [each for each in rejected.value.diagnostics if each.code == "FT780"]
    assert found.subject == key
    assert found.headline == f"{key} needs Volcano 1.14, and the cluster has {version}"


@pytest.mark.parametrize("version", ["9" * 5000, "latest", "1.2"])
def test_a_setting_for_no_release_is_told_as_such(composer: Composer, version: str) -> None:
    with pytest.raises(Rejected) as rejected:
        job(composer, *NODES, "hardware.partition={size: 3}", f"cluster.volcano_version='{version}'")
    assert {each.code for each in rejected.value.diagnostics} == {"FT264"}


def test_a_rank_table_of_one_task_is_refused_for_two(composer: Composer) -> None:
    """The overlay of hcclrank names the task of a flat job: a master would have no rank, and its workers rank 0."""
    words = ("hardware=ascend-910b-mindcluster", "hardware/rank_table=hcclrank", "storage=nfs", "hardware.nodes=2")
    words = (*words, "cluster.facts.mindcluster_plugin=true", "cluster.facts.ascend_form=910b-8")
    assert "hcclrank" in spec(composer, *words)["plugins"]
    with pytest.raises(Rejected) as rejected:
        job(composer, *words, "hardware.topology=master-worker")
    assert [(d.code, d.subject, d.value) for d in rejected.value.diagnostics if d.code == "FT420"] == [
        ("FT420", "spec.plugins.hcclrank", "master")
    ]


@pytest.mark.parametrize("hardware", ["ascend", "nvidia-vgpu", "gaudi"])
def test_overlays_reach_the_pods_of_both_tasks(composer: Composer, hardware: str) -> None:
    words = (*chosen("hardware", hardware), "storage=nfs", "hardware.nodes=2", "hardware.topology=master-worker")
    master, worker = spec(composer, *words)["tasks"]
    assert master["template"] == worker["template"]
    [flat] = spec(composer, *words, "hardware.topology=flat")["tasks"]
    assert flat["template"]["metadata"] == master["template"]["metadata"]


def test_the_scripts_that_launch_calls_are_judged_too(composer: Composer) -> None:
    """train.sh makes a home for a user that has none, which the rules see behind launch.sh as well."""
    words = [*MASTER, "cluster=alauda-restricted"]
    assert "FT485" not in {d.code for d in pipeline.compile_job(composer, words).diagnostics}


def test_a_plain_job_that_fetches_nothing_has_no_init_container(composer: Composer) -> None:
    found = job(composer, *NODES, *COMMAND, "target=job", "hardware.nodes=1")
    assert "initContainers" not in found["spec"]["template"]["spec"]
