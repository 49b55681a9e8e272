"""Access to folders and files below a root, one path component at a time, so that no link leads out of the root.

Between the check of a path and its use, a folder can be swapped for a link.  So each folder is opened from its parent
without following links, and every operation in a folder uses its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ftgen.text import files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST = 64
"""Largest number of open folders: a sweep's files lie in one, and a process may open a thousand files."""


class Blocked(NotADirectoryError):  # noqa: N818 - an obstacle, as the system reports it
    """Link or file where a path needs a folder; `filename` is its path below the root."""


class Walk:
    """Root folder and the folders below it, opened when they are needed.

    The root itself is the user's choice and may be a link.
    """

    def __init__(self, root: Path) -> None:
        """Open the root, if it exists.

        Raises:
            OSError: it cannot be opened, or is no folder.
        """
        self._open: dict[str, int] = {}
        # Folders that `status` found missing: a new sweep asks of a thousand paths in one.
        self._missing: set[str] = set()
        with suppress(FileNotFoundError):
            self._open[""] = os.open(root, _FOLDER)

    def __del__(self) -> None:
        """Close every folder when the object is deleted."""
        self.close()

    def close(self) -> None:
        """Close every folder."""
        while self._open:
            os.close(self._open.popitem()[1])

    def refresh(self) -> None:
        """Close all folders but the root, so that moved or swapped ones are opened anew."""
        top = self._open.pop("")
        self.close()
        self._missing.clear()
        self._open[""] = top

    def at(self, folder: str) -> int:
        """Return the descriptor of a folder; it is valid until the next call.

        Raises:
            FileNotFoundError: there is none.
            Blocked: a link or a file is in its way.
        """
        handle = self._open.get(folder)
        return self._descend(folder) if handle is None else handle

    def _descend(self, folder: str) -> int:
        if "" not in self._open:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        closed: list[str] = []
        # From the innermost open one: of a chain of a thousand folders, each would else open all above it again.
        while folder not in self._open:
            closed.append(folder)
            folder = folder.rpartition("/")[0]
        parent = self._open[folder]
        for path in reversed(closed):
            parent = self._enter(parent, path.rpartition("/")[2], path)
        return parent

    def _enter(self, parent: int, name: str, path: str) -> int:
        try:
            handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
        except NotADirectoryError as problem:
            raise Blocked(problem.errno, problem.strerror, path) from None
        if len(self._open) > _MOST:
            os.close(self._open.pop(next(folder for folder in self._open if folder)))
        self._open[path] = handle
        return handle

    def parent(self, path: str) -> tuple[int, str]:
        """Return the descriptor of the folder that `path` lies in, and its name there; raise as `at` does."""
        folder, _, name = path.rpartition("/")
        return self.at(folder), name

    def status(self, path: str) -> os.stat_result | None:
        """Return the status of `path`, of a link itself and not its target; None if nothing is there.

        A folder that was missing counts as missing until `make` or `refresh`.

        Raises:
            Blocked: a link or a file is in its way.
        """
        folder, _, name = path.rpartition("/")
        if folder in self._missing:
            return None
        try:
            return os.stat(name, dir_fd=self.at(folder), follow_symlinks=False)
        except FileNotFoundError:
            if folder not in self._open:
                self._missing.add(folder)
            return None

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the regular file at `path`; None if nothing is there.

        Raises:
            OSError: something else is there, see `files.read`; `Blocked`.
        """
        with suppress(FileNotFoundError):
            parent, name = self.parent(path)
            return files.read(name, dir_fd=parent, follow=False)
        return None

    def names(self) -> list[str]:
        """Return the names in the root."""
        return os.listdir(self._open[""]) if self._open else []  # noqa: PTH208 - a descriptor has no path

    def files(self, folder: str) -> Iterator[str]:
        """Yield the paths below a folder of all that is no folder, sorted in each; a link is not followed.

        Raises:
            OSError: a folder cannot be read; `Blocked`.
        """
        pending = [folder]
        while pending:
            current = pending.pop()
            for name in sorted(os.listdir(self.at(current))):  # noqa: PTH208 - a descriptor has no path
                path = f"{current}/{name}"
                status = self.status(path)
                if status is not None and stat.S_ISDIR(status.st_mode):
                    pending.append(path)
                else:
                    yield path

    def make(self, folder: str) -> list[str]:
        """Create a folder and its parents; return the created ones, innermost first.

        Raises:
            OSError: one cannot be created, and none is left behind; `Blocked`.
        """
        self._missing.clear()
        created: list[str] = []
        parts = folder.split("/") if folder else []
        try:
            for count in range(1, len(parts) + 1):
                path = "/".join(parts[:count])
                if self.status(path) is None:
                    parent, name = self.parent(path)
                    os.mkdir(name, dir_fd=parent)
                    created.insert(0, path)
            self.at(folder)
        except OSError:
            self.remove_empty(created)
            raise
        return created

    def remove_empty(self, folders: Iterable[str]) -> None:
        """Remove folders, innermost first, up to the first that is not empty."""
        with suppress(OSError):
            for folder in folders:
                parent, name = self.parent(folder)
                os.rmdir(name, dir_fd=parent)
                if folder in self._open:
                    os.close(self._open.pop(folder))


def kind_of(status: os.stat_result) -> str:
    """Return the kind of a directory entry in words; empty for a regular file."""
    return next((words for test, words in _KINDS if test(status.st_mode)), "")


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "a device"),
)
