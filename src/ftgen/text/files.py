"""Read files from outside: a clone, a cache, a user's folder.

A path may lead to a device, a FIFO or a file of many gigabytes, by mistake or by malice.  Opening such a file with
`Path.read_bytes` blocks or exhausts memory, so every module that reads a file reads it here.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ftgen.diagnostics import Location, Rejected, error

MIB = 1 << 20
LARGEST = 64 * MIB
"""Largest file or stream that is read, in bytes: a thousand jobs in one stream take less."""
LARGEST_SOURCE = 4 * MIB
"""Largest configuration file, overlay or script, in bytes: the API server stores objects below 1.5 MiB."""
DEEPEST = 100
"""Largest number of folders in each other that are looked into: a path of more is nobody's, and may be no path."""

_MANIFESTS = (".yaml", ".yml", ".json")
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def read(
    path: str | Path,
    *,
    at_most: int = LARGEST,
    within: Path | None = None,
    dir_fd: int | None = None,
    follow: bool = True,
) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file; relative to the open folder `dir_fd` where one is given.
        at_most: largest acceptable size in bytes; a larger file is refused before it is read.
        within: folder that the file must lie in, after every link is followed.
        dir_fd: descriptor of an open folder.
        follow: whether a symbolic link as the last component is followed.

    Raises:
        OSError: the file is missing, unreadable, no regular file (`EINVAL`), too large (`EFBIG`), outside of
            `within` (`EXDEV`) or a link that must not be followed (`ELOOP`); `strerror` completes the sentence
            "<path> cannot be read: …".
    """
    if within is not None:
        _keep_inside(path, within)
    handle = _open(path, dir_fd, follow=follow)
    with open(handle, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        _refuse_irregular(os.fstat(handle), at_most, path)
        return _bounded(file, at_most, path)


@contextmanager
def streamed(path: str | Path, *, within: Path | None = None) -> Iterator[BinaryIO]:
    """Open a regular file of any size, for those who read it piece by piece and bound what they keep.

    Args:
        path: the file.
        within: folder that the file must lie in, after every link is followed.

    Raises:
        OSError: see `read`.
    """
    if within is not None:
        _keep_inside(path, within)
    handle = _open(path, None, follow=True)
    with open(handle, "rb", buffering=MIB) as file:  # noqa: PTH123 - a descriptor has no path
        _refuse_irregular(os.fstat(handle), sys.maxsize, path)
        yield file


def _open(path: str | Path, dir_fd: int | None, *, follow: bool) -> int:
    # A FIFO without a writer would block the open itself, and a terminal would become the process's own.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    return os.open(path, flags, dir_fd=dir_fd)


def _refuse_irregular(status: os.stat_result, at_most: int, path: str | Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    if status.st_size > at_most:
        raise _too_large(at_most, path)


def check(path: Path, *, at_most: int) -> None:
    """Refuse, as `read` does, a file that another program will read; accept a missing one.

    A socket is accepted, because it cannot be opened and so blocks no program.

    Raises:
        OSError: see `read`.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        _refuse_irregular(status, at_most, path)


def resolved(path: str | Path) -> Path:
    """Return the real path, with links followed as far as possible.

    Before Python 3.13, `Path.resolve` raises RuntimeError for a link to itself; here, only reading such a path fails.
    """
    return Path(os.path.realpath(path))


def displayed(path: Path, directory: Path) -> str:
    """Return the path as the user would type it from `directory`; a path outside of it stays as it is."""
    try:
        return str(resolved(path).relative_to(resolved(directory)))
    except ValueError:
        return str(path)


def is_there(path: Path) -> bool:
    """Return whether a path exists and is no folder.

    A broken link or a FIFO counts, because it was meant as a file: reading it reports the problem, but skipping it
    would silently select another file.
    """
    return path.is_file() or (os.path.lexists(path) and not path.is_dir())


def repository_of(folder: Path) -> Path:
    """Return the real path of the repository that holds a folder, found by its `.git`; without one, of the folder.

    A link in a clone may lead anywhere: what lies outside is read and written only where the user names it.
    """
    real = resolved(folder)
    return next((parent for parent in (real, *real.parents) if os.path.lexists(parent / ".git")), real)


def leads_out(path: Path) -> bool:
    """Return whether a path is a link that leads out of the repository of the folder that it lies in."""
    return path.is_symlink() and not resolved(path).is_relative_to(repository_of(path.parent))


