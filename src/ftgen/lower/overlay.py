"""Overlays: patches of the chosen options, merged by the list keys that the schema declares.

`overlays/<group>/<option>/*.yaml` holds strategic-merge patches as kustomize reads them, or JSON 6902 lists
for the job.  `kind: PodTemplate` addresses the template of every task.  A patch without a name, or with the
name `any`, addresses every object of its kind; one that names an object must find it.

An `overlay.yaml` beside the patches is no patch: it declares what the overlay may do.

* `touches`: manifest paths, as `PodTemplate.template.spec.runtimeClassName` or `Job.metadata.labels`.  ftgen refuses
  a patch that sets any other path.
* `adds`: tasks and containers that the job does not have, as `containers/proxy`.  ftgen refuses any other unknown
  name: a misspelt one would silently become a second container.
* `replaces`: paths of lists, as `Job.spec.policies`.  A patch of a list without a merge key replaces it, and so does
  the operation `replace` of any list; ftgen warns of the items that a list loses which is not declared.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import runtime, schema
from ftgen.config.pins import Pins
from ftgen.diagnostics import Diagnostic, Location, Rejected, error, warning
from ftgen.lower import TASK, Bundle, Object, merge
from ftgen.text import files, parts, yamlio

_ANY_NAME = {None, "", "any"}
# Kinds of companions that only some jobs have: a patch for all objects of such a kind may find none.
_OPTIONAL_KINDS = frozenset({"PersistentVolumeClaim", "PersistentVolume", "ResourceClaimTemplate", "ConfigMap"})
_DECLARATION = "overlay.yaml"
_WRONG_SUFFIXES = frozenset({".yml", ".json"})
_PATCH_FORM = "begin with apiVersion and kind; a patch of pods is `kind: PodTemplate` with template: {spec: …}"

# Lists whose items are programs: a misspelt name would add another program.
_PROGRAMS = {
    "tasks": "task",
    "containers": "container",
    "initContainers": "init container",
    "ephemeralContainers": "ephemeral container",
}
_LONGEST_ITEM = 80  # characters of an item in a message

_Path = tuple[str | int, ...]


class Declaration(Struct, frozen=True):
    """The declaration of an overlay: what its `overlay.yaml` allows its patches to do.

    Attributes:
        touches: manifest paths that its patches may set; None: all.
        adds: tasks and containers that it adds, as `containers/proxy`; `containers` stands for any.
        replaces: manifest paths of lists that it replaces on purpose, or of a parent of such lists.
    """

    touches: tuple[str, ...] | None = None
    adds: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    @classmethod
    def of(cls, content: Mapping[str, Sequence[str]]) -> Declaration:
        """Build a declaration from the content of a valid `overlay.yaml`."""
        return cls(**{name: tuple(listed) for name, listed in content.items()})


UNRESTRICTED: Mapping[str, list[str]] = {"adds": list(_PROGRAMS), "replaces": ["Job", "PodTemplate"]}
"""The content of an `overlay.yaml` that allows every addition and replacement, as an imported job needs it."""


class Patch(Struct, frozen=True):
    """One document of an overlay: a strategic-merge patch (mapping) or a JSON 6902 list.

    Attributes:
        file: the file it was read from.
        document: its parsed YAML value.
        group: the configuration group whose choice selected the overlay.
        option: the chosen option.
        position: index of the document in the file, from 0.
        declared: the declaration of its overlay.
        pins: the pins that took the place of images in the document.
    """

    file: Path
    document: Any
    group: str
    option: str
    position: int = 0
    declared: Declaration = Declaration()
    pins: Pins = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of its overlay: `<group>/<option>`."""
        return f"{self.group.split('@', 1)[0]}/{self.option}"

    def at(self, path: _Path = ()) -> Location:
        """Locate a part of the document; the file is read again, as only diagnostics need the location."""
        mark = yamlio.documents(yamlio.read_text(self.file), str(self.file))[self.position].nearest(path)
        return Location(str(self.file), mark.line, mark.column)


