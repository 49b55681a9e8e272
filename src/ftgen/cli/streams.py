"""Standard streams of a command: UTF-8 in every locale, and safe to write to.

* Closed output (`>&-`) acts as /dev/null.
* Output to a closed pipe (`| head`) is dropped; the exit code stays the same.
* Output to a broken standard error is dropped.
* Standard output on a full disk raises `OSError`.

Also: whether they are coloured, and the one line of a terminal that is drawn anew.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_NARROWEST = 60
_WIDTH_OF_A_FILE = 120
_CLOSED_PIPE = frozenset({errno.EPIPE})
_ANY_ERROR = frozenset(errno.errorcode)


class _Sink(io.BufferedIOBase):
    """Byte stream that drops all output after its first failed write; it raises unless the error is an ignored one."""

    def __init__(self, under: Any, ignored: frozenset[int]) -> None:
        super().__init__()
        self._under = under
        self._ignored = ignored
        self._broken = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._under.isatty())

    def fileno(self) -> int:
        return int(self._under.fileno())

    def write(self, data: Any, /) -> int:
        with self._dropping():
            if not self._broken:
                return int(self._under.write(data))
        return memoryview(data).nbytes

    def flush(self) -> None:
        with self._dropping():
            if not self._broken:
                self._under.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self._broken = True
            _discard(self._under)
            if problem.errno not in self._ignored:
                raise


def _discard(under: Any) -> None:
    """Redirect a stream to /dev/null, buffered output included: Python would write it at exit again, and fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, under.fileno())
        os.close(nowhere)


@contextmanager
def usable() -> Iterator[None]:
    """Replace the standard streams by usable ones; restore the caller's afterwards."""
    original = sys.stdout, sys.stderr
    _occupy()
    sys.stdout, sys.stderr = _writer(original[0], _CLOSED_PIPE), _writer(original[1], _ANY_ERROR)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = original


def coloured(stream: TextIO, choice: str = "auto") -> bool:
    """Return whether what is written to a stream is coloured.

    `--color` decides, else NO_COLOR (https://no-color.org), else FORCE_COLOR (https://force-color.org) and
    CLICOLOR_FORCE (https://bixense.com/clicolors), else CLICOLOR=0 and whether the stream is a terminal with colours.
    """
    environ = os.environ
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return environ.get("CLICOLOR") != "0" and environ.get("TERM") != "dumb" and stream.isatty()


def painted(text: str, colour: str) -> str:
    """Return the text in a colour of ECMA-48, such as 31 for red, or 1;31 for bold red."""
    return f"\x1b[{colour}m{text}\x1b[0m"


class _Drawn:
    """Whether the last line of the terminal is one that the next output replaces."""

    is_there = False


def draw(line: str) -> None:
    """Write a line on the terminal in place of the one that was drawn before."""
    sys.stderr.write(f"\r\x1b[K{line}")
    sys.stderr.flush()
    _Drawn.is_there = True


def erase() -> None:
    """Take the drawn line away, if there is one: ordinary output follows."""
    if _Drawn.is_there:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
        _Drawn.is_there = False


def _occupy() -> None:
    """Open /dev/null as each closed standard stream, whose number the next opened file would get."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _writer(stream: TextIO | None, ignored: frozenset[int]) -> TextIO:
    """Return the stream as a UTF-8 text stream; lone surrogates are written escaped."""
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    sink: Any = _Sink(stream.buffer if stream is not None else io.BytesIO(), ignored)
    lines = stream is not None and stream.line_buffering
    return io.TextIOWrapper(sink, encoding="utf-8", errors="backslashreplace", line_buffering=lines)


def width() -> int:
    """Return the columns that tables may take: those of the terminal, or of COLUMNS, or 120 for a file."""
    return max(_NARROWEST, shutil.get_terminal_size((_WIDTH_OF_A_FILE, 24)).columns)
