"""Kubernetes' pod security standards, field by field.

Source: k8s.io/pod-security-admission, policy/check_*.go, of Kubernetes 1.34.  Fields that older releases do not check
(hosts of probes) are checked here all the same: the namespace's level follows the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftgen.text.paths import child
from ftgen.text.shapes import entries, mapping, optional_integer, strings, text
from ftgen.validation.manifest import Container, Pod

Violation = tuple[str, str]
"""The path of a forbidden field, and a phrase for its value."""

_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
_VOLUMES = frozenset(
    (
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim"),
        *("projected", "secret", "name"),
    )
)
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        *(f"net.ipv4.ip_{name}" for name in ("local_port_range", "unprivileged_port_start", "local_reserved_ports")),
        *(f"net.ipv4.tcp_{name}" for name in ("syncookies", "fin_timeout", "rmem", "wmem")),
        *(f"net.ipv4.tcp_keepalive_{name}" for name in ("time", "intvl", "probes")),
        "net.ipv4.ping_group_range",
    )
)
_SELINUX = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_PROFILES = frozenset(("RuntimeDefault", "Localhost"))
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(pod: Pod, level: str) -> Iterator[Violation]:
    """Yield the fields of a pod that `level` (privileged, baseline or restricted) forbids."""
    if level != "privileged":
        yield from _baseline(pod)
    if level == "restricted":
        yield from _restricted(pod)


# --- baseline ------------------------------------------------------------------------------------------


def _baseline(pod: Pod) -> Iterator[Violation]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field) is True:
            yield f"{pod.spec_path}.{field}", field
    for i, volume in pod.volumes:
        if isinstance(volume.get("hostPath"), dict):
            yield f"{pod.spec_path}.volumes[{i}].hostPath", "hostPath"
    context, path = mapping(pod.spec.get("securityContext")), f"{pod.spec_path}.securityContext"
    for i, sysctl in entries(context.get("sysctls")):
        if text(sysctl.get("name")) not in _SYSCTLS:
            yield f"{path}.sysctls[{i}]", f"the sysctl {text(sysctl.get('name'))}"
    for name, value in mapping(pod.metadata.get("annotations")).items():
        if name.startswith(_APPARMOR) and not _is_safe_apparmor(text(value)):
            yield child(f"{pod.metadata_path}.annotations", name), f"the AppArmor profile {value}"
    yield from _shared_fields(context, path)
    for container in pod.containers:
        yield from _container(container)


def _is_safe_apparmor(profile: str) -> bool:
    return profile in {"", "runtime/default"} or profile.startswith("localhost/")


def _shared_fields(context: dict[str, Any], path: str) -> Iterator[Violation]:
    """Check the fields that the security contexts of pods and containers share."""
    for field in ("seccompProfile", "appArmorProfile"):
        if mapping(context.get(field)).get("type") == "Unconfined":
            yield f"{path}.{field}", f"{field} Unconfined"
    options = mapping(context.get("seLinuxOptions"))
    if text(options.get("type")) not in _SELINUX:
        yield f"{path}.seLinuxOptions.type", f"the SELinux type {options['type']}"
    for field in ("user", "role"):
        if text(options.get(field)):
            yield f"{path}.seLinuxOptions.{field}", f"an SELinux {field}"
    if mapping(context.get("windowsOptions")).get("hostProcess") is True:
        yield f"{path}.windowsOptions.hostProcess", "hostProcess"


def _container(container: Container) -> Iterator[Violation]:
    context, path = mapping(container.body.get("securityContext")), f"{container.path}.securityContext"
    if context.get("privileged") is True:
        yield f"{path}.privileged", "privileged"
    for capability in strings(mapping(context.get("capabilities")).get("add")):
        if capability not in _CAPABILITIES:
            yield f"{path}.capabilities.add", f"the capability {capability}"
    if text(context.get("procMount")) not in {"", "Default"}:
        yield f"{path}.procMount", f"procMount {context['procMount']}"
    yield from _shared_fields(context, path)
    for i, port in entries(container.body.get("ports")):
        if optional_integer(port.get("hostPort")):
            yield f"{container.path}.ports[{i}].hostPort", "hostPort"
    yield from _handler_hosts(container)


def _handler_hosts(container: Container) -> Iterator[Violation]:
    """Find probes and handlers with a host, which the kubelet would be made to call."""
    lifecycle = mapping(container.body.get("lifecycle"))
    handlers = {name: container.body.get(name) for name in _PROBES}
    handlers |= {f"lifecycle.{name}": lifecycle.get(name) for name in ("postStart", "preStop")}
    for name, handler in handlers.items():
        for action in ("httpGet", "tcpSocket"):
            if text(mapping(mapping(handler).get(action)).get("host")):
                yield f"{container.path}.{name}.{action}.host", "the host of a probe or handler"


# --- restricted ----------------------------------------------------------------------------------------


def _restricted(pod: Pod) -> Iterator[Violation]:
    for i, volume in pod.volumes:
        for kind in sorted(volume.keys() - _VOLUMES - {"hostPath"}):
            yield f"{pod.spec_path}.volumes[{i}].{kind}", f"a volume of kind {kind}"
    pod_context = mapping(pod.spec.get("securityContext"))
    if pod_context.get("runAsUser") == 0:
        yield f"{pod.spec_path}.securityContext.runAsUser", "runAsUser 0"
    if pod_context.get("runAsNonRoot") is False:
        yield f"{pod.spec_path}.securityContext.runAsNonRoot", "runAsNonRoot other than true"
    for container in pod.containers:
        own_context, path = mapping(container.body.get("securityContext")), f"{container.path}.securityContext"
        if {**pod_context, **own_context}.get("runAsNonRoot") is not True:
            yield f"{path}.runAsNonRoot", "runAsNonRoot other than true"
        if own_context.get("runAsUser") == 0:
            yield f"{path}.runAsUser", "runAsUser 0"
        yield from _privileges(pod_context, own_context, path)


def _privileges(pod_context: dict[str, Any], own_context: dict[str, Any], path: str) -> Iterator[Violation]:
    """Check that a container gives up privileges that it does not need; pods for Windows are not excepted."""
    if own_context.get("allowPrivilegeEscalation") is not False:
        yield f"{path}.allowPrivilegeEscalation", "allowPrivilegeEscalation other than false"
    capabilities = mapping(own_context.get("capabilities"))
    if "ALL" not in strings(capabilities.get("drop")):
        yield f"{path}.capabilities.drop", "keeping capabilities"
    for capability in strings(capabilities.get("add")):
        if capability in _CAPABILITIES - {"NET_BIND_SERVICE"}:
            yield f"{path}.capabilities.add", f"the capability {capability}"
    if mapping({**pod_context, **own_context}.get("seccompProfile")).get("type") not in _PROFILES:
        yield f"{path}.seccompProfile", "no seccomp profile"
