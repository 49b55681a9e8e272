"""Life of a committed run: archive it, stop it, run it again.

No change here stops a training unexpectedly.  Reconcilers read their guards from the live object, so removing a file
stops nothing unless an earlier commit has removed the guards.  A finished run gets a tombstone
(`argocd.argoproj.io/hook: Skip`, Flux's `ssa: Ignore`), so reconcilers do not create it again after its object is
deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from fnmatch import fnmatchcase
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Rejected, error, warning
from ftgen.output.tree import (
    DELIVERY,
    AssignedName,
    Entry,
    FileChange,
    Lock,
    Outcome,
    Run,
    State,
    Store,
    kind_of,
    object_of,
    under_name,
    with_commit_of,
)
from ftgen.output.tree.lock import SERVICES, is_claim, is_job, is_scripts, is_service, is_workload, names_others
from ftgen.output.tree.plan import new_file_problem, sha256, shared_by
from ftgen.remote.gitops.address import Target
from ftgen.remote.gitops.annotations import TOMBSTONE, Annotations, annotated, revived, text_of, unguarded
from ftgen.remote.gitops.branch import BranchStore
from ftgen.remote.gitops.git import translate_git_errors
from ftgen.remote.gitops.publish import TreeEdit
from ftgen.remote.gitops.remote import open_destination
from ftgen.schema.version import version_of
from ftgen.text import yamlio
from ftgen.validation.manifest import read_job

_POD_NAME_LIMIT = 63
_SUBJECT = 50
_LISTED = 20
_WORD = re.compile(rb"[\w.-]+")
_SERVICE = "service/"
_KEPT = ".gitkeep"
_WHY_KEPT = b"""\
Argo CD and Flux end what this folder held only as long as they find the folder.
Remove this file after them: first the Application or Kustomization, then this.
"""
_SERVES = re.compile(rb'ftgen\.dev/serves: \'\{"run": "([^"]*)"')


def archiving(names: Sequence[str]) -> TreeEdit:
    """Mark runs as finished: their files stay, and reconcilers ignore them from then on.

    The outcome warns of what still serves their results (FT536).  The edit raises FT527 for a run that is unknown or
    being stopped, and for a service.
    """

    def archive(edit: _Edit, path: str, entry: Entry) -> None:
        _refuse_service(entry)
        _refuse_stopping(entry)
        if is_job(entry.object):
            edit.annotate(path, TOMBSTONE)
        edit.set_state(path, State.ARCHIVED)

    return _tree_edit("archive", names, archive, finish=_Edit.note_services)


def stopping(names: Sequence[str]) -> TreeEdit:
    """Stop runs in two changes, one for each call: the first removes the guards, the second the files.

    The reconciler must synchronise the first change before the second, since it reads the guards from the live
    object.  The file of an archived run is removed at once: reconcilers ignore its job, whose guard stays.
    Scripts that no other run names are removed with the last run.  What serves a result is removed at once: nothing is
    lost that could not be created again.  A folder whose last file goes keeps a file that no reconciler reads.

    The edit raises FT527 for an unknown run.
    """

    def stop(edit: _Edit, path: str, entry: Entry) -> None:
        if is_service(entry):
            edit.remove_service(path)
            return
        unguarded_or_archived = entry.state in {State.STOPPING, State.ARCHIVED}
        if unguarded_or_archived and is_job(entry.object):
            edit.remove(path, FileChange.PURGED if entry.state is State.ARCHIVED else FileChange.REMOVED)
        elif unguarded_or_archived:
            edit.set_state(path, State.ORPHANED)
        else:
            if is_job(entry.object):
                edit.annotate(path, unguarded(edit.content(path)))
            edit.set_state(path, State.STOPPING)

    def finish(edit: _Edit) -> None:
        edit.stop_scripts()
        edit.keep_folders()

    return _tree_edit("stop", names, stop, finish=finish)


def rerunning(names: Sequence[str], runs: Iterable[Run] = ()) -> TreeEdit:
    """Train committed runs again, as new objects called `<name>-r2`, `-r3` and so on.

    A run whose files were removed is taken from `runs`, if it is among them.  Of several files of one run, which differ
    by the suffix, only the latest is run again.

    The edit raises FT527 for a run that is unknown, being stopped, or whose name has no room for the suffix, and for a
    committed run that `runs` lack or render otherwise: its copy would be what nobody asked for.
    """
    jobs = {run.identity: run for run in runs if run.name}

    def rerun(edit: _Edit, path: str, entry: Entry) -> None:
        _refuse_service(entry)
        _refuse_stopping(entry)
        if jobs:
            edit.refuse_other(path, entry, jobs.get(entry.run))
        edit.copy_under_next_name(path, entry)

    rendered = {key: run for run in jobs.values() for key in (run.name, run.identity)}
    return _tree_edit("rerun", names, rerun, rendered, choose=_latest)


class UnusedFile(Struct, frozen=True):
    """Committed file that no active run needs.

    Attributes:
        path: path below the target's folder.
        object: see `Entry.object`.
        why: reason in words.
        state: see `State`.
    """

    path: str
    object: str
    why: str
    state: State


@contextmanager
def open_tree(target: Target, *, push: bool = False) -> Iterator[tuple[Store, Lock]]:
    """Open the committed tree of a branch for reading: its files and its index.

    Raises:
        Rejected: FT5xx, when it cannot be read.
    """
    with translate_git_errors(), open_destination(target, push=push) as destination:
        store = BranchStore(destination.git, destination.tip(target.branch), target.path, target.shown)
        with closing(store):
            yield store, store.lock()


def unused_files(store: Store, lock: Lock) -> Iterator[UnusedFile]:
    """Yield orphaned, stopping and archived runs, and scripts, claims and other files that no run needs.

    This changes nothing; `stopping` removes runs.
    """
    jobs = {path: entry.state for path, entry in sorted(lock.files.items()) if names_others(entry)}
    live = {path for path, state in jobs.items() if state is not State.ARCHIVED}
    folders = {_folder(path) for path in live}
    live_words, words = set[bytes](), set[bytes]()
    for path in jobs:
        found = _words(store.read(path) or b"")
        words |= found
        live_words |= found if path in live else set()
    volumes = _volume_words(store, lock, live_words)
    for path, entry in sorted(lock.files.items()):
        if is_service(entry):
            continue
        if is_job(entry.object) and entry.state is not State.ACTIVE:
            yield UnusedFile(path, entry.object, f"its run is {entry.state}", entry.state)
        elif path.startswith(f"{DELIVERY}/"):
            if entry.name.rpartition("application/")[2] not in folders and not (folders and "project/" in entry.name):
                yield UnusedFile(path, entry.object, "no live job is left for it to bring", entry.state)
        elif not entry.object:
            if _folder(path) not in folders:
                yield UnusedFile(path, entry.object, "no live job is left in its folder", entry.state)
        elif is_scripts(entry.object):
            # The file of an archived run still names its scripts.
            if _name_of(entry) not in words:
                yield UnusedFile(path, entry.object, "no run names it", entry.state)
        elif not is_job(entry.object) and _name_of(entry) not in (volumes if _is_volume(entry) else live_words):
            yield UnusedFile(path, entry.object, "no live job names it", entry.state)


def _volume_words(store: Store, lock: Lock, live_words: set[bytes]) -> set[bytes]:
    """Return what the claims of live jobs name: a pod names a claim, and only the claim its volume."""
    if not any(map(_is_volume, lock.files.values())):
        return set()
    claims = [path for path, e in lock.files.items() if is_claim(e.object) and _name_of(e) in live_words]
    return {word for path in claims for word in _words(store.read(path) or b"")}


def _is_volume(entry: Entry) -> bool:
    return kind_of(entry.object) == "PersistentVolume"


def _name_of(entry: Entry) -> bytes:
    return entry.object.rpartition("/")[2].encode("utf-8", "replace")


def _words(manifest: bytes) -> set[bytes]:
    """Return what a manifest may name: a claim, its volume, or scripts."""
    return set(_WORD.findall(manifest))


# editing a committed tree


_Files = dict[str, Entry]


def _latest(lock: Lock, selected: _Files) -> _Files:
    """Return one job's file of each run: the one under its assigned name, if that is selected."""
    found: dict[str, str] = {}
    for path, entry in selected.items():
        assigned = lock.runs.get(entry.run)
        if is_job(entry.object) and (entry.run not in found or (assigned and assigned.name == entry.name)):
            found[entry.run] = path
    return {path: entry for path, entry in selected.items() if found.get(entry.run, path) == path}


