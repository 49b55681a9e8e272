"""The life of a committed run after its first commit: archived, stopped, run again.

Nothing here kills a training by surprise.  Reconcilers read their guards from the live object, so removing a
file stops nothing until a commit before it has taken the guards away; and a finished run gets a tombstone
(`argocd.argoproj.io/hook: Skip`, Flux's `ssa: Ignore`), which keeps it from being created again once its
object is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from ftgen import schema, yamlio
from ftgen.diagnostics import Rejected, error
from ftgen.gitops.address import Target
from ftgen.gitops.annotations import TOMBSTONE, Annotations, annotated, revived, text_of, unguarded
from ftgen.gitops.branch import BranchStore
from ftgen.gitops.git import translate_git_errors
from ftgen.gitops.publish import TreeEdit
from ftgen.gitops.remote import destination
from ftgen.tree import (
    DELIVERY,
    AssignedName,
    Entry,
    FileChange,
    Lock,
    Outcome,
    Run,
    State,
    Store,
    object_of,
    under_name,
)
from ftgen.tree.lock import is_job, is_scripts
from ftgen.tree.plan import sha256
from ftgen.validation.manifest import read, version_of

_POD_NAME_LIMIT = 63
_SUBJECT = 50


def archiving(names: Sequence[str]) -> TreeEdit:
    """Mark runs as finished: their files stay, and reconcilers leave them alone for good.

    The work raises FT527 for a run that is unknown or being stopped.
    """

    def one(edit: _Edit, path: str, entry: Entry) -> None:
        if entry.state is State.STOPPING:
            raise _no(entry.name, "is being stopped", f"`ftgen stop {entry.name}` finishes that")
        if is_job(entry.object):
            edit.annotate(path, TOMBSTONE)
        edit.move(path, State.ARCHIVED)

    return _work("archive", names, one)


def stopping(names: Sequence[str]) -> TreeEdit:
    """Stop runs in two changes, one a call: the first takes the guards away, the second the files.

    Between the two, the reconciler must have synchronised the first: it reads the guards from the live
    object.  The file of an archived run goes at once: reconcilers have let go of its job, whose guard stays.
    Scripts that no other run names go with the last one.

    The work raises FT527 for an unknown run.
    """

    def one(edit: _Edit, path: str, entry: Entry) -> None:
        over = entry.state in {State.STOPPING, State.ARCHIVED}
        if over and is_job(entry.object):
            edit.remove(path, FileChange.PURGED if entry.state is State.ARCHIVED else FileChange.REMOVED)
        elif over:
            edit.move(path, State.ORPHANED)
        else:
            if is_job(entry.object):
                edit.annotate(path, unguarded(edit.content(path)))
            edit.move(path, State.STOPPING)

    return _work("stop", names, one, last=_Edit.retire_scripts)


def rerunning(names: Sequence[str], runs: Iterable[Run] = ()) -> TreeEdit:
    """Train committed runs again, as new objects called `<name>-r2`, `-r3` and so on.

    A run whose files were removed is taken from `runs`, where it is rendered there.

    The work raises FT527 for a run that is unknown, being stopped, or whose name has no room for the suffix.
    """

    def one(edit: _Edit, path: str, entry: Entry) -> None:
        if entry.state is State.STOPPING:
            raise _no(entry.name, "is being stopped", f"`ftgen stop {entry.name}` finishes that")
        edit.repeat(path, entry)

    return _work("rerun", names, one, {key: run for run in runs for key in (run.name, run.identity)})


@dataclass(frozen=True, slots=True)
class UnusedFile:
    """A committed file that no active run needs.

    Attributes:
        path: below the target's folder.
        object: see `Entry.object`.
        why: in words.
        state: see `State`.
    """

    path: str
    object: str
    why: str
    state: State


def gc(target: Target, *, push: bool = False) -> list[UnusedFile]:
    """The `unused_files` of a branch.

    Raises:
        Rejected: FT5xx, where it cannot be read.
    """
    with translate_git_errors(), destination(target, push=push) as place:
        store = BranchStore(place.git, place.tip(target.branch), target.path, target.shown)
        with closing(store):
            return list(unused_files(store, store.lock()))


def unused_files(store: Store, lock: Lock) -> Iterator[UnusedFile]:
    """What nothing refers to: orphaned and archived runs, and claims and the like no live job names.

    Only lists; `stop` removes.
    """
    jobs = {path: entry.state for path, entry in sorted(lock.files.items()) if is_job(entry.object)}
    living = {path for path, state in jobs.items() if state is not State.ARCHIVED}
    folders = {path.partition("/")[0] for path in living}
    texts = {path: store.read(path) or b"" for path in jobs}
    live = [texts[path] for path in living]
    for path, entry in sorted(lock.files.items()):
        if is_job(entry.object) and entry.state is not State.ACTIVE:
            yield UnusedFile(path, entry.object, f"its run is {entry.state}", entry.state)
        elif path.startswith(f"{DELIVERY}/"):
            if entry.name.rpartition("application/")[2] not in folders and not (folders and "project/" in entry.name):
                yield UnusedFile(path, entry.object, "no live job is left for it to bring", entry.state)
        elif not entry.object:
            if path.partition("/")[0] not in folders:
                yield UnusedFile(path, entry.object, "no live job is left in its folder", entry.state)
        elif is_scripts(entry.object):
            # An archived run names its scripts for as long as its file is there.
            if not _is_named(entry.object, texts.values()):
                yield UnusedFile(path, entry.object, "no run names it", entry.state)
        elif not is_job(entry.object) and not _is_named(entry.object, live):
            yield UnusedFile(path, entry.object, "no live job names it", entry.state)


def _is_named(described: str, jobs: Iterable[bytes]) -> bool:
    name = described.rpartition("/")[2].encode()
    return any(re.search(rb"(?<![\w.-])%b(?![\w.-])" % re.escape(name), job) for job in jobs)


# editing a committed tree


def _work(
    verb: str,
    names: Sequence[str],
    one: Callable[[_Edit, str, Entry], None],
    rendered: Mapping[str, Run] = MappingProxyType({}),
    last: Callable[[_Edit], None] | None = None,
) -> TreeEdit:
    def work(store: Store, lock: Lock) -> tuple[Outcome, str]:
        edit = _Edit(store, lock, dict(lock.files), dict(lock.runs), set(lock.ended), {})
        for name in names:
            fresh = rendered.get(_first(name))
            if fresh is not None and not _owned(lock, name):
                edit.renew(fresh)
            else:
                for path, entry in _files_of(lock, name):
                    one(edit, path, entry)
        if last:
            last(edit)
        return edit.outcome(), f"ftgen: {verb} {_shortened(names)}"

    return work


def _shortened(names: Sequence[str]) -> str:
    """As many names as a subject has room for."""
    most = next((count for count in range(1, len(names)) if len(" ".join(names[:count])) > _SUBJECT), len(names))
    return " ".join(names[:most]) + (f" and {len(names) - most} more" if most < len(names) else "")


def _first(name: str) -> str:
    """The name before any suffix of a re-run."""
    return re.sub(r"-r[0-9]+$", "", name)


def _files_of(lock: Lock, name: str) -> list[tuple[str, Entry]]:
    """The files of a run; there must be some."""
    found = _owned(lock, name)
    if found:
        return found
    if _first(name) in lock.ended or name in lock.ended:
        raise _no(name, "was stopped, and its file is gone", f"`ftgen rerun {name} OVERRIDES` renders it again")
    known = sorted({entry.name for entry in lock.files.values() if is_job(entry.object)})
    how = (
        f"one of: {', '.join(known[:20])}" if known else "nothing is published there; check --branch and --path, or -o"
    )
    raise _no(name, "is no committed run", how)


def _owned(lock: Lock, name: str) -> list[tuple[str, Entry]]:
    """The files of a run, told by its object's name, its identity or its file's path; `sweep/*` tells many."""
    if re.search(r"[*?[]", name):
        return [(path, entry) for path, entry in _runs(lock) if fnmatchcase(entry.run, name) or fnmatchcase(path, name)]
    owner = lock.files[name].name if name in lock.files else name
    assigned = lock.runs.get(name)
    owner = assigned.name if assigned else owner
    return [(path, entry) for path, entry in _runs(lock) if entry.name == owner]


def _runs(lock: Lock) -> list[tuple[str, Entry]]:
    """The files that belong to one run alone."""
    shared = ("/*", f"{DELIVERY}/")
    return [(path, entry) for path, entry in lock.files.items() if not any(part in entry.run for part in shared)]


def _no(name: str, why: str, how: str) -> Rejected:
    return Rejected([error("FT527", f"{name} {why}", name, help=how)])


@dataclass(slots=True)
class _Edit:
    """Changes to a committed tree, and to its index, in step."""

    store: Store
    old: Lock
    files: dict[str, Entry]
    runs: dict[str, AssignedName]
    ended: set[str]
    changes: dict[str, FileChange]

    def content(self, path: str) -> bytes:
        """The committed bytes, which must be those that ftgen wrote."""
        there = self.store.read(path)
        if there is None or sha256(there) != self.old.files[path].sha256:
            how = "undo the edit, or publish the run with --overwrite first"
            raise Rejected([error("FT503", f"{path} was edited by hand", path, help=how)])
        return there

    def put(self, path: str, content: bytes, entry: Entry) -> None:
        self.changes[path] = FileChange.CHANGED if self.store.has(path) else FileChange.ADDED
        self.store.stage(path, content)
        self.files[path] = replace(entry, sha256=sha256(content), object=object_of(content))

    def annotate(self, path: str, annotations: Annotations) -> None:
        old = self.content(path)
        new = annotated(old, annotations)
        if new != old:
            self.put(path, new, self.files[path])

    def move(self, path: str, state: State) -> None:
        self.files[path] = replace(self.files[path], state=state)

    def remove(self, path: str, change: FileChange) -> None:
        self.content(path)
        self.ended.add(self.files.pop(path).name)
        self.changes[path] = change

    def retire_scripts(self) -> None:
        """Stop scripts with the last runs that name them: their guards go first, their files with the last job's."""
        touched = {path.partition("/")[0] for path, e in self.old.files.items() if self.files.get(path) != e}
        there = {path: e for path, e in self.files.items() if path.partition("/")[0] in touched}
        jobs = {path: e.state for path, e in there.items() if is_job(e.object)}
        texts = {path: self.store.read(path) or b"" for path in jobs}
        for path, entry in [(path, e) for path, e in there.items() if is_scripts(e.object)]:
            states = {jobs[job] for job, text in texts.items() if _is_named(entry.object, (text,))}
            if not states:
                self.content(path)
                del self.files[path]
                self.changes[path] = FileChange.REMOVED
            elif states == {State.STOPPING}:
                self.annotate(path, unguarded(self.content(path)))
                self.move(path, State.STOPPING)

    def repeat(self, path: str, entry: Entry) -> None:
        if not is_job(entry.object):
            return
        if not entry.name:
            raise _no(path, "is a job that the cluster names", "create it once more: `kubectl create -f FILE`")
        name = self._next(entry.name)
        again = under_name(Run("", entry.name, entry.run, {path: self.content(path)}), name)
        ((target, content),) = again.files.items()
        _refuse_long(name, content)
        self.put(target, annotated(content, revived(content)), replace(entry, name=name, state=State.ACTIVE))
        assigned = self.runs.get(entry.run, AssignedName(name))
        self.runs[entry.run] = replace(assigned, name=name)
        if entry.state is State.ACTIVE:
            self.move(path, State.ORPHANED)

    def renew(self, run: Run) -> None:
        """Commit a rendered run that is not there any more under its next name."""
        name = self._next(run.name)
        for path, content in under_name(run, name).files.items():
            _refuse_long(name, content)
            # A claim that other runs share is there already, and theirs.
            if not self.store.has(path):
                self.put(path, content, Entry("", "", run.identity, name))
        self.runs[run.identity] = AssignedName(name)

    def _next(self, name: str) -> str:
        base = _first(name)
        known = {*self.ended, *(entry.name for entry in self.files.values())}
        taken = [int(found[1]) for it in known if (found := re.fullmatch(re.escape(base) + r"-r([0-9]{1,9})", it))]
        return f"{base}-r{max(taken, default=1) + 1}"

    def outcome(self) -> Outcome:
        return Outcome(
            Lock(self.files, self.runs, frozenset(self.ended), self.old.judged), dict(sorted(self.changes.items()))
        )


def _refuse_long(name: str, content: bytes) -> None:
    """A pod is called `<job>-<task>-<index>`, and its name is a label of a host name."""
    for task in read(yamlio.parse(text_of(content), name), version_of(schema.DEFAULT)).tasks:
        length = len(f"{name}-{task.name}-{max(task.replicas - 1, 0)}")
        if length > _POD_NAME_LIMIT:
            why = f"would name pods of {length} characters, and {_POD_NAME_LIMIT} are allowed"
            raise _no(name, why, "publish the run under a shorter name")
