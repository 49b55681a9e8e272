"""Printers of diagnostics: text for people; JSON, GitHub annotations or SARIF for tools.

Logs and pull requests keep the output, so secrets are redacted in every format, before any text is cut to a width.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from ftgen.cli import streams
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, Severity, credentials, excerpts
from ftgen.text import files, jsontext
from ftgen.text.lines import one_line, visible

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render(
    diagnostics: Sequence[Diagnostic],
    form: str,
    *,
    arguments: Sequence[str] = (),
    colour: bool = False,
) -> str:
    """Format diagnostics; end with a newline unless there is no text.

    Args:
        diagnostics: the diagnostics in order.
        form: `text`, `json`, `github` or `sarif`.
        arguments: the overrides, which `<command line>` locations index from 1.
        colour: whether to colour text for a terminal.
    """
    if form == "json":
        return as_json(values(diagnostics, arguments))
    sources = Sources(arguments)
    diagnostics = redacted(diagnostics, sources)
    if form == "sarif":
        return as_json(_sarif(diagnostics))
    if form == "github":
        return "".join(f"{_encodable(_github(d))}\n" for d in diagnostics)
    lines: list[str] = []
    for diagnostic, more in _folded(diagnostics):
        lines.append(_headline(diagnostic, colour=colour))
        lines += _details(diagnostic, more, sources)
    return "\n".join((*lines, "")) if lines else ""


def redacted_words(words: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Redact the secrets in the words of a command that is printed: those of a command line, and those of any form."""
    known = Sources(arguments).known
    return [redacted_override(credentials.redact(word, known)) for word in credentials.redact_words(words)]


def redacted_override(text: str) -> str:
    """Redact an override: all that a secret's name, or that of a reference to one, stands before."""
    return excerpts.covered_from(credentials.redact_setting(text), excerpts.named_value(text, _named_in(text)))


def _named_in(override: str) -> excerpts.Named:
    """Return the test of the names in an override; they are keys of the configuration, or such in a mapping."""
    from ftgen.spec import refers  # noqa: PLC0415 - loads pydantic, which only what is reported waits for

    above = override.partition("=")[0].lstrip("+~")

    def is_named(name: str) -> bool:
        return credentials.is_secret_name(name) or refers(name if name.startswith(above) else f"{above}.{name}")

    return is_named


def redacted(diagnostics: Sequence[Diagnostic], sources: Sources) -> list[Diagnostic]:
    """Redact the secrets in diagnostics."""
    return [_redacted(each, sources) for each in diagnostics]


def _redacted(diagnostic: Diagnostic, sources: Sources) -> Diagnostic:
    """Redact secrets in a diagnostic: those of its own texts, of the lines it points at, and of this process."""
    sources.known |= credentials.secret_values(diagnostic.subject, diagnostic.value)
    places = diagnostic.locations or diagnostic.related
    known = sources.known.union(*(sources.secrets(place, diagnostic) for place in places))

    def redact(text: str) -> str:
        return credentials.redact(text, known)

    return replace(
        diagnostic,
        headline=credentials.redact_sentence(diagnostic.headline, known),
        subject=redact(diagnostic.subject),
        value=redact(diagnostic.value),
        locations=tuple(replace(place, file=redact(place.file)) for place in places),
        help=credentials.redact_sentence(diagnostic.help, known),
    )


_MAX_SAME_CAUSE = 20


def _folded(diagnostics: Sequence[Diagnostic]) -> list[tuple[Diagnostic, int]]:
    """Fold more than twenty diagnostics of one cause into the first; return each with the number omitted after it."""
    counts = Counter(map(_cause, diagnostics))
    first = dict(reversed([(_cause(d), i) for i, d in enumerate(diagnostics)]))
    return [
        (d, 0 if counts[_cause(d)] <= _MAX_SAME_CAUSE else counts[_cause(d)] - 1)
        for i, d in enumerate(diagnostics)
        if counts[_cause(d)] <= _MAX_SAME_CAUSE or first[_cause(d)] == i
    ]


def _cause(diagnostic: Diagnostic) -> tuple[object, ...]:
    """Return the key of a diagnostic's cause: the same code and severity at the same location.

    Without a location, the same help makes one cause, as of one typo in many jobs of a sweep.
    """
    place = diagnostic.locations[0] if diagnostic.locations else diagnostic.help or diagnostic.headline
    return diagnostic.code, diagnostic.severity, place


