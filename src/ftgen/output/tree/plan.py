"""Plan what a render does to a tree, from its index and the store of its files; nothing is written here.

A folder on disk and the tree of a git branch are both a `Store`, so the same decisions serve both.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, Severity, error, note, warning
from ftgen.output.tree import commit
from ftgen.output.tree.lock import (
    HASH_VERSION,
    AssignedName,
    Entry,
    Lock,
    Run,
    State,
    is_archived,
    is_claim,
    is_job,
    is_job_file,
    is_scripts,
    names_others,
    object_of,
    path_problem,
)

_DIFF_LINES = 40
_DIFF_BYTES = 2**20
_NAMED = 5
_OTHER_NAME = "give the runs different names or labels, so that each has files of its own"
_OTHER_CLAIM = "let both ask for one size, class and mode of the claim, or name another claim by storage.models.claim"


class Store(Protocol):
    """Storage of a tree's files."""

    def describe(self) -> str:
        """Return the place in words that a user knows: a folder, or a branch and a path."""

    def is_bare(self) -> bool:
        """Return whether the store holds no files yet, apart from version control's own dot files."""

    def problem(self, path: str) -> Diagnostic | None:
        """Return why nothing may be written at `path`, such as a symbolic link that leaves the tree."""

    def has(self, path: str) -> bool:
        """Return whether a file is at `path`."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None when no file is there."""

    def holds(self, path: str, content: bytes) -> bool:
        """Return whether `path` has exactly these bytes."""

    def files(self, folder: str) -> Iterable[str]:
        """Return the paths of all files and links below a folder; none where a link or a file is in its place."""

    def names(self) -> Iterable[str]:
        """Return the names at the root of the tree."""

    def stage(self, path: str, content: bytes) -> None:
        """Keep the new content of `path` until the plan is applied."""


class OnImmutableChange(StrEnum):
    """Treatment of the old object when an immutable field of a known run changed."""

    REPLACE = "replace"
    """Its files are removed: right for a local folder that only mirrors the configuration."""
    REFUSE = "refuse"
    """Nothing is written: right for a published tree, where the old object may be training."""
    KEEP = "keep"
    """The old files stay, orphaned, beside the new ones."""


