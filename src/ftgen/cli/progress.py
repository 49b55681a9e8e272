"""A bar on stderr for expansions that take a while; nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from ftgen.cli.arguments import Arguments, is_terminal

_PATIENCE = 0.5
_EVERY = 0.1
_WIDTH = 30


def bar(total: int, arguments: Arguments) -> Callable[[int], None]:
    """Hears how many of `total` are done; draws only on a terminal, and only when it takes long."""
    if arguments.flags.quiet or not is_terminal():
        return lambda _: None
    due = time.monotonic() + _PATIENCE
    drawn = False

    def draw(done: int) -> None:
        nonlocal due, drawn
        if done == total and drawn:
            sys.stderr.write("\r\x1b[K")
        elif time.monotonic() >= due:
            filled = _WIDTH * done // total
            sys.stderr.write(f"\r  [{'#' * filled}{' ' * (_WIDTH - filled)}] {done}/{total}")
            sys.stderr.flush()
            due, drawn = time.monotonic() + _EVERY, True

    return draw
