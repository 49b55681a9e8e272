"""Objects that point a reconciler at a tree of runs: plain dicts, one function an object.

Argo CD gets an AppProject and an Application for each folder, or one ApplicationSet for all folders, and a part of
`argocd-cm` with the health check of a VolcanoJob, which Argo CD does not have.  Flux gets a Kustomization for each
folder.

The objects lie in a folder of their own beside the runs: in a run's folder the Application would find itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Rejected, error
from ftgen.output.tree import DELIVERY, Entry, kind_of
from ftgen.output.tree.lock import group_of
from ftgen.spec import Delivery
from ftgen.text import kube, yamlio
from ftgen.text.shapes import entries, mapping, strings, text

Object = dict[str, Any]

MOST_OBJECTS = 500
"""Largest number of objects in one Application; with more, a sync takes minutes and its status nears etcd's limit."""
MOST_BYTES = 3_000_000
"""Largest size of one Application's manifests, in bytes; Argo CD's limit is 10M, and it needs many times the memory."""

_HASH = re.compile(r"(?:^|/)job-[^/]*-([0-9a-f]{8})(?:-r\d+)?\.yaml$")
_NO_UTF8 = re.compile(r"[\ud800-\udfff]")
"""Half of a surrogate pair, by which Python represents a byte of the command line that is no UTF-8."""
_HEX = "0123456789abcdef"
_MOST_SHARDS = 256
_NAME_LIMIT = 63
_APPLICATION = "argoproj.io/v1alpha1"
_JOBS = {"group": "batch.volcano.sh", "kind": "Job"}
_LABELS = {"app.kubernetes.io/managed-by": "ftgen"}


class GitSource(Struct, frozen=True):
    """Repository, revision and folder from which the reconciler reads the tree.

    Attributes:
        repo_url: URL of the repository.
        revision: fully qualified reference that the reconciler follows: `refs/heads/main`.
        path: folder of the tree in the repository; empty for its root.
    """

    repo_url: str
    revision: str
    path: str

    def folder(self, name: str) -> str:
        """Return the path of one folder of the tree in the repository."""
        return posixpath.join(self.path, name)


class Folder(Struct, frozen=True):
    """Folder of runs.

    Attributes:
        name: name of the folder.
        namespace: namespace of its jobs.
        sizes: size in bytes of each of its files, by path.
        kinds: group and kind of the objects that its namespace's project is to allow, and whether they are
            cluster-scoped.
        parts: least number of Applications for it.
        project: specification of the project that is there.
    """

    name: str
    namespace: str
    sizes: Mapping[str, int]
    kinds: frozenset[tuple[str, str, bool]] = frozenset()
    parts: int = 1
    project: Object = field(default_factory=dict)


def in_tree(folder: Folder, files: Mapping[str, Entry], read: Callable[[str], bytes | None]) -> Folder:
    """Return the folder with what the tree around it holds, beside what this render writes into it.

    Args:
        folder: the folder, as it is rendered.
        files: index of the tree.
        read: reads a file of the tree.
    """
    held = {path: folder.sizes.get(path) for path, e in files.items() if e.object and _top(path) == folder.name}
    sizes = {path: len(read(path) or b"") if size is None else size for path, size in held.items()}
    parts = [path for path, entry in files.items() if _delivers(entry, "Application", f"application/{folder.name}")]
    there = [path for path, entry in files.items() if _delivers(entry, "AppProject", f"project/{folder.namespace}")]
    return replace(
        folder,
        sizes={**folder.sizes, **sizes},
        kinds=folder.kinds | _kinds(folder, files),
        parts=max(1, len(parts)),
        project=_specification(read(there[0])) if there else {},
    )


def _top(path: str) -> str:
    return path.partition("/")[0]


def _delivers(entry: Entry, kind: str, key: str) -> bool:
    return entry.run == f"{DELIVERY}/{key}" and kind_of(entry.object) == kind


def _kinds(folder: Folder, files: Mapping[str, Entry]) -> set[tuple[str, str, bool]]:
    """Return the kinds in the folders of a namespace that are delivered; cluster-scoped ones lie beside its jobs."""
    delivered = {entry.run.rpartition("application/")[2] for entry in files.values()} | {folder.name}
    rows = [(_top(path), *group_of(entry.object)) for path, entry in files.items() if entry.object]
    own = {top for top, _, _, namespace in rows if namespace == folder.namespace}
    return {
        (group, kind, not namespace)
        for top, group, kind, namespace in rows
        if top in own & delivered and namespace in {"", folder.namespace}
    }


