"""A tree in a folder: written as a whole or not at all.

New content is staged inside the folder, so that a full disk or a missing permission shows before anything
is replaced.  A journal then names every step; from the moment it is in place the change counts as made.
A process killed before that leaves the old tree, one killed after it leaves steps that the next run
finishes.  A step that fails is undone together with those before it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.tree.lock import EMPTY, LOCK_NAME, Lock, Run, dump_lock, parse_lock, path_problem
from ftgen.tree.plan import Outcome, Shelf, Terms, draw

_STAGE = ".ftgen-stage"
_JOURNAL = "journal"
_STAGED = re.compile(r"\d*")
_FSYNC_EACH = 64
"""Up to so many files are flushed one by one; beyond, one sync of everything is cheaper."""

_held: set[Path] = set()


@dataclass(slots=True)
class Stage:
    """New content on its way into a folder, and the lock that keeps other writers out."""

    root: Path
    made: list[Path]
    guard: int
    contents: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """The folder that holds staged content; no reconciler reads its file names."""
        return self.root / _STAGE

    def put(self, path: str, content: bytes) -> None:
        """Write the content of `path` aside."""
        name = self.contents.setdefault(path, str(len(self.contents)))
        if len(self.contents) == 1:
            self.place.mkdir(exist_ok=True)
        with open(f"{self.place}/{name}", "wb") as staged:  # noqa: PTH123 - a path object costs as much
            staged.write(content)


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
        return not self.outcome.touched and dump_lock(self.outcome.lock) == (self.base or dump_lock(EMPTY))


@dataclass(frozen=True, slots=True)
class _Folder:
    """The `Shelf` over a folder on disk."""

    root: Path
    shown: str
    stage_: Stage | None
    resolved: dict[str, Path] = field(default_factory=dict)

    def describe(self) -> str:
        return self.shown

    def is_bare(self) -> bool:
        """Whether only version control's own dot files are there."""
        names = [path.name for path in self.root.iterdir()] if self.root.is_dir() else []
        return all(name.startswith(".git") or name == _STAGE for name in names)

    def problem(self, path: str) -> Diagnostic | None:
        # Plain texts here and below: every job of a sweep passes by, and path objects cost more than the calls.
        with suppress(FileNotFoundError):
            mode = os.lstat(f"{self.root}/{path}").st_mode
            if stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
                target = self.root / path
                return error("FT502", f"{path} is a {_kind(target)}, not a file", path, help="move it away")
        # The folder is locked, and a run's files lie in few folders.
        folder = path.rpartition("/")[0]
        if folder not in self.resolved:
            self.resolved[folder] = (self.root / folder).resolve()
        parent = self.resolved[folder]
        return None if parent.is_relative_to(self.root) else _leaving(path, parent)

    def has(self, path: str) -> bool:
        return os.path.lexists(self.root / path)

    def read(self, path: str) -> bytes | None:
        """Whoever wrote the index that names the path, what lies behind a link is not ours."""
        return None if self.problem(path) else _read(f"{self.root}/{path}")

    def holds(self, path: str, content: bytes) -> bool:
        try:
            size = os.stat(f"{self.root}/{path}").st_size  # noqa: PTH116
        except OSError:
            return False
        return size == len(content) and _read(self.root / path) == content

    def stage(self, path: str, content: bytes) -> None:
        if self.stage_ is not None:
            self.stage_.put(path, content)


def _kind(target: Path) -> str:
    return "symbolic link" if target.is_symlink() else "folder"


def _leaving(path: str, parent: Path) -> Diagnostic:
    told = f"{path} would be written through a symbolic link to {parent}, outside the tree"
    return error("FT501", told, path, help="replace the link by a folder")


def _read(target: str | Path) -> bytes | None:
    try:
        with open(target, "rb", buffering=0) as there:  # noqa: PTH123
            return there.readall()
    except FileNotFoundError:
        return None


def read_lock(out: Path) -> Lock:
    """The ownership index of `out`, empty where there is none.

    Raises:
        Rejected: FT508 or FT509.
    """
    with _translated(out):
        text = _read_lock(out)
    return EMPTY if text is None else parse_lock(text, str(out / LOCK_NAME))


def _read_lock(out: Path) -> bytes | None:
    """The index's bytes; a link would be a file of somebody else's, and would be replaced."""
    place = out / LOCK_NAME
    if place.is_symlink():
        raise Rejected([error("FT502", f"{place} is a symbolic link, not a file", str(place), help="move it away")])
    return _read(place)


