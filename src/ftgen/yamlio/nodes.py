"""A composed document: its plain value, and where everything in it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ftgen.text.paths import Steps
from ftgen.yamlio.problems import SYNTAX, location, reject

Node = Any
"""A composed node: the parser's own event of a scalar, or a `Branch`."""


class Branch:
    """A mapping or a list being composed.

    Attributes:
        event: of the parser, where it starts.
        nodes: its items; keys and values in turn of a mapping.
        values: the plain values of these nodes.
        value: its own plain value, once it is complete.
        start_mark: where it starts, as events have it.
    """

    __slots__ = ("event", "nodes", "start_mark", "value", "values")

    def __init__(self, event: Any) -> None:
        """Begin with the event that opens it."""
        self.event = event
        self.start_mark = event.start_mark
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.value: Any = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an entry stands in a text, counted from 1: its key (a list item's value) and its value.

    `block`: the value is a block scalar, whose text begins on the line below.
    """

    line: int
    column: int
    value_line: int
    value_column: int
    block: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a text: its plain value, and where everything in it stands, looked up when it is asked for.

    Attributes:
        value: the plain value.
        root: the node that it comes from.
        file: the text's name in diagnostics.
        doubtful: the plain scalars that readers may disagree on, in the document's order.
    """

    value: Any
    root: Node
    file: str
    doubtful: Sequence[Any] = ()

    def nearest(self, path: Steps) -> Mark:
        """Where an entry stands, or the innermost thing around it that does."""
        key = node = self.root
        for step in path:
            entry = found_in(node, step, self.file)
            if entry is None:
                break
            key, node, _ = entry
        return _mark(key, node)

    def places(self) -> Mapping[Steps, Mark]:
        """Where every key path stands; the empty path is the document itself."""
        places: dict[Steps, Mark] = {}

        def visit(path: Steps, key: Node, node: Node) -> None:
            places[path] = _mark(key, node)
            for name, (at, held, _) in entries(node, self.file).items():
                visit((*path, name), at, held)

        visit((), self.root, self.root)
        return places


_Entry = tuple[Node, Node, Any]
"""The node of a key (a list item's own), the node of its value, and the plain value."""


def entries(node: Node, file: str) -> Mapping[str | int, _Entry]:
    """What a node holds by name or index, merge keys replaced by what they bring where no key overrides it."""
    if not isinstance(node, Branch):
        return {}
    if type(node.event) is yaml.SequenceStartEvent:
        items = zip(node.nodes, node.nodes, node.values, strict=True)
        return dict(enumerate(items))
    merged: dict[Any, _Entry] = {}
    own: dict[Any, _Entry] = {}
    pairs = zip(node.nodes[::2], node.values[::2], node.nodes[1::2], node.values[1::2], strict=True)
    for key, name, held, value in pairs:
        if name == "<<" and is_merge(key):
            merged |= _brought(held, file)
        else:
            own[name] = key, held, value
    return merged | own


def found_in(node: Node, step: str | int, file: str) -> _Entry | None:
    """One of the entries of a node, as `entries` has it, where its own key leads there without making all of them."""
    if _is_mapping(node) and step != "<<" and step in (names := node.values[::2]):
        place = 2 * names.index(step)
        return node.nodes[place], node.nodes[place + 1], node.values[place + 1]
    if isinstance(node, Branch) and isinstance(step, int) and not _is_mapping(node):
        return (node.nodes[step], node.nodes[step], node.values[step]) if 0 <= step < len(node.nodes) else None
    return entries(node, file).get(step)


def _brought(source: Node, file: str) -> Mapping[Any, _Entry]:
    maps = source.nodes if isinstance(source, Branch) and not _is_mapping(source) else [source]
    if not all(map(_is_mapping, maps)):
        where = location(file, source.start_mark)
        reject(SYNTAX, "the merge key << takes a mapping or a list of mappings", where)
    return {name: entry for one in reversed(maps) for name, entry in entries(one, file).items()}


def _is_mapping(node: Node) -> bool:
    return isinstance(node, Branch) and type(node.event) is yaml.MappingStartEvent


def _mark(key: Node, node: Node) -> Mark:
    at, value = key.start_mark, node.start_mark
    block = not isinstance(node, Branch) and node.style in {"|", ">"}
    return Mark(at.line + 1, at.column + 1, value.line + 1, value.column + 1, block)


def is_merge(key: Node) -> bool:
    """Tell a merge key from a key that is the text `<<`."""
    return not isinstance(key, Branch) and key.value == "<<" and key.tag is None and bool(key.implicit[0])
