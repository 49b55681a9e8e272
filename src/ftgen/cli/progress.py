"""Progress of slow work on standard error.

On a terminal it is one line that is drawn anew, and gone when the work is done; elsewhere, as in CI, a plain line every
ten seconds.  Nothing is shown of what takes under a second, with --quiet, or where standard error is a document.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from msgspec import Struct

from ftgen.cli import streams
from ftgen.cli.arguments import Arguments, is_terminal

Item = TypeVar("Item")

_BAR = 24
_DOCUMENTS = ("json", "sarif")


class _Display(Struct, frozen=True):
    """Where and how often progress is shown.

    Attributes:
        delay: seconds before the first time.
        interval: seconds between two times.
        live: whether a line replaces the one before it.
    """

    delay: float
    interval: float
    live: bool

    def show(self, text: str) -> None:
        if self.live:
            streams.draw(text[: _columns() - 1])
        else:
            sys.stderr.write(f"ftgen: {text}\n")
            sys.stderr.flush()


_LINE = _Display(1.0, 0.1, live=True)
_LOG = _Display(10.0, 10.0, live=False)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def _display(arguments: Arguments) -> _Display | None:
    flags = arguments.flags
    if flags.quiet or flags.format in _DOCUMENTS:
        return None
    return _LINE if is_terminal() and os.environ.get("TERM") != "dumb" else _LOG


class Meter:
    """Counted work: how much is done, how fast, and how long the rest will take at that speed."""

    def __init__(self, what: str, unit: str, arguments: Arguments, total: int | None = None) -> None:
        """Begin.

        Args:
            what: the work, such as `checking`.
            unit: what is counted, such as `files`.
            arguments: the command line.
            total: how many there are; None where nobody knows.
        """
        self._what, self._unit, self._total = what, unit, total
        self._display = _display(arguments)
        self._begin = time.monotonic()
        self._due = self._begin + (self._display.delay if self._display else 0)
        self._done = 0

    def __call__(self, done: int) -> None:
        """Take note of how many are done."""
        self._done = done
        if done == self._total:
            self.end()
        elif self._display and time.monotonic() >= self._due:
            self._display.show(self.text(time.monotonic() - self._begin))
            self._due = time.monotonic() + self._display.interval

    def advance(self, count: int) -> None:
        """Take note of more that are done."""
        self(self._done + count)

    def end(self) -> None:
        """Take the line away, as the work is over."""
        if self._display and self._display.live:
            streams.erase()

    def text(self, seconds: float) -> str:
        """Return the line after some seconds of work."""
        rate = self._done / seconds if seconds else 0.0
        speed = f"{rate:,.0f}/s" if rate >= _WHOLE else f"{rate:.1f}/s"
        if self._total is None:
            return f"{self._what}: {self._done:,} {self._unit}, {speed}"
        filled = _BAR * self._done // max(self._total, 1)
        left = f", {duration((self._total - self._done) / rate)} left" if rate else ""
        bar = f"[{'#' * filled}{' ' * (_BAR - filled)}]"
        return f"{self._what} {bar} {self._done:,}/{self._total:,} {self._unit}, {speed}{left}"


_WHOLE = 10  # a smaller rate has a decimal


def duration(seconds: float) -> str:
    """Write a time by its two largest units: `9s`, `2m05s`, `1h03m`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def over(items: Sequence[Item], what: str, unit: str, arguments: Arguments) -> Iterator[Item]:
    """Yield the items, and show how many of them are done."""
    meter = Meter(what, unit, arguments, len(items))
    try:
        for done, item in enumerate(items):
            meter(done)
            yield item
    finally:
        meter.end()


@contextmanager
def steps(arguments: Arguments) -> Iterator[Callable[[str], None]]:
    """Yield a function that names the step that begins; how long it takes is shown until the next, or the end.

    For work that only waits, for git or a cluster: a thread of its own watches the clock.
    """
    display = _display(arguments)
    if display is None:
        yield lambda _: None
        return
    from threading import Event, Thread  # noqa: PLC0415 - most commands wait for nobody

    current, over = [("", time.monotonic())], Event()

    def begin(step: str) -> None:
        current[0] = step, time.monotonic()

    def watch() -> None:
        pause = display.delay
        while not over.wait(pause):
            step, since = current[0]
            if step:
                display.show(f"{step} ({duration(time.monotonic() - since)})")
            pause = display.interval

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield begin
    finally:
        over.set()
        watcher.join()
        if display.live:
            streams.erase()
