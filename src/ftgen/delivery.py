"""What points a reconciler at a tree of runs: plain dicts, one function an object.

Argo CD gets an AppProject and an Application for each folder, or one ApplicationSet for all of them, and a
fragment of `argocd-cm` that teaches it the health of a VolcanoJob, of which it knows nothing by itself.  Flux
gets a Kustomization for each folder.

They lie in a folder of their own beside the runs: within a run's folder the Application would find itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftgen import kube
from ftgen.diagnostics import Rejected, error
from ftgen.spec import Delivery
from ftgen.tree import DELIVERY

Object = dict[str, Any]

MOST_OBJECTS = 500
"""Objects of one Application; above, a sync takes minutes and its status nears the size limit of etcd."""
MOST_BYTES = 3_000_000
"""Manifests of one Application; Argo CD's default limit is 10M, and its memory grows many times as fast."""

_HASH = re.compile(r"(?:^|/)job-[^/]*-([0-9a-f]{8})(?:-r\d+)?\.yaml$")
_HEX = "0123456789abcdef"
_MOST_SHARDS = 256
_NAME_LIMIT = 63
_APPLICATION = "argoproj.io/v1alpha1"
_JOBS = {"group": "batch.volcano.sh", "kind": "Job"}
_LABELS = {"app.kubernetes.io/managed-by": "ftgen"}


@dataclass(frozen=True, slots=True)
class GitSource:
    """Where the reconciler finds the tree.

    Attributes:
        repo_url: of the repository.
        revision: what it follows, fully qualified: `refs/heads/main`.
        path: folder of the tree in the repository; empty: its root.
    """

    repo_url: str
    revision: str
    path: str

    def folder(self, name: str) -> str:
        """The path of one folder of the tree, in the repository."""
        return posixpath.join(self.path, name)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of runs.

    Attributes:
        name: what it is called.
        namespace: where its jobs go.
        sizes: the size in bytes of each file in it.
        kinds: group and kind of its objects, and whether they are cluster-wide.
    """

    name: str
    namespace: str
    sizes: Mapping[str, int]
    kinds: frozenset[tuple[str, str, bool]] = frozenset()


def git_source(delivery: Delivery, told: GitSource | None = None) -> GitSource:
    """Where the tree will be found: what the configuration says, else where it is being published to.

    Raises:
        Rejected: FT540, when neither says which repository.
    """
    url = delivery.repo_url or (told.repo_url if told else "")
    if not url and delivery.reconciler == "argocd":
        how = "set delivery.repo_url to the address that Argo CD knows the repository by"
        raise Rejected([error("FT540", "an Application needs the repository's address", "delivery.repo_url", help=how)])
    revision = delivery.revision or (told.revision if told else "refs/heads/main")
    path = delivery.path if delivery.path is not None else (told.path if told else "")
    return GitSource(url, revision, path.strip("/"))


def shared(delivery: Delivery, where: GitSource, folder: Folder, health: str) -> tuple[Object, ...]:
    """What all folders of a namespace share: nothing for Flux.

    Args:
        delivery: the user's choices.
        where: see `GitSource`.
        folder: one of the folders.
        health: Lua text that judges a VolcanoJob.
    """
    if delivery.reconciler != "argocd":
        return ()
    own = () if delivery.project else (app_project(delivery, where, folder),)
    sets = (application_set(delivery, where, folder.namespace),) if delivery.application_set else ()
    return (*own, argocd_cm(delivery, health), *sets)


def for_folder(delivery: Delivery, where: GitSource, folder: Folder) -> tuple[Object, ...]:
    """What brings one folder to the cluster.

    Raises:
        Rejected: FT541, when it is too large for an ApplicationSet, which cannot split it.
    """
    if delivery.reconciler == "flux":
        return (kustomization(delivery, where, folder),)
    if not delivery.application_set:
        return tuple(applications(delivery, where, folder))
    if shards(folder.sizes) > 1:
        told = f"{folder.name} holds {len(folder.sizes)} objects of {sum(folder.sizes.values()) / 1e6:.1f} MB in all"
        how = f"at most {MOST_OBJECTS} objects and 3 MB go well together; delivery.application_set=false splits them"
        raise Rejected([error("FT541", f"{told}, too much for one Application", "delivery.application_set", help=how)])
    return ()


# Argo CD


def app_project(delivery: Delivery, where: GitSource, folder: Folder) -> Object:
    """An AppProject that lets this repository bring jobs, their scripts and claims to one namespace.

    Other kinds it allows only where the configuration renders them: who may make volumes for the whole
    cluster may read every node's disk.
    """
    namespace = folder.namespace
    base = {("batch.volcano.sh", "Job", False), ("", "ConfigMap", False), ("", "PersistentVolumeClaim", False)}
    return {
        "apiVersion": _APPLICATION,
        "kind": "AppProject",
        "metadata": {"name": project(delivery, namespace), "namespace": delivery.namespace, "labels": dict(_LABELS)},
        "spec": {
            "description": f"Training jobs in {namespace}",
            "sourceRepos": [where.repo_url],
            "destinations": [{"server": delivery.server, "namespace": namespace}],
            "clusterResourceWhitelist": _allowed(folder.kinds, cluster_wide=True),
            "namespaceResourceWhitelist": _allowed(base | folder.kinds, cluster_wide=False),
        },
    }


def _allowed(kinds: Iterable[tuple[str, str, bool]], *, cluster_wide: bool) -> list[Object]:
    return [{"group": group, "kind": kind} for group, kind, wide in sorted(kinds) if wide is cluster_wide]


def project(delivery: Delivery, namespace: str) -> str:
    """The AppProject's name: one that exists already, or one for the namespace."""
    return delivery.project or kube.slug(f"ftgen-{namespace}", _NAME_LIMIT)