def _specification(content: bytes | None) -> Object:
    """Return the `spec` of a manifest in the tree; none where its content is no manifest."""
    with suppress(Rejected):
        return mapping(mapping(yamlio.parse((content or b"").decode("utf-8", "replace"), DELIVERY)).get("spec"))
    return {}


def git_source(delivery: Delivery, published: GitSource | None = None) -> GitSource:
    """Return the git source of the tree: the configured one, else the one that it is published to.

    Raises:
        Rejected: FT540, when neither names a repository, or what they name is not UTF-8.
    """
    url = delivery.repo_url or (published.repo_url if published else "")
    if not url and delivery.reconciler == "argocd":
        how = "set delivery.repo_url to the address that Argo CD knows the repository by"
        raise Rejected([error("FT540", "an Application needs the repository's address", "delivery.repo_url", help=how)])
    revision = delivery.revision or (published.revision if published else "refs/heads/main")
    path = delivery.path if delivery.path is not None else (published.path if published else "")
    read = (("--repo", "repo_url", url), ("--branch", "revision", revision)) if delivery.reconciler == "argocd" else ()
    for flag, key, value in read:
        if _NO_UTF8.search(value):
            headline, how = f"{value!r} is not UTF-8, and no manifest can hold it", f"rename it, or set delivery.{key}"
            raise Rejected([error("FT540", headline, flag, help=how)])
    return GitSource(url, revision, path.strip("/"))


def shared(delivery: Delivery, source: GitSource, folder: Folder, health: str) -> tuple[Object, ...]:
    """Return the objects that all folders of a namespace share; none for Flux.

    Args:
        delivery: the user's choices.
        source: see `GitSource`.
        folder: one of the folders.
        health: Lua text of the health check of a VolcanoJob.
    """
    if delivery.reconciler != "argocd":
        return ()
    projects = () if delivery.project else (app_project(delivery, source, folder),)
    sets = (application_set(delivery, source, folder),) if delivery.application_set else ()
    return (*projects, argocd_cm(delivery, health), *sets)


def for_folder(delivery: Delivery, source: GitSource, folder: Folder) -> tuple[Object, ...]:
    """Return the objects that deliver one folder to the cluster; none under an ApplicationSet.

    Raises:
        Rejected: FT541, when the folder is too large for an ApplicationSet, which cannot split it.
    """
    if delivery.reconciler == "flux":
        return (kustomization(delivery, source, folder),)
    if not delivery.application_set:
        return tuple(applications(delivery, source, folder))
    if shards(folder.sizes) > 1:
        content = f"{folder.name} holds {len(folder.sizes)} objects of {sum(folder.sizes.values()) / 1e6:.1f} MB in all"
        how = f"at most {MOST_OBJECTS} objects and 3 MB go well together; delivery.application_set=false splits them"
        raise Rejected(
            [error("FT541", f"{content}, too much for one Application", "delivery.application_set", help=how)]
        )
    return ()


# Argo CD


def app_project(delivery: Delivery, source: GitSource, folder: Folder) -> Object:
    """Return an AppProject that lets this repository deploy jobs, their scripts and claims to one namespace.

    It allows other kinds only if the tree holds them: a repository that may create cluster-scoped volumes may read
    every node's disk.  Repositories and clusters that it names already stay, since other folders may need them.
    """
    namespace = folder.namespace
    servers = {
        delivery.server,
        *(text(there.get("server")) for _, there in entries(folder.project.get("destinations"))),
    }
    base = {("batch.volcano.sh", "Job", False), ("", "ConfigMap", False), ("", "PersistentVolumeClaim", False)}
    return {
        "apiVersion": _APPLICATION,
        "kind": "AppProject",
        "metadata": {"name": project(delivery, namespace), "namespace": delivery.namespace, "labels": dict(_LABELS)},
        "spec": {
            "description": f"Training jobs in {namespace}",
            "sourceRepos": sorted({source.repo_url, *strings(folder.project.get("sourceRepos"))}),
            "destinations": [{"server": server, "namespace": namespace} for server in sorted(servers - {""})],
            "clusterResourceWhitelist": _allowed(folder.kinds, cluster_wide=True),
            "namespaceResourceWhitelist": _allowed(base | folder.kinds, cluster_wide=False),
        },
    }


