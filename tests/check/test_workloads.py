"""`ftgen check` of other workloads judges pods as in a VolcanoJob: a Pod, a Deployment, an InferenceService, a Job."""

import copy

import pytest

from ftgen.text import yamlio
from ftgen.validation import RULES, UNKNOWN_FACT, check
from ftgen.validation.options import CheckOptions

CONTAINER = {
    "name": "kserve-container",
    "image": "vllm/vllm-openai:v0.23.0",
    "ports": [{"containerPort": 8000, "name": "http"}],
    "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "16Gi"}, "requests": {"memory": "16Gi"}},
    "startupProbe": {"httpGet": {"path": "/health", "port": "http"}, "failureThreshold": 180},
}
POD = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 2000},
    "containers": [CONTAINER],
    "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
}
METADATA = {"name": "chat", "namespace": "team"}


def deployment(pod):
    labels = {"app": "chat"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": METADATA, "spec": spec}


def inference_service(pod):
    spec = {"predictor": {"minReplicas": 1, **pod}}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": METADATA, "spec": spec}


def plain_job(pod):
    spec = {"parallelism": 2, "completions": 2, "template": {"spec": {**pod, "restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": METADATA, "spec": spec}


def plain_pod(pod):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": METADATA, "spec": pod}


def found(manifest):
    diagnostics = check.check(yamlio.dump(manifest), "service.yaml", CheckOptions()).diagnostics
    return [
        (RULES[d.code].name if d.code in RULES else d.code, d.subject) for d in diagnostics if d.code != UNKNOWN_FACT
    ]


WORKLOADS = pytest.mark.parametrize(
    ("workload", "where"),
    [
        (deployment, "spec.template.spec"),
        (inference_service, "spec.predictor"),
        (plain_job, "spec.template.spec"),
        (plain_pod, "spec"),
    ],
)


@WORKLOADS
def test_a_sound_one_has_nothing_to_report(workload, where):
    assert found(workload(POD)) == []


@WORKLOADS
@pytest.mark.parametrize(
    ("changes", "name", "at"),
    [
        ({"ports": [{"containerPort": 70000}]}, "bad-port", "containers[0].ports[0].containerPort"),
        (
            {"volumeMounts": [{"name": "gone", "mountPath": "/x"}]},
            "mount-of-nothing",
            "containers[0].volumeMounts[0].name",
        ),
        ({"livenessProbe": {"periodSeconds": 5}}, "bad-probe", "containers[0].livenessProbe"),
        ({"image": "vllm/vllm-openai"}, "unpinned-image", "containers[0].image"),
        (
            {"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}}},
            "request-over-limit",
            "containers[0].resources.requests.memory",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "0.5"}}},
            "impossible-amount",
            'containers[0].resources.limits["nvidia.com/gpu"]',
        ),
    ],
)
def test_its_pods_are_judged(workload, where, changes, name, at):
    pod = copy.deepcopy(POD)
    pod["containers"][0] |= changes
    assert (name, f"{where}.{at}") in found(workload(pod))


def test_a_field_that_the_cluster_would_drop_is_refused():
    assert found(inference_service({**POD, "minReplica": 1})) == [("FT301", "spec.predictor.minReplica")]
    assert found(deployment({**POD, "container": []})) == [("FT301", "spec.template.spec.container")]


@pytest.mark.parametrize(
    ("field", "value", "name", "at"),
    [
        ("labels", {"model": "Qwen/Qwen3"}, "bad-label", "metadata.labels.model"),
        ("annotations", {"my note": "x"}, "bad-annotation", 'metadata.annotations["my note"]'),
        (
            "annotations",
            {"container.apparmor.security.beta.kubernetes.io/gone": "runtime/default"},
            "bad-annotation",
            'metadata.annotations["container.apparmor.security.beta.kubernetes.io/gone"]',
        ),
    ],
)
def test_the_metadata_of_a_pod_is_judged_once_and_as_that_of_a_template(field, value, name, at):
    pod = plain_pod(POD)
    assert found({**pod, "metadata": {**METADATA, field: value}}) == [(name, at)]


def test_a_pod_of_a_namespace_that_enforces_a_standard_is_judged_by_it():
    notes = {"container.apparmor.security.beta.kubernetes.io/kserve-container": "unconfined"}
    text = yamlio.dump({**plain_pod(POD), "metadata": {**METADATA, "annotations": notes}})
    diagnostics = check.check(text, "pod.yaml", CheckOptions(pod_security="baseline")).diagnostics
    assert [d.subject for d in diagnostics if d.code == "FT486"] == [
        'metadata.annotations["container.apparmor.security.beta.kubernetes.io/kserve-container"]'
    ]


def test_a_model_that_a_runtime_serves_has_no_pods_to_judge():
    model = {"modelFormat": {"name": "vllm"}, "storageUri": "pvc://models/chat"}
    assert found(inference_service({"model": model})) == []


def test_what_kserve_refuses_is_refused():
    assert found(inference_service({**POD, "maxReplicas": 1, "minReplicas": 2})) == [
        ("bad-inference-component", "spec.predictor.minReplicas")
    ]
