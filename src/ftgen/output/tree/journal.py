"""Journal of the steps of a write, in a folder where only its user can write.

A journal inside the tree would come with a clone or a copy, and the maker of that copy would choose which files the
next run replaces and removes.  So the journal lies in the user's state folder, under a name made of the machine and the
tree's path, and records the inode of its stage.  Paths and digests come from the journal alone; the stage holds only
content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ftgen.diagnostics import Rejected, error
from ftgen.output.tree.lock import LOCK_NAME, path_problem
from ftgen.text import files

_OTHERS_MAY_WRITE = 0o022
_STAGED = re.compile(r"\d*")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Step(Struct, frozen=True):
    """Step of a write: put the staged file at `path`, or remove the file there if `staged` is empty.

    Attributes:
        path: relative to the tree's root.
        staged: name in the stage; empty for a removal.
        old: digest of the file at `path` before; None if there was none.
        new: digest of the staged file; None for a removal.
    """

    path: str
    staged: str
    old: str | None
    new: str | None


class Journal:
    """Journal of one write.

    Attributes:
        steps: steps that were recorded and are not finished; if empty, the stage can be deleted.
    """

    def __init__(self, home: int, name: str, stage: int, steps: Sequence[Step] = ()) -> None:
        """Take over the descriptor of the folder `home`; `stage` is the inode of the stage."""
        self._home, self._name, self._stage = home, name, stage
        self.steps = steps

    def write(self, steps: Sequence[Step], *, durable: bool = False) -> None:
        """Record the steps, all or none of them.

        Raises:
            OSError: they cannot be recorded; the steps before remain.
        """
        text = json.dumps([self._stage, [(step.path, step.staged, step.old, step.new) for step in steps]])
        draft = f"{self._name}.new"
        with open(os.open(draft, _DRAFT, 0o600, dir_fd=self._home), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(draft, self._name, src_dir_fd=self._home, dst_dir_fd=self._home)
        self.steps = steps
        if durable:
            os.fsync(self._home)

    def close(self, *, forget: bool) -> None:
        """Close the journal; remove its file if `forget`."""
        if forget:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._home)
        os.close(self._home)


def begin(root: Path, stage: int) -> Journal:
    """Begin a journal for the stage with the inode `stage` in the tree `root`.

    Raises:
        Rejected: FT515.
    """
    for folder in _candidates():
        with suppress(OSError):
            folder.mkdir(0o700, parents=True, exist_ok=True)
            home = _open_private(folder)
            if home is not None:
                return _new_journal(home, root, stage)
    headline = "there is no folder in which to note what is about to be written"
    how = "set XDG_STATE_HOME to a folder that you, and nobody else, can write to"
    raise Rejected([error("FT515", headline, str(root), help=how)])


def _new_journal(home: int, root: Path, stage: int) -> Journal:
    journal = Journal(home, _name(root), stage)
    try:
        journal.write([])
    except OSError:
        journal.close(forget=False)
        raise
    return journal


def reopen(root: Path, stage: int) -> Journal | None:
    """Return the journal that this user began on this machine for this stage, or None."""
    for folder in _candidates():
        with suppress(OSError):
            home = _open_private(folder)
            if home is None:
                continue
            steps = _read_steps(home, _name(root), stage)
            if steps is not None:
                return Journal(home, _name(root), stage, steps)
            os.close(home)
    return None


def _read_steps(home: int, name: str, stage: int) -> list[Step] | None:
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        inode, rows = json.loads(files.read(name, dir_fd=home, follow=False))
        steps = [Step(*row) for row in rows]
        if inode == stage and all(map(_is_valid, steps)):
            return steps
    return None


def _is_valid(step: Step) -> bool:
    """Return whether `write` could have recorded the step; a damaged journal holds others."""
    digests = all(digest is None or isinstance(digest, str) for digest in (step.old, step.new))
    return digests and bool(_STAGED.fullmatch(step.staged)) and (step.path == LOCK_NAME or not path_problem(step.path))


def _candidates() -> Iterator[Path]:
    """Yield the folders for a journal: the state folder of the XDG base directories, then one for temporary files.

    A container's home is often read-only or missing.
    """
    # Unlike `Path.home`, `expanduser` never fails.  A home that is missing is missing on purpose: do not create it.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    configured = os.environ.get("XDG_STATE_HOME", "")
    state = Path(configured) if configured else home / ".local/state"
    if state.is_absolute() and (configured or home.is_dir()):
        yield state / "ftgen"
    yield Path(os.environ.get("TMPDIR") or "/tmp") / f"ftgen-{os.geteuid()}"  # noqa: S108 - its owner is checked


def _open_private(folder: Path) -> int | None:
    """Return the descriptor of a folder that only this user can write to, or None."""
    home = os.open(folder, _FOLDER)
    status = os.fstat(home)
    if status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE:
        return home
    os.close(home)
    return None


def _name(root: Path) -> str:
    """Return the journal's file name: it names the machine too, as a home on a network share serves many."""
    return hashlib.sha256(b"\0".join([_machine(), os.fsencode(root)])).hexdigest()


def _machine() -> bytes:
    with suppress(OSError):
        machine_id = files.read("/etc/machine-id").strip()
        if machine_id:
            return machine_id
    return os.fsencode(os.uname().nodename)
