"""Lowering: from what the user asked for to Kubernetes objects, plain dicts that read like their YAML.

One function an object or part of one.  Everything that Volcano's admission would fill in is written, and
quantities are canonical, so that a second apply changes nothing (Volcano's job webhook fills in tasks only
on creation and refuses the difference on update).  The job has no name yet: `naming` gives it one made of
its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ftgen import kube, record, yamlio
from ftgen.recall import recalled
from ftgen.spec import Command, ModelCache, NodeRequirement, PerCard, SecretReference, Spec, UnitResource, Volume
from ftgen.trainers import llamafactory

TASK = "train"
SCRIPTS = "/opt/ftgen"
"""Where the containers find the scripts that lie in a ConfigMap."""
# The folder that train.sh writes to unless it is told another.
_OUTPUT = "output_models"
# The user and group of pods that may not run as root; any but 0 passes.
_USER = 1000
# The groups that decide what is trained, and so may show in what Volcano holds immutable.
_TRAINED = ("model", "dataset", "trainer", "hardware")
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a run is, whatever its content: what labels and annotations say of it.

    Attributes:
        folder: the folder under out/, and the base of the name.
        label: what tells it from the other points of a sweep; empty for a single job.
        overrides: the command line that made it.
        choices: the options chosen, by group.
        digest: sha256 of the resolved configuration.
        version: ftgen's.
        swept: the keys that the sweep varies, with this point's values as text.
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    digest: str
    version: str
    swept: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name before its content hash."""
        return f"{self.folder}-{self.label}" if self.label else self.folder


@dataclass(frozen=True, slots=True)
class Bundle:
    """The objects of one run: the job, and what comes with it.

    Attributes:
        job: the VolcanoJob, or the plain Job made of it.
        companions: what must be there before the job: claims of storage and devices, and its scripts.
    """

    job: Object
    companions: tuple[Object, ...] = ()

    @property
    def objects(self) -> tuple[Object, ...]:
        """All of them, in the order they are applied."""
        return (*self.companions, self.job)


def lower(spec: Spec, identity: Identity, scripts: Mapping[str, str]) -> Bundle:
    """The objects of one run.

    Args:
        spec: what is wanted.
        identity: who the run is.
        scripts: texts of the trainer's scripts by file name.
    """
    mounted = config_map(spec, identity.folder, scripts) if is_mounted(spec) else None
    return Bundle(job(spec, identity, scripts, mounted), (*claims(spec), *((mounted,) if mounted else ())))


def is_mounted(spec: Spec) -> bool:
    """Return whether the scripts lie in a ConfigMap: not where a run is submitted by hand, as one object."""
    if spec.job.scripts == "auto":
        return spec.delivery.reconciler != "kubectl"
    return spec.job.scripts == "configmap"


@recalled
def config_map(spec: Spec, folder: str, scripts: Mapping[str, str]) -> Object:
    """Make the ConfigMap of the scripts, which all runs of a folder with the same scripts share.

    It is immutable, so that no commit changes what a waiting or restarted pod runs, and named by its content, which
    makes another script another run.
    """
    labels, namespace = _managed(spec), spec.cluster.namespace
    digest = kube.digest(_json({"namespace": namespace, "labels": labels, "data": scripts}))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{folder}-scripts-{digest}", "namespace": namespace, "labels": labels},
        "immutable": True,
        "data": dict(scripts),
    }


@recalled
def claims(spec: Spec) -> tuple[Object, ...]:
    """What is created with the job and outlives it: claims, volumes that no class provides, templates of devices."""
    return tuple(_claims(spec))


def _claims(spec: Spec) -> Iterator[Object]:
    for volume in (spec.storage.models, spec.storage.workspace):
        if volume.create and not is_temporary(spec, volume):
            if volume.nfs:
                share = {"nfs": volume.nfs.model_dump()}
                yield persistent_volume(spec, volume.claim, volume.size, volume.access_mode, share)
            yield claim(spec, volume)
    if spec.storage.cache and spec.storage.cache.create:
        yield from cache_claim(spec, spec.storage.cache)
    if spec.hardware.resources.device_class:
        yield device_template(spec, spec.hardware.resources.device_class)


