"""Typed view of a manifest for the rules: every field has a value, every part its path.

A value of the wrong shape reads as absent, so that no rule checks types.  The views share the manifest's own
dictionaries and never change them.  A view equals only itself, so that it can be the key of a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from ftgen.schema import Kind
from ftgen.schema.version import Version
from ftgen.text.paths import Steps
from ftgen.text.shapes import entries, integer, mapping, optional_integer, text

NEWEST: Version = (1, 15, 1)
"""Newest Volcano release whose source these rules follow; later releases are checked by the same rules."""
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 58

ClaimSpecs = tuple[tuple[str, Mapping[str, Any]], ...]
"""Names of PersistentVolumeClaims with their specs: pairs, so that jobs whose claims differ in name have one shape."""

DEPLOYMENT: Kind = ("apps/v1", "Deployment")
KUBERNETES_JOB: Kind = ("batch/v1", "Job")
"""Job of Kubernetes' own."""

ConfigMaps = tuple[tuple[str, Mapping[str, str]], ...]
"""Names of ConfigMaps with their `data`, texts by key."""


class Companions(Struct, frozen=True):
    """Objects that jobs refer to by name: PersistentVolumeClaims, and ConfigMaps whose files they may run."""

    claims: ClaimSpecs = ()
    config_maps: ConfigMaps = ()

    def joined(self, *others: Companions) -> Companions:
        """Return all companions together; of two with the same name, the last."""
        nonempty = [other for other in others if other != Companions()]
        if not nonempty:
            return self
        claims = dict(pair for each in (self, *nonempty) for pair in each.claims)
        config_maps = dict(pair for each in (self, *nonempty) for pair in each.config_maps)
        return Companions(tuple(claims.items()), tuple(config_maps.items()))


def companions(objects: Iterable[Mapping[str, Any]]) -> Companions:
    """Return the PersistentVolumeClaims and ConfigMaps among some objects."""
    claims: dict[str, Mapping[str, Any]] = {}
    config_maps: dict[str, Mapping[str, str]] = {}
    for each in objects:
        metadata, spec = each.get("metadata"), each.get("spec")
        if not isinstance(metadata, dict):
            continue
        name = str(metadata.get("name", ""))
        if each.get("kind") == "PersistentVolumeClaim" and isinstance(spec, dict):
            claims[name] = spec
        if each.get("kind") == "ConfigMap":
            config_maps[name] = {
                key: value for key, value in mapping(each.get("data")).items() if isinstance(value, str)
            }
    return Companions(tuple(claims.items()), tuple(config_maps.items()))


def objects(document: Any) -> Iterator[tuple[Steps, Any]]:
    """Yield the objects of a document with their paths: the document itself, or the items of a List."""
    listed = isinstance(document, dict) and str(document.get("kind", "")).endswith("List")
    if listed and isinstance(document.get("items"), list):
        for index, item in enumerate(document["items"]):
            yield ("items", index), item
    else:
        yield (), document


class Container(Struct, frozen=True, eq=False):
    """Container or init container of a task's template; `files` are the texts of mounted ConfigMaps by path."""

    path: str
    name: str
    body: dict[str, Any]
    init: bool
    env: list[tuple[int, dict[str, Any]]]
    mounts: list[tuple[int, dict[str, Any]]]
    files: Mapping[str, str] = field(default_factory=dict)


class Pod(Struct, frozen=True, eq=False):
    """Pod template of a task; `path` is the template's, `spec_path` its spec's.

    `containers` lists the init containers, then the main containers.  The path of a Pod that no template describes is
    empty.
    """

    path: str
    spec_path: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    init_containers: list[Container]
    main_containers: list[Container]
    containers: list[Container]
    volumes: list[tuple[int, dict[str, Any]]]

    @property
    def metadata_path(self) -> str:
        """Return the path of its metadata."""
        return f"{self.path}.metadata" if self.path else "metadata"


class Task(Struct, frozen=True, eq=False):
    """Entry of `spec.tasks`; `index` is its position."""

    path: str
    index: int
    name: str
    body: dict[str, Any]
    replicas: int
    min_available: int | None
    pod: Pod


class Job(Struct, frozen=True, eq=False):
    """VolcanoJob with the Volcano version that it is checked for.

    Attributes:
        manifest: whole object.
        spec: its spec.
        tasks: entries of `spec.tasks` in their order.
        pods: pod template of every task.
        containers: every container of every task, init containers first within a task.
        volumes: entries of `spec.volumes` with their positions.
        plugins: argument list by plugin name; a value that is no list stays as it is.
        version: Volcano version.
    """

    manifest: dict[str, Any]
    spec: dict[str, Any]
    tasks: list[Task]
    pods: list[Pod]
    containers: list[Container]
    volumes: list[tuple[int, dict[str, Any]]]
    plugins: dict[str, Any]
    version: Version

    @property
    def kind(self) -> Kind:
        """Return its API version and kind: a view may be that of another workload."""
        return text(self.manifest.get("apiVersion")), text(self.manifest.get("kind"))

    @property
    def name(self) -> str:
        """Return `metadata.name`, or the first 58 characters of `metadata.generateName` with the suffix `xxxxx`."""
        return self._name_and_path[0]

    @property
    def name_path(self) -> str:
        """Return the path of the field that gives the name."""
        return self._name_and_path[1]

    @property
    def _name_and_path(self) -> tuple[str, str]:
        # Computed at each access: few rules read the name, in which all jobs of a sweep differ.
        return name_of(mapping(self.manifest.get("metadata")))


