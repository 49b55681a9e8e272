"""What storage options make of volumes and claims."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from tools.options import NEEDS

from ftgen.pipeline import Compiled

from .conftest import Refuse, Render

Pod = Callable[[Compiled], dict[str, Any]]
Codes = Callable[[Compiled], set[str]]


def volume(job: Compiled, pod: Pod, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(v for v in pod(job)["volumes"] if v["name"] == name)
    return found


def kinds(job: Compiled) -> list[str]:
    return [o["kind"] for o in job.bundle.objects]


def test_a_static_volume_and_its_claim_are_made_for_each_other(render: Render) -> None:
    job = render("storage=nfs-static", *NEEDS["nfs-static"])
    assert kinds(job) == ["PersistentVolume", "PersistentVolumeClaim"] * 2 + ["ConfigMap", "Job"]
    provided, claimed = job.bundle.companions[:2]
    assert provided["spec"]["nfs"] == {"server": "nfs.example.com", "path": "/exports/models"}
    # The API server drops an empty class of a volume, so that it would be a change at every apply.
    assert "storageClassName" not in provided["spec"]
    assert claimed["spec"]["storageClassName"] == ""
    assert claimed["spec"]["volumeName"] == provided["metadata"]["name"]
    assert provided["spec"]["claimRef"]["name"] == claimed["metadata"]["name"]
    assert provided["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


def test_existing_claims_are_used_and_none_is_made(render: Render, pod: Pod) -> None:
    job = render("storage=claims", *NEEDS["claims"])
    assert kinds(job) == ["ConfigMap", "Job"]
    assert volume(job, pod, "models-cache")["persistentVolumeClaim"] == {"claimName": "models"}


def test_folders_of_the_node(render: Render, pod: Pod, codes: Codes) -> None:
    job = render("storage=hostpath")
    assert volume(job, pod, "workspace")["hostPath"] == {
        "path": "/var/lib/ftgen/workspace",
        "type": "DirectoryOrCreate",
    }
    # They outlive the pod, and other jobs use them too.
    work = next(e for e in pod(job)["containers"][0]["env"] if e["name"] == "WORK_DIR")
    assert work["value"] == "/mnt/workspace/$(JOB_NAME)"
    assert "FT274" in codes(render("storage=hostpath", "hardware.nodes=2"))


def test_the_nodes_disk_goes_with_the_pod(render: Render, pod: Pod) -> None:
    job = render("storage=emptydir")
    assert volume(job, pod, "workspace")["emptyDir"] == {"sizeLimit": "50Gi"}
    assert {"exitCode": 1, "action": "TerminateJob"} in job.bundle.job["spec"]["policies"]


def test_a_claim_for_each_pod(render: Render, pod: Pod) -> None:
    job = render("storage=ephemeral")
    for name in ("models-cache", "workspace"):
        assert "storageClassName" not in volume(job, pod, name)["ephemeral"]["volumeClaimTemplate"]["spec"]


def test_block_storage_serves_one_node(refuse: Refuse) -> None:
    (found,) = [d for d in refuse("storage=rbd", "hardware.nodes=2") if d.severity == "error"]
    assert (found.code, found.subject) == ("FT255", "storage.models.access_mode")


def test_models_of_one_node_are_fetched_by_each_pod_and_it_is_said(render: Render, pod: Pod) -> None:
    job = render("hardware=full-gpu", "hardware.nodes=2")
    (said,) = [d for d in job.diagnostics if d.code == "FT276"]
    assert (said.severity, said.subject) == ("note", "storage.models.claim")
    assert "ephemeral" in volume(job, pod, "models-cache")


def test_what_is_written_is_not_for_reading_only(refuse: Refuse, render: Render) -> None:
    (found,) = [d for d in refuse("storage=nfs", "storage.workspace.access_mode=ReadOnlyMany") if d.code == "FT278"]
    assert found.subject == "storage.workspace.access_mode"
    models = ("storage=nfs", "storage.models.access_mode=ReadOnlyMany")
    assert "FT278" in {d.code for d in refuse(*models, "dataset.url=null")}
    render(*models, "model.url=null", "dataset.url=null")


def test_two_claims_may_lie_on_two_nodes(render: Render, codes: Codes) -> None:
    assert "FT279" in codes(render("storage.workspace.claim=work"))
    assert "FT279" not in codes(render("storage.workspace.claim=sft-qwen3-volume"))
    assert "FT279" not in codes(render("storage.workspace.claim=work", "storage=nfs"))


@pytest.mark.parametrize(
    ("overrides", "subject"),
    [
        (("storage=hostpath", "storage.models.host_path=models"), "storage.models.host_path"),
        (("storage=nfs-static", *NEEDS["nfs-static"], "storage.models.nfs.path=x"), "storage.models.nfs.path"),
        (("storage=model-cache", *NEEDS["model-cache"], "storage.cache.nodes=[]"), "storage.cache.nodes"),
    ],
)
def test_places_that_no_node_has(overrides: tuple[str, ...], subject: str, refuse: Refuse) -> None:
    assert subject in {d.subject for d in refuse(*overrides)}


def test_a_volume_is_one_thing(refuse: Refuse) -> None:
    assert "FT273" in {d.code for d in refuse("storage=hostpath", "storage.models.claim=models")}


def test_cached_models_lie_where_the_cache_puts_them(render: Render, pod: Pod) -> None:
    job = render("storage=model-cache", *NEEDS["model-cache"])
    folder = hashlib.sha256(b"hf://Qwen/Qwen3-0.6B").hexdigest()[:16]
    for container in (*pod(job)["initContainers"], *pod(job)["containers"]):
        mount = next(m for m in container["volumeMounts"] if m["name"] == "base-model")
        assert mount == {
            "name": "base-model",
            "mountPath": "/mnt/models/Qwen3-0.6B",
            "subPath": f"models/{folder}",
            "readOnly": True,
        }
        env = {e["name"]: e.get("value") for e in container["env"]}
        assert (env["BASE_MODEL_URL"], env["MODEL_DIR"]) == ("", "/mnt/models/Qwen3-0.6B")
    assert volume(job, pod, "base-model")["persistentVolumeClaim"] == {
        "claimName": "ftgen-model-cache",
        "readOnly": True,
    }


def test_the_cache_gets_a_claim_of_the_jobs_own_namespace(render: Render) -> None:
    provided, claimed = render("storage=model-cache", *NEEDS["model-cache"]).bundle.companions[:2]
    assert provided["spec"]["local"] == {"path": "/models"}
    (term,) = provided["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "pool", "operator": "In", "values": ["gpu"]}]
    assert claimed["metadata"]["namespace"] == provided["spec"]["claimRef"]["namespace"] == "kubeflow-admin-cpaas-io"


def test_reconcilers_never_delete_what_a_job_came_with(render: Render) -> None:
    for reconciler, key in (
        ("argocd", "argocd.argoproj.io/sync-options"),
        ("flux", "kustomize.toolkit.fluxcd.io/prune"),
    ):
        job = render("storage=nfs-static", *NEEDS["nfs-static"], f"delivery={reconciler}")
        assert all(key in o["metadata"]["annotations"] for o in job.bundle.objects)
