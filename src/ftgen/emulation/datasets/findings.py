"""What was found in a data set: findings of one cause with the rows that have it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic, Location, Severity
from ftgen.emulation.datasets.kinds import ENCODING, SYNTAX, TYPES, UNREADABLE, Kind

KEPT_ROWS = 100
"""Rows of one cause that are remembered; further ones are counted."""
READERS = (UNREADABLE, ENCODING, SYNTAX, TYPES)
"""Kinds of findings that the reader of a file has, before any column is looked for."""
_CAUSES = 100
_NAMED_ROWS = 3


class Finding(Struct):
    """Finding of one cause.

    Attributes:
        kind: see `Kind`.
        text: what is wrong, as it follows "row 5: ".
        file: the file, as the user typed it or below what the user typed.
        count: how many rows have it; 0 if it is about the file as a whole.
        rows: number and line of the first of them, each from 1; line 0 where a file has no lines.
        help: the exact edit; empty if there is none to name.
    """

    kind: Kind
    text: str
    file: str
    count: int = 0
    rows: list[tuple[int, int]] = field(default_factory=list)
    help: str = ""

    @property
    def diagnostic(self) -> Diagnostic:
        """Return it as a diagnostic, with a location for each remembered row."""
        headline = f"{self._whose()}: {self.text}" if self.count else self.text
        lines = [line for _, line in self.rows] or [0]
        places = tuple(Location(self.file, line) for line in dict.fromkeys(lines))
        help_ = self.help or self.kind.help
        return Diagnostic(self.kind.code, self.kind.severity, headline, "", "", places, help_)

    def _whose(self) -> str:
        """Return which rows have it, and what becomes of them."""
        one = self.count == 1
        fate = "ends the training" if one else "end the training"
        if self.kind.severity is not Severity.ERROR:
            fate = ("is dropped" if one else "are dropped") if self.kind.dropped else ""
        if one:
            return f"row {self.rows[0][0]} {fate}".rstrip()
        named = ", ".join(str(row) for row, _ in self.rows[:_NAMED_ROWS])
        return f"{self.count} rows ({named}{', …' if self.count > _NAMED_ROWS else ''}) {fate}".rstrip()


class Findings:
    """All findings, by cause in the order of their first row."""

    def __init__(self, accepted: Mapping[str, str]) -> None:
        """Take the codes of warnings and notes that are accepted (`allow`)."""
        self._accepted = accepted
        self._found: dict[tuple[str, str, str], Finding] = {}
        self._causes: dict[tuple[str, str], int] = {}

    def __iter__(self) -> Iterator[Finding]:
        """Iterate over the findings that are not accepted."""
        return iter(each for each in self._found.values() if not self._is_accepted(each))

    @property
    def failing(self) -> bool:
        """Return whether there is an error."""
        return any(each.kind.severity is Severity.ERROR for each in self._found.values())

    def _is_accepted(self, found: Finding) -> bool:
        return found.kind.severity is not Severity.ERROR and found.kind.code in self._accepted

    def about(self, kind: Kind, text: str, file: str, help: str = "") -> None:  # noqa: A002 - as in diagnostics
        """Add a finding about a file as a whole."""
        self._found.setdefault((kind.code, text, file), Finding(kind, text, file, help=help))

    def forget_rows(self, names: Collection[str]) -> None:
        """Forget what was said of rows of some files, beside what their reader refuses."""
        self._found = {
            key: each
            for key, each in self._found.items()
            if not (each.count and each.file in names) or each.kind in READERS
        }

    def add(self, kind: Kind, text: str, file: str, row: tuple[int, int]) -> None:
        """Add a row to the finding of its cause; too many causes of one kind become one."""
        key = (kind.code, text, file)
        found = self._found.get(key)
        if found is None:
            causes = self._causes.get((kind.code, file), 0)
            if causes >= _CAUSES:
                key = (kind.code, "", file)
                found = self._found.setdefault(key, Finding(kind, f"{kind.name}, each in another way", file))
            else:
                self._causes[kind.code, file] = causes + 1
                found = self._found[key] = Finding(kind, text, file)
        found.count += 1
        if len(found.rows) < KEPT_ROWS:
            found.rows.append(row)
