"""What every object's name and namespace must be, whatever its kind (k8s.io/apimachinery, api/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen import kube
from ftgen.rules import Finding, rule
from ftgen.rules.job import mapping, text

# Roles and their bindings are named by any path segment, such as system:node.
_FREELY_NAMED = ("rbac.authorization.k8s.io/",)
# A job's own name has a rule that knows its limits.
_JOB = "Job"


@rule("FT336", "bad-object-name")
def bad_object_name(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """An object or its namespace is called what no API server would store.

    Names are lower-case letters, digits, dashes and dots (DNS-1123 subdomains); namespaces have no dots and 63
    characters at most.

    Refused: `metadata: {name: My_Claim, namespace: Team}`.
    Write: `metadata: {name: my-claim, namespace: team}`.
    """
    metadata = mapping(manifest.get("metadata"))
    name, namespace, kind = text(metadata.get("name")), text(metadata.get("namespace")), manifest.get("kind")
    is_name = kube.is_dns1123_label if kind == "Namespace" else kube.is_dns1123_subdomain
    free = kind == _JOB or text(manifest.get("apiVersion")).startswith(_FREELY_NAMED)
    if name and not free and not is_name(name):
        yield Finding(f"{kind} cannot be called {name!r}", "metadata.name", name, _LOWER)
    if namespace and not kube.is_dns1123_label(namespace):
        yield Finding(f"there can be no namespace {namespace!r}", "metadata.namespace", namespace, _LOWER)


_LOWER = "use lower-case letters, digits and dashes"
RULES_OF_METADATA = (bad_object_name,)
