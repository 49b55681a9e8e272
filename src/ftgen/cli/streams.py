"""The standard streams while a command runs: UTF-8 in every locale, and whatever became of the other end.

* Closed output (`>&-`) takes everything, as /dev/null does.
* Output that nobody reads any more (`| head`) is dropped: what the command found, and its exit code, stay the same.
* A standard error that cannot be written to is nobody's to read either.
* A standard output on a full disk is an error, and stays an `OSError`.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_READ_BY_NOBODY = frozenset({errno.EPIPE})
_WHATEVER = frozenset(errno.errorcode)


class _Sink(io.BufferedIOBase):
    """The bytes of a stream: what fails with an error that is to be ignored is dropped, and all that follows."""

    def __init__(self, under: Any, ignored: frozenset[int]) -> None:
        super().__init__()
        self._under = under
        self._ignored = ignored
        self._lost = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._under.isatty())

    def fileno(self) -> int:
        return int(self._under.fileno())

    def write(self, data: Any, /) -> int:
        with self._losing():
            if not self._lost:
                return int(self._under.write(data))
        return memoryview(data).nbytes

    def flush(self) -> None:
        with self._losing():
            if not self._lost:
                self._under.flush()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self._lost = True
            _discard(self._under)
            if problem.errno not in self._ignored:
                raise


def _discard(under: Any) -> None:
    """Let what a stream still holds go nowhere; Python would try it again when it ends, and fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, under.fileno())
        os.close(nowhere)


@contextmanager
def usable() -> Iterator[None]:
    """Have streams that can be used; the host's own come back."""
    kept = sys.stdout, sys.stderr
    _occupy()
    sys.stdout, sys.stderr = _writer(kept[0], _READ_BY_NOBODY), _writer(kept[1], _WHATEVER)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = kept


def _occupy() -> None:
    """Take the numbers of closed streams, which the next file would get, and what a child prints with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _writer(stream: TextIO | None, ignored: frozenset[int]) -> TextIO:
    """The stream in UTF-8; what no encoding can carry is shown escaped."""
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    sink: Any = _Sink(stream.buffer if stream is not None else io.BytesIO(), ignored)
    lines = stream is not None and stream.line_buffering
    return io.TextIOWrapper(sink, encoding="utf-8", errors="backslashreplace", line_buffering=lines)
