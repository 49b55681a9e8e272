"""Lowering: from what the user asked for to Kubernetes objects, plain dicts that read like their YAML.

One function an object or part of one.  Everything that Volcano's admission would fill in is written, and
quantities are canonical, so that a second apply changes nothing (Volcano's job webhook fills in tasks only
on creation and refuses the difference on update).  The job has no name yet: `naming` gives it one made of
its content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ftgen import kube, yamlio
from ftgen.spec import Command, Range, Spec, UnitResource, Volume
from ftgen.trainers import llamafactory

TASK = "train"
MASTER_PORT = 29500
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
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    digest: str
    version: str

    @property
    def stem(self) -> str:
        """The name before its content hash."""
        return f"{self.folder}-{self.label}" if self.label else self.folder


@dataclass(frozen=True, slots=True)
class Bundle:
    """The objects of one run: the job, and the claims that come with it."""

    job: Object
    claims: tuple[Object, ...] = ()

    @property
    def objects(self) -> tuple[Object, ...]:
        """All of them, in the order they are applied."""
        return (*self.claims, self.job)


def lower(spec: Spec, identity: Identity, scripts: Mapping[str, str]) -> Bundle:
    """The objects of one run.

    Args:
        spec: what is wanted.
        identity: who the run is.
        scripts: texts of the trainer's scripts by file name.
    """
    kept = [v for v in (spec.storage.models, spec.storage.workspace) if v.create and not is_temporary(spec, v)]
    claims = tuple(claim(spec, volume) for volume in kept)
    return Bundle(job(spec, identity, scripts), claims)


def job(spec: Spec, identity: Identity, scripts: Mapping[str, str]) -> Object:
    """The VolcanoJob: one task, all of its pods or none."""
    nodes = spec.hardware.nodes
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {
            "namespace": spec.cluster.namespace,
            "labels": labels(spec, identity),
            "annotations": annotations(spec, identity),
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
            "tasks": [task(spec, identity, scripts)],
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


def annotations(spec: Spec, identity: Identity) -> dict[str, str]:
    """What rebuilds the manifest: the command line, the configuration's digest, the tool's version."""
    return {
        "ftgen.dev/version": identity.version,
        "ftgen.dev/config-digest": f"sha256:{identity.digest}",
        "ftgen.dev/overrides": _json(identity.overrides),
        **spec.cluster.annotations,
    }


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


def task(spec: Spec, identity: Identity, scripts: Mapping[str, str]) -> Object:
    """The only task: a pod on each node."""
    return {
        "name": TASK,
        "replicas": spec.hardware.nodes,
        "minAvailable": spec.hardware.nodes,
        # Written because admission would write it: restarts in place, which restartPolicy Never rules out.
        "maxRetry": 3,
        "template": {
            "metadata": {"labels": {"ftgen.dev/run": kube.label_value(identity.stem), **spec.cluster.labels}},
            "spec": pod(spec, identity, scripts),
        },
    }


def pod(spec: Spec, identity: Identity, scripts: Mapping[str, str]) -> Object:
    """One node's pod: fetch, then train; the kubelet restarts nothing, so that Volcano's policies see failures."""
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec.job.grace_period,
        **_given("nodeSelector", dict(spec.cluster.node_selector)),
        **_given("affinity", affinity(spec, identity)),
        **_given("tolerations", [dict(t) for t in spec.cluster.tolerations]),
        **_given("imagePullSecrets", [{"name": name} for name in spec.cluster.image_pull_secrets]),
        "volumes": list(volumes(spec)),
        "initContainers": [prepare(spec, scripts[spec.trainer.prepare_script])],
        "containers": [train(spec, identity, scripts[spec.trainer.script])],
    }


def affinity(spec: Spec, identity: Identity) -> Object | None:
    """Keep the nodes of one job apart: required where each pod fills a node, preferred where it does not."""
    if spec.hardware.nodes == 1:
        return None
    term = {
        "labelSelector": {"matchLabels": {"ftgen.dev/run": kube.label_value(identity.stem)}},
        "topologyKey": "kubernetes.io/hostname",
    }
    if spec.hardware.devices == spec.hardware.card.per_node:
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    weighted = {"weight": 100, "podAffinityTerm": term}
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}}


def volumes(spec: Spec) -> Iterator[Object]:
    """Volumes of the pod's template: those of the job itself never reach an init container."""
    yield {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory(spec)}}
    yield {"name": "models-cache", **source(spec, spec.storage.models)}
    yield {"name": "workspace", **source(spec, spec.storage.workspace)}
    if spec.cluster.git.ca_config_map:
        yield {"name": "git-ca", "configMap": {"name": spec.cluster.git.ca_config_map}}


def source(spec: Spec, volume: Volume) -> Object:
    """A claim that stays, or a temporary one for each pod where there is none or the nodes cannot share it."""
    if is_temporary(spec, volume):
        return {"ephemeral": {"volumeClaimTemplate": {"spec": claim_spec(spec, volume)}}}
    return {"persistentVolumeClaim": {"claimName": volume.claim}}


