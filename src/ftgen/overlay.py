"""Overlays: patches of the chosen options, merged by the schema's own list keys.

`overlays/<group>/<option>/*.yaml` holds strategic-merge patches as kustomize reads them, or JSON 6902 lists
for the job.  `kind: PodTemplate` addresses the template of every task.  A patch without a name, or with the
name `any`, addresses every object of its kind; one that names an object must find it.

An `overlay.yaml` beside the patches is no patch: it says what the overlay is meant to do.

* `touches`: manifest paths, as `PodTemplate.template.spec.runtimeClassName` or `Job.metadata.labels`; a patch that
  touches more is refused.
* `adds`: tasks and containers that the job does not have, as `containers/proxy`.  A name that matches nothing is
  refused otherwise: misspelt, it would become a second container without a word.
* `replaces`: paths of lists without a merge key, as `Job.spec.policies`.  A patch of such a list replaces it, and what
  gets lost is told otherwise.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftgen import files, merge, project, schema, yamlio
from ftgen.diagnostics import Diagnostic, Location, Rejected, error, warning
from ftgen.lower import TASK, Bundle, Object

_EVERY = {None, "", "any"}
# Kinds that a job may come with: a patch for all objects of such a kind may find none.
_MADE = frozenset({"PersistentVolumeClaim", "PersistentVolume", "ResourceClaimTemplate", "ConfigMap"})
_DECLARATION = "overlay.yaml"
_OVERLOOKED = frozenset({".yml", ".json"})
_FORM = "begin with apiVersion and kind; a patch of pods is `kind: PodTemplate` with template: {spec: …}"

# Lists whose items are programs: a misspelt name would add one that was never meant.
_PROGRAMS = {
    "tasks": "task",
    "containers": "container",
    "initContainers": "init container",
    "ephemeralContainers": "ephemeral container",
}
_LONGEST_ITEM = 80  # characters of an item that are shown

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an overlay is meant to do, as its `overlay.yaml` says.

    Attributes:
        touches: manifest paths that its patches may set; None: all.
        adds: tasks and containers that it adds, as `containers/proxy`; `containers` stands for any.
        replaces: manifest paths of lists that it replaces on purpose, or of what holds them.
    """

    touches: tuple[str, ...] | None = None
    adds: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, Sequence[str]]) -> Declaration:
        """What an `overlay.yaml` of the right shape says."""
        return cls(**{name: tuple(listed) for name, listed in said.items()})


UNRESTRICTED: Mapping[str, list[str]] = {"adds": list(_PROGRAMS), "replaces": ["Job", "PodTemplate"]}
"""The declaration of an overlay that has the last word by design, such as that of an imported job."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One document of an overlay: a strategic-merge patch (mapping) or a JSON 6902 list.

    Attributes:
        file: where it was read.
        document: its plain value.
        group: the configuration group whose choice brought it.
        option: the option that was chosen.
        position: which of the file's documents it is, from 0.
        declared: what its overlay is meant to do.
    """

    file: Path
    document: Any
    group: str
    option: str
    position: int = 0
    declared: Declaration = Declaration()

    @property
    def name(self) -> str:
        """The overlay that it is part of."""
        return f"{self.group.split('@', 1)[0]}/{self.option}"

    def at(self, path: _Path = ()) -> Location:
        """Where a part of the document stands; read only when something is told about it."""
        mark = yamlio.documents(yamlio.read_text(self.file), str(self.file))[self.position].nearest(path)
        return Location(str(self.file), mark.line, mark.column)


def folders(directory: Path, packs: Iterable[str] = ()) -> list[Path]:
    """Where overlays lie: the packaged ones, then packs, then the user's own in the working directory.

    Args:
        directory: the working directory.
        packs: folders, or `pkg://` and the dotted name of a folder in an installed Python package.

    Raises:
        Rejected: for every pack that is not there.
    """
    unique: dict[Path, Path] = {}
    for folder in (project.overlays_dir(), *_packs(directory, packs), directory / "overlays"):
        unique.setdefault(files.resolved(folder), folder)
    return list(unique.values())


