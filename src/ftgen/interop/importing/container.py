"""Options of a `docker run` other than image, command and cards: a patch of the pod, and notes on the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.diagnostics import Diagnostic, note
from ftgen.interop.importing.flags import DockerRun, Option
from ftgen.interop.importing.mounts import Mount, mounts, size
from ftgen.text import kube

LEFT_OUT = "FT542"
_SHM = "/dev/shm"  # noqa: S108 - a mount point


def is_shm(mount: Mount) -> bool:
    """Return whether a mount is at /dev/shm, where ftgen mounts memory itself."""
    return mount.path.rstrip("/") == _SHM


def shm_size(run: DockerRun) -> str:
    """Return the size of /dev/shm as a quantity; empty if no option gives it."""
    option = run.last("shm-size")
    mounted = [mount.size for mount in mounts(run) if is_shm(mount) and mount.size]
    return size(option, option.value) if option else mounted[-1] if mounted else ""


# --- the overlay ---------------------------------------------------------------------------------------


def pod_patch(run: DockerRun, mounted: list[Mount]) -> dict[str, Any] | None:
    """Return a patch of the pod for options without a key: mounts, users, capabilities, namespaces of the node.

    None if the patch is empty.
    """
    container: dict[str, Any] = {"name": "train"}
    if context := _security(run):
        container["securityContext"] = context
    if mounted:
        container["volumeMounts"] = [_container_mount(i, mount) for i, mount in enumerate(mounted)]
    pod = _pod(run)
    if mounted:
        pod["volumes"] = [{"name": f"host-{i}", **_volume(mount)} for i, mount in enumerate(mounted)]
    if len(container) > 1:
        pod["containers"] = [container]
    head = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "docker-run"}}
    return {**head, "template": {"spec": pod}} if pod else None


def _volume(mount: Mount) -> dict[str, Any]:
    if mount.source.startswith("/"):
        kind = {"type": "DirectoryOrCreate"} if mount.creates else {}
        return {"hostPath": {"path": mount.source, **kind}}
    if mount.source:
        return {"persistentVolumeClaim": {"claimName": kube.slug(mount.source, 63)}}
    memory = {"medium": "Memory"} if mount.memory else {}
    return {"emptyDir": {**memory, **({"sizeLimit": mount.size} if mount.size else {})}}


def _container_mount(index: int, mount: Mount) -> dict[str, Any]:
    options = {"readOnly": mount.read_only, "subPath": mount.subpath, "mountPropagation": mount.propagation}
    return {
        "name": f"host-{index}",
        "mountPath": mount.path,
        **{name: value for name, value in options.items() if value},
    }


def _pod(run: DockerRun) -> dict[str, Any]:
    """Return the pod's fields: shared namespaces of the node, host aliases, DNS, groups and sysctls."""
    pod: dict[str, Any] = {}
    if _is_host(run, "network"):
        pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    pod |= {"hostIPC": True} if _is_host(run, "ipc") else {}
    pod |= {"hostPID": True} if _is_host(run, "pid") else {}
    if hosts := list(_hosts(run)):
        pod["hostAliases"] = hosts
    names = {"nameservers": run.all("dns"), "searches": run.all("dns-search")}
    if dns := {key: [option.value for option in options] for key, options in names.items() if options}:
        pod["dnsConfig"] = dns
    context: dict[str, Any] = {}
    if groups := [int(option.value) for option in run.all("group-add") if option.value.isdecimal()]:
        context["supplementalGroups"] = groups
    if sysctls := [option.value.partition("=")[::2] for option in run.all("sysctl") if "=" in option.value]:
        context["sysctls"] = [{"name": name, "value": value} for name, value in sysctls]
    return {**pod, **({"securityContext": context} if context else {})}


def _is_host(run: DockerRun, namespace: str) -> bool:
    option = run.last(namespace)
    return option is not None and option.value == "host"


def _hosts(run: DockerRun) -> Iterator[dict[str, Any]]:
    """Yield the host aliases of `--add-host NAME:ADDRESS`, grouped by address as in Kubernetes."""
    found: dict[str, list[str]] = {}
    for option in run.all("add-host"):
        name, address = _host(option.value)
        if address:
            found.setdefault(address, []).append(name)
    yield from ({"ip": address, "hostnames": names} for address, names in found.items())


