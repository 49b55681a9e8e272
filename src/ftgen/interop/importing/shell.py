"""Parser of the commands of a shell script: their words, and the parts that only the caller's shell can expand.

`shlex` splits words but drops their quotes, so that `'$HOME'`, which the container expands, and `$HOME`, which the
caller's shell expands, look the same.  This parser keeps the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from msgspec import Struct, field

from ftgen.diagnostics import Location

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_END = re.compile(r"&&|\|\||[;&|()\n]")
_BLANK = re.compile(r"(?:[ \t\r\v\f]|\\\n)+")
_PLAIN = re.compile(r"[^\s'\"\\$`;&|()<>]+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_DESCRIPTOR = re.compile(r"[0-9]+")
_HOME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*=)?~[A-Za-z0-9_.+-]*(?=[/:\s;&|()<>]|$)")
_BACKQUOTED = re.compile(r"`(?:[^`\\]++|\\.)*+`", re.DOTALL)
_ESCAPED = re.compile(r"\$'(?:[^'\\]++|\\.)*+'", re.DOTALL)
_INSIDE = re.compile(r"[^'\"\\`$()}#]+")
_CASE = re.compile(r"\bcase\b")
_BRACES = re.compile(r"\{[^{}]{0,1000}(?:,|\.\.)[^{}]{0,1000}\}")
_SPLITS = re.compile(r"[ \t\n]+")
_PATTERN = re.compile(r"[*?\[]")
_MOST_EXPANDED = 1 << 20
"""Most characters that variables become in one command; the kernel passes a program two million bytes of arguments."""


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
        starts: position of each word in the text.
        written: each word as the text has it, with its quotes.
        end: operator that ends it, such as `&&`; empty at the end of the text.
        reads: redirection of its standard input; empty if there is none.
        documents: here-documents in which the shell expands variables.
        doubtful: whether a shell may read on differently: the parser does not follow all that it has passed over.
        next: position in the text after the command, its operator and here-documents.
    """

    words: list[Word] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    end: str = ""
    reads: str = ""
    documents: list[str] = field(default_factory=list)
    doubtful: bool = False
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
    return Parser(text, file, variables).command_at(start)


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a script one after the other, with nothing that the script itself sets put in.

    Raises:
        UnclosedError: if a quotation or substitution has no end.
    """
    parser = Parser(text)
    while parser.at < len(text):
        yield parser.command()


_BREAK = "\0"
"""Where the value of a variable without quotes breaks a word; no script holds this character."""


def word_starts(text: str) -> set[int]:
    """Return the positions of the words that a script itself has: none in a quotation, a here-document or a comment."""
    found: set[int] = set()
    with suppress(UnclosedError):
        for command in commands(text):
            found.update(command.starts)
    return found


class Parser:
    """Recursive-descent parser with a position in a script, which counts its lines once."""

    def __init__(self, text: str, file: str = "", variables: Mapping[str, str] = MappingProxyType({})) -> None:
        """Begin at the start of a script; the variables are those that the script itself sets."""
        self.text, self.at, self.file, self.variables = text, 0, file, variables
        self.line, self.line_start, self.counted, self.expanded = 1, 0, 0, 0
        self.awaited: list[tuple[str, bool, bool]] = []
        """Here-documents that begin at the next line: their last line, whether tabs precede it, whether they expand."""
        self.doubtful = False

    def command_at(self, start: int) -> Command:
        """Parse the command that begins at a position, which is none before those of earlier calls."""
        self.at, self.awaited = start, []
        return self.command()

    def command(self) -> Command:
        """Parse words up to the end of the command, and the here-documents after it."""
        parsed = Command()
        while self.at < len(self.text):
            if self._skip():
                continue
            if end := _END.match(self.text, self.at):
                parsed.end, self.at = end[0], end.end()
                break
            start = self.at
            if self.text[start] in "<>":
                parsed.reads = self._redirection() or parsed.reads
                continue
            for word in self._words():
                parsed.words.append(word)
                parsed.starts.append(start)
                parsed.written.append(self.text[start : self.at])
        if parsed.end in {"", "\n"}:
            parsed.documents = [*self._documents()]
        parsed.doubtful, parsed.next = self.doubtful, self.at
        return parsed

    def _skip(self) -> bool:
        """Skip blanks, line continuations or a comment; return whether there were any."""
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()
        elif self.text[self.at] == "#":
            self.at = position_or_end(self.text.find("\n", self.at), self.text)
        else:
            return False
        return True

    def _redirection(self) -> str:
        """Skip a redirection; return it if it is one of the standard input, else an empty string."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in "<>&-":
            self.at += 1
        operator = self.text[start : self.at]
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        named = self.at
        if self.at < len(self.text) and not _END.match(self.text, self.at):
            words = self._words()
            if operator in {"<<", "<<-"} and words:
                is_quoted = not {"'", '"', "\\"}.isdisjoint(self.text[named : self.at])
                self.awaited.append((words[0].text, operator == "<<-", not is_quoted))
        return self.text[start : self.at] if self.text[start] == "<" else ""

    def _documents(self) -> Iterator[str]:
        """Skip the here-documents that begin here; yield those in which the shell expands variables."""
        for last, is_indented, expands in self.awaited:
            start, line = self.at, ""
            while self.at < len(self.text):
                end = position_or_end(self.text.find("\n", self.at), self.text)
                line, self.at = self.text[self.at : end], end + 1
                if (line.lstrip("\t") if is_indented else line) == last:
                    break
            else:
                self.doubtful = True
            self.at = min(self.at, len(self.text))
            if expands:
                yield self.text[start : self.at]
        self.awaited = []

    def _words(self) -> list[Word]:
        """Parse a word, of which a variable without quotes may make several or none.

        The number before a redirection, such as the 2 of `2>&1`, is none.
        """
        start, pieces, unknown = self.at, list[str](), list[str]()
        location = self._location()
        if home := _HOME.match(self.text, start):
            unknown.append("~")
            pieces.append(home[0])
            self.at = home.end()
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\v\f\n;&|()<>":
            pieces += self._piece(unknown)
        if self.text[self.at : self.at + 1] in {"<", ">"} and _DESCRIPTOR.fullmatch(self.text, start, self.at):
            return []
        text = "".join(pieces)
        if _BREAK not in text:
            return [Word(text, location, tuple(unknown))]
        parts = filter(None, text.split(_BREAK))
        return [Word(part, location, tuple(each for each in unknown if each in part)) for part in parts]

    def _piece(self, unknown: list[str]) -> Iterator[str]:
        head = self.text[self.at]
        if plain := _PLAIN.match(self.text, self.at):
            self.at = plain.end()
            unknown += _BRACES.findall(plain[0])
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
            yield self._expansion(unknown, quoted=False)

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
                yield self._expansion(unknown, quoted=True)
        if self.at >= len(self.text):
            raise UnclosedError(start)
        self.at += 1

    def _expansion(self, unknown: list[str], *, quoted: bool) -> str:
        """Parse a variable or substitution; return its value if the script sets it, else its text."""
        start = self.at
        if self.text.startswith(("$(", "${"), start):
            self._skip_brackets(quoted=quoted)
        elif self.text[start] == "`":
            self._skip_match(_BACKQUOTED)
        elif self.text.startswith("$'", start) and not quoted:  # its escapes are the shell's own
            self._skip_match(_ESCAPED)
        else:
            name = _NAME.match(self.text, start + 1)
            self.at = name.end() if name else start + 1
        written = self.text[start : self.at]
        if written == "$":
            return written
        value = self.variables.get(written.strip("${}"))
        self.expanded += len(value or "")
        if value is None or self.expanded > _MOST_EXPANDED or (not quoted and _PATTERN.search(value)):
            unknown.append(written)
            return written
        return value if quoted else _SPLITS.sub(_BREAK, value) or _BREAK

    def _skip_match(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise UnclosedError(self.at)
        self.at = match.end()

    def _skip_brackets(self, *, quoted: bool) -> None:
        """Skip `$(…)` or `${…}` with all quotations and brackets in it, none of which recurses."""
        start = self.at
        is_sum = self.text.startswith("$((", start)
        closing = [self._opened(quoted=quoted)]
        while closing:
            if plain := _INSIDE.match(self.text, self.at):
                self.at = plain.end()
            if self.at >= len(self.text):
                raise UnclosedError(start)
            self._skip_inside(closing)
        inside = slice(start, self.at)
        self.doubtful |= not is_sum and ("<<" in self.text[inside] or bool(_CASE.search(self.text, start, self.at)))

    def _opened(self, *, quoted: bool) -> str:
        """Skip the beginning of a substitution; return what ends it: `}"` ends a `${` between double quotes."""
        is_code = self.text[self.at + 1] == "("
        self.at += 2
        return ")" if is_code else '}"' if quoted else "}"

    def _skip_inside(self, closing: list[str]) -> None:
        """Skip a letter with a meaning inside a substitution, or the quotation that it begins."""
        letter, inner = self.text[self.at], closing[-1]
        is_quoted = inner in {'"', '}"'}
        if letter == inner[0]:
            closing.pop()
            self.at += 1
        elif self.text.startswith(("$(", "${"), self.at):
            closing.append(self._opened(quoted=is_quoted))
        elif letter == "\\":
            self.at += 2
        elif letter == "`":
            self._skip_match(_BACKQUOTED)
        elif letter == '"':
            closing.append('"')
            self.at += 1
        elif letter == "'" and not is_quoted:
            self._until("'")
        elif letter == "(" and inner == ")":
            closing.append(")")
            self.at += 1
        elif letter == "#" and inner == ")" and self.text[self.at - 1] in " \t\n;":
            self.at = position_or_end(self.text.find("\n", self.at), self.text)
        else:
            self.at += 1

    def _location(self) -> Location:
        lines = self.text.count("\n", self.counted, self.at)
        if lines:
            self.line, self.line_start = self.line + lines, self.text.rindex("\n", self.counted, self.at) + 1
        self.counted = self.at
        return Location(self.file, self.line, self.at - self.line_start + 1)


def position_or_end(position: int, text: str) -> int:
    """Return a position that was searched for, or the end of the text where there is none."""
    return len(text) if position < 0 else position