def _tree_edit(
    verb: str,
    names: Sequence[str],
    edit_file: Callable[[_Edit, str, Entry], None],
    rendered: Mapping[str, Run] = MappingProxyType({}),
    *,
    finish: Callable[[_Edit], None] | None = None,
    choose: Callable[[Lock, _Files], _Files] = lambda _, selected: selected,
) -> TreeEdit:
    def apply(store: Store, lock: Lock) -> tuple[Outcome, str]:
        edit = _Edit(store, lock, dict(lock.files), dict(lock.runs), set(lock.ended), {})
        fresh, selected = dict[str, Run](), _Files()
        for name in names:
            run = rendered.get(name) or rendered.get(_base_name(name))
            if run is not None and not _find_files(lock, name):
                fresh[run.identity] = run
            else:
                selected.update(_files_of(lock, name))
        for run in fresh.values():
            edit.add_under_next_name(run)
        for path, entry in choose(lock, selected).items():
            edit_file(edit, path, entry)
        if finish:
            finish(edit)
        return edit.outcome(), f"ftgen: {verb} {_shortened(names)}"

    return apply


def _shortened(names: Sequence[str]) -> str:
    """Return as many names as fit into a commit's subject."""
    shown = next((count for count in range(1, len(names)) if len(" ".join(names[:count])) > _SUBJECT), len(names))
    return " ".join(names[:shown]) + (f" and {len(names) - shown} more" if shown < len(names) else "")


