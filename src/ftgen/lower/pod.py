"""Pod of one node: an init container that fetches, and a container that trains."""

from __future__ import annotations

from collections.abc import Mapping

from ftgen.lower import security
from ftgen.lower.devices import device_claims, resources
from ftgen.lower.environment import (
    dataset_variables,
    fetch_variables,
    job_name_variable,
    space_variables,
    training_variables,
)
from ftgen.lower.launch import training_arguments, training_command
from ftgen.lower.objects import TASK, Identity, Inputs, Object, optional, run_label
from ftgen.lower.scripts import command, scripts_mount, scripts_volume
from ftgen.lower.storage import ca_mount, cache_mount, fetches, models_mount, node_selector, volumes
from ftgen.lower.tracking import tracking_mount, tracking_volume
from ftgen.spec import Spec

# User and group of pods that may not run as root; any but 0 is valid.
_USER = 1000


def pod(inputs: Inputs, mounted: Object | None) -> Object:
    """Return the pod of one node, which fetches, then trains; `mounted` is the ConfigMap of its scripts.

    The kubelet restarts nothing, so that Volcano's policies see failures.
    """
    spec, identity = inputs.spec, inputs.identity
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec.job.grace_period,
        **optional("schedulerName", spec.hardware.scheduler),
        # On the host network, only this policy resolves names of the cluster.
        **({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} if spec.network.host else {}),
        **optional("securityContext", pod_security(spec)),
        **optional("nodeSelector", dict(spec.cluster.node_selector)),
        **optional("affinity", affinity(spec, run_label(identity))),
        **optional("topologySpreadConstraints", topology_spread(spec, identity)),
        **optional("tolerations", tolerations(spec)),
        **optional("imagePullSecrets", [{"name": name} for name in spec.cluster.image_pull_secrets]),
        **optional("resourceClaims", device_claims(spec)),
        "volumes": [*volumes(spec), *tracking_volume(spec), *scripts_volume(mounted)],
        **optional("initContainers", [prepare(inputs)] if fetches(spec) else []),
        "containers": [train(inputs)],
    }


def tolerations(spec: Spec) -> list[Object]:
    """Return the tolerations of the cluster, and those of the taints on nodes with these cards.

    Both come from here and not from overlays: the list has no merge key, so that a patch replaces it.
    """
    of_cards = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in spec.hardware.taints]
    of_cluster = [dict(toleration) for toleration in spec.cluster.tolerations]
    return [*of_cluster, *(toleration for toleration in of_cards if toleration not in of_cluster)]


def affinity(spec: Spec, labels: Mapping[str, str]) -> Object | None:
    """Return the affinity to nodes of the cluster and the cards, and for several nodes the pods' anti-affinity.

    `labels` select the pods.
    """
    requirements = (*spec.cluster.node_affinity, *spec.hardware.card.nodes)
    required = {"requiredDuringSchedulingIgnoredDuringExecution": node_selector(requirements)}
    return {
        **({"nodeAffinity": required} if requirements else {}),
        **({"podAntiAffinity": pod_anti_affinity(spec, labels)} if spec.hardware.nodes > 1 else {}),
    }


def pod_anti_affinity(spec: Spec, labels: Mapping[str, str]) -> Object:
    """Return the anti-affinity of the pods: required if each fills a node or opens ports of it, else preferred."""
    term = {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": "kubernetes.io/hostname"}
    if spec.hardware.devices == spec.hardware.card.per_node or spec.network.host:
        return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def topology_spread(spec: Spec, identity: Identity) -> list[Object]:
    """Return the spread of pods over parts of the cluster, such as racks; never required, as the gang starts as one."""
    if spec.hardware.nodes == 1:
        return []
    common = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": run_label(identity)},
    }
    return [{**common, "topologyKey": label} for label in spec.cluster.topology_spread]


def pod_security(spec: Spec) -> Object | None:
    """Return a pod's fields for the restricted level: no root, own group on volumes, the runtime's seccomp profile."""
    if not security.is_restricted(spec):
        return None
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        # A models volume has thousands of files: change their group once, not at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(spec: Spec, *capabilities: str) -> Object | None:
    """Return a container's fields for the restricted level, and its capabilities."""
    restricted = security.is_restricted(spec)
    changed = {**({"drop": ["ALL"]} if restricted else {}), **optional("add", list(capabilities))}
    return {**({"allowPrivilegeEscalation": False} if restricted else {}), **optional("capabilities", changed)}


def pull_policy(spec: Spec, image: str) -> str | None:
    """Return when the kubelet pulls an image; None where Kubernetes decides the same by the image's tag."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    default = "Always" if not digest and tag in {"", "latest"} else "IfNotPresent"
    return None if spec.cluster.image_pull_policy == default else spec.cluster.image_pull_policy


def prepare(inputs: Inputs) -> Object:
    """Return the init container that fetches model and data set."""
    spec = inputs.spec
    env = [*fetch_variables(spec), *dataset_variables(inputs), *space_variables(spec)]
    return init_container(spec, env, inputs.scripts[spec.trainer.prepare_script])


def init_container(spec: Spec, env: list[Object], script: str) -> Object:
    """Return a container that fetches to the models volume, without a card; `script` is the text of its script."""
    return {
        "name": "prepare",
        "image": spec.hardware.image,
        **optional("imagePullPolicy", pull_policy(spec, spec.hardware.image)),
        "env": env,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        **optional("securityContext", container_security(spec)),
        "volumeMounts": [*models_mount(spec), *cache_mount(spec), *ca_mount(spec), *scripts_mount(spec)],
        "command": command(spec, spec.trainer.prepare_script, script),
    }


def train(inputs: Inputs) -> Object:
    """Return the container that trains, merges and pushes."""
    spec = inputs.spec
    mounts = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount point that collectives use
        *models_mount(spec),
        {"name": "workspace", "mountPath": spec.storage.workspace.path},
        *cache_mount(spec),
        *tracking_mount(spec),
    ]
    # RDMA registers memory, which must not be paged out.
    capabilities = ("IPC_LOCK",) if spec.network.rdma_resource else ()
    return {
        "name": TASK,
        "image": spec.hardware.image,
        **optional("imagePullPolicy", pull_policy(spec, spec.hardware.image)),
        "env": [job_name_variable(), *fetch_variables(spec), *training_variables(inputs)],
        "resources": resources(spec),
        **optional("securityContext", container_security(spec, *capabilities)),
        "volumeMounts": [*mounts, *ca_mount(spec), *scripts_mount(spec)],
        "command": training_command(spec, inputs.scripts[spec.trainer.script]),
        **optional("args", training_arguments(spec)),
    }
