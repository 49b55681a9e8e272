"""Small manifests, with the fields that a test is about."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def container(name: str = "main", **fields: Any) -> Object:
    return {"name": name, "image": "busybox", **fields}


def task(name: str, *containers: Object, replicas: int = 1, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": list(containers), **spec}}
    return {"name": name, "replicas": replicas, "template": template}


def volcano_job(*tasks: Object, name: str = "j", **spec: Any) -> Object:
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"tasks": list(tasks), **spec},
    }


def claim(size: str) -> Object:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": size}},
    }
