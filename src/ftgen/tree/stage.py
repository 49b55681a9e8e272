"""New content on its way into a folder: put in place as a whole or not at all.

Content is staged inside the folder, so that a full disk or a missing permission shows before anything is replaced.
A journal then names every step; from the moment it is written the change counts as made.  A process killed before
that leaves the old tree, one killed after it leaves steps that its user's next run finishes.  A step that fails is
undone together with those before it.

A stage that this user's own journal does not speak of came with a clone or a copy, or is somebody else's.  Nothing of
it is used, and nothing is written until it is gone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ftgen import files
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.tree import journal as journals
from ftgen.tree.journal import Journal, Step
from ftgen.tree.walk import Blocked, Walk

NAME = ".ftgen-stage"
"""The folder that holds staged content; no reconciler reads its file names."""

_FSYNC_EACH = 64
"""Up to so many files are flushed one by one; beyond, one sync of everything is cheaper."""
_STAGED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""FAT and some network file systems know no hard links."""

_held: set[Path] = set()


class Stage:
    """The one writer of a folder, from `enter` to `leave`.

    Attributes:
        root: the folder's real path.
        walk: the folder, to be read.
        contents: what is staged: path, to name in the stage.
    """

    def __init__(self, root: Path, made: Sequence[Path], walk: Walk) -> None:
        """Take over a locked folder."""
        self.root, self.walk = root, walk
        self.contents: dict[str, str] = {}
        self._made = made
        self._place: int | None = None
        self._journal: Journal | None = None

    # staging

    def put(self, path: str, content: bytes) -> None:
        """Stage the content of `path`; a file that is there passes its permissions on.

        Raises:
            OSError: it cannot be written.
            Rejected: FT515.
        """
        place = self._open() if self._place is None else self._place
        name = self.contents.setdefault(path, str(len(self.contents)))
        handle = os.open(name, _STAGED, 0o666, dir_fd=place)
        try:
            there = self.walk.status(path)
            if there is not None:
                os.fchmod(handle, there.st_mode & _PERMISSIONS)
            _write_all(handle, content)
        finally:
            os.close(handle)

    def _open(self) -> int:
        top, _ = self.walk.place(NAME)
        os.mkdir(NAME, 0o700, dir_fd=top)
        place = self._place = os.dup(self.walk.at(NAME))
        self._journal = journals.begin(self.root, os.fstat(place).st_ino)
        return place

    # putting in place

    def commit(self, gone: Iterable[str], digests: dict[str, str]) -> None:
        """Put what is staged in place, in the order of staging, and remove the paths `gone` before the last of it.

        Args:
            gone: paths to remove.
            digests: those that are known of staged paths.

        Raises:
            OSError: everything is as it was.
            Rejected: the same, FT501.
        """
        # A folder that was swapped for a link since it was read is looked up anew.
        self.walk.refresh()
        if self._place is None:
            self._open()
        paths = list(self.contents)
        steps = [self._step(path, digests.get(path)) for path in (*paths[:-1], *gone, *paths[-1:])]
        self._flush()
        self._note(steps, durable=True)
        self._roll_forward(steps)

    def _step(self, path: str, digest: str | None) -> Step:
        staged = self.contents.get(path, "")
        new = (digest or self._staged(staged)) if staged else None
        old = self.walk.read(path)
        return Step(path, staged, None if old is None else _sha256(old), new)

    def _flush(self) -> None:
        """Bring the content to the disk before the journal promises it."""
        if len(self.contents) > _FSYNC_EACH:
            os.sync()
            return
        for name in self.contents.values():
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._place)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _roll_forward(self, steps: Sequence[Step]) -> None:
        done: list[tuple[Step, list[str]]] = []
        known: set[str] = set()
        try:
            for number, step in enumerate(steps):
                folder = step.path.rpartition("/")[0]
                made = self.walk.make(folder) if step.staged and folder not in known else []
                known.add(folder)
                done.append((step, made))
                with _told_of(step.path):
                    self._take(number, step)
            self._flush_folders({step.path.rpartition("/")[0] for step in steps})
            self._note([])
        except BaseException:
            self._roll_back(done)
            raise
        for step in steps:
            if not step.staged:
                self.walk.remove_empty(_folders_above(step.path))

    def _take(self, number: int, step: Step) -> None:
        """One step; done twice it does nothing the second time, so that a killed run can be repeated."""
        if self._is_done(step):
            return
        above, name = self.walk.place(step.path)
        if step.old is not None and not self._has(_kept(number)):
            self._keep(above, name, _kept(number))
        if step.staged:
            os.replace(step.staged, name, src_dir_fd=self._place, dst_dir_fd=above)
        else:
            os.unlink(name, dir_fd=above)

    def _is_done(self, step: Step) -> bool:
        return not self._has(step.staged) if step.staged else self.walk.status(step.path) is None

    def _has(self, name: str) -> bool:
        """Whether the stage holds a regular file of that name."""
        try:
            status = os.stat(name, dir_fd=self._place, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(status.st_mode)

    def _keep(self, above: int, name: str, kept: str) -> None:
        try:
            os.link(name, kept, src_dir_fd=above, dst_dir_fd=self._place, follow_symlinks=False)
        except OSError as problem:
            if problem.errno not in _NO_LINKS:
                raise
            self._copy(above, name, kept)

    def _copy(self, above: int, name: str, kept: str) -> None:
        content = files.read(name, dir_fd=above, follow=False)
        mode = os.stat(name, dir_fd=above, follow_symlinks=False).st_mode & _PERMISSIONS
        handle = os.open(f"{kept}.copy", _STAGED, mode, dir_fd=self._place)
        try:
            os.fchmod(handle, mode)
            _write_all(handle, content)
        finally:
            os.close(handle)
        os.replace(f"{kept}.copy", kept, src_dir_fd=self._place, dst_dir_fd=self._place)

    def _flush_folders(self, folders: set[str]) -> None:
        if len(folders) > _FSYNC_EACH:
            os.sync()
            return
        for folder in folders:
            with suppress(FileNotFoundError):
                os.fsync(self.walk.at(folder))

    def _roll_back(self, done: Sequence[tuple[Step, list[str]]]) -> None:
        for number, (step, made) in reversed(list(enumerate(done))):
            with suppress(FileNotFoundError):
                self._undo(number, step)
            self.walk.remove_empty(made)
        self._note([])

    def _undo(self, number: int, step: Step) -> None:
        above, name = self.walk.place(step.path)
        if step.staged and not self._has(step.staged):
            with suppress(FileNotFoundError):
                os.replace(name, step.staged, src_dir_fd=above, dst_dir_fd=self._place)
        if self._has(_kept(number)):
            os.replace(_kept(number), name, src_dir_fd=self._place, dst_dir_fd=above)

    def _note(self, steps: Sequence[Step], *, durable: bool = False) -> None:
        if self._journal is not None:
            self._journal.write(steps, durable=durable)

    # what an interrupted write has left

    def recover(self) -> None:
        """Finish what an interrupted write of the same user's began, and clear its stage away.

        Raises:
            Rejected: FT503, when a file was edited since, or FT514.
            OSError: it can neither be finished nor undone now.
        """
        if self.walk.status(NAME) is None or self._is_removed():
            return
        with _strange(self.root):
            self._place = os.dup(self.walk.at(NAME))
        self._journal = journals.reopen(self.root, os.fstat(self._place).st_ino)
        if self._journal is None:
            raise Rejected([_not_ours(self.root)])
        if steps := self._journal.steps:
            problems = [d for number, step in enumerate(steps) for d in self._problems(number, step)]
            if problems:
                raise Rejected(problems)
            self._roll_forward(steps)
        self._clear()

    def _is_removed(self) -> bool:
        """An empty stage, as a process killed while it made one leaves it, is removed."""
        with suppress(OSError):
            top, _ = self.walk.place(NAME)
            os.rmdir(NAME, dir_fd=top)
            return True
        return False

    def _problems(self, number: int, step: Step) -> Iterator[Diagnostic]:
        """Why a step cannot be finished: its file was edited since, or what was staged is something else now."""
        there = self._there(step.path)
        half_undone = there is None and self._has(_kept(number))
        if not half_undone and there not in {step.old, step.new}:
            yield _edited_since(step.path, self.root / NAME)
        if step.staged and self._staged(step.staged) not in {None, step.new}:
            yield _not_ours(self.root)

    def _there(self, path: str) -> str | None:
        """The digest of the file at `path`; no digest at all where something else is there."""
        try:
            content = self.walk.read(path)
        except Blocked:
            raise
        except OSError:
            return ""
        return None if content is None else _sha256(content)

    def _staged(self, name: str) -> str | None:
        """The same for a staged file."""
        try:
            return _sha256(files.read(name, dir_fd=self._place, follow=False))
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    # leaving

    def leave(self) -> None:
        """Drop what is still staged, unless a journal needs it, and let the next writer in."""
        if self.root not in _held:
            return
        if self._journal is None:
            self._is_removed()
        elif not self._journal.steps:
            self._clear()
        if self._journal is not None:
            self._journal.close(forget=False)
        if self._place is not None:
            os.close(self._place)
        _remove_empty(self._made)
        _held.discard(self.root)
        self.walk.close()

    def _clear(self) -> None:
        """What cannot be cleared away now, the next writer clears; the outcome is decided already."""
        top, _ = self.walk.place(NAME)
        with suppress(OSError):
            shutil.rmtree(NAME, dir_fd=top)
        if self.walk.status(NAME) is None and self._journal is not None and self._place is not None:
            self._journal.close(forget=True)
            os.close(self._place)
            self._journal = self._place = None


def _kept(number: int) -> str:
    return f"old.{number}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _folders_above(path: str) -> list[str]:
    """The folders that a path lies in, innermost first, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


@contextmanager
def _told_of(path: str) -> Iterator[None]:
    """Name the file in an error that knows nothing but a descriptor."""
    try:
        yield
    except Blocked:
        raise
    except OSError as problem:
        problem.filename = path
        raise


# entering


def enter(root: Path) -> Stage:
    """Lock a folder for writing, once other writers are done, and create it where it is missing.

    Raises:
        OSError: it cannot be opened or created.
        Rejected: FT510.
    """
    if root in _held:
        told = f"this process is already writing to {root}"
        raise Rejected([error("FT510", told, str(root), help="apply or discard the first plan")])
    while True:
        made = _make_folders(root)
        walk = Walk(root)
        # Whoever held the lock may have removed the folder it had made.
        with suppress(FileNotFoundError):
            top = walk.at("")
            # A network file system may refuse to lock a folder; then only the journal protects it.
            with suppress(OSError):
                fcntl.flock(top, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(top), root.stat()):
                _held.add(root)
                return Stage(root, made, walk)
        walk.close()


def _make_folders(folder: Path) -> list[Path]:
    """Create `folder` and its parents; return those that were created, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.insert(0, path)
    except OSError:
        _remove_empty(made)
        raise
    return made


def _remove_empty(folders: Iterable[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


# what is refused


@contextmanager
def _strange(root: Path) -> Iterator[None]:
    """A stage that is a link, no folder, or closed to this user is not this user's."""
    try:
        yield
    except (Blocked, PermissionError):
        raise Rejected([_not_ours(root)]) from None


def _not_ours(root: Path) -> Diagnostic:
    place = root / NAME
    told = f"{place} was not left there by a write of yours on this machine"
    how = (
        f"nothing of it was used. If it came with a clone or a copy, remove it: rm -r {place}; if a write by "
        "somebody else, or on another machine, was interrupted, repeat it there"
    )
    return error("FT514", told, str(place), help=how)


def _edited_since(path: str, place: Path) -> Diagnostic:
    told = f"{path} was edited after an earlier write was interrupted"
    return error("FT503", told, path, help=f"undo the edit, or give that write up by removing {place}")
