"""YAML in and out: the only module that knows a YAML library.

Three doors for three needs.  `dump` is ftgen's own emitter: manifests are JSON values, the bytes must be the
same everywhere, and every scalar must read the same under YAML 1.1 (PyYAML, kubectl) and YAML 1.2 (ruamel.yaml).
`parse`, `read` and `positions` go through PyYAML's C scanner, composed here so that nesting, duplicate keys
and alias bombs are refused.  `disputed` asks ruamel.yaml what YAML 1.2 makes of a scalar that others wrote.
"""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ftgen import files
from ftgen.diagnostics import Location, Rejected, error

SYNTAX = "FT001"
FILE = "FT002"

_DEEPEST = 100
_TOO_DEEP = f"this YAML holds more than {_DEEPEST} levels"
_TOO_DEEP_JSON = f"this JSON holds more than {_DEEPEST} levels"
_MOST_BROUGHT = 100_000
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
    _document(out, value)
    return "".join(out)


Steps = tuple[str | int, ...]


class Blanked:
    """A document with blanks where plain values go: `fill` gives what `dump` gives of it with these values."""

    def __init__(self, value: Any, places: Sequence[Steps]) -> None:
        """Cut blanks at some places of a JSON-like value, in which plain values stand now."""
        marked, marks = blanked(value, places, dump(value))
        pieces: list[str] = []
        _document(pieces, marked)
        found = sorted((_blank(pieces, *pair) for pair in zip(places, marks, strict=True)), key=lambda each: each[0])
        self._order = [marks.index(mark) for *_, mark in found]
        self._indents = [indent for _, _, indent, _ in found]
        starts = [0, *(place + 1 for place, *_ in found)]
        ends = [*((place, head) for place, head, *_ in found), (len(pieces), "")]
        # Bytes, because what stays the same is long and need not be encoded again.
        self._between = [
            "".join([*pieces[start:end], head]).encode() for start, (end, head) in zip(starts, ends, strict=True)
        ]

    def fill(self, values: Sequence[Any]) -> bytes:
        """The document with a plain value for each blank, in UTF-8."""
        out = [self._between[0]]
        for number, indent, rest in zip(self._order, self._indents, self._between[1:], strict=True):
            out += f"{_leaf(values[number], indent)}\n".encode(), rest
        return b"".join(out)


def _blank(pieces: list[str], place: Steps, mark: str) -> tuple[int, str, int, str]:
    """Which piece it is, what stands before its value (a key, or the dash of an item), and how deep it stands."""
    (number,) = (n for n, piece in enumerate(pieces) if piece.endswith(f" {mark}\n"))
    head = pieces[number].removesuffix(f"{mark}\n")
    return number, head, len(head) if isinstance(place[-1], int) else len(pieces[number - 1]) + 2, mark


def blanked(value: Any, places: Sequence[Steps], text: str) -> tuple[Any, list[str]]:
    """A JSON-like value with a mark at each of some places, and the marks: words that the text does not hold."""
    word = "ftgenBlank"
    while word in text:
        word += "k"
    marks = [f"{word}{number}x" for number in range(len(places))]
    for place, mark in zip(places, marks, strict=True):
        value = _put(value, place, mark)
    return value, marks


def _put(value: Any, place: Steps, mark: str) -> Any:
    if not place:
        return mark
    copy = value.copy()
    copy[place[0]] = _put(copy[place[0]], place[1:], mark)
    return copy


def dump_all(values: Sequence[Any]) -> str:
    """Several documents as one stream, `---` between them."""
    return "---\n".join(dump(value) for value in values)


def _document(out: list[str], value: Any) -> None:
    if isinstance(value, dict) and value:
        _mapping(out, value, 0, "")
    elif isinstance(value, list) and value:
        _sequence(out, value, 0, "")
    else:
        out.append(f"{_leaf(value, 2)}\n")


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
    """Where an entry stands in a text, counted from 1: its key (a list item's value) and its value.

    `block`: the value is a block scalar, whose text begins on the line below.
    """

    line: int
    column: int
    value_line: int
    value_column: int
    block: bool = False