def job(spec: Spec, identity: Identity, scripts: Mapping[str, str], mounted: Object | None) -> Object:
    """The VolcanoJob: one task, all of its pods or none; `mounted` is the ConfigMap of its scripts."""
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
            **_given("priorityClassName", spec.cluster.priority_class),
            "minAvailable": nodes,
            # maxRetry counts attempts: the first one and its restarts.
            "maxRetry": spec.job.restarts + 1,
            **_given("ttlSecondsAfterFinished", spec.job.ttl),
            "policies": policies(spec),
            **_given("plugins", plugins(spec)),
            **_given("networkTopology", network_topology(spec)),
            "tasks": [task(spec, identity, scripts, mounted)],
        },
    }


def labels(spec: Spec, identity: Identity) -> dict[str, str]:
    """Labels to find the run and its fellows by; never `instance`, which Argo CD claims for itself."""
    return {
        "app.kubernetes.io/managed-by": "ftgen",
        "app.kubernetes.io/part-of": kube.label_value(identity.folder),
        "ftgen.dev/run": kube.label_value(identity.stem),
        **spec.cluster.labels,
    }


def provenance(spec: Spec, identity: Identity) -> dict[str, str]:
    """What rebuilds the manifest: the command line, the configuration's digest, the tool's version."""
    return {
        record.VERSION: identity.version,
        record.DIGEST: f"sha256:{identity.digest}",
        record.OVERRIDES: _json(identity.overrides),
        **_given(record.SWEEP, sweep(identity)),
        **spec.cluster.annotations,
    }


def sweep(identity: Identity) -> str | None:
    """Where the run stands in its sweep, so that it can be rendered again alone."""
    if not identity.label:
        return None
    return _json({"name": identity.folder, "label": identity.label, "swept": sorted(identity.swept)})


@recalled
def policies(spec: Spec) -> list[Object]:
    """One pod lost is a job lost: the others would wait in a collective for ever."""
    on_failure = spec.job.on_failure
    if on_failure == "auto":
        on_failure = "TerminateJob" if is_temporary(spec, spec.storage.workspace) else "RestartJob"
    restarts = spec.job.restarts > 0
    return [
        {"event": "PodEvicted", "action": "RestartJob" if restarts else "TerminateJob"},
        {"event": "PodFailed", "action": on_failure if restarts or on_failure != "RestartJob" else "TerminateJob"},
    ]


def plugins(spec: Spec) -> dict[str, list[str]] | None:
    """What several nodes need to find each other: names (svc) and ranks (env).

    Addresses are published before readiness: a node whose download takes longer must still resolve.
    """
    if spec.hardware.nodes == 1:
        return None
    return {"env": [], "svc": ["--publish-not-ready-addresses=true"]}


def network_topology(spec: Spec) -> Object | None:
    """How near to each other the pods are placed, by Volcano's HyperNodes; one pod is near to itself."""
    wanted = spec.cluster.network_topology
    if wanted is None or spec.hardware.nodes == 1:
        return None
    return {"mode": wanted.mode, **_given("highestTierAllowed", wanted.highest_tier)}


def task(spec: Spec, identity: Identity, scripts: Mapping[str, str], mounted: Object | None) -> Object:
    """The only task: a pod on each node."""
    return {
        "name": TASK,
        "replicas": spec.hardware.nodes,
        "minAvailable": spec.hardware.nodes,
        # Written because admission would write it: restarts in place, which restartPolicy Never rules out.
        "maxRetry": 3,
        "template": {
            "metadata": {"labels": {**_run(identity), **spec.cluster.labels}},
            "spec": pod(spec, identity, scripts, mounted),
        },
    }


