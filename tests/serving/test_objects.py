"""What serves a result: the objects, their pods, and what vLLM is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.serving.conftest import URL

from ftgen.text import yamlio

RUN = "sft-qwen3-0-6b"


def pod_of(objects: dict[str, Any]) -> dict[str, Any]:
    if "Deployment" in objects:
        return dict(objects["Deployment"]["spec"]["template"]["spec"])
    return dict(objects["InferenceService"]["spec"]["predictor"])


def container_of(objects: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(objects)["containers"]
    return dict(container)


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def vllm(objects: dict[str, Any]) -> dict[str, Any]:
    return dict(yamlio.parse(environment(container_of(objects))["SERVE_CONFIG"], ""))


@pytest.mark.parametrize("kind", ["deployment", "kserve"])
def test_the_result_of_the_run_is_fetched_and_served(render, serve, kind):
    render()
    objects = serve(RUN, f"serving={kind}")
    (init,) = pod_of(objects)["initContainers"]
    (run,) = [name for name in environment(init)["MODEL_REVISION"].split() if name.startswith(RUN)]
    assert environment(init)["BASE_MODEL_URL"] == URL
    assert "DATASET_DIR" not in environment(init)
    assert vllm(objects)["model"] == environment(init)["MODEL_DIR"] == f"/mnt/models/{run}"
    assert vllm(objects)["served_model_name"] == [RUN]
    assert vllm(objects)["max_model_len"] == 40960
    # The token is for the container that fetches alone.
    assert "GIT_TOKEN" in environment(init)
    assert "GIT_TOKEN" not in environment(container_of(objects))


def test_another_revision_or_repository_has_a_folder_of_its_own(render, serve):
    render()
    places = [("V1.0", URL), ("v1-0", URL), ("main", URL), ("main", f"{URL}-2")]
    folders = []
    for revision, url in places:
        objects = serve(RUN, f"serving.revision={revision}", f"model.output_url={url}")
        folders.append(vllm(objects)["model"])
        (init,) = pod_of(objects)["initContainers"]
        assert environment(init)["MODEL_DIR"] == folders[-1]
    assert len(set(folders)) == len(places)
    assert folders[-1].startswith("/mnt/models/main-")


def test_a_deployment_is_reached_by_its_service(render, serve):
    render()
    objects = serve(RUN)
    deployment, service = objects["Deployment"], objects["Service"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == RUN
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in container_of(objects)["ports"]}
    assert vllm(objects)["port"] == container_of(objects)["ports"][0]["containerPort"]


def test_kserve_names_the_container_and_needs_no_knative(render, serve):
    render()
    inference = serve(RUN, "serving=kserve")["InferenceService"]
    notes = inference["metadata"]["annotations"]
    assert notes["serving.kserve.io/deploymentMode"] == "Standard"
    assert notes["serving.kserve.io/autoscalerClass"] == "none"
    assert [each["name"] for each in inference["spec"]["predictor"]["containers"]] == ["kserve-container"]


@pytest.mark.parametrize("kind", ["deployment", "kserve"])
def test_an_adapter_is_served_beside_its_base(render, serve, kind):
    render("trainer.merge=false", "trainer.args.lora_rank=12")
    objects = serve(RUN, f"serving={kind}")
    (init,) = pod_of(objects)["initContainers"]
    fetched = environment(init)
    assert fetched["ADAPTER_URL"] == URL
    assert fetched["BASE_MODEL_URL"] != URL
    told = vllm(objects)
    assert told["model"] == fetched["MODEL_DIR"]
    assert told["enable_lora"] is True
    assert told["max_lora_rank"] == 16
    assert told["served_model_name"] == [f"{RUN}-base"]
    (module,) = told["lora_modules"]
    assert yamlio.parse_json(module) == {"name": RUN, "path": fetched["ADAPTER_DIR"]}


def test_another_card_than_the_one_that_trained(render, serve):
    render("hardware=full-gpu", "hardware.devices=2", "hardware.env.NCCL_DEBUG=WARN")
    same = container_of(serve(RUN))
    assert same["resources"]["limits"]["nvidia.com/gpu"] == "2"
    other = serve(RUN, "hardware=ascend", "storage=nfs")
    assert container_of(other)["resources"]["limits"]["huawei.com/Ascend910"] == "1"
    assert "vllm-ascend" in container_of(other)["image"]
    assert "NCCL_DEBUG" not in environment(container_of(other))
    assert "tensor_parallel_size" not in vllm(other)
    assert "set_env.sh" in environment(container_of(other))["SOURCE_FILES"]


def test_all_cards_of_the_pod_share_the_model(render, serve):
    render()
    objects = serve(RUN, "hardware=full-gpu", "hardware.devices=4")
    assert vllm(objects)["tensor_parallel_size"] == 4
    assert container_of(objects)["resources"]["limits"]["nvidia.com/gpu"] == "4"
    shm = next(each for each in pod_of(objects)["volumes"] if each["name"] == "dshm")
    assert shm["emptyDir"]["sizeLimit"] == "8Gi"


def test_the_share_grows_with_the_model_and_its_cache(render, serve):
    render("model=qwen3-8b", "hardware.memory=24Gi")
    shares = [
        int(
            container_of(serve("sft-qwen3-8b", "hardware=nvidia-vgpu", f"serving.context={n}"))["resources"]["limits"][
                "nvidia.com/gpumem"
            ]
        )
        for n in (1024, 16384, 32768)
    ]
    assert shares == sorted(set(shares))


def test_a_service_lives_on_and_ends_gently(render, serve):
    render()
    pod = pod_of(serve(RUN, "serving.grace_period=90"))
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Always"
    assert pod["terminationGracePeriodSeconds"] > 90
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 1800
    assert {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")} == {"/health"}
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False


def test_requests_bring_a_key_that_lies_in_a_secret(render, serve):
    render()
    container = container_of(serve(RUN, "serving.api_key={secret: keys, key: vllm}"))
    assert environment(container)["VLLM_API_KEY"] == {"secretKeyRef": {"name": "keys", "key": "vllm"}}


def test_a_restricted_namespace_admits_the_pod(render, serve):
    render("cluster=alauda-restricted", "storage=nfs", "hardware=full-gpu")
    pod = pod_of(serve(RUN))
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    # What vLLM compiles goes to a folder that any user may write to.
    served = pod["containers"][0]
    assert environment(served)["HOME"] in {each["mountPath"] for each in served["volumeMounts"]}


def test_no_guard_keeps_a_reconciler_from_pruning_and_healing(render, serve):
    render()
    objects = serve(RUN)
    for kind in ("Deployment", "Service"):
        notes = objects[kind]["metadata"].get("annotations", {})
        assert not any("sync-options" in key or "prune" in key or "ssa" in key for key in notes)
    assert "Prune=false" in objects["ConfigMap"]["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_arguments_of_vllm_win_and_false_switches_off(render, serve):
    render()
    told = vllm(serve(RUN, "serving.args.max_num_seqs=16", "serving.args.enable_prefix_caching=false"))
    assert told["max_num_seqs"] == 16
    assert told["no_enable_prefix_caching"] is True


def test_overlays_of_pods_apply_and_those_of_the_training_do_not(render, serve, folder):
    render()
    overlay = folder / "overlays/cluster/alauda"
    overlay.mkdir(parents=True)
    (overlay / "pods.yaml").write_text(
        "kind: PodTemplate\ntemplate:\n  spec:\n    priorityClassName: urgent\n    containers:\n    - name: train\n"
        "      workingDir: /train\n",
        encoding="utf-8",
    )
    job = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: any, labels: {team: nlp}}\n"
    (overlay / "job.yaml").write_text(job, encoding="utf-8")
    serving = folder / "overlays/serving/deployment"
    serving.mkdir(parents=True)
    (serving / "deployment.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {minReadySeconds: 30}\n", encoding="utf-8"
    )
    deployment = serve(RUN)["Deployment"]
    assert deployment["spec"]["minReadySeconds"] == 30
    pod = deployment["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "urgent"
    assert [each["name"] for each in pod["containers"]] == ["vllm"]
    assert "workingDir" not in pod["containers"][0]
    assert "team" not in deployment["metadata"]["labels"]


def test_replicas_on_storage_of_one_node_have_a_volume_each(render, serve):
    render()
    pod = pod_of(serve(RUN, "serving.replicas=2"))
    models = next(each for each in pod["volumes"] if each["name"] == "models-cache")
    assert "ephemeral" in models
    assert "podAntiAffinity" in pod["affinity"]


@pytest.mark.parametrize(
    ("hardware", "scheduler"),
    [("full-gpu", None), ("nvidia-vgpu-volcano", "volcano"), ("nvidia-vgpu-hami", "hami-scheduler")],
)
def test_the_scheduler_is_the_one_that_gives_out_the_cards(render, serve, hardware, scheduler):
    render()
    assert pod_of(serve(RUN, f"hardware={hardware}")).get("schedulerName") == scheduler
