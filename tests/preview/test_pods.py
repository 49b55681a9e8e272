"""What pods see: names, ranks, environment, mounts, secrets; worked out by hand from Volcano and Kubernetes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from tests.preview.jobs import claim, container, task, volcano_job

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.review import preview
from ftgen.review.preview import Container, Pod


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def pods(composer: Composer, *words: str) -> tuple[Pod, ...]:
    return preview.pods(pipeline.compile_job(composer, words).bundle.objects)


def variables(seen: Container) -> dict[str, str]:
    return {each.name: each.value for each in seen.env}


def env(name: str, value: str | None = None, **source: Any) -> dict[str, Any]:
    return {"name": name, "value": value} if value is not None else {"name": name, "valueFrom": source}


# jobs that ftgen renders


def test_two_nodes_see_each_other_and_their_ranks(composer: Composer) -> None:
    first, second = pods(composer, "hardware=ascend", "hardware.nodes=2", "storage=nfs")
    job = first.job
    hosts = [f"{job}-train-{index}.{job}" for index in range(2)]
    assert [pod.name for pod in (first, second)] == [f"{job}-train-0", f"{job}-train-1"]
    assert [pod.hostname for pod in (first, second)] == [f"{job}-train-0", f"{job}-train-1"]
    assert [pod.dns_names[0] for pod in (first, second)] == hosts
    assert first.dns_names[1] == f"{hosts[0]}.{first.namespace}.svc"
    assert [pod.rank for pod in (first, second)] == [0, 1]
    assert second.ranks == {"VC_TASK_INDEX": "1", "VK_TASK_INDEX": "1"}
    assert {(p.master_address, p.master_port, p.master_source) for p in (first, second)} == {
        (hosts[0], "29500", "VC_TRAIN_HOSTS")
    }
    for seen in (*first.containers, *second.containers):
        assert variables(seen)["VC_TRAIN_HOSTS"] == ",".join(hosts)
        assert variables(seen)["VC_TRAIN_NUM"] == "2"


def test_one_node_has_no_names_and_no_master(composer: Composer) -> None:
    (pod,) = pods(composer, "storage=nfs")
    assert (pod.dns_names, pod.rank, pod.ranks, pod.master_address) == ((), None, {}, "")
    assert pod.hostname == pod.name == f"{pod.job}-train-0"


def test_references_are_expanded(composer: Composer) -> None:
    (pod,) = pods(composer, "storage=nfs")
    seen = variables(pod.containers[1])
    assert seen["JOB_NAME"] == pod.job
    assert seen["WORK_DIR"] == f"/mnt/workspace/{pod.job}"
    assert f"run_name: {pod.job}" in seen["TRAIN_CONFIG"]


def test_mounts_name_their_claims_with_size_and_class(composer: Composer) -> None:
    (pod,) = pods(composer, "storage=topolvm")
    mounts = {mount.path: mount for mount in pod.containers[1].mounts}
    workspace = mounts["/mnt/workspace"].volume
    assert (workspace.kind, workspace.storage_class) == ("ephemeral claim", "sc-topolvm")
    assert workspace.source == f"{pod.name}-{workspace.name}"
    assert workspace.size
    assert workspace.access_modes == ("ReadWriteOnce",)
    assert mounts["/dev/shm"].volume.source == "Memory"
    assert mounts["/opt/ftgen"].volume.files == ("prepare.sh", "train.sh")
    assert mounts["/opt/ftgen"].read_only


def test_cards_and_secrets_are_named(composer: Composer) -> None:
    (pod,) = pods(composer, "hardware=ascend", "storage=nfs")
    assert pod.containers[1].devices == {"huawei.com/Ascend910": "1"}
    assert pod.runtime_class == "ascend"
    assert ("aml-image-builder-secret", "MODEL_REPO_GIT_TOKEN", "GIT_TOKEN of train") in {
        (each.name, each.key, each.use) for each in pod.secrets
    }
    token = next(each for each in pod.containers[1].env if each.name == "GIT_TOKEN")
    assert token.value == "<secret aml-image-builder-secret/MODEL_REPO_GIT_TOKEN>"
    assert not token.known


def test_pods_of_an_indexed_job_know_their_index(composer: Composer) -> None:
    first, second = pods(composer, "target=job", "hardware=full-gpu", "hardware.nodes=2", "storage=nfs")
    assert (second.kind, second.name) == ("Job", f"{second.job}-1-xxxxx")
    assert second.hostname == f"{second.job}-1"
    assert second.ranks == {"VC_TASK_INDEX": "1", "JOB_COMPLETION_INDEX": "1"}
    assert first.master_address == first.dns_names[0] == second.master_address
    assert variables(second.containers[-1])["VC_TRAIN_HOSTS"] == f"{first.dns_names[0]},{second.dns_names[0]}"


def test_submissions_share_a_placeholder_for_their_suffix(composer: Composer) -> None:
    first, second = pods(composer, "delivery=kubectl", "hardware=full-gpu", "hardware.nodes=2", "storage=nfs")
    assert first.job.endswith("-xxxxx")
    assert variables(second.containers[1])["JOB_NAME"] == first.job


# the kubelet


def test_env_is_expanded_in_its_order() -> None:
    own = container(
        env=[
            env("LATE", "$(SET)"),
            env("SET", "one"),
            env("NEXT", "$(SET) $(MISSING) $$(SET) $(SET"),
            env("SECRET", secretKeyRef={"name": "git", "key": "token"}),
            env("URL", "https://$(SECRET)@host"),
            env("SET", "two"),
            env("AFTER", "$(SET)"),
            env("EMPTY", ""),
        ],
        command=["run", "$(SET)", "$(MISSING)"],
        args=["$(EMPTY)."],
    )
    (pod,) = preview.pods([volcano_job(task("a", own))])
    seen = pod.containers[0]
    assert [(each.name, each.value) for each in seen.env] == [
        ("LATE", "$(SET)"),
        ("SET", "two"),
        ("NEXT", "one $(MISSING) $(SET) $(SET"),
        ("SECRET", "<secret git/token>"),
        ("URL", "https://<secret git/token>@host"),
        ("AFTER", "two"),
        ("EMPTY", ""),
    ]
    assert {each.name for each in seen.env if not each.known} == {"SECRET", "URL"}
    assert seen.command == ("run", "two", "$(MISSING)", ".")


def test_what_the_manifests_hold_is_resolved_and_the_rest_is_named() -> None:
    own = container(
        envFrom=[{"configMapRef": {"name": "known"}, "prefix": "P_"}, {"secretRef": {"name": "hidden"}}],
        env=[
            env("A", "$(P_x) $(HIDDEN)"),
            env("KEY", configMapKeyRef={"name": "known", "key": "x"}),
            env("NONE", configMapKeyRef={"name": "known", "key": "y", "optional": True}),
            env("FAR", configMapKeyRef={"name": "far", "key": "y"}),
            env("POD", fieldRef={"fieldPath": "metadata.name"}),
            env("SPACE", fieldRef={"fieldPath": "metadata.namespace"}),
            env("IP", fieldRef={"fieldPath": "status.podIP"}),
            env("LABEL", fieldRef={"fieldPath": "metadata.labels['volcano.sh/task-index']"}),
            env("MIB", resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}),
            env("CORES", resourceFieldRef={"resource": "limits.cpu"}),
        ],
        resources={"limits": {"memory": "1Gi"}},
    )
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "known"}, "data": {"x": "1"}}
    (pod,) = preview.pods([config_map, volcano_job(task("a", own))])
    seen = variables(pod.containers[0])
    assert seen == {
        "P_x": "1",
        "A": "1 $(HIDDEN)",
        "KEY": "1",
        "FAR": "<config map far/y>",
        "POD": "j-a-0",
        "SPACE": "team",
        "IP": "<field status.podIP>",
        "LABEL": "0",
        "MIB": "1024",
        "CORES": "<resource limits.cpu>",
    }
    assert pod.containers[0].env_from == ("config map known as P_…", "secret hidden")
    assert not next(each.known for each in pod.containers[0].env if each.name == "A")


# Volcano's plugins


def test_pytorch_ranks_masters_before_workers() -> None:
    job = volcano_job(task("master", container()), task("worker", container(), replicas=2), plugins={"pytorch": []})
    found = preview.pods([job])
    assert [pod.rank for pod in found] == [0, 1, 2]
    assert [variables(pod.containers[0])["WORLD_SIZE"] for pod in found] == ["3", "3", "3"]
    assert {(pod.master_address, pod.master_port, pod.master_source) for pod in found} == {
        ("j-master-0.j", "23456", "MASTER_ADDR")
    }


@pytest.mark.parametrize(("typed", "read"), [("0x5ba0", "23456"), ("1_000", "1000"), ("017", "15"), ("0b11", "3")])
def test_numbers_of_flags_are_read_as_go_reads_them(typed: str, read: str) -> None:
    (pod,) = preview.pods([volcano_job(task("master", container()), plugins={"pytorch": [f"--port={typed}"]})])
    assert pod.master_port == read


def test_pytorch_without_its_master_adds_nothing() -> None:
    (pod,) = preview.pods([volcano_job(task("train", container()), plugins={"pytorch": []})])
    assert "RANK" not in variables(pod.containers[0])


def test_workers_wait_for_their_master_where_the_release_can() -> None:
    job = volcano_job(
        task("master", container()), task("worker", container()), plugins={"pytorch": ["--wait-master-enabled=true"]}
    )
    assert [len(pod.containers) for pod in preview.pods([job], (1, 15, 0))] == [1, 2]
    assert [len(pod.containers) for pod in preview.pods([job], (1, 12, 4))] == [1, 1]


def test_mpi_tells_the_master_its_workers_and_brings_keys() -> None:
    job = volcano_job(task("master", container()), task("worker", container(), replicas=2), plugins={"mpi": []})
    master, worker, _ = preview.pods([job])
    assert variables(master.containers[0])["MPI_HOST"] == "j-worker-0.j,j-worker-1.j"
    assert "MPI_HOST" not in variables(worker.containers[0])
    keys = next(mount for mount in worker.containers[0].mounts if mount.path == "/root/.ssh")
    assert (keys.volume.kind, keys.volume.source, keys.sub_path) == ("secret", "j-ssh", ".ssh")


def test_tensorflow_describes_the_cluster() -> None:
    job = volcano_job(task("ps", container()), task("worker", container(), replicas=2), plugins={"tensorflow": []})
    last = preview.pods([job])[-1]
    assert json.loads(variables(last.containers[0])["TF_CONFIG"]) == {
        "cluster": {"ps": ["j-ps-0.j:2222"], "worker": ["j-worker-0.j:2222", "j-worker-1.j:2222"]},
        "task": {"type": "worker", "index": 1},
    }


def test_ray_replaces_commands() -> None:
    job = volcano_job(
        task("head", container("head")), task("worker", container("worker"), replicas=1), plugins={"ray": []}
    )
    head, worker = preview.pods([job], (1, 15, 0))
    assert head.containers[0].command[2].startswith("ray start --head --block")
    assert worker.containers[0].command[2] == "ray start --block --address=j-head-0.j:6379"


def test_a_hostname_of_the_template_is_everybodys() -> None:
    job = volcano_job(task("a", container(), replicas=2, hostname="own"), plugins={"svc": []})
    first, second = preview.pods([job])
    assert first.hostname == second.hostname == "own"
    assert variables(first.containers[0])["VC_A_NUM"] == "1"


def test_job_volumes_reach_main_containers_only() -> None:
    job = volcano_job(
        task("a", container(), initContainers=[container("first")]),
        volumes=[
            {"mountPath": "/made", "volumeClaim": claim("5Gi")},
            {"mountPath": "/named", "volumeClaimName": "data"},
            {"mountPath": "/again", "volumeClaimName": "data"},
        ],
    )
    data = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim("7Gi")}
    (pod,) = preview.pods([data, job])
    first, main = pod.containers
    assert [mount.path for mount in first.mounts] == ["/var/run/secrets/kubernetes.io/serviceaccount"]
    found = {mount.path: (mount.volume.source, mount.volume.size) for mount in main.mounts[:-1]}
    assert found == {"/made": ("j-pvc-xxxxxxxxxxxx", "5Gi"), "/named": ("data", "7Gi")}


# side by side


def test_two_pods_differ_in_their_names_and_ranks_alone(composer: Composer) -> None:
    sections = preview.compare(pods(composer, "hardware=ascend", "hardware.nodes=2", "storage=nfs"))
    different = {(each.container, each.title, row.label) for each in sections for row in each.rows if row.differs}
    ranks = {
        (name, "env", variable) for name in ("prepare", "train") for variable in ("VC_TASK_INDEX", "VK_TASK_INDEX")
    }
    assert different == {("", "pod", label) for label in ("name", "hostname", "found as", "rank")} | ranks


def test_a_line_that_one_pod_lacks_differs() -> None:
    job = volcano_job(task("a", container()), task("b", container(env=[env("X", "1")])))
    sections = preview.compare(preview.pods([job]))
    row = next(row for each in sections if each.title == "env" for row in each.rows)
    assert (row.label, row.values, row.differs) == ("X", (None, "1"), True)


# any input


def test_what_is_given_stays_as_it_is(composer: Composer) -> None:
    words = ("hardware=ascend", "hardware.nodes=2", "storage=nfs")
    objects = pipeline.compile_job(composer, words).bundle.objects
    before = copy.deepcopy(objects)
    preview.pods(objects)
    assert objects == before


def test_a_preview_is_json(composer: Composer) -> None:
    found = to_builtins(pods(composer, "storage=nfs"))
    assert json.loads(json.dumps(found))[0]["job"] == found[0]["job"]


def test_of_too_many_pods_few_are_made() -> None:
    plugins: dict[str, list[str]] = {key: [] for key in ("svc", "env", "tensorflow", "mpi")}
    roles = (task(name, container(), replicas=2**31 - 1, hostname=own) for name, own in (("worker", ""), ("ps", "own")))
    found = preview.pods([volcano_job(task("master", container(), replicas=2**31 - 1), *roles, plugins=plugins)])
    assert len(found) == 6
    assert {pod.replicas for pod in found} == {2**31 - 1}
    assert len(preview.pods([volcano_job(task("a", container(), replicas=1001))])) == preview.LIMIT


_LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "$(A)", "$$(A)", "9" * 30, "{"])
_WORDS = """
name value valueFrom secretKeyRef configMapKeyRef fieldRef resourceFieldRef key fieldPath resource divisor volumes
persistentVolumeClaim claimName configMap emptyDir ephemeral volumeClaimTemplate resources requests volumeMounts
mountPath subPathExpr env envFrom command args hostname subdomain labels items
"""
_FIELDS = st.sampled_from(_WORDS.split())
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=4),
    max_leaves=25,
)


@given(pod=_VALUES, spare=_VALUES, plugins=_VALUES)
def test_no_shape_of_a_manifest_is_too_odd(pod: Any, spare: Any, plugins: Any) -> None:
    kinds = (("batch.volcano.sh/v1alpha1", "Job"), ("batch/v1", "Job"), ("apps/v1", "Deployment"), ("v1", "ConfigMap"))
    named = dict.fromkeys(("svc", "env", "pytorch", "ssh", "mpi", "ray", "tensorflow"), plugins)
    tasks = [{"name": "master", "replicas": 1, "template": {"metadata": spare, "spec": pod}}, spare]
    spec = {"plugins": named, "volumes": spare, "tasks": tasks, "template": {"metadata": spare, "spec": pod}}
    spec |= {"completionMode": "Indexed", "replicas": 1}
    for version, kind in kinds:
        found = preview.pods([{"apiVersion": version, "kind": kind, "metadata": spare, "spec": spec, "data": pod}])
        preview.compare(found)
        json.dumps(to_builtins(found))
