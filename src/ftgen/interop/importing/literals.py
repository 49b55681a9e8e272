"""Variables that a script sets itself, as far as their values at a call depend on nothing but its text.

What may set a variable is a matter of the whole script: a loop, a function, `read`, `${NAME:=…}`, a file that is read.
Whatever may do so makes the variable unknown, for a wrong value is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from ftgen.interop.importing import shell
from ftgen.interop.importing.shell import Command, UnclosedError, Word

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]*\])?(\+?)=")
_DESCRIPTOR = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DEFAULT = re.compile(r"\$\{!?([A-Za-z_][A-Za-z0-9_]*+)(?:\[[^\]\n]{0,100}\])?:?=")
_SUM = re.compile(
    r"(?<![A-Za-z0-9_])([A-Za-z_][A-Za-z0-9_]*+)[ \t]{0,9}(?:\[[^\]\n]{0,100}\])?[ \t]{0,9}"
    r"(?:\+\+|--|(?:[-+*/%&|^]|<<|>>)?=(?!=))"
    r"|(?:\+\+|--)[ \t]{0,9}([A-Za-z_][A-Za-z0-9_]*+)"
)
_CLOSING = {"if": "fi", "while": "done", "until": "done", "for": "done", "select": "done", "case": "esac", "{": "}"}
"""What closes each compound command."""
_BETWEEN = frozenset({"then", "else", "elif", "do", "!", "time"})
_GOES_ON = frozenset({"&&", "||", "|"})
"""Operators after which a line break ends nothing."""
_NAMED = frozenset({"local", "declare", "typeset", "unset", "coproc", "read", "mapfile", "readarray", "getopts"})
"""Commands of the shell that set the variables among their words."""
_AFTER_FLAG = {"printf": "-v", "wait": "-p"}
"""Commands of the shell that set a variable after one of their flags alone."""
_VALUED = {"read": "pdnNtui", "mapfile": "dnOsuCc", "readarray": "dnOsuCc"}
"""Flags after whose letter another word is their value."""
_ANYTHING = frozenset({"eval", "source", "."})
"""Commands of the shell that set variables which the script need not name."""


def known(text: str, call: int) -> dict[str, str]:
    """Return the variables whose values at a call are literals of the script.

    One is known where whatever may set it sets it to one and the same literal, unconditionally, at the top level of the
    script and before the call.  What follows a call at the top level cannot matter any more.

    Args:
        text: the script, with line feeds alone as line ends.
        call: position of the first word of the call.
    """
    reader = _Reader(text)
    try:
        for command in shell.commands(text):
            is_outside = not reader.blocks
            reader.called = reader.called or call in command.starts
            reader.read(command)
            if command.doubtful or reader.is_lost:
                return {}
            if reader.called and is_outside and not reader.blocks:
                return reader.known()
    except UnclosedError:
        return {}
    return reader.known() if reader.called else {}


class _Block(Struct):
    """A compound command that is not closed yet.

    Attributes:
        closing: word or bracket that closes it.
        is_body: whether it is the body of a function.
        is_named: whether it is the brackets after the name of a function.
    """

    closing: str
    is_body: bool = False
    is_named: bool = False


class _Reader(Struct):
    """Reader of the commands of a script, one after the other.

    Attributes:
        text: the script.
        literals: variables that are set to a literal, with it.
        unknown: variables that something else may set.
        blocks: compound commands around the next command.
        functions: how many of these are bodies of functions.
        before: operator before the next command.
        called: whether the call was read.
        is_lost: whether anything may be set to anything.
        is_named: whether the body of a function begins next.
        summed: end of the last arithmetic command.
    """

    text: str
    literals: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    blocks: list[_Block] = field(default_factory=list)
    functions: int = 0
    before: str = ""
    called: bool = False
    is_lost: bool = False
    is_named: bool = False
    summed: int = 0

    def known(self) -> dict[str, str]:
        """Return the variables that nothing but a literal sets."""
        return {name: value for name, value in self.literals.items() if name not in self.unknown}

    def read(self, command: Command) -> None:
        """Take in what a command may set, and where that leaves the next one."""
        for word in command.words:
            for expansion in word.unknown:
                self.unknown.update(_set_by_expansion(expansion))
        for document in command.documents:
            self.unknown.update(_set_by_expansion(document))
        self.unknown.update(match[1] for match in map(_DESCRIPTOR.fullmatch, command.written) if match)
        at = self._reserved(command)
        self._simple(command, at)
        self._end(command, at)

    # --- compound commands ---

    def _reserved(self, command: Command) -> int:
        """Take in the reserved words that a command begins with; return the position of the first other word."""
        at, count = 0, len(command.words)
        while at < count:
            written = command.written[at]
            if written in {"for", "select", "case"}:
                self._open(_CLOSING[written])
                self._set(command.words[at + 1 : at + 2] if written != "case" else ())
                return count
            if written in _CLOSING:
                self._open(_CLOSING[written])
            elif written in _CLOSING.values():
                self._close(written)
            elif written == "function":
                self.is_named = True
                at += 1
            elif written not in _BETWEEN:
                break
            at += 1
        return min(at, count)

    def _open(self, closing: str, *, is_named: bool = False) -> None:
        self.blocks.append(_Block(closing, self.is_named, is_named))
        self.functions += self.is_named
        self.is_named = False

    def _close(self, closing: str) -> None:
        if self.blocks and self.blocks[-1].closing == closing:
            self.functions -= self.blocks.pop().is_body
        else:
            self.is_lost = True

    def _end(self, command: Command, at: int) -> None:
        """Take in the operator that ends a command: a bracket is one of a subshell, function, array, sum or pattern."""
        inner = self.blocks[-1] if self.blocks else _Block("")
        if command.end == "(":
            self._sum(command.next)
            alone = len(command.words) == at + 1 and not _ASSIGNMENT.match(command.written[at])
            self._open(")", is_named=alone or bool(command.words and self.is_named))
        elif command.end == ")" and inner.closing != "esac":
            self._close(")")
            self.is_named = inner.is_named and not command.words
        elif len(command.words) > at:
            self.is_named = False
        if command.words or command.end not in {"\n", "&"} or self.before not in _GOES_ON:
            self.before = command.end

    def _sum(self, start: int) -> None:
        """Take in what an arithmetic command such as `((A++))` may set."""
        if self.text.startswith("(", start) and start >= self.summed:
            end = self.text.find("))", start)
            self.summed = end if end >= 0 else len(self.text)
            self.unknown.update(_set_by_sum(self.text[start : self.summed]))

    # --- simple commands ---

    def _simple(self, command: Command, at: int) -> None:
        """Take in a simple command that begins at a word."""
        begin, count = at, len(command.words)
        while at < count and _ASSIGNMENT.match(command.written[at]):
            at += 1
        self._assign(command, range(begin, at), is_plain=at == count and self._is_plain(command))
        while at < count and command.words[at].text in {"builtin", "command"}:
            at += 1
        if at < count:
            self._run(command, command.words[at].text, range(at + 1, count))

    def _run(self, command: Command, program: str, places: range) -> None:
        """Take in a program of the shell that may set variables."""
        words = command.words[places.start :]
        if program in {"export", "readonly"}:
            self._export(command, places)
        elif program in _ANYTHING:
            self._set_anything()
        elif program == "let" or (program in {"local", "declare", "typeset"} and any(map(_is_reference, words))):
            self.unknown.update(name for word in words for name in _NAME.findall(word.text))
        elif program in _AFTER_FLAG:
            flagged = [i for i, word in enumerate(words) if word.text.startswith(_AFTER_FLAG[program])]
            self._set(words[flagged[0] + 1 : flagged[0] + 2] if flagged else ())
        elif program in _NAMED:
            self._set(_without_flags(words[program == "getopts" :], _VALUED.get(program, "")))

    def _is_plain(self, command: Command) -> bool:
        """Return whether a command is run once, by the script itself, and before the call."""
        return (
            not (self.blocks or self.called or self.is_named)
            and self.before in {"", "\n", ";", "&", ")"}
            and command.end in {"", "\n", ";", "&&", "||"}
        )

    def _assign(self, command: Command, places: Iterable[int], *, is_plain: bool) -> None:
        for place in places:
            word, written = command.words[place], command.written[place]
            match = _ASSIGNMENT.match(written)
            if match is None:
                continue
            name, value = match[1], word.text.partition("=")[2]
            is_literal = not (word.unknown or match[2] or match[3] or "$" in value or ":~" in written)
            if is_plain and is_literal and self.literals.get(name, value) == value:
                self.literals[name] = value
            else:
                self.unknown.add(name)

    def _export(self, command: Command, places: range) -> None:
        """Take in the words after `export`: one without a value sets nothing, one that expands may set anything."""
        self._assign(command, places, is_plain=self._is_plain(command))
        others = [command.words[place] for place in places if not _ASSIGNMENT.match(command.written[place])]
        self._set([word for word in others if word.unknown or "=" in word.text])

    def _set(self, words: Sequence[Word]) -> None:
        """Take in words that name variables: one that the shell expands may name any."""
        for word in words:
            name = _NAME.match(word.text)
            self.unknown.update([name[0]] if name else [])
            if word.unknown and not _ASSIGNMENT.match(word.text):
                self._set_anything()

    def _set_anything(self) -> None:
        """Take in a command that may set any variable: here and now, or whenever the function around it is called."""
        self.is_lost = self.is_lost or self.called or self.functions > 0
        self.unknown.update(self.literals)
        self.literals.clear()


def _is_reference(word: Word) -> bool:
    """Return whether a word is a flag of `declare` by which the variable stands for another one."""
    return word.text.startswith("-") and "n" in word.text


def _without_flags(words: Sequence[Word], valued: str) -> list[Word]:
    """Remove flags, and the values of those whose letter is among `valued`."""
    kept: list[Word] = []
    is_value = False
    for word in words:
        is_flag = word.text.startswith("-") and not is_value
        if not (is_flag or is_value):
            kept.append(word)
        is_value = is_flag and word.text[-1] in valued
    return kept


def _set_by_expansion(text: str) -> Iterator[str]:
    """Yield the variables that an expansion or a here-document sets: `${A:=…}`, `$((A++))`; `$(…)` sets none."""
    if text.startswith("$((") or not text.startswith(("$(", "`")):
        yield from _DEFAULT.findall(text)
        if "$((" in text:
            yield from _set_by_sum(text)


def _set_by_sum(text: str) -> Iterator[str]:
    for match in _SUM.finditer(text):
        yield match[1] or match[2]
