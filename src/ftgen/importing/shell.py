"""Reading one command of a shell script: its words, and what in them only the caller's shell knows.

`shlex` splits words but forgets which quotes they stood in, so `'$HOME'`, which the container sees, and `$HOME`, which
the caller's shell replaces, look the same afterwards.  This reader keeps the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ftgen.diagnostics import Location

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_END = re.compile(r"&&|\|\||[;&|()\n]")
_BLANK = re.compile(r"(?:[ \t\r\v\f]|\\\n)+")
_PLAIN = re.compile(r"[^\s'\"\\$`;&|()<>]+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_DESCRIPTOR = re.compile(r"[0-9]+")


class UnclosedError(ValueError):
    """A quotation or a substitution has no end; the argument is the place where it begins."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command.

    Attributes:
        text: what the program gets; what only the caller's shell knows stands in it as it was written.
        at: where the word stands.
        unknown: the variables and substitutions in it that only the caller's shell can replace.
    """

    text: str
    at: Location
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class Command:
    """A command of a script.

    Attributes:
        words: up to what is for the shell.
        end: what ended it, such as `&&`; empty at the end of the text.
        reads: the redirection that feeds its standard input; empty where none does.
        next: position in the text behind it.
    """

    words: list[Word] = field(default_factory=list)
    end: str = ""
    reads: str = ""
    next: int = 0


def command(text: str, start: int, file: str, known: Mapping[str, str]) -> Command:
    """Read the command that begins at a position of a script.

    Args:
        text: the script, with line feeds alone as line ends.
        start: position of the command's first word.
        file: what locations call the script.
        known: values of variables that the script itself sets.

    Raises:
        UnclosedError: a quotation or a substitution has no end.
    """
    return _Reader(text, start, file, known).command()


def assignments(text: str) -> dict[str, str]:
    """Return the variables that lines of a script set to a literal, each only once; others cannot be known."""
    found: dict[str, list[str]] = {}
    for match in _ASSIGNED.finditer(text):
        found.setdefault(match[1], []).append(match[2] or match[3] or match[4] or "")
    return {name: values[0] for name, values in found.items() if len(set(values)) == 1 and "$" not in values[0]}


_ASSIGNED = re.compile(
    r"^[ \t]*(?:export[ \t]+|readonly[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)="
    r"(?:'([^'\n]*)'|\"([^\"\\`\n]*)\"|([^\s'\"\\$`;&|()<>]*\$?))(?=[ \t]*(?:#|;|$))",
    re.MULTILINE,
)


class _Reader:
    """A position in a script that moves forward."""

    def __init__(self, text: str, start: int, file: str, known: Mapping[str, str]) -> None:
        self.text, self.at, self.file, self.known = text, start, file, known
        self.line, self.begins, self.counted = 1, 0, 0

    def command(self) -> Command:
        """Read words to the end of the command."""
        read = Command()
        while self.at < len(self.text):
            if self._skipped():
                continue
            if end := _END.match(self.text, self.at):
                read.end, read.next = end[0], end.end()
                return read
            if self.text[self.at] in "<>":
                read.reads = self._redirected() or read.reads
            elif word := self._word():
                read.words.append(word)
        read.next = self.at
        return read

    def _skipped(self) -> bool:
        """Pass over blanks, continued lines and a comment."""
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()
        elif self.text[self.at] == "#":
            self.at = _or_end(self.text.find("\n", self.at), self.text)
        else:
            return False
        return True

    def _redirected(self) -> str:
        """Pass over a redirection; return it where it is one of the standard input."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in "<>&-":
            self.at += 1
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        if self.at < len(self.text) and not _END.match(self.text, self.at):
            self._word()
        return self.text[start : self.at] if self.text[start] == "<" else ""

    def _word(self) -> Word | None:
        """Read a word; `None` for the number before a redirection, such as the 2 of `2>&1`."""
        start, pieces, unknown = self.at, list[str](), list[str]()
        place = self._location()
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\v\f\n;&|()<>":
            pieces += self._piece(unknown)
        redirects = self.text[self.at : self.at + 1] in ("<", ">")
        return (
            None
            if redirects and _DESCRIPTOR.fullmatch(self.text[start : self.at])
            else Word("".join(pieces), place, tuple(unknown))
        )

    def _piece(self, unknown: list[str]) -> Iterator[str]:
        head = self.text[self.at]
        if plain := _PLAIN.match(self.text, self.at):
            self.at = plain.end()
            yield plain[0]
        elif head == "'":
            yield self._until("'")
        elif head == '"':
            yield from self._quoted(unknown)
        elif head == "\\":
            escaped = self.text[self.at + 1 : self.at + 2]
            self.at += 2
            yield "" if escaped == "\n" else escaped
        elif self.text.startswith('$"', self.at):
            self.at += 1
        else:
            yield self._expansion(unknown)

    def _until(self, quote: str) -> str:
        """Read what stands between two marks."""
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise UnclosedError(self.at)
        start, self.at = self.at + 1, end + 1
        return self.text[start:end]

    def _quoted(self, unknown: list[str]) -> Iterator[str]:
        """Read a text in double quotes, in which the shell replaces variables."""
        start = self.at
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            if plain := _IN_QUOTES.match(self.text, self.at):
                self.at = plain.end()
                yield plain[0]
            elif self.text[self.at] == "\\":
                pair = self.text[self.at : self.at + 2]
                self.at += 2
                yield "" if pair == "\\\n" else pair[1:] if pair[1:] in '$`"\\' else pair
            else:
                yield self._expansion(unknown)
        if self.at >= len(self.text):
            raise UnclosedError(start)
        self.at += 1

    def _expansion(self, unknown: list[str]) -> str:
        """Read a variable or a substitution: its value where the script sets it, else as it is written."""
        start = self.at
        if self.text[start] == "`":
            self._until("`")
        elif self.text.startswith("$'", start):  # its escapes are the shell's own
            self.at += 1
            self._until("'")
        elif self.text.startswith(("$(", "${"), start):
            self._bracketed()
        else:
            name = _NAME.match(self.text, start + 1)
            self.at = name.end() if name else start + 1
        written = self.text[start : self.at]
        if written == "$":
            return written
        value = self.known.get(written.strip("${}"))
        if value is None:
            unknown.append(written)
        return written if value is None else value

    def _bracketed(self) -> None:
        """Pass over `$(…)` or `${…}` with what is nested in it."""
        start, open_, depth = self.at, self.text[self.at + 1], 0
        close = ")" if open_ == "(" else "}"
        for position in range(self.at + 1, len(self.text)):
            letter = self.text[position]
            depth += (letter == open_) - (letter == close)
            if depth == 0:
                self.at = position + 1
                return
        raise UnclosedError(start)

    def _location(self) -> Location:
        passed = self.text.count("\n", self.counted, self.at)
        if passed:
            self.line, self.begins = self.line + passed, self.text.rindex("\n", self.counted, self.at) + 1
        self.counted = self.at
        return Location(self.file, self.line, self.at - self.begins + 1)


def _or_end(position: int, text: str) -> int:
    return len(text) if position < 0 else position
