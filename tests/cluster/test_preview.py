"""Pods as they are foretold.

What `ftgen preview` says of a pod is what its controller and the API server make of it: names, host names, environment,
mounts and volumes, commands and resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tools.options import chosen

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected
from ftgen.review import preview
from ftgen.review.preview import Container, Mount, Pod
from ftgen.schema.version import version_of

from .jobs import Desk
from .kubectl import Object, wait_for
from .programs import ADMISSION, CONTROLLERS, SCHEDULER
from .site import CLAIMS, Site
from .test_matrix import REFUSED, errors
from .trees import Tree

pytestmark = [pytest.mark.cluster, pytest.mark.needs(CONTROLLERS, SCHEDULER)]

HARDWARE = ("cpu", "full-gpu", "nvidia-vgpu", "nvidia-dra", "ascend", "ascend-910b-mindcluster")
STORAGE = ("topolvm", "nfs", "rbd", "hostpath", "emptydir", "ephemeral")
TARGETS = ("vcjob", "job")
PATIENCE = 240
LONG = {"seconds": 120}
"""What containers do: run, since Volcano removes the ConfigMap of host names when a job has ended."""
UNORDERED = "wait-for-master"
"""Volcano runs plugins in any order, so that this container, which one of them adds, may or may not see the others."""
_RANDOM = re.compile(r"-(?:[0-9a-z]{12}|[0-9a-z]{5}|x{11}[0-9]|x{10}[0-9]{2})$")
"""What controllers end names with, and what stands for it in a preview."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("storage", STORAGE)
def test_pods_are_as_foretold(site: Site, composer: Composer, tmp_path: Path, storage: str, target: str) -> None:
    tree = Tree(site.kubectl, site.namespace(f"preview-{storage}"), tmp_path)
    Desk(site, composer, tree.namespace).simulate(LONG)
    foretold = list(_rendered(composer, tree, storage, target))
    created = {each["metadata"]["name"] for each in tree.objects if each["kind"] == "PersistentVolumeClaim"}
    site.claim(tree.namespace, *sorted(CLAIMS - created))
    tree.apply()
    compare(site, tree.namespace, foretold)
    site.remove(tree.namespace)


def _rendered(composer: Composer, tree: Tree, storage: str, target: str) -> Iterator[Pod]:
    """Write the jobs of all hardware on one node and on two, and yield what is foretold of their pods."""
    for hardware in HARDWARE:
        for nodes in (1, 2):
            words = [*chosen("hardware", hardware), *chosen("storage", storage), f"hardware.nodes={nodes}"]
            words += [f"cluster.namespace={tree.namespace}", f"target={target}", f"name={hardware}-{nodes}"]
            try:
                compiled = pipeline.compile_job(composer, words)
            except Rejected as rejected:
                if (nodes, errors(rejected)) != (2, {REFUSED.get(storage)}):
                    raise
            else:
                tree.write(compiled.files)
                yield from preview.pods(compiled.bundle.objects)


@pytest.mark.needs(ADMISSION)
def test_all_plugins_do_as_foretold(site: Site, desk: Desk, namespace: str) -> None:
    desk.simulate(LONG)
    release = site.facts.products["Volcano"] or ""
    version = version_of(release if re.match(r"v?\d", release) else "newest")
    jobs = [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in _handwritten(site.queue)]
    for job in jobs:
        site.kubectl("create", "-f", "-", objects=[job])
    claims = [{"kind": "PersistentVolumeClaim", "metadata": {"name": "work"}, "spec": _claim(site.storage_class)}]
    compare(site, namespace, preview.pods([*claims, *jobs], version))


def _claim(storage_class: str) -> Object:
    return {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "100Gi"}},
    }


