"""The command line: the only place that prints and exits.

The first word is a verb only if it is one and holds no `=`; without one, ftgen renders.  Each verb is a
module of this package with a `run(arguments) -> int`, imported when it is called, so that `--help` and
completion pay for nothing else.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from ftgen.cli.arguments import Usage, parse
from ftgen.diagnostics import Rejected

REJECTED, USAGE, BUG, INTERRUPTED = 1, 2, 70, 130


def main(argv: list[str] | None = None) -> int:
    """Run ftgen and return its exit code: 0 done, 1 rejected, 2 usage, 70 a bug in ftgen."""
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = parse(words)
    except Usage as usage:
        print(f"ftgen: {usage}", file=sys.stderr)  # noqa: T201
        return USAGE
    try:
        code = import_module(f"ftgen.cli.{arguments.module}").run(arguments)
        sys.stdout.flush()
    except Usage as usage:
        print(f"ftgen: {usage}", file=sys.stderr)  # noqa: T201
        return USAGE
    except Rejected as rejected:
        return arguments.reject(rejected)
    except KeyboardInterrupt:
        print("ftgen: interrupted; nothing was changed", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as bug:  # noqa: BLE001 - the one place where a bug becomes an exit code
        return _bug(bug)
    return int(code)


def _bug(bug: Exception) -> int:
    if os.environ.get("FTGEN_TRACEBACK"):
        raise bug
    print(  # noqa: T201
        f"ftgen: internal error: {type(bug).__name__}: {bug}\n"
        "This is a bug in ftgen. Run again with FTGEN_TRACEBACK=1 and report what it prints.",
        file=sys.stderr,
    )
    return BUG
