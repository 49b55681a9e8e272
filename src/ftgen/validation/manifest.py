"""A manifest as the rules read it: total, typed, with the path of everything at hand.

Wrong shapes read as absent, so no rule has to ask.  The views hold the manifest's own dictionaries and
never change them.  A view equals itself alone, so that what rules ask of it again and again can be kept by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ftgen import kube, schema

Version = tuple[int, int, int]

NEWEST: Version = (1, 15, 0)
"""The newest Volcano whose source these rules follow; later ones are judged by the same rules."""

_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?.*")
# The last patch of each line, which a version of two numbers stands for.
_PATCHES: Mapping[tuple[int, int], int] = {(1, 12): 4}
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 58


ClaimSpecs = tuple[tuple[str, Mapping[str, Any]], ...]
"""Names of PersistentVolumeClaims with their specs: pairs, so that jobs with claims of their own have one shape."""


ConfigMaps = tuple[tuple[str, Mapping[str, str]], ...]
"""Names of ConfigMaps with their texts by key."""


@dataclass(frozen=True, slots=True)
class Companions:
    """What manifests hold that jobs name: PersistentVolumeClaims, and ConfigMaps whose files they may run."""

    claims: ClaimSpecs = ()
    config_maps: ConfigMaps = ()

    def joined(self, *others: Companions) -> Companions:
        """Return all together; of those with one name, the last."""
        there = [each for each in others if each != Companions()]
        if not there:
            return self
        claims = dict(pair for each in (self, *there) for pair in each.claims)
        config_maps = dict(pair for each in (self, *there) for pair in each.config_maps)
        return Companions(tuple(claims.items()), tuple(config_maps.items()))


def companions(objects: Iterable[Mapping[str, Any]]) -> Companions:
    """Collect what jobs may name among some objects."""
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
            config_maps[name] = {key: said for key, said in mapping(each.get("data")).items() if isinstance(said, str)}
    return Companions(tuple(claims.items()), tuple(config_maps.items()))


@lru_cache(maxsize=64)
def version_of(text: str) -> Version:
    """The numbers of a Volcano version: `1.12` is its last patch, `newest` the newest known line.

    Raises:
        ValueError: it is none, or older than every known line.
    """
    line = schema.release(text)
    numbers = _NUMBERS.fullmatch(line if text == "newest" else text)
    if numbers is None:
        raise ValueError(f"{text!r} is no Volcano version")
    major, minor = int(numbers[1]), int(numbers[2])
    return major, minor, int(numbers[3]) if numbers[3] else _PATCHES.get((major, minor), 0)


def mapping(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a list with their positions."""
    return [(i, item) for i, item in enumerate(value) if isinstance(item, dict)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The strings of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a string, else the empty one: Go's zero value, which every check treats as unset."""
    return value if isinstance(value, str) else ""


def integer(value: object) -> int:
    """The value if it is an integer, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def optional_integer(value: object) -> int | None:
    """The value if it is an integer, else None: for fields that are pointers, where 0 is not unset."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def amount(value: object) -> Fraction | None:
    """The quantity's amount, None when it is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return kube.parse_quantity(str(value))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A container or init container of some task's template; `files` are those of known ConfigMaps, by path."""

    path: str
    name: str
    body: dict[str, Any]
    init: bool
    env: list[tuple[int, dict[str, Any]]]
    mounts: list[tuple[int, dict[str, Any]]]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """A task's pod template; `path` is the template's, `spec_path` its spec's.

    Its containers are those that run before the main ones, then these.
    """

    path: str
    spec_path: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    init_containers: list[Container]
    main_containers: list[Container]
    containers: list[Container]
    volumes: list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One entry of `spec.tasks`; `index` is its position."""

    path: str
    index: int
    name: str
    body: dict[str, Any]
    replicas: int
    min_available: int | None
    pod: Pod


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A VolcanoJob, and the Volcano version it is judged for.

    Attributes:
        manifest: the whole object.
        spec: its spec.
        tasks: in the order of the list.
        pods: the template of every task.
        containers: every container of every task, init containers first within a task.
        volumes: the entries of `spec.volumes` with their positions.
        plugins: name to argument list, or to whatever stands there.
        version: of Volcano.
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
    def name(self) -> str:
        """`metadata.name`, or what `metadata.generateName` becomes: its first 58 and five random characters, `x`."""
        return self._named[0]

    @property
    def name_path(self) -> str:
        """The field the name comes from."""
        return self._named[1]

    @property
    def _named(self) -> tuple[str, str]:
        # Asked for, not kept: few rules read the one thing in which all jobs differ.
        return _name(mapping(self.manifest.get("metadata")))


def read_job(manifest: object, version: Version, config_maps: ConfigMaps = ()) -> Job:
    """The view of a manifest; of anything that is no object, the view of an empty one.

    Args:
        manifest: a VolcanoJob, or anything.
        version: of Volcano.
        config_maps: those whose files its containers may have.
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


def _name(metadata: dict[str, Any]) -> tuple[str, str]:
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


def _pod(path: str, template: dict[str, Any], config_maps: ConfigMaps) -> Pod:
    spec = mapping(template.get("spec"))
    mounted = _mounted(entries(spec.get("volumes")), config_maps) if config_maps else {}
    before, main = (
        [_container(f"{path}.spec.{kind}[{i}]", body, mounted, init=init) for i, body in entries(spec.get(kind))]
        for kind, init in (("initContainers", True), ("containers", False))
    )
    return Pod(
        path,
        f"{path}.spec",
        mapping(template.get("metadata")),
        spec,
        before,
        main,
        [*before, *main],
        entries(spec.get("volumes")),
    )


def _mounted(volumes: list[tuple[int, dict[str, Any]]], config_maps: ConfigMaps) -> dict[str, Mapping[str, str]]:
    """The ConfigMaps that a pod's volumes hold whole, by the volume's name."""
    sources = {text(volume.get("name")): mapping(volume.get("configMap")) for _, volume in volumes}
    names = {name: text(source.get("name")) for name, source in sources.items() if not source.get("items")}
    known = dict(config_maps)
    return {name: known[held] for name, held in names.items() if held in known}


def _container(path: str, body: dict[str, Any], mounted: Mapping[str, Mapping[str, str]], *, init: bool) -> Container:
    mounts = entries(body.get("volumeMounts"))
    files = {
        f"{text(mount.get('mountPath')).rstrip('/')}/{key}": content
        for _, mount in mounts
        if not mount.get("subPath") and not mount.get("subPathExpr")
        for key, content in mounted.get(text(mount.get("name")), {}).items()
    }
    return Container(path, text(body.get("name")), body, init, entries(body.get("env")), mounts, files)
