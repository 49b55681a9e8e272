"""Command line: the only package that prints and exits.

The first word is a verb if `arguments.VERBS` lists it; otherwise ftgen renders.  Each verb is a module of this
package with a `run(arguments) -> int`, imported when it is called, so that `--help` and completion load nothing
else.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

from ftgen import runtime
from ftgen.cli import streams
from ftgen.cli.arguments import Usage, parse
from ftgen.diagnostics import Rejected

REJECTED, USAGE, BUG, INTERRUPTED = 1, 2, 70, 130


def program() -> NoReturn:
    """Run ftgen as the only work of this process, and end it; also for `python -m ftgen`."""
    runtime.rarely_collect()
    runtime.end(main())


def complete_for_kubectl() -> NoReturn:
    """Print the completions of the words after `kubectl ftgen`, as kubectl asks for them, and end the process."""
    runtime.end(main(["-sc", "query=kubectl", "--", *sys.argv[1:]]))


def main(argv: list[str] | None = None) -> int:
    """Run ftgen and return its exit code: 0 done, 1 rejected, 2 usage, 70 a bug in ftgen.

    Restores the state of the process, so that a program may call it any number of times.
    """
    with streams.usable():
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        except Usage as usage:
            _print_error(f"{usage}")
            return USAGE
        except KeyboardInterrupt:
            _print_error("interrupted; nothing was changed")
            return INTERRUPTED
        except OSError as problem:
            _print_error(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}")
            return REJECTED
        except Exception as bug:  # noqa: BLE001 - the one place where a bug becomes an exit code
            return _bug(bug)


def _run(words: list[str]) -> int:
    arguments = parse(words)
    # To find plugins, pydantic would read the metadata of every installed package; ftgen uses none.
    with runtime.few_collections(), runtime.variable("PYDANTIC_DISABLE_PLUGINS", "__all__"):
        try:
            code = int(import_module(f"ftgen.cli.{arguments.module}").run(arguments))
        except Rejected as rejected:
            from ftgen.cli import output  # noqa: PLC0415 - loaded only when there is something to report

            code = output.reject(rejected, arguments)
        finally:
            if arguments.deferred:
                from ftgen.cli import output  # noqa: PLC0415 - as above

                output.print_deferred(arguments)
    sys.stdout.flush()
    return code


def _print_error(text: str) -> None:
    from ftgen.diagnostics import credentials  # noqa: PLC0415 - as above
    from ftgen.text.lines import visible  # noqa: PLC0415 - as above

    streams.erase()
    print(f"ftgen: {visible(credentials.redact(text))}", file=sys.stderr)  # noqa: T201


def _bug(bug: Exception) -> int:
    if os.environ.get("FTGEN_TRACEBACK"):
        raise bug
    _print_error(
        f"internal error: {type(bug).__name__}: {bug}\n"
        "This is a bug in ftgen. Run again with FTGEN_TRACEBACK=1 and report what it prints."
    )
    return BUG
