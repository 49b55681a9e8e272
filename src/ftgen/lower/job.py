"""The VolcanoJob: metadata, policies, plugins and one task."""

from __future__ import annotations

from ftgen.lower import record
from ftgen.lower.objects import TASK, Identity, Inputs, Object, json_text, optional, run_label
from ftgen.lower.pod import pod
from ftgen.lower.storage import is_temporary
from ftgen.spec import Spec
from ftgen.text import kube

# Exit codes of train.sh for a fault of the training's own, and of a container that the kernel killed for its memory.
_OWN_FAULTS = (1, 137)
# Exit code after SIGTERM: a drain, a preemption, a shutdown of the node.
_TERMINATED = 143


def job(inputs: Inputs, mounted: Object | None) -> Object:
    """Make the VolcanoJob: one task, all of its pods or none; `mounted` is the ConfigMap of its scripts."""
    spec, identity = inputs.spec, inputs.identity
    nodes = spec.hardware.nodes
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {
            "namespace": spec.cluster.namespace,
            "labels": labels(spec, identity),
            "annotations": provenance(spec, identity),
        },
        "spec": {
            "schedulerName": spec.cluster.scheduler,
            "queue": spec.cluster.queue,
            **optional("priorityClassName", spec.cluster.priority_class),
            "minAvailable": nodes,
            # maxRetry counts attempts: the first one and its restarts.
            "maxRetry": spec.job.restarts + 1,
            **optional("ttlSecondsAfterFinished", spec.job.ttl),
            "policies": policies(spec),
            **optional("plugins", plugins(spec)),
            **optional("networkTopology", network_topology(spec)),
            "tasks": [task(inputs, mounted)],
        },
    }


def labels(spec: Spec, identity: Identity) -> dict[str, str]:
    """Return the labels that find the run and its fellows; never `instance`, which Argo CD claims for itself."""
    return {
        "app.kubernetes.io/managed-by": "ftgen",
        "app.kubernetes.io/part-of": kube.label_value(identity.folder),
        "ftgen.dev/run": kube.label_value(identity.stem),
        **spec.cluster.labels,
    }


def provenance(spec: Spec, identity: Identity) -> dict[str, str]:
    """Return the annotations that rebuild the manifest: command line, digest of the configuration, version of ftgen."""
    return {
        record.VERSION: identity.version,
        record.DIGEST: f"sha256:{identity.digest}",
        record.OVERRIDES: json_text(identity.overrides),
        **optional(record.SWEEP, sweep(identity)),
        **spec.cluster.annotations,
    }


def sweep(identity: Identity) -> str | None:
    """Return where the run stands in its sweep, as JSON text, so that it can be rendered again alone."""
    if not identity.label:
        return None
    return json_text({"name": identity.folder, "label": identity.label, "swept": sorted(identity.swept)})


def policies(spec: Spec) -> list[Object]:
    """Return what Volcano does to the job when a pod ends, the first match first (job_controller_util.go).

    A drained or preempted pod fails with 143 before it is evicted, and a pod of a lost node with no exit code at all:
    both reach PodFailed.  Where the workspace goes with the pod, `auto` therefore restarts the job, except for the exit
    codes by which train.sh and the kernel name the training's own fault: 1, and 137 for memory.
    """
    restart = "RestartJob" if spec.job.restarts else "TerminateJob"
    on_failure = restart if spec.job.on_failure in {"auto", "RestartJob"} else spec.job.on_failure
    codes: dict[int, str] = {}
    if spec.job.on_failure == "auto" and is_temporary(spec, spec.storage.workspace):
        codes = dict.fromkeys(_OWN_FAULTS, "TerminateJob")
    elif spec.job.restarts and on_failure != restart:
        codes = {_TERMINATED: restart}
    return [
        *({"exitCode": code, "action": action} for code, action in codes.items() if action != on_failure),
        {"event": "PodEvicted", "action": restart},
        {"event": "PodFailed", "action": on_failure},
    ]


def plugins(spec: Spec) -> dict[str, list[str]] | None:
    """Return the plugins by which several nodes find each other: names (svc) and ranks (env).

    Addresses are published before readiness: a node whose download takes longer must still resolve.
    """
    if spec.hardware.nodes == 1:
        return None
    return {"env": [], "svc": ["--publish-not-ready-addresses=true"]}


def network_topology(spec: Spec) -> Object | None:
    """Return how near to each other the pods are placed, by Volcano's HyperNodes; None for one pod."""
    wanted = spec.cluster.network_topology
    if wanted is None or spec.hardware.nodes == 1:
        return None
    return {"mode": wanted.mode, **optional("highestTierAllowed", wanted.highest_tier)}


def task(inputs: Inputs, mounted: Object | None) -> Object:
    """Make the only task: a pod on each node."""
    spec = inputs.spec
    return {
        "name": TASK,
        "replicas": spec.hardware.nodes,
        "minAvailable": spec.hardware.nodes,
        # Written because admission would write it: restarts in place, which restartPolicy Never rules out.
        "maxRetry": 3,
        "template": {
            "metadata": {"labels": {**run_label(inputs.identity), **spec.cluster.labels}},
            "spec": pod(inputs, mounted),
        },
    }
