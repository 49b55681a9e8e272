"""CustomResourceDefinitions made of the closed schemas in `schemas/`, for clusters that lack them.

A CRD made so accepts what the published one accepts; the programs that read its objects are still missing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ftgen.schema import Node, closed
from ftgen.schema.closed import Schema

CLUSTER_SCOPED = {"Queue"}
_SERVED_ONLY = {"x-kubernetes-patch-merge-key", "const", "uniqueItems"}


def kinds(group: str) -> list[closed.Kind]:
    """Return the kinds of an API group that `schemas/` describes."""
    return [kind for kind in closed.kinds(closed.NEWEST) if kind[0].partition("/")[0] == group]


def definition(api_version: str, kind: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return the CRD that serves one kind."""
    group, _, version = api_version.partition("/")
    singular = kind.lower()
    names = {"kind": kind, "plural": f"{singular}s", "singular": singular, "listKind": f"{kind}List"}
    schema = structural(Node.of(_schema(api_version, kind)))
    schema["properties"]["metadata"] = {"type": "object"}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}", "labels": labels},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Cluster" if kind in CLUSTER_SCOPED else "Namespaced",
            "versions": [{**served, "subresources": {"status": {}}}],
        },
    }


@cache
def _schema(api_version: str, kind: str) -> Schema:
    found = closed.find(api_version, kind, closed.NEWEST)
    assert found is not None
    return found


def structural(node: Node) -> Schema:
    """Return a structural schema: references replaced by what they name, and closed mappings as CRDs spell them."""
    return {key: value for part in (_plain(node), _typed(node), _inner(node)) for key, value in part.items()}


def _plain(node: Node) -> Schema:
    left_out = {"$ref", "$defs", "$schema", "additionalProperties", "properties", "items", "type", *_SERVED_ONLY}
    kept = {
        key: value for key, value in node.here.items() if key not in left_out and not _is_bound_of_format(key, value)
    }
    # The server takes the keys of a list of mappings only with the list's type.
    kinds = {"x-kubernetes-list-map-keys": "map", "uniqueItems": "set"}
    listed = next((kind for key, kind in kinds.items() if key in node.here), None)
    return kept | ({"x-kubernetes-list-type": listed} if listed else {})


def _is_bound_of_format(key: str, value: object) -> bool:
    """Tell the bounds of int32 and int64, which the format says already."""
    return key in {"minimum", "maximum"} and isinstance(value, int) and abs(value) >= 2**31 - 1


def _typed(node: Node) -> Schema:
    match node.here.get("type"):
        case ["integer", "string"]:
            return {"x-kubernetes-int-or-string": True}
        case [str(name), "null"]:
            return {"type": name, "nullable": True}
        case str(name):
            return {"type": name, **_preserving(name, node)}
        case _:
            return {"type": "string"} if "const" in node.here else {"x-kubernetes-preserve-unknown-fields": True}


def _preserving(name: str, node: Node) -> Schema:
    open_ended = name == "object" and not {"properties", "additionalProperties"} & node.here.keys()
    return {"x-kubernetes-preserve-unknown-fields": True} if open_ended else {}


def _inner(node: Node) -> Schema:
    inner: Schema = {}
    if names := node.names():
        inner["properties"] = {name: structural(child) for name in names if (child := node.field(name))}
    elif isinstance(node.here.get("additionalProperties"), dict) and (values := node.field("")):
        inner["additionalProperties"] = structural(values)
    if item := node.item():
        inner["items"] = structural(item)
    return inner
