"""The same job for kustomize: what was lowered as the base, and each chosen overlay as a component.

kustomize reads the patches as ftgen does, by the list keys of the exported `openapi.json`, with two
exceptions that are translated: it knows no `PodTemplate`, and it moves a patched item to the front of its
list, so that the indices of JSON 6902 operations would point at other items.  Of such operations the effect
is written.  The order of lists that are merged by key is therefore kustomize's own; all else is the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftgen import delta, merge, overlay, render, schema, yamlio
from ftgen.diagnostics import Rejected, error
from ftgen.lower import Bundle, Object
from ftgen.overlay import Patch
from ftgen.validation.manifest import entries, mapping, strings, text

BASE = "base"
OPENAPI = "openapi.json"
_KUSTOMIZATION = "kustomization.yaml"
_HEAD = "# Written by `ftgen export kustomize`. Build with: kubectl kustomize .\n"
_JOB = ("batch.volcano.sh/v1alpha1", "Job")


@dataclass(frozen=True, slots=True)
class _Target:
    """The object that a kustomize patch is for, and the patch's document."""

    api_version: str
    kind: str
    name: str
    document: Any

    @property
    def selector(self) -> dict[str, str]:
        """How kustomize finds the object."""
        group, _, version = self.api_version.rpartition("/")
        return {**({"group": group} if group else {}), "version": version, "kind": self.kind, "name": self.name}


def kustomization_files(base: Bundle, patches: Sequence[Patch], name: str, volcano_version: str) -> dict[str, bytes]:
    """The files of a kustomization that builds the job and its claims.

    Args:
        base: the objects before overlays; the job has no name yet.
        patches: the overlays' patches, in order.
        name: the job's name after its overlays.
        volcano_version: release of Volcano whose schema says how lists merge.

    Raises:
        Rejected: when the job has no name, which kustomize cannot do without.
    """
    if not name:
        told = "kustomize builds objects with names only, and this delivery leaves the job's to the API server"
        raise Rejected(
            [error("FT540", told, "delivery.generate_name", "true", "choose delivery=argocd or delivery=flux")]
        )
    named = _called(base, name)
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
    """The document that tells kustomize how lists merge; it replaces kustomize's own, so it holds every kind."""
    kinds = dict.fromkeys((str(o["apiVersion"]), str(o["kind"])) for o in bundle.objects)
    known = [found for kind in kinds if (found := schema.find(*kind, version))]
    return json.dumps(schema.openapi(*known), sort_keys=True, separators=(",", ":")) + "\n"


def _kustomization(**fields: Any) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return _HEAD + yamlio.dump({**head, **{key: value for key, value in fields.items() if value}})


# --- of others ------------------------------------------------------------------------------------------


def referenced_files(names: Iterable[str]) -> dict[str, str]:
    """Return the files that a kustomization among some files is made with and that are no objects, each to its user."""
    return {
        os.path.normpath(Path(name).parent / part): name
        for name in names
        if Path(name).name in _KUSTOMIZATIONS
        for part in _parts_of(Path(name))
    }


def _parts_of(file: Path) -> Iterator[str]:
    """The patches of a kustomization, and what it is configured with or generates from."""
    try:
        said = mapping(yamlio.parse(yamlio.read_text(file, str(file)), str(file)))
    except Rejected:
        return
    for key in ("patches", "patchesJson6902", "replacements"):
        yield from (text(each.get("path")) for _, each in entries(said.get(key)))
    for key in ("patchesStrategicMerge", "configurations", "transformers", "generators", "validators", "crds"):
        yield from strings(said.get(key))
    yield text(mapping(said.get("openapi")).get("path"))
    for key in ("configMapGenerator", "secretGenerator"):
        for _, each in entries(said.get(key)):
            yield from (given.rpartition("=")[2] for given in strings(each.get("files")))


_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml")


# --- components ----------------------------------------------------------------------------------------