def folders(directory: Path, packs: Iterable[str] = ()) -> list[Path]:
    """Return the folders of overlays: the packaged one, the packs', then the user's own in the working directory.

    Args:
        directory: the working directory.
        packs: folders, or `pkg://` and the dotted name of a folder in an installed Python package.

    Raises:
        Rejected: FT025, for every pack that does not exist; FT501, `overlays` leads out of the repository.
    """
    unique: dict[Path, Path] = {}
    for folder in (runtime.overlays_dir(), *_packs(directory, packs), files.unnamed_folder(directory / "overlays")):
        unique.setdefault(files.resolved(folder), folder)
    return list(unique.values())


def _packs(directory: Path, packs: Iterable[str]) -> list[Path]:
    found = {pack: runtime.folder(pack, directory) for pack in packs}
    missing = [
        error(
            "FT025", f"there is no folder of overlays {pack}", "overlays", pack, "install the package, or name a folder"
        )
        for pack, folder in found.items()
        if folder is None
    ]
    if missing:
        raise Rejected(missing)
    return [folder for folder in found.values() if folder]


def collect(choices: Mapping[str, str], folders: Iterable[Path]) -> list[Patch]:
    """Read the patches of the chosen options: in the order of the choices, folder by folder, files by name.

    Raises:
        Rejected: when a file does not parse, a document is neither patch nor list of operations, or a patch
            sets a path that its overlay does not declare.
    """
    roots = list(folders)
    found = []
    for group, option in choices.items():
        for root in roots:
            found += _overlay(root, group, option)
    return found


def _overlay(root: Path, group: str, option: str) -> list[Patch]:
    folder = root / group.split("@", 1)[0] / option
    found = list(_files(folder))
    patches = [
        Patch(file, document, group, option, position)
        for file in found
        if file.name != _DECLARATION
        for position, document in _documents(file, root)
    ]
    if folder / _DECLARATION not in found:
        return patches
    declared = _declared(folder / _DECLARATION, root)
    _refuse_undeclared_paths(patches, declared, folder / _DECLARATION)
    return [replace(patch, declared=declared) for patch in patches]


def _declared(file: Path, root: Path) -> Declaration:
    content = yamlio.parse(_text(file, root), str(file), parts.MOST_OF_SOURCE)
    if not isinstance(content, dict) or not content or not all(map(_is_declaration, content, content.values())):
        headline = f"{file.name} of an overlay holds lists of text, called {', '.join(_DECLARATIONS)}"
        raise Rejected([error("FT020", headline, help=_HOW_TO_DECLARE).at(Location(str(file), 1))])
    return Declaration.of(content)


_DECLARATIONS = ("touches", "adds", "replaces")
_HOW_TO_DECLARE = (
    "touches and replaces list manifest paths (Job.spec.policies), adds lists containers/NAME or tasks/NAME"
)