def unnamed_folder(folder: Path) -> Path:
    """Return a default folder that the user did not name, such as `out` and `conf`, for a clone may bring it.

    Raises:
        Rejected: FT501, it leads out of the repository; see `leads_out`.
    """
    if leads_out(folder):
        found, repository = resolved(folder), repository_of(folder.parent)
        headline = f"{folder} is a link that leads to {found}, out of {repository}"
        help_ = "remove the link, or name the folder where it leads, as by -o, --config-dir or overlays=[…]"
        raise Rejected([error("FT501", headline, str(folder), str(found), help=help_)])
    return folder


def manifests(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield the `.yaml`, `.yml` and `.json` files below a folder, sorted, without hidden files and folders.

    Yields:
        the file, and for a link the repository that holds the folder: the link may have come with a clone, and what
        it leads to must lie within.

    Raises:
        Rejected: FT002, the folder cannot be walked; see `below`.
    """
    try:
        named = [Path(entry.path) for entry in below(folder, enters=is_visible) if is_visible(entry.name)]
    except OSError as problem:
        raise unreadable(folder, problem) from None
    found = (path for path in named if path.suffix in _MANIFESTS and is_there(path))
    for path in sorted(found, key=str):
        yield path, repository_of(folder) if path.is_symlink() else None


def is_visible(name: str) -> bool:
    """Return whether a name in a folder is not hidden."""
    return not name.startswith(".")


def below(
    folder: Path, *, enters: Callable[[str], bool] = lambda _name: True, follow: bool = False
) -> Iterator[os.DirEntry[str]]:
    """Yield whatever lies below a folder, at any depth that somebody needs; skip what may not be listed.

    `os.walk` and `Path.rglob` call themselves for each folder in a folder, so that a deep one ends in RecursionError.

    Args:
        folder: the folder; it may be a link.
        enters: whether a folder of a name is looked into.
        follow: whether a link to a folder is looked into; each folder is then looked into once.

    Raises:
        OSError: folders lie in each other more than `DEEPEST` deep (`ENAMETOOLONG`), or one cannot be listed;
            `strerror` completes the sentence "<path> cannot be read: …".
    """
    pending, seen = [(str(folder), 0)], set[tuple[int, int]]()
    while pending:
        current, depth = pending.pop()
        if depth > DEEPEST:
            raise OSError(errno.ENAMETOOLONG, f"it holds folders in each other, more than {DEEPEST} deep", str(folder))
        with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            if follow and _was_seen(current, seen):
                continue
            with os.scandir(current) as listed:
                for entry in listed:
                    yield entry
                    if is_folder(entry, follow=follow) and enters(entry.name):
                        pending.append((entry.path, depth + 1))


def _was_seen(folder: str, seen: set[tuple[int, int]]) -> bool:
    status = os.stat(folder)  # noqa: PTH116 - an entry of a folder is a text
    key = (status.st_dev, status.st_ino)
    was_seen = key in seen
    seen.add(key)
    return was_seen


def is_folder(entry: os.DirEntry[str], *, follow: bool = False) -> bool:
    """Return whether an entry is a folder, or with `follow` a link to one."""
    with suppress(OSError):  # a link to itself
        return entry.is_dir(follow_symlinks=follow)
    return False


def unreadable(folder: str | Path, problem: OSError) -> Rejected:
    """Return the diagnostic that a folder cannot be walked; see `below`."""
    headline = f"{folder} cannot be read: {problem.strerror}"
    return Rejected([error("FT002", headline, help="name the files, or a folder in it").at(Location(str(folder)))])


def read_stream(stream: BinaryIO, name: str, *, at_most: int = LARGEST) -> bytes:
    """Return all bytes of a stream that the user passed explicitly.

    Raises:
        OSError: it holds more than `at_most` bytes (`EFBIG`).
    """
    return _bounded(stream, at_most, name)


def _keep_inside(path: str | Path, folder: Path) -> None:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(os.path.realpath(folder)):
        raise OSError(errno.EXDEV, f"it leads to {target}, outside of {folder}", str(path))


def _bounded(file: BinaryIO, at_most: int, name: str | Path) -> bytes:
    """Read to the end, not to the file's size: the file may grow, and files of /proc report no size."""
    content = bytearray()
    while piece := file.read(min(at_most + 1 - len(content), MIB)):
        content += piece
        if len(content) > at_most:
            raise _too_large(at_most, name)
    return bytes(content)


def _too_large(at_most: int, name: str | Path) -> OSError:
    return OSError(errno.EFBIG, f"it holds more than {at_most // MIB} MiB", str(name))