def read_job(manifest: object, version: Version, config_maps: ConfigMaps = ()) -> Job:
    """Return the view of a manifest; for a value that is no object, the view of an empty one.

    Args:
        manifest: VolcanoJob, or any JSON value.
        version: Volcano version.
        config_maps: ConfigMaps whose files its containers may mount.
    """
    body = mapping(manifest)
    spec = mapping(body.get("spec"))
    tasks = [_task(i, task, config_maps) for i, task in entries(spec.get("tasks"))]
    return Job(
        body,
        spec,
        tasks,
        [task.pod for task in tasks],
        [container for task in tasks for container in task.pod.containers],
        entries(spec.get("volumes")),
        mapping(spec.get("plugins")),
        version,
    )


def read_workload(manifest: object, version: Version, config_maps: ConfigMaps = ()) -> Job:
    """Return another workload, such as a Deployment, as a job with one task for each of its pod templates.

    A component of an InferenceService is itself the spec of its pods, whose labels and annotations are fields beside
    those of the spec; a component that leaves its containers to a runtime has no pods to read.  A Pod is itself the
    template.
    """
    body = mapping(manifest)
    spec = mapping(body.get("spec"))
    replicas = optional_integer(spec.get("parallelism" if body.get("kind") == "Job" else "replicas"))
    if body.get("kind") == "InferenceService":
        parts = {name: mapping(spec.get(name)) for name in ("predictor", "transformer", "explainer")}
        tasks = [
            _component(i, name, part, config_maps)
            for i, (name, part) in enumerate(parts.items())
            if part.get("containers")
        ]
    elif body.get("kind") == "Pod":
        tasks = [Task("", 0, "", spec, 1, None, _pod("", body, config_maps, "spec"))]
    else:
        pod = _pod("spec.template", mapping(spec.get("template")), config_maps)
        tasks = [Task("spec", 0, "", spec, 1 if replicas is None else replicas, None, pod)]
    pods = [task.pod for task in tasks]
    containers = [container for pod in pods for container in pod.containers]
    return Job(body, spec, tasks, pods, containers, [], {}, version)


def _component(index: int, name: str, body: dict[str, Any], config_maps: ConfigMaps) -> Task:
    path, fewest = f"spec.{name}", optional_integer(body.get("minReplicas"))
    pod = _pod(path, {"spec": body}, config_maps, path)
    return Task(path, index, name, body, 1 if fewest is None else fewest, None, pod)


def name_of(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name that an object gets, with `xxxxx` for what the API server completes, and the field's path."""
    prefix = text(metadata.get("generateName"))
    if text(metadata.get("name")) or not prefix:
        return text(metadata.get("name")), "metadata.name"
    return prefix[:_LONGEST_PREFIX] + "x" * _SUFFIX_LENGTH, "metadata.generateName"


def _task(index: int, body: dict[str, Any], config_maps: ConfigMaps) -> Task:
    path = f"spec.tasks[{index}]"
    return Task(
        path,
        index,
        text(body.get("name")),
        body,
        integer(body.get("replicas")),
        optional_integer(body.get("minAvailable")),
        _pod(f"{path}.template", mapping(body.get("template")), config_maps),
    )


def _pod(path: str, template: dict[str, Any], config_maps: ConfigMaps, spec_path: str = "") -> Pod:
    spec_path = spec_path or f"{path}.spec"
    spec = mapping(template.get("spec"))
    mounted = _mounted(entries(spec.get("volumes")), config_maps) if config_maps else {}
    init_containers, main_containers = (
        [_container(f"{spec_path}.{kind}[{i}]", body, mounted, init=init) for i, body in entries(spec.get(kind))]
        for kind, init in (("initContainers", True), ("containers", False))
    )
    return Pod(
        path,
        spec_path,
        mapping(template.get("metadata")),
        spec,
        init_containers,
        main_containers,
        [*init_containers, *main_containers],
        entries(spec.get("volumes")),
    )


def _mounted(volumes: list[tuple[int, dict[str, Any]]], config_maps: ConfigMaps) -> dict[str, Mapping[str, str]]:
    """Return the data of the ConfigMaps that a pod's volumes take whole, by the volume's name."""
    sources = {text(volume.get("name")): mapping(volume.get("configMap")) for _, volume in volumes}
    names = {volume: text(source.get("name")) for volume, source in sources.items() if not source.get("items")}
    known = dict(config_maps)
    return {volume: known[name] for volume, name in names.items() if name in known}


def _container(path: str, body: dict[str, Any], mounted: Mapping[str, Mapping[str, str]], *, init: bool) -> Container:
    mounts = entries(body.get("volumeMounts"))
    files = {
        f"{text(mount.get('mountPath')).rstrip('/')}/{key}": content
        for _, mount in mounts
        if not mount.get("subPath") and not mount.get("subPathExpr")
        for key, content in mounted.get(text(mount.get("name")), {}).items()
    }
    return Container(path, text(body.get("name")), body, init, entries(body.get("env")), mounts, files)