def _is_declaration(name: Any, listed: Any) -> bool:
    return name in _DECLARATIONS and isinstance(listed, list) and all(isinstance(text, str) for text in listed)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the `.yaml` files of an overlay by name; refuse `.yml` and `.json`, which would silently not apply."""
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix in _WRONG_SUFFIXES:
            headline = f"{file.name} is no overlay: their files end in .yaml"
            help_ = f"rename it to {file.stem}.yaml, or move it elsewhere"
            raise Rejected([error("FT020", headline, help=help_).at(Location(str(file), 1))])
        if file.suffix == ".yaml" and not file.name.isprintable():
            # An exported kustomization lists its files by name.
            headline = f"{file.name!a} is no name of an overlay: it holds a character that cannot be printed"
            raise Rejected([error("FT020", headline, help="rename the file").at(Location(str(file), 1))])
        if file.suffix == ".yaml":
            yield file


def _documents(file: Path, root: Path) -> Iterator[tuple[int, Any]]:
    for position, document in enumerate(yamlio.parse_all(_text(file, root), str(file), parts.MOST_OF_SOURCE)):
        if document is None:
            continue
        if problem := _shape_problem(document):
            text, part = problem
            location = Patch(file, document, "", "", position).at(part)
            raise Rejected([error("FT020", f"{file.name}: {text}", help=_PATCH_FORM).at(location)])
        yield position, document


def _text(file: Path, root: Path) -> str:
    """Read an overlay's file; a symbolic link in a user's folder must not lead out of it."""
    within = None if root == runtime.overlays_dir() else root
    return yamlio.read_text(file, at_most=files.LARGEST_SOURCE, within=within)


def _shape_problem(document: Any) -> tuple[str, _Path] | None:
    """Return why a document is no patch, and the path of the fault; fields without effect in a PodTemplate count."""
    invalid = next(
        (place for place, part in _parts(document, ()) if isinstance(part, dict) and _has_non_string_key(part)), None
    )
    if invalid is not None:
        return "a key is text in every manifest; quote it", invalid
    if isinstance(document, list):
        return None
    if not isinstance(document, dict):
        return "an overlay is a patch or a list of JSON 6902 operations", ()
    if not all(isinstance(document.get(key), str) for key in _required_keys(document)):
        return "a patch says by apiVersion and kind what it is for", ()
    metadata = document.get("metadata")
    if not isinstance(metadata, dict | None) or not isinstance(_target_name(document), str | None):
        return "metadata holds the name of what the patch is for, as text", ("metadata",)
    return _outside_template(document, metadata or {}) if document["kind"] == "PodTemplate" else None


def _required_keys(document: Object) -> tuple[str, ...]:
    return ("kind",) if document.get("kind") == "PodTemplate" else ("apiVersion", "kind")


def _has_non_string_key(mapping: Mapping[Any, Any]) -> bool:
    return not all(isinstance(key, str) for key in mapping)


def _outside_template(document: Object, metadata: Object) -> tuple[str, _Path] | None:
    ignored = [key for key in document if key not in {"apiVersion", "kind", "metadata", "template"}]
    ignored += [f"metadata.{key}" for key in metadata if key != "name"]
    return (
        (f"a patch of kind PodTemplate says all of it below template, and this one has {ignored[0]}", ())
        if ignored
        else None
    )


# --- applying ------------------------------------------------------------------------------------------


def apply(bundle: Bundle, patches: Sequence[Patch], volcano_version: str) -> tuple[Bundle, list[Diagnostic]]:
    """Merge all patches into a bundle, in order; return it with warnings for lost items and ineffective deletions.

    Raises:
        Rejected: when a patch matches nothing or cannot be applied, at its place in its file.
    """
    warnings: list[Diagnostic] = []
    for number, patch in enumerate(patches):
        try:
            inputs = [] if merge.only_sets(patch.document) else list(_merge_inputs(bundle, patch, volcano_version))
            found = list(_list_patches(bundle, patch, inputs, volcano_version))
            _refuse_undeclared_items(patch, found)
            warnings += _ineffective_deletions(patch, inputs)
            bundle = _in_same_namespace(bundle, _applied(bundle, patch, volcano_version), patch)
        except merge.PatchError as failure:
            raise _not_applicable(patch, failure) from None
        warnings += _lost_items(patch, found, patches[:number])
    return bundle, warnings


def _applied(bundle: Bundle, patch: Patch, version: str) -> Bundle:
    match patch.document:
        case list():
            return Bundle(_checked_job(merge.json_patch(bundle.job, patch.document), patch.document), bundle.companions)
        case {"kind": "PodTemplate"} if patch.document.get("apiVersion", "v1") == "v1":
            return Bundle(_checked_job(_patch_templates(bundle.job, patch, version), patch.document), bundle.companions)
        case {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1"} if _is_for_job(patch, bundle.job):
            return Bundle(
                _checked_job(_merged(bundle.job, patch.document, _job(version)), patch.document), bundle.companions
            )
        case {"kind": str(kind), "apiVersion": str(api_version)}:
            rules = schema.find(api_version, kind, version)
            hits = [_addresses(patch.document, companion) for companion in bundle.companions]
            if not any(hits):
                if kind in _OPTIONAL_KINDS and _is_for_every(patch.document):
                    return bundle
                raise _no_target(patch, bundle)
            pairs = zip(bundle.companions, hits, strict=True)
            return Bundle(
                bundle.job, tuple(_patched_companion(o, patch.document, rules) if hit else o for o, hit in pairs)
            )
        case _:
            raise _no_target(patch, bundle)


def _is_for_job(patch: Patch, job: Object) -> bool:
    return _addresses(patch.document, job) or (_may_change_namespace(patch) and _matches_name(patch.document, job))


def _may_change_namespace(patch: Patch) -> bool:
    """Whether the overlay declares to replace the job's namespace, as that of an imported job does."""
    return any(_covers(path, "Job.metadata.namespace") for path in patch.declared.replaces)


