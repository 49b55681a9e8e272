"""Matching of objects between two sets of manifests, and their changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Rejected, credentials
from ftgen.output.tree import Lock, Run, State, Store, WriteOptions, runs_to_write, with_commit_of
from ftgen.review.diff.fields import ChangeClass, FieldChange, classify, diff_fields
from ftgen.text import files, yamlio
from ftgen.text.shapes import mapping

Manifest = Mapping[str, Any]

_RUN = "ftgen.dev/run"
_SUFFIXES = {".yaml", ".yml", ".json"}


class Status(StrEnum):
    """Presence of an object in the old and the new set."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Change(Struct, frozen=True):
    """A change of one object.

    Attributes:
        status: see `Status`.
        change_class: class of the change; an added object is a new run, a removed one is metadata, as its
            removal alone affects no run.
        old: the object before, or None.
        new: the object after, or None.
        fields: the fields that differ, except the name.
    """

    status: Status
    change_class: ChangeClass
    old: Manifest | None
    new: Manifest | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def manifest(self) -> Manifest:
        """Return the new object, or the old one if it was removed."""
        return self.new or self.old or {}


def differs(changes: Iterable[Change]) -> bool:
    """Whether any of the changes has an effect on the cluster."""
    return any(
        change.status is not Status.UNCHANGED and change.change_class is not ChangeClass.NO_OP for change in changes
    )


def same_run(old: bytes, new: bytes) -> bool:
    """Whether two texts of a job, or of a claim, have the same immutable fields.

    False if one of them is no object, as a committed file may hold anything.
    """
    try:
        before, after = (yamlio.parse(text.decode("utf-8", "replace"), "") for text in (old, new))
    except Rejected:
        return False
    objects = isinstance(before, Mapping) and isinstance(after, Mapping)
    return objects and classify(before, after) is not ChangeClass.NEW_RUN


def diff_objects(old: Iterable[Manifest], new: Iterable[Manifest]) -> list[Change]:
    """Return the changes from one set of objects to another, in the order of the new set, removed objects last.

    Objects match by identity; a renamed run matches its former object if its `ftgen.dev/run` label is unique
    in both sets.
    """
    before = {_identity(manifest): manifest for manifest in old}
    after = {_identity(manifest): manifest for manifest in new}
    former = _former(
        [manifest for key, manifest in before.items() if key not in after],
        [manifest for key, manifest in after.items() if key not in before],
    )
    changes = [_change(before.get(former.get(key, key)), manifest) for key, manifest in after.items()]
    removed = before.keys() - after.keys() - set(former.values())
    return [*changes, *(_removed(before[key]) for key in before if key in removed)]


_Identity = tuple[str, str, str, str]


def _identity(manifest: Manifest) -> _Identity:
    metadata = mapping(manifest.get("metadata"))
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
    return group, str(manifest.get("kind", "")), str(metadata.get("namespace", "")), str(name)


def _former(removed: list[Manifest], added: list[Manifest]) -> dict[_Identity, _Identity]:
    """Map the identity of each added object to its predecessor's, if exactly one of each has the run's label."""
    old, new = _by_run(removed), _by_run(added)
    pairs = [(new[run], old[run]) for run in new if run in old]
    return {_identity(a[0]): _identity(b[0]) for a, b in pairs if len(a) == len(b) == 1}