def _components(bundle: Bundle, patches: Sequence[Patch], version: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A folder for each chosen option that patches something, with its files, and one for what no patch can say."""
    said = bundle
    for folder, own in _by_option(patches):
        targets: dict[str, _Target] = {}
        for patch in own:
            patched, _ = overlay.apply(bundle, [patch], version)
            after = _called(patched, str(bundle.job["metadata"]["name"]))
            for target in _targets(bundle, after, patch, version):
                targets[_unused(patch.file.stem, {*targets, _KUSTOMIZATION})] = target
                said = _patched(said, target, version)
            bundle = after
        yield from _component(folder, targets)
    yield from _component("overlays/unsaid", dict(_unsaid(said, bundle, version)))


def _called(bundle: Bundle, name: str) -> Bundle:
    """The bundle with its job's name, which a patch that replaces all metadata takes away."""
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
    """A patch of ours as patches of kustomize's: one for each object that it is for."""
    match patch.document:
        case list():
            effect = delta.strategic(before.job, after.job, schema.find(*_JOB, version))
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
    """A strategic-merge patch of this object alone."""
    name = str(manifest["metadata"]["name"])
    metadata = _sound(manifest["metadata"], document.get("metadata") or {})
    head = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": {**metadata, "name": name}}
    rest = {key: value for key, value in document.items() if key not in head}
    return _Target(manifest["apiVersion"], manifest["kind"], name, {**head, **rest})


def _sound(metadata: Object, patch: Object) -> Object:
    """The patch of metadata without nulls that delete nothing: kustomize would write the text null there."""

    def there(part: str, value: Any) -> Any:
        known = metadata.get(part, {})
        return {k: v for k, v in value.items() if v is not None or k in known} if isinstance(value, dict) else value

    return {part: there(part, value) for part, value in patch.items()}


# --- what patches cannot say ---------------------------------------------------------------------------


def _patched(bundle: Bundle, target: _Target, version: str) -> Bundle:
    """What kustomize makes of the objects with this patch."""
    rules = schema.find(target.api_version, target.kind, version)

    def patched(manifest: Object) -> Object:
        if (manifest["kind"], manifest["metadata"]["name"]) != (target.kind, target.name):
            return manifest
        merged: Object = merge.strategic_merge(manifest, target.document, rules)
        return {**merged, "metadata": _kept(manifest["metadata"], target.document["metadata"], merged["metadata"])}

    return Bundle(patched(bundle.job), tuple(map(patched, bundle.companions)))


def _kept(before: Object, patch: Object, after: Object) -> Object:
    """Metadata as kustomize patches it: never the namespace, and no null deletes all labels or annotations."""
    free = {key: value for key, value in after.items() if key != "namespace"}
    deleted = [key for key in ("labels", "annotations") if key in patch and patch[key] is None]
    return {**free, **{key: before[key] for key in ("namespace", *deleted) if key in before}}


def _unsaid(said: Bundle, bundle: Bundle, version: str) -> Iterator[tuple[str, _Target]]:
    """What no strategic-merge patch can say is put in place whole, and last: kustomize's merges would undo it.

    A container that serves one port by TCP and UDP is such a thing: kustomize merges ports by number alone.
    """
    for one, other in zip(said.objects, bundle.objects, strict=True):
        operations = list(_operations(one, other, schema.find(other["apiVersion"], other["kind"], version)))
        name = str(other["metadata"]["name"])
        if operations:
            file = f"{other['kind'].lower()}-{name}.yaml"
            yield file, _Target(other["apiVersion"], other["kind"], name, operations)


def _operations(said: Object, wanted: Object, rules: schema.Schema | None) -> Iterator[delta.Operation]:
    node = schema.Node.of(rules) if rules else None
    for part in ("metadata", "spec"):
        place, there, here = node and node.field(part), said.get(part, {}), wanted.get(part, {})
        yield from ({"op": "remove", "path": f"/{part}/{key}"} for key in there if key not in here)
        for key, value in here.items():
            if not _same_items(there.get(key), value, place and place.field(key)):
                yield {"op": "add", "path": f"/{part}/{key}", "value": value}


def _same_items(one: Any, other: Any, node: schema.Node | None) -> bool:
    """Equality but for the order of lists that are merged by key, which kustomize does not keep."""
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