def _headline(diagnostic: Diagnostic, *, colour: bool) -> str:
    """Format the first line: location, severity, code and headline."""
    label = f"{diagnostic.severity}[{diagnostic.code}]"
    label = streams.painted(label, f"1;{_COLOURS[diagnostic.severity]}") if colour else label
    where = str(diagnostic.locations[0]) if diagnostic.locations else diagnostic.subject
    text = f"{label}: {_short(one_line(diagnostic.headline))}"
    return f"{one_line(where)}: {text}" if where else text


def _details(diagnostic: Diagnostic, more: int, sources: Sources) -> list[str]:
    """Format the lines below it: the excerpt, further locations, and the help."""
    lines = _excerpt(diagnostic, sources) if diagnostic.locations else []
    lines += [f"  also: {one_line(str(place))}" for place in diagnostic.locations[1:]]
    if diagnostic.help:
        first, *more_help = _short(diagnostic.help).split("\n")
        lines += [f"  help: {first}", *(f"        {_harmless(line)}" for line in more_help)]
    if more:
        lines.append(f"  and {more} more of the same cause")
    return lines


def _harmless(line: str) -> str:
    """Keep a line of a help, in which a text of others may stand, from being a command to GitHub Actions."""
    return f"> {line}" if line.lstrip().startswith(("::", "##[")) else line