def applications(delivery: Delivery, where: GitSource, folder: Folder) -> Iterator[Object]:
    """An Application for the folder, or several that each take the jobs of a range of hashes."""
    count = shards(folder.sizes)
    for index in range(count):
        suffix = f"-s{index}" if index else ""
        base = kube.slug(f"{folder.namespace}-{folder.name}", _NAME_LIMIT - len("-s255"))
        directory = {"recurse": False, **({"include": included(index, count)} if count > 1 else {})}
        spec = _application(delivery, where, folder.namespace, where.folder(folder.name), directory, split=count > 1)
        metadata = {**_head(delivery, f"{base}{suffix}"), "annotations": dict(_PATHS)}
        yield {"apiVersion": _APPLICATION, "kind": "Application", "metadata": metadata, "spec": spec}


_PATHS = {"argocd.argoproj.io/manifest-generate-paths": "."}


def application_set(delivery: Delivery, where: GitSource, namespace: str) -> Object:
    """An Application for every folder of the tree, made by Argo CD as folders come.

    When a folder goes, its Application goes and the jobs stay: `preserveResourcesOnDeletion`.
    """
    template = {
        "metadata": {
            "name": f"{namespace}-{{{{.path.basenameNormalized}}}}",
            "labels": dict(_LABELS),
            "annotations": dict(_PATHS),
        },
        "spec": _application(delivery, where, namespace, "{{.path.path}}", {"recurse": False}),
    }
    folders = [{"path": where.folder("*")}, {"path": where.folder(DELIVERY), "exclude": True}]
    return {
        "apiVersion": _APPLICATION,
        "kind": "ApplicationSet",
        "metadata": _head(delivery, kube.slug(f"ftgen-{namespace}", _NAME_LIMIT)),
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"git": {"repoURL": where.repo_url, "revision": where.revision, "directories": folders}}],
            "syncPolicy": {"preserveResourcesOnDeletion": True},
            "template": template,
        },
    }


def _head(delivery: Delivery, name: str) -> Object:
    return {"name": name, "namespace": delivery.namespace, "labels": dict(_LABELS)}


def _application(
    delivery: Delivery, where: GitSource, namespace: str, path: str, directory: Object, *, split: bool = False
) -> Object:
    return {
        "project": project(delivery, namespace),
        "source": {
            "repoURL": where.repo_url,
            "targetRevision": where.revision,
            "path": path,
            "directory": directory,
        },
        "destination": {"server": delivery.server, "namespace": namespace},
        "syncPolicy": {
            # A job that is missing from git may be training; one that is missing from the cluster has ended.
            "automated": {"prune": False, "selfHeal": False},
            "syncOptions": list(_sync_options(split=split)),
        },
        "ignoreDifferences": ignored(create_only=delivery.create_only),
    }


def _sync_options(*, split: bool) -> Iterator[str]:
    yield "ApplyOutOfSyncOnly=true"
    yield "RespectIgnoreDifferences=true"
    if not split:
        # A folder that grows into more shards hands jobs from one Application to the next.
        yield "FailOnSharedResource=true"


def ignored(*, create_only: bool) -> list[Object]:
    """Differences that are none: what Volcano writes into a job that runs, or all of its specification.

    Volcano completes an inline claim with a random name (pkg/controllers/job); an apply that took it away
    would give the job a new, empty volume.
    """
    if create_only:
        return [{**_JOBS, "jsonPointers": ["/spec", "/status"]}]
    return [{**_JOBS, "jsonPointers": ["/status"], "jqPathExpressions": [".spec.volumes[]?.volumeClaimName"]}]


def argocd_cm(delivery: Delivery, health: str) -> Object:
    """The keys of `argocd-cm` that concern VolcanoJobs; applied server-side it leaves the others alone."""
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
    """Into how many Applications the files go: a power of two, so that each split halves what there was."""
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
    """The shard of a file: by the hash in a job's name, which outlives everything; what is shared goes to the first."""
    found = _HASH.search(file)
    return int(found[1][:2], 16) * count // _MOST_SHARDS if found else 0


def included(index: int, count: int) -> str:
    """The glob by which Argo CD finds the files of one of several shards; the first has what jobs share."""
    hashes = _prefixes(index, count)
    ends = (".yaml", "-r[0-9].yaml", "-r[0-9][0-9].yaml")
    globs = [f"job-*-{hashes}{end}" for end in ends]
    return f"{{{','.join(globs if index else [*globs, *_SHARED])}}}"


_SHARED = [f"{k}-*.yaml" for k in ("configmap", "persistentvolume", "persistentvolumeclaim", "resourceclaimtemplate")]


def _prefixes(index: int, count: int) -> str:
    """Eight hex digits that start in the shard's range."""
    wide = len(_HEX)
    if count <= wide:
        span = wide // count
        return f"[{_HEX[index * span : (index + 1) * span]}]{'?' * 7}"
    span = wide * wide // count
    first, second = divmod(index * span, wide)
    return f"{_HEX[first]}[{_HEX[second : second + span]}]{'?' * 6}"


# Flux


def kustomization(delivery: Delivery, where: GitSource, folder: Folder) -> Object:
    """A Flux Kustomization of one folder.

    It prunes, because that is how `ftgen stop` ends a job: every object carries a guard against it until
    then.  It does not wait: training takes longer than any timeout.
    """
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": _head(delivery, kube.slug(f"{folder.namespace}-{folder.name}", _NAME_LIMIT)),
        "spec": {
            "interval": "10m0s",
            "path": f"./{where.folder(folder.name)}",
            "prune": True,
            "deletionPolicy": "Orphan",
            "wait": False,
            "force": False,
            "sourceRef": {"kind": "GitRepository", "name": delivery.source},
        },
    }