def plan_write(out: Path, runs: Iterable[Run], terms: Terms = Terms(), *, dry: bool = False) -> Plan:  # noqa: B008 - frozen
    """Decide what rendering `runs` does to `out`, and stage the new content unless `dry`.

    Takes the runs one at a time and keeps only their digests.  Unless `dry`, other writers of the same
    folder wait until `apply` or `discard`; what an interrupted writer left is finished first.

    Raises:
        Rejected: FT501 to FT510; nothing is changed, nothing stays behind.
    """
    return plan_edit(out, lambda shelf, lock: draw(shelf, lock, runs, terms), dry=dry)


def plan_edit(out: Path, decide: Callable[[Shelf, Lock], Outcome], *, dry: bool = False) -> Plan:
    """The same for any other change of a tree: `decide` stages content, and says what becomes of each file.

    Raises:
        Rejected: FT508 to FT510, and what `decide` raises; nothing is changed, nothing stays behind.
    """
    with _translated(out):
        root = out.resolve()
        stage = None if dry else _enter(root)
        try:
            return _plan(out, root, decide, stage)
        except BaseException:
            _leave(stage)
            raise


def _plan(out: Path, root: Path, decide: Callable[[Shelf, Lock], Outcome], stage: Stage | None) -> Plan:
    if stage is not None:
        _recover(root)
    base = _read_lock(root)
    lock = EMPTY if base is None else parse_lock(base, str(out / LOCK_NAME))
    return Plan(root, decide(_Folder(root, str(out), stage), lock), base, stage)


def shelf(out: Path) -> Shelf:
    """The folder `out` to be read; what is staged on it goes nowhere."""
    return _Folder(out.resolve(), str(out), None)


def apply(plan: Plan) -> Outcome:
    """Put the staged content in place: every file and the index, or nothing.

    Files whose bytes do not change are not touched.

    Raises:
        Rejected: FT508; the folder is as it was.
    """
    if plan.stage is None:
        raise ValueError("a dry plan has nothing staged")
    with _translated(plan.root):
        try:
            if not plan.is_noop:
                _commit(plan, plan.stage)
        finally:
            _leave(plan.stage)
    return plan.outcome


def discard(plan: Plan) -> None:
    """Give a plan up: nothing of it stays in the folder."""
    _leave(plan.stage)


def recover(out: Path) -> None:
    """Finish what an interrupted writer of `out` had begun; does nothing where nothing was.

    Raises:
        Rejected: FT508, when it can neither be finished nor undone, or FT503, when a file was edited since.
    """
    with _translated(out):
        root = out.resolve()
        if (root / _STAGE).is_dir():
            stage = _enter(root)
            try:
                _recover(root)
            finally:
                _leave(stage)