def _packs(directory: Path, packs: Iterable[str]) -> list[Path]:
    found = {pack: project.folder(pack, directory) for pack in packs}
    lost = [
        error(
            "FT025", f"there is no folder of overlays {pack}", "overlays", pack, "install the package, or name a folder"
        )
        for pack, folder in found.items()
        if folder is None
    ]
    if lost:
        raise Rejected(lost)
    return [folder for folder in found.values() if folder]


def collect(choices: Mapping[str, str], folders: Iterable[Path]) -> list[Patch]:
    """The patches of the chosen options: in the order of the choices, folder by folder, files by name.

    Raises:
        Rejected: when a file does not parse, a document is neither patch nor list of operations, or a patch
            touches what its overlay does not declare.
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
    _refuse_undeclared(patches, declared, folder / _DECLARATION)
    return [replace(patch, declared=declared) for patch in patches]


def _declared(file: Path, root: Path) -> Declaration:
    said = yamlio.parse(_text(file, root), str(file))
    if not isinstance(said, dict) or not said or not all(map(_is_declaration, said, said.values())):
        headline = f"{file.name} of an overlay holds lists of text, called {', '.join(_DECLARATIONS)}"
        raise Rejected([error("FT020", headline, help=_HOW_TO_DECLARE).at(Location(str(file), 1))])
    return Declaration.of(said)


_DECLARATIONS = ("touches", "adds", "replaces")
_HOW_TO_DECLARE = (
    "touches and replaces list manifest paths (Job.spec.policies), adds lists containers/NAME or tasks/NAME"
)


def _is_declaration(name: Any, listed: Any) -> bool:
    return name in _DECLARATIONS and isinstance(listed, list) and all(isinstance(text, str) for text in listed)


def _files(folder: Path) -> Iterator[Path]:
    """The folder's patches, by name; one under another ending would be overlooked without a word."""
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix in _OVERLOOKED:
            headline = f"{file.name} is no overlay: their files end in .yaml"
            help_ = f"rename it to {file.stem}.yaml, or move it elsewhere"
            raise Rejected([error("FT020", headline, help=help_).at(Location(str(file), 1))])
        if file.suffix == ".yaml" and not file.name.isprintable():
            # An exported kustomization lists the files by name.
            headline = f"{file.name!a} is no name of an overlay: it holds a character that cannot be printed"
            raise Rejected([error("FT020", headline, help="rename the file").at(Location(str(file), 1))])
        if file.suffix == ".yaml":
            yield file


def _documents(file: Path, root: Path) -> Iterator[tuple[int, Any]]:
    for position, document in enumerate(yamlio.parse_all(_text(file, root), str(file))):
        if document is None:
            continue
        if problem := _misshapen(document):
            told, part = problem
            place = Patch(file, document, "", "", position).at(part)
            raise Rejected([error("FT020", f"{file.name}: {told}", help=_FORM).at(place)])
        yield position, document


def _text(file: Path, root: Path) -> str:
    """Return the text of an overlay; a link in a folder of the user's must not lead out of it."""
    within = None if root == project.overlays_dir() else root
    return yamlio.read_text(file, at_most=files.LARGEST_SOURCE, within=within)


def _misshapen(document: Any) -> tuple[str, _Path] | None:
    """What keeps a document from being a patch, and where; what a patch of pods would say in vain counts too."""
    strange = next((place for place, part in _parts(document, ()) if isinstance(part, dict) and _odd(part)), None)
    if strange is not None:
        return "a key is text in every manifest; quote it", strange
    if isinstance(document, list):
        return None
    if not isinstance(document, dict):
        return "an overlay is a patch or a list of JSON 6902 operations", ()
    if not all(isinstance(document.get(key), str) for key in _head(document)):
        return "a patch says by apiVersion and kind what it is for", ()
    metadata = document.get("metadata")
    if not isinstance(metadata, dict | None) or not isinstance(_named(document), str | None):
        return "metadata holds the name of what the patch is for, as text", ("metadata",)
    return _in_vain(document, metadata or {}) if document["kind"] == "PodTemplate" else None


def _head(document: Object) -> tuple[str, ...]:
    return ("kind",) if document.get("kind") == "PodTemplate" else ("apiVersion", "kind")


def _odd(mapping: Mapping[Any, Any]) -> bool:
    return not all(isinstance(key, str) for key in mapping)