def _in_same_namespace(before: Bundle, after: Bundle, patch: Patch) -> Bundle:
    """Return the patched bundle; refuse changed namespaces, because the objects would not find one another.

    A job without companions may have no namespace: kubectl then applies it to the current one.
    """
    if after is before:
        return after
    namespaces = [[manifest["metadata"].get("namespace") for manifest in bundle.objects] for bundle in (before, after)]
    if namespaces[0] != namespaces[1] and namespaces[1] != [None] and not _may_change_namespace(patch):
        problem = "it leaves the namespace that what comes with the job is in; set cluster.namespace instead"
        raise merge.PatchError(problem, patch.document)
    return after


def _checked_job(job: Any, operation: Any) -> Object:
    """Return the patched job; refuse one without metadata, spec and a list of tasks, which later stages read."""
    parts = [job, *(job.get(part, {}) for part in ("metadata", "spec"))] if isinstance(job, dict) else [job]
    if not all(isinstance(part, dict) for part in parts):
        raise merge.PatchError("it leaves no object with metadata and spec", operation)
    tasks = job.get("spec", {}).get("tasks")
    if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
        raise merge.PatchError("it leaves no list of tasks", operation)
    return {**job, "metadata": job.get("metadata", {})}


def _patched_companion(companion: Object, patch: Object, rules: schema.Schema | None) -> Object:
    """Merge a patch into an object beside the job; refuse one that deletes or renames it, or changes a ConfigMap."""
    merged: Any = _merged(companion, patch, rules)
    metadata = merged.get("metadata") if isinstance(merged, dict) else None
    if not isinstance(metadata, dict) or metadata.get("name") != companion["metadata"]["name"]:
        raise merge.PatchError("it leaves no object of that name; set create: false of the storage instead", patch)
    if any(merged.get(key) != companion.get(key) for key in ("immutable", "data", "binaryData")):
        # The name holds a digest of the content, and the cluster refuses other content under the same name.
        raise merge.PatchError("it changes the scripts; put your own into conf/trainer, where they shadow these", patch)
    return {**merged, "apiVersion": companion["apiVersion"], "kind": companion["kind"]}


def _is_task(task: Any) -> bool:
    # A task may lack a name: Volcano's webhook sets it.
    return (
        isinstance(task, dict)
        and isinstance(task.get("name"), str | None)
        and isinstance(task.get("template", {}), dict)
    )


def _addresses(document: Object, manifest: Object) -> bool:
    """Whether a patch is for this object; a patch with another namespace is not, as no object may change its own."""
    same_kind = all(document[key] == manifest[key] for key in ("apiVersion", "kind"))
    own = manifest["metadata"].get("namespace")
    return (
        same_kind
        and (document.get("metadata") or {}).get("namespace") in (own, None)
        and _matches_name(document, manifest)
    )


