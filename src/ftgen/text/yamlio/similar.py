"""Reader of similar texts, such as the manifests of a sweep, whose lines differ in a few values.

A text with the lines of an earlier one, except for values that end their lines, has the same events of the parser
except for these values.  Its documents are those of the earlier text, in which only these values, and the mappings and
lists around them, are made anew.  Everything else is the same objects, which whoever compares documents sees at once.

Only values whose extent does not depend on their text count: in block collections, without anchor, tag, alias or
comment, in the same style as before, and of characters that mean nothing in that style.  Any other difference goes
through the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import compress
from operator import ne
from typing import Any

import yaml
from msgspec import Struct

from ftgen.text.yamlio.nodes import Branch, Document, is_merge
from ftgen.text.yamlio.read import LONGEST_LINE, documents
from ftgen.text.yamlio.scalars import PLAIN, resolve_scalar

# Layouts kept, such as jobs of one node and of several: each is as large as the documents of one text.
_KEPT = 8
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
# Spelt by what it excludes: to compile a set of the many allowed characters takes four times as long.
_OTHER_CHARACTERS = "\x00-\x1f\x7f-\xa0\u2028-\u202f\ud800-\U0010ffff"
_STYLES = {
    "": re.compile(f"({PLAIN.pattern})"),
    "'": re.compile(f"'([^'{_OTHER_CHARACTERS}]*)'"),
    '"': re.compile(f'"([^"\\\\{_OTHER_CHARACTERS}]*)"'),
    "|": re.compile(f"((?! )[^{_OTHER_CHARACTERS}]+)"),  # one line of a literal block, after its indentation
}
"""Texts that have no other meaning in a style than themselves, in a block collection up to the end of a line."""


class SimilarTexts:
    """Reader that reuses the documents of earlier texts."""

    def __init__(self) -> None:
        """Start without earlier texts."""
        self._layouts: list[_Layout] = []

    def documents(self, text: str, file: str = "") -> list[Document]:
        """Return what `documents` returns, and raise as it does; the result must not be mutated."""
        lines = text.split("\n") if len(text) <= LONGEST_LINE else []
        for position, layout in enumerate(self._layouts):
            found = layout.documents_of(lines, file)
            if found is not None:
                self._layouts.insert(0, self._layouts.pop(position))
                return found
        found = documents(text, file)
        if lines and not _OTHER_BREAKS.search(text):
            self._layouts.insert(0, _Layout(lines, found))
            del self._layouts[_KEPT:]
        return found


class _Place(Struct, frozen=True, eq=False):
    """Place of a node: the branch that holds it, its index there, and the place of that branch; None for a root."""

    branch: Branch
    index: int
    above: _Place | None


class _Value(Struct, frozen=True, eq=False):
    """Scalar that may differ in similar texts: the parser's event, its place, and the number of its document."""

    event: Any
    place: _Place
    document: int


class _Layout(Struct, eq=False, dict=True):
    """Text, in lines, with its documents."""

    lines: list[str]
    documents: list[Document]

    @cached_property
    def values(self) -> dict[int, tuple[_Value, int]]:
        """Return the value that ends each line, and the column where it, or the line of its block, starts."""
        found: dict[int, tuple[_Value, int]] = {}
        for number, document in enumerate(self.documents):
            for value in _values(document.root, None, number):
                found |= {line: (value, column) for line, column in _extent(value.event, self.lines)}
        return found

    def documents_of(self, lines: Sequence[str], file: str) -> list[Document] | None:
        """Return the documents of a text; None if it differs in more than values."""
        if len(lines) != len(self.lines):
            return None
        texts: dict[_Value, list[str]] = {}
        for number in compress(range(len(lines)), map(ne, self.lines, lines)):
            value, column = self.values.get(number, (None, 0))
            if value is None or lines[number][:column] != self.lines[number][:column]:
                return None
            text = _text(value.event.style, lines[number][column:])
            if text is None:
                return None
            block = texts.setdefault(value, value.event.value.split("\n"))
            block[number - value.event.start_mark.line - 1 if value.event.style == "|" else 0] = text
        return self._with({value: "\n".join(block) for value, block in texts.items()}, file)

    def _with(self, texts: dict[_Value, str], file: str) -> list[Document] | None:
        """Return the documents with some other values; None if one of them cannot be read."""
        copies: dict[Branch, Branch] = {}
        ambiguous: dict[int, list[Any]] = {}
        for old, text in texts.items():
            event = _event(old.event, text)
            try:
                value, is_ambiguous = resolve_scalar(None, text) if event.style == "" else (text, False)
            except (ValueError, KeyError, IndexError):
                return None
            _replace(old.place, event, value, copies)
            ambiguous.setdefault(old.document, []).extend([event] if is_ambiguous else [])
        replaced = {id(old.event) for old in texts}
        return [
            _revised(document, file, copies, replaced, ambiguous.get(number))
            for number, document in enumerate(self.documents)
        ]


