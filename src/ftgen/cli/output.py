"""Output of the verbs: diagnostics in the chosen format, and status lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ftgen.cli import report, streams
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic, Rejected, Severity, has_errors
from ftgen.text.lines import visible


def reject(rejected: Rejected, arguments: Arguments) -> int:
    """Print the diagnostics of a rejection: text on stderr, other formats on stdout; return exit code 1."""
    print_diagnostics(rejected.diagnostics, arguments)
    return 1


def print_diagnostics(
    diagnostics: Sequence[Diagnostic],
    arguments: Arguments,
    *,
    to_stderr: bool = False,
) -> None:
    """Print diagnostics in the chosen format.

    Text goes to stderr.  Machine-readable forms go to stdout, or with `to_stderr` to stderr, when the verb prints its
    result on stdout.  A form that is a single document (JSON, SARIF) is deferred until `print_deferred`.
    """
    form = arguments.flags.format
    colour = form == "text" and streams.coloured(sys.stderr, arguments.flags.color)
    if form in _DOCUMENTS and not to_stderr:
        arguments.deferred.append(diagnostics)
        return
    streams.erase()
    text = report.render(diagnostics, form, arguments=arguments.overrides, colour=colour)
    print(text, end="", file=sys.stderr if form == "text" or to_stderr else sys.stdout)


def print_deferred(arguments: Arguments) -> None:
    """Print the deferred diagnostics as one document; print nothing if none were deferred."""
    if arguments.deferred:
        every = [diagnostic for batch in arguments.deferred for diagnostic in batch]
        print(report.render(every, arguments.flags.format, arguments=arguments.overrides), end="")  # noqa: T201


def print_document(done: Mapping[str, Any], arguments: Arguments) -> None:
    """Print what a verb did as one JSON document on stdout, with the diagnostics deferred until now."""
    diagnostics = [diagnostic for batch in arguments.deferred for diagnostic in batch]
    arguments.deferred.clear()
    found = report.values(diagnostics, arguments.overrides)
    print(report.as_json({**done, "diagnostics": found}), end="")  # noqa: T201


_DOCUMENTS = ("json", "sarif")


def apply_strict(diagnostics: Iterable[Diagnostic], arguments: Arguments) -> list[Diagnostic]:
    """Return the diagnostics; with --strict, raise warnings to errors.

    Raises:
        Rejected: when there is an error among them.
    """
    result = strict(diagnostics, arguments)
    if has_errors(result):
        raise Rejected(result)
    return result


def strict(diagnostics: Iterable[Diagnostic], arguments: Arguments) -> list[Diagnostic]:
    """Return the diagnostics; with --strict, raise warnings to errors."""
    return [_strict(d) if arguments.flags.strict else d for d in diagnostics]


def _strict(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.ERROR) if diagnostic.severity is Severity.WARNING else diagnostic


def print_status(text: str, arguments: Arguments) -> None:
    """Print a status line on stderr, unless --quiet."""
    if not arguments.flags.quiet:
        streams.erase()
        print(visible(text), file=sys.stderr)  # noqa: T201


def print_text(lines: Iterable[str]) -> None:
    """Print lines for people on standard output; what comes from files and servers may not control the terminal."""
    sys.stdout.writelines(f"{visible(line)}\n" for line in lines)