def pod(spec: Spec, identity: Identity, scripts: Mapping[str, str], mounted: Object | None) -> Object:
    """One node's pod: fetch, then train; the kubelet restarts nothing, so that Volcano's policies see failures."""
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec.job.grace_period,
        **_given("schedulerName", spec.hardware.scheduler),
        # With the node's own network names resolve through the cluster only where the policy says so.
        **({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} if spec.network.host else {}),
        **_given("securityContext", pod_security(spec)),
        **_given("nodeSelector", dict(spec.cluster.node_selector)),
        **_given("affinity", affinity(spec, identity)),
        **_given("topologySpreadConstraints", spread(spec, identity)),
        **_given("tolerations", tolerations(spec)),
        **_given("imagePullSecrets", [{"name": name} for name in spec.cluster.image_pull_secrets]),
        **_given("resourceClaims", device_claims(spec)),
        "volumes": [*volumes(spec), *_scripts_volume(mounted)],
        "initContainers": [prepare(spec, scripts[spec.trainer.prepare_script])],
        "containers": [train(spec, identity, scripts[spec.trainer.script])],
    }


def tolerations(spec: Spec) -> list[Object]:
    """The cluster's, and those that the nodes with these cards ask for.

    Both are lowered here, because a patch of tolerations replaces them: their list has no key to merge by.
    """
    own = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in spec.hardware.taints]
    said = [dict(each) for each in spec.cluster.tolerations]
    return [*said, *(each for each in own if each not in said)]


def affinity(spec: Spec, identity: Identity) -> Object | None:
    """Which nodes will do, and that the pods of one job keep apart."""
    wanted = (*spec.cluster.node_affinity, *spec.hardware.card.nodes)
    required = {"requiredDuringSchedulingIgnoredDuringExecution": node_selector(wanted)}
    return {
        **({"nodeAffinity": required} if wanted else {}),
        **({"podAntiAffinity": apart(spec, identity)} if spec.hardware.nodes > 1 else {}),
    }


def node_selector(requirements: Iterable[NodeRequirement]) -> Object:
    """Nodes that meet all of the requirements."""
    expressions = [r.model_dump(exclude_defaults=True, mode="json") for r in requirements]
    return {"nodeSelectorTerms": [{"matchExpressions": expressions}]}


def apart(spec: Spec, identity: Identity) -> Object:
    """Required where each pod fills a node or opens ports of it, preferred where neither is so."""
    term = {"labelSelector": {"matchLabels": _run(identity)}, "topologyKey": "kubernetes.io/hostname"}
    if spec.hardware.devices == spec.hardware.card.per_node or spec.network.host:
        return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def spread(spec: Spec, identity: Identity) -> list[Object]:
    """Over which parts of the cluster the pods are spread; never at the price of waiting: the gang starts as one."""
    if spec.hardware.nodes == 1:
        return []
    common = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": _run(identity)}}
    return [{**common, "topologyKey": label} for label in spec.cluster.topology_spread]


def pod_security(spec: Spec) -> Object | None:
    """What the restricted level asks of a pod: no root, its own group on volumes, the runtime's seccomp profile."""
    if spec.cluster.pod_security != "restricted":
        return None
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        # A models volume holds files by the thousand: they are given to the group once, not at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(spec: Spec, *capabilities: str) -> Object | None:
    """What the restricted level asks of a container, and the capabilities that it needs."""
    restricted = spec.cluster.pod_security == "restricted"
    changed = {**({"drop": ["ALL"]} if restricted else {}), **_given("add", list(capabilities))}
    return {**({"allowPrivilegeEscalation": False} if restricted else {}), **_given("capabilities", changed)}


@recalled
def volumes(spec: Spec) -> list[Object]:
    """Volumes of the pod's template: those of the job itself never reach an init container."""
    return list(_volumes(spec))


def _volumes(spec: Spec) -> Iterator[Object]:
    yield {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory(spec)}}
    yield {"name": "models-cache", **source(spec, spec.storage.models)}
    yield {"name": "workspace", **source(spec, spec.storage.workspace)}
    if spec.storage.cache:
        yield {"name": "base-model", "persistentVolumeClaim": {"claimName": spec.storage.cache.claim, "readOnly": True}}
    if spec.cluster.git.ca_config_map:
        yield {"name": "git-ca", "configMap": {"name": spec.cluster.git.ca_config_map}}


