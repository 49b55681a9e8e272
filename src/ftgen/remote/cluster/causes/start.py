"""Causes on the node: secrets, ConfigMaps, images and volumes that a pod waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftgen.remote.cluster.causes.cause import Cause, words
from ftgen.remote.cluster.objects import Container, Pod
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.state import ClusterState

_MISSING = re.compile(r"(?P<kind>secret|configmap) \"?(?:[^\s\"/]+/)?(?P<name>[a-z0-9.-]+)\"? not found", re.IGNORECASE)
_NO_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?:[^\s/]+/)?(?P<name>[a-z0-9.-]+)")
_PULLS = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"}
_IMAGE = re.compile(r"\bimage \"(?P<image>[^\s\"]+)\"", re.IGNORECASE)
_MOUNTS = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}


def obstacle(run: Run, seen: ClusterState) -> Cause | None:
    """Return what keeps a pod that has a node from running its containers."""
    if run.job is None or run.is_ended:
        return None
    pending = [pod for pod in run.pods if pod.node and pod.phase == "Pending"]
    return next((cause for pod in pending for cause in _causes(pod, seen)), None)


def _causes(pod: Pod, seen: ClusterState) -> Iterator[Cause]:
    waiting = [each for each in pod.containers if each.state == "waiting"]
    # Mounts come before containers: the kubelet starts none before every volume is there.
    events = seen.events_by_object.get(("Pod", pod.key), ())
    mount = next((event.message for event in events if event.reason in _MOUNTS), "")
    yield from (_missing(pod, each) for each in (mount, *(c.message for c in waiting)) if _is_missing(each))
    yield from (_image(each) for each in waiting if each.reason in _PULLS or "Image" in each.reason)
    if mount and all(each.state != "running" for each in pod.containers):
        how = f"`kubectl describe pod -n {pod.key[0]} {pod.key[1]}` shows its events"
        yield Cause("mount", f"a volume cannot be mounted on {pod.node}: {words(mount)}", how)
    yield from (_refused(pod, each) for each in waiting if each.message and each.reason.endswith("Error"))


def _is_missing(message: str) -> bool:
    return bool(_MISSING.search(message) or _NO_KEY.search(message))


def _missing(pod: Pod, message: str) -> Cause:
    """Return which secret or ConfigMap, or which key of it, does not exist."""
    found = _NO_KEY.search(message) or _MISSING.search(message)
    if found is None:
        raise ValueError(message)
    kind, name, key = found["kind"].lower(), found["name"], found.groupdict().get("key")
    word = "ConfigMap" if kind == "configmap" else "secret"
    if key:
        return Cause(f"{kind}-missing", f"the {word} {name} has no key {key}", f"add it to the {word}")
    return Cause(f"{kind}-missing", f"the {word} {name} does not exist", _REMEDIES[kind].format(namespace=pod.key[0]))


_REMEDIES = {
    "secret": "create it in namespace {namespace}, or correct its name (cluster.git.secret, hardware.env, tracking)",
    "configmap": "let the reconciler create it in namespace {namespace}: scripts are committed beside the job",
}


def _image(each: Container) -> Cause:
    named = _IMAGE.search(each.message)
    image = f"the image {named['image']}" if named else "its image"
    what = f"{image} cannot be pulled ({each.reason}{f': {words(each.message)}' if each.message else ''})"
    if each.reason == "InvalidImageName":
        return Cause("image", what, "correct hardware.image")
    return Cause(
        "image",
        what,
        "correct hardware.image or cluster.registry, or name the registry's secret in cluster.image_pull_secrets",
    )


def _refused(pod: Pod, each: Container) -> Cause:
    how = f"`kubectl describe pod -n {pod.key[0]} {pod.key[1]}` shows its events"
    return Cause("container", f"container {each.name} cannot start ({each.reason}): {words(each.message)}", how)