class FileChange(StrEnum):
    """Change that a plan makes to one file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    PURGED = "purged"
    """Removed after its run was archived: reconcilers had stopped managing the object before."""
    ORPHANED = "orphaned"
    """Unchanged, but no longer rendered."""
    KEPT = "kept"
    """Unchanged, because its run is archived, stopping or ended."""
    MISSING = "missing"
    """Owned, but not in the store any more; removed from the index."""


def _same_bytes(old: bytes, new: bytes) -> bool:
    return old == new


class WriteOptions(Struct, frozen=True):
    """Permissions and rules for one write of a tree.

    Attributes:
        on_immutable_change: see `OnImmutableChange`.
        adopt: take over a folder without an index, and replace foreign files at rendered paths.
        overwrite: replace or remove owned files that were edited by hand, and write claims that the cluster would
            refuse.
        allow_shrink: orphan more than half of the files of complete folders.
        whole: folders that this render covers completely; their owned runs that are not rendered become orphaned.
        tentative: the plan will not be applied, so a shrinking folder is a warning rather than an error.
        source: id of the commit of the configuration, which new and changed manifests record; empty for none.
        same_run: return whether two contents of a job's or a claim's file agree in every field that the cluster
            treats as immutable.
    """

    on_immutable_change: OnImmutableChange = OnImmutableChange.REPLACE
    adopt: bool = False
    overwrite: bool = False
    allow_shrink: bool = False
    whole: frozenset[str] = frozenset()
    tentative: bool = False
    source: str = ""
    same_run: Callable[[bytes, bytes], bool] = _same_bytes


class Outcome(Struct, frozen=True):
    """Planned change of a tree.

    Attributes:
        lock: the index afterwards.
        changes: path to change, in path order.
        adopted: paths whose foreign or hand-edited bytes are replaced because the options allow it.
        renamed: (identity, old name, new name) of each known run that becomes a new object.
        diagnostics: warnings and notes.
        names: the name that the tree keeps for each run that was rendered under another.
        given_up: path to the digest of the foreign or hand-edited bytes there that are replaced or removed.
    """

    lock: Lock
    changes: Mapping[str, FileChange]
    adopted: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str, str], ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    given_up: Mapping[str, str] = field(default_factory=dict)

    @property
    def gone(self) -> tuple[str, ...]:
        """Return the paths whose files are removed."""
        return self.paths(FileChange.REMOVED, FileChange.PURGED)

    @property
    def touched(self) -> tuple[str, ...]:
        """Return the paths whose files are written or removed."""
        return self.paths(FileChange.ADDED, FileChange.CHANGED, FileChange.REMOVED, FileChange.PURGED)

    def paths(self, *changes: FileChange) -> tuple[str, ...]:
        """Return the paths with one of these changes."""
        return tuple(path for path, change in self.changes.items() if change in changes)


def is_rerun(name: str, other: str) -> bool:
    """Return whether `ftgen rerun` made the name `other` from `name`."""
    return bool(re.fullmatch(re.escape(name) + r"-r\d+", other))


def under_name(run: Run, name: str) -> Run:
    """Return the run with its object renamed to `name`, in its paths and in its content.

    A job's name ends in a hash of its content, so no other text of a manifest can be mistaken for it.
    """
    files = {
        path.replace(run.name, name): content.replace(run.name.encode(), name.encode())
        for path, content in run.files.items()
    }
    return replace(run, name=name, files=files)


_HASHED = re.compile(rb"(?<![-a-z0-9])[a-z][-a-z0-9]*-[0-9a-f]{8}(?![-a-z0-9])")
"""Name of a job, or of its file without the ending."""


def _with_names(content: bytes, names: Mapping[str, str]) -> bytes:
    """Return the text of a sweep's index with the names that its jobs have in the tree."""

    def named(found: re.Match[bytes]) -> bytes:
        word = found[0].decode()
        name = word if word in names else word.removeprefix("job-")
        return word.replace(name, names.get(name, name)).encode()

    return _HASHED.sub(named, content) if names else content


def plan_runs(store: Store, lock: Lock, runs: Iterable[Run], options: WriteOptions) -> Outcome:
    """Plan the change of every file, and stage new content on the store as the runs stream by.

    Raises:
        Rejected: every problem of every run, once all have been seen.
    """
    draft = _Draft(store, lock, options)
    if not lock.files and not lock.runs and not options.adopt and not store.is_bare():
        raise Rejected([_no_index(store)])
    for run in runs:
        draft.add(run)
    return draft.finish()


def runs_to_write(store: Store, lock: Lock, runs: Iterable[Run], options: WriteOptions) -> Iterator[Run]:
    """Yield the runs under the names that a write would use: assigned names are kept, ended runs are left out."""
    draft = _Draft(store, lock, options)
    for rendered in runs:
        run = draft.with_assigned_name(rendered)
        if not draft.is_ended(run):
            described = {path: Entry("", object_of(text), run.identity, run.name) for path, text in run.files.items()}
            draft.files.update(described)
            yield run


def plan_files(store: Store, lock: Lock, contents: Mapping[str, bytes], *, overwrite: bool) -> Outcome:
    """Plan the change of files that belong to no run, and stage them: an export, a Dockerfile, a schema.

    No index records whether such a file was edited, so an existing file with other content stays unless `overwrite`.

    Raises:
        Rejected: every problem of every file.
    """
    problems = [d for path, content in contents.items() if (d := _file_problem(store, lock, path, content, overwrite))]
    if problems:
        raise Rejected(problems)
    changes: dict[str, FileChange] = {}
    given_up: dict[str, str] = {}
    for path, content in contents.items():
        current = store.read(path)
        if current == content:
            changes[path] = FileChange.UNCHANGED
            continue
        changes[path] = FileChange.ADDED if current is None else FileChange.CHANGED
        given_up |= {} if current is None else {path: sha256(current)}
        store.stage(path, content)
    return Outcome(lock, changes, given_up=given_up)


