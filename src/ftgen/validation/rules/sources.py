"""Volumes of a pod template as core validation checks them (ValidateVolumes in k8s.io/kubernetes).

Fields are checked for the kinds that a training pod uses; legacy network disks only count as a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import amount, entries, integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import CLAIM, PODS
from ftgen.validation.rules.containers import PULL_POLICIES
from ftgen.validation.rules.fields import downward_problem, has_parent_step, is_path_inside

_KINDS = frozenset(
    (
        "awsElasticBlockStore",
        "azureDisk",
        "azureFile",
        "cephfs",
        "cinder",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "glusterfs",
        "hostPath",
        "image",
        "iscsi",
        "nfs",
        "persistentVolumeClaim",
        "photonPersistentDisk",
        "portworxVolume",
        "projected",
        "quobyte",
        "rbd",
        "scaleIO",
        "secret",
        "storageos",
        "vsphereVolume",
    )
)
_REQUIRED_FIELDS = {
    "hostPath": ("path",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
    "csi": ("driver",),
}
_HOST_PATH_TYPES = (
    "",
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
)
_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_MOST_MODE = 0o777
_SHORTEST_TOKEN = 600
_LONGEST_DRIVER = 63


@rule("FT372", "bad-volume-name", on=PODS)
def bad_volume_name(job: Job) -> Iterator[Finding]:
    """A volume's name is no DNS-1123 label.

    Refused: `volumes: [{name: models_cache, ...}]`.
    Write: `models-cache`.
    """
    for pod in job.pods:
        for i, volume in pod.volumes:
            name = text(volume.get("name"))
            if not kube.is_dns1123_label(name):
                yield Finding(f"the volume name {name!r} is no DNS label", f"{pod.spec_path}.volumes[{i}].name", name)


@rule("FT373", "ambiguous-volume", on=PODS)
def ambiguous_volume(job: Job) -> Iterator[Finding]:
    """A volume has several sources.

    Refused: `{name: cache, emptyDir: {}, hostPath: {path: /cache}}`.
    Write: `{name: cache, emptyDir: {}}`.
    """
    for pod in job.pods:
        for i, volume in pod.volumes:
            kinds = source_kinds(volume)
            if len(kinds) > 1:
                yield Finding(
                    f"the volume {text(volume.get('name'))!r} has the sources {' and '.join(kinds)}",
                    f"{pod.spec_path}.volumes[{i}]",
                    " and ".join(kinds),
                    "give it exactly one source",
                )


def source_kinds(volume: dict[str, Any]) -> list[str]:
    """Return the kinds of source that a volume has, such as `emptyDir`."""
    return [kind for kind in volume if kind in _KINDS and isinstance(volume[kind], dict)]


@rule("FT374", "incomplete-volume", on=PODS)
def incomplete_volume(job: Job) -> Iterator[Finding]:
    """A volume's source lacks a required field or has an impossible one.

    A Secret, ConfigMap or claim is named, a CSI driver by a DNS name, an NFS path absolute, a host path without `..`,
    file modes 0 to 0777, a projected path relative, a size limit not negative, an image's pullPolicy one that there is.

    Refused: `emptyDir: {sizeLimit: "-1Gi"}`, `secret: {}`, `csi: {driver: nfs_csi}`.
    Write: `emptyDir: {sizeLimit: 1Gi}`, `secret: {secretName: git-token}`, `csi: {driver: nfs.csi.k8s.io}`.
    """
    for pod in job.pods:
        for i, volume in pod.volumes:
            for kind, source in volume.items():
                if kind in _KINDS and isinstance(source, dict):
                    for field, message in _source_problems(kind, source):
                        yield Finding(message, f"{pod.spec_path}.volumes[{i}].{kind}.{field}", text(source.get(field)))


def _source_problems(kind: str, source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _REQUIRED_FIELDS.get(kind, ()):
        if not text(source.get(field)):
            yield field, f"a volume of kind {kind} needs {field}"
    mode = optional_integer(source.get("defaultMode"))
    if mode is not None and not 0 <= mode <= _MOST_MODE:
        yield "defaultMode", f"the mode {mode:o} is not between 0 and 777"
    if kind in _PROBLEMS:
        yield from _PROBLEMS[kind](source)


def _empty_dir_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    size = amount(source.get("sizeLimit"))
    if source.get("sizeLimit") is not None and (size is None or size < 0):
        yield "sizeLimit", f"{source['sizeLimit']!r} is no size"


def _nfs_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not text(source.get("path")).startswith("/"):
        yield "path", "an NFS path is absolute"


def _host_path_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if has_parent_step(text(source.get("path"))):
        yield "path", "a host path has no .. in it"
    if source.get("type") is not None and source["type"] not in _HOST_PATH_TYPES:
        yield "type", f"there is no host path of type {source['type']!r}"


def _image_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    policy = text(source.get("pullPolicy"))
    if policy and policy not in PULL_POLICIES:
        yield "pullPolicy", f"there is no pullPolicy {policy!r}: use one of {', '.join(PULL_POLICIES)}"


def _git_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    folder = text(source.get("directory"))
    if folder.startswith("/") or has_parent_step(folder):
        yield "directory", "a repository's directory lies inside the volume"


def _csi_problems(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    driver, secret = text(source.get("driver")), source.get("nodePublishSecretRef")
    if driver and not (len(driver) <= _LONGEST_DRIVER and kube.is_dns1123_subdomain(driver.lower())):
        yield "driver", f"{driver!r} is no CSI driver's name"
    if isinstance(secret, dict) and not kube.is_dns1123_subdomain(text(secret.get("name"))):
        yield "nodePublishSecretRef.name", f"nodePublishSecretRef names no Secret: {text(secret.get('name'))!r}"


def _item_problems(source: dict[str, Any], prefix: str, *, downward: bool) -> Iterator[tuple[str, str]]:
    for i, item in entries(source.get("items")):
        path, field, mode = text(item.get("path")), f"{prefix}[{i}]", optional_integer(item.get("mode"))
        if not path or not is_path_inside(path):
            yield f"{field}.path", f"{path!r} is no path inside the volume"
        if mode is not None and not 0 <= mode <= _MOST_MODE:
            yield f"{field}.mode", f"the mode {mode:o} is not between 0 and 777"
        if downward and (problem := downward_problem(item, volume=True)):
            yield f"{field}.{problem[0]}", problem[1]
        if downward and (item.get("fieldRef") is None) == (item.get("resourceFieldRef") is None):
            yield field, "an item has either a fieldRef or a resourceFieldRef"
        if not downward and not text(item.get("key")):
            yield f"{field}.key", "an item needs a key"


def _projection_problems(volume: dict[str, Any]) -> Iterator[tuple[str, str]]:
    paths: set[str] = set()
    for i, source in entries(volume.get("sources")):
        field = f"sources[{i}]"
        kinds = [kind for kind in source if isinstance(source[kind], dict)]
        if len(kinds) > 1:
            yield field, "a projected source is of one kind"
        for kind in ("secret", "configMap", "downwardAPI"):
            body = mapping(source.get(kind))
            if kind in kinds and kind != "downwardAPI" and not text(body.get("name")):
                yield f"{field}.{kind}.name", f"a projected {kind} needs a name"
            yield from _item_problems(body, f"{field}.{kind}.items", downward=kind == "downwardAPI")
            for _, item in entries(body.get("items")):
                if text(item.get("path")) in paths:
                    yield f"{field}.{kind}.items", f"{text(item.get('path'))!r} is projected twice"
                paths.add(text(item.get("path")))
        if "serviceAccountToken" in kinds:
            yield from _token_problems(source["serviceAccountToken"], f"{field}.serviceAccountToken")


def _token_problems(token: dict[str, Any], field: str) -> Iterator[tuple[str, str]]:
    seconds = integer(token.get("expirationSeconds", 2 * _SHORTEST_TOKEN))
    if not _SHORTEST_TOKEN <= seconds <= 2**32:
        yield f"{field}.expirationSeconds", f"a token lives at least {_SHORTEST_TOKEN} seconds"
    if not text(token.get("path")) or not is_path_inside(text(token.get("path"))):
        yield f"{field}.path", "a token's path is relative"


_PROBLEMS: Mapping[str, Callable[[dict[str, Any]], Iterator[tuple[str, str]]]] = {
    "configMap": partial(_item_problems, prefix="items", downward=False),
    "csi": _csi_problems,
    "downwardAPI": partial(_item_problems, prefix="items", downward=True),
    "emptyDir": _empty_dir_problems,
    "gitRepo": _git_problems,
    "hostPath": _host_path_problems,
    "image": _image_problems,
    "nfs": _nfs_problems,
    "projected": _projection_problems,
    "secret": partial(_item_problems, prefix="items", downward=False),
}
"""Problems of a source beyond a missing field, by its kind: each a field with a message."""


@rule("FT375", "bad-claim-template", on=(*PODS, CLAIM))
def bad_claim_template(job: Job) -> Iterator[Finding]:
    """A claim, or an ephemeral volume's claim template is incomplete.

    It needs a spec with access modes and a storage request above zero; ReadWriteOncePod stands alone; the
    metadata of a template may hold labels and annotations only.

    Refused: `ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}`.
    Write: `resources: {requests: {storage: 5Gi}}` in that spec.
    """
    if job.manifest.get("kind") == "PersistentVolumeClaim":
        yield from claim_problems(mapping(job.manifest.get("spec")), "spec")
    for pod in job.pods:
        for i, volume in pod.volumes:
            if isinstance(volume.get("ephemeral"), dict):
                path = f"{pod.spec_path}.volumes[{i}].ephemeral.volumeClaimTemplate"
                template = mapping(volume["ephemeral"].get("volumeClaimTemplate"))
                yield from claim_problems(mapping(template.get("spec")), f"{path}.spec")
                yield from _template_metadata_problems(mapping(template.get("metadata")), f"{path}.metadata")


def claim_problems(spec: dict[str, Any], path: str) -> Iterator[Finding]:
    """Yield what the API server refuses in a claim's spec (ValidatePersistentVolumeClaimSpec)."""
    modes = strings(spec.get("accessModes"))
    if not modes or any(mode not in _ACCESS_MODES for mode in modes):
        headline = f"access modes are some of {', '.join(_ACCESS_MODES)}"
        yield Finding(headline, f"{path}.accessModes", help=f"set {path}.accessModes to [ReadWriteOnce], or another")
    elif "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        yield Finding("ReadWriteOncePod stands alone", f"{path}.accessModes", help="remove it, or the others")
    storage = amount(mapping(mapping(spec.get("resources")).get("requests")).get("storage"))
    if storage is None or storage <= 0:
        wanted = f"{path}.resources.requests.storage"
        yield Finding("a claim requests storage above zero", wanted, help=f"set {wanted} to 5Gi, or what it needs")
    storage_class = text(spec.get("storageClassName"))
    if storage_class and not kube.is_dns1123_subdomain(storage_class):
        yield Finding(f"{storage_class!r} is no storage class's name", f"{path}.storageClassName")
    if spec.get("volumeMode") not in (None, "Filesystem", "Block"):
        yield Finding("volumeMode is Filesystem or Block", f"{path}.volumeMode")


def _template_metadata_problems(metadata: dict[str, Any], path: str) -> Iterator[Finding]:
    for key, value in metadata.items():
        if key not in ("labels", "annotations") and value:
            yield Finding(f"a claim template's metadata cannot have {key}", child(path, key))
    for key, value in mapping(metadata.get("labels")).items():
        if not kube.is_qualified_name(key) or not kube.is_label_value(text(value)):
            yield Finding(f"{key}={value} is no label", child(f"{path}.labels", key))
