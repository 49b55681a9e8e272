"""Progress bar on stderr for slow expansions; none where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from ftgen.cli.arguments import Arguments, is_terminal

_DELAY_S = 0.5
_INTERVAL_S = 0.1
_WIDTH = 30


def bar(total: int, arguments: Arguments) -> Callable[[int], None]:
    """Return a callback for the number done of `total`; it draws on a terminal only, after half a second."""
    if arguments.flags.quiet or not is_terminal():
        return lambda _: None
    due = time.monotonic() + _DELAY_S
    drawn = False

    def draw(done: int) -> None:
        nonlocal due, drawn
        if done == total:
            sys.stderr.write("\r\x1b[K" if drawn else "")
        elif time.monotonic() >= due:
            filled = _WIDTH * done // total
            sys.stderr.write(f"\r  [{'#' * filled}{' ' * (_WIDTH - filled)}] {done}/{total}")
            sys.stderr.flush()
            due, drawn = time.monotonic() + _INTERVAL_S, True

    return draw
