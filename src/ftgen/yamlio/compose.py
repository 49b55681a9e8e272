"""From the parser's events to documents: nesting, duplicate keys and alias bombs are refused on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ftgen.yamlio.nodes import Branch, Document, Node, entries, is_merge
from ftgen.yamlio.problems import SYNTAX, location, reject
from ftgen.yamlio.scalars import TAG, Loader, resolved

DEEPEST = 100
TOO_DEEP = f"this YAML holds more than {DEEPEST} levels"
_MOST_BROUGHT = 100_000
_COLLECTIONS = {yaml.MappingStartEvent: f"{TAG}map", yaml.SequenceStartEvent: f"{TAG}seq"}
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
START = yaml.Mark("", 0, 0, 0, "", 0)
EMPTY = yaml.ScalarEvent(None, None, (True, False), "", START, START)


def composed(text: str, file: str) -> Iterator[Document]:
    """The documents of a text, from parser events: PyYAML's own composer recurses in C without a limit."""
    events = iter(Loader(text).get_event, None)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            composer = _Composer(file)
            root, value = composer.compose(events)
            if value is not None:
                yield Document(value, root, file, composer.doubtful)


class _Composer:
    """Builds one document's nodes and values and keeps count of what its aliases expand to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.anchors: dict[str, Node] = {}
        self.doubtful: list[Any] = []
        self.sizes: dict[int, tuple[int, int]] = {}
        self.brought = 0

    def compose(self, events: Iterator[Any]) -> tuple[Node, Any]:
        """The node that ends with the document's end, and its plain value.

        One loop and no calls for what most of a text is, plain scalars: this is where reading spends its time.
        """
        branch = Branch(EMPTY)
        above: list[Branch] = []
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                branch.nodes.append(event)
                if event.implicit[1]:  # without a tag, in quotes or a block: text whatever it looks like
                    branch.values.append(event.value)
                else:
                    value, doubtful = _scalar(event, self.file)
                    branch.values.append(value)
                    if doubtful and event.implicit[0]:
                        self.doubtful.append(event)
                if event.anchor:
                    self.anchors[event.anchor] = event
            elif kind in _COLLECTIONS:
                above.append(branch)
                branch = self._opened(event, above)
            elif kind in _ENDS:
                done, branch = branch, above.pop()
                done.value = _finished(done, self.file)
                branch.nodes.append(done)
                branch.values.append(done.value)
            elif kind is yaml.AliasEvent:
                node = self._aliased(event, above, branch)
                branch.nodes.append(node)
                branch.values.append(_value(node, self.file))
            else:
                return branch.nodes[0], branch.values[0]
        raise AssertionError("libyaml ends every document that it starts")  # pragma: no cover

    def _opened(self, event: Any, above: list[Branch]) -> Branch:
        self._refuse_depth(len(above), event)
        if event.tag not in (None, "!", _COLLECTIONS[type(event)]):
            reject(SYNTAX, f"the tag {event.tag} is no plain value", location(self.file, event.start_mark))
        branch = Branch(event)
        if event.anchor:
            self.anchors[event.anchor] = branch
        return branch

    def _aliased(self, event: Any, above: list[Branch], branch: Branch) -> Node:
        where = location(self.file, event.start_mark)
        node = self.anchors.get(event.anchor)
        if node is None:
            reject(SYNTAX, f"the alias *{event.anchor} has no anchor above it", where)
        if any(node is parent for parent in (*above, branch)):
            reject(SYNTAX, f"the alias *{event.anchor} stands inside what it names", where)
        size, height = self._extent(node)
        self.brought += size
        if self.brought > _MOST_BROUGHT:
            reject(SYNTAX, f"the aliases of this YAML bring more than {_MOST_BROUGHT} values", where)
        self._refuse_depth(len(above) + height, event)
        return node

    def _refuse_depth(self, depth: int, event: Any) -> None:
        if depth > DEEPEST:
            where = location(self.file, event.start_mark)
            reject(SYNTAX, TOO_DEEP, where)

    def _extent(self, node: Node) -> tuple[int, int]:
        """How many values a complete node holds, and on how many levels; what is aliased is asked once."""
        if not isinstance(node, Branch):
            return 1, 1
        if id(node) not in self.sizes:
            inner = [self._extent(each) for each in node.nodes]
            size, height = sum(size for size, _ in inner), max((height for _, height in inner), default=0)
            self.sizes[id(node)] = 1 + size, 1 + height
        return self.sizes[id(node)]


def _finished(branch: Branch, file: str) -> Any:
    """The plain value of a complete branch."""
    if type(branch.event) is yaml.SequenceStartEvent:
        return branch.values
    keys = branch.values[::2]
    try:
        held = dict(zip(keys, branch.values[1::2], strict=True))
    except TypeError:
        held = {}
    if len(held) < len(keys):
        _refuse_keys(branch, file)
    if "<<" in held and any(map(is_merge, branch.nodes[::2])):
        return {name: _copied(value) for name, (_, _, value) in entries(branch, file).items()}
    return held


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
    """The value of an aliased node, a copy."""
    if isinstance(node, Branch):
        return _copied(node.value)
    return node.value if node.implicit[1] else _scalar(node, file)[0]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(held) for key, held in value.items()}
    return [_copied(held) for held in value] if isinstance(value, list) else value


def _scalar(event: Any, file: str) -> tuple[Any, bool]:
    try:
        return resolved(event.tag, event.value)
    except (ValueError, KeyError, IndexError):
        where = location(file, event.start_mark)
        reject(SYNTAX, f"{event.value[:60]!r} cannot be read as {event.tag or 'a number'}", where)
