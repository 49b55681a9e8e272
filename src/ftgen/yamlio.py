"""YAML in and out: the only module that knows a YAML library.

Three doors for three needs.  `dump` is ftgen's own emitter: manifests are JSON values, the bytes must be the
same everywhere, and every scalar must read the same under YAML 1.1 (PyYAML, kubectl) and YAML 1.2 (ruamel).
`parse`, `read` and `positions` go through PyYAML's C scanner, composed here so that nesting, duplicate keys
and alias bombs are refused.  `load_roundtrip` and `dump_roundtrip` are ruamel.yaml's, for editing a file
without losing its comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ftgen.diagnostics import Location, Rejected, error

SYNTAX = "FT001"
FILE = "FT002"

_DEEPEST = 100
_MOST_NODES = 100_000
_LONGEST_LINE = 1_000_000
_LONGEST_KEY = 1000  # an implicit key must end within 1024 characters (YAML 1.2.2, section 7.4.3)

# --- writing -------------------------------------------------------------------------------------------

_SAFE = re.compile(
    r"(?:--?)?[A-Za-z0-9_/$]"
    r"(?:[-A-Za-z0-9_/$.+@=()\[\]{}|%~;'\"^&*<>!?,]|:(?=[^ ])| (?=[^ #]))*",
)
_NUMERIC = re.compile(r"[-+]*[0-9_][-+0-9_.,: eExXoObBa-fA-FtTzZ]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_UNPRINTABLE = "\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff"
_NO_BLOCK = re.compile(f"[{_UNPRINTABLE}]")
_ESCAPED = re.compile(f'[{_UNPRINTABLE}\t\n\\\\"]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_ASCII = re.compile(r"[ -~]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump(value: Any) -> str:
    """One YAML document without a `---` line for a JSON-like value.

    Block style as kubectl prints it: two spaces, sequences at their key's column, keys in the given order,
    no anchors, no folding, LF.  Text of several lines becomes a literal block wherever one can hold it.

    Raises:
        TypeError: something in it is no JSON value, or a key is no text; a bug in the caller.
        ValueError: a text holds half a surrogate pair, which no encoding can carry.
    """
    out: list[str] = []
    if isinstance(value, dict) and value:
        _mapping(out, value, 0, "")
    elif isinstance(value, list) and value:
        _sequence(out, value, 0, "")
    else:
        out.append(f"{_leaf(value, 2)}\n")
    return "".join(out)


def dump_all(values: Sequence[Any]) -> str:
    """Several documents as one stream, `---` between them."""
    return "---\n".join(dump(value) for value in values)


def _mapping(out: list[str], mapping: dict[str, Any], indent: int, first: str) -> None:
    lead, pad = first, " " * indent
    for key, value in mapping.items():
        if isinstance(value, str):
            out += lead, _text_entry(key, value, indent)
        else:
            _entry(out, f"{lead}{_key(key, pad)}", value, indent)
        lead = pad


@lru_cache(maxsize=4096)
def _text_entry(key: object, text: str, indent: int) -> str:
    return f"{_key(key, ' ' * indent)} {_leaf(text, indent + 2)}\n"


def _entry(out: list[str], head: str, value: Any, indent: int) -> None:
    if isinstance(value, dict) and value:
        out.append(f"{head}\n")
        _mapping(out, value, indent + 2, " " * (indent + 2))
    elif isinstance(value, list) and value:
        out.append(f"{head}\n")
        _sequence(out, value, indent, " " * indent)
    else:
        out.append(f"{head} {_leaf(value, indent + 2)}\n")


def _sequence(out: list[str], items: list[Any], indent: int, first: str) -> None:
    lead, pad = f"{first}- ", f"{' ' * indent}- "
    for item in items:
        if isinstance(item, dict) and item:
            _mapping(out, item, indent + 2, lead)
        elif isinstance(item, list) and item:
            _sequence(out, item, indent + 2, lead)
        else:
            out.append(f"{lead}{_leaf(item, indent + 2)}\n")
        lead = pad


def _key(key: object, pad: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a mapping key must be text, not {key!r}")
    text = _line(key)
    return f"{text}:" if len(text) <= _LONGEST_KEY else f"? {text}\n{pad}:"


def _leaf(value: object, indent: int) -> str:
    if isinstance(value, str):
        return _block(value, indent) if "\n" in value else _line(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"not a JSON value: {value!r}")


def _float(value: float) -> str:
    text = float.__repr__(value)
    if text in {"nan", "inf", "-inf"}:
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, exponent, power = text.partition("e")  # YAML 1.1 wants a dot before the exponent
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else text


@lru_cache(maxsize=16384)
def _line(text: str) -> str:
    return str(text) if _is_plain(text) else _quoted(text)


def _is_plain(text: str) -> bool:
    return bool(_SAFE.fullmatch(text)) and not _NUMERIC.fullmatch(text) and text.lower() not in _WORDS


def _quoted(text: str) -> str:
    if _SURROGATE.search(text):
        raise ValueError(f"half a surrogate pair in {text[:60]!r}")
    if "'" not in text and ('"' in text or "\\" in text) and _ASCII.fullmatch(text):
        return f"'{text}'"  # embedded JSON stays readable
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _ESCAPES.get(match[0]) or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}")  # noqa: PLR2004


@lru_cache(maxsize=4096)
def _block(text: str, indent: int) -> str:
    body = text.rstrip("\n")
    if not body.strip() or _NO_BLOCK.search(text) or _SURROGATE.search(text):
        return _quoted(text)
    head, pad = _block_header(text, body), " " * indent
    lines = (f"{pad}{line}" if line else "" for line in body.split("\n"))
    return "\n".join((head, *lines)) + "\n" * max(0, len(text) - len(body) - 1)


def _block_header(text: str, body: str) -> str:
    indicator = "2" if body.lstrip("\n")[0] in " \t" else ""
    chomping = ("-", "", "+")[min(len(text) - len(body), 2)]
    return f"|{indicator}{chomping}"


# --- reading -------------------------------------------------------------------------------------------


class _Loader(yaml.CSafeLoader):
    """PyYAML's C scanner and the YAML 1.1 rules, two apart: a date stays text, and `1e-4` is a number.

    Both are what OmegaConf and the Kubernetes clients read; PyYAML alone wants `1.0e-4`.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_EXPONENT = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+\Z")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
