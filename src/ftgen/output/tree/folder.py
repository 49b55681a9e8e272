"""Output tree in a folder: plan a change, then apply it completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.output.tree import stage as stages
from ftgen.output.tree.lock import EMPTY, LOCK_NAME, Lock, Run, dump_lock, parse_lock
from ftgen.output.tree.plan import Outcome, Store, WriteOptions, plan_files, plan_runs, sha256
from ftgen.output.tree.stage import Stage
from ftgen.output.tree.walk import Blocked, Walk, kind_of
from ftgen.text import files


class Plan(Struct, frozen=True):
    """Planned change of a folder, with the staged content that `apply` puts in place.

    Attributes:
        root: the folder's real path.
        outcome: see `Outcome`.
        base: the index's bytes before; None if there was none.
        stage: see `Stage`; None for a dry plan.
        found: digest of each file that the plan knows, as it was when the plan was made.
    """

    root: Path
    outcome: Outcome
    base: bytes | None
    stage: Stage | None
    found: Mapping[str, str]

    @property
    def is_noop(self) -> bool:
        """Return whether `apply` would write nothing."""
        return not self.outcome.touched and not self.changes_lock

    @property
    def changes_lock(self) -> bool:
        """Return whether `apply` would write the index."""
        return dump_lock(self.outcome.lock) != (self.base or dump_lock(EMPTY))


class _FolderStore(Struct, frozen=True):
    """`Store` over a folder on disk."""

    walk: Walk
    label: str
    open_stage: Stage | None = None

    def describe(self) -> str:
        return self.label

    def is_bare(self) -> bool:
        """Return whether the folder holds only version control's own dot files."""
        return all(name.startswith(".git") or name == stages.NAME for name in self.walk.names())

    def problem(self, path: str) -> Diagnostic | None:
        try:
            status = self.walk.status(path)
        except Blocked as blocked:
            return _blocked_path(blocked)
        kind = kind_of(status) if status else ""
        if status and not kind and status.st_size > files.LARGEST:
            kind = f"larger than {files.LARGEST // files.MIB} MiB"
        headline = f"{path} is {kind}, not a file that ftgen wrote"
        return error("FT502", headline, path, help="move it away") if kind else None

    def has(self, path: str) -> bool:
        """Return whether something is at the path; a file behind a link is not ours, even if the index names it."""
        try:
            return self.walk.status(path) is not None
        except Blocked:
            return False

    def read(self, path: str) -> bytes | None:
        """Return the bytes at the path; None for a path with a `problem`."""
        return self.walk.read(path) if self.has(path) and not self.problem(path) else None

    def holds(self, path: str, content: bytes) -> bool:
        try:
            status = self.walk.status(path)
        except Blocked:
            return False
        is_like = status is not None and not kind_of(status) and status.st_size == len(content)
        return is_like and self.walk.read(path) == content

    def files(self, folder: str) -> list[str]:
        try:
            return list(self.walk.files(folder))
        except (FileNotFoundError, Blocked):
            return []

    def names(self) -> list[str]:
        return self.walk.names()

    def stage(self, path: str, content: bytes) -> None:
        if self.open_stage is not None:
            self.open_stage.put(path, content)


def read_lock(out: Path) -> Lock:
    """Return the ownership index of `out`; empty if there is none.

    Raises:
        Rejected: FT502, FT508 or FT509.
    """
    with _translate_os_errors(out):
        text = _read_lock(_FolderStore(Walk(out), str(out)))
    return EMPTY if text is None else parse_lock(text, str(out / LOCK_NAME))


def _read_lock(store: _FolderStore) -> bytes | None:
    """Return the index's bytes; refuse a link, because its target is not ours and the write would replace the link."""
    if problem := store.problem(LOCK_NAME):
        raise Rejected([problem])
    return store.walk.read(LOCK_NAME)


def plan_write(out: Path, runs: Iterable[Run], options: WriteOptions = WriteOptions(), *, dry: bool = False) -> Plan:  # noqa: B008 - frozen
    """Plan what rendering `runs` does to `out`, and stage the new content unless `dry`.

    Consumes the runs one at a time and keeps only their digests.  Unless `dry`, other writers of the same
    folder wait until `apply` or `discard`, and an interrupted write is finished first.

    Raises:
        Rejected: FT501 to FT515; the folder is unchanged and holds no stage.
    """
    return plan_edit(out, lambda store, lock: plan_runs(store, lock, runs, options), dry=dry)