_Path = tuple[str | int, ...]
_Node = Any
"""A composed node: the parser's own event of a scalar, or a `_Branch`."""


class _Branch:
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
        self.event = event
        self.start_mark = event.start_mark
        self.nodes: list[_Node] = []
        self.values: list[Any] = []
        self.value: Any = None


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
    root: _Node
    file: str
    doubtful: Sequence[Any] = ()

    def nearest(self, path: _Path) -> Mark:
        """Where an entry stands, or the innermost thing around it that does."""
        key = node = self.root
        for step in path:
            entry = _found(node, step, self.file)
            if entry is None:
                break
            key, node, _ = entry
        return _mark(key, node)

    def places(self) -> Mapping[_Path, Mark]:
        """Where every key path stands; the empty path is the document itself."""
        places: dict[_Path, Mark] = {}

        def visit(path: _Path, key: _Node, node: _Node) -> None:
            places[path] = _mark(key, node)
            for name, (at, held, _) in _entries(node, self.file).items():
                visit((*path, name), at, held)

        visit((), self.root, self.root)
        return places


def parse(text: str, file: str) -> Any:
    """The plain value of a text that holds one YAML document; nothing at all is `None`.

    Scalars read as YAML 1.1 has them, except that dates stay text and `1e-4` is a number; aliases become
    copies.

    Raises:
        Rejected: with `FT001` at line and column: bad syntax, a duplicate key, a tag of no plain value,
            unprintable characters, or nesting and aliases beyond what a manifest can need.
    """
    return document(text, file).value


def parse_all(text: str, file: str) -> list[Any]:
    """The plain values of all documents in a text, empty documents left out; raises like `parse`."""
    return [each.value for each in documents(text, file)]


def read(path: Path, file: str = "", *, at_most: int = files.LARGEST) -> Any:
    """The plain value of a file with one document; `file` is the name in diagnostics, else the path.

    Raises:
        Rejected: with `FT002` when the file cannot be read as UTF-8 text, with `FT001` like `parse`.
    """
    return parse(read_text(path, file, at_most=at_most), file or str(path))


def read_all(path: Path, file: str = "") -> list[Any]:
    """The plain values of all documents in a file; raises like `read`."""
    return parse_all(read_text(path, file), file or str(path))


def read_text(path: Path, file: str = "", *, at_most: int = files.LARGEST, within: Path | None = None) -> str:
    """Return a file's text, line ends as they are.

    Args:
        path: the file.
        file: its name in diagnostics, else the path.
        at_most: bytes that are sane for it.
        within: the folder that the file must lie in, after every link is followed.

    Raises:
        Rejected: FT002, when it is no regular file of UTF-8 text, is too large or lies elsewhere.
    """
    return _decoded(lambda: files.read(path, at_most=at_most, within=within), file or str(path))


STDIN = "<stdin>"


def read_stdin() -> str:
    """Return the text of standard input; raises like `read_text`."""
    if sys.stdin is None:
        _reject(FILE, "standard input is closed", Location(STDIN), "pipe the text in, or name its file")
    return _decoded(lambda: files.read_stream(sys.stdin.buffer, STDIN), STDIN)


def _decoded(read_: Callable[[], bytes], name: str) -> str:
    try:
        return read_().decode("utf-8")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        _reject(FILE, f"{name} is not UTF-8 text", Location(name, line), "save the file as UTF-8")
    except FileNotFoundError:
        _reject(FILE, f"there is no file {name}", Location(name))
    except (OSError, ValueError) as problem:
        # A path with a NUL is a ValueError, which has neither.
        reason, number = getattr(problem, "strerror", None) or problem, getattr(problem, "errno", 0)
        _reject(FILE, f"{name} cannot be read: {reason}", Location(name), _CURES.get(number, ""))


_CURES = {
    errno.EINVAL: "name a regular file; what comes through a pipe is read from standard input, as -",
    errno.EFBIG: "split it, or name the file that was meant",
    errno.EXDEV: "put the file itself there instead of a link",
}


