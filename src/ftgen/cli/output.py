"""What the command line says: diagnostics, and the summary of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ftgen import report
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic, Rejected, Severity, has_errors


def reject(rejected: Rejected, arguments: Arguments) -> int:
    """Report what was rejected: as text on stderr, in other formats on stdout."""
    print_diagnostics(rejected.diagnostics, arguments)
    return 1


def print_diagnostics(
    diagnostics: Sequence[Diagnostic],
    arguments: Arguments,
    *,
    beside: bool = False,
) -> None:
    """Print diagnostics in the chosen format.

    Text is for stderr; the machine-readable forms are the output itself, unless they stand `beside` what the verb
    prints there. A form that is one document is kept until `print_deferred`.
    """
    form, colour = arguments.flags.format, arguments.flags.format == "text" and coloured()
    if form in _DOCUMENTS and not beside:
        arguments.deferred.append(diagnostics)
        return
    text = report.render(diagnostics, form, arguments=arguments.overrides, colour=colour)
    print(text, end="", file=sys.stderr if form == "text" or beside else sys.stdout)


def print_deferred(arguments: Arguments) -> None:
    """Print what was kept as one document: nothing where nothing was told, not even that all is well."""
    if arguments.deferred:
        every = [diagnostic for told in arguments.deferred for diagnostic in told]
        print(report.render(every, arguments.flags.format, arguments=arguments.overrides), end="")  # noqa: T201


_DOCUMENTS = ("json", "sarif")


def apply_strict(diagnostics: Iterable[Diagnostic], arguments: Arguments) -> list[Diagnostic]:
    """The diagnostics as the flags weigh them.

    Raises:
        Rejected: when --strict makes an error of a warning.
    """
    weighed = [_strict(d) if arguments.flags.strict else d for d in diagnostics]
    if has_errors(weighed):
        raise Rejected(weighed)
    return weighed


def _strict(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.ERROR) if diagnostic.severity is Severity.WARNING else diagnostic


def print_status(text: str, arguments: Arguments) -> None:
    """A line for the person at the terminal, never on stdout."""
    if not arguments.flags.quiet:
        print(text, file=sys.stderr)  # noqa: T201


def coloured() -> bool:
    """Whether stderr is a terminal that wants colours (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