def _scripts_volume(mounted: Object | None) -> list[Object]:
    return [{"name": "scripts", "configMap": {"name": mounted["metadata"]["name"]}}] if mounted else []


def source(spec: Spec, volume: Volume) -> Object:
    """A claim that stays, or a temporary one for each pod where there is none or the nodes cannot share it."""
    if volume.host_path:
        return {"hostPath": {"path": volume.host_path, "type": "DirectoryOrCreate"}}
    if volume.empty_dir:
        return {"emptyDir": {"sizeLimit": volume.size}}
    if is_temporary(spec, volume):
        return {"ephemeral": {"volumeClaimTemplate": {"spec": claim_spec(spec, volume)}}}
    return {"persistentVolumeClaim": {"claimName": volume.claim}}


def is_temporary(spec: Spec, volume: Volume) -> bool:
    """Whether each pod gets a volume of its own, deleted with it."""
    if volume.host_path:
        return False
    return volume.claim is None or (spec.storage.node_local and spec.hardware.nodes > 1)


def persistent_volume(spec: Spec, name: str | None, size: str, access_mode: str, source: Object) -> Object:
    """A volume that no class provides, kept for the claim of the same name; deleting the claim keeps the data."""
    kept_for = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": spec.cluster.namespace, "name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{spec.cluster.namespace}-{name}", "labels": _managed(spec)},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": [access_mode],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Retain",
            # No class at all, else the default class would provide another volume.
            "storageClassName": "",
            "claimRef": kept_for,
            **source,
        },
    }


def cache_claim(spec: Spec, cache: ModelCache) -> Iterator[Object]:
    """A claim on the nodes' cache of models, in the job's own namespace.

    KServe's own claims on it exist only while an InferenceService uses them.  One claim serves several nodes
    because its volume is the same folder on all of them.
    """
    source = {"local": {"path": cache.path}, "nodeAffinity": {"required": node_selector(cache.nodes)}}
    yield persistent_volume(spec, cache.claim, cache.size, "ReadOnlyMany", source)
    yield _claim(spec, cache.claim, _bound(spec, cache.claim, cache.size, "ReadOnlyMany"))


def claim(spec: Spec, volume: Volume) -> Object:
    """A PersistentVolumeClaim that is created with the job and outlives it."""
    if volume.nfs:
        return _claim(spec, volume.claim, _bound(spec, volume.claim, volume.size, volume.access_mode))
    return _claim(spec, volume.claim, claim_spec(spec, volume))


def _claim(spec: Spec, name: str | None, wanted: Object) -> Object:
    metadata = {"name": name, "namespace": spec.cluster.namespace, "labels": _managed(spec)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": wanted}


def _bound(spec: Spec, name: str | None, size: str, access_mode: str) -> Object:
    """What is claimed of the volume that was made for this claim."""
    return {
        "accessModes": [access_mode],
        "storageClassName": "",
        "volumeName": f"{spec.cluster.namespace}-{name}",
        "resources": {"requests": {"storage": size}},
    }


def claim_spec(spec: Spec, volume: Volume) -> Object:
    """What is claimed: mode, class and size."""
    return {
        "accessModes": [volume.access_mode],
        **_given("storageClassName", spec.storage.storage_class),
        "resources": {"requests": {"storage": volume.size}},
    }


def device_template(spec: Spec, device_class: str) -> Object:
    """What each pod claims of a device class (dynamic resource allocation, Kubernetes 1.34)."""
    wanted = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": spec.hardware.devices}
    name = device_template_name(spec)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name, "namespace": spec.cluster.namespace, "labels": _managed(spec)},
        "spec": {"spec": {"devices": {"requests": [{"name": "cards", "exactly": wanted}]}}},
    }


def device_template_name(spec: Spec) -> str:
    """Named by what it claims, since a template cannot be changed; jobs that claim the same share it."""
    return kube.slug(f"{spec.hardware.resources.device_class}-{spec.hardware.devices}", 63)