def _base_name(name: str) -> str:
    """Return the name without the suffix of a re-run, which comes after a hash: a label may end in `-r16`, too."""
    return re.sub(r"(?<=-[0-9a-f]{8})-r[0-9]+$", "", name)


def file_of(lock: Lock, name: str) -> str:
    """Return the path of the one job or workload that `name` selects as in `archiving`; refuse several (FT527)."""
    found = [path for path, entry in _files_of(lock, name) if is_workload(entry.object)]
    if len(found) != 1:
        raise _rejected(name, f"selects {len(found)} runs", f"one of: {_listed(found)}")
    return found[0]


def _files_of(lock: Lock, name: str) -> list[tuple[str, Entry]]:
    """Return the files of the runs that `name` selects; refuse a name that selects none (FT527)."""
    found = _find_files(lock, name)
    if found:
        return found
    assigned = lock.runs.get(name)
    if {name, _base_name(name), assigned.name if assigned else name} & lock.ended:
        raise _rejected(name, "was stopped, and its file is gone", f"`ftgen rerun {name} OVERRIDES` renders it again")
    names = {entry.name or entry.run for entry in lock.files.values() if is_job(entry.object)}
    nothing = "nothing is committed there; check --repo, --branch and --path, or -o"
    raise _rejected(name, "is no committed run", f"one of: {_listed(sorted(names))}" if names else nothing)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _find_files(lock: Lock, name: str) -> list[tuple[str, Entry]]:
    """Return the files of a run by its object's name, its identity, a file's path, or its label if no other has it.

    `sweep/*` selects many runs, and `service/NAME` what serves a result, which may have the name of a run.
    """
    entry, assigned = lock.files.get(name), lock.runs.get(name)
    if entry and not names_others(entry) and _folder(name) != DELIVERY:
        runs = sorted({e.run for path, e in lock.files.items() if is_job(e.object) and _folder(path) == _folder(name)})
        how = f"name one of: {_listed(runs)}" if runs else "remove it from git yourself, as `ftgen gc` says"
        raise _rejected(name, "is no job's file, and runs may share it", how)
    if entry or name.startswith(_SERVICE):
        identity = entry.run if entry else f"{SERVICES}{name.removeprefix(_SERVICE)}"
        services = [(path, e) for path, e in lock.files.items() if is_service(e) and fnmatchcase(e.run, identity)]
        # A sweep may be called "service", too.
        if services:
            return services
    files = _unshared_files(lock)
    if re.search(r"[*?[]", name):
        return [(path, e) for path, e in files if fnmatchcase(e.run, name) or fnmatchcase(path, name)]
    job = assigned.name if assigned else entry.name if entry else name
    identity = name if assigned else entry.run if entry else ""
    # A job whose name the API server generates is known by its identity alone.
    found = [(path, e) for path, e in files if (e.name == job if job else e.run == identity)]
    return found or _with_label(lock, files, name)


def _with_label(lock: Lock, files: list[tuple[str, Entry]], label: str) -> list[tuple[str, Entry]]:
    """Return the files of the run with a label, under its latest name; refuse a label of several sweeps (FT527)."""
    runs = sorted({entry.run for _, entry in files if entry.run.endswith(f"/{label}")})
    if len(runs) > 1:
        raise _rejected(label, "is the label of several runs", f"one of: {_listed(runs)}")
    return _find_files(lock, runs[0]) if runs and runs[0] in lock.runs else []


