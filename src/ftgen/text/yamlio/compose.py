"""Composer of documents from parser events; refuses deep nesting, duplicate keys, too many parts and alias bombs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml

from ftgen.text import parts
from ftgen.text.yamlio.breaks import Recount, counts_otherwise
from ftgen.text.yamlio.nodes import Branch, Document, Node, entries, is_merge
from ftgen.text.yamlio.problems import SYNTAX, location, reject
from ftgen.text.yamlio.scalars import TAG, Loader, resolve_scalar

DEEPEST = 100
TOO_DEEP = f"this YAML holds more than {DEEPEST} levels"
_MOST_ALIASED = 100_000
_MOST_PER_CHARACTER = 3  # parts: each `? ` of `? ? ? x` begins, ends, and has an empty value
_COLLECTIONS = {yaml.MappingStartEvent: f"{TAG}map", yaml.SequenceStartEvent: f"{TAG}seq"}
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
START = yaml.Mark("", 0, 0, 0, "", 0)
EMPTY = yaml.ScalarEvent(None, None, (True, False), "", START, START)


def composed(text: str, file: str, most: int = parts.MOST) -> Iterator[Document]:
    """Yield the documents of a text; PyYAML's own composer is not used, as it recurses in C without a limit.

    Args:
        text: the text.
        file: its name in diagnostics.
        most: most parts of all its documents, which are the parser's events.
    """
    if len(text) * _MOST_PER_CHARACTER > most:
        _refuse_parts(text, file, most)
    events: Iterator[Any] = iter(Loader(text).get_event, None)
    if counts_otherwise(text):
        events = map(Recount(text).event, events)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            composer = _Composer(file, most)
            root, value = composer.compose(events)
            if value is not None:
                yield Document(value, root, file, composer.maybe_ambiguous)


def _refuse_parts(text: str, file: str, most: int) -> None:
    """Refuse a text of too many parts: the parser alone takes a tenth of the time, and keeps nothing.

    Where the parser fails before, composing says so, or what it finds above.
    """
    try:
        event: Any = next(islice(iter(Loader(text).get_event, None), most, None), None)
    except yaml.YAMLError:
        return
    if event is not None:
        mark = Recount(text).mark(event.start_mark) if counts_otherwise(text) else event.start_mark
        headline = f"this YAML has more than {most} parts: keys, values, and ends of mappings and lists"
        reject(SYNTAX, headline, location(file, mark), "split it, or name the file that was meant")


class _Composer:
    """Composer of one document's nodes and values, which limits the values that aliases expand to."""

    def __init__(self, file: str, most: int) -> None:
        self.file = file
        self.most_aliased = min(_MOST_ALIASED, most)
        self.anchors: dict[str, Node] = {}
        self.maybe_ambiguous: list[Any] = []
        self.sizes: dict[int, tuple[int, int]] = {}
        self.aliased_values = 0

    def compose(self, events: Iterator[Any]) -> tuple[Node, Any]:
        """Return the document's root node and its plain value.

        One loop without calls for plain scalars, which are most of a text: reading spends its time here.
        """
        branch = Branch(EMPTY)
        parents: list[Branch] = []
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                branch.nodes.append(event)
                if event.implicit[1]:  # quoted or block scalar without a tag: always text
                    branch.values.append(event.value)
                else:
                    value, maybe_ambiguous = _scalar(event, self.file)
                    branch.values.append(value)
                    if maybe_ambiguous and event.implicit[0]:
                        self.maybe_ambiguous.append(event)
                if event.anchor:
                    self.anchors[event.anchor] = event
            elif kind in _COLLECTIONS:
                parents.append(branch)
                branch = self._open_branch(event, parents)
            elif kind in _ENDS:
                child, branch = branch, parents.pop()
                child.value = _plain_value(child, self.file)
                branch.nodes.append(child)
                branch.values.append(child.value)
            elif kind is yaml.AliasEvent:
                node = self._resolve_alias(event, parents, branch)
                branch.nodes.append(node)
                branch.values.append(_value(node, self.file))
            else:
                return branch.nodes[0], branch.values[0]
        raise AssertionError("libyaml ends every document that it starts")  # pragma: no cover

    def _open_branch(self, event: Any, parents: list[Branch]) -> Branch:
        self._refuse_depth(len(parents), event)
        if event.tag not in (None, "!", _COLLECTIONS[type(event)]):
            reject(SYNTAX, f"the tag {event.tag} is no plain value", location(self.file, event.start_mark))
        branch = Branch(event)
        if event.anchor:
            self.anchors[event.anchor] = branch
        return branch

    def _resolve_alias(self, event: Any, parents: list[Branch], branch: Branch) -> Node:
        where = location(self.file, event.start_mark)
        node = self.anchors.get(event.anchor)
        if node is None:
            reject(SYNTAX, f"the alias *{event.anchor} has no anchor above it", where)
        if any(node is parent for parent in (*parents, branch)):
            reject(SYNTAX, f"the alias *{event.anchor} stands inside what it names", where)
        size, height = self._extent(node)
        self.aliased_values += size
        if self.aliased_values > self.most_aliased:
            reject(SYNTAX, f"the aliases of this YAML bring more than {self.most_aliased} values", where)
        self._refuse_depth(len(parents) + height, event)
        return node

    def _refuse_depth(self, depth: int, event: Any) -> None:
        if depth > DEEPEST:
            where = location(self.file, event.start_mark)
            reject(SYNTAX, TOO_DEEP, where)

    def _extent(self, node: Node) -> tuple[int, int]:
        """Return a complete node's number of values and levels; computed once for each aliased node."""
        if not isinstance(node, Branch):
            return 1, 1
        if id(node) not in self.sizes:
            extents = [self._extent(child) for child in node.nodes]
            size, height = sum(size for size, _ in extents), max((height for _, height in extents), default=0)
            self.sizes[id(node)] = 1 + size, 1 + height
        return self.sizes[id(node)]


def _plain_value(branch: Branch, file: str) -> Any:
    """Return the plain value of a complete branch."""
    if type(branch.event) is yaml.SequenceStartEvent:
        return branch.values
    keys = branch.values[::2]
    try:
        mapping = dict(zip(keys, branch.values[1::2], strict=True))
    except TypeError:
        mapping = {}
    if len(mapping) < len(keys):
        _refuse_keys(branch, file)
    if "<<" in mapping and any(map(is_merge, branch.nodes[::2])):
        return {name: _copied(value) for name, (_, _, value) in entries(branch, file).items()}
    return mapping


def _refuse_keys(branch: Branch, file: str) -> None:
    seen: dict[Any, int] = {}
    for key, value in zip(branch.nodes[::2], branch.values[::2], strict=True):
        where = location(file, key.start_mark)
        if isinstance(key, Branch):
            reject(SYNTAX, "a mapping key must be a single value", where)
        if value in seen:
            headline = f"the key {value!r} is already given on line {seen[value]}"
            reject(SYNTAX, headline, where, "keep one of the two")
        seen[value] = where.line


def _value(node: Node, file: str) -> Any:
    """Return a copy of an aliased node's value."""
    if isinstance(node, Branch):
        return _copied(node.value)
    return node.value if node.implicit[1] else _scalar(node, file)[0]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


def _scalar(event: Any, file: str) -> tuple[Any, bool]:
    try:
        return resolve_scalar(event.tag, event.value)
    except (ValueError, KeyError, IndexError):
        where = location(file, event.start_mark)
        reject(SYNTAX, f"{event.value[:60]!r} cannot be read as {event.tag or 'a number'}", where)