def parse_json(text: object) -> Any:
    """The value of a JSON text that somebody else may have written.

    Raises:
        ValueError: it is no text, no JSON, holds a number of thousands of digits, or more levels than a manifest can.
    """
    if not isinstance(text, str | bytes):
        raise ValueError("it is no text")  # noqa: TRY004 - one error for whatever is wrong with it
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP_JSON) from None
    if _is_deeper(value, _DEEPEST):
        raise ValueError(_TOO_DEEP_JSON)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner if isinstance(each, dict | list))


def positions(text: str, file: str = "") -> Mapping[_Path, Mark]:
    """Where every key path of a one-document text stands; the empty path is the document itself.

    What a merge key or an alias brings in stands where it was written.  Raises like `parse`.
    """
    return document(text, file).places()


def positions_all(text: str, file: str = "") -> list[Mapping[_Path, Mark]]:
    """`positions` of each document, in step with `parse_all`."""
    return [each.places() for each in documents(text, file)]


def document(text: str, file: str = "") -> Document:
    """The one document of a text, with its places; raises like `parse`."""
    found = documents(text, file)
    if len(found) > 1:
        where = _location(file, found[1].root.start_mark)
        _reject(SYNTAX, f"{len(found)} YAML documents where one is expected", where, "keep one document")
    return found[0] if found else Document(None, _EMPTY, file)


_START = yaml.Mark("", 0, 0, 0, "", 0)
_EMPTY = yaml.ScalarEvent(None, None, (True, False), "", _START, _START)


def documents(text: str, file: str = "") -> list[Document]:
    """All documents of a text with their places, empty ones left out; raises like `parse`."""
    if text.startswith("\ufeff"):
        _reject(SYNTAX, "the file starts with a byte order mark", Location(file, 1, 1), "save it without one")
    if len(text) > _LONGEST_LINE:
        _refuse_long_lines(text, file)
    try:
        return list(_composed(text, file))
    except (yaml.YAMLError, UnicodeEncodeError) as problem:
        # libyaml refuses the same characters, in words and at a place that help nobody.
        _refuse_characters(text, file)
        _reject(SYNTAX, *_explained(problem, text, file))


def _explained(problem: Exception, text: str, file: str) -> tuple[str, Location, str]:
    if not isinstance(problem, yaml.MarkedYAMLError):
        return f"this is not YAML: {problem}", Location(file), ""
    mark = problem.problem_mark or problem.context_mark or _START
    if text[mark.index : mark.index + 1] == "\t":
        return "a tab cannot indent YAML", _location(file, mark), "indent with spaces"
    if "maximum nesting depth" in str(problem.problem):  # libyaml's own limit, where it looks far ahead
        return _TOO_DEEP, _location(file, mark), ""
    context = f" {problem.context}" if problem.context else ""
    return f"this is not YAML: {problem.problem}{context}", _location(file, mark), ""


def _refuse_characters(text: str, file: str) -> None:
    if illegal := _ILLEGAL.search(text):
        before = text[: illegal.start()]
        where = Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        _reject(SYNTAX, f"the character U+{ord(illegal[0]):04X} cannot stand in YAML", where)