def _by_run(manifests: list[Manifest]) -> dict[tuple[str, ...], list[Manifest]]:
    runs: dict[tuple[str, ...], list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        if label := run_of(manifest):
            runs[(*_identity(manifest)[:3], label)].append(manifest)
    return runs


def run_of(manifest: Manifest) -> str:
    """Return the label of a manifest's run; empty where it has none."""
    label = mapping(mapping(manifest.get("metadata")).get("labels")).get(_RUN)
    return str(label) if label else ""


def _change(old: Manifest | None, new: Manifest) -> Change:
    if old is None:
        return Change(Status.ADDED, ChangeClass.NEW_RUN, None, new)
    changed = _with_secrets(diff_fields(old, new), old, new)
    if not changed and _identity(old) == _identity(new):
        return Change(Status.UNCHANGED, ChangeClass.NO_OP, old, new)
    change_class = classify(old, new) if _identity(old) == _identity(new) else ChangeClass.NEW_RUN
    return Change(Status.CHANGED, change_class, old, new, changed)


def _with_secrets(fields: Sequence[FieldChange], *objects: Manifest) -> tuple[FieldChange, ...]:
    found = frozenset[str]().union(*map(credentials.secrets_in, objects)) if fields else frozenset[str]()
    return tuple(replace(field, secrets=found) for field in fields)


def _removed(old: Manifest) -> Change:
    return Change(Status.REMOVED, ChangeClass.METADATA, old, None)


# changes of files


def diff_runs(lock: Lock, read: Callable[[str], bytes | None], runs: Sequence[Run]) -> Iterator[Change]:
    """Yield the changes that rendering `runs` would make to a tree, one run at a time.

    A file that one run gives up and another renders stays.

    Args:
        lock: the tree's ownership index.
        read: returns the bytes at a path of the tree, or None.
        runs: the rendered runs.
    """
    owned = defaultdict(list)
    for path, entry in lock.files.items():
        if entry.state is State.ACTIVE and "/*" not in entry.run and _is_manifest(path):
            owned[entry.run].append(path)
    kept, seen = {path for run in runs for path in run.files}, set[str]()
    for run in runs:
        rendered = {path: content for path, content in run.files.items() if path not in seen and _is_manifest(path)}
        seen |= rendered.keys()
        paths = [*rendered, *(path for path in owned[run.identity] if path not in kept)]
        before = {path: content for path in paths if (content := read(path)) is not None}
        yield from _of_files(before, {path: with_commit_of(text, before.get(path)) for path, text in rendered.items()})


def diff_tree(store: Store, lock: Lock, runs: Iterable[Run], whole: frozenset[str] = frozenset()) -> list[Change]:
    """Return the changes that rendering `runs` would make to a tree, with the names already assigned there.

    Args:
        store: storage of the tree.
        lock: its ownership index.
        runs: the rendered runs.
        whole: folders that should hold nothing but these runs.
    """
    rendered = list(runs)
    active = list(runs_to_write(store, lock, rendered, WriteOptions(same_run=same_run)))
    ended = {run.identity for run in rendered} - {run.identity for run in active}
    return [
        *diff_runs(lock, store.read, active),
        *_ended(store, lock, ended),
        *_unrendered(store, lock, rendered, whole),
    ]


def _ended(store: Store, lock: Lock, identities: Collection[str]) -> Iterator[Change]:
    """Yield the objects of archived and stopping runs as unchanged: rendering leaves them as they are."""
    for path, entry in sorted(lock.files.items()):
        if entry.run in identities and entry.state in {State.ARCHIVED, State.STOPPING} and _is_manifest(path):
            for manifest in _manifests(path, store.read(path) or b""):
                yield Change(Status.UNCHANGED, ChangeClass.NO_OP, manifest, manifest)


def _unrendered(store: Store, lock: Lock, runs: Iterable[Run], whole: frozenset[str]) -> Iterator[Change]:
    """Yield the objects of whole folders that no run renders any more as removed."""
    identities = {run.identity for run in runs} | {f"{folder}/*" for folder in whole}
    for path, entry in sorted(lock.files.items()):
        active = entry.state is State.ACTIVE and _is_manifest(path)
        if active and path.partition("/")[0] in whole and entry.run not in identities:
            yield from map(_removed, _manifests(path, store.read(path) or b""))


def _is_manifest(path: str) -> bool:
    return PurePosixPath(path).suffix in _SUFFIXES


def _of_files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[Change]:
    """Yield the changes between two sets of files; files with the same bytes are parsed only once."""
    same = {path for path, content in after.items() if before.get(path) == content}
    for path in sorted(same):
        for manifest in _manifests(path, after[path]):
            yield Change(Status.UNCHANGED, ChangeClass.NO_OP, manifest, manifest)
    old, new = (
        [manifest for path in sorted(files.keys() - same) for manifest in _manifests(path, files[path])]
        for files in (before, after)
    )
    yield from diff_objects(old, new)


def _manifests(path: str, content: bytes) -> list[Manifest]:
    return _in_text(path, content.decode("utf-8", "replace"))


def _in_text(path: str, text: str) -> list[Manifest]:
    documents = yamlio.parse_all(text, path)
    objects = [item for document in documents for item in _unwrapped(document)]
    return [item for item in objects if isinstance(item, Mapping) and item.get("kind")]


def _unwrapped(document: Any) -> list[Any]:
    """Return the items of a `kind: List`, as kubectl prints several objects; else the document itself."""
    if isinstance(document, Mapping) and document.get("kind") == "List":
        items = document.get("items")
        return items if isinstance(items, list) else []
    return [document]


def diff_paths(old: Path, new: Path) -> list[Change]:
    """Return the changes between two files or folders of manifests.

    Raises:
        Rejected: FT002 if a file cannot be read, FT001 if it is no YAML.
    """
    before, after = (
        [
            manifest
            for file, within in (files.manifests(path) if path.is_dir() else [(path, None)])
            for manifest in _in_text(str(file), yamlio.read_text(file, within=within))
        ]
        for path in (old, new)
    )
    return diff_objects(before, after)
