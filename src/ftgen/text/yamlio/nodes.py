"""Composed documents: plain values with the positions of all entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from msgspec import Struct

from ftgen.text.paths import Steps
from ftgen.text.yamlio.problems import SYNTAX, location, reject

Node = Any
"""Composed node: the parser's own event of a scalar, or a `Branch`."""


class Branch:
    """Mapping or list node.

    Attributes:
        event: parser event that starts it.
        nodes: nodes of its items; of a mapping, keys and values in turn.
        values: plain values of these nodes.
        value: its own plain value, once it is complete.
        start_mark: position of its start, as on parser events.
    """

    __slots__ = ("event", "nodes", "start_mark", "value", "values")

    def __init__(self, event: Any) -> None:
        """Start an empty branch at the event that opens it."""
        self.event = event
        self.start_mark = event.start_mark
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.value: Any = None


class Mark(Struct, frozen=True):
    """Position of an entry in a text, counted from 1: of its key (a list item's value) and of its value.

    `block`: whether the value is a block scalar, whose text begins on the next line.
    """

    line: int
    column: int
    value_line: int
    value_column: int
    block: bool = False


class Document(Struct, frozen=True):
    """YAML document: its plain value, and the positions of its entries, computed on demand.

    Attributes:
        value: plain value.
        root: root node.
        file: name of the text in diagnostics.
        maybe_ambiguous: events of plain scalars that YAML 1.1 and 1.2 may read differently, in the document's order.
    """

    value: Any
    root: Node
    file: str
    maybe_ambiguous: Sequence[Any] = ()

    def nearest(self, path: Steps) -> Mark:
        """Return the position of an entry, or of its innermost ancestor that exists."""
        key = node = self.root
        for step in path:
            entry = found_in(node, step, self.file)
            if entry is None:
                break
            key, node, _ = entry
        return _mark(key, node)

    def places(self) -> Mapping[Steps, Mark]:
        """Return the position of every path; the empty path is the document itself."""
        places: dict[Steps, Mark] = {}

        def visit(path: Steps, key: Node, node: Node) -> None:
            places[path] = _mark(key, node)
            for name, (key_node, value_node, _) in entries(node, self.file).items():
                visit((*path, name), key_node, value_node)

        visit((), self.root, self.root)
        return places


_Entry = tuple[Node, Node, Any]
"""Node of a key (of a list item: its own), node of the value, and plain value."""


def entries(node: Node, file: str) -> Mapping[str | int, _Entry]:
    """Return a node's entries by key or index, with merge keys (`<<`) expanded; own keys override merged ones."""
    if not isinstance(node, Branch):
        return {}
    if type(node.event) is yaml.SequenceStartEvent:
        triples = zip(node.nodes, node.nodes, node.values, strict=True)
        return dict(enumerate(triples))
    merged: dict[Any, _Entry] = {}
    own: dict[Any, _Entry] = {}
    pairs = zip(node.nodes[::2], node.values[::2], node.nodes[1::2], node.values[1::2], strict=True)
    for key, name, value_node, value in pairs:
        if name == "<<" and is_merge(key):
            merged |= _merged_entries(value_node, file)
        else:
            own[name] = key, value_node, value
    return merged | own


def found_in(node: Node, step: str | int, file: str) -> _Entry | None:
    """Return one of the `entries` of a node, without building all of them if the node itself has the key."""
    if _is_mapping(node) and step != "<<" and step in (names := node.values[::2]):
        index = 2 * names.index(step)
        return node.nodes[index], node.nodes[index + 1], node.values[index + 1]
    if isinstance(node, Branch) and isinstance(step, int) and not _is_mapping(node):
        return (node.nodes[step], node.nodes[step], node.values[step]) if 0 <= step < len(node.nodes) else None
    return entries(node, file).get(step)


def _merged_entries(source: Node, file: str) -> Mapping[Any, _Entry]:
    maps = source.nodes if isinstance(source, Branch) and not _is_mapping(source) else [source]
    if not all(map(_is_mapping, maps)):
        where = location(file, source.start_mark)
        reject(SYNTAX, "the merge key << takes a mapping or a list of mappings", where)
    return {name: entry for mapping in reversed(maps) for name, entry in entries(mapping, file).items()}


def _is_mapping(node: Node) -> bool:
    return isinstance(node, Branch) and type(node.event) is yaml.MappingStartEvent


def _mark(key: Node, node: Node) -> Mark:
    start, value_start = key.start_mark, node.start_mark
    block = not isinstance(node, Branch) and node.style in {"|", ">"}
    return Mark(start.line + 1, start.column + 1, value_start.line + 1, value_start.column + 1, block)


def is_merge(key: Node) -> bool:
    """Return whether a key is a merge key rather than the text `<<`."""
    return not isinstance(key, Branch) and key.value == "<<" and key.tag is None and bool(key.implicit[0])