def _matches_name(document: Object, manifest: Object) -> bool:
    """Whether a patch names this object; a job by its `ftgen.dev/run` label, as it gets its name after the patches."""
    name, metadata = _target_name(document), manifest["metadata"]
    labels = metadata.get("labels")
    run = labels.get("ftgen.dev/run") if isinstance(labels, dict) and "name" not in metadata else None
    return name in {*_ANY_NAME, metadata.get("name"), run} or (run is not None and str(name).startswith(f"{run}-"))


def _is_for_every(document: Object) -> bool:
    return _target_name(document) in _ANY_NAME and (document.get("metadata") or {}).get("namespace") is None


def _target_name(document: Object) -> str | None:
    metadata = document.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None


def _job(version: str) -> schema.Schema:
    found = schema.find(*schema.VOLCANO_JOB, version)
    assert found is not None  # noqa: S101 - every known Volcano line has it
    return found


def _template(version: str) -> schema.Node | None:
    return schema.Node.of(_job(version)).at("spec", "tasks", 0, "template")


def _patch_templates(job: Object, patch: Patch, version: str) -> Object:
    pairs = zip(job["spec"]["tasks"], templates(job, patch, version), strict=True)
    node = _template(version)
    tasks = [
        {**task, "template": merge.strategic_merge(task.get("template", {}), change, node)} for task, change in pairs
    ]
    return {**job, "spec": {**job["spec"], "tasks": tasks}}


def templates(job: Object, patch: Patch, version: str) -> list[Any]:
    """Return the part of a PodTemplate patch for each task's template.

    It leaves out containers that only another task has, so that the merge does not add them.
    """
    change, tasks = patch.document.get("template", {}), job["spec"]["tasks"]
    if len(tasks) == 1:
        return [change]
    by_task = [list(merge.list_patches(task.get("template", {}), change, _template(version))) for task in tasks]
    unknown = [
        {place for lists in found for place in _undeclared_items(lists, patch.declared.adds)} for found in by_task
    ]
    nowhere = set.intersection(*unknown) if unknown else set()
    return [merge.without_items(change, places - nowhere) for places in unknown]


def without_container(document: Any, name: str) -> Any:
    """Return a PodTemplate patch without what it says of one container; other documents as they are."""
    match document:
        case {"kind": "PodTemplate", "template": {"spec": {"containers": list(containers), **spec}, **template}}:
            left = [each for each in containers if not (isinstance(each, dict) and each.get("name") == name)]
            return {**document, "template": {**template, "spec": {**spec, "containers": left}}}
        case _:
            return document


def _merged(target: Object, patch: Object, rules: schema.Schema | None) -> Object:
    """Merge a patch into an object; the patch's own name is left out, as it only selects the object."""
    metadata = patch.get("metadata") or {}
    if isinstance(metadata, dict):
        metadata = {key: value for key, value in metadata.items() if key != "name"}
    merged: Object = merge.strategic_merge(target, {**patch, "metadata": metadata}, rules)
    return merged


# --- added and lost items ------------------------------------------------------------------------------


_MergeInput = tuple[Any, Any, schema.Node | None, _Path, str]


