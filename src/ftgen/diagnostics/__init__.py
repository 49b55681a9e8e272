"""Diagnostics: the problems that ftgen reports, as values.

Every stage of the pipeline reports problems as `Diagnostic` values and never prints.  A stage that finds an error
raises `Rejected` with all its diagnostics, so that a user sees every problem of a stage in one run.

Codes are stable: FT0xx composition, FT1xx shape, FT2xx meaning, FT3xx contract, FT4xx agreement,
FT5xx output, FT6xx capacity, FT7xx data and images.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import credentials

COMMAND_LINE = "<command line>"
"""File of a `Location` that is an override; its line is the override's position, from 1."""


class Severity(StrEnum):
    """Severity: an error rejects the job, a warning does under --strict, a note informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Location(Struct, frozen=True):
    """Position in a text: `file` as the user would type it, `line` and `column` counted from 1.

    `line` 0 means the file as a whole.  `file` is `<command line>` for an override; `line` is then its
    position among the arguments.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class Diagnostic(Struct, frozen=True):
    """Problem in the input.

    Attributes:
        code: stable identifier such as `FT203`.
        severity: see `Severity`.
        headline: one self-contained sentence.
        subject: the configuration key (`hardware.devices`) or manifest path
            (`spec.tasks[0].template.spec.containers[0].image`) it is about.
        value: the offending value as text, or the empty string.
        locations: positions of the value, the primary one first; added by `origins` and `lineage`.
        help: the exact edit that fixes it, or the empty string.
        related: positions of other objects that it is about, such as a quota; `at` puts them after the locations.
    """

    code: str
    severity: Severity
    headline: str
    subject: str = ""
    value: str = ""
    locations: tuple[Location, ...] = ()
    help: str = ""
    related: tuple[Location, ...] = ()

    def at(self, *locations: Location) -> Diagnostic:
        """Return the same problem with locations, and the related ones after them, each once."""
        found = (*locations, *(place for place in self.related if place not in locations)) if locations else ()
        # Half the time of `replace`, which counts where a thousand files are checked.
        texts = (self.headline, self.subject, self.value)
        return Diagnostic(self.code, self.severity, *texts, found, self.help, self.related)


def error(code: str, headline: str, subject: str = "", value: object = "", help: str = "") -> Diagnostic:  # noqa: A002
    """Return an error-level diagnostic."""
    return Diagnostic(code, Severity.ERROR, headline, subject, str(value), (), help)


def warning(code: str, headline: str, subject: str = "", value: object = "", help: str = "") -> Diagnostic:  # noqa: A002
    """Return a warning-level diagnostic."""
    return Diagnostic(code, Severity.WARNING, headline, subject, str(value), (), help)


def note(code: str, headline: str, subject: str = "", value: object = "", help: str = "") -> Diagnostic:  # noqa: A002
    """Return a note-level diagnostic."""
    return Diagnostic(code, Severity.NOTE, headline, subject, str(value), (), help)


_IN_QUOTES, _IN_BRACKETS = "put it in quotes: ", "write a list: "
_FORMS = {_IN_QUOTES: '"{}"', _IN_BRACKETS: "[{}]"}
_COMPUTED = re.compile(r"\$\{|^\w+\(")
"""An interpolation or a function: the text of such an override is not its value."""


def in_quotes(value: object) -> str:
    """Return the help that a value be written as text, as a file spells it; `for_shell` translates it."""
    return f'{_IN_QUOTES}"{value}"'


def in_brackets(value: object) -> str:
    """Return the help that a value be written as a list of one, as a file spells it; `for_shell` translates it."""
    return f"{_IN_BRACKETS}[{value}]"


def for_shell(diagnostic: Diagnostic, override: str, *, is_value: bool) -> Diagnostic:
    """Return a diagnostic at an override, with the quotes and brackets of its help spelled for a shell.

    A shell eats quotes and expands brackets.

    Args:
        diagnostic: the diagnostic.
        override: the override as it was typed.
        is_value: whether the diagnostic is about the override's whole value, and not about a part of it.
    """
    key, _, value = override.partition("=")
    form = next((form for start, form in _FORMS.items() if diagnostic.help.startswith(start)), "")
    if not form or _COMPUTED.search(value):
        return diagnostic
    word = f"{key}={form.format(value)}"
    whole = f"{diagnostic.help}, and the whole override in single quotes for the shell"
    return replace(diagnostic, help=f"write {shlex.quote(word)}" if is_value else whole)


class Rejected(Exception):  # noqa: N818 - the verdict on the input, not a malfunction
    """Rejection of the input, with every diagnostic of the stage that rejected it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep the diagnostics in the order they were found."""
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(credentials.redact("; ".join(d.headline for d in self.diagnostics)))

    def __reduce__(self) -> tuple[type[Rejected], tuple[tuple[Diagnostic, ...]]]:
        """Pickle the diagnostics, as an exception is by default rebuilt from its message."""
        return type(self), (self.diagnostics,)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether there is an error among them."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def require(diagnostics: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Return warnings and notes; raise `Rejected` when there is an error among them."""
    if has_errors(diagnostics):
        raise Rejected(diagnostics)
    return diagnostics
