"""Parser of one command of a shell script: its words, and the parts of them that only the caller's shell can expand.

`shlex` splits words but drops their quotes, so that `'$HOME'`, which the container expands, and `$HOME`, which the
caller's shell expands, look the same.  This parser keeps the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from ftgen.diagnostics import Location

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_END = re.compile(r"&&|\|\||[;&|()\n]")
_BLANK = re.compile(r"(?:[ \t\r\v\f]|\\\n)+")
_PLAIN = re.compile(r"[^\s'\"\\$`;&|()<>]+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_DESCRIPTOR = re.compile(r"[0-9]+")


class UnclosedError(ValueError):
    """A quotation or substitution without an end; the argument is its first position."""


class Word(Struct, frozen=True):
    """A word of a command.

    Attributes:
        text: argument that the program gets, with expansions that only the caller's shell knows as written.
        at: location of the word.
        unknown: variables and substitutions in it that only the caller's shell can expand.
    """

    text: str
    at: Location
    unknown: tuple[str, ...] = ()


class Command(Struct):
    """A command of a script.

    Attributes:
        words: words of the command, without redirections.
        end: operator that ends it, such as `&&`; empty at the end of the text.
        reads: redirection of its standard input; empty if there is none.
        next: position in the text after the command and its operator.
    """

    words: list[Word] = field(default_factory=list)
    end: str = ""
    reads: str = ""
    next: int = 0


def command(text: str, start: int, file: str, variables: Mapping[str, str]) -> Command:
    """Parse the command that begins at a position of a script.

    Args:
        text: the script, with line feeds alone as line ends.
        start: position of the command's first word.
        file: name of the script in locations.
        variables: values of variables that the script itself sets.

    Raises:
        UnclosedError: if a quotation or substitution has no end.
    """
    return _Parser(text, start, file, variables).command()


def assignments(text: str) -> dict[str, str]:
    """Return the variables that a script sets to one literal only; the values of others depend on its run."""
    found: dict[str, list[str]] = {}
    for match in _ASSIGNED.finditer(text):
        found.setdefault(match[1], []).append(match[2] or match[3] or match[4] or "")
    return {name: values[0] for name, values in found.items() if len(set(values)) == 1 and "$" not in values[0]}


_ASSIGNED = re.compile(
    r"^[ \t]*(?:export[ \t]+|readonly[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)="
    r"(?:'([^'\n]*)'|\"([^\"\\`\n]*)\"|([^\s'\"\\$`;&|()<>]*\$?))(?=[ \t]*(?:#|;|$))",
    re.MULTILINE,
)


class _Parser:
    """Recursive-descent parser with a position in a script."""

    def __init__(self, text: str, start: int, file: str, variables: Mapping[str, str]) -> None:
        self.text, self.at, self.file, self.variables = text, start, file, variables
        self.line, self.line_start, self.counted = 1, 0, 0

    def command(self) -> Command:
        """Parse words up to the end of the command."""
        parsed = Command()
        while self.at < len(self.text):
            if self._skip():
                continue
            if end := _END.match(self.text, self.at):
                parsed.end, parsed.next = end[0], end.end()
                return parsed
            if self.text[self.at] in "<>":
                parsed.reads = self._redirection() or parsed.reads
            elif word := self._word():
                parsed.words.append(word)
        parsed.next = self.at
        return parsed

    def _skip(self) -> bool:
        """Skip blanks, line continuations or a comment; return whether there were any."""
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()
        elif self.text[self.at] == "#":
            self.at = _position_or_end(self.text.find("\n", self.at), self.text)
        else:
            return False
        return True

    def _redirection(self) -> str:
        """Skip a redirection; return it if it is one of the standard input, else an empty string."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in "<>&-":
            self.at += 1
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        if self.at < len(self.text) and not _END.match(self.text, self.at):
            self._word()
        return self.text[start : self.at] if self.text[start] == "<" else ""

    def _word(self) -> Word | None:
        """Parse a word; None for the number before a redirection, such as the 2 of `2>&1`."""
        start, pieces, unknown = self.at, list[str](), list[str]()
        location = self._location()
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\v\f\n;&|()<>":
            pieces += self._piece(unknown)
        redirects = self.text[self.at : self.at + 1] in ("<", ">")
        return (
            None
            if redirects and _DESCRIPTOR.fullmatch(self.text[start : self.at])
            else Word("".join(pieces), location, tuple(unknown))
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
        """Parse a quoted text up to its closing quote."""
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise UnclosedError(self.at)
        start, self.at = self.at + 1, end + 1
        return self.text[start:end]

    def _quoted(self, unknown: list[str]) -> Iterator[str]:
        """Parse a text in double quotes, in which the shell expands variables."""
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
        """Parse a variable or substitution; return its value if the script sets it, else its text."""
        start = self.at
        if self.text[start] == "`":
            self._until("`")
        elif self.text.startswith("$'", start):  # its escapes are the shell's own
            self.at += 1
            self._until("'")
        elif self.text.startswith(("$(", "${"), start):
            self._skip_brackets()
        else:
            name = _NAME.match(self.text, start + 1)
            self.at = name.end() if name else start + 1
        written = self.text[start : self.at]
        if written == "$":
            return written
        value = self.variables.get(written.strip("${}"))
        if value is None:
            unknown.append(written)
        return written if value is None else value

    def _skip_brackets(self) -> None:
        """Skip `$(…)` or `${…}` with nested ones."""
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
        lines = self.text.count("\n", self.counted, self.at)
        if lines:
            self.line, self.line_start = self.line + lines, self.text.rindex("\n", self.counted, self.at) + 1
        self.counted = self.at
        return Location(self.file, self.line, self.at - self.line_start + 1)


def _position_or_end(position: int, text: str) -> int:
    return len(text) if position < 0 else position
