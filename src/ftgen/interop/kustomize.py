"""Export of a job as a kustomization: the lowered objects as the base, each chosen overlay as a component.

kustomize merges patches as ftgen does, by the list keys of the exported `openapi.json`, with two exceptions.  It
knows no `PodTemplate`, so that its patches become patches of the job.  It moves a patched item to the front of its
list, so that the indices of JSON 6902 operations would point at other items: the export writes a merge patch with
their effect.  kustomize therefore orders lists that are merged by key in its own way; everything else is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ftgen import schema
from ftgen.diagnostics import Rejected, error
from ftgen.lower import Bundle, Object, delta, merge, overlay, render
from ftgen.lower.overlay import Patch
from ftgen.text import yamlio

BASE = "base"
OPENAPI = "openapi.json"
_KUSTOMIZATION = "kustomization.yaml"
_HEAD = "# Written by `ftgen export kustomize`. Build with: kubectl kustomize .\n"


class _Target(Struct, frozen=True):
    """A kustomize patch and the object it applies to."""

    api_version: str
    kind: str
    name: str
    document: Any

    @property
    def selector(self) -> dict[str, str]:
        """Return the `target` by which kustomize selects the object."""
        group, _, version = self.api_version.rpartition("/")
        return {**({"group": group} if group else {}), "version": version, "kind": self.kind, "name": self.name}


def kustomization_files(base: Bundle, patches: Sequence[Patch], name: str, volcano_version: str) -> dict[str, bytes]:
    """Return the files of a kustomization that builds the job and its claims.

    Args:
        base: the objects before overlays; the job has no name yet.
        patches: the overlays' patches, in order.
        name: name of the job after its overlays.
        volcano_version: release of Volcano whose schema gives the merge keys of lists.

    Raises:
        Rejected: FT540, if the job has no name, which kustomize requires.
    """
    if not name:
        headline = "kustomize builds objects with names only, and this delivery leaves the job's to the API server"
        cure = "choose delivery=argocd or delivery=flux"
        raise Rejected([error("FT540", headline, "delivery.generate_name", "true", cure)])
    named = _with_name(base, name)
    files = {f"{BASE}/{render.file_name(o)}": yamlio.dump(render.ordered(o)) for o in named.objects}
    files[f"{BASE}/{_KUSTOMIZATION}"] = _kustomization(resources=[path.partition("/")[2] for path in files])
    folders: list[str] = []
    for folder, group in _components(named, patches, volcano_version):
        folders.append(folder)
        files |= {f"{folder}/{path}": text for path, text in group.items()}
    top = _kustomization(resources=[BASE], components=folders, openapi={"path": OPENAPI})
    files |= {_KUSTOMIZATION: top, OPENAPI: _openapi(named, volcano_version)}
    return {path: text.encode() for path, text in sorted(files.items())}


def _openapi(bundle: Bundle, version: str) -> str:
    """Return the OpenAPI document with merge keys for every kind of the bundle, as it replaces kustomize's own."""
    kinds = dict.fromkeys((str(o["apiVersion"]), str(o["kind"])) for o in bundle.objects)
    schemas = [found for kind in kinds if (found := schema.find(*kind, version))]
    return json.dumps(schema.openapi(*schemas), sort_keys=True, separators=(",", ":")) + "\n"


def _kustomization(**fields: Any) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return _HEAD + yamlio.dump({**head, **{key: value for key, value in fields.items() if value}})


# --- components ----------------------------------------------------------------------------------------