def _in_vain(document: Object, metadata: Object) -> tuple[str, _Path] | None:
    lost = [key for key in document if key not in {"apiVersion", "kind", "metadata", "template"}]
    lost += [f"metadata.{key}" for key in metadata if key != "name"]
    return (
        (f"a patch of kind PodTemplate says all of it below template, and this one has {lost[0]}", ()) if lost else None
    )


# --- applying ------------------------------------------------------------------------------------------


def apply(bundle: Bundle, patches: Sequence[Patch], volcano_version: str) -> tuple[Bundle, list[Diagnostic]]:
    """The bundle with all patches merged in, in order, and what was lost on the way.

    Raises:
        Rejected: when a patch matches nothing or cannot be carried out, at its place in its file.
    """
    told: list[Diagnostic] = []
    for number, patch in enumerate(patches):
        try:
            found = list(_list_patches(bundle, patch, volcano_version))
            _refuse_strangers(patch, found)
            told += _idle(bundle, patch, volcano_version)
            bundle = _unmoved(bundle, _applied(bundle, patch, volcano_version), patch)
        except merge.PatchError as failure:
            raise _failed(patch, failure) from None
        told += _losses(patch, found, patches[:number])
    return bundle, told


def _applied(bundle: Bundle, patch: Patch, version: str) -> Bundle:
    match patch.document:
        case list():
            return Bundle(_whole(merge.json_patch(bundle.job, patch.document), patch.document), bundle.companions)
        case {"kind": "PodTemplate"} if patch.document.get("apiVersion", "v1") == "v1":
            return Bundle(_whole(_patch_templates(bundle.job, patch, version), patch.document), bundle.companions)
        case {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1"} if _is_for_job(patch, bundle.job):
            return Bundle(_whole(_merged(bundle.job, patch.document, _job(version)), patch.document), bundle.companions)
        case {"kind": str(kind), "apiVersion": str(api_version)}:
            rules = schema.find(api_version, kind, version)
            hits = [_addresses(patch.document, each) for each in bundle.companions]
            if not any(hits) and not (kind in _MADE and _is_for_every(patch.document)):
                raise _nothing(patch, bundle)
            pairs = zip(bundle.companions, hits, strict=True)
            return Bundle(bundle.job, tuple(_kept(o, patch.document, rules) if hit else o for o, hit in pairs))
        case _:
            raise _nothing(patch, bundle)


def _is_for_job(patch: Patch, job: Object) -> bool:
    return _addresses(patch.document, job) or (_may_move(patch) and _calls(patch.document, job))


def _may_move(patch: Patch) -> bool:
    """Whether the overlay says that it replaces the job's namespace, as that of an imported job does."""
    return any(_covers(path, "Job.metadata.namespace") for path in patch.declared.replaces)


def _unmoved(before: Bundle, after: Bundle, patch: Patch) -> Bundle:
    """The patched bundle; in another namespace than theirs, objects would not find one another.

    A job alone may go without a namespace, and gets that of whoever applies it.
    """
    spaces = [[manifest["metadata"].get("namespace") for manifest in bundle.objects] for bundle in (before, after)]
    if spaces[0] != spaces[1] and spaces[1] != [None] and not _may_move(patch):
        told = "it leaves the namespace that what comes with the job is in; set cluster.namespace instead"
        raise merge.PatchError(told, patch.document)
    return after


def _whole(job: Any, operation: Any) -> Object:
    """The patched job, in which later steps find tasks, whatever a patch may have put anywhere."""
    parts = [job, *(job.get(part, {}) for part in ("metadata", "spec"))] if isinstance(job, dict) else [job]
    if not all(isinstance(part, dict) for part in parts):
        raise merge.PatchError("it leaves no object with metadata and spec", operation)
    tasks = job.get("spec", {}).get("tasks")
    if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
        raise merge.PatchError("it leaves no list of tasks", operation)
    return {**job, "metadata": job.get("metadata", {})}


def _kept(companion: Object, patch: Object, rules: schema.Schema | None) -> Object:
    """The patched object beside the job, which is one still: whether there is one, the configuration says."""
    merged: Any = _merged(companion, patch, rules)
    metadata = merged.get("metadata") if isinstance(merged, dict) else None
    if not isinstance(metadata, dict) or metadata.get("name") != companion["metadata"]["name"]:
        raise merge.PatchError("it leaves no object of that name; set create: false of the storage instead", patch)
    if any(merged.get(key) != companion.get(key) for key in ("immutable", "data", "binaryData")):
        # Its name is made of its content, and the cluster refuses another content under the same name.
        raise merge.PatchError("it changes the scripts; put your own into conf/trainer, where they shadow these", patch)
    return {**merged, "apiVersion": companion["apiVersion"], "kind": companion["kind"]}


def _is_task(task: Any) -> bool:
    # Volcano's webhook names a task that has no name.
    return (
        isinstance(task, dict)
        and isinstance(task.get("name"), str | None)
        and isinstance(task.get("template", {}), dict)
    )


def _addresses(document: Object, manifest: Object) -> bool:
    """Whether a patch is for this object; none moves it to another namespace, which what it needs would not follow."""
    same = all(document[key] == manifest[key] for key in ("apiVersion", "kind"))
    own = manifest["metadata"].get("namespace")
    return same and (document.get("metadata") or {}).get("namespace") in (own, None) and _calls(document, manifest)


def _calls(document: Object, manifest: Object) -> bool:
    """Whether a patch names this object: a job by its run, for it gets its own name after the patches."""
    name, metadata = _named(document), manifest["metadata"]
    labels = metadata.get("labels")
    run = labels.get("ftgen.dev/run") if isinstance(labels, dict) and "name" not in metadata else None
    return name in {*_EVERY, metadata.get("name"), run} or (run is not None and str(name).startswith(f"{run}-"))


def _is_for_every(document: Object) -> bool:
    return _named(document) in _EVERY and (document.get("metadata") or {}).get("namespace") is None


def _named(document: Object) -> str | None:
    metadata = document.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None


def _job(version: str) -> schema.Schema:
    found = schema.find("batch.volcano.sh/v1alpha1", "Job", version)
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
    """What a patch of kind PodTemplate says of each task's template.

    Containers of another task's are left out of it: they are not to be added there.
    """
    change, tasks = patch.document.get("template", {}), job["spec"]["tasks"]
    if len(tasks) == 1:
        return [change]
    found = [list(merge.list_patches(task.get("template", {}), change, _template(version))) for task in tasks]
    strange = [{place for m in met for place in _strange(m, patch.declared.adds)} for met in found]
    nowhere = set.intersection(*strange) if strange else set()
    return [merge.without_items(change, places - nowhere) for places in strange]


def _merged(target: Object, patch: Object, rules: schema.Schema | None) -> Object:
    """The object with the patch merged in; the patch's own name only says what it addresses."""
    metadata = patch.get("metadata") or {}
    if isinstance(metadata, dict):
        metadata = {key: value for key, value in metadata.items() if key != "name"}
    merged: Object = merge.strategic_merge(target, {**patch, "metadata": metadata}, rules)
    return merged


# --- what patches add and lose -------------------------------------------------------------------------


_Faced = tuple[Any, Any, schema.Node | None, _Path, str]


def _faced(bundle: Bundle, patch: Patch, version: str) -> Iterator[_Faced]:
    """What each part of a patch is laid over, with the schema's node, its place and path; operations have none."""
    match patch.document:
        case {"kind": "PodTemplate"}:
            pairs = zip(bundle.job["spec"]["tasks"], templates(bundle.job, patch, version), strict=True)
            for task, change in pairs:
                yield task.get("template", {}), change, _template(version), ("template",), "PodTemplate.template"
        case {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1"}:
            yield from _below(bundle.job, patch.document, _job(version))
        case {"kind": str(kind), "apiVersion": str(api_version)}:
            rules = schema.find(api_version, kind, version)
            for each in bundle.companions:
                if _addresses(patch.document, each):
                    yield from _below(each, patch.document, rules)
        case _:
            return


def _below(manifest: Object, document: Object, rules: schema.Schema | None) -> Iterator[_Faced]:
    node = schema.Node.of(rules) if rules else None
    for name, value in document.items():
        yield manifest.get(name), value, node and node.field(name), (name,), f"{document['kind']}.{name}"


def _list_patches(bundle: Bundle, patch: Patch, version: str) -> Iterator[merge.ListPatch]:
    """The lists of a patch with those they are laid over, by paths that begin with the kind."""
    for faced in _faced(bundle, patch, version):
        yield from merge.list_patches(*faced)


def _idle(bundle: Bundle, patch: Patch, version: str) -> Iterator[Diagnostic]:
    """Deletions that find nothing in any object or task of those that the patch is for: a name may be misspelt."""
    found = [deletion for faced in _faced(bundle, patch, version) for deletion in merge.deletions(*faced)]
    effective = {deletion.place for deletion in found if deletion.there}
    for place, path in {d.place: d.path for d in found if d.place not in effective}.items():
        headline = f"the overlay {patch.name} deletes {path}, which is not there"
        help_ = "correct the name, or remove it from the patch"
        yield warning("FT028", headline, path, "", help_).at(patch.at(place))


def _strange(lists: merge.ListPatch, adds: Collection[str]) -> list[_Path]:
    """Where a patch speaks of tasks or containers that are not there, and that it does not declare to add."""
    kind = lists.place[-1]
    if kind not in _PROGRAMS or not lists.key:
        return []
    known = {item.get("name") for item in lists.base if isinstance(item, dict) and isinstance(item.get("name"), str)}
    named = [(index, item["name"]) for index, item in enumerate(lists.patch) if _has_name(item)]
    meant = {*known, *(name for _, name in named if not {kind, f"{kind}/{name}"}.isdisjoint(adds))}
    return [(*lists.place, index) for index, name in named if name not in meant]


def _has_name(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)


def _refuse_strangers(patch: Patch, found: Iterable[merge.ListPatch]) -> None:
    strangers = {place: lists for lists in found for place in _strange(lists, patch.declared.adds)}
    if strangers:
        raise Rejected(_stranger(patch, lists, place) for place, lists in strangers.items())


def _stranger(patch: Patch, lists: merge.ListPatch, place: _Path) -> Diagnostic:
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


def _losses(patch: Patch, found: Iterable[merge.ListPatch], before: Sequence[Patch]) -> Iterator[Diagnostic]:
    """What the lists without a merge key had that a patch replaces: kustomize and the API server keep nothing of it."""
    told: dict[str, tuple[merge.ListPatch, list[Any]]] = {}
    for lists in found:
        lost = [item for item in lists.base if item not in lists.patch] if not lists.key else []
        if lost and not any(_covers(path, lists.path) for path in patch.declared.replaces):
            told.setdefault(lists.path, (lists, lost))
    for lists, lost in told.values():
        yield _loss(patch, lists, lost).at(patch.at(lists.place), *_earlier(lists.path, before))


def _loss(patch: Patch, lists: merge.ListPatch, lost: Sequence[Any]) -> Diagnostic:
    headline = f"the overlay {patch.name} replaces {lists.path} as a whole and loses {', '.join(map(_shown, lost))}"
    help_ = f"write them into the patch, too, or a line `- {lists.path}` under replaces in {_declaration_of(patch)}"
    return warning("FT027", headline, lists.path, "", help_)


def _shown(item: Any) -> str:
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    first = text.partition("\n")[0]
    return first if first == text and len(text) <= _LONGEST_ITEM else f"{first[:_LONGEST_ITEM]}…"


def _earlier(path: str, before: Sequence[Patch]) -> list[Location]:
    """Where the last of the patches before set a list."""
    node = schema.Node.of(_job(schema.NEWEST))
    places = [patch.at(t.place) for patch in reversed(before) for t in _touches(patch.document, node) if t.path == path]
    return places[:1]


def _nothing(patch: Patch, bundle: Bundle) -> Rejected:
    document, namespace = patch.document, (patch.document.get("metadata") or {}).get("namespace")
    what = f"{document['kind']} {_named(document) or ''}".strip() + (f" in namespace {namespace}" if namespace else "")
    headline = f"the overlay {patch.name} patches {what}, which this job does not have"
    there = {f"{o['kind']} ({o['apiVersion']})": None for o in bundle.objects}
    help_ = f"remove the patch, or write it for one of PodTemplate (v1), {', '.join(there)}"
    if f"{document['kind']} ({document['apiVersion']})" in there:
        help_ = "write `metadata: {name: any}` and no namespace; it is then for every object of its kind"
    return Rejected([error("FT022", headline, help=help_).at(patch.at())])


def _failed(patch: Patch, failure: merge.PatchError) -> Rejected:
    place = patch.at(_place(patch.document, failure))
    where = f" at {failure.path}" if failure.path and not isinstance(patch.document, list) else ""
    return Rejected([error("FT021", f"{patch.file.name}: {failure}{where}", failure.path).at(place)])


def _place(document: Any, failure: merge.PatchError) -> _Path:
    """Where in the document the part stands that could not be applied: the very part, not one like it."""
    found = [path for path, part in _parts(document, ()) if part is failure.operation]
    told = [path for path in found if failure.path.endswith(str(path[-1]) if path else "")]
    return next(iter(told or found), ())


def _parts(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in pairs:
        yield from _parts(part, (*path, step))


# --- what patches touch --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Touch:
    """A value that a patch sets: its path for the reader, the value, and its place in the document."""

    path: str
    value: Any
    place: _Path


def conflicts(patches: Iterable[Patch], volcano_version: str) -> list[Diagnostic]:
    """Values that two overlays set differently: the later one holds, which neither of them says.

    A user's own overlay of the same option is meant to follow the packaged one and is no conflict.
    """
    said: dict[str, tuple[Patch, _Touch]] = {}
    found = []
    for patch in patches:
        for touch in _touches(patch.document, schema.Node.of(_job(volcano_version))):
            path = touch.path.replace("PodTemplate.template", f"Job.spec.tasks[name={TASK}].template", 1)
            before = said.get(path)
            # What a list without a merge key loses is told where it is replaced.
            lists = before and isinstance(before[1].value, list) and isinstance(touch.value, list)
            if before and not lists and before[0].name != patch.name and before[1].value != touch.value:
                found.append(_conflict(path, before, (patch, touch)))
            said[path] = (patch, touch)
    return found


def _conflict(path: str, before: tuple[Patch, _Touch], after: tuple[Patch, _Touch]) -> Diagnostic:
    first, last = before[0].name, after[0].name
    headline = f"the overlays {first} and {last} set {path} to {before[1].value!r} and {after[1].value!r}; {last} holds"
    places = (after[0].at(after[1].place), before[0].at(before[1].place))
    return warning("FT023", headline, path, after[1].value, "remove it from one of them").at(*places)


def _refuse_undeclared(patches: Iterable[Patch], declared: Declaration, file: Path) -> None:
    if declared.touches is None:
        return
    node = schema.Node.of(_job(schema.NEWEST))
    strays = [
        error(
            "FT024", f"the overlay {patch.name} touches {touch.path}, which it does not declare", touch.path, help=help_
        ).at(patch.at(touch.place))
        for patch in patches
        for touch in _touches(patch.document, node)
        if not any(_covers(path, touch.path) for path in declared.touches)
        for help_ in (f"add it to touches in {file}, or remove it from the patch",)
    ]
    if strays:
        raise Rejected(strays)


def _covers(declared: str, path: str) -> bool:
    return path == declared or (path.startswith(declared) and path[len(declared)] in ".[")


def _touches(document: Any, job: schema.Node) -> Iterator[_Touch]:
    """What a patch sets, by paths that begin with the kind: `Job.spec.queue`, `PersistentVolumeClaim/x.spec`."""
    if isinstance(document, list):
        for index, operation in enumerate(document):
            steps = str(operation.get("path", "")).strip("/").split("/") if isinstance(operation, dict) else []
            yield _Touch(".".join(["Job", *steps]), operation, (index,))
        return
    kind, name = str(document.get("kind", "object")), _named(document)
    head = kind if name in _EVERY or kind in {"Job", "PodTemplate"} else f"{kind}/{name}"
    node = {"Job": job, "PodTemplate": None}.get(kind) if kind in {"Job", "PodTemplate"} else _schema(document)
    for key, value in document.items():
        if key in {"apiVersion", "kind"}:
            continue
        told = (
            {k: v for k, v in value.items() if k != "name"} if key == "metadata" and isinstance(value, dict) else value
        )
        below = job.at("spec", "tasks", 0, "template") if kind == "PodTemplate" else node and node.field(key)
        yield from _leaves(f"{head}.{key}", told, below, (key,))


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
