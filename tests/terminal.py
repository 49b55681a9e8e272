"""A command on a real pseudo-terminal: what it shows there, and what is typed to it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FTGEN = Path(sys.executable).with_name("ftgen")


def on_terminal(
    words: Sequence[str | Path],
    cwd: Path,
    *,
    typed: bytes = b"",
    when: bytes = b"",
    env: Mapping[str, str] | None = None,
    limit: float = 60,
) -> tuple[int, str]:
    """Run a command whose standard streams are a terminal; return its exit code and all that it showed.

    What is typed is typed when the command has shown `when`.
    """
    plain = {name: value for name, value in os.environ.items() if name not in _COLOURS}
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [str(word) for word in words],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - one system call
        env={**plain, "TERM": "xterm-256color", **(env or {})},
    )
    os.close(theirs)
    shown, end = b"", time.monotonic() + limit
    while time.monotonic() < end:
        if typed and when in shown:
            os.write(ours, typed)
            typed = b""
        ready, _, _ = select.select([ours], [], [], 0.2)
        try:
            shown += os.read(ours, 1 << 16) if ready else b""
        except OSError:  # the last writer has closed it
            break
    else:
        child.kill()
    os.close(ours)
    return child.wait(), shown.decode("utf-8", "replace").replace("\r\n", "\n")


def _take_terminal() -> None:
    """Make standard input the terminal that controls this session, so that Ctrl-C typed there is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


_COLOURS = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"}