def is_temporary(spec: Spec, volume: Volume) -> bool:
    """Whether each pod gets a claim of its own, deleted with it."""
    return volume.claim is None or (spec.storage.node_local and spec.hardware.nodes > 1)


def claim(spec: Spec, volume: Volume) -> Object:
    """A PersistentVolumeClaim that is created with the job and outlives it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": volume.claim,
            "namespace": spec.cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "ftgen", **spec.cluster.labels},
        },
        "spec": claim_spec(spec, volume),
    }


def claim_spec(spec: Spec, volume: Volume) -> Object:
    """What is claimed: mode, class and size."""
    return {
        "accessModes": [volume.access_mode],
        **_given("storageClassName", spec.storage.storage_class),
        "resources": {"requests": {"storage": volume.size}},
    }


def shared_memory(spec: Spec) -> str:
    """Size of /dev/shm: collectives of several cards need 4Gi at least, and 2Gi for each card."""
    if spec.storage.shm != "auto":
        return spec.storage.shm
    return f"{max(2 * spec.hardware.devices, 4 if spec.world_size > 1 else 2)}Gi"


def prepare(spec: Spec, script: str) -> Object:
    """The init container that fetches model and data set; downloads need no card."""
    return {
        "name": "prepare",
        "image": spec.hardware.image,
        "imagePullPolicy": spec.cluster.image_pull_policy,
        "env": [*fetching(spec), *_env(DATASET_INFO=dataset_info(spec)), *needs(spec)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "volumeMounts": [{"name": "models-cache", "mountPath": spec.storage.models.path}, *_ca_mount(spec)],
        "command": ["/bin/bash", "-c", kube.protect(script)],
    }


def train(spec: Spec, identity: Identity, script: str) -> Object:
    """The container that trains, merges and pushes."""
    mounts = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount point that collectives use
        {"name": "models-cache", "mountPath": spec.storage.models.path},
        {"name": "workspace", "mountPath": spec.storage.workspace.path},
    ]
    return {
        "name": TASK,
        "image": spec.hardware.image,
        "imagePullPolicy": spec.cluster.image_pull_policy,
        "env": [*fetching(spec), *training(spec, identity)],
        "resources": resources(spec),
        "volumeMounts": [*mounts, *_ca_mount(spec)],
        "command": ["/bin/bash", "-c", kube.protect(script)],
        # The first argument is the script's own name, the rest the vendor's command.
        **_given("args", [TASK, *map(kube.protect, spec.trainer.command)] if spec.trainer.command else None),
    }


def fetching(spec: Spec) -> list[Object]:
    """Environment of both containers: who we are, what to fetch, and the secret that opens the git host."""
    git = spec.cluster.git
    models = spec.storage.models.path
    return [
        {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['volcano.sh/job-name']"}}},
        *_env(
            BASE_MODEL_URL=spec.model.url or "",
            MODEL_REVISION=spec.model.revision,
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
            SOURCE_FILES=" ".join(spec.hardware.source) or None,
        ),
    ]


def needs(spec: Spec) -> list[Object]:
    """Free space to check before a download, a tenth more than the files: their LFS objects become the files."""
    weights = spec.model.parameters * {"float32": 4}.get(spec.model.dtype, 2)
    data = kube.parse_quantity(spec.dataset.size)
    return _env(MODEL_NEEDS_MIB=_mebibytes(weights * Fraction(11, 10)), DATASET_NEEDS_MIB=_mebibytes(data * Fraction(11, 10)))


def dataset_info(spec: Spec) -> str | None:
    """The data set's entry for dataset_info.json, as JSON text."""
    if spec.dataset.info is None:
        return None
    entry = spec.dataset.info.model_dump(exclude_none=True)
    return json.dumps({spec.dataset.name: entry}, indent=2, ensure_ascii=False) + "\n"


def training(spec: Spec, identity: Identity) -> Iterator[Object]:
    """Environment of the training: its configurations, its ranks, its tracking, its push."""
    workspace = spec.storage.workspace
    # Several jobs may share a claim that stays; a temporary one belongs to its pod.
    own = "" if is_temporary(spec, workspace) else f"/{llamafactory.JOB_NAME}"
    yield {"name": "WORK_DIR", "value": f"{workspace.path}{own}"}
    yield from _env(OUTPUT_DIR=spec.trainer.output)
    yield from _framework(spec)
    yield from _env(
        NNODES=str(spec.hardware.nodes),
        NPROC_PER_NODE=str(spec.hardware.devices),
        MASTER_PORT=str(MASTER_PORT),
        PEER_TIMEOUT=str(spec.job.peer_timeout),
    )
    yield from _tracking(spec, identity)
    if spec.model.output_url:
        yield from _env(OUTPUT_MODEL_URL=spec.model.output_url)
        yield {"name": "MODEL_CARD", "value": model_card(spec, identity)}
    yield from _env(**spec.hardware.env)