def _file_problem(store: Store, lock: Lock, path: str, content: bytes, overwrite: bool) -> Diagnostic | None:
    """Return why the file of no run may not be written."""
    if unsafe := _unsafe(store, path):
        return unsafe
    if not store.has(path) or store.holds(path, content):
        return None
    if path in lock.files:
        headline = f"{path} belongs to {lock.files[path].run}, which was rendered into {store.describe()}"
        return error("FT504", headline, path, help="choose another folder with -o")
    how = "move it away, choose another folder with -o, or add --overwrite to replace it"
    headline = f"{path} is in {store.describe()} with another content"
    return None if overwrite else error("FT502", headline, path, help=how)


def new_file_problem(store: Store, owned: Mapping[str, Entry], path: str, content: bytes) -> Diagnostic | None:
    """Return why a file that the tree does not have yet may not be written at `path`: what is there is never replaced.

    A foreign file with the very bytes is taken over.
    """
    if unsafe := _unsafe(store, path):
        return unsafe
    if not store.has(path):
        return None
    if path in owned:
        headline = f"{path} belongs to {owned[path].name or owned[path].run}, and is to be written for another run"
        return error("FT504", headline, path, help="restore ftgen.lock from version control if it was edited")
    how = "move it away, and run the same command again"
    headline = f"{path} exists and was not written by ftgen"
    return None if store.holds(path, content) else error("FT502", headline, path, help=how)


def _unsafe(store: Store, path: str) -> Diagnostic | None:
    """Return why nothing may be written at `path`, whatever it holds now."""
    if reason := path_problem(path):
        how = "give the run, or the object, another name"
        return error("FT501", f"{path!r} cannot be written: {reason}", path, help=how)
    return store.problem(path)


def _no_index(store: Store) -> Diagnostic:
    how = "choose another folder with -o (or --path), or add --adopt to render among the files that are there"
    return error("FT502", f"{store.describe()} is not empty and has no ftgen.lock", store.describe(), help=how)


