"""Volumes and mounts of a pod, and the claims created for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ftgen.lower.devices import device_template
from ftgen.lower.objects import Object, managed_labels, optional
from ftgen.spec import ModelCache, NodeRequirement, Spec, Volume


def claims(spec: Spec) -> tuple[Object, ...]:
    """Return the objects created with the job that outlive it: claims, volumes without a class, device templates."""
    return tuple(_claims(spec))


def _claims(spec: Spec) -> Iterator[Object]:
    models = (spec.storage.models,) if fetches(spec) else ()
    for volume in (*models, spec.storage.workspace):
        if volume.create and not is_temporary(spec, volume):
            if volume.nfs:
                share = {"nfs": volume.nfs.model_dump()}
                yield persistent_volume(spec, volume.claim, volume.size, volume.access_mode, share)
            yield claim(spec, volume)
    if spec.storage.cache and spec.storage.cache.create:
        yield from cache_claim(spec, spec.storage.cache)
    if spec.hardware.resources.device_class:
        yield device_template(spec, spec.hardware.resources.device_class)


def claim(spec: Spec, volume: Volume) -> Object:
    """Return a PersistentVolumeClaim that is created with the job and outlives it."""
    if volume.nfs:
        return _claim(spec, volume.claim, _bound_claim_spec(spec, volume.claim, volume.size, volume.access_mode))
    return _claim(spec, volume.claim, claim_spec(spec, volume))


def _claim(spec: Spec, name: str | None, body: Object) -> Object:
    metadata = {"name": name, "namespace": spec.cluster.namespace, "labels": managed_labels(spec)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": body}


def claim_spec(spec: Spec, volume: Volume) -> Object:
    """Return the spec of a claim: access mode, class and size."""
    return {
        "accessModes": [volume.access_mode],
        **optional("storageClassName", spec.storage.storage_class),
        "resources": {"requests": {"storage": volume.size}},
    }


def _bound_claim_spec(spec: Spec, name: str | None, size: str, access_mode: str) -> Object:
    """Return the spec of a claim of the volume that is made for it."""
    return {
        "accessModes": [access_mode],
        # Empty, because the default class would provide another volume.
        "storageClassName": "",
        "volumeName": f"{spec.cluster.namespace}-{name}",
        "resources": {"requests": {"storage": size}},
    }


def persistent_volume(spec: Spec, name: str | None, size: str, access_mode: str, source: Object) -> Object:
    """Return a volume without a class for the claim of the same name; it keeps its data if the claim is deleted."""
    claim_ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": spec.cluster.namespace, "name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{spec.cluster.namespace}-{name}", "labels": managed_labels(spec)},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": [access_mode],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Retain",
            # No storageClassName: the API server drops an empty one, so that each client-side apply would change it.
            "claimRef": claim_ref,
            **source,
        },
    }


def cache_claim(spec: Spec, cache: ModelCache) -> Iterator[Object]:
    """Yield a volume on the nodes' cache of models, and a claim of it in the job's namespace.

    KServe's own claims of the cache exist only while an InferenceService uses them.  One claim serves several nodes
    because its volume is the same folder on all of them.
    """
    source = {"local": {"path": cache.path}, "nodeAffinity": {"required": node_selector(cache.nodes)}}
    yield persistent_volume(spec, cache.claim, cache.size, "ReadOnlyMany", source)
    yield _claim(spec, cache.claim, _bound_claim_spec(spec, cache.claim, cache.size, "ReadOnlyMany"))


def node_selector(requirements: Iterable[NodeRequirement]) -> Object:
    """Return a selector of the nodes that meet all of the requirements."""
    expressions = [r.model_dump(exclude_defaults=True, mode="json") for r in requirements]
    return {"nodeSelectorTerms": [{"matchExpressions": expressions}]}


def volumes(spec: Spec) -> list[Object]:
    """Return the volumes of the pod template; an init container cannot mount volumes of the job itself."""
    return list(_volumes(spec))


def _volumes(spec: Spec) -> Iterator[Object]:
    yield {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory(spec)}}
    if fetches(spec):
        yield {"name": "models-cache", **source(spec, spec.storage.models)}
    yield {"name": "workspace", **source(spec, spec.storage.workspace)}
    if spec.storage.cache:
        yield {"name": "base-model", "persistentVolumeClaim": {"claimName": spec.storage.cache.claim, "readOnly": True}}
    if spec.cluster.git.ca_config_map:
        yield {"name": "git-ca", "configMap": {"name": spec.cluster.git.ca_config_map}}


def fetches(spec: Spec) -> bool:
    """Return whether a model or a data set is to lie on the models volume; without either, pods have no such volume."""
    return spec.model.name is not None or spec.dataset.name is not None


def models_mount(spec: Spec) -> list[Object]:
    """Return the mount of the models volume, where there is one."""
    return [{"name": "models-cache", "mountPath": spec.storage.models.path}] if fetches(spec) else []


def source(spec: Spec, volume: Volume) -> Object:
    """Return the source of a volume: a host path, an emptyDir, a claim for each pod, or a permanent claim."""
    if volume.host_path:
        return {"hostPath": {"path": volume.host_path, "type": "DirectoryOrCreate"}}
    if volume.empty_dir:
        return {"emptyDir": {"sizeLimit": volume.size}}
    if is_temporary(spec, volume):
        return {"ephemeral": {"volumeClaimTemplate": {"spec": claim_spec(spec, volume)}}}
    return {"persistentVolumeClaim": {"claimName": volume.claim}}


def is_temporary(spec: Spec, volume: Volume) -> bool:
    """Return whether each pod gets a volume of its own, deleted with it."""
    if volume.host_path:
        return False
    return volume.claim is None or (spec.storage.node_local and spec.hardware.nodes > 1)


def shared_memory(spec: Spec) -> str:
    """Return the size of /dev/shm: collectives of several cards need 4Gi at least, and 2Gi for each card."""
    if spec.storage.shm != "auto":
        return spec.storage.shm
    return f"{max(2 * spec.hardware.devices, 4 if spec.world_size > 1 else 2)}Gi"


def cache_mount(spec: Spec) -> list[Object]:
    """Return the mount of the cached model at the fetched one's path; KServe names its folder by a hash of its URI."""
    if spec.storage.cache is None:
        return []
    folder = hashlib.sha256(spec.storage.cache.uri.encode()).hexdigest()[:16]
    path = f"{spec.storage.models.path}/{spec.model.directory}"
    return [{"name": "base-model", "mountPath": path, "subPath": f"models/{folder}", "readOnly": True}]


def ca_mount(spec: Spec) -> list[Object]:
    """Return the mount of the git host's certificate authority; none if the cluster names none."""
    mount = {"name": "git-ca", "mountPath": "/etc/ftgen/ca", "readOnly": True}
    return [mount] if spec.cluster.git.ca_config_map else []
