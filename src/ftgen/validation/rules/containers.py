"""Containers as core validation checks them: name, image, environment and mounts.

Follows validateContainerCommon and its neighbours in pkg/apis/core/validation of k8s.io/kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job
from ftgen.validation.rules import PODS
from ftgen.validation.rules.fields import downward_problem, has_parent_step, is_data_key

LARGEST_PORT = 65535
_LONGEST_PORT_NAME = 15
PORT_NAME = re.compile(r"(?!-)(?!.*--)(?=.*[a-z])[-a-z0-9]{1,15}(?<!-)")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PROTOCOLS = ("TCP", "UDP", "SCTP")
_PROPAGATION = ("None", "HostToContainer", "Bidirectional")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


@rule("FT342", "no-containers", on=PODS)
def no_containers(job: Job) -> Iterator[Finding]:
    """A task's template has no container.

    Core validation wants at least one main container.

    Refused: `template: {spec: {initContainers: [...]}}` alone.
    Write: the container that does the work under `containers`.
    """
    for pod in job.pods:
        if not pod.main_containers:
            yield Finding("the pod template has no containers", f"{pod.spec_path}.containers")


@rule("FT343", "bad-container-name", on=PODS)
def bad_container_name(job: Job) -> Iterator[Finding]:
    """A container's name is no DNS-1123 label, or another container of the pod has it.

    Init containers and containers share their names.

    Refused: an init container and a container both named `train`.
    Write: `prepare` and `train`.
    """
    for pod in job.pods:
        seen: set[str] = set()
        for container in pod.containers:
            path = f"{container.path}.name"
            if not kube.is_dns1123_label(container.name):
                yield Finding(f"the container name {container.name!r} is no DNS label", path, container.name)
            elif container.name in seen:
                yield Finding(f"a second container is named {container.name!r}", path, container.name)
            seen.add(container.name)


@rule("FT344", "no-image", on=PODS)
def no_image(job: Job) -> Iterator[Finding]:
    """A container has no image.

    Core validation wants it non-empty in a template; whether it can be pulled nobody checks.

    Refused: `{name: train}`.
    Write: `{name: train, image: registry.example.com/train:1.0}`.
    """
    for container in job.containers:
        if not text(container.body.get("image")):
            path = f"{container.path}.image"
            yield Finding(f"the container {container.name!r} has no image", path, help=f"set {path}")


@rule("FT353", "unknown-container-policy", on=PODS)
def unknown_container_policy(job: Job) -> Iterator[Finding]:
    """The imagePullPolicy or terminationMessagePolicy has a value that does not exist.

    Refused: `imagePullPolicy: IfMissing`.
    Write: `imagePullPolicy: IfNotPresent`.
    """
    for container in job.containers:
        for field, known in (("imagePullPolicy", PULL_POLICIES), ("terminationMessagePolicy", _MESSAGE_POLICIES)):
            value = text(container.body.get(field))
            if value and value not in known:
                yield Finding(
                    f"there is no {field} {value!r}",
                    f"{container.path}.{field}",
                    value,
                    f"use one of {', '.join(known)}",
                )


@rule("FT345", "bad-port", on=PODS)
def bad_port(job: Job) -> Iterator[Finding]:
    """A container port is out of range, unnamed where named twice, or of an unknown protocol.

    Ports are 1 to 65535; a port's name has at most 15 lower-case letters, digits and dashes, one letter at
    least, and is unique in its container.

    Refused: `{containerPort: 29500, name: torch-distributed}`.
    Write: `{containerPort: 29500, name: torch}`.
    """
    for container in job.containers:
        names: set[str] = set()
        for i, port in entries(container.body.get("ports")):
            path, name = f"{container.path}.ports[{i}]", text(port.get("name"))
            for field, value, missing in _port_numbers(port):
                if missing or not 0 <= value <= LARGEST_PORT:
                    yield Finding(f"{field} {value} is not between 1 and {LARGEST_PORT}", f"{path}.{field}", value)
            if name and (not PORT_NAME.fullmatch(name) or name in names):
                problem = "is taken" if name in names else f"is no port name of at most {_LONGEST_PORT_NAME}"
                yield Finding(f"{name!r} {problem}", f"{path}.name", name)
            names.add(name)
            protocol = text(port.get("protocol")) or "TCP"
            if protocol not in PROTOCOLS:
                yield Finding(f"there is no protocol {protocol!r}", f"{path}.protocol", protocol)


def _port_numbers(port: dict[str, Any]) -> tuple[tuple[str, int, bool], ...]:
    """Return each port field with its number, and whether a number that is required is missing."""
    container, host = integer(port.get("containerPort")), integer(port.get("hostPort"))
    return ("containerPort", container, container == 0), ("hostPort", host, False)


@rule("FT346", "bad-env-name", on=PODS)
def bad_env_name(job: Job) -> Iterator[Finding]:
    """An environment variable's name has other characters than letters, digits, `-`, `_` and `.`.

    Newer clusters take nearly any name in a Pod, but Volcano's job webhook validates without that option.

    Refused: `{name: "2ND_RUN", value: "1"}`.
    Write: `{name: SECOND_RUN, value: "1"}`.
    """
    for container in job.containers:
        for i, variable in container.env:
            name = text(variable.get("name"))
            if not name or not kube.is_env_name(name):
                yield Finding(f"{name!r} is no environment variable's name", f"{container.path}.env[{i}].name", name)


@rule("FT347", "ambiguous-env-source", on=PODS)
def ambiguous_env_source(job: Job) -> Iterator[Finding]:
    """A variable's `valueFrom` names no source, several, or stands beside a value.

    Refused: `{name: TOKEN, value: x, valueFrom: {secretKeyRef: {...}}}`.
    Write: only the `valueFrom`.
    """
    for container in job.containers:
        for i, variable in container.env:
            source = variable.get("valueFrom")
            if not isinstance(source, dict):
                continue
            kinds = [kind for kind in _ENV_SOURCES if source.get(kind) is not None]
            path = f"{container.path}.env[{i}].valueFrom"
            if len(kinds) != 1:
                problem = f"names {' and '.join(kinds)}" if kinds else "names no source"
                yield Finding(f"valueFrom {problem}", path, text(variable.get("name")), "name exactly one source")
            elif text(variable.get("value")):
                yield Finding("a variable has either a value or a valueFrom", path, text(variable.get("name")))


@rule("FT348", "bad-env-reference", on=PODS)
def bad_env_reference(job: Job) -> Iterator[Finding]:
    """A variable's source refers to an object, key or field that cannot exist.

    Secret and ConfigMap names are DNS names, their keys letters, digits, `-`, `_` and `.`; a fieldRef names
    one of the pod's fields or a label or annotation in brackets; a resourceFieldRef a request or limit.

    Refused: `fieldRef: {fieldPath: metadata.labels}`.
    Write: `fieldRef: {fieldPath: "metadata.labels['volcano.sh/job-name']"}`.
    """
    for container in job.containers:
        for i, variable in container.env:
            if isinstance(variable.get("valueFrom"), dict):
                path = f"{container.path}.env[{i}].valueFrom"
                yield from _reference_problems(variable["valueFrom"], path)


def _reference_problems(source: dict[str, Any], path: str) -> Iterator[Finding]:
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if isinstance(source.get(kind), dict):
            name, key = text(source[kind].get("name")), text(source[kind].get("key"))
            if not kube.is_dns1123_subdomain(name):
                yield Finding(f"{kind} names no object: {name!r}", f"{path}.{kind}.name", name)
            if not is_data_key(key):
                yield Finding(f"{kind} names no key: {key!r}", f"{path}.{kind}.key", key)
    if problem := downward_problem(source, volume=False):
        field, message, value = problem
        yield Finding(message, f"{path}.{field}", value)


@rule("FT349", "bad-env-from", on=PODS)
def bad_env_from(job: Job) -> Iterator[Finding]:
    """An `envFrom` entry names no ConfigMap or Secret, both, or has a malformed prefix.

    Refused: `envFrom: [{prefix: "1_", secretRef: {name: git}}]`.
    Write: `envFrom: [{prefix: GIT_, secretRef: {name: git}}]`.
    """
    for container in job.containers:
        for i, source in entries(container.body.get("envFrom")):
            path, prefix = f"{container.path}.envFrom[{i}]", text(source.get("prefix"))
            kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
            if prefix and not kube.is_env_name(prefix):
                yield Finding(f"{prefix!r} cannot begin a variable's name", f"{path}.prefix", prefix)
            if len(kinds) != 1:
                yield Finding("envFrom names exactly one of configMapRef and secretRef", path)
            for kind in kinds:
                name = text(mapping(source[kind]).get("name"))
                if not kube.is_dns1123_subdomain(name):
                    yield Finding(f"{kind} names no object: {name!r}", f"{path}.{kind}.name", name)


@rule("FT350", "mount-of-nothing", on=PODS)
def mount_of_nothing(job: Job) -> Iterator[Finding]:
    """A container mounts a volume the pod does not have, or two volumes at one path.

    volumeMounts and volumeDevices name the template's own volumes; a job volume of `spec.volumes` has a
    random name and cannot be named. Paths are unique, and no volume is both mounted and used as a device.

    Refused: `volumeMounts: [{name: cache, mountPath: /cache}]` without a volume `cache`.
    Write: the volume under `template.spec.volumes`.
    """
    for pod in job.pods:
        volumes = {text(volume.get("name")): volume for _, volume in pod.volumes}
        for container in pod.containers:
            yield from _mounts(container, volumes)
            yield from _devices(container, volumes)


def _mounts(container: Container, volumes: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, mount in container.mounts:
        name, mount_path = text(mount.get("name")), text(mount.get("mountPath"))
        if not name or name not in volumes:
            yield Finding(
                f"the pod has no volume {name!r}",
                f"{container.path}.volumeMounts[{i}].name",
                name,
                "add it to the template's volumes",
            )
        if not mount_path or mount_path in seen:
            problem = f"{mount_path} is mounted twice" if mount_path else "the mount has no mountPath"
            yield Finding(problem, f"{container.path}.volumeMounts[{i}].mountPath", mount_path)
        seen.add(mount_path)


def _devices(container: Container, volumes: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    if "volumeDevices" not in container.body:
        return
    used = {text(m.get(key)) for _, m in container.mounts for key in ("name", "mountPath")}
    for i, device in entries(container.body["volumeDevices"]):
        path, name, device_path = (
            f"{container.path}.volumeDevices[{i}]",
            text(device.get("name")),
            device.get("devicePath"),
        )
        volume = volumes.get(name, {})
        if not ({"persistentVolumeClaim", "ephemeral"} & volume.keys()):
            yield Finding(f"the pod has no claim {name!r} to use as a device", f"{path}.name", name)
        if name in used or device_path in used or not text(device_path) or has_parent_step(text(device_path)):
            yield Finding("a device has a path of its own and a volume of its own", path, name)
        used |= {name, text(device_path)}


@rule("FT351", "bad-mount-option", on=PODS)
def bad_mount_option(job: Job) -> Iterator[Finding]:
    """A mount's subPath leaves the volume, or its propagation or recursion is impossible.

    subPath and subPathExpr are relative, without `..`, and exclude each other; Bidirectional propagation
    needs a privileged container; recursiveReadOnly needs readOnly and no propagation.

    Refused: `subPath: ../other`.
    Write: `subPath: other` of the volume that has it.
    """
    for container in job.containers:
        for i, mount in container.mounts:
            if len(mount) > 2:  # noqa: PLR2004 - a name and a path have no options
                for field, message in _mount_problems(mount, container):
                    yield Finding(message, f"{container.path}.volumeMounts[{i}].{field}", text(mount.get(field)))


def _mount_problems(mount: dict[str, Any], container: Container) -> Iterator[tuple[str, str]]:
    for field in ("subPath", "subPathExpr"):
        path = text(mount.get(field))
        if path.startswith("/") or has_parent_step(path):
            yield field, f"{field} {path!r} must stay inside the volume"
    if text(mount.get("subPath")) and text(mount.get("subPathExpr")):
        yield "subPathExpr", "subPath and subPathExpr exclude each other"
    propagation = mount.get("mountPropagation")
    if propagation is not None and propagation not in _PROPAGATION:
        yield "mountPropagation", f"there is no mountPropagation {propagation!r}"
    privileged = mapping(container.body.get("securityContext")).get("privileged") is True
    if propagation == "Bidirectional" and not privileged:
        yield "mountPropagation", "Bidirectional propagation needs a privileged container"
    recursive = mount.get("recursiveReadOnly")
    if recursive in ("Enabled", "IfPossible"):
        if mount.get("readOnly") is not True or propagation not in (None, "None"):
            yield "recursiveReadOnly", "recursiveReadOnly needs readOnly and no propagation"
    elif recursive not in (None, "Disabled"):
        yield "recursiveReadOnly", f"there is no recursiveReadOnly {recursive!r}"
