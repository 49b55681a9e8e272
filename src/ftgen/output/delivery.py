"""Objects that point a reconciler at a tree of runs: plain dicts, one function an object.

Argo CD gets an AppProject and an Application for each folder, or one ApplicationSet for all folders, and a part of
`argocd-cm` with the health check of a VolcanoJob, which Argo CD does not have.  Flux gets a Kustomization for each
folder.

The objects lie in a folder of their own beside the runs: in a run's folder the Application would find itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftgen.diagnostics import Rejected, error
from ftgen.output.tree import DELIVERY
from ftgen.spec import Delivery
from ftgen.text import kube

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


@dataclass(frozen=True, slots=True)
class GitSource:
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


@dataclass(frozen=True, slots=True)
class Folder:
    """Folder of runs.

    Attributes:
        name: name of the folder.
        namespace: namespace of its jobs.
        sizes: size in bytes of each of its files, by path.
        kinds: group and kind of its objects, and whether they are cluster-scoped.
    """

    name: str
    namespace: str
    sizes: Mapping[str, int]
    kinds: frozenset[tuple[str, str, bool]] = frozenset()


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
    for flag, key, text in read:
        if _NO_UTF8.search(text):
            headline, how = f"{text!r} is not UTF-8, and no manifest can hold it", f"rename it, or set delivery.{key}"
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
    sets = (application_set(delivery, source, folder.namespace),) if delivery.application_set else ()
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

    It allows other kinds only if the configuration renders them: a repository that may create cluster-scoped volumes
    may read every node's disk.
    """
    namespace = folder.namespace
    base = {("batch.volcano.sh", "Job", False), ("", "ConfigMap", False), ("", "PersistentVolumeClaim", False)}
    return {
        "apiVersion": _APPLICATION,
        "kind": "AppProject",
        "metadata": {"name": project(delivery, namespace), "namespace": delivery.namespace, "labels": dict(_LABELS)},
        "spec": {
            "description": f"Training jobs in {namespace}",
            "sourceRepos": [source.repo_url],
            "destinations": [{"server": delivery.server, "namespace": namespace}],
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
    count = shards(folder.sizes)
    for index in range(count):
        suffix = f"-s{index}" if index else ""
        base = kube.slug(f"{folder.namespace}-{folder.name}", _NAME_LIMIT - len("-s255"))
        directory = {"recurse": False, **({"include": included(index, count)} if count > 1 else {})}
        spec = _application(delivery, source, folder.namespace, source.folder(folder.name), directory, split=count > 1)
        metadata = {**_head(delivery, f"{base}{suffix}"), "annotations": dict(_PATHS)}
        yield {"apiVersion": _APPLICATION, "kind": "Application", "metadata": metadata, "spec": spec}


_PATHS = {"argocd.argoproj.io/manifest-generate-paths": "."}


def application_set(delivery: Delivery, source: GitSource, namespace: str) -> Object:
    """Return an ApplicationSet, from which Argo CD creates an Application for each folder of the tree.

    When a folder is removed, its Application is removed and the jobs stay: `preserveResourcesOnDeletion`.
    """
    template = {
        "metadata": {
            "name": f"{namespace}-{{{{.path.basenameNormalized}}}}",
            "labels": dict(_LABELS),
            "annotations": dict(_PATHS),
        },
        "spec": _application(delivery, source, namespace, "{{.path.path}}", {"recurse": False}),
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
    delivery: Delivery, source: GitSource, namespace: str, path: str, directory: Object, *, split: bool = False
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
            "syncOptions": list(_sync_options(split=split)),
        },
        "ignoreDifferences": ignored(create_only=delivery.create_only),
    }


def _sync_options(*, split: bool) -> Iterator[str]:
    yield "ApplyOutOfSyncOnly=true"
    yield "RespectIgnoreDifferences=true"
    if not split:
        # When a folder grows into more shards, jobs move from one Application to another.
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


def shards(sizes: Mapping[str, int]) -> int:
    """Return the number of Applications for the files: a power of two, so that each split halves the parts."""
    count = 1
    while count < _MOST_SHARDS and any(_is_too_large(part) for part in _parts(sizes, count)):
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


def included(index: int, count: int) -> str:
    """Return the glob by which Argo CD finds the files of one of several shards; shard 0 includes shared files."""
    hashes = _prefixes(index, count)
    ends = (".yaml", "-r[0-9].yaml", "-r[0-9][0-9].yaml")
    globs = [f"job-*-{hashes}{end}" for end in ends]
    return f"{{{','.join(globs if index else [*globs, *_SHARED])}}}"


_SHARED = [f"{k}-*.yaml" for k in ("configmap", "persistentvolume", "persistentvolumeclaim", "resourceclaimtemplate")]


def _prefixes(index: int, count: int) -> str:
    """Return a glob of eight hex digits that start in the shard's range."""
    base = len(_HEX)
    if count <= base:
        span = base // count
        return f"[{_HEX[index * span : (index + 1) * span]}]{'?' * 7}"
    span = base * base // count
    first, second = divmod(index * span, base)
    return f"{_HEX[first]}[{_HEX[second : second + span]}]{'?' * 6}"


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