def _unshared_files(lock: Lock) -> list[tuple[str, Entry]]:
    """Return the files that belong to exactly one run; a service's are selected as such only."""
    shared = ("/*", f"{DELIVERY}/", SERVICES)
    return [(path, entry) for path, entry in lock.files.items() if not any(part in entry.run for part in shared)]


def _refuse_stopping(entry: Entry) -> None:
    if entry.state is State.STOPPING:
        name = entry.name or entry.run
        raise _rejected(name, "is being stopped", f"`ftgen stop {name}` finishes that")


def _refuse_service(entry: Entry) -> None:
    if is_service(entry):
        raise _rejected(entry.name, "is a service, which never ends", f"`ftgen stop {_SERVICE}{entry.name}` removes it")


def _rejected(name: str, why: str, how: str) -> Rejected:
    return Rejected([error("FT527", f"{name} {why}", name, help=how)])


class _Edit(Struct):
    """Changes to a committed tree, and the same changes to its index."""

    store: Store
    old: Lock
    files: dict[str, Entry]
    runs: dict[str, AssignedName]
    ended: set[str]
    changes: dict[str, FileChange]
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def content(self, path: str) -> bytes:
        """Return the committed bytes; refuse them if ftgen did not write them (FT503)."""
        content = self.store.read(path)
        if content is None or sha256(content) != self.old.files[path].sha256:
            how = "undo the edit, or publish the run with --overwrite first"
            raise Rejected([error("FT503", f"{path} was edited by hand", path, help=how)])
        return content

    def add(self, path: str, content: bytes, entry: Entry) -> None:
        """Add a file; refuse a path that may not be written, or where something else is (FT501, FT502, FT504)."""
        if problem := new_file_problem(self.store, self.files, path, content):
            raise Rejected([problem])
        if self.store.has(path):
            self._put(path, content, entry, FileChange.UNCHANGED)
        else:
            self.store.stage(path, content)
            self._put(path, content, entry, FileChange.ADDED)

    def _put(self, path: str, content: bytes, entry: Entry, change: FileChange) -> None:
        self.changes[path] = change
        self.files[path] = replace(entry, sha256=sha256(content), object=object_of(content))

    def annotate(self, path: str, annotations: Annotations) -> None:
        old = self.content(path)
        new = annotated(old, annotations)
        if new != old:
            self.store.stage(path, new)
            self._put(path, new, self.files[path], FileChange.CHANGED)

    def set_state(self, path: str, state: State) -> None:
        self.files[path] = replace(self.files[path], state=state)

    def remove(self, path: str, change: FileChange) -> None:
        self.content(path)
        name = self.files.pop(path).name
        # The API server gives each job of `generateName` another name: none of them ends for good.
        self.ended |= {name} if name else set()
        self.changes[path] = change

    def remove_service(self, path: str) -> None:
        self.content(path)
        entry = self.files.pop(path)
        self.runs.pop(entry.run, None)
        self.changes[path] = FileChange.REMOVED

    def note_services(self) -> None:
        """Warn of each service whose run was archived: it keeps serving."""
        archived = {e.name for path, e in self.files.items() if self.old.files.get(path) != e}
        for path, entry in self.files.items():
            found = _SERVES.search(self.store.read(path) or b"") if is_service(entry) else None
            if found and (run := found[1].decode("utf-8", "replace")) in archived:
                headline = f"{entry.name} still serves the result of {run}"
                help_ = f"`ftgen stop {_SERVICE}{entry.name}` ends the service"
                self.diagnostics.append(warning("FT536", headline, path, run, help=help_))

    def stop_scripts(self) -> None:
        """Stop scripts whose runs all stop: remove their guards first, and their files with the last job's file."""
        edited = {_folder(path) for path, e in self.old.files.items() if self.files.get(path) != e}
        entries = {path: e for path, e in self.files.items() if _folder(path) in edited}
        jobs = {path: e.state for path, e in entries.items() if names_others(e)}
        scripts = {path: e for path, e in entries.items() if is_scripts(e.object)}
        named: dict[bytes, set[State]] = {_name_of(entry): set() for entry in scripts.values()}
        for path, state in jobs.items() if scripts else ():
            for name in named.keys() & _words(self.store.read(path) or b""):
                named[name].add(state)
        for path, entry in scripts.items():
            states = named[_name_of(entry)]
            if not states:
                self.content(path)
                del self.files[path]
                self.changes[path] = FileChange.REMOVED
            elif states == {State.STOPPING}:
                self.annotate(path, unguarded(self.content(path)))
                self.set_state(path, State.STOPPING)

    def refuse_other(self, path: str, entry: Entry, rendered: Run | None) -> None:
        """Refuse to copy a file that the overrides render otherwise, or not at all."""
        content = self.content(path)
        wanted = under_name(rendered, entry.name).files.get(path, b"") if rendered else b""
        if with_commit_of(wanted, content) != annotated(content, revived(content)):
            name = entry.name or entry.run
            why = "is committed, and not what these overrides render: its copy would train what its file says"
            how = f"`ftgen rerun {name}` alone trains that again; render or publish them to train what they say"
            raise _rejected(name, why, how)

    def keep_folders(self) -> None:
        """Leave a file in each folder whose last file goes, unless somebody's own keeps it.

        Git has no empty folders.  Where the folder of an Application or a Kustomization is missing, Argo CD compares
        nothing ("app path does not exist"), and Flux ends before it prunes ("kustomization path not found").
        """
        gone = {path for path, change in self.changes.items() if change in {FileChange.REMOVED, FileChange.PURGED}}
        for folder in sorted({*map(_folder, gone)} - {*map(_folder, self.files)}):
            path = f"{folder}/{_KEPT}"
            if not self.store.has(path):
                self.add(path, _WHY_KEPT, Entry("", "", shared_by(path), ""))

    def copy_under_next_name(self, path: str, entry: Entry) -> None:
        if not is_job(entry.object):
            return
        if not entry.name:
            raise _rejected(path, "is a job that the cluster names", "create it once more: `kubectl create -f FILE`")
        name = self._next_name(entry.name)
        copy = under_name(Run("", entry.name, entry.run, {path: self.content(path)}), name)
        ((target, content),) = copy.files.items()
        _refuse_long(name, content)
        self.add(target, annotated(content, revived(content)), replace(entry, name=name, state=State.ACTIVE))
        assigned = self.runs.get(entry.run, AssignedName(entry.name))
        self.runs[entry.run] = replace(assigned, name=name)
        self._orphan(path, path.replace(entry.name, assigned.name))

    def _orphan(self, *paths: str) -> None:
        """Note that a run's earlier files are not what its configuration renders any more."""
        for path in paths:
            if path in self.files and self.files[path].state is State.ACTIVE:
                self.set_state(path, State.ORPHANED)

    def add_under_next_name(self, run: Run) -> None:
        """Add a rendered run whose old files are removed, under its next name."""
        name = self._next_name(run.name)
        for path, content in under_name(run, name).files.items():
            _refuse_long(name, content)
            if path in self.files and not is_job(self.files[path].object):
                self._share(path, content, run)
            else:
                self.add(path, content, Entry("", "", run.identity, name))
        earlier = self.runs.get(run.identity, AssignedName(run.name))
        self._orphan(*under_name(run, earlier.name).files)
        self.runs[run.identity] = AssignedName(name)

    def _share(self, path: str, content: bytes, run: Run) -> None:
        """Note that a run needs a claim or scripts that the tree has; write the file anew where it is missing."""
        entry = self.files[path]
        shared = entry if entry.run == run.identity else replace(entry, run=shared_by(path))
        if self.store.has(path) or path in self.changes:
            self.files[path] = shared
        else:
            self.add(path, content, shared)

    def _next_name(self, name: str) -> str:
        base = _base_name(name)
        names = {*self.ended, *(entry.name for entry in self.files.values())}
        taken = [
            int(found[1]) for other in names if (found := re.fullmatch(re.escape(base) + r"-r([0-9]{1,9})", other))
        ]
        return f"{base}-r{max(taken, default=1) + 1}"

    def outcome(self) -> Outcome:
        lock = Lock(self.files, self.runs, frozenset(self.ended), self.old.judged)
        return Outcome(lock, dict(sorted(self.changes.items())), diagnostics=tuple(self.diagnostics))


def _folder(path: str) -> str:
    return path.partition("/")[0]


def _refuse_long(name: str, content: bytes) -> None:
    """Refuse a job name that makes pod names too long: `<job>-<task>-<index>` is a label of a host name."""
    for task in read_job(yamlio.parse(text_of(content), name), version_of(schema.DEFAULT)).tasks:
        length = len(f"{name}-{task.name}-{max(task.replicas - 1, 0)}")
        if length > _POD_NAME_LIMIT:
            why = f"would name pods of {length} characters, and {_POD_NAME_LIMIT} are allowed"
            raise _rejected(name, why, "publish the run under a shorter name")
