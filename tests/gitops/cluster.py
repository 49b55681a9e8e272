"""A cluster that answers as Volcano's admission would, with Argo CD or Flux in it, as far as jobs and claims go."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftgen.text import yamlio
from ftgen.validation.rules.admission import admit_create, admit_update, mutate
from ftgen.validation.rules.defaults import with_crd_defaults


@dataclass
class Cluster:
    """A cluster and its reconciler, which prunes.

    Follows what the reconcilers do with their annotations, and Volcano's webhooks on create and update.

    Attributes:
        reconciler: `argocd` or `flux`.
        volcano: its release.
        objects: what is live, by kind, namespace and name.
        created: names of jobs, each time one is created.
        patched: names of jobs that an apply has changed.
        deleted: names of jobs that were pruned.
        denied: what admission refused.
        inventory: what was in git at the last synchronisation, with its folder.
    """

    reconciler: str = "argocd"
    volcano: tuple[int, int, int] = (1, 12, 2)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    patched: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    inventory: dict[str, str] = field(default_factory=dict)

    def sync(self, files: Mapping[str, str]) -> None:
        """Bring the cluster to what git says, pruning what is no longer there.

        A folder is an Application or a Kustomization, which fails where git has no such folder, and prunes nothing.
        """
        desired = dict(identified(files))
        folders = {_folder(path) for path in files}
        for key, manifest in desired.items():
            if not is_skipped(self.reconciler, manifest):
                self._apply(key, manifest)
        lost = {key: folder for key, folder in self.inventory.items() if folder not in folders}
        self._prune({key for key in self.inventory.keys() & self.objects.keys() if key not in {*desired, *lost}})
        self.inventory = lost | {key: _folder(path) for path, key, _ in _located(files)}

    def finish(self, name: str) -> None:
        """The job has ended, and somebody has cleaned it up."""
        del self.objects[next(key for key in self.objects if key.endswith(f"/{name}"))]

    def job(self, name: str) -> dict[str, Any]:
        """A live job."""
        return next(live for key, live in self.objects.items() if key.endswith(f"/{name}"))

    @property
    def jobs(self) -> list[str]:
        """The names of the live jobs."""
        return sorted(_name(key) for key in self.objects if _is_job(key))

    def _apply(self, key: str, manifest: dict[str, Any]) -> None:
        live = self.objects.get(key)
        if live is None:
            problems = admit_create(manifest, volcano_version=self.volcano) if _is_job(key) else []
            self._take(key, problems, mutate(manifest, volcano_version=self.volcano) if _is_job(key) else manifest)
            self._note(self.created, key)
        elif not is_created_only(manifest):
            # A merge patch: lists are replaced as a whole, so what a webhook had added in them is taken back.
            patched = _merge(live, manifest)
            problems = admit_update(live, patched, volcano_version=self.volcano) if _is_job(key) else []
            self._take(
                key, problems, with_crd_defaults(patched, volcano_version=self.volcano) if _is_job(key) else patched
            )
            if self.objects[key] != live:
                self._note(self.patched, key)

    def _take(self, key: str, problems: list[Any], stored: dict[str, Any]) -> None:
        self.denied += [f"{key}: {problem.headline}" for problem in problems]
        if not problems:
            self.objects[key] = copy.deepcopy(stored)

    def _prune(self, gone: set[str]) -> None:
        """Guards are read from the live object, whatever git said last."""
        for key in sorted(gone):
            if is_guarded(self.objects[key]):
                continue
            del self.objects[key]
            self._note(self.deleted, key)

    def _note(self, names: list[str], key: str) -> None:
        if _is_job(key):
            names.append(_name(key))


def is_skipped(reconciler: str, manifest: dict[str, Any]) -> bool:
    """Whether a reconciler passes an object by, because it has a tombstone."""
    annotations = _annotations(manifest)
    if reconciler == "argocd":
        return annotations.get("argocd.argoproj.io/hook") == "Skip"
    return annotations.get("kustomize.toolkit.fluxcd.io/ssa") == "Ignore"


def is_created_only(manifest: dict[str, Any]) -> bool:
    """Whether Flux leaves an object alone once it is there."""
    return _annotations(manifest).get("kustomize.toolkit.fluxcd.io/ssa") == "IfNotPresent"


def is_guarded(live: dict[str, Any]) -> bool:
    """Whether a live object's own annotations keep it from being pruned."""
    annotations = _annotations(live)
    guard = annotations.get("argocd.argoproj.io/sync-options", "").split(",")
    return "Prune=false" in guard or annotations.get("kustomize.toolkit.fluxcd.io/prune") == "disabled"


def _is_job(key: str) -> bool:
    return key.startswith("Job/")


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def identified(files: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects in the files of a tree, each with its kind, namespace and name as one key."""
    return [(key, manifest) for _, key, manifest in _located(files)]


def _located(files: Mapping[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    manifests = [
        (path, yamlio.parse(text, path))
        for path, text in files.items()
        if path.endswith(".yaml") and not path.startswith("_delivery/")
    ]
    return [
        (path, f"{m['kind']}/{m['metadata'].get('namespace', '')}/{m['metadata']['name']}", m) for path, m in manifests
    ]


def _folder(path: str) -> str:
    return path.partition("/")[0]


def _annotations(manifest: dict[str, Any]) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _merge(live: Any, wanted: Any) -> Any:
    """Spec fields as a JSON merge patch lays them on the live object; metadata maps are the author's whole."""
    if "spec" not in live:
        return {**live, **wanted}
    merged = {**live, "spec": {**live["spec"], **wanted["spec"]}, "metadata": wanted["metadata"]}
    dropped = {"priorityClassName"} - wanted["spec"].keys()
    merged["spec"] = {key: value for key, value in merged["spec"].items() if key not in dropped}
    return merged