def _allowed(kinds: Iterable[tuple[str, str, bool]], *, cluster_wide: bool) -> list[Object]:
    return [{"group": group, "kind": kind} for group, kind, wide in sorted(kinds) if wide is cluster_wide]


def project(delivery: Delivery, namespace: str) -> str:
    """Return the AppProject's name: an existing project, or one for the namespace."""
    return delivery.project or kube.slug(f"ftgen-{namespace}", _NAME_LIMIT)


def applications(delivery: Delivery, source: GitSource, folder: Folder) -> Iterator[Object]:
    """Yield one Application for the folder, or several, each for the jobs of a range of hashes."""
    count = shards(folder.sizes, folder.parts)
    # When a folder grows into more parts, jobs move from one Application to another; claims may be another folder's.
    exclusive = count == 1 and not any(_SHARED.match(posixpath.basename(path)) for path in folder.sizes)
    for index in range(count):
        suffix = f"-s{index}" if index else ""
        base = kube.slug(f"{folder.namespace}-{folder.name}", _NAME_LIMIT - len("-s255"))
        directory = {"recurse": False, **(selected(index, count) if count > 1 else {})}
        spec = _application(
            delivery, source, folder.namespace, source.folder(folder.name), directory, exclusive=exclusive
        )
        metadata = {**_head(delivery, f"{base}{suffix}"), "annotations": dict(_PATHS)}
        yield {"apiVersion": _APPLICATION, "kind": "Application", "metadata": metadata, "spec": spec}


_PATHS = {"argocd.argoproj.io/manifest-generate-paths": "."}


def application_set(delivery: Delivery, source: GitSource, folder: Folder) -> Object:
    """Return an ApplicationSet, from which Argo CD creates an Application for each folder of the tree.

    When a folder is removed, its Application is removed and the jobs stay: `preserveResourcesOnDeletion`.
    """
    namespace = folder.namespace
    exclusive = not any(_SHARED.match(f"{kind.lower()}-") for _, kind, _ in folder.kinds)
    template = {
        "metadata": {
            "name": f"{namespace}-{{{{.path.basenameNormalized}}}}",
            "labels": dict(_LABELS),
            "annotations": dict(_PATHS),
        },
        "spec": _application(delivery, source, namespace, "{{.path.path}}", {"recurse": False}, exclusive=exclusive),
    }
    folders = [{"path": source.folder("*")}, {"path": source.folder(DELIVERY), "exclude": True}]
    return {
        "apiVersion": _APPLICATION,
        "kind": "ApplicationSet",
        "metadata": _head(delivery, kube.slug(f"ftgen-{namespace}", _NAME_LIMIT)),
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"git": {"repoURL": source.repo_url, "revision": source.revision, "directories": folders}}],
            "syncPolicy": {"preserveResourcesOnDeletion": True},
            "template": template,
        },
    }


def _head(delivery: Delivery, name: str) -> Object:
    return {"name": name, "namespace": delivery.namespace, "labels": dict(_LABELS)}


def _application(
    delivery: Delivery, source: GitSource, namespace: str, path: str, directory: Object, *, exclusive: bool
) -> Object:
    return {
        "project": project(delivery, namespace),
        "source": {
            "repoURL": source.repo_url,
            "targetRevision": source.revision,
            "path": path,
            "directory": directory,
        },
        "destination": {"server": delivery.server, "namespace": namespace},
        "syncPolicy": {
            # A job that is missing in git may still train; a job that is missing in the cluster has ended.
            "automated": {"prune": False, "selfHeal": False},
            "syncOptions": list(_sync_options(exclusive=exclusive)),
        },
        "ignoreDifferences": ignored(create_only=delivery.create_only),
    }


def _sync_options(*, exclusive: bool) -> Iterator[str]:
    yield "ApplyOutOfSyncOnly=true"
    yield "RespectIgnoreDifferences=true"
    if exclusive:
        # Argo CD would fail the whole sync of a folder where another Application holds one of its objects.
        yield "FailOnSharedResource=true"


