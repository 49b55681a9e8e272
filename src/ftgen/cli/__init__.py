"""The command line: the only place that prints and exits.

The first word is a verb only if it is one and holds no `=`; without one, ftgen renders.  Each verb is a
module of this package with a `run(arguments) -> int`, imported when it is called, so that `--help` and
completion pay for nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from importlib import import_module
from io import TextIOWrapper

from ftgen.cli.arguments import Usage, parse
from ftgen.diagnostics import Rejected

REJECTED, USAGE, BUG, INTERRUPTED = 1, 2, 70, 130

# Nothing outlives the process: searching all there is for cycles at its end would be a sixth of its time.
atexit.register(gc.freeze)


def main(argv: list[str] | None = None) -> int:
    """Run ftgen and return its exit code: 0 done, 1 rejected, 2 usage, 70 a bug in ftgen."""
    _speak_utf8()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except Usage as usage:
        _say(f"{usage}")
        return USAGE
    except KeyboardInterrupt:
        _say("interrupted; nothing was changed")
        return INTERRUPTED
    except OSError as problem:
        return _closed(problem)
    except Exception as bug:  # noqa: BLE001 - the one place where a bug becomes an exit code
        return _bug(bug)


def _run(words: list[str]) -> int:
    arguments = parse(words)
    # A command makes many small values and few cycles: fewer collections are a seventh of its time.
    gc.set_threshold(100_000, 50, 50)
    # Looking for plugins, pydantic would read the metadata of every installed package; ftgen has no use for one.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = int(import_module(f"ftgen.cli.{arguments.module}").run(arguments))
    except Rejected as rejected:
        from ftgen.cli import output  # noqa: PLC0415 - reporting is paid for when there is something to report

        code = output.reject(rejected, arguments)
    if arguments.told:
        from ftgen.cli import output  # noqa: PLC0415 - as above

        output.close(arguments)
    sys.stdout.flush()
    return code


def _speak_utf8() -> None:
    """The same bytes in every locale; what no encoding can carry is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _closed(problem: OSError) -> int:
    """Output that nobody reads any more (`| head`) is no failure; a full disk under it is."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(problem, BrokenPipeError):
        return 0
    _say(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}")
    return REJECTED


def _say(text: str) -> None:
    from ftgen import credentials  # noqa: PLC0415 - as above

    print(f"ftgen: {credentials.redact(text)}", file=sys.stderr)  # noqa: T201


def _bug(bug: Exception) -> int:
    if os.environ.get("FTGEN_TRACEBACK"):
        raise bug
    _say(
        f"internal error: {type(bug).__name__}: {bug}\n"
        "This is a bug in ftgen. Run again with FTGEN_TRACEBACK=1 and report what it prints."
    )
    return BUG