class _Draft:
    """Builder of an `Outcome`; holds digests, never contents.

    Attributes:
        owned: run identity to the paths of the old index.
        seen: identity to name of each run that this render has added.
        succeeding: identities of the runs whose earlier files are still to be removed or orphaned.
        ended_runs: rendered runs that have ended, by the state of their files; None where the files are removed.
        unrendered: old entries that this render orphans.
        names: see `Outcome.names`.
    """

    def __init__(self, store: Store, old: Lock, options: WriteOptions) -> None:
        """Start from an index, without runs."""
        self.store, self.old, self.options = store, old, options
        self.files, self.assigned, self.judged = dict(old.files), dict(old.runs), dict(old.judged)
        self.changes: dict[str, FileChange] = {}
        self.owned: dict[str, list[str]] = {}
        for path, entry in old.files.items():
            self.owned.setdefault(entry.run, []).append(path)
        self.seen: dict[str, str] = {}
        self.succeeding: list[str] = []
        self.problems: list[Diagnostic] = []
        self.adopted: list[str] = []
        self.given_up: dict[str, str] = {}
        self.renamed: list[tuple[str, str, str]] = []
        self.ended_runs: dict[State | None, list[Run]] = defaultdict(list)
        self.unrendered: list[Entry] = []
        self.names: dict[str, str] = {}

    # one run

    def add(self, run: Run) -> None:
        if run.identity in self.seen:
            self._clash(run.identity, f"two rendered runs are both {run.identity}")
            return
        if run.of_tree:
            # Its files are made of the index as the runs before leave it.
            self._retire_predecessors()
        run = self.with_assigned_name(run)
        self.seen[run.identity] = run.name
        if self.is_ended(run):
            self._keep(run)
        elif archived := self._unowned_archived(run):
            self._adopt_archived(run, *archived)
        elif self._may_replace_run(run):
            self._note_succession(run)
            self.assigned[run.identity] = self._assign(run)
            if run.judged:
                self.judged[run.identity] = run.judged
            for path, content in run.files.items():
                self._place(run, path, content)

    def with_assigned_name(self, run: Run) -> Run:
        """Return the run under its assigned name, if it is still the run that the name was assigned to.

        A sweep's index, which comes after the jobs, names them so as well, and what delivers them covers the tree.
        """
        if run.of_tree:
            return replace(run, files=run.of_tree(self.files, self.store.read), of_tree=None)
        if run.identity == f"{run.folder}/*":
            return replace(run, files={path: _with_names(text, self.names) for path, text in run.files.items()})
        assigned = self.old.runs.get(run.identity)
        if assigned is None or not run.name or not assigned.name or assigned.name == run.name:
            return run
        candidate = under_name(run, assigned.name)
        if not (is_rerun(run.name, assigned.name) or self._is_same_run(candidate)):
            return run
        self.names[run.name] = assigned.name
        return candidate

    def _is_same_run(self, candidate: Run) -> bool:
        for path in self._files_of(candidate):
            old = self.store.read(path) if is_job(self.old.files[path].object) else None
            if old is not None and path in candidate.files:
                return self.options.same_run(old, candidate.files[path])
        return False

    def _files_of(self, run: Run) -> list[str]:
        return [path for path in self.owned.get(run.identity, []) if self.old.files[path].name == run.name]

    def is_ended(self, run: Run) -> bool:
        ended = {State.ARCHIVED, State.STOPPING}
        return run.name in self.old.ended or any(self.old.files[path].state in ended for path in self._files_of(run))

    def _keep(self, run: Run) -> None:
        for path in self._files_of(run):
            # Another run may render a claim or scripts of the ended one.
            if self.changes.get(path) not in _RENDERED:
                self.changes[path] = FileChange.KEPT
        states = [self.old.files[path].state for path in self._files_of(run)]
        self.ended_runs[next((state for state in states if state in _ENDED), None)].append(run)

    def _unowned_archived(self, run: Run) -> tuple[str, bytes] | None:
        """Return path and content of an archived job that no index names, and that this write may adopt."""
        path = next(filter(is_job_file, run.files), "") if self.options.adopt else ""
        content = self.store.read(path) if path and path not in self.old.files else None
        return (path, content) if content is not None and is_archived(content) else None

    def _adopt_archived(self, run: Run, path: str, content: bytes) -> None:
        """Adopt an archived run with its tombstone, and what is there of its claims and scripts."""
        self.files[path] = Entry(*_described(content), run.identity, run.name, State.ARCHIVED)
        self.assigned[run.identity] = self._assign(run)
        self.changes[path] = FileChange.KEPT
        self.ended_runs[State.ARCHIVED].append(run)
        for other, text in run.files.items():
            if other != path and self.store.has(other):
                self._place(run, other, text)

    def _assign(self, run: Run) -> AssignedName:
        assigned = self.old.runs.get(run.identity)
        return assigned if assigned and assigned.name == run.name else AssignedName(run.name, HASH_VERSION)

    def _may_replace_run(self, run: Run) -> bool:
        assigned = self.old.runs.get(run.identity)
        if (
            self.options.on_immutable_change is not OnImmutableChange.REFUSE
            or not assigned
            or assigned.name == run.name
        ):
            return True
        live = [path for path in self._live(run.identity) if self.old.files[path].name == assigned.name]
        if not live:
            return True
        self.changes |= dict.fromkeys(live, FileChange.KEPT)
        self.problems.append(_immutable(run, assigned.name))
        return False

    def _live(self, identity: str) -> list[str]:
        """Return the files of a run that are neither archived nor stopping."""
        return [path for path in self.owned.get(identity, []) if self.old.files[path].state in _ALIVE]

    def _note_succession(self, run: Run) -> None:
        assigned = self.old.runs.get(run.identity)
        if assigned and assigned.name != run.name:
            self.renamed.append((run.identity, assigned.name, run.name))
        self.succeeding.append(run.identity)

    def _retire_predecessors(self) -> None:
        """Remove or orphan what the runs so far do not render any more, and no other run does.

        A claim that one point gives up may be another's from now on, whichever of them comes first.
        """
        for identity in self.succeeding:
            for path in self._live(identity):
                # A sweep's index has the identity `<folder>/*`, as shared objects have: it replaces none of them.
                if path in self.changes or (identity == shared_by(path) and self.old.files[path].object):
                    continue
                if self.options.on_immutable_change is OnImmutableChange.REPLACE:
                    self._remove(path)
                else:
                    self._orphan(path)
        self.succeeding.clear()

    def _remove(self, path: str) -> None:
        current = self.store.read(path)
        if current is None:
            self._forget(path, FileChange.MISSING)
        elif (digest := sha256(current)) == self.old.files[path].sha256:
            self._forget(path, FileChange.REMOVED)
        elif self.options.overwrite:
            self.given_up[path] = digest
            self._forget(path, FileChange.REMOVED)
        else:
            self.problems.append(_edited(path, current, b""))

    def _forget(self, path: str, change: FileChange) -> None:
        self.changes[path] = change
        self.files.pop(path, None)

    def _orphan(self, path: str) -> None:
        self.changes[path] = FileChange.ORPHANED
        self.files[path] = replace(self.old.files[path], state=State.ORPHANED)

    # one file

    def _place(self, run: Run, path: str, content: bytes) -> None:
        if unsafe := _unsafe(self.store, path):
            self.problems.append(unsafe)
            return
        current = content if self.store.holds(path, content) else self.store.read(path)
        if current != content:
            content = commit.with_commit(content, current, self.options.source)
        entry = Entry(*_described(content), run.identity, run.name)
        if path in self.changes and self.changes[path] in _RENDERED:
            self._share(run, path, entry)
        else:
            self._put(path, entry, content, current)

    def _share(self, run: Run, path: str, entry: Entry) -> None:
        first = self.files[path]
        if first.sha256 != entry.sha256 or is_job(entry.object):
            self._clash(path, f"{path} is rendered by both {first.run} and {run.identity}", entry.object)
        self.files[path] = replace(entry, run=shared_by(path))

    def _put(self, path: str, entry: Entry, content: bytes, current: bytes | None) -> None:
        owner = self.old.files.get(path)
        if current == content:
            self._own(path, entry, FileChange.UNCHANGED)
            return
        if current is not None and not self._may_replace(path, owner, entry, current, content):
            self.changes[path] = FileChange.KEPT
            return
        self._own(path, entry, FileChange.ADDED if current is None else FileChange.CHANGED)
        self.store.stage(path, content)

    def _own(self, path: str, entry: Entry, change: FileChange) -> None:
        owner = self.old.files.get(path)
        shared = owner is not None and owner.run != entry.run and not is_job(entry.object)
        self.files[path] = replace(entry, run=shared_by(path)) if shared else entry
        self.changes[path] = change

    def _may_replace(self, path: str, owner: Entry | None, entry: Entry, current: bytes, content: bytes) -> bool:
        if owner is None:
            return self._may_adopt(path, sha256(current), _foreign(path), allowed=self.options.adopt)
        if owner.sha256 != (digest := sha256(current)):
            return self._may_adopt(path, digest, _edited(path, current, content), allowed=self.options.overwrite)
        if not self._is_owned_by_run(owner, entry, path):
            headline = f"{path} belongs to {owner.run}, and {entry.run} wants other content there"
            self._clash(path, headline, entry.object)
            return False
        if is_claim(entry.object) and not (self.options.overwrite or self.options.same_run(current, content)):
            self.problems.append(
                _changed_claim(path, entry, refused=self.options.on_immutable_change is OnImmutableChange.REFUSE)
            )
        return True

    def _may_adopt(self, path: str, digest: str, problem: Diagnostic, *, allowed: bool) -> bool:
        if allowed:
            self.adopted.append(path)
            self.given_up[path] = digest
        else:
            self.problems.append(problem)
        return allowed

    def _is_owned_by_run(self, owner: Entry, entry: Entry, path: str) -> bool:
        if owner.run in {entry.run, shared_by(path)}:
            return True
        # A job whose run is called otherwise now; its run cannot render it, too, or they would share it.
        return is_job(entry.object) and owner.object == entry.object and owner.state in _ALIVE

    def _clash(self, subject: str, headline: str, wanted: str = "") -> None:
        how = _OTHER_CLAIM if is_claim(wanted) else _OTHER_NAME
        self.problems.append(error("FT504", headline, subject, help=how))

    # the whole

    def finish(self) -> Outcome:
        self._retire_predecessors()
        self._remove_scripts()
        self._orphan_unrendered()
        self._forget_missing()
        self.problems += [
            *_ended_notes(self.ended_runs),
            *_orphaned(self.unrendered),
            *self._duplicates(),
            *self._shrinkage(),
        ]
        if any(problem.severity is Severity.ERROR for problem in self.problems):
            raise Rejected(self.problems)
        lock = Lock(self.files, self.assigned, self.old.ended, self.judged)
        changes = dict(sorted(self.changes.items()))
        return Outcome(
            lock, changes, tuple(self.adopted), tuple(self.renamed), tuple(self.problems), self.names, self.given_up
        )

    def _remove_scripts(self) -> None:
        """Remove shared scripts that no run names any more; a published tree keeps them for `gc` to list.

        Each rendered run lists its scripts among its files, so only the jobs that this render does not write are read.
        """
        if self.options.on_immutable_change is not OnImmutableChange.REPLACE:
            return
        idle = [path for path, e in self.old.files.items() if is_scripts(e.object) and path not in self.changes]
        for path in idle:
            name = self.old.files[path].object.rpartition("/")[2].encode()
            others = [other for other, e in self.files.items() if names_others(e) and self._is_unrendered(path, other)]
            if not any(name in (self.store.read(other) or b"") for other in others):
                self._remove(path)

    def _is_unrendered(self, path: str, other: str) -> bool:
        """Return whether `other` lies in the same folder and this render does not write it."""
        return _folder_of(path) == _folder_of(other) and self.changes.get(other) not in _RENDERED

    def _orphan_unrendered(self) -> None:
        for path, entry in self.old.files.items():
            if path in self.changes or entry.state is not State.ACTIVE:
                continue
            if _folder_of(path) in self.options.whole and entry.run not in self.seen:
                self._orphan(path)
                self.unrendered.append(entry)

    def _forget_missing(self) -> None:
        for path in self.old.files:
            if self.changes.get(path) in {None, FileChange.ORPHANED} and not self.store.has(path):
                self._forget(path, FileChange.MISSING)

    def _duplicates(self) -> list[Diagnostic]:
        first: dict[str, str] = {}
        found = []
        for path, entry in sorted(self.files.items()):
            other = first.setdefault(entry.object, path) if entry.object else path
            if self.files[other].sha256 != entry.sha256 and not entry.object.endswith("/"):
                found.append(_duplicate(entry, other, path))
        return found

    def _shrinkage(self) -> list[Diagnostic]:
        whole = [entry for path, entry in self.old.files.items() if _folder_of(path) in self.options.whole]
        # Scripts come and go with the runs that share them.
        active = sum(entry.state is State.ACTIVE and not is_scripts(entry.object) for entry in whole)
        if self.options.allow_shrink or len(self.unrendered) <= active / 2:
            return []
        return [_shrunk(len(self.unrendered), active, warning if self.options.tentative else error)]