def _short(text: str) -> str:
    """Escape a sentence, and shorten it in the middle where a value in it is too long."""
    line = visible(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]}{_ELLIPSIS}{line[-_LONGEST // 2 :]}"


_LONGEST = 1000
_WIDEST = 120
_ELLIPSIS = "…"


def _excerpt(diagnostic: Diagnostic, sources: Sources) -> list[str]:
    """Return the line at the first location, clipped around the column, with a caret under it."""
    place = diagnostic.locations[0]
    text = sources.line(place, diagnostic)
    if text is None or not text.strip():
        return []
    line = text.rstrip("\r\n").replace("\t", " ")
    column = min(place.column or len(line) - len(line.lstrip()) + 1, len(line) + 1)
    before, after = _clipped(visible(line[: column - 1]), visible(line[column - 1 :]))
    gutter = " " * len(str(place.line))
    return [f"  {place.line} | {before}{after}", f"  {gutter} | {' ' * _cells(before)}^"]


def _clipped(before: str, after: str) -> tuple[str, str]:
    """Clip both sides of the caret to the width of a terminal, the start of the line first."""
    kept = _fitting(after, max(_WIDEST - _cells(before), _WIDEST // 2))
    start = _fitting(before[::-1], _WIDEST - _cells(kept))[::-1]
    return (start if start == before else _ELLIPSIS + start, kept if kept == after else kept + _ELLIPSIS)


def _fitting(text: str, cells: int) -> str:
    """Return as much of the beginning of a text as fits into the columns."""
    if text.isascii():
        return text[: max(cells, 0)]
    widths = accumulate(map(_width, text[: cells + 1]))
    return text[: sum(1 for width in widths if width <= cells)]


def _cells(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    """Return a character's columns: two for wide ones (Unicode's East Asian Width), none for accents, else one."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


class Sources:
    """Lines of the texts that diagnostics point into; caches the last files, in which most of them lie."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Take the overrides, which `<command line>` locations index from 1."""
        self._arguments = arguments
        self._lines: dict[str, list[str]] = {}
        self._room = files.LARGEST
        self._secrets: dict[str, set[str] | None] = {COMMAND_LINE: set()}

    @cached_property
    def known(self) -> set[str]:
        """Return the secrets of the command line, the environment and earlier subjects, which any text may repeat."""
        overrides = [argument.partition("=") for argument in self._arguments]
        settings = [*os.environ.items(), *((key.lstrip("+~"), value) for key, _, value in overrides)]
        settings += [(name, value) for name, value in pairwise(self._arguments) if _is_option(name, value)]
        hidden = [argument[self._secret_from(index) :] for index, argument in enumerate(self._arguments)]
        known = (credentials.secret_values(name, value) for name, value in settings)
        return set[str]().union(*known, *map(excerpts.words_of, hidden))

    def line(self, place: Location, about: Diagnostic) -> str | None:
        """Return the line at a location of a diagnostic with its secrets redacted, or None where there is none."""
        block, index = self._block(place)
        if not block:
            return None
        text = "\n".join(block)
        known = self.known | credentials.data_of_secrets(text) | (self._literals(place.file) or set())
        shown = credentials.redact(text, known).split("\n")[index]
        return excerpts.covered_from(shown, self._hidden_from(place, about))

    def secrets(self, place: Location, about: Diagnostic | None = None) -> set[str]:
        """Return the secrets that may be repeated: of the text around a location, and of all of it if sound.

        Of the line that a diagnostic is about, all words that it covers are among them.
        """
        lines, index = self._block(place)
        if not lines:
            return set()
        block = "\n".join(lines)
        # In a line of a script, other words follow the secret, which messages name.
        is_whole = place.file == COMMAND_LINE or place.file.endswith((".yaml", ".yml", ".json"))
        covered = lines[index][self._hidden_from(place, about) :] if about and is_whole else ""
        return (
            credentials.secret_values("", block)
            | credentials.data_of_secrets(block)
            | (self._literals(place.file) or set())
            | excerpts.words_of(covered)
        )

    def _hidden_from(self, place: Location, about: Diagnostic) -> int:
        """Return the index from which on the line at a location is covered, whatever is found in it."""
        from ftgen.spec import reference_names  # noqa: PLC0415 - as above

        lines, index = self._block(place)
        is_broken = about.code == _OVERRIDE if place.file == COMMAND_LINE else self._literals(place.file) is None
        refused = reference_names() | {"value"} if is_broken else _refused(about.subject)

        def is_named(name: str) -> bool:
            return credentials.is_secret_name(name) or name.rpartition(".")[2] in refused

        if place.file == COMMAND_LINE:
            start = excerpts.named_value(lines[index], is_named)
            return min(start, self._secret_from(place.line - 1))
        return excerpts.secret_from(lines, index, is_named)

    def _secret_from(self, index: int) -> int:
        """Return the index from which on a word of the command line is secret, by a name in it or before it."""
        word, before = self._arguments[index], index - 1
        while before >= 0 and not self._arguments[before].strip("=:"):
            before -= 1
        is_of_name = before >= 0 and _is_bare_name(self._arguments[before]) and not _is_other(word)
        return 0 if is_of_name else excerpts.named_value(word, _named_in(word))

    def _literals(self, file: str) -> set[str] | None:
        """Return what stands under the names of secrets in a file, as a parser reads it; None where none can."""
        if file not in self._secrets:
            self._secrets[file] = _literals("\n".join(self._of(file)), file)
        return self._secrets[file]

    def _block(self, place: Location) -> tuple[list[str], int]:
        """Return the lines that decide which parts of the line at a location are secret, and its index among them.

        The name of a value is on a line nearby; the first line of a private key up to fifty lines above.
        """
        lines = self._of(place.file) if place.line > 0 else []
        if not 0 < place.line <= len(lines):
            return [], 0
        if place.file == COMMAND_LINE:
            return [lines[place.line - 1]], 0
        first = max(place.line - 1 - _ABOVE, 0)
        return lines[first : place.line + _BELOW], place.line - 1 - first

    def _of(self, file: str) -> list[str]:
        if file == COMMAND_LINE:
            return list(self._arguments)
        if file not in self._lines:
            lines = _lines(file)
            size = sum(map(len, lines))
            if size > self._room:
                self._lines.clear()
                self._room = files.LARGEST
            self._room -= size
            self._lines[file] = lines
        return self._lines[file]


_ABOVE, _BELOW = 60, 2
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")


def _is_option(name: str, value: str) -> bool:
    """Return whether two words of a command line are an option and its value."""
    return bool(_OPTION.fullmatch(name)) and not value.startswith("-")


_OVERRIDE = "FT010"
"""Code of an override that nobody can parse."""


def _is_bare_name(word: str) -> bool:
    """Return whether a word of a command line is a secret's name without a value: `HF_TOKEN` in `HF_TOKEN x`."""
    name = word.rstrip("=:")
    return "=" not in name and credentials.is_secret_name(name.lstrip("+~-"))


def _is_other(word: str) -> bool:
    """Return whether a word behind a secret's name has a meaning of its own: an override, a flag, or a file."""
    return bool(re.match(r"[+~]*[A-Za-z][\w./@-]*=[^=]|-", word)) or os.path.lexists(word)


def _refused(subject: str) -> frozenset[str]:
    """Return the last names of a reference to a Secret, and of what is in it, that a diagnostic is about."""
    from ftgen.spec import refers  # noqa: PLC0415 - as above

    parts = subject.split(".")
    return frozenset(part for end, part in enumerate(parts, 1) if refers(".".join(parts[:end])))


def _lines(file: str) -> list[str]:
    try:
        return [line.removesuffix("\r") for line in files.read(file).decode("utf-8", "replace").split("\n")]
    except (OSError, ValueError):
        return []


def _literals(text: str, file: str) -> set[str] | None:
    """Return the values of secrets' names in a text of YAML or JSON; None where it is broken, or too large to wait."""
    from ftgen.text import yamlio  # noqa: PLC0415 - only a text with a secret's name is parsed once more

    if not credentials.mentions_secret(text):
        return set()
    if len(text) > _LARGEST:
        return None
    try:
        return credentials.secrets_in(yamlio.parse_all(text, file))
    except Rejected:
        return None


_LARGEST = files.MIB
"""Length of the longest text that is parsed once more to show a line of it; a longer one is covered as a broken one."""


def as_json(value: Any) -> str:
    """Write a JSON document."""
    return _encodable(jsontext.document(value)) + "\n"


def _encodable(text: str) -> str:
    """Escape lone surrogates, by which Python represents bytes that are no UTF-8: they cannot be encoded."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def values(diagnostics: Sequence[Diagnostic], arguments: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return diagnostics as JSON values, without the credentials in their texts."""
    sources = Sources(arguments)
    return [_plain(each) for each in redacted(diagnostics, sources)]


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
    """Format a GitHub workflow command, with the escapes that GitHub's runner decodes."""
    level = "notice" if diagnostic.severity is Severity.NOTE else str(diagnostic.severity)
    fields = {"title": diagnostic.code}
    if diagnostic.locations and diagnostic.locations[0].file != COMMAND_LINE:
        place = diagnostic.locations[0]
        fields = {
            "file": visible(place.file),
            "line": str(max(place.line, 1)),
            "col": str(max(place.column, 1)),
            **fields,
        }
    properties = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in fields.items())
    message = diagnostic.headline + (f"\n{diagnostic.help}" if diagnostic.help else "")
    return f"::{level} {properties}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """Format as SARIF 2.1.0 (OASIS): one run, one rule for each code; columns count characters."""
    rules = [{"id": code} for code in dict.fromkeys(d.code for d in diagnostics)]
    driver = {"name": "ftgen", "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(d, [rule["id"] for rule in rules]) for d in diagnostics],
            }
        ],
    }


def _result(diagnostic: Diagnostic, rules: Sequence[str]) -> dict[str, Any]:
    text = diagnostic.headline + (f". {diagnostic.help}" if diagnostic.help else "")
    primary, others = diagnostic.locations[:1], diagnostic.locations[1:]
    related = [_located(place) for place in others]
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rules.index(diagnostic.code),
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": text},
        "locations": [_located(primary[0] if primary else None, diagnostic.subject)],
        **({"relatedLocations": related} if related else {}),
    }


def _located(place: Location | None, subject: str = "") -> dict[str, Any]:
    """Return a SARIF location: the file position, and the key or manifest path; an override has no file."""
    physical = {"physicalLocation": _physical(place)} if place and place.file != COMMAND_LINE else {}
    name = subject or (str(place) if place and not physical else "")
    return {**physical, **({"logicalLocations": [{"fullyQualifiedName": name}]} if name else {})}


def _physical(place: Location) -> dict[str, Any]:
    path = quote(place.file.encode("utf-8", "surrogateescape"))  # a file's name need not be text
    column = {"startColumn": place.column} if place.column else {}
    region = {"region": {"startLine": place.line, **column}} if place.line else {}
    return {"artifactLocation": {"uri": f"file://{path}" if path.startswith("/") else path}, **region}
