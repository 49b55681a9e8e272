"""Names, labels and annotations of objects and pod templates (k8s.io/apimachinery, api/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.schema import VOLCANO_JOB
from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.inventory import KINDS
from ftgen.validation.manifest import Job, Pod
from ftgen.validation.rules import OBJECT, PODS
from ftgen.validation.rules.fields import has_parent_step

# Roles and their bindings may have any path segment as name, such as system:node.
_FREE_NAME_GROUPS = ("rbac.authorization.k8s.io/",)
_LOWER = "use lower-case letters, digits and dashes"
_MOST_ANNOTATION_BYTES = 256 * 1024


@rule("FT336", "bad-object-name", on=OBJECT)
def bad_object_name(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """The name of an object or of its namespace is not one that the API server stores.

    Names are lower-case letters, digits, dashes and dots (DNS-1123 subdomains); namespaces have no dots and 63
    characters at most.

    Refused: `metadata: {name: My_Claim, namespace: Team}`.
    Write: `metadata: {name: my-claim, namespace: team}`.
    """
    metadata = mapping(manifest.get("metadata"))
    name, namespace, kind = text(metadata.get("name")), text(metadata.get("namespace")), manifest.get("kind")
    is_name = kube.is_dns1123_label if kind == "Namespace" else kube.is_dns1123_subdomain
    # FT310 checks the name of a VolcanoJob.
    is_exempt = (manifest.get("apiVersion"), kind) == VOLCANO_JOB
    is_exempt = is_exempt or text(manifest.get("apiVersion")).startswith(_FREE_NAME_GROUPS)
    if name and not is_exempt and not is_name(name):
        yield Finding(f"{kind} cannot be called {name!r}", "metadata.name", name, _LOWER)
    if namespace and not kube.is_dns1123_label(namespace):
        yield Finding(f"there can be no namespace {namespace!r}", "metadata.namespace", namespace, _LOWER)


@rule("FT337", "resource-version", Severity.WARNING, on=OBJECT)
def resource_version(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A manifest says which version of the stored object it is.

    The API server sets `resourceVersion`, and creates no object that has one ("resourceVersion should not be set on
    objects to be created"): what `kubectl get -o yaml` prints is no manifest for another cluster or a later day.

    Refused: `metadata: {name: sft, resourceVersion: "4711"}`.
    Write: neither that nor what else the cluster fills in: `uid`, `creationTimestamp`, `managedFields`, `status`.
    """
    version = text(mapping(manifest.get("metadata")).get("resourceVersion"))
    is_saved = (manifest.get("apiVersion"), manifest.get("kind")) in KINDS  # for what jobs are weighed against
    if version.strip("0").isdecimal() and not is_saved:
        headline = "an object with a resourceVersion is refused where there is none to replace"
        yield Finding(headline, "metadata.resourceVersion", version, "remove metadata.resourceVersion")


@rule("FT340", "bad-label", on=PODS)
def bad_label(job: Job) -> Iterator[Finding]:
    """A label's key or value has characters or a length that labels cannot have.

    Keys are `[domain/]name`, values up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a
    letter or digit. Checked on the job by the API server, on templates by core validation.

    Refused: `labels: {model: Qwen/Qwen3-0.6B}`.
    Write: `labels: {model: Qwen3-0.6B}`.
    """
    places = {"metadata.labels": mapping(job.manifest.get("metadata")).get("labels")}
    for pod in job.pods:
        places[f"{pod.metadata_path}.labels"] = pod.metadata.get("labels")
        places[f"{pod.spec_path}.nodeSelector"] = pod.spec.get("nodeSelector")
    for path, labels in places.items():
        for key, value in mapping(labels).items():
            if not kube.is_qualified_name(key):
                yield Finding(f"{key!r} is no label key", child(path, key), key)
            if isinstance(value, str) and not kube.is_label_value(value):
                yield Finding(
                    f"{value!r} is no label value",
                    child(path, key),
                    value,
                    "keep to 63 letters, digits, - _ .",
                )


@rule("FT341", "bad-annotation", on=PODS)
def bad_annotation(job: Job) -> Iterator[Finding]:
    """An annotation's key is malformed, Kubernetes cannot read its value, or all together exceed 256 KiB.

    Keys are `[domain/]name` in any case; the size is that of all keys and values.  Of a pod, core validation reads the
    old annotations of AppArmor and seccomp, and pod-deletion-cost, a number of 32 bits.

    Refused: `annotations: {"my note": x}`, an AppArmor profile for a container that the pod does not have.
    Write: `annotations: {example.com/my-note: x}`, the container's name after the slash.
    """
    places = {"metadata.annotations": mapping(mapping(job.manifest.get("metadata")).get("annotations"))}
    places |= {f"{pod.metadata_path}.annotations": mapping(pod.metadata.get("annotations")) for pod in job.pods}
    for path, notes in places.items():
        for key in notes:
            if not kube.is_qualified_name(key.lower()):
                yield Finding(f"{key!r} is no annotation key", child(path, key), key)
        size = sum(_bytes(key) + _bytes(text(value)) for key, value in notes.items())
        if size > _MOST_ANNOTATION_BYTES:
            yield Finding(f"the annotations have {size} bytes; {_MOST_ANNOTATION_BYTES} are allowed", path, size)
    for pod in job.pods:
        for key, value in mapping(pod.metadata.get("annotations")).items():
            if problem := _problem_of_value(key, text(value), pod):
                yield Finding(problem, child(f"{pod.metadata_path}.annotations", key), text(value))


_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP = ("container.seccomp.security.alpha.kubernetes.io/", "seccomp.security.alpha.kubernetes.io/pod")
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST = re.compile(r"0|[1-9][0-9]{0,9}|-[0-9]{1,10}")


def _problem_of_value(key: str, value: str, pod: Pod) -> str:
    """Return what core validation (ValidatePodSpecificAnnotations) refuses in a pod's annotation; empty if nothing."""
    if key.startswith(_APPARMOR):
        name = key.removeprefix(_APPARMOR)
        if all(container.name != name for container in pod.containers):
            return f"the pod has no container {name!r} for an AppArmor profile"
        known = value in ("", "runtime/default", "unconfined") or value.startswith("localhost/")
        return "" if known else f"{value!r} is no AppArmor profile: runtime/default, unconfined or localhost/<name>"
    if key.startswith(_SECCOMP[0]) or key == _SECCOMP[1]:
        path = value.removeprefix("localhost/")
        known = value in ("runtime/default", "docker/default", "unconfined")
        known = known or (path != value and not path.startswith("/") and not has_parent_step(path))
        return "" if known else f"{value!r} is no seccomp profile: runtime/default, unconfined or localhost/<file>"
    is_cost = key != _DELETION_COST or (_COST.fullmatch(value) and -(2**31) <= int(value) < 2**31)
    return "" if is_cost else f"{value!r} is no cost, a whole number of 32 bits"


def _bytes(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