def _components(bundle: Bundle, patches: Sequence[Patch], version: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a folder with its files for each option that patches something, and one for what patches cannot express."""
    built = bundle
    for folder, option_patches in _by_option(patches):
        targets: dict[str, _Target] = {}
        for patch in option_patches:
            patched, _ = overlay.apply(bundle, [patch], version)
            after = _with_name(patched, str(bundle.job["metadata"]["name"]))
            for target in _targets(bundle, after, patch, version):
                targets[_unused(patch.file.stem, {*targets, _KUSTOMIZATION})] = target
                built = _kustomize(built, target, version)
            bundle = after
        yield from _component(folder, targets)
    yield from _component("overlays/unsaid", dict(_replacements(built, bundle, version)))


def _with_name(bundle: Bundle, name: str) -> Bundle:
    """Set the job's name if it has none: a patch that replaces all metadata removes it."""
    return Bundle({**bundle.job, "metadata": {"name": name, **bundle.job.get("metadata", {})}}, bundle.companions)


def _by_option(patches: Iterable[Patch]) -> list[tuple[str, list[Patch]]]:
    grouped: dict[str, list[Patch]] = {}
    for patch in patches:
        grouped.setdefault(f"overlays/{patch.group.split('@', 1)[0]}/{patch.option}", []).append(patch)
    return list(grouped.items())


def _unused(stem: str, taken: set[str]) -> str:
    candidates = (f"{stem}{'' if number == 1 else f'-{number}'}.yaml" for number in range(1, len(taken) + 2))
    return next(name for name in candidates if name not in taken)


def _component(folder: str, targets: Mapping[str, _Target]) -> Iterator[tuple[str, dict[str, str]]]:
    if targets:
        head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        patches = [{"path": file, "target": target.selector} for file, target in targets.items()]
        files = {file: yamlio.dump(target.document) for file, target in targets.items()}
        yield folder, {**files, _KUSTOMIZATION: _HEAD + yamlio.dump({**head, "patches": patches})}


def _targets(before: Bundle, after: Bundle, patch: Patch, version: str) -> Iterator[_Target]:
    """Convert an overlay's patch to kustomize patches, one for each object that it changes."""
    match patch.document:
        case list():
            effect = delta.strategic(before.job, after.job, schema.find(*schema.VOLCANO_JOB, version))
            yield from [_patch(before.job, effect)] if effect else []
        case {"kind": "PodTemplate"}:
            pairs = zip(before.job["spec"]["tasks"], overlay.templates(before.job, patch, version), strict=True)
            tasks = [{"name": task["name"], "template": template} for task, template in pairs]
            yield _patch(before.job, {"spec": {"tasks": tasks}})
        case {"kind": "Job"}:
            yield _patch(before.job, patch.document)
        case _:
            pairs = zip(before.companions, after.companions, strict=True)
            for old in (old for old, new in pairs if not merge.json_equal(old, new)):
                yield _patch(old, patch.document)


def _patch(manifest: Object, document: Object) -> _Target:
    """Return a strategic-merge patch that selects one object."""
    name = str(manifest["metadata"]["name"])
    metadata = _without_idle_nulls(manifest["metadata"], document.get("metadata") or {})
    head = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": {**metadata, "name": name}}
    rest = {key: value for key, value in document.items() if key not in head}
    return _Target(manifest["apiVersion"], manifest["kind"], name, {**head, **rest})


def _without_idle_nulls(metadata: Object, patch: Object) -> Object:
    """Remove nulls that delete nothing from a patch of metadata: kustomize would write them as the text `null`."""

    def cleaned(part: str, value: Any) -> Any:
        present = metadata.get(part, {})
        return {k: v for k, v in value.items() if v is not None or k in present} if isinstance(value, dict) else value

    return {part: cleaned(part, value) for part, value in patch.items()}


# --- what patches cannot express -----------------------------------------------------------------------


def _kustomize(bundle: Bundle, target: _Target, version: str) -> Bundle:
    """Apply a patch as kustomize does."""
    rules = schema.find(target.api_version, target.kind, version)

    def patched(manifest: Object) -> Object:
        if (manifest["kind"], manifest["metadata"]["name"]) != (target.kind, target.name):
            return manifest
        merged: Object = merge.strategic_merge(manifest, target.document, rules)
        return {**merged, "metadata": _metadata(manifest["metadata"], target.document["metadata"], merged["metadata"])}

    return Bundle(patched(bundle.job), tuple(map(patched, bundle.companions)))


def _metadata(before: Object, patch: Object, after: Object) -> Object:
    """Restore what kustomize never patches: the namespace, and labels or annotations that a null would delete."""
    patched = {key: value for key, value in after.items() if key != "namespace"}
    deleted = [key for key in ("labels", "annotations") if key in patch and patch[key] is None]
    return {**patched, **{key: before[key] for key in ("namespace", *deleted) if key in before}}


def _replacements(built: Bundle, expected: Bundle, version: str) -> Iterator[tuple[str, _Target]]:
    """Yield a JSON 6902 patch for each object that kustomize builds otherwise than expected.

    It replaces whole fields and comes last, as kustomize's merges would undo it.  One case is a container that serves
    one port by TCP and UDP: kustomize merges ports by number alone.
    """
    for actual, target in zip(built.objects, expected.objects, strict=True):
        operations = list(_operations(actual, target, schema.find(target["apiVersion"], target["kind"], version)))
        name = str(target["metadata"]["name"])
        if operations:
            file = f"{target['kind'].lower()}-{name}.yaml"
            yield file, _Target(target["apiVersion"], target["kind"], name, operations)


def _operations(actual: Object, target: Object, rules: schema.Schema | None) -> Iterator[delta.Operation]:
    node = schema.Node.of(rules) if rules else None
    for part in ("metadata", "spec"):
        part_node, before, after = node and node.field(part), actual.get(part, {}), target.get(part, {})
        yield from ({"op": "remove", "path": f"/{part}/{key}"} for key in before if key not in after)
        for key, value in after.items():
            if not _same_items(before.get(key), value, part_node and part_node.field(key)):
                yield {"op": "add", "path": f"/{part}/{key}", "value": value}


def _same_items(one: Any, other: Any, node: schema.Node | None) -> bool:
    """Compare two values, ignoring the order of lists that are merged by key, as kustomize does not keep it."""
    return merge.json_equal(_sorted(one, node), _sorted(other, node))


def _sorted(value: Any, node: schema.Node | None) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(one, node and node.field(name)) for name, one in value.items()}
    if isinstance(value, list):
        items = [_sorted(one, node and node.item()) for one in value]
        return sorted(items, key=_text) if node and node.merge_key() else items
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