def _host(text: str) -> tuple[str, str]:
    """Split name and address; the address is empty if it is none, such as Docker's `host-gateway`."""
    name, _, address = text.partition("=" if "=" in text else ":")
    address = address.strip("[]")
    return name, address if re.fullmatch(r"[0-9A-Fa-f:.]+", address) and name else ""


def _security(run: DockerRun) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if run.all("privileged"):
        context["privileged"] = True
    added, dropped = ([_capability(o.value) for o in run.all(name)] for name in ("cap-add", "cap-drop"))
    if added or dropped:
        context["capabilities"] = {**({"add": added} if added else {}), **({"drop": dropped} if dropped else {})}
    for option in run.all("security-opt"):
        context |= _confinement(option.value) or {}
    if (user := run.last("user")) and _is_converted(user):
        ids = [int(_ROOT.get(part, part)) for part in user.value.split(":")]
        context |= dict(zip(("runAsUser", "runAsGroup"), ids, strict=False))
    if run.all("read-only"):
        context["readOnlyRootFilesystem"] = True
    return context


_ROOT = {"root": "0"}


def _is_id(text: str) -> bool:
    return re.fullmatch(r"\d{1,10}", _ROOT.get(text, text)) is not None


def _capability(text: str) -> str:
    """Remove the prefix `CAP_`, which is optional in Docker and invalid in Kubernetes."""
    return text.upper().removeprefix("CAP_")


def _confinement(text: str) -> dict[str, Any] | None:
    """Convert a `--security-opt` to fields of a security context; None if there are none for it."""
    key, _, value = text.partition("=" if "=" in text else ":")
    if key == "no-new-privileges" and value in {"", "true"}:
        return {"allowPrivilegeEscalation": False}
    if key == "seccomp" and value in {"unconfined", "builtin"}:
        return {"seccompProfile": {"type": "Unconfined" if value == "unconfined" else "RuntimeDefault"}}
    if key == "apparmor" and value == "unconfined":
        return {"appArmorProfile": {"type": "Unconfined"}}
    if key == "apparmor" and value:
        return {"appArmorProfile": {"type": "Localhost", "localhostProfile": value}}
    return None


# --- unconverted options -------------------------------------------------------------------------------

_CONVERTED = frozenset(
    {
        *("env", "volume", "mount", "tmpfs", "workdir", "memory", "cpus", "gpus", "runtime", "shm-size", "entrypoint"),
        *("name", "cap-add", "cap-drop", "privileged", "read-only", "dns", "dns-search", "device"),
    }
)
"""Options that are converted whatever their value, or reported by another function."""
_NEEDLESS = frozenset({"rm", "interactive", "tty", "detach", "init", "sig-proxy", "quiet", "pull", "replace"})
"""Options that need no counterpart in a job: Kubernetes creates, keeps and removes its pods."""
_INSTEAD = {
    "env-file": "its variables are not read; write them with -e, or in hardware.env",
    "ulimit": "a pod has the limits that the node's container runtime sets",
    "restart": "policies of the job say what happens when a pod fails",
    "stop-timeout": "set job.grace_period",
    "publish": "pods are reached by their own address; a Service publishes a port",
    "hostname": "pods are named by the job",
    "label": "set labels in the overlay, under metadata",
    "platform": "set cluster.node_selector to nodes of that architecture",
    "memory-reservation": "set hardware.per_card.memory.request",
}


def unconverted_options(run: DockerRun) -> Iterator[Diagnostic]:
    """Yield a note for each option that the import leaves out, at its place in the command line."""
    needless = run.all(*_NEEDLESS)
    if needless:
        listed = ", ".join(dict.fromkeys(option.spelled for option in needless))
        yield note(LEFT_OUT, f"{listed}: left out, a job does without").at(needless[0].word.at)
    for option in run.options:
        if option.name not in _CONVERTED | _NEEDLESS and not _is_converted(option):
            headline = f"{option.spelled} has no counterpart and is left out"
            yield note(LEFT_OUT, headline, "", option.value, _INSTEAD.get(option.name, "")).at(option.word.at)


def _is_converted(option: Option) -> bool:
    """Return whether the overlay has a field for this value of an option."""
    value = option.value
    if option.name in {"network", "ipc", "pid"}:
        return value == "host"
    if option.name == "user":
        return all(map(_is_id, value.split(":")))
    if option.name == "security-opt":
        return _confinement(value) is not None
    if option.name == "add-host":
        return bool(_host(value)[1])
    return (option.name == "group-add" and value.isdecimal()) or (option.name == "sysctl" and "=" in value)
