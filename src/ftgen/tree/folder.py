"""A tree in a folder: what is there, what a change makes of it, and the change written as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ftgen import files
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.tree import stage as stages
from ftgen.tree.lock import EMPTY, LOCK_NAME, Lock, Run, dump_lock, parse_lock
from ftgen.tree.plan import Outcome, Store, WriteOptions, plan_files, plan_runs
from ftgen.tree.stage import Stage
from ftgen.tree.walk import Blocked, Walk, kind_of


@dataclass(frozen=True, slots=True)
class Plan:
    """An `Outcome` for a folder, with the staged content that `apply` puts in place."""

    root: Path
    outcome: Outcome
    base: bytes | None
    stage: Stage | None

    @property
    def is_noop(self) -> bool:
        """Whether applying it would touch nothing."""
        return not self.outcome.touched and not self.changes_lock

    @property
    def changes_lock(self) -> bool:
        """Whether applying it would write the index."""
        return dump_lock(self.outcome.lock) != (self.base or dump_lock(EMPTY))


@dataclass(frozen=True, slots=True)
class _Folder:
    """The `Store` over a folder on disk."""

    walk: Walk
    shown: str
    stage_: Stage | None = None

    def describe(self) -> str:
        return self.shown

    def is_bare(self) -> bool:
        """Whether only version control's own dot files are there."""
        return all(name.startswith(".git") or name == stages.NAME for name in self.walk.names())

    def problem(self, path: str) -> Diagnostic | None:
        try:
            status = self.walk.status(path)
        except Blocked as blocked:
            return _blocked(blocked)
        kind = kind_of(status) if status else ""
        if status and not kind and status.st_size > files.LARGEST:
            kind = f"larger than {files.LARGEST // files.MIB} MiB"
        told = f"{path} is {kind}, not a file that ftgen wrote"
        return error("FT502", told, path, help="move it away") if kind else None

    def has(self, path: str) -> bool:
        """Whoever wrote the index that names the path, what lies behind a link is not ours."""
        try:
            return self.walk.status(path) is not None
        except Blocked:
            return False

    def read(self, path: str) -> bytes | None:
        """The same; a path that has a problem holds nothing to be read."""
        return None if self.problem(path) else self.walk.read(path)

    def holds(self, path: str, content: bytes) -> bool:
        try:
            status = self.walk.status(path)
        except Blocked:
            return False
        is_like = status is not None and not kind_of(status) and status.st_size == len(content)
        return is_like and self.walk.read(path) == content

    def stage(self, path: str, content: bytes) -> None:
        if self.stage_ is not None:
            self.stage_.put(path, content)


def read_lock(out: Path) -> Lock:
    """The ownership index of `out`, empty where there is none.

    Raises:
        Rejected: FT502, FT508 or FT509.
    """
    with _translated(out):
        text = _read_lock(_Folder(Walk(out), str(out)))
    return EMPTY if text is None else parse_lock(text, str(out / LOCK_NAME))


def _read_lock(folder: _Folder) -> bytes | None:
    """The index's bytes; a link would be a file of somebody else's, and would be replaced."""
    if problem := folder.problem(LOCK_NAME):
        raise Rejected([problem])
    return folder.walk.read(LOCK_NAME)


def plan_write(out: Path, runs: Iterable[Run], options: WriteOptions = WriteOptions(), *, dry: bool = False) -> Plan:  # noqa: B008 - frozen
    """Decide what rendering `runs` does to `out`, and stage the new content unless `dry`.

    Takes the runs one at a time and keeps only their digests.  Unless `dry`, other writers of the same
    folder wait until `apply` or `discard`; what an interrupted writer left is finished first.

    Raises:
        Rejected: FT501 to FT515; nothing is changed, nothing stays behind.
    """
    return plan_edit(out, lambda store, lock: plan_runs(store, lock, runs, options), dry=dry)


def plan_copy(out: Path, contents: Mapping[str, bytes], *, overwrite: bool) -> Plan:
    """Decide what becomes of files that belong to no run, and stage them; the index stays as it is.

    Raises:
        Rejected: as `plan_write`.
    """
    return plan_edit(out, lambda store, lock: plan_files(store, lock, contents, overwrite=overwrite))


def plan_edit(out: Path, decide: Callable[[Store, Lock], Outcome], *, dry: bool = False) -> Plan:
    """The same for any other change of a tree: `decide` stages content, and says what becomes of each file.

    Raises:
        Rejected: FT508 to FT515, and what `decide` raises; nothing is changed, nothing stays behind.
    """
    with _translated(out):
        root = files.resolved(out)
        if dry:
            return _plan(root, _Folder(Walk(root), str(out)), decide)
        stage = stages.enter(root)
        try:
            stage.recover()
            return _plan(root, _Folder(stage.walk, str(out), stage), decide)
        except BaseException:
            stage.leave()
            raise


def _plan(root: Path, folder: _Folder, decide: Callable[[Store, Lock], Outcome]) -> Plan:
    base = _read_lock(folder)
    lock = EMPTY if base is None else parse_lock(base, f"{folder.shown}/{LOCK_NAME}")
    return Plan(root, decide(folder, lock), base, folder.stage_)


def folder_store(out: Path) -> Store:
    """The folder `out` to be read; what is staged on it goes nowhere.

    Raises:
        Rejected: FT508.
    """
    with _translated(out):
        return _Folder(Walk(out), str(out))


def apply(plan: Plan) -> Outcome:
    """Put the staged content in place: every file and the index, or nothing.

    Files whose bytes do not change are not touched.

    Raises:
        Rejected: FT501 or FT508; the folder is as it was.
    """
    stage = plan.stage
    if stage is None:
        raise ValueError("a dry plan has nothing staged")
    with _translated(plan.root):
        try:
            if not plan.is_noop:
                _commit(plan, stage)
        finally:
            stage.leave()
    return plan.outcome


def _commit(plan: Plan, stage: Stage) -> None:
    """The index is the last to be put in place: it speaks of files that are there."""
    if plan.changes_lock:
        stage.put(LOCK_NAME, dump_lock(plan.outcome.lock))
    stage.commit(plan.outcome.gone, {path: entry.sha256 for path, entry in plan.outcome.lock.files.items()})


def discard(plan: Plan) -> None:
    """Give a plan up: nothing of it stays in the folder."""
    if plan.stage is not None:
        plan.stage.leave()


def recover(out: Path) -> None:
    """Finish what an interrupted writer of `out` had begun; does nothing where nothing was.

    Raises:
        Rejected: FT508, when it can neither be finished nor undone; FT503, when a file was edited since; FT514, when
            the writer was somebody else.
    """
    with _translated(out):
        if Walk(out).status(stages.NAME) is None:
            return
        stage = stages.enter(files.resolved(out))
        try:
            stage.recover()
        finally:
            stage.leave()


@contextmanager
def _translated(out: Path) -> Iterator[None]:
    try:
        yield
    except Blocked as blocked:
        raise Rejected([_blocked(blocked)]) from None
    except OSError as problem:
        where = os.fsdecode(problem.filename or "")
        # What went by a descriptor is named relative to the folder.
        place = out if where == str(out) else out / where
        told = f"{out} cannot be written: {problem.strerror}"
        how = f"nothing was changed; make {place} writable, free space, or choose another folder"
        raise Rejected([error("FT508", told, str(out), help=how)]) from problem


def _blocked(blocked: Blocked) -> Diagnostic:
    told = f"{blocked.filename} is a symbolic link or a file where a folder belongs, and nothing is written behind it"
    return error("FT501", told, str(blocked.filename), help="replace it by a folder")