def _values(branch: Any, above: _Place | None, document: int) -> Iterator[_Value]:
    """Yield the scalars below a node whose values stand in the document once, and as they are."""
    if not isinstance(branch, Branch) or branch.event.anchor or branch.event.flow_style:
        return
    is_mapping = type(branch.event) is yaml.MappingStartEvent
    if is_mapping and any(map(is_merge, branch.nodes[::2])):
        return
    for index in range(int(is_mapping), len(branch.nodes), 1 + is_mapping):
        node, place = branch.nodes[index], _Place(branch, index, above)
        if isinstance(node, Branch):
            yield from _values(node, place, document)
        elif node.anchor is None and node.tag is None:
            yield _Value(node, place, document)


def _extent(event: Any, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the lines that the text of a scalar ends, each with the column where it starts."""
    first, column = event.start_mark.line, event.start_mark.column
    if event.style == "|":
        for number, text in enumerate(event.value.split("\n"), first + 1):
            indent = len(lines[number]) - len(text) if text else 0
            if indent > 0 and _text("|", text) is not None and lines[number] == " " * indent + text:
                yield number, indent
    elif event.value and lines[first][:column].endswith(" "):
        yield from [(first, column)] if _text(event.style, lines[first][column:]) == event.value else []


def _text(style: str, written: str) -> str | None:
    """Return the text that a style writes so; None if it may mean anything else."""
    match = _STYLES[style].fullmatch(written) if style in _STYLES else None
    return match[1] if match else None


def _event(old: Any, text: str) -> Any:
    return yaml.ScalarEvent(None, None, old.implicit, text, old.start_mark, old.end_mark, old.style)


def _replace(place: _Place | None, node: Any, value: Any, copies: dict[Branch, Branch]) -> None:
    """Set a node and its value in a copy of its branch, and this copy in one of the branch above."""
    while place:
        branch, index = place.branch, place.index
        is_new = branch not in copies
        copy = _copy(branch, copies) if is_new else copies[branch]
        copy.nodes[index], copy.values[index] = node, value
        if copy.value is not copy.values:
            copy.value[copy.values[index - 1]] = value
        node, value, place = copy, copy.value, place.above if is_new else None


def _copy(branch: Branch, copies: dict[Branch, Branch]) -> Branch:
    copy = copies[branch] = Branch(branch.event)
    copy.nodes, copy.values = branch.nodes.copy(), branch.values.copy()
    copy.value = copy.values if branch.value is branch.values else branch.value.copy()
    return copy


def _revised(
    document: Document, file: str, copies: dict[Branch, Branch], replaced: set[int], ambiguous: list[Any] | None
) -> Document:
    """Return a document with the copies of its branches; `ambiguous` are its new scalars that may be ambiguous."""
    if ambiguous is None:
        return Document(document.value, document.root, file, document.maybe_ambiguous)
    root = copies[document.root]
    kept = [event for event in document.maybe_ambiguous if id(event) not in replaced]
    in_order = sorted([*kept, *ambiguous], key=lambda event: (event.start_mark.line, event.start_mark.column))
    return Document(root.value, root, file, in_order)