def plan_copy(out: Path, contents: Mapping[str, bytes], *, overwrite: bool) -> Plan:
    """Plan the write of files that belong to no run, and stage them; the index stays as it is.

    Raises:
        Rejected: as `plan_write`.
    """
    return plan_edit(out, lambda store, lock: plan_files(store, lock, contents, overwrite=overwrite))


def plan_edit(out: Path, decide: Callable[[Store, Lock], Outcome], *, dry: bool = False) -> Plan:
    """Plan any other change of a tree: `decide` stages content and returns the outcome.

    Raises:
        Rejected: FT508 to FT515, and what `decide` raises; the folder is unchanged and holds no stage.
    """
    with _translate_os_errors(out):
        root = files.resolved(out)
        if dry:
            return _plan(root, _FolderStore(Walk(root), str(out)), decide)
        stage = stages.enter(root)
        try:
            stage.recover()
            return _plan(root, _FolderStore(stage.walk, str(out), stage), decide)
        except BaseException:
            stage.leave()
            raise


def _plan(root: Path, store: _FolderStore, decide: Callable[[Store, Lock], Outcome]) -> Plan:
    base = _read_lock(store)
    lock = EMPTY if base is None else parse_lock(base, f"{store.label}/{LOCK_NAME}")
    outcome = decide(store, lock)
    index = {} if base is None else {LOCK_NAME: sha256(base)}
    found = {path: entry.sha256 for path, entry in lock.files.items()} | index | dict(outcome.given_up)
    return Plan(root, outcome, base, store.open_stage, found)


def folder_store(out: Path) -> Store:
    """Return a store that reads the folder `out` and ignores staged content.

    Raises:
        Rejected: FT508.
    """
    with _translate_os_errors(out):
        return _FolderStore(Walk(out), str(out))


def apply(plan: Plan) -> Outcome:
    """Put the staged content in place: every file and the index, or nothing.

    Files whose bytes do not change are left untouched.

    Raises:
        Rejected: FT501, FT502, FT503 or FT508; the folder is as it was.
    """
    stage = plan.stage
    if stage is None:
        raise ValueError("a dry plan has nothing staged")
    with _translate_os_errors(plan.root):
        try:
            if not plan.is_noop:
                _commit(plan, stage)
        finally:
            stage.leave()
    return plan.outcome


def _commit(plan: Plan, stage: Stage) -> None:
    """Write the files, and the index last, so that it never lists a file that is not there."""
    index = dump_lock(plan.outcome.lock)
    if index != (plan.base or dump_lock(EMPTY)):
        stage.put(LOCK_NAME, index)
    digests = {path: entry.sha256 for path, entry in plan.outcome.lock.files.items()}
    stage.commit(plan.outcome.gone, digests, plan.found)


def discard(plan: Plan) -> None:
    """Give up a plan, and remove its stage from the folder."""
    if plan.stage is not None:
        plan.stage.leave()


def recover(out: Path) -> None:
    """Finish an interrupted write of `out`; do nothing if there was none.

    Raises:
        Rejected: FT508, when it can neither be finished nor undone; FT503, when a file was edited since; FT514, when
            another user, or another machine, began it.
    """
    with _translate_os_errors(out):
        if Walk(out).status(stages.NAME) is None:
            return
        stage = stages.enter(files.resolved(out))
        try:
            stage.recover()
        finally:
            stage.leave()


@contextmanager
def _translate_os_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except Blocked as blocked:
        raise Rejected([_blocked_path(blocked)]) from None
    except OSError as problem:
        filename = os.fsdecode(problem.filename or "")
        # A call by descriptor names the file relative to the folder.
        culprit = out if filename == str(out) else out / filename
        headline = f"{out} cannot be written: {problem.strerror}"
        how = f"nothing was changed; make {culprit} writable, free space, or choose another folder"
        raise Rejected([error("FT508", headline, str(out), help=how)]) from problem


def _blocked_path(blocked: Blocked) -> Diagnostic:
    headline = (
        f"{blocked.filename} is a symbolic link or a file where a folder belongs, and nothing is written behind it"
    )
    return error("FT501", headline, str(blocked.filename), help="replace it by a folder")