def _refuse_long_lines(text: str, file: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            _reject(SYNTAX, f"a line of {len(line)} characters is no configuration", Location(file, number))


def _composed(text: str, file: str) -> Iterator[Document]:
    """The documents of a text, from parser events: PyYAML's own composer recurses in C without a limit."""
    events = iter(_Loader(text).get_event, None)
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
        self.anchors: dict[str, _Node] = {}
        self.doubtful: list[Any] = []
        self.sizes: dict[int, tuple[int, int]] = {}
        self.brought = 0

    def compose(self, events: Iterator[Any]) -> tuple[_Node, Any]:
        """The node that ends with the document's end, and its plain value.

        One loop and no calls for what most of a text is, plain scalars: this is where reading spends its time.
        """
        branch = _Branch(_EMPTY)
        above: list[_Branch] = []
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

    def _opened(self, event: Any, above: list[_Branch]) -> _Branch:
        self._refuse_depth(len(above), event)
        if event.tag not in (None, "!", _COLLECTIONS[type(event)]):
            _reject(SYNTAX, f"the tag {event.tag} is no plain value", _location(self.file, event.start_mark))
        branch = _Branch(event)
        if event.anchor:
            self.anchors[event.anchor] = branch
        return branch

    def _aliased(self, event: Any, above: list[_Branch], branch: _Branch) -> _Node:
        where = _location(self.file, event.start_mark)
        node = self.anchors.get(event.anchor)
        if node is None:
            _reject(SYNTAX, f"the alias *{event.anchor} has no anchor above it", where)
        if any(node is parent for parent in (*above, branch)):
            _reject(SYNTAX, f"the alias *{event.anchor} stands inside what it names", where)
        size, height = self._extent(node)
        self.brought += size
        if self.brought > _MOST_BROUGHT:
            _reject(SYNTAX, f"the aliases of this YAML bring more than {_MOST_BROUGHT} values", where)
        self._refuse_depth(len(above) + height, event)
        return node

    def _refuse_depth(self, depth: int, event: Any) -> None:
        if depth > _DEEPEST:
            where = _location(self.file, event.start_mark)
            _reject(SYNTAX, _TOO_DEEP, where)

    def _extent(self, node: _Node) -> tuple[int, int]:
        """How many values a complete node holds, and on how many levels; what is aliased is asked once."""
        if not isinstance(node, _Branch):
            return 1, 1
        if id(node) not in self.sizes:
            inner = [self._extent(each) for each in node.nodes]
            size, height = sum(size for size, _ in inner), max((height for _, height in inner), default=0)
            self.sizes[id(node)] = 1 + size, 1 + height
        return self.sizes[id(node)]


_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


def _finished(branch: _Branch, file: str) -> Any:
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
    if "<<" in held and any(map(_is_merge, branch.nodes[::2])):
        return {name: _copied(value) for name, (_, _, value) in _entries(branch, file).items()}
    return held


def _refuse_keys(branch: _Branch, file: str) -> None:
    seen: dict[Any, int] = {}
    for key, value in zip(branch.nodes[::2], branch.values[::2], strict=True):
        where = _location(file, key.start_mark)
        if isinstance(key, _Branch):
            _reject(SYNTAX, "a mapping key must be a single value", where)
        if value in seen:
            headline = f"the key {value!r} is already given on line {seen[value]}"
            _reject(SYNTAX, headline, where, "keep one of the two")
        seen[value] = where.line


def _value(node: _Node, file: str) -> Any:
    """The value of an aliased node, a copy."""
    if isinstance(node, _Branch):
        return _copied(node.value)
    return node.value if node.implicit[1] else _scalar(node, file)[0]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(held) for key, held in value.items()}
    return [_copied(held) for held in value] if isinstance(value, list) else value


def _scalar(event: Any, file: str) -> tuple[Any, bool]:
    try:
        return _resolved(event.tag, event.value)
    except (ValueError, KeyError, IndexError):
        where = _location(file, event.start_mark)
        _reject(SYNTAX, f"{event.value[:60]!r} cannot be read as {event.tag or 'a number'}", where)


# Beyond the range of a double nobody computes with an integer, and Python refuses to print a hexadecimal bomb.
_MOST_BITS = 1023


@lru_cache(maxsize=8192)
def _resolved(tag: str | None, text: str) -> tuple[Any, bool]:
    """The value of a scalar that is no text for sure, and whether another reader may have another."""
    known = tag or _NOTHING.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # untyped in the stubs
    value = text if known in _TEXTS else _SCALARS[known](yaml.ScalarNode(known, text))
    if type(value) is int and value.bit_length() > _MOST_BITS:
        raise ValueError("a number that no JSON reader takes")
    return value, bool(_NUMERIC.fullmatch(text) or text.lower() in _WORDS)