_RENDERED = {FileChange.ADDED, FileChange.CHANGED, FileChange.UNCHANGED}
_ALIVE = {State.ACTIVE, State.ORPHANED}


def _folder_of(path: str) -> str:
    return path.partition("/")[0]


def shared_by(path: str) -> str:
    """Return the identity of a file that several runs of its folder share."""
    return f"{_folder_of(path)}/*"


def sha256(content: bytes) -> str:
    """Return the digest of a file in hex, as the index records it."""
    return hashlib.sha256(content).hexdigest()


# The jobs of a folder share files, such as claims and scripts.
@lru_cache(maxsize=8)
def _described(content: bytes) -> tuple[str, str]:
    """Return the digest of a file, and what `object_of` says of it."""
    return sha256(content), object_of(content)


def _immutable(run: Run, assigned: str) -> Diagnostic:
    headline = f"{run.identity} was published as {assigned}, and a field that Volcano holds immutable has changed"
    how = f"--new-run adds {run.name} and leaves {assigned} as it is; or undo the change (`ftgen diff` shows it)"
    return error("FT506", headline, run.identity, run.name, help=how)


def _changed_claim(path: str, entry: Entry, *, refused: bool) -> Diagnostic:
    """Refuse the change where files are published and so may be applied already; else warn."""
    claim = entry.object.rpartition("/")[2]
    headline = f"the claim {claim} would shrink, or change its class, modes or volume: where it exists, that is refused"
    how = "name another claim, or delete the claim from the cluster and add --overwrite; `ftgen diff` shows the change"
    return (error if refused else warning)("FT513", headline, path, help=how)


