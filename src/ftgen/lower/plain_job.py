"""A Job of Kubernetes' own in place of the VolcanoJob."""

from __future__ import annotations

from ftgen.lower.objects import Bundle, Object, optional
from ftgen.text import kube


def plain(bundle: Bundle) -> Bundle:
    """Make the same work a Job of Kubernetes' own, to try a vendor's image where there is no Volcano.

    No gang, no queue: pods start when each finds a node.  Those of several nodes are one indexed job, and a
    headless Service gives them the names that Volcano's svc plugin would have given.
    """
    job = bundle.job
    spec, task = job["spec"], job["spec"]["tasks"][0]
    nodes = task["replicas"]
    template = {**task["template"], "spec": _plain_pod(job, task["template"]["spec"], nodes)}
    body = {
        "parallelism": nodes,
        "completions": nodes,
        "completionMode": "Indexed" if nodes > 1 else "NonIndexed",
        # One of several pods that starts again alone finds no peers.
        "backoffLimit": spec["maxRetry"] - 1 if nodes == 1 else 0,
        **optional("ttlSecondsAfterFinished", spec.get("ttlSecondsAfterFinished")),
        "template": template,
    }
    service = (_service(job, template),) if nodes > 1 else ()
    return Bundle({**job, "apiVersion": "batch/v1", "spec": body}, (*bundle.companions, *service))


def _plain_pod(job: Object, pod: Object, nodes: int) -> Object:
    ranks = _plain_ranks(job, nodes) if nodes > 1 else []
    return {
        **pod,
        **optional("priorityClassName", job["spec"].get("priorityClassName")),
        **({"subdomain": _subdomain(job)} if ranks else {}),
        **optional("initContainers", [_plain_container(each, []) for each in pod.get("initContainers", ())]),
        "containers": [_plain_container(each, ranks) for each in pod["containers"]],
    }


def _plain_ranks(job: Object, nodes: int) -> list[Object]:
    """Return the variables that Volcano's svc and env plugins would have set."""
    peers = ",".join(f"$(JOB_NAME)-{i}.{_subdomain(job)}" for i in range(nodes))
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [
        {"name": "VC_TRAIN_HOSTS", "value": peers},
        {"name": "VC_TRAIN_NUM", "value": str(nodes)},
        {"name": "VC_TASK_INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
    ]


def _plain_container(container: Object, ranks: list[Object]) -> Object:
    label = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}}
    env = [{"name": e["name"], **label} if e["name"] == "JOB_NAME" else e for e in container.get("env", [])]
    return {**container, "env": [*env, *ranks]}


def _subdomain(job: Object) -> str:
    return kube.slug(job["metadata"]["labels"]["ftgen.dev/run"], 63)


def _service(job: Object, template: Object) -> Object:
    """Make the Service that names pods: shared by the runs of one stem, whose pods have different names."""
    selector = {"ftgen.dev/run": template["metadata"]["labels"]["ftgen.dev/run"]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _subdomain(job),
            "namespace": job["metadata"]["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "ftgen"},
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector},
    }
