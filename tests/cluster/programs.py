"""Which of Volcano's programs run: each is asked for what it alone does, because its pods may be anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .kubectl import Object, wait_for
from .site import Site

ADMISSION, CONTROLLERS, SCHEDULER = "Volcano's admission", "Volcano's controllers", "Volcano's scheduler"
_PATIENCE = 20
"""Seconds that a program has to answer; each of them takes one or two."""


def running(site: Site) -> set[str]:
    """Return the programs that answer; none where the suite had to make Volcano's CRDs."""
    if "Volcano" in site.made:
        return set()
    asked: Mapping[str, Callable[[Site], bool]] = {
        ADMISSION: _refuses_an_unknown_queue,
        CONTROLLERS: _opens_a_queue,
        SCHEDULER: _admits_a_pod_group,
    }
    return {program for program, answers in asked.items() if answers(site)}


def _refuses_an_unknown_queue(site: Site) -> bool:
    container = {"name": "c", "image": "none"}
    task = {"name": "t", "replicas": 1, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    job = _object(
        site, "batch.volcano.sh/v1alpha1", "Job", "default", {"queue": f"none-{site.suffix}", "tasks": [task]}
    )
    answer = site.kubectl.ask("create", "--dry-run=server", "-f", "-", objects=[job])
    return answer.code != 0 and "queue" in answer.err


def _opens_a_queue(site: Site) -> bool:
    return _soon(lambda: _status(site, "queue.scheduling.volcano.sh", site.queue, "").get("state") == "Open")


def _admits_a_pod_group(site: Site) -> bool:
    namespace = site.namespace("probe")
    group = _object(site, "scheduling.volcano.sh/v1beta1", "PodGroup", namespace, {"minMember": 1, "queue": site.queue})
    site.kubectl("create", "-f", "-", objects=[group])
    kind, name = "podgroup.scheduling.volcano.sh", group["metadata"]["name"]
    admitted = _soon(lambda: _status(site, kind, name, namespace).get("phase") == "Inqueue")
    site.remove(namespace)
    return admitted


def _object(site: Site, api_version: str, kind: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": f"probe-{site.suffix}", "namespace": namespace, "labels": site.labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _status(site: Site, kind: str, name: str, namespace: str) -> Object:
    where = ("--namespace", namespace) if namespace else ()
    found: Object = (site.kubectl.find(kind, name, *where) or {}).get("status", {})
    return found


def _soon(look: Callable[[], bool]) -> bool:
    try:
        return wait_for("an answer", look, seconds=_PATIENCE)
    except AssertionError:
        return False