def device_claims(spec: Spec) -> list[Object]:
    """The pod's own claims of devices."""
    if not spec.hardware.resources.device_class:
        return []
    return [{"name": "cards", "resourceClaimTemplateName": device_template_name(spec)}]


def shared_memory(spec: Spec) -> str:
    """Size of /dev/shm: collectives of several cards need 4Gi at least, and 2Gi for each card."""
    if spec.storage.shm != "auto":
        return spec.storage.shm
    return f"{max(2 * spec.hardware.devices, 4 if spec.world_size > 1 else 2)}Gi"


@recalled
def prepare(spec: Spec, script: str) -> Object:
    """The init container that fetches model and data set; downloads need no card."""
    models = {"name": "models-cache", "mountPath": spec.storage.models.path}
    return {
        "name": "prepare",
        "image": spec.hardware.image,
        "imagePullPolicy": spec.cluster.image_pull_policy,
        "env": [*fetching(spec), *described(spec), *needs(spec)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        **_given("securityContext", container_security(spec)),
        "volumeMounts": [models, *_cache_mount(spec), *_ca_mount(spec), *_scripts_mount(spec)],
        "command": command(spec, spec.trainer.prepare_script, script),
    }


def train(spec: Spec, identity: Identity, script: str) -> Object:
    """The container that trains, merges and pushes."""
    mounts = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount point that collectives use
        {"name": "models-cache", "mountPath": spec.storage.models.path},
        {"name": "workspace", "mountPath": spec.storage.workspace.path},
        *_cache_mount(spec),
    ]
    # RDMA registers memory that must not be paged out.
    capabilities = ("IPC_LOCK",) if spec.network.rdma_resource else ()
    return {
        "name": TASK,
        "image": spec.hardware.image,
        "imagePullPolicy": spec.cluster.image_pull_policy,
        "env": [_job_name(), *fetching(spec), *training(spec, identity)],
        "resources": resources(spec),
        **_given("securityContext", container_security(spec, *capabilities)),
        "volumeMounts": [*mounts, *_ca_mount(spec), *_scripts_mount(spec)],
        "command": command(spec, spec.trainer.script, script),
        **_given("args", arguments(spec)),
    }


def command(spec: Spec, name: str, script: str) -> list[str]:
    """Run a script: the mounted file, or its text where the job is one object."""
    return ["/bin/bash", f"{SCRIPTS}/{name}"] if is_mounted(spec) else ["/bin/bash", "-c", kube.escape_dollars(script)]


def arguments(spec: Spec) -> list[str]:
    """List the arguments of the script that trains: the vendor's command."""
    words = [kube.escape_dollars(word) for word in spec.trainer.command]
    # After the text of a script, the first argument is the name that the script goes by.
    return [TASK, *words] if words and not is_mounted(spec) else words


@recalled
def fetching(spec: Spec) -> list[Object]:
    """Environment of both containers: what to fetch, and the secret that opens the git host."""
    git = spec.cluster.git
    models = spec.storage.models.path
    cached = spec.storage.cache is not None
    return [
        *_env(
            BASE_MODEL_URL="" if cached else spec.model.url or "",
            MODEL_REVISION=None if cached else spec.model.revision,
            MODEL_DIR=f"{models}/{spec.model.directory}",
            DATASET_URL=spec.dataset.url or "",
            DATASET_REVISION=spec.dataset.revision,
            DATASET_DIR=f"{models}/{spec.dataset.directory}",
        ),
        _secret("GIT_USER", git.secret, git.user_key),
        _secret("GIT_TOKEN", git.secret, git.token_key),
        *_env(
            GIT_SSL_NO_VERIFY=None if git.tls_verify else "true",
            GIT_SSL_CAINFO="/etc/ftgen/ca/ca.crt" if git.ca_config_map and git.tls_verify else None,
        ),
    ]


