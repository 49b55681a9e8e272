"""The trainer's scripts: in a ConfigMap that runs share, or inline where a run is to be one object."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ftgen.lower.objects import Object, json_text, managed_labels
from ftgen.spec import Spec
from ftgen.text import kube

SCRIPTS = "/opt/ftgen"
"""Where the containers find the scripts that lie in a ConfigMap."""
_CONTAINERS = 2  # each runs a script: the one that fetches, and the one that trains


def is_mounted(spec: Spec) -> bool:
    """Return whether the scripts lie in a ConfigMap: not where a run is submitted by hand, as one object.

    A container's command holds the text of one script, so that a script which calls another is mounted.
    """
    if spec.job.scripts == "auto":
        return spec.delivery.reconciler != "kubectl" or len(spec.scripts) > _CONTAINERS
    return spec.job.scripts == "configmap"


def config_map(spec: Spec, folder: str, scripts: Mapping[str, str]) -> Object:
    """Make the ConfigMap of the scripts, which all runs of a folder with the same scripts share.

    It is immutable, so that no commit changes what a waiting or restarted pod runs, and named by its content, which
    makes another script another run.
    """
    labels, namespace = managed_labels(spec), spec.cluster.namespace
    digest = _digest(namespace, tuple(labels.items()), tuple(scripts.items()))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{folder}-scripts-{digest}", "namespace": namespace, "labels": labels},
        "immutable": True,
        "data": dict(scripts),
    }


# The runs of a sweep share them, and they are long.
@lru_cache(maxsize=64)
def _digest(namespace: str, labels: tuple[tuple[str, str], ...], scripts: tuple[tuple[str, str], ...]) -> str:
    return kube.digest(json_text({"namespace": namespace, "labels": dict(labels), "data": dict(scripts)}))


def scripts_volume(mounted: Object | None) -> list[Object]:
    """Return the volume of the scripts' ConfigMap, where there is one."""
    return [{"name": "scripts", "configMap": {"name": mounted["metadata"]["name"]}}] if mounted else []


def scripts_mount(spec: Spec) -> list[Object]:
    """Return where a container finds the scripts."""
    return [{"name": "scripts", "mountPath": SCRIPTS, "readOnly": True}] if is_mounted(spec) else []


def command(spec: Spec, name: str, script: str) -> list[str]:
    """Run a script: the mounted file, or its text where the job is one object."""
    return ["/bin/bash", f"{SCRIPTS}/{name}"] if is_mounted(spec) else ["/bin/bash", "-c", kube.escape_dollars(script)]
