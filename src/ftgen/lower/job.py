"""The VolcanoJob: metadata, policies, plugins and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ftgen.config import pins
from ftgen.lower import record
from ftgen.lower.launch import SSH_KEYS, SSH_PORT
from ftgen.lower.objects import MASTER, TASK, WORKER, Identity, Inputs, Object, json_text, optional, run_label
from ftgen.lower.pod import pod
from ftgen.lower.storage import is_temporary
from ftgen.spec import NetworkTopology, Spec
from ftgen.text import kube

# Exit codes of train.sh for a fault of the training's own, and of a container that the kernel killed for its memory.
_OWN_FAULTS = (1, 137)
# Exit code after SIGTERM: a drain, a preemption, a shutdown of the node.
_TERMINATED = 143


def job(inputs: Inputs, mounted: Object | None) -> Object:
    """Make the VolcanoJob: all of its pods start or none; `mounted` is the ConfigMap of its scripts."""
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
            **optional("networkTopology", network_topology(spec.cluster.network_topology if nodes > 1 else None)),
            "tasks": tasks(inputs, mounted),
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
        **optional(record.PINS, pins.annotation(identity.pins)),
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
    """Return the plugins by which several nodes find each other: names (svc), ranks (env), and the launcher's own.

    Addresses are published before readiness: a node whose download takes longer must still resolve.
    """
    if spec.hardware.nodes == 1:
        return None
    own = _LAUNCHER_PLUGINS[spec.trainer.launcher](spec) if spec.hardware.has_master else {}
    return {"env": [], "svc": ["--publish-not-ready-addresses=true"], **own}


def _pytorch(spec: Spec) -> dict[str, list[str]]:
    return {"pytorch": [*_ROLES, f"--port={spec.network.master_port}"]}


def _mpi(_: Spec) -> dict[str, list[str]]:
    """Return the plugins of mpirun: the workers' names, and keys by which the master reaches them.

    The port is none that takes root, or that the node itself listens on.
    """
    ssh = [f"--ssh-key-file-path={SSH_KEYS}", f"--ssh-port={SSH_PORT}"]
    return {"mpi": [*_ROLES, f"--port={SSH_PORT}"], "ssh": ssh}


_ROLES = (f"--master={MASTER}", f"--worker={WORKER}")
# Not Volcano's ray plugin: it replaces the command of the containers by `ray start --block`, which never ends.
_LAUNCHER_PLUGINS: Mapping[str, Callable[[Spec], dict[str, list[str]]]] = {
    "pytorch": _pytorch,
    "mpi": _mpi,
    "ray": lambda _: {},
}


def network_topology(wanted: NetworkTopology | None) -> Object | None:
    """Return how near to each other pods are placed, by Volcano's HyperNodes."""
    if wanted is None:
        return None
    tier = optional("highestTierAllowed", wanted.highest_tier)
    return {"mode": wanted.mode, **tier, **optional("highestTierName", wanted.highest_tier_name)}


def partition_policy(spec: Spec) -> Object | None:
    """Return the groups of the pods of a task; all of them start, as the whole job does."""
    partition = spec.hardware.partition
    if partition is None:
        return None
    groups = spec.hardware.nodes // partition.size
    return {
        "totalPartitions": groups,
        "partitionSize": partition.size,
        "minPartitions": groups,
        **optional("networkTopology", network_topology(partition.network_topology)),
    }


def tasks(inputs: Inputs, mounted: Object | None) -> list[Object]:
    """Make the tasks: all pods are one, or the first is the master, whose end is the job's.  Their pods are equal."""
    nodes, template = inputs.spec.hardware.nodes, pod_template(inputs, mounted)
    if not inputs.spec.hardware.has_master:
        return [{**task(TASK, nodes, template), **optional("partitionPolicy", partition_policy(inputs.spec))}]
    end = {"policies": [{"event": "TaskCompleted", "action": "CompleteJob"}]}
    return [{**task(MASTER, 1, template), **end}, task(WORKER, nodes - 1, template)]


def pod_template(inputs: Inputs, mounted: Object | None) -> Object:
    """Make the template of the pods."""
    labels = {**run_label(inputs.identity), **inputs.spec.cluster.labels}
    return {"metadata": {"labels": labels}, "spec": pod(inputs, mounted)}


def task(name: str, replicas: int, template: Object) -> Object:
    """Make a task of pods that start together."""
    return {
        "name": name,
        "replicas": replicas,
        "minAvailable": replicas,
        # Written because admission would write it: restarts in place, which restartPolicy Never rules out.
        "maxRetry": 3,
        "template": template,
    }