def _handwritten(queue: str) -> Iterator[dict[str, Any]]:
    """Yield jobs with every plugin, volumes of the job, and references of every kind."""
    field = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = [
        {"name": "LATE", "value": "$(SET)"},
        {"name": "SET", "value": "one"},
        {"name": "MANY", "value": "$(SET)-$(SET)-$(NOT)-$$(SET)-$(POD)"},
        {"name": "POD", **field},
        {"name": "TWICE", "value": "$(MANY) $(POD)"},
        {"name": "INDEX", "value": "$(VC_TASK_INDEX)"},
        {
            "name": "TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "aml-image-builder-secret", "key": "MODEL_REPO_GIT_TOKEN"}},
        },
    ]
    containers = [{"name": "main", "image": "none", "env": env, "command": ["run", "$(TWICE)", "$(NOT)"]}]
    spec = {"restartPolicy": "Never", "containers": containers, "initContainers": [{"name": "first", "image": "none"}]}
    volumes = [
        {"mountPath": "/named", "volumeClaimName": "work"},
        {"mountPath": "/again", "volumeClaimName": "work"},
    ]
    roles: tuple[tuple[str, Mapping[str, list[str]], tuple[str, ...]], ...] = (
        ("plain", {}, ("only",)),
        ("torch", {"pytorch": ["--port=1234"], "env": []}, ("master", "worker")),
        ("waits", {"pytorch": ["--wait-master-enabled=true"]}, ("master", "worker")),
        ("mpi", {"mpi": [], "ssh": ["--ssh-key-file-path=/keys"]}, ("master", "worker")),
        ("flow", {"tensorflow": []}, ("ps", "worker", "chief")),
        ("named", {"svc": ["--disable-network-policy=true"], "env": []}, ("gpu-worker-7b", "b")),
    )
    for name, plugins, tasks in roles:
        template = {"metadata": {"labels": {"own": "label"}}, "spec": spec}
        body = [{"name": task, "replicas": 1 + (task == "worker"), "template": template} for task in tasks]
        job = {"queue": queue, "plugins": plugins, "tasks": body, "volumes": volumes}
        yield {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": job}


# comparing


def compare(site: Site, namespace: str, foretold: Iterable[Pod]) -> None:
    """Wait for pods under the foretold names, and compare each of them."""
    wanted = {_without_suffix(pod.name): pod for pod in foretold}
    seen: dict[str, Object] = {}

    def look() -> bool:
        seen.update({_without_suffix(p["metadata"]["name"]): p for p in site.kubectl.items("pods", f"-n={namespace}")})
        return seen.keys() >= wanted.keys()

    try:
        wait_for("the pods", look, seconds=PATIENCE)
    except AssertionError:
        pytest.fail(
            f"not created: {sorted(wanted.keys() - seen.keys())}; created: {sorted(seen.keys() - wanted.keys())}"
        )
    assert seen.keys() == wanted.keys()
    config_maps = {
        c["metadata"]["name"]: c.get("data", {}) for c in site.kubectl.items("configmaps", f"-n={namespace}")
    }
    claims = {c["metadata"]["name"]: c["spec"] for c in site.kubectl.items("persistentvolumeclaims", f"-n={namespace}")}
    for name, pod in wanted.items():
        assert _told(pod) == _created(seen[name], config_maps), name
        _compare_claims(pod, claims)


def _without_suffix(name: str) -> str:
    """Return the name of a pod without what a controller of Kubernetes' own ends it with."""
    return re.sub(r"-(?:x{5}|[bcdfghjklmnpqrstvwxz2456789]{5})$", "", name)


def _told(pod: Pod) -> dict[str, Any]:
    return {
        "hostname": _without_suffix(pod.hostname),
        "namespace": pod.namespace,
        "account": pod.service_account,
        "runtime": pod.runtime_class,
        "containers": [_told_container(each) for each in pod.containers],
    }


def _told_container(container: Container) -> dict[str, Any]:
    if container.name == UNORDERED:
        return {"name": container.name, "init": container.init, "image": container.image}
    return {
        "name": container.name,
        "init": container.init,
        "image": container.image,
        "command": list(container.command),
        "env": {each.name: each.value for each in container.env},
        "mounts": {each.path: _told_mount(each) for each in container.mounts},
        "requests": {each.name: each.request for each in container.resources},
        "limits": {each.name: each.limit for each in container.resources if each.limit},
        "claims": list(container.claims),
    }


def _told_mount(mount: Mount) -> tuple[str, ...]:
    volume = mount.volume
    source = "" if volume.kind == "ephemeral claim" else volume.source
    size = volume.size if volume.kind == "emptyDir" else ""
    return _RANDOM.sub("", volume.name), volume.kind, source, size, mount.sub_path, str(mount.read_only)


_NAMES = {
    "persistentVolumeClaim": ("claim", "claimName"),
    "ephemeral": ("ephemeral claim", ""),
    "configMap": ("config map", "name"),
    "secret": ("secret", "secretName"),
    "emptyDir": ("emptyDir", "medium"),
    "hostPath": ("host path", "path"),
    "projected": ("projected", ""),
}


def _created(pod: Object, config_maps: Mapping[str, Object]) -> dict[str, Any]:
    spec = pod["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
    return {
        # Without one of its own, the kubelet takes the name.
        "hostname": _without_suffix(spec.get("hostname", pod["metadata"]["name"])),
        "namespace": pod["metadata"]["namespace"],
        "account": spec["serviceAccountName"],
        "runtime": spec.get("runtimeClassName", ""),
        "containers": [
            _created_container(each, pod, volumes, config_maps, init=init)
            for key, init in (("initContainers", True), ("containers", False))
            for each in spec.get(key, ())
        ],
    }


def _created_container(
    container: Object, pod: Object, volumes: Mapping[str, Object], config_maps: Mapping[str, Object], *, init: bool
) -> dict[str, Any]:
    if container["name"] == UNORDERED:
        return {"name": container["name"], "init": init, "image": container["image"]}
    env = _environment(container, pod, config_maps)
    words = [*container.get("command", ()), *container.get("args", ())]
    resources = container["resources"]
    return {
        "name": container["name"],
        "init": init,
        "image": container["image"],
        "command": [_replaced(word, env) for word in words],
        "env": env,
        "mounts": {each["mountPath"]: _created_mount(each, volumes) for each in container.get("volumeMounts", ())},
        "requests": resources.get("requests", {}),
        "limits": resources.get("limits", {}),
        "claims": [each["name"] for each in resources.get("claims", ())],
    }


def _environment(container: Object, pod: Object, config_maps: Mapping[str, Object]) -> dict[str, str]:
    """Return the environment of a live container; written anew, so that a mistake of ftgen's is none here."""
    found: dict[str, str] = {}
    for variable in container.get("env", ()):
        source = variable.get("valueFrom", {})
        if "configMapKeyRef" in source:
            value = config_maps[source["configMapKeyRef"]["name"]][source["configMapKeyRef"]["key"]]
        elif "secretKeyRef" in source:
            value = f"<secret {source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}>"
        elif "fieldRef" in source:
            value = _field(source["fieldRef"]["fieldPath"], pod)
        else:
            value = _replaced(variable.get("value", ""), found)
        found[variable["name"]] = value
    return found


def _field(path: str, pod: Object) -> str:
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    found = pod["metadata"].get(keyed[1], {}) if keyed else pod["metadata"]
    # What a device plugin writes when it has given out a card is not there yet.
    value: str = found.get(keyed[2] if keyed else path.rpartition(".")[2], f"<field {path}>")
    return value


def _replaced(value: str, env: Mapping[str, str]) -> str:
    """Replace references as Kubernetes documents them, left to right."""
    out, rest = "", value
    while "$" in rest:
        head, _, rest = rest.partition("$")
        name, closed, after = rest[1:].partition(")")
        if rest.startswith("$"):
            out, rest = f"{out}{head}$", rest[1:]
        elif rest.startswith("(") and closed:
            out, rest = f"{out}{head}{env.get(name, f'$({name})')}", after
        else:
            out = f"{out}{head}$"
    return out + rest


def _created_mount(mount: Object, volumes: Mapping[str, Object]) -> tuple[str, ...]:
    volume = volumes[mount["name"]]
    kind = next(key for key in volume if key != "name")
    what, field = _NAMES[kind]
    source = volume[kind].get(field, "") if field else ""
    size = volume[kind].get("sizeLimit", "")
    read_only = str(mount.get("readOnly", False))
    return _RANDOM.sub("", mount["name"]), what, source, size, mount.get("subPath", ""), read_only


def _compare_claims(pod: Pod, claims: Mapping[str, Object]) -> None:
    """Compare the claims that the preview knows, and those that are made for a pod, with the live ones."""
    for mount in (mount for container in pod.containers for mount in container.mounts):
        volume = mount.volume
        if volume.size and volume.kind in {"claim", "ephemeral claim"}:
            live = claims[volume.source] if "xxxxx" not in volume.source else None
            if live is not None:
                assert volume.size == live["resources"]["requests"]["storage"]
                assert volume.access_modes == tuple(live["accessModes"])
                assert volume.storage_class in {"", live["storageClassName"]}
