"""Diagnostics as text for people, and as JSON, GitHub annotations or SARIF for tools.

The same value, many printers: nothing here decides what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Severity

FORMATS = ("text", "json", "github", "sarif")
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render(diagnostics: Sequence[Diagnostic], form: str, *, arguments: Sequence[str] = (), colour: bool = False) -> str:
    """The diagnostics in one of `FORMATS`, ending in a newline where there is any text.

    Args:
        diagnostics: what to tell, in order.
        form: one of `FORMATS`.
        arguments: the overrides of the command line, which `<command line>` locations count from 1.
        colour: whether text may carry terminal colours.
    """
    if form == "json":
        return json.dumps([_plain(d) for d in diagnostics], indent=2, ensure_ascii=False) + "\n"
    if form == "sarif":
        return json.dumps(_sarif(diagnostics), indent=2, ensure_ascii=False) + "\n"
    if form == "github":
        return "".join(f"{_github(d)}\n" for d in diagnostics)
    return "".join(f"{_text(d, arguments, colour=colour)}\n" for d in diagnostics)


def _text(diagnostic: Diagnostic, arguments: Sequence[str], *, colour: bool) -> str:
    label = f"{diagnostic.severity}[{diagnostic.code}]"
    label = f"\x1b[1;{_COLOURS[diagnostic.severity]}m{label}\x1b[0m" if colour else label
    first = diagnostic.locations[0] if diagnostic.locations else None
    where = f"{first}: " if first else (f"{diagnostic.subject}: " if diagnostic.subject else "")
    lines = [f"{where}{label}: {_safe(diagnostic.headline)}"]
    if first:
        lines += _excerpt(first, arguments)
    lines += [f"  also: {place}" for place in diagnostic.locations[1:]]
    if diagnostic.help:
        lines.append("  help: " + _safe(diagnostic.help).replace("\n", "\n        "))
    return "\n".join(lines)


def _excerpt(place: Location, arguments: Sequence[str]) -> list[str]:
    """The line spoken of, with a caret under the column."""
    text = source_line(place, arguments)
    if text is None:
        return []
    number = str(place.line)
    shown = _safe(text.rstrip("\n").replace("\t", " "))[:200]
    column = place.column or len(shown) - len(shown.lstrip()) + 1
    gutter = " " * len(number)
    return [f"  {number} | {shown}", f"  {gutter} | {' ' * (column - 1)}^"] if shown.strip() else []


def source_line(place: Location, arguments: Sequence[str] = ()) -> str | None:
    """The text at a location, or None where it cannot be read."""
    if place.line < 1:
        return None
    if place.file == COMMAND_LINE:
        return arguments[place.line - 1] if place.line <= len(arguments) else None
    try:
        with Path(place.file).open(encoding="utf-8", errors="replace") as lines:
            return next((text for number, text in enumerate(lines, 1) if number == place.line), None)
    except OSError:
        return None


def _safe(text: str) -> str:
    """Control characters of the input must not drive the terminal."""
    return "".join(c if c in "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _plain(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "headline": diagnostic.headline,
        "subject": diagnostic.subject,
        "value": diagnostic.value,
        "locations": [{"file": p.file, "line": p.line, "column": p.column} for p in diagnostic.locations],
        "help": diagnostic.help,
    }


def _github(diagnostic: Diagnostic) -> str:
    """A workflow command; the message's own specials are escaped as GitHub's runner unescapes them."""
    level = "notice" if diagnostic.severity is Severity.NOTE else str(diagnostic.severity)
    fields = {"title": diagnostic.code}
    if diagnostic.locations and diagnostic.locations[0].file != COMMAND_LINE:
        place = diagnostic.locations[0]
        fields = {"file": place.file, "line": str(max(place.line, 1)), "col": str(max(place.column, 1)), **fields}
    told = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in fields.items())
    message = diagnostic.headline + (f"\n{diagnostic.help}" if diagnostic.help else "")
    return f"::{level} {told}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS): one run, one rule a code."""
    rules = [{"id": code} for code in dict.fromkeys(d.code for d in diagnostics)]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "ftgen", "rules": rules}}, "results": [_result(d) for d in diagnostics]}],
    }


def _result(diagnostic: Diagnostic) -> dict[str, Any]:
    text = diagnostic.headline + (f". {diagnostic.help}" if diagnostic.help else "")
    return {
        "ruleId": diagnostic.code,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": text},
        "locations": [_physical(place) for place in diagnostic.locations if place.file != COMMAND_LINE],
    }


def _physical(place: Location) -> dict[str, Any]:
    region = {"startLine": max(place.line, 1), "startColumn": max(place.column, 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": place.file}, "region": region}}