@contextmanager
def _translated(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        where = problem.filename or out
        told = f"{out} cannot be written: {problem.strerror}"
        how = f"nothing was changed; make {os.fsdecode(where)} writable, free space, or choose another folder"
        raise Rejected([error("FT508", told, str(out), help=how)]) from problem


# entering and leaving


def _enter(root: Path) -> Stage:
    if root in _held:
        told = f"this process is already writing to {root}"
        raise Rejected([error("FT510", told, str(root), help="apply or discard the first plan")])
    _refuse_strange(root / _STAGE)
    made = _make_folders(root)
    guard = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # A network file system may refuse to lock a folder; then only the journal protects it.
    with suppress(OSError):
        fcntl.flock(guard, fcntl.LOCK_EX)
    _held.add(root)
    return Stage(root, made, guard)


def _refuse_strange(place: Path) -> None:
    """What lies there may have come with a clone: a link would lead the writing elsewhere."""
    if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
        raise Rejected([error("FT502", f"{place} was not written by ftgen", str(place), help="remove it")])


def _make_folders(folder: Path) -> list[Path]:
    """Create `folder` and its parents; return those that were created, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _leave(stage: Stage | None) -> None:
    """Drop what is still staged, unless a journal needs it, and let the next writer in."""
    if stage is None or stage.root not in _held:
        return
    # What cannot be cleared away now, the next writer clears; the outcome is decided already.
    with suppress(OSError):
        if not (stage.place / _JOURNAL).exists():
            shutil.rmtree(stage.place, ignore_errors=True)
    _remove_empty(stage.made)
    _held.discard(stage.root)
    os.close(stage.guard)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


# the journal


@dataclass(frozen=True, slots=True)
class _Step:
    """Put the staged file `staged` at `path`, or remove what is there when `staged` is empty."""

    path: str
    staged: str
    old: str | None
    new: str | None


def _commit(plan: Plan, stage: Stage) -> None:
    stage.put(LOCK_NAME, dump_lock(plan.outcome.lock))
    steps = [_step(plan, stage, path) for path in stage.contents if path != LOCK_NAME]
    steps += [_step(plan, stage, path) for path in plan.outcome.gone]
    steps.append(_step(plan, stage, LOCK_NAME))
    _flush(stage.place / name for name in stage.contents.values())
    _write_journal(stage.place, steps)
    _roll_forward(plan.root, steps)


def _step(plan: Plan, stage: Stage, path: str) -> _Step:
    staged, entry = stage.contents.get(path, ""), plan.outcome.lock.files.get(path)
    new = entry.sha256 if entry else _digest(stage.place / staged) if staged else None
    return _Step(path, staged, _digest(f"{plan.root}/{path}"), new if staged else None)


def _digest(target: str | Path) -> str | None:
    content = _read(target)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _flush(paths: Iterable[Path]) -> None:
    """Bring the content to the disk before the journal promises it."""
    listed = list(paths)
    if len(listed) > _FSYNC_EACH:
        os.sync()
        return
    for path in listed:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_journal(place: Path, steps: list[_Step]) -> None:
    rows = [[step.path, step.staged, step.old, step.new] for step in steps]
    draft = place / "journal.new"
    draft.write_text(json.dumps(rows), encoding="utf-8")
    _flush([draft])
    draft.replace(place / _JOURNAL)
    _flush([place])


def _read_journal(root: Path) -> list[_Step]:
    """The steps of a write that was interrupted; whoever wrote the file, they stay inside the tree."""
    place = root / _STAGE / _JOURNAL
    with suppress(ValueError, TypeError, AttributeError):
        steps = [_Step(*row) for row in json.loads(place.read_text(encoding="utf-8"))]
        if all(_is_safe(root, step) for step in steps):
            return steps
    told = f"{place} is no journal of ftgen's"
    raise Rejected([error("FT502", told, str(place), help=f"remove {place.parent}")])


def _is_safe(root: Path, step: _Step) -> bool:
    inside = step.path == LOCK_NAME or not path_problem(step.path)
    return inside and bool(_STAGED.fullmatch(step.staged)) and (root / step.path).parent.resolve().is_relative_to(root)


def _recover(root: Path) -> None:
    place = root / _STAGE
    if (place / _JOURNAL).exists():
        steps = _read_journal(root)
        edited = [step.path for number, step in enumerate(steps) if _is_edited(root, number, step)]
        if edited:
            raise Rejected([_edited_since(path, place) for path in edited])
        _roll_forward(root, steps)
    shutil.rmtree(place, ignore_errors=True)


def _is_edited(root: Path, number: int, step: _Step) -> bool:
    there = _digest(root / step.path)
    half_undone = there is None and _kept(root, number).exists()
    return not half_undone and there not in {step.old, step.new}


def _edited_since(path: str, place: Path) -> Diagnostic:
    told = f"{path} was edited after an earlier write was interrupted"
    return error("FT503", told, path, help=f"undo the edit, or give that write up by removing {place}")


def _roll_forward(root: Path, steps: list[_Step]) -> None:
    done: list[tuple[_Step, list[Path]]] = []
    known: set[str] = set()
    try:
        for number, step in enumerate(steps):
            folder = step.path.rpartition("/")[0]
            made = [] if folder in known else _make_folders(root / folder)
            known.add(folder)
            done.append((step, made))
            _take(root, number, step)
        _flush({(root / step.path).parent for step in steps})
        (root / _STAGE / _JOURNAL).unlink()
    except OSError:
        _roll_back(root, done)
        raise
    for step in steps:
        if not step.staged:
            _remove_empty(_folders_between(root, root / step.path))


def _take(root: Path, number: int, step: _Step) -> None:
    """One step; done twice it does nothing the second time, so that a killed run can be repeated."""
    target, kept, staged = root / step.path, _kept(root, number), root / _STAGE / step.staged
    if step.staged and not os.path.exists(staged):  # noqa: PTH110
        return
    if step.old is not None and not kept.exists():
        _keep(target, kept)
    if step.staged:
        staged.replace(target)
    else:
        target.unlink(missing_ok=True)


def _keep(target: Path, kept: Path) -> None:
    try:
        os.link(target, kept)
    except PermissionError:
        # FAT and some network file systems know no hard links.
        shutil.copy2(target, kept.with_suffix(".copy"))
        kept.with_suffix(".copy").replace(kept)


def _roll_back(root: Path, done: list[tuple[_Step, list[Path]]]) -> None:
    for number, (step, made) in reversed(list(enumerate(done))):
        target, kept, staged = root / step.path, _kept(root, number), root / _STAGE / step.staged
        if step.staged and not staged.exists() and target.exists():
            target.replace(staged)
        if kept.exists():
            kept.replace(target)
        _remove_empty(made)
    (root / _STAGE / _JOURNAL).unlink()


def _kept(root: Path, number: int) -> Path:
    return root / _STAGE / f"old.{number}"


def _folders_between(root: Path, target: Path) -> list[Path]:
    return [folder for folder in target.parents if folder != root and folder.is_relative_to(root)]