def _foreign(path: str) -> Diagnostic:
    how = "move it away, render under another name, or add --adopt to replace it (--overwrite is for hand edits)"
    return error("FT502", f"{path} exists and was not written by ftgen", path, help=how)


def _edited(path: str, current: bytes, content: bytes) -> Diagnostic:
    how = "put the change into the configuration or an overlay; --overwrite gives the file up for the rendered one:"
    return error("FT503", f"{path} was edited by hand", path, help=f"{how}\n{_text_diff(path, current, content)}")


def _text_diff(path: str, current: bytes, content: bytes) -> str:
    if len(current) > _DIFF_BYTES:
        return f"{path} holds more than a diff can show"
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (current, content))
    lines = list(difflib.unified_diff(old, new, f"{path} (edited)", f"{path} (rendered)", "", "", 1, ""))
    more = [f"… and {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return "\n".join([*lines[:_DIFF_LINES], *more])


def _orphaned(entries: Sequence[Entry]) -> Iterator[Diagnostic]:
    if entries:
        first = entries[0].name or entries[0].run
        headline = (
            f"no longer rendered, and left as they are: {_listed([entry.name or entry.run for entry in entries])}"
        )
        how = f"`ftgen stop {first}` ends a run, `ftgen archive {first}` keeps it from being created again"
        yield warning("FT511", headline, entries[0].run, help=how)


def _ended_notes(ended: Mapping[State | None, Sequence[Run]]) -> Iterator[Diagnostic]:
    """Yield one note for each way in which rendered runs have ended."""
    for state, runs in ended.items():
        was, how = _ENDED[state]
        names = [run.name or run.identity for run in runs]
        yield note(
            "FT512", f"{was}, and left as they are: {_listed(names)}", runs[0].identity, help=how.format(names[0])
        )


_ENDED = {
    State.ARCHIVED: ("archived", "`ftgen rerun {0}` trains it again under a new name"),
    State.STOPPING: ("being stopped", "`ftgen stop {0}` finishes that"),
    None: ("ended, their files removed", "`ftgen rerun {0}` with the same overrides trains it again under a new name"),
}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _duplicate(entry: Entry, first: str, second: str) -> Diagnostic:
    headline = f"{first} and {second} both hold {entry.object}, with different content"
    how = "a reconciler would apply one over the other; keep one, or give one another name"
    report = error if is_job(entry.object) else warning
    return report("FT507", headline, second, help=how)


def _shrunk(retired: int, active: int, report: Callable[..., Diagnostic]) -> Diagnostic:
    headline = f"{retired} of {active} owned files would no longer be rendered"
    return report("FT505", headline, help="--allow-shrink says that this is meant")
