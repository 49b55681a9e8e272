"""Stage of a write: new content of a folder, put in place completely or not at all.

Content is staged inside the folder, so that a full disk or a missing permission shows before anything is replaced.
A journal then records every step; once it is written, the change counts as made.  A process killed before that leaves
the old tree; one killed after it leaves steps that its user's next run finishes.  A step that fails is undone together
with those before it.

A stage without a journal of this user came with a clone or a copy, or belongs to somebody else.  Its content is never
used, and nothing is written until it is gone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.output.tree import journal as journals
from ftgen.output.tree.journal import Journal, Step
from ftgen.output.tree.walk import Blocked, Walk
from ftgen.text import files

NAME = ".ftgen-stage"
"""Folder that holds staged content; reconcilers ignore its file names."""

_FSYNC_EACH = 64
"""Largest number of files that are flushed one by one; for more, one sync of everything is cheaper."""
_STAGED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""Errors of file systems without hard links: FAT and some network file systems."""

_locked: set[Path] = set()


class Stage:
    """Only writer of a folder, from `enter` to `leave`.

    Attributes:
        root: the folder's real path.
        walk: access to the folder's files.
        contents: path of each staged file, to its name in the stage.
    """

    def __init__(self, root: Path, created: Sequence[Path], walk: Walk) -> None:
        """Take over a locked folder; `created` are the folders that `leave` removes if they are empty."""
        self.root, self.walk = root, walk
        self.contents: dict[str, str] = {}
        self._created = created
        self._stage_fd: int | None = None
        self._journal: Journal | None = None

    # staging

    def put(self, path: str, content: bytes) -> None:
        """Stage the content of `path`, with the permissions of the file that is there now.

        Raises:
            OSError: it cannot be written.
            Rejected: FT515.
        """
        stage_fd = self._open() if self._stage_fd is None else self._stage_fd
        name = self.contents.setdefault(path, str(len(self.contents)))
        handle = os.open(name, _STAGED, 0o666, dir_fd=stage_fd)
        try:
            current = self.walk.status(path)
            if current is not None:
                os.fchmod(handle, current.st_mode & _PERMISSIONS)
            _write_all(handle, content)
        finally:
            os.close(handle)

    def _open(self) -> int:
        top, _ = self.walk.parent(NAME)
        os.mkdir(NAME, 0o700, dir_fd=top)
        stage_fd = self._stage_fd = os.dup(self.walk.at(NAME))
        self._journal = journals.begin(self.root, os.fstat(stage_fd).st_ino)
        return stage_fd

    # putting in place

    def commit(self, gone: Iterable[str], digests: Mapping[str, str], found: Mapping[str, str]) -> None:
        """Put the staged files in place in the order of staging, and remove the paths `gone` before the last one.

        Args:
            gone: paths to remove.
            digests: known digests of staged files, by path.
            found: digests of the files that may be replaced or removed, by path: those that the plan has judged.

        Raises:
            OSError: the folder is as it was.
            Rejected: FT501, or FT502 or FT503 when a file was written or edited since; the folder is as it was.
        """
        # A folder may have been swapped for a link since it was opened.
        self.walk.refresh()
        if self._stage_fd is None:
            self._open()
        # Flushing may take seconds, in which somebody could edit what has been read already.
        self._flush()
        paths = list(self.contents)
        steps = [self._step(path, digests.get(path)) for path in (*paths[:-1], *gone, *paths[-1:])]
        problems = [d for step in steps if (d := _changed_meanwhile(step, found.get(step.path)))]
        if problems:
            raise Rejected(problems)
        self._record(steps, durable=True)
        self._roll_forward(steps)

    def _step(self, path: str, digest: str | None) -> Step:
        staged = self.contents.get(path, "")
        new = (digest or self._staged_digest(staged)) if staged else None
        old = self.walk.read(path)
        return Step(path, staged, None if old is None else _sha256(old), new)

    def _flush(self) -> None:
        """Flush the staged content to the disk before the journal records its steps."""
        if len(self.contents) > _FSYNC_EACH:
            os.sync()
            return
        for name in self.contents.values():
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._stage_fd)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _roll_forward(self, steps: Sequence[Step]) -> None:
        done: list[tuple[Step, list[str]]] = []
        prepared: set[str] = set()
        try:
            for number, step in enumerate(steps):
                folder = step.path.rpartition("/")[0]
                created = self.walk.make(folder) if step.staged and folder not in prepared else []
                prepared.add(folder)
                done.append((step, created))
                with _name_file(step.path):
                    self._apply_step(number, step)
            self._flush_folders({step.path.rpartition("/")[0] for step in steps})
            self._record([])
        except BaseException:
            self._roll_back(done)
            raise
        for step in steps:
            if not step.staged:
                self.walk.remove_empty(_folders_above(step.path))

    def _apply_step(self, number: int, step: Step) -> None:
        """Apply one step; idempotent, so that a killed run can be repeated."""
        if self._is_done(step):
            return
        parent, name = self.walk.parent(step.path)
        if step.old is not None and not self._stage_has(_backup_name(number)):
            self._back_up(parent, name, _backup_name(number))
        if step.staged:
            os.replace(step.staged, name, src_dir_fd=self._stage_fd, dst_dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def _is_done(self, step: Step) -> bool:
        return not self._stage_has(step.staged) if step.staged else self.walk.status(step.path) is None

    def _stage_has(self, name: str) -> bool:
        """Return whether the stage holds a regular file of that name."""
        try:
            status = os.stat(name, dir_fd=self._stage_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(status.st_mode)

    def _back_up(self, parent: int, name: str, backup: str) -> None:
        try:
            os.link(name, backup, src_dir_fd=parent, dst_dir_fd=self._stage_fd, follow_symlinks=False)
        except OSError as problem:
            if problem.errno not in _NO_LINKS:
                raise
            self._copy(parent, name, backup)

    def _copy(self, parent: int, name: str, backup: str) -> None:
        content = files.read(name, dir_fd=parent, follow=False)
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & _PERMISSIONS
        handle = os.open(f"{backup}.copy", _STAGED, mode, dir_fd=self._stage_fd)
        try:
            os.fchmod(handle, mode)
            _write_all(handle, content)
        finally:
            os.close(handle)
        os.replace(f"{backup}.copy", backup, src_dir_fd=self._stage_fd, dst_dir_fd=self._stage_fd)

    def _flush_folders(self, folders: set[str]) -> None:
        if len(folders) > _FSYNC_EACH:
            os.sync()
            return
        for folder in folders:
            with suppress(FileNotFoundError):
                os.fsync(self.walk.at(folder))

    def _roll_back(self, done: Sequence[tuple[Step, list[str]]]) -> None:
        for number, (step, created) in reversed(list(enumerate(done))):
            with suppress(FileNotFoundError):
                self._undo(number, step)
            self.walk.remove_empty(created)
        self._record([])

    def _undo(self, number: int, step: Step) -> None:
        parent, name = self.walk.parent(step.path)
        if step.staged and not self._stage_has(step.staged):
            with suppress(FileNotFoundError):
                os.replace(name, step.staged, src_dir_fd=parent, dst_dir_fd=self._stage_fd)
        if self._stage_has(_backup_name(number)):
            os.replace(_backup_name(number), name, src_dir_fd=self._stage_fd, dst_dir_fd=parent)

    def _record(self, steps: Sequence[Step], *, durable: bool = False) -> None:
        if self._journal is not None:
            self._journal.write(steps, durable=durable)

    # recovery

    def recover(self) -> None:
        """Finish an interrupted write of the same user, and remove its stage.

        Raises:
            Rejected: FT503, when a file was edited since, or FT514.
            OSError: it can neither be finished nor undone now.
        """
        if self.walk.status(NAME) is None or self._remove_if_empty():
            return
        with _refuse_foreign_stage(self.root):
            self._stage_fd = os.dup(self.walk.at(NAME))
        self._journal = journals.reopen(self.root, os.fstat(self._stage_fd).st_ino)
        if self._journal is None:
            raise Rejected([_foreign_stage(self.root)])
        if steps := self._journal.steps:
            problems = [d for number, step in enumerate(steps) for d in self._problems(number, step)]
            if problems:
                raise Rejected(problems)
            self._roll_forward(steps)
        self._clear()

    def _remove_if_empty(self) -> bool:
        """Remove an empty stage, which a process killed while creating it leaves; return whether it was removed."""
        with suppress(OSError):
            top, _ = self.walk.parent(NAME)
            os.rmdir(NAME, dir_fd=top)
            return True
        return False

    def _problems(self, number: int, step: Step) -> Iterator[Diagnostic]:
        """Yield why a step cannot be finished: its file, or its staged file, was changed since."""
        current = self._digest_at(step.path)
        half_undone = current is None and self._stage_has(_backup_name(number))
        if not half_undone and current not in {step.old, step.new}:
            yield _edited_since(step.path, self.root / NAME)
        if step.staged and self._staged_digest(step.staged) not in {None, step.new}:
            yield _foreign_stage(self.root)

    def _digest_at(self, path: str) -> str | None:
        """Return the digest of the file at `path`: None if there is none, empty if something else is there."""
        try:
            content = self.walk.read(path)
        except Blocked:
            raise
        except OSError:
            return ""
        return None if content is None else _sha256(content)

    def _staged_digest(self, name: str) -> str | None:
        """Return the digest of a staged file: None if there is none, empty if something else is there."""
        try:
            return _sha256(files.read(name, dir_fd=self._stage_fd, follow=False))
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    # leaving

    def leave(self) -> None:
        """Remove the stage, unless a journal needs it, and release the lock."""
        if self.root not in _locked:
            return
        if self._journal is None:
            self._remove_if_empty()
        elif not self._journal.steps:
            self._clear()
        if self._journal is not None:
            self._journal.close(forget=False)
        if self._stage_fd is not None:
            os.close(self._stage_fd)
        _remove_empty(self._created)
        _locked.discard(self.root)
        self.walk.close()

    def _clear(self) -> None:
        """Remove the stage; ignore a failure, since the change is complete and the next writer tries again."""
        top, _ = self.walk.parent(NAME)
        with suppress(OSError):
            shutil.rmtree(NAME, dir_fd=top)
        if self.walk.status(NAME) is None and self._journal is not None and self._stage_fd is not None:
            self._journal.close(forget=True)
            os.close(self._stage_fd)
            self._journal = self._stage_fd = None


def _backup_name(number: int) -> str:
    return f"old.{number}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _folders_above(path: str) -> list[str]:
    """Return the folders that a path lies in, innermost first, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


@contextmanager
def _name_file(path: str) -> Iterator[None]:
    """Set the file name of an error from a call by descriptor."""
    try:
        yield
    except Blocked:
        raise
    except OSError as problem:
        problem.filename = path
        raise


# entering


def enter(root: Path) -> Stage:
    """Lock a folder for writing, after other writers are done; create it if it is missing.

    Raises:
        OSError: it cannot be opened or created.
        Rejected: FT510.
    """
    if root in _locked:
        headline = f"this process is already writing to {root}"
        raise Rejected([error("FT510", headline, str(root), help="apply or discard the first plan")])
    while True:
        created = _make_folders(root)
        walk = Walk(root)
        # The writer before may have removed the folder that it had created.
        with suppress(FileNotFoundError):
            top = walk.at("")
            # A network file system may refuse to lock a folder; then only the journal protects it.
            with suppress(OSError):
                fcntl.flock(top, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(top), root.stat()):
                _locked.add(root)
                return Stage(root, created, walk)
        walk.close()


def _make_folders(folder: Path) -> list[Path]:
    """Create `folder` and its parents; return the created ones, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    created: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            created.insert(0, path)
    except OSError:
        _remove_empty(created)
        raise
    return created


def _remove_empty(folders: Iterable[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


# diagnostics


@contextmanager
def _refuse_foreign_stage(root: Path) -> Iterator[None]:
    """Refuse a stage that is a link, no folder, or not accessible: it is not this user's."""
    try:
        yield
    except (Blocked, PermissionError):
        raise Rejected([_foreign_stage(root)]) from None


def _foreign_stage(root: Path) -> Diagnostic:
    stage = root / NAME
    headline = f"{stage} was not left there by a write of yours on this machine"
    how = (
        f"nothing of it was used. If it came with a clone or a copy, remove it: rm -r {stage}; if a write by "
        "somebody else, or on another machine, was interrupted, repeat it there"
    )
    return error("FT514", headline, str(stage), help=how)


def _changed_meanwhile(step: Step, found: str | None) -> Diagnostic | None:
    """Return why a step would lose what somebody wrote since the plan was made; nothing is lost of its own bytes."""
    if step.old in {None, step.new, found}:
        return None
    code, what = ("FT502", "was written by somebody else") if found is None else ("FT503", "was edited")
    headline = f"{step.path} {what} while this write was prepared"
    return error(code, headline, step.path, help="nothing was changed; run the command again, and it sees the file")


def _edited_since(path: str, stage: Path) -> Diagnostic:
    headline = f"{path} was edited after an earlier write was interrupted"
    return error("FT503", headline, path, help=f"undo the edit, or give that write up by removing {stage}")
