"""Pod templates as Kubernetes' core validation checks them inside Volcano's job webhook.

The webhook defaults every template and calls `ValidatePodTemplate` of k8s.io/kubernetes
(pkg/apis/core/validation) without feature options, so the strict rules hold whatever the cluster's feature
gates are. This module checks the pod as a whole; containers, resources, volumes and scheduling have their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.schema import Kind
from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import DEPLOYMENT, KUBERNETES_JOB, Container, Job, Pod
from ftgen.validation.rules import PODS

_LARGEST_INT32 = 2**31 - 1
_RESTARTS: Mapping[Kind, tuple[str, ...]] = {KUBERNETES_JOB: ("OnFailure", "Never"), DEPLOYMENT: ("Always",)}
"""Restart policies of the pods of a kind that does not take them all."""
_POLICIES = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "preemptionPolicy": ("PreemptLowerPriority", "Never"),
}
_MOST_NAMESERVERS = 3
_MOST_SEARCHES = 32
_LONGEST_SEARCH_LIST = 2048
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")


@rule("FT363", "unknown-pod-policy", on=PODS)
def unknown_pod_policy(job: Job) -> Iterator[Finding]:
    """restartPolicy, dnsPolicy or preemptionPolicy has a value that does not exist, or that the kind does not take.

    An empty one is the default. All three restart policies pass in a VolcanoJob and in a Pod. A batch/v1 Job takes
    OnFailure and Never, and must say one, because Always is the default (validateJobSpec in pkg/apis/batch/validation
    of Kubernetes); a Deployment takes Always alone (ValidatePodTemplateSpecForReplicaSet in pkg/apis/apps/validation).

    Refused: `restartPolicy: OnError`; a batch/v1 Job without a `restartPolicy`.
    Write: `restartPolicy: Never`.
    """
    for pod in job.pods:
        for field, known in _POLICIES.items():
            value = text(pod.spec.get(field))
            if value and value not in known:
                yield Finding(
                    f"there is no {field} {value!r}",
                    f"{pod.spec_path}.{field}",
                    value,
                    f"use one of {', '.join(known)}",
                )
        yield from _restart_of_its_kind(job, pod)


def _restart_of_its_kind(job: Job, pod: Pod) -> Iterator[Finding]:
    stated = text(pod.spec.get("restartPolicy"))
    policy, taken = stated or "Always", _RESTARTS.get(job.kind, ())
    if taken and policy in _POLICIES["restartPolicy"] and policy not in taken:
        headline = f"a {job.kind[1]} cannot have the restartPolicy {policy}{'' if stated else ', which is the default'}"
        yield Finding(headline, f"{pod.spec_path}.restartPolicy", stated, f"write {' or '.join(taken)}")


@rule("FT364", "bad-dns-config", on=PODS)
def bad_dns_config(job: Job) -> Iterator[Finding]:
    """The pod's DNS configuration is incomplete or too large.

    dnsPolicy None needs at least one nameserver; there may be three nameservers (IP addresses) and 32 search
    domains of 2048 characters together.

    Refused: `dnsPolicy: None` alone.
    Write: `dnsConfig: {nameservers: [10.96.0.10]}` beside it.
    """
    for pod in job.pods:
        config, path = mapping(pod.spec.get("dnsConfig")), f"{pod.spec_path}.dnsConfig"
        servers, searches = strings(config.get("nameservers")), strings(config.get("searches"))
        if pod.spec.get("dnsPolicy") == "None" and not servers:
            yield Finding("dnsPolicy None needs a nameserver", f"{path}.nameservers", help=f"set {path}.nameservers")
        if len(servers) > _MOST_NAMESERVERS or not all(map(_is_ip, servers)):
            yield Finding("nameservers are at most three IP addresses", f"{path}.nameservers", ", ".join(servers))
        too_many = len(searches) > _MOST_SEARCHES or len(" ".join(searches)) > _LONGEST_SEARCH_LIST
        if too_many or not all(kube.is_dns1123_subdomain(s.removesuffix(".")) for s in searches):
            yield Finding("searches are at most 32 DNS names", f"{path}.searches", " ".join(searches)[:80])
        for i, option in entries(config.get("options")):
            if not text(option.get("name")):
                yield Finding("a DNS option needs a name", f"{path}.options[{i}].name")


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return "%" not in address


@rule("FT370", "bad-reference-name", on=PODS)
def bad_reference_name(job: Job) -> Iterator[Finding]:
    """A name in the pod's spec cannot be the name of an object.

    hostname and subdomain are single DNS labels; hostnameOverride, serviceAccountName, priorityClassName,
    runtimeClassName and nodeName are DNS-1123 subdomains. Whether the objects exist nobody looks up.

    Refused: `hostname: train.0`.
    Write: `hostname: train-0`.
    """
    for pod in job.pods:
        for field, is_name, syntax in _NAMES:
            value = text(pod.spec.get(field))
            if value and not is_name(value):
                yield Finding(f"{field} {value!r} is no {syntax}", f"{pod.spec_path}.{field}", value)
        if pod.spec.get("runtimeClassName") == "":
            yield Finding("runtimeClassName is empty", f"{pod.spec_path}.runtimeClassName", help="remove it")
        for i, alias in entries(pod.spec.get("hostAliases")):
            names = strings(alias.get("hostnames"))
            if not _is_ip(text(alias.get("ip"))) or not all(map(kube.is_dns1123_subdomain, names)):
                yield Finding("a host alias is an IP address with DNS names", f"{pod.spec_path}.hostAliases[{i}]")


_NAMES = (
    ("hostname", kube.is_dns1123_label, "DNS label"),
    ("subdomain", kube.is_dns1123_label, "DNS label"),
    ("hostnameOverride", kube.is_dns1123_subdomain, "DNS name"),
    ("serviceAccountName", kube.is_dns1123_subdomain, "DNS name"),
    ("priorityClassName", kube.is_dns1123_subdomain, "DNS name"),
    ("runtimeClassName", kube.is_dns1123_subdomain, "DNS name"),
    ("nodeName", kube.is_dns1123_subdomain, "DNS name"),
)


@rule("FT371", "bad-deadline", on=PODS)
def bad_deadline(job: Job) -> Iterator[Finding]:
    """The activeDeadlineSeconds is below 1 or above what 32 bits hold, or the pods of a Deployment have one.

    It counts from the pod's start, init containers included. The pods of a Deployment are to run for ever
    (ValidatePodTemplateSpecForReplicaSet in pkg/apis/apps/validation of Kubernetes).

    Refused: `activeDeadlineSeconds: 0`.
    Write: `activeDeadlineSeconds: 86400`, or leave it out for none.
    """
    for pod in job.pods:
        path = f"{pod.spec_path}.activeDeadlineSeconds"
        seconds = optional_integer(pod.spec.get("activeDeadlineSeconds"))
        if seconds is None:
            continue
        if not 1 <= seconds <= _LARGEST_INT32:
            yield Finding(f"activeDeadlineSeconds is {seconds}; it must be 1 to {_LARGEST_INT32}", path, seconds)
        elif job.kind == DEPLOYMENT:
            yield Finding("the pods of a Deployment have no deadline", path, seconds, f"remove {path}")


@rule("FT377", "ephemeral-containers", on=PODS)
def ephemeral_containers(job: Job) -> Iterator[Finding]:
    """A pod, or a template of pods, has ephemeral containers.

    They can only be added to running pods (`kubectl debug`).

    Refused: `template.spec.ephemeralContainers: [...]`.
    Write: a container.
    """
    for pod in job.pods:
        if entries(pod.spec.get("ephemeralContainers")):
            path = f"{pod.spec_path}.ephemeralContainers"
            yield Finding("only a running pod can be given ephemeral containers", path, help=f"remove {path}")


@rule("FT378", "conflicting-host-access", on=PODS)
def conflicting_host_access(job: Job) -> Iterator[Finding]:
    """Host ports or host namespaces contradict each other.

    Two main containers cannot take one host port; with hostNetwork a host port equals its container port;
    `hostUsers: false` excludes hostNetwork, hostPID, hostIPC and block devices; a pod cannot share its own process
    namespace and the host's.

    Refused: `hostNetwork: true` with `{containerPort: 29500, hostPort: 30000}`.
    Write: `{containerPort: 29500}`.
    """
    for pod in job.pods:
        for group in (pod.main_containers, *([c] for c in pod.init_containers)):
            yield from _host_ports(pod, group)
        if pod.spec.get("hostUsers") is False:
            for field in _HOST_NAMESPACES:
                if pod.spec.get(field) is True:
                    yield Finding(f"hostUsers: false excludes {field}", f"{pod.spec_path}.{field}", "true")
            for container in pod.containers:
                if entries(container.body.get("volumeDevices")):
                    yield Finding("hostUsers: false excludes volumeDevices", f"{container.path}.volumeDevices")
        if pod.spec.get("shareProcessNamespace") is True and pod.spec.get("hostPID") is True:
            yield Finding("shareProcessNamespace excludes hostPID", f"{pod.spec_path}.shareProcessNamespace", "true")


def _host_ports(pod: Pod, containers: list[Container]) -> Iterator[Finding]:
    taken: set[tuple[str, str, int]] = set()
    for container in containers:
        for i, port in entries(container.body.get("ports")):
            host, path = integer(port.get("hostPort")), f"{container.path}.ports[{i}].hostPort"
            if not host:
                continue
            key = (text(port.get("protocol")), text(port.get("hostIP")), host)
            if key in taken:
                yield Finding(f"host port {host} is taken twice", path, host)
            taken.add(key)
            if (
                not container.init
                and pod.spec.get("hostNetwork") is True
                and host != integer(port.get("containerPort"))
            ):
                yield Finding("with hostNetwork a hostPort equals its containerPort", path, host, f"remove {path}")


@rule("FT379", "bad-gate", on=PODS)
def bad_gate(job: Job) -> Iterator[Finding]:
    """A scheduling gate's or readiness gate's name is no qualified name.

    Both are `[domain/]name`.

    Refused: `schedulingGates: [{name: "wait for data"}]`.
    Write: `schedulingGates: [{name: example.com/data}]`.
    """
    for pod in job.pods:
        for field, key in (("schedulingGates", "name"), ("readinessGates", "conditionType")):
            for i, gate in entries(pod.spec.get(field)):
                if not kube.is_qualified_name(text(gate.get(key))):
                    yield Finding(f"{text(gate.get(key))!r} is no gate's name", f"{pod.spec_path}.{field}[{i}].{key}")


@rule("FT382", "unknown-os", on=PODS)
def unknown_os(job: Job) -> Iterator[Finding]:
    """`os.name` is neither linux nor windows, or the pod sets what that system does not have.

    Users, capabilities and profiles are Linux's, `windowsOptions` is Windows' (validateLinux, validateWindows).

    Refused: `os: {name: Linux}`, `os: {name: windows}` with `securityContext: {runAsUser: 1000}`.
    Write: `os: {name: linux}`, or leave it out.
    """
    for pod in job.pods:
        system = pod.spec.get("os")
        if not isinstance(system, dict):
            continue
        name = text(system.get("name"))
        if name not in _FOREIGN:
            yield Finding("os.name is linux or windows", f"{pod.spec_path}.os.name", name)
            continue
        for path, body, owner in _settings(pod):
            for field, value in body.items():
                is_set = value is True if field in _HOST_NAMESPACES else value not in (None, [])
                if is_set and field in _FOREIGN[name][owner]:
                    yield Finding(f"a {name} pod cannot set {field}", f"{path}.{field}", help="remove it, or os")


def _settings(pod: Pod) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield what a pod and its containers set for their system: path, body and owner."""
    yield pod.spec_path, pod.spec, "spec"
    yield f"{pod.spec_path}.securityContext", mapping(pod.spec.get("securityContext")), "pod"
    for container in pod.containers:
        body = mapping(container.body.get("securityContext"))
        yield f"{container.path}.securityContext", body, "container"


_OF_LINUX = frozenset(("appArmorProfile", "runAsGroup", "runAsUser", "seLinuxOptions", "seccompProfile"))
_FOREIGN: Mapping[str, Mapping[str, frozenset[str]]] = {
    "linux": {
        "spec": frozenset(),
        "pod": frozenset(("windowsOptions",)),
        "container": frozenset(("windowsOptions",)),
    },
    "windows": {
        "spec": frozenset(("hostIPC", "hostPID", "hostUsers", "shareProcessNamespace")),
        "pod": _OF_LINUX
        | {
            "fsGroup",
            "fsGroupChangePolicy",
            "seLinuxChangePolicy",
            "supplementalGroups",
            "supplementalGroupsPolicy",
            "sysctls",
        },
        "container": _OF_LINUX
        | {"allowPrivilegeEscalation", "capabilities", "privileged", "procMount", "readOnlyRootFilesystem"},
    },
}
"""Settings by the system that does not have them, and by their owner."""