def _merge_inputs(bundle: Bundle, patch: Patch, version: str) -> Iterator[_MergeInput]:
    """Yield each base value with the part of the patch for it, its schema node, place and path; none for JSON 6902."""
    match patch.document:
        case {"kind": "PodTemplate"}:
            pairs = zip(bundle.job["spec"]["tasks"], templates(bundle.job, patch, version), strict=True)
            for task, change in pairs:
                yield task.get("template", {}), change, _template(version), ("template",), "PodTemplate.template"
        case {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1"}:
            yield from _field_inputs(bundle.job, patch.document, _job(version))
        case {"kind": str(kind), "apiVersion": str(api_version)}:
            rules = schema.find(api_version, kind, version)
            for companion in bundle.companions:
                if _addresses(patch.document, companion):
                    yield from _field_inputs(companion, patch.document, rules)
        case _:
            return


def _list_patches(
    bundle: Bundle, patch: Patch, inputs: Iterable[_MergeInput], version: str
) -> Iterator[merge.ListPatch]:
    """Yield the lists of a patch with their base lists, at paths that begin with the kind."""
    if isinstance(patch.document, list):
        yield from merge.replaced_lists(bundle.job, patch.document, _job(version), "Job")
    for merge_input in inputs:
        yield from merge.list_patches(*merge_input)


def _field_inputs(manifest: Object, document: Object, rules: schema.Schema | None) -> Iterator[_MergeInput]:
    node = schema.Node.of(rules) if rules else None
    for name, value in document.items():
        yield manifest.get(name), value, node and node.field(name), (name,), f"{document['kind']}.{name}"


def _ineffective_deletions(patch: Patch, inputs: Iterable[_MergeInput]) -> Iterator[Diagnostic]:
    """Warn of deletions without effect in every object or task that the patch is for: a name may be misspelt."""
    found = [deletion for merge_input in inputs for deletion in merge.deletions(*merge_input)]
    effective = {deletion.place for deletion in found if deletion.has_target}
    for place, path in {d.place: d.path for d in found if d.place not in effective}.items():
        headline = f"the overlay {patch.name} deletes {path}, which is not there"
        help_ = "correct the name, or remove it from the patch"
        yield warning("FT028", headline, path, "", help_).at(patch.at(place))


def _undeclared_items(lists: merge.ListPatch, adds: Collection[str]) -> list[_Path]:
    """Return the paths of patched tasks or containers that the base lacks and the overlay does not declare to add."""
    kind = lists.place[-1]
    if kind not in _PROGRAMS or not lists.key:
        return []
    known = {item.get("name") for item in lists.base if isinstance(item, dict) and isinstance(item.get("name"), str)}
    named = [(index, item["name"]) for index, item in enumerate(lists.patch) if _has_name(item)]
    allowed = {*known, *(name for _, name in named if not {kind, f"{kind}/{name}"}.isdisjoint(adds))}
    return [(*lists.place, index) for index, name in named if name not in allowed]


def _has_name(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)


def _refuse_undeclared_items(patch: Patch, found: Iterable[merge.ListPatch]) -> None:
    undeclared = {place: lists for lists in found for place in _undeclared_items(lists, patch.declared.adds)}
    if undeclared:
        raise Rejected(_undeclared_item(patch, lists, place) for place, lists in undeclared.items())


def _undeclared_item(patch: Patch, lists: merge.ListPatch, place: _Path) -> Diagnostic:
    kind, index = str(place[-2]), place[-1]
    name = lists.patch[int(index)]["name"]
    known = [item["name"] for item in lists.base if _has_name(item)]
    near = difflib.get_close_matches(name, known, 1, 0.4)
    guess = f"did you mean {near[0]}? Else" if near else f"there is {', '.join(known) or 'none'};"
    help_ = f"{guess} say that the overlay adds it: a line `- {kind}/{name}` under adds in {_declaration_of(patch)}"
    headline = f"the overlay {patch.name} patches the {_PROGRAMS[kind]} {name}, which the job does not have"
    return error("FT026", headline, f"{lists.path}[name={name}]", name, help_).at(patch.at((*place, "name")))


def _declaration_of(patch: Patch) -> Path:
    return patch.file.parent / _DECLARATION


def _lost_items(patch: Patch, found: Iterable[merge.ListPatch], before: Sequence[Patch]) -> Iterator[Diagnostic]:
    """Warn of items lost from lists that are replaced as a whole: those without a merge key, and by JSON 6902."""
    losses: dict[str, tuple[merge.ListPatch, list[Any]]] = {}
    for lists in found:
        lost = [item for item in lists.base if item not in lists.patch] if not lists.key else []
        if lost and not any(_covers(path, lists.path) for path in patch.declared.replaces):
            losses.setdefault(lists.path, (lists, lost))
    for lists, lost in losses.values():
        yield _loss_warning(patch, lists, lost).at(patch.at(lists.place), *_earlier_setting(lists.path, before))


def _loss_warning(patch: Patch, lists: merge.ListPatch, lost: Sequence[Any]) -> Diagnostic:
    headline = f"the overlay {patch.name} replaces {lists.path} as a whole and loses {', '.join(map(_shown, lost))}"
    help_ = f"write them into the patch, too, or a line `- {lists.path}` under replaces in {_declaration_of(patch)}"
    return warning("FT027", headline, lists.path, "", help_)


def _shown(item: Any) -> str:
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    first = text.partition("\n")[0]
    return first if first == text and len(text) <= _LONGEST_ITEM else f"{first[:_LONGEST_ITEM]}…"


def _earlier_setting(path: str, before: Sequence[Patch]) -> list[Location]:
    """Return the location in the last earlier patch that set a list, if any."""
    node = schema.Node.of(_job(schema.NEWEST))
    locations = [
        patch.at(t.place) for patch in reversed(before) for t in _touches(patch.document, node) if t.path == path
    ]
    return locations[:1]


def _no_target(patch: Patch, bundle: Bundle) -> Rejected:
    document, namespace = patch.document, (patch.document.get("metadata") or {}).get("namespace")
    target = f"{document['kind']} {_target_name(document) or ''}".strip() + (
        f" in namespace {namespace}" if namespace else ""
    )
    headline = f"the overlay {patch.name} patches {target}, which this job does not have"
    available = {f"{o['kind']} ({o['apiVersion']})": None for o in bundle.objects}
    help_ = f"remove the patch, or write it for one of PodTemplate (v1), {', '.join(available)}"
    if f"{document['kind']} ({document['apiVersion']})" in available:
        help_ = "write `metadata: {name: any}` and no namespace; it is then for every object of its kind"
    return Rejected([error("FT022", headline, help=help_).at(patch.at())])


def _not_applicable(patch: Patch, failure: merge.PatchError) -> Rejected:
    place = patch.at(_failing_part(patch.document, failure))
    where = f" at {failure.path}" if failure.path and not isinstance(patch.document, list) else ""
    return Rejected([error("FT021", f"{patch.file.name}: {failure}{where}", failure.path).at(place)])


def _failing_part(document: Any, failure: merge.PatchError) -> _Path:
    """Return the path of the part that could not be applied; found by identity, as equal parts may repeat."""
    found = [path for path, part in _parts(document, ()) if part is failure.operation]
    matching = [path for path in found if failure.path.endswith(str(path[-1]) if path else "")]
    return next(iter(matching or found), ())


def _parts(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in pairs:
        yield from _parts(part, (*path, step))


# --- touched paths -------------------------------------------------------------------------------------


class _Touch(Struct, frozen=True):
    """A value that a patch sets: its path as text, the value, and its place in the document."""

    path: str
    value: Any
    place: _Path


Renamed = tuple[tuple[str, str], ...]
"""Beginnings of paths, each with what stands in its place; the first that covers a path holds."""
_IN_JOB: Renamed = (("PodTemplate.template", f"Job.spec.tasks[name={TASK}].template"),)


def conflicts(patches: Iterable[Patch], volcano_version: str, pods: Renamed = _IN_JOB) -> list[Diagnostic]:
    """Warn of values that two overlays set differently: the later one wins, which neither file shows.

    A user's own overlay of the same option is meant to override the packaged one and is no conflict.

    Args:
        patches: overlays in the order in which they apply.
        volcano_version: release whose schema tells which lists merge.
        pods: paths in a PodTemplate, as paths in the object that has the pods.
    """
    latest: dict[str, tuple[Patch, _Touch]] = {}
    found = []
    for patch in patches:
        for touch in _touches(patch.document, schema.Node.of(_job(volcano_version))):
            path = _path_in(touch.path, pods)
            before = latest.get(path)
            # FT027 reports the items that a list without a merge key loses.
            lists = before and isinstance(before[1].value, list) and isinstance(touch.value, list)
            if before and not lists and before[0].name != patch.name and before[1].value != touch.value:
                found.append(_conflict(path, before, (patch, touch)))
            latest[path] = (patch, touch)
    return found


def _path_in(path: str, renamed: Renamed) -> str:
    return next((f"{new}{path.removeprefix(old)}" for old, new in renamed if _covers(old, path)), path)


def _conflict(path: str, before: tuple[Patch, _Touch], after: tuple[Patch, _Touch]) -> Diagnostic:
    first, last = before[0].name, after[0].name
    headline = f"the overlays {first} and {last} set {path} to {before[1].value!r} and {after[1].value!r}; {last} holds"
    locations = (after[0].at(after[1].place), before[0].at(before[1].place))
    return warning("FT023", headline, path, after[1].value, "remove it from one of them").at(*locations)


def _refuse_undeclared_paths(patches: Iterable[Patch], declared: Declaration, file: Path) -> None:
    if declared.touches is None:
        return
    node = schema.Node.of(_job(schema.NEWEST))
    undeclared = [
        error(
            "FT024", f"the overlay {patch.name} touches {touch.path}, which it does not declare", touch.path, help=help_
        ).at(patch.at(touch.place))
        for patch in patches
        for touch in _touches(patch.document, node)
        if not any(_covers(path, touch.path) for path in declared.touches)
        for help_ in (f"add it to touches in {file}, or remove it from the patch",)
    ]
    if undeclared:
        raise Rejected(undeclared)


def _covers(declared: str, path: str) -> bool:
    return path == declared or (path.startswith(declared) and path[len(declared)] in ".[")


def _touches(document: Any, job: schema.Node) -> Iterator[_Touch]:
    """Yield what a patch sets, at paths that begin with the kind: `Job.spec.queue`, `PersistentVolumeClaim/x.spec`."""
    if isinstance(document, list):
        for index, operation in enumerate(document):
            steps = str(operation.get("path", "")).strip("/").split("/") if isinstance(operation, dict) else []
            yield _Touch(".".join(["Job", *steps]), operation, (index,))
        return
    kind, name = str(document.get("kind", "object")), _target_name(document)
    head = kind if name in _ANY_NAME or kind in {"Job", "PodTemplate"} else f"{kind}/{name}"
    node = {"Job": job, "PodTemplate": None}.get(kind) if kind in {"Job", "PodTemplate"} else _schema(document)
    for key, value in document.items():
        if key in {"apiVersion", "kind"}:
            continue
        content = (
            {k: v for k, v in value.items() if k != "name"} if key == "metadata" and isinstance(value, dict) else value
        )
        below = job.at("spec", "tasks", 0, "template") if kind == "PodTemplate" else node and node.field(key)
        yield from _leaves(f"{head}.{key}", content, below, (key,))


def _schema(document: Object) -> schema.Node | None:
    found = schema.find(str(document.get("apiVersion", "")), str(document.get("kind", "")))
    return schema.Node.of(found) if found else None


def _leaves(path: str, value: Any, node: schema.Node | None, place: _Path) -> Iterator[_Touch]:
    key = node.merge_key() if node and isinstance(value, list) else None
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}", part, node and node.field(name), (*place, name))
    elif key and all(isinstance(item, dict) and key in item for item in value):
        for index, item in enumerate(value):
            rest = {name: part for name, part in item.items() if name != key}
            yield from _leaves(f"{path}[{key}={item[key]}]", rest, node and node.item(), (*place, index))
    else:
        yield _Touch(path, value, place)