_NOTHING = _Loader("")
_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": _NOTHING.construct_yaml_bool,
    f"{_TAG}int": _NOTHING.construct_yaml_int,
    f"{_TAG}float": _NOTHING.construct_yaml_float,
}
_TEXTS = frozenset({"!", *(f"{_TAG}{kind}" for kind in ("str", "merge", "value"))})
_COLLECTIONS = {yaml.MappingStartEvent: f"{_TAG}map", yaml.SequenceStartEvent: f"{_TAG}seq"}
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an entry stands in a text, counted from 1: its key (a list item's value) and its value."""

    line: int
    column: int
    value_line: int
    value_column: int


@dataclass(slots=True)
class _Node:
    """A composed node: `value` of a scalar, `children` of a list, keys and values in turn of a mapping."""

    event: Any
    value: Any = None
    children: list[_Node] = field(default_factory=list)
    size: int = 0
    height: int = 1


def parse(text: str, file: str) -> Any:
    """The plain value of a text that holds one YAML document; nothing at all is `None`.

    Scalars read as YAML 1.1 has them, except that dates stay text and `1e-4` is a number; aliases become
    copies.

    Raises:
        Rejected: with `FT001` at line and column: bad syntax, a duplicate key, a tag of no plain value,
            unprintable characters, or nesting and aliases beyond what a manifest can need.
    """
    return _plain(_only(text, file), file)


def parse_all(text: str, file: str) -> list[Any]:
    """The plain values of all documents in a text, empty documents left out; raises like `parse`."""
    return [_plain(node, file) for node in _documents(text, file)]


def read(path: Path, file: str = "") -> Any:
    """The plain value of a file with one document; `file` is the name in diagnostics, else the path.

    Raises:
        Rejected: with `FT002` when the file cannot be read as UTF-8 text, with `FT001` like `parse`.
    """
    return parse(read_text(path, file), file or str(path))


def read_all(path: Path, file: str = "") -> list[Any]:
    """The plain values of all documents in a file; raises like `read`."""
    return parse_all(read_text(path, file), file or str(path))


def read_text(path: Path, file: str = "") -> str:
    """A file's text, line ends as they are; raises `Rejected` with `FT002` when there is none."""
    name = file or str(path)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        _reject(FILE, f"{name} is not UTF-8 text", Location(name, line), "save the file as UTF-8")
    except FileNotFoundError:
        _reject(FILE, f"there is no file {name}", Location(name))
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        _reject(FILE, f"{name} cannot be read: {reason}", Location(name))


def positions(text: str, file: str = "") -> Mapping[tuple[str | int, ...], Mark]:
    """Where every key path of a one-document text stands; the empty path is the document itself.

    What a merge key or an alias brings in stands where it was written.  Raises like `parse`.
    """
    return _places(_only(text, file), file)


def positions_all(text: str, file: str = "") -> list[Mapping[tuple[str | int, ...], Mark]]:
    """`positions` of each document, in step with `parse_all`."""
    return [_places(node, file) for node in _documents(text, file)]


def _only(text: str, file: str) -> _Node:
    nodes = _documents(text, file)
    if len(nodes) > 1:
        where = _location(file, nodes[1].event.start_mark)
        _reject(SYNTAX, f"{len(nodes)} YAML documents where one is expected", where, "keep one document")
    return nodes[0] if nodes else _Node(yaml.ScalarEvent(None, None, (True, False), "", _START, _START))


_START = yaml.Mark("", 0, 0, 0, "", 0)


def _documents(text: str, file: str) -> list[_Node]:
    _refuse_characters(text, file)
    try:
        return [node for node in _composed(text, file) if node.value is not None or _is_collection(node)]
    except yaml.MarkedYAMLError as problem:
        _reject(SYNTAX, *_explained(problem, text, file))
    except yaml.YAMLError as problem:
        _reject(SYNTAX, f"this is not YAML: {problem}", Location(file))


def _explained(problem: yaml.MarkedYAMLError, text: str, file: str) -> tuple[str, Location, str]:
    mark = problem.problem_mark or problem.context_mark or _START
    if text[mark.index : mark.index + 1] == "\t":
        return "a tab cannot indent YAML", _location(file, mark), "indent with spaces"
    context = f" {problem.context}" if problem.context else ""
    return f"this is not YAML: {problem.problem}{context}", _location(file, mark), ""


def _refuse_characters(text: str, file: str) -> None:
    if text.startswith("\ufeff"):
        _reject(SYNTAX, "the file starts with a byte order mark", Location(file, 1, 1), "save it without one")
    if illegal := _ILLEGAL.search(text):
        before = text[: illegal.start()]
        where = Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        _reject(SYNTAX, f"the character U+{ord(illegal[0]):04X} cannot stand in YAML", where)
    if len(text) > _LONGEST_LINE:
        _refuse_long_lines(text, file)


def _refuse_long_lines(text: str, file: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            _reject(SYNTAX, f"a line of {len(line)} characters is no configuration", Location(file, number))


def _composed(text: str, file: str) -> Iterator[_Node]:
    """Nodes of each document, from parser events: PyYAML's own composer recurses in C without a limit."""
    composer = _Composer(file)
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentEndEvent):
            yield composer.root
            composer = _Composer(file)
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            composer.take(event)


class _Composer:
    """Builds one document's nodes and keeps count of what its aliases would expand to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root = _Node(None)
        self.open: list[_Node] = []
        self.anchors: dict[str, _Node] = {}
        self.count = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._put(self._aliased(event), event)
        else:
            self._put(self._new(event), event)

    def _new(self, event: Any) -> _Node:
        node = _Node(event, size=1)
        if event.anchor:
            self.anchors[event.anchor] = node
        if isinstance(event, yaml.ScalarEvent):
            node.value = _scalar(event, self.file)
        elif event.tag not in (None, "!", _COLLECTIONS[type(event)]):
            _reject(SYNTAX, f"the tag {event.tag} is no plain value", _location(self.file, event.start_mark))
        return node

    def _aliased(self, event: Any) -> _Node:
        where = _location(self.file, event.start_mark)
        node = self.anchors.get(event.anchor)
        if node is None:
            _reject(SYNTAX, f"the alias *{event.anchor} has no anchor above it", where)
        if any(node is parent for parent in self.open):
            _reject(SYNTAX, f"the alias *{event.anchor} stands inside what it names", where)
        return node

    def _put(self, node: _Node, event: Any) -> None:
        self.count += node.size
        if self.count > _MOST_NODES or len(self.open) + node.height > _DEEPEST:
            limit = f"{_MOST_NODES} values" if self.count > _MOST_NODES else f"{_DEEPEST} levels"
            _reject(SYNTAX, f"this YAML holds more than {limit}", _location(self.file, event.start_mark))
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.root = node
        if isinstance(event, yaml.CollectionStartEvent):
            self.open.append(node)

    def _close(self) -> None:
        node = self.open.pop()
        node.size += sum(child.size for child in node.children)
        node.height += max((child.height for child in node.children), default=0)
        if isinstance(node.event, yaml.MappingStartEvent):
            _refuse_keys(node, self.file)


def _refuse_keys(node: _Node, file: str) -> None:
    seen: dict[Any, _Node] = {}
    for key in node.children[::2]:
        where = _location(file, key.event.start_mark)
        if _is_collection(key):
            _reject(SYNTAX, "a mapping key must be a single value", where)
        if key.value in seen:
            first = seen[key.value].event.start_mark.line + 1
            _reject(
                SYNTAX,
                f"the key {key.value!r} is already given on line {first}",
                where,
                "keep one of the two",
            )
        seen[key.value] = key


def _scalar(event: Any, file: str) -> Any:
    if event.tag is None and event.implicit[1]:
        return event.value
    try:
        return _resolved(event.tag, event.value)
    except (ValueError, KeyError, IndexError):
        where = _location(file, event.start_mark)
        _reject(SYNTAX, f"{event.value[:60]!r} cannot be read as {event.tag or 'a number'}", where)


@lru_cache(maxsize=8192)
def _resolved(tag: str | None, text: str) -> Any:
    known = tag or _NOTHING.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # untyped in the stubs
    return text if known in _TEXTS else _SCALARS[known](yaml.ScalarNode(known, text))


def _is_collection(node: _Node) -> bool:
    return isinstance(node.event, yaml.CollectionStartEvent)


def _is_merge(key: _Node) -> bool:
    return bool(key.value == "<<" and key.event.tag is None and key.event.implicit[0])


def _plain(node: _Node, file: str) -> Any:
    if isinstance(node.event, yaml.MappingStartEvent):
        return {key.value: _plain(value, file) for key, value in _pairs(node, file)}
    if isinstance(node.event, yaml.SequenceStartEvent):
        return [_plain(child, file) for child in node.children]
    return node.value


def _pairs(node: _Node, file: str) -> list[tuple[_Node, _Node]]:
    """A mapping's keys and values, merge keys replaced by what they bring where no key overrides it."""
    own = list(zip(node.children[::2], node.children[1::2], strict=True))
    if not any(_is_merge(key) for key, _ in own):
        return own
    merged: dict[Any, tuple[_Node, _Node]] = {}
    for key, value in own:
        if _is_merge(key):
            merged |= {name.value: (name, brought) for name, brought in _brought(value, file)}
    return list((merged | {key.value: (key, value) for key, value in own if not _is_merge(key)}).values())


def _brought(source: _Node, file: str) -> list[tuple[_Node, _Node]]:
    if isinstance(source.event, yaml.MappingStartEvent):
        return _pairs(source, file)
    maps = source.children
    if not _is_collection(source) or not all(isinstance(m.event, yaml.MappingStartEvent) for m in maps):
        where = _location(file, source.event.start_mark)
        _reject(SYNTAX, "the merge key << takes a mapping or a list of mappings", where)
    return [pair for one in reversed(maps) for pair in _pairs(one, file)]


def _places(root: _Node, file: str) -> dict[tuple[str | int, ...], Mark]:
    places: dict[tuple[str | int, ...], Mark] = {}

    def visit(path: tuple[str | int, ...], key: _Node, node: _Node) -> None:
        places[path] = _mark(key, node)
        if isinstance(node.event, yaml.MappingStartEvent):
            for name, value in _pairs(node, file):
                visit((*path, name.value), name, value)
        for index, item in enumerate(node.children if isinstance(node.event, yaml.SequenceStartEvent) else ()):
            visit((*path, index), item, item)

    visit((), root, root)
    return places


def _mark(key: _Node, node: _Node) -> Mark:
    at, value = key.event.start_mark, node.event.start_mark
    return Mark(at.line + 1, at.column + 1, value.line + 1, value.column + 1)


def _location(file: str, mark: yaml.Mark) -> Location:
    return Location(file, mark.line + 1, mark.column + 1)


def _reject(code: str, headline: str, where: Location, help: str = "") -> NoReturn:  # noqa: A002
    raise Rejected([error(code, headline, help=help).at(where)])


# --- editing -------------------------------------------------------------------------------------------


def load_roundtrip(text: str, file: str) -> Any:
    """A document that remembers its comments, quotes and order, for editing in place.

    Raises:
        Rejected: with `FT001`, everything `parse` refuses.
    """
    parse(text, file)
    return _editor().load(text)


def dump_roundtrip(document: Any) -> str:
    """The text of an edited document; lines that were not touched keep their comments and quotes."""
    out = StringIO()
    _editor().dump(document, out)
    return out.getvalue()


def _editor() -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - 20 ms that only editing pays

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 2**16
    return editor