# --- both versions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disputed:
    """A plain scalar that is one value under YAML 1.1 and another under YAML 1.2, such as `0755` or `on`.

    Attributes:
        text: as it is written.
        old: what YAML 1.1 reads, as PyYAML does.
        new: what YAML 1.2 reads, as ruamel.yaml does.
        location: where it stands.
    """

    text: str
    old: Any
    new: Any
    location: Location


def disputed(document: Document) -> list[Disputed]:
    """The scalars of a document that its readers disagree on, in the document's order; each node once."""
    return [
        Disputed(event.value, *readings, _location(document.file, event.start_mark))
        for event in document.doubtful
        if (readings := _readings(event.value))
    ]


@lru_cache(maxsize=8192)
def _readings(text: str) -> tuple[Any, Any] | None:
    """Both values of a plain scalar, where they differ."""
    if text.isdecimal() and text[0] != "0":
        return None
    from ruamel.yaml import YAML  # noqa: PLC0415 - few manifests hold anything that needs a second opinion

    old, new = _resolved(None, text)[0], YAML(typ="safe", pure=True).load(text)
    # A date stays text wherever manifests are read.
    new = new if isinstance(new, (bool, int, float, str, type(None))) else text
    return None if (type(old), old) == (type(new), new) else (old, new)


def _is_merge(key: _Node) -> bool:
    return not isinstance(key, _Branch) and key.value == "<<" and key.tag is None and bool(key.implicit[0])


_Entry = tuple[_Node, _Node, Any]
"""The node of a key (a list item's own), the node of its value, and the plain value."""


def _entries(node: _Node, file: str) -> Mapping[str | int, _Entry]:
    """What a node holds by name or index, merge keys replaced by what they bring where no key overrides it."""
    if not isinstance(node, _Branch):
        return {}
    if type(node.event) is yaml.SequenceStartEvent:
        items = zip(node.nodes, node.nodes, node.values, strict=True)
        return dict(enumerate(items))
    merged: dict[Any, _Entry] = {}
    own: dict[Any, _Entry] = {}
    pairs = zip(node.nodes[::2], node.values[::2], node.nodes[1::2], node.values[1::2], strict=True)
    for key, name, held, value in pairs:
        if name == "<<" and _is_merge(key):
            merged |= _brought(held, file)
        else:
            own[name] = key, held, value
    return merged | own


def _found(node: _Node, step: str | int, file: str) -> _Entry | None:
    """One of the entries of a node, as `_entries` has it, where its own key leads there without making all of them."""
    if _is_mapping(node) and step != "<<" and step in (names := node.values[::2]):
        place = 2 * names.index(step)
        return node.nodes[place], node.nodes[place + 1], node.values[place + 1]
    if isinstance(node, _Branch) and isinstance(step, int) and not _is_mapping(node):
        return (node.nodes[step], node.nodes[step], node.values[step]) if 0 <= step < len(node.nodes) else None
    return _entries(node, file).get(step)


def _brought(source: _Node, file: str) -> Mapping[Any, _Entry]:
    maps = source.nodes if isinstance(source, _Branch) and not _is_mapping(source) else [source]
    if not all(map(_is_mapping, maps)):
        where = _location(file, source.start_mark)
        _reject(SYNTAX, "the merge key << takes a mapping or a list of mappings", where)
    return {name: entry for one in reversed(maps) for name, entry in _entries(one, file).items()}


def _is_mapping(node: _Node) -> bool:
    return isinstance(node, _Branch) and type(node.event) is yaml.MappingStartEvent


def _mark(key: _Node, node: _Node) -> Mark:
    at, value = key.start_mark, node.start_mark
    block = not isinstance(node, _Branch) and node.style in {"|", ">"}
    return Mark(at.line + 1, at.column + 1, value.line + 1, value.column + 1, block)


def _location(file: str, mark: yaml.Mark) -> Location:
    return Location(file, mark.line + 1, mark.column + 1)


def _reject(code: str, headline: str, where: Location, help: str = "") -> NoReturn:  # noqa: A002
    raise Rejected([error(code, headline, help=help).at(where)])