def resources(spec: Spec) -> Object:
    """Requests and limits of the training container: host resources by card, and the cards themselves.

    The card count is requested as well as limited, because Volcano's queues count requests only; shares of
    memory and compute are limits alone, because no node advertises them.
    """
    cards, each = spec.hardware.devices, spec.hardware.per_card
    count = {spec.hardware.resources.count: str(cards)} if spec.hardware.resources.count else {}
    return {
        "requests": {"cpu": _times(each.cpu, "request", cards), "memory": _times(each.memory, "request", cards), **count},
        "limits": {
            "cpu": _times(each.cpu, "limit", cards),
            "memory": _times(each.memory, "limit", cards),
            **count,
            **dict(shares(spec)),
        },
    }


def shares(spec: Spec) -> Iterator[tuple[str, str]]:
    """The share of each card, in the units of its device plugin."""
    hardware = spec.hardware
    if hardware.memory and hardware.resources.memory:
        yield hardware.resources.memory.name, str(units(hardware.memory, hardware.resources.memory))
    if hardware.cores and hardware.resources.cores:
        yield hardware.resources.cores.name, str(units(str(hardware.cores), hardware.resources.cores))


def units(quantity: str, resource: UnitResource) -> int:
    """A quantity counted in the resource's unit; callers have checked that it divides."""
    return int(kube.parse_quantity(quantity) / kube.parse_quantity(resource.unit))


def model_card(spec: Spec, identity: Identity) -> str:
    """README.md of what is pushed: what it was made of, and which job made it.

    It is part of what Volcano holds immutable, so it tells nothing that does not change the training.
    """
    front = {
        "base_model": spec.model.name,
        "datasets": [spec.dataset.name],
        "tags": ["ftgen", spec.trainer.framework],
    }
    rows = {
        "base model": _pinned(spec.model.url or spec.model.name, spec.model.revision),
        "data set": _pinned(spec.dataset.url or spec.dataset.name, spec.dataset.revision),
        "trainer": identity.choices.get("trainer", spec.trainer.framework),
        "hardware": f"{spec.world_size} × {spec.hardware.card.name or spec.hardware.resources.count or 'cpu'}",
        "image": spec.hardware.image,
        "namespace": spec.cluster.namespace,
    }
    table = "".join(f"| {what} | {told} |\n" for what, told in rows.items())
    head = kube.protect(f"---\n{yamlio.dump(front)}---\n")
    return f"{head}# {llamafactory.JOB_NAME}\n\n| | |\n|---|---|\n{kube.protect(table)}"


def _pinned(url: str, revision: str | None) -> str:
    return f"{url} at {revision}" if revision else url


def _framework(spec: Spec) -> Iterator[Object]:
    if isinstance(spec.trainer, Command):
        return
    text = kube.protect(yamlio.dump(llamafactory.training(spec)))
    yield {"name": "TRAIN_CONFIG", "value": text + _run_name(spec)}
    export = llamafactory.export(spec)
    if export is not None:
        yield from _env(
            EXPORT_CONFIG=yamlio.dump(export),
            EXPORT_DIR=str(export["export_dir"]),
            RESTORE_BASE_FILES="true" if llamafactory.keeps_base_files(spec) else None,
        )


def _run_name(spec: Spec) -> str:
    if spec.tracking.report_to == "none" or "run_name" in getattr(spec.trainer, "args", {}):
        return ""
    if spec.tracking.run_name is None:
        return f"run_name: {llamafactory.JOB_NAME}\n"
    return kube.protect(yamlio.dump({"run_name": spec.tracking.run_name}))


def _tracking(spec: Spec, identity: Identity) -> Iterator[Object]:
    if spec.tracking.report_to == "none":
        return
    yield from _env(MLFLOW_TRACKING_URI=spec.tracking.uri, MLFLOW_EXPERIMENT_NAME=spec.tracking.experiment)
    own = {f"ftgen.{group}": identity.choices[group] for group in _TRAINED if group in identity.choices}
    tags = kube.protect(_json({"ftgen.run": identity.stem, **own, **spec.tracking.tags})[:-1])
    # The closing evaluation opens a second run by itself: the context puts the same tags on every run.
    for name in ("MLFLOW_TAGS", "MLFLOW_RUN_CONTEXT"):
        yield {"name": name, "value": f'{tags}, "ftgen.job": "{llamafactory.JOB_NAME}"}}'}


def _ca_mount(spec: Spec) -> list[Object]:
    return [{"name": "git-ca", "mountPath": "/etc/ftgen/ca", "readOnly": True}] if spec.cluster.git.ca_config_map else []


def _env(**values: str | None) -> list[Object]:
    return [{"name": name, "value": kube.protect(value)} for name, value in values.items() if value is not None]


def _secret(name: str, secret: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _given(key: str, value: Any) -> Object:
    return {} if value is None or value in ({}, []) else {key: value}


def _times(each: Range, bound: str, cards: int) -> str:
    amount: str = getattr(each, bound)
    digits = amount.rstrip("KMGTPEikmun")
    total = Fraction(digits) * cards
    number = str(total) if total.denominator == 1 else f"{float(total):.3f}"
    return kube.canonical_quantity(number + amount[len(digits) :])


def _mebibytes(amount: Fraction) -> str:
    return str(-(-amount // 2**20))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
