"""What a write is about to do to a tree, noted where nobody but its user can write.

Inside the tree a journal would come with a clone or a copy, and whoever made that would choose which files the next run
replaces and removes.  So it lies in the user's state folder, under a name made of the machine and the tree's path, and
says which stage it speaks of.  Paths and digests come from it alone; the stage holds nothing but content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from ftgen import files
from ftgen.diagnostics import Rejected, error
from ftgen.tree.lock import LOCK_NAME, path_problem

_OTHERS_MAY_WRITE = 0o022
_STAGED = re.compile(r"\d*")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Step:
    """Put the staged file `staged` at `path`, or remove what is there when `staged` is empty.

    Attributes:
        path: relative to the tree's root.
        staged: name in the stage.
        old: digest of what was at `path` before; None for nothing.
        new: digest of the staged file; None for a removal.
    """

    path: str
    staged: str
    old: str | None
    new: str | None


class Journal:
    """The steps of one write.

    Attributes:
        steps: what was promised and is not finished; without any, the stage holds nothing that is needed.
    """

    def __init__(self, home: int, name: str, stage: int, steps: Sequence[Step] = ()) -> None:
        """Take over the open folder `home`; `stage` is the inode of the stage."""
        self._home, self._name, self._stage = home, name, stage
        self.steps = steps

    def write(self, steps: Sequence[Step], *, durable: bool = False) -> None:
        """Note the steps, all or none of them.

        Raises:
            OSError: they cannot be noted; what was noted before holds.
        """
        text = json.dumps([self._stage, [astuple(step) for step in steps]])
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
        """Close the journal, and remove it when nothing is left to be done."""
        if forget:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._home)
        os.close(self._home)


def begin(root: Path, stage: int) -> Journal:
    """A journal for the stage with the inode `stage` in the tree `root`.

    Raises:
        Rejected: FT515.
    """
    for place in _places():
        with suppress(OSError):
            place.mkdir(0o700, parents=True, exist_ok=True)
            home = _own(place)
            if home is not None:
                return _begun(home, root, stage)
    told = "there is no folder in which to note what is about to be written"
    how = "set XDG_STATE_HOME to a folder that you, and nobody else, can write to"
    raise Rejected([error("FT515", told, str(root), help=how)])


def _begun(home: int, root: Path, stage: int) -> Journal:
    journal = Journal(home, _name(root), stage)
    try:
        journal.write([])
    except OSError:
        journal.close(forget=False)
        raise
    return journal


def reopen(root: Path, stage: int) -> Journal | None:
    """The journal that this user began on this machine for this very stage, or None."""
    for place in _places():
        with suppress(OSError):
            home = _own(place)
            if home is None:
                continue
            steps = _noted(home, _name(root), stage)
            if steps is not None:
                return Journal(home, _name(root), stage, steps)
            os.close(home)
    return None


def _noted(home: int, name: str, stage: int) -> list[Step] | None:
    with suppress(OSError, ValueError, TypeError, RecursionError):
        noted, rows = json.loads(files.read(name, dir_fd=home, follow=False))
        steps = [Step(*row) for row in rows]
        if noted == stage and all(map(_is_sound, steps)):
            return steps
    return None


def _is_sound(step: Step) -> bool:
    """Whether the step is one that `write` could have noted: a damaged journal is none."""
    digests = all(digest is None or isinstance(digest, str) for digest in (step.old, step.new))
    return digests and bool(_STAGED.fullmatch(step.staged)) and (step.path == LOCK_NAME or not path_problem(step.path))


def _places() -> Iterator[Path]:
    """Where the journal may lie: the state folder of the XDG base directories, else one for temporary files.

    A container's home is often read-only or missing.
    """
    # Unlike `Path.home`, it gives a text in any case; a home that is missing is missing on purpose, and is not created.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    told = os.environ.get("XDG_STATE_HOME", "")
    state = Path(told) if told else home / ".local/state"
    if state.is_absolute() and (told or home.is_dir()):
        yield state / "ftgen"
    yield Path(os.environ.get("TMPDIR") or "/tmp") / f"ftgen-{os.geteuid()}"  # noqa: S108 - its owner is looked at


def _own(place: Path) -> int | None:
    """The open folder, where nobody else can have written into it."""
    home = os.open(place, _FOLDER)
    status = os.fstat(home)
    if status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE:
        return home
    os.close(home)
    return None


def _name(root: Path) -> str:
    """One name for a tree on a machine: a home on a network share serves many."""
    return hashlib.sha256(b"\0".join([_machine(), os.fsencode(root)])).hexdigest()


def _machine() -> bytes:
    with suppress(OSError):
        told = files.read("/etc/machine-id").strip()
        if told:
            return told
    return os.fsencode(os.uname().nodename)
