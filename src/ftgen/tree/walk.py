"""Folders and files below a root, reached one component at a time so that no link leads elsewhere.

Whoever checks a path first and uses it afterwards leaves time to swap a folder for a link.  Here each folder is opened
from the one above it without following links, and what is done in a folder goes by its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ftgen import files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST = 64
"""Folders that stay open: a sweep's files lie in one, and a process may open a thousand files."""


class Blocked(NotADirectoryError):  # noqa: N818 - what stands in the way, as the system tells it
    """A link, or a file, where a path needs a folder; `filename` is its path below the root."""


class Walk:
    """A root and the folders below it, opened as they are needed.

    The root itself is the user's choice and may be a link.
    """

    def __init__(self, root: Path) -> None:
        """Open the root, where there is one.

        Raises:
            OSError: it cannot be opened, or is no folder.
        """
        self._open: dict[str, int] = {}
        with suppress(FileNotFoundError):
            self._open[""] = os.open(root, _FOLDER)

    def __del__(self) -> None:
        """Close what is open when nobody holds the walk any more."""
        self.close()

    def close(self) -> None:
        """Close every folder."""
        while self._open:
            os.close(self._open.popitem()[1])

    def refresh(self) -> None:
        """Close all but the root: what has been moved or swapped since is looked up anew."""
        top = self._open.pop("")
        self.close()
        self._open[""] = top

    def at(self, folder: str) -> int:
        """The descriptor of a folder, to be used before the next call.

        Raises:
            FileNotFoundError: there is none.
            Blocked: a link or a file is in its way.
        """
        known = self._open.get(folder)
        return self._descend(folder) if known is None else known

    def _descend(self, folder: str) -> int:
        if "" not in self._open:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        above, path = self._open[""], ""
        for name in folder.split("/"):
            path = f"{path}/{name}" if path else name
            known = self._open.get(path)
            above = self._enter(above, name, path) if known is None else known
        return above

    def _enter(self, above: int, name: str, path: str) -> int:
        try:
            handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
        except NotADirectoryError as problem:
            raise Blocked(problem.errno, problem.strerror, path) from None
        if len(self._open) > _MOST:
            os.close(self._open.pop(next(folder for folder in self._open if folder)))
        self._open[path] = handle
        return handle

    def place(self, path: str) -> tuple[int, str]:
        """The descriptor of the folder that `path` lies in, and its name there; raises as `at` does."""
        folder, _, name = path.rpartition("/")
        return self.at(folder), name

    def status(self, path: str) -> os.stat_result | None:
        """What is at `path`, a link itself and not its target; None where nothing is.

        Raises:
            Blocked: a link or a file is in its way.
        """
        with suppress(FileNotFoundError):
            above, name = self.place(path)
            return os.stat(name, dir_fd=above, follow_symlinks=False)
        return None

    def read(self, path: str) -> bytes | None:
        """The bytes of the regular file at `path`; None where nothing is.

        Raises:
            OSError: something else is there, as `files.read` tells; `Blocked`.
        """
        with suppress(FileNotFoundError):
            above, name = self.place(path)
            return files.read(name, dir_fd=above, follow=False)
        return None

    def names(self) -> list[str]:
        """The names in the root."""
        return os.listdir(self._open[""]) if self._open else []  # noqa: PTH208 - a descriptor has no path

    def make(self, folder: str) -> list[str]:
        """Create a folder and those above it; return the ones created, innermost first.

        Raises:
            OSError: one cannot be created, and none was; `Blocked`.
        """
        made: list[str] = []
        parts = folder.split("/") if folder else []
        try:
            for count in range(1, len(parts) + 1):
                path = "/".join(parts[:count])
                if self.status(path) is None:
                    above, name = self.place(path)
                    os.mkdir(name, dir_fd=above)
                    made.insert(0, path)
            self.at(folder)
        except OSError:
            self.remove_empty(made)
            raise
        return made

    def remove_empty(self, folders: Iterable[str]) -> None:
        """Remove folders, innermost first, up to the first that is not empty."""
        with suppress(OSError):
            for folder in folders:
                above, name = self.place(folder)
                os.rmdir(name, dir_fd=above)
                if folder in self._open:
                    os.close(self._open.pop(folder))


def kind_of(status: os.stat_result) -> str:
    """What a directory entry is, in words; empty for a regular file."""
    return next((words for test, words in _KINDS if test(status.st_mode)), "")


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "a device"),
)