def ignored(*, create_only: bool) -> list[Object]:
    """Return the differences that Argo CD ignores: fields that Volcano writes, or all of the job's `spec`.

    Volcano completes an inline claim with a random name (pkg/controllers/job); an apply that removed the name would
    give the job a new, empty volume.
    """
    if create_only:
        return [{**_JOBS, "jsonPointers": ["/spec", "/status"]}]
    return [{**_JOBS, "jsonPointers": ["/status"], "jqPathExpressions": [".spec.volumes[]?.volumeClaimName"]}]


def argocd_cm(delivery: Delivery, health: str) -> Object:
    """Return the keys of `argocd-cm` for VolcanoJobs; a server-side apply keeps the other keys."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "argocd-cm",
            "namespace": delivery.namespace,
            "labels": {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"},
            "annotations": {"argocd.argoproj.io/sync-options": "ServerSideApply=true,Prune=false,Delete=false"},
        },
        "data": {
            "resource.customizations.health.batch.volcano.sh_Job": health,
            "resource.customizations.ignoreResourceUpdates.batch.volcano.sh_Job": "jsonPointers:\n- /status\n",
        },
    }


# shards


def shards(sizes: Mapping[str, int], least: int = 1) -> int:
    """Return the number of Applications for the files: a power of two, so that each split halves the parts."""
    count = 1
    while count < _MOST_SHARDS and (count < least or any(_is_too_large(part) for part in _parts(sizes, count))):
        count *= 2
    return count


def _is_too_large(sizes: Sequence[int]) -> bool:
    return len(sizes) > MOST_OBJECTS or sum(sizes) > MOST_BYTES


def _parts(sizes: Mapping[str, int], count: int) -> list[list[int]]:
    parts: list[list[int]] = [[] for _ in range(count)]
    for file, size in sizes.items():
        parts[shard(file, count)].append(size)
    return parts


def shard(file: str, count: int) -> int:
    """Return the shard of a file by the hash in a job's name, which never changes; shared files are in shard 0."""
    found = _HASH.search(file)
    return int(found[1][:2], 16) * count // _MOST_SHARDS if found else 0


def selected(index: int, count: int) -> Object:
    """Return the glob by which Argo CD finds the files of one of several shards: shard 0 has all that no other has."""
    hashes = _hashes(index, count) if index else _other_hashes(count)
    ends = (".yaml", "-r[0-9].yaml", "-r[0-9][0-9].yaml")
    globs = [f"job-*-{digits}{end}" for digits in hashes for end in ends]
    return {"include" if index else "exclude": f"{{{','.join(globs)}}}"}


_SHARED = re.compile("(persistentvolume|persistentvolumeclaim|resourceclaimtemplate)-")
"""Files of objects that a user names, or that are named by their content: another folder may hold them, too."""


def _hashes(index: int, count: int) -> list[str]:
    """Return globs of eight hex digits that start in the shard's range."""
    base = len(_HEX)
    if count <= base:
        span = base // count
        return [f"[{_HEX[index * span : (index + 1) * span]}]{'?' * 7}"]
    span = base * base // count
    first, second = divmod(index * span, base)
    return [f"{_HEX[first]}[{_HEX[second : second + span]}]{'?' * 6}"]


def _other_hashes(count: int) -> list[str]:
    """Return globs of eight hex digits that start in the range of any shard but the first."""
    base = len(_HEX)
    if count <= base:
        return [f"[{_HEX[base // count :]}]{'?' * 7}"]
    return [f"[{_HEX[1:]}]{'?' * 7}", f"{_HEX[0]}[{_HEX[base * base // count :]}]{'?' * 6}"]


# Flux


def kustomization(delivery: Delivery, source: GitSource, folder: Folder) -> Object:
    """Return a Flux Kustomization of one folder.

    It prunes, because `ftgen stop` ends a job that way: until then, every object carries a guard against pruning.  It
    does not wait: training takes longer than any timeout.
    """
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": _head(delivery, kube.slug(f"{folder.namespace}-{folder.name}", _NAME_LIMIT)),
        "spec": {
            "interval": "10m0s",
            "path": f"./{source.folder(folder.name)}",
            "prune": True,
            "deletionPolicy": "Orphan",
            "wait": False,
            "force": False,
            "sourceRef": {"kind": "GitRepository", "name": delivery.source},
        },
    }