def _job_name() -> Object:
    return {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['volcano.sh/job-name']"}}}


def needs(spec: Spec) -> list[Object]:
    """Free space to check before a download, a tenth more than the files: their LFS objects become the files."""
    weights = spec.model.parameters * {"float32": 4}.get(spec.model.dtype, 2)
    data = kube.parse_quantity(spec.dataset.size)
    model = None if spec.storage.cache else _mebibytes(weights * Fraction(11, 10))
    return _env(MODEL_NEEDS_MIB=model, DATASET_NEEDS_MIB=_mebibytes(data * Fraction(11, 10)))


def described(spec: Spec) -> list[Object]:
    """Which entry of dataset_info.json to write where there is none, and which must be there before training."""
    names = None if isinstance(spec.trainer, Command) else llamafactory.datasets(spec)
    return _env(DATASET_INFO=dataset_info(spec), DATASET_NAMES=names)


def dataset_info(spec: Spec) -> str | None:
    """The data set's entry for dataset_info.json, as JSON text."""
    if spec.dataset.info is None:
        return None
    return _json({spec.dataset.name: spec.dataset.info.model_dump(exclude_none=True)})


def training(spec: Spec, identity: Identity) -> Iterator[Object]:
    """Environment of the training: its configurations, its ranks, its tracking, its push.

    What the script takes for granted, such as one process on one node, is left out: a reviewer reads what is special.
    """
    yield from places(spec)
    yield from _framework(spec)
    yield from ranks(spec)
    yield from _tracking(spec, identity)
    if spec.model.output_url:
        yield from _env(OUTPUT_MODEL_URL=spec.model.output_url)
        yield {"name": "MODEL_CARD", "value": model_card(spec, identity)}
    yield from collectives(spec)


@recalled
def places(spec: Spec) -> list[Object]:
    """Where the training works and writes."""
    workspace = spec.storage.workspace
    # Several jobs may share a claim that stays; a temporary one belongs to its pod.
    own = "" if is_temporary(spec, workspace) else f"/{llamafactory.JOB_NAME}"
    work = {"name": "WORK_DIR", "value": f"{workspace.path}{own}"}
    output = spec.trainer.output if spec.trainer.output != _OUTPUT else None
    return [work, *_env(SOURCE_FILES=" ".join(spec.hardware.source) or None, OUTPUT_DIR=output)]


@recalled
def ranks(spec: Spec) -> list[Object]:
    """How many processes there are, and how they find each other."""
    several, cards = spec.hardware.nodes > 1, spec.hardware.devices
    return _env(
        NNODES=str(spec.hardware.nodes) if several else None,
        NPROC_PER_NODE=str(cards) if several or cards > 1 else None,
        # On the nodes' own network the processes of one pod may meet another pod's, too.
        MASTER_PORT=str(spec.network.master_port) if several or spec.network.host else None,
        PEER_TIMEOUT=str(spec.job.peer_timeout) if several else None,
    )


@recalled
def collectives(spec: Spec) -> list[Object]:
    """The settings of the network in the words of the vendor's library of collectives, and the hardware's own."""
    return [*_collectives(spec), *(variable(name, value) for name, value in spec.hardware.env.items())]


def variable(name: str, value: str | SecretReference) -> Object:
    """An environment variable: its value, or where in which Secret it lies."""
    if isinstance(value, SecretReference):
        return _secret(name, value.secret, value.key, optional=value.optional)
    return {"name": name, "value": kube.escape_dollars(value)}


def _collectives(spec: Spec) -> Iterator[Object]:
    names = spec.hardware.collectives
    for setting in ("interface", "adapters", "gid_index", "connect_timeout", "log_level"):
        name, value = getattr(names, setting), getattr(spec.network, setting)
        if name and value is not None:
            yield from _env(**{name: str(value)})
    if names.host_address and spec.network.host:
        yield {"name": names.host_address, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


@recalled
def resources(spec: Spec) -> Object:
    """Requests and limits of the training container: host resources by card, and the cards themselves.

    The card count is requested as well as limited, because Volcano's queues count requests only; shares of
    memory and compute are limits alone, because no node advertises them.
    """
    cards, each = spec.hardware.devices, spec.hardware.per_card
    count = {spec.hardware.counted: str(cards)} if spec.hardware.counted else {}
    if spec.network.rdma_resource:
        count[spec.network.rdma_resource] = str(spec.network.rdma_devices)
    return {
        "requests": {**_host(each, "request", cards), **count},
        "limits": {**_host(each, "limit", cards), **count, **dict(shares(spec))},
        **_given("claims", [{"name": claim["name"]} for claim in device_claims(spec)]),
    }


def shares(spec: Spec) -> Iterator[tuple[str, str]]:
    """The share of each card, in the units of its device plugin."""
    hardware = spec.hardware
    if hardware.memory and hardware.resources.memory:
        yield hardware.resources.memory.name, str(units(hardware.memory, hardware.resources.memory))
    if hardware.cores and hardware.resources.cores:
        yield hardware.resources.cores.name, str(units(str(hardware.cores), hardware.resources.cores))


def units(quantity: str, resource: UnitResource) -> int:
    """A quantity counted in the resource's unit, or in its next template; callers have checked that it divides."""
    wanted = int(kube.parse_quantity(quantity) / kube.parse_quantity(resource.unit))
    return min((size for size in resource.templates if size >= wanted), default=wanted)


def plain(bundle: Bundle) -> Bundle:
    """The same work as a Job of Kubernetes' own, to try a vendor's image where there is no Volcano.

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
        **_given("ttlSecondsAfterFinished", spec.get("ttlSecondsAfterFinished")),
        "template": template,
    }
    service = (_service(job, template),) if nodes > 1 else ()
    return Bundle({**job, "apiVersion": "batch/v1", "spec": body}, (*bundle.companions, *service))


def _plain_pod(job: Object, pod: Object, nodes: int) -> Object:
    ranks = _plain_ranks(job, nodes) if nodes > 1 else []
    return {
        **pod,
        **_given("priorityClassName", job["spec"].get("priorityClassName")),
        **({"subdomain": _subdomain(job)} if ranks else {}),
        "initContainers": [_plain_container(each, []) for each in pod["initContainers"]],
        "containers": [_plain_container(each, ranks) for each in pod["containers"]],
    }


def _plain_ranks(job: Object, nodes: int) -> list[Object]:
    """What Volcano's svc and env plugins would have said."""
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
    """Names for pods: shared by the runs of one stem, whose pods have different names."""
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


def model_card(spec: Spec, identity: Identity) -> str:
    """README.md of what is pushed: what it was made of, and which job made it.

    It is part of what Volcano holds immutable, so it tells nothing that does not change the training.
    """
    # JSON is YAML too, and takes one line of the manifest.
    front = {
        "base_model": spec.model.name,
        "datasets": [spec.dataset.name],
        "tags": ["ftgen", spec.trainer.framework],
    }
    base = _pinned(spec.model.url or spec.model.name, spec.model.revision)
    data = _pinned(spec.dataset.url or spec.dataset.name, spec.dataset.revision)
    trainer = identity.choices.get("trainer", spec.trainer.framework)
    cards = f"{spec.world_size} × {_card(spec)}"  # noqa: RUF001 - the sign for times
    story = (
        f"{trainer} of {base} on {data}: {cards}, image {spec.hardware.image}, namespace {spec.cluster.namespace}.\n"
    )
    return (
        kube.escape_dollars(f"---\n{_json(front)}\n---\n")
        + f"# {llamafactory.JOB_NAME}\n\n"
        + kube.escape_dollars(story)
    )


def _card(spec: Spec) -> str:
    return spec.hardware.card.name or spec.hardware.cards or spec.hardware.vendor


def _pinned(url: str, revision: str | None) -> str:
    return f"{url} at {revision}" if revision else url


def _framework(spec: Spec) -> Iterator[Object]:
    if isinstance(spec.trainer, Command):
        return
    text = kube.escape_dollars(yamlio.dump(llamafactory.training(spec)))
    yield {"name": "TRAIN_CONFIG", "value": text + _run_name(spec)}
    export = llamafactory.export(spec)
    if export is not None:
        yield from _env(
            EXPORT_CONFIG=yamlio.dump(export),
            EXPORT_DIR=merged if (merged := str(export["export_dir"])) != f"{spec.trainer.output}_merged" else None,
            RESTORE_BASE_FILES=None if llamafactory.keeps_base_files(spec) else "false",
        )


def _run_name(spec: Spec) -> str:
    if spec.tracking.report_to == "none" or "run_name" in getattr(spec.trainer, "args", {}):
        return ""
    if spec.tracking.run_name is None:
        return f"run_name: {llamafactory.JOB_NAME}\n"
    return kube.escape_dollars(yamlio.dump({"run_name": spec.tracking.run_name}))


def _tracking(spec: Spec, identity: Identity) -> Iterator[Object]:
    if spec.tracking.report_to == "none":
        return
    yield from _env(MLFLOW_TRACKING_URI=spec.tracking.uri, MLFLOW_EXPERIMENT_NAME=spec.tracking.experiment)
    yield from _env(MLFLOW_WORKSPACE=spec.tracking.workspace)
    if spec.tracking.token:
        yield variable("MLFLOW_TRACKING_TOKEN", spec.tracking.token)
    if login := spec.tracking.login:
        yield _secret("MLFLOW_TRACKING_USERNAME", login.secret, login.user_key)
        yield _secret("MLFLOW_TRACKING_PASSWORD", login.secret, login.password_key)
    own = {f"ftgen.{group}": identity.choices[group] for group in _TRAINED if group in identity.choices}
    # MLflow's tags know no `@`.
    varied = {f"ftgen.{key.replace('@', '.')}": value for key, value in identity.swept.items()}
    tags = kube.escape_dollars(_json({"ftgen.run": identity.stem, **own, **varied, **spec.tracking.tags})[:-1])
    yield {"name": "MLFLOW_TAGS", "value": f'{tags}, "ftgen.job": "{llamafactory.JOB_NAME}"}}'}


def _cache_mount(spec: Spec) -> list[Object]:
    """The cached model where the fetched one would lie; KServe keeps each under a hash of where it came from."""
    if spec.storage.cache is None:
        return []
    folder = hashlib.sha256(spec.storage.cache.uri.encode()).hexdigest()[:16]
    path = f"{spec.storage.models.path}/{spec.model.directory}"
    return [{"name": "base-model", "mountPath": path, "subPath": f"models/{folder}", "readOnly": True}]


def _ca_mount(spec: Spec) -> list[Object]:
    return (
        [{"name": "git-ca", "mountPath": "/etc/ftgen/ca", "readOnly": True}] if spec.cluster.git.ca_config_map else []
    )


def _scripts_mount(spec: Spec) -> list[Object]:
    return [{"name": "scripts", "mountPath": SCRIPTS, "readOnly": True}] if is_mounted(spec) else []


def _env(**values: str | None) -> list[Object]:
    return [variable(name, value) for name, value in values.items() if value is not None]


def _secret(name: str, secret: str, key: str, *, optional: bool = False) -> Object:
    where = {"name": secret, "key": key, **({"optional": True} if optional else {})}
    return {"name": name, "valueFrom": {"secretKeyRef": where}}


def _run(identity: Identity) -> dict[str, str]:
    return {"ftgen.dev/run": kube.label_value(identity.stem)}


def _managed(spec: Spec) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "ftgen", **spec.cluster.labels}


def _given(key: str, value: Any) -> Object:
    return {} if value is None or value in ({}, []) else {key: value}


def _host(each: PerCard, bound: str, cards: int) -> dict[str, str]:
    return {"cpu": _times(getattr(each.cpu, bound), cards), "memory": _times(getattr(each.memory, bound), cards)}


@lru_cache(maxsize=1024)
def _times(amount: str, cards: int) -> str:
    digits = amount.rstrip("KMGTPEikmun")
    total = Fraction(digits) * cards
    number = str(total) if total.denominator == 1 else f"{float(total):.3f}"
    return kube.canonical_quantity(number + amount[len(digits) :])


def _mebibytes(amount: Fraction) -> str:
    return str(-(-amount // 2**20))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
