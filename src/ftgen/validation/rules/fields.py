"""Formats inside pod fields: relative paths, keys of Secrets, references to the pod's own fields.

Follows validateObjectFieldSelector, validateContainerResourceFieldSelector and the path checks in
pkg/apis/core/validation of k8s.io/kubernetes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ftgen.text import kube
from ftgen.text.shapes import amount, text

_DATA_KEY = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")
_SUBSCRIPT = re.compile(r"([^\[]+)\['(.*)'\]", re.DOTALL)
_ENV_FIELDS = frozenset(
    (
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.host",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    )
)
_FILE_FIELDS = frozenset(
    ("metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations")
)
_RESOURCES = frozenset(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_HUGE = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS = ("1m", "1")
_BYTE_DIVISORS = (
    "1",
    *(f"1{unit}" for unit in ("k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")),
)


def has_parent_step(path: str) -> bool:
    """Return whether a path has a `..` step."""
    return ".." in path and ".." in path.split("/")


def is_path_inside(path: str) -> bool:
    """Return whether a path is relative, does not begin with `..` and has no `..` step."""
    return not path.startswith(("/", "..")) and not has_parent_step(path)


def is_data_key(key: str) -> bool:
    """Return whether a text may be a key in a Secret or ConfigMap."""
    return bool(_DATA_KEY.fullmatch(key))


def downward_problem(source: dict[str, Any], *, volume: bool) -> tuple[str, str, str] | None:
    """Return what is wrong with a `fieldRef` or `resourceFieldRef`: (field, message, value); None where nothing is.

    A volume must name a container, and may refer to fields that change while the pod runs.
    """
    if isinstance(source.get("fieldRef"), dict):
        path = text(source["fieldRef"].get("fieldPath"))
        version = source["fieldRef"].get("apiVersion") or "v1"
        if version != "v1" or not _is_field(path, _FILE_FIELDS if volume else _ENV_FIELDS):
            return "fieldRef.fieldPath", f"{path!r} is no field a container can be told", path
    if isinstance(source.get("resourceFieldRef"), dict):
        return _resource_problem(source["resourceFieldRef"], volume=volume)
    return None


@lru_cache(maxsize=1024)
def _is_field(path: str, names: frozenset[str]) -> bool:
    match = _SUBSCRIPT.fullmatch(path)
    if not match:
        return path in names
    key = match[2].lower() if match[1] == "metadata.annotations" else match[2]
    return match[1] in ("metadata.annotations", "metadata.labels") and kube.is_qualified_name(key)


def _resource_problem(reference: dict[str, Any], *, volume: bool) -> tuple[str, str, str] | None:
    resource, divisor = text(reference.get("resource")), reference.get("divisor")
    if volume and not text(reference.get("containerName")):
        return "resourceFieldRef.containerName", "a container must be named", ""
    if resource not in _RESOURCES and not resource.startswith(_HUGE):
        return (
            "resourceFieldRef.resource",
            f"{resource!r} is no request or limit a container can be told",
            resource,
        )
    allowed = _CPU_DIVISORS if resource.endswith(".cpu") else _BYTE_DIVISORS
    if divisor is not None and amount(divisor) and kube.canonical_quantity(str(divisor)) not in allowed:
        return (
            "resourceFieldRef.divisor",
            f"the divisor of {resource} is one of {', '.join(allowed)}",
            str(divisor),
        )
    return None
