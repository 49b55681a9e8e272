"""Rows of a data file, one after the other: JSON Lines, a JSON array, plain text, CSV, Parquet.

JSON is read by Python's own parser, row by row, so that memory does not grow with the file.  What the readers of
LLaMA-Factory take differs between the two forms of JSON (datasets' json builder): pyarrow reads objects, pandas arrays.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Iterator
from typing import Any, BinaryIO

from msgspec import Struct

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.kinds import Kind
from ftgen.text.files import MIB

LARGEST_ROW = 16 * MIB
"""Largest row that is read, in bytes."""
PART = 10 * MIB
"""Bytes that datasets' json builder reads at a time (`chunksize`), and then to the end of the line."""
LINES_OF_A_ROW = 2000
"""Lines over which an object may be spread."""
ONE_BLOCK = PART // 32
"""Largest file in which pyarrow reads objects that are spread over lines: it cuts larger ones at any line's end."""

POINTER = re.compile(
    rb"version (?:https://git-lfs\.github\.com/spec/v1|https://hawser\.github\.com/spec/v1|http://git-media\.io/v/2)\s"
)


class Broken(Struct, frozen=True):
    """What stands in the place of a row that cannot be read.

    Attributes:
        kind: what it is.
        text: what is wrong.
        loads: whether the reader goes on, and only a row that is converted ends the loading.
    """

    kind: Kind
    text: str
    loads: bool = False


class End(Struct, frozen=True):
    """End of a part of the file, which the reader makes a table of.

    Attributes:
        dates: whether the reader makes dates of texts that look like dates.
    """

    dates: bool


PART_ENDS, TABLE_ENDS = End(dates=True), End(dates=False)
Read = tuple[int, Any]
"""Line, counted from 1 (0 where a file has no lines), and the row: a mapping, `Broken`, another value, or an `End`."""


def json_rows(file: BinaryIO, size: int) -> Iterator[Read]:
    """Yield the rows of a JSON file: objects one after the other, or one array of rows."""
    bom = file.read(len(BOM_UTF8)) == BOM_UTF8
    if not bom:
        file.seek(0)
    first = _first_character(file)
    if first != b"[":
        yield from _objects(file, size)
    elif bom:
        yield 1, Broken(kinds.ENCODING, "the array begins with a byte order mark, which ends its reader")
    else:
        yield from _array(file)


def _first_character(file: BinaryIO) -> bytes:
    """Return the first character that is no space, without moving on."""
    place = file.tell()
    found = b""
    while piece := file.read(MIB):
        if stripped := piece.lstrip():
            found = stripped[:1]
            break
    file.seek(place)
    return found


# objects, one after the other


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _number(text: str) -> int | float:
    """Return a whole number; one of more than 64 bits is a fraction to pyarrow."""
    return int(text) if len(text) < _DIGITS else float(text)


_DIGITS = 19
_OBJECTS = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_number)
_SPACE = " \t\r\n"


def _objects(file: BinaryIO, size: int) -> Iterator[Read]:
    lines, number, read = _Lines(in_one_block=size <= ONE_BLOCK), 0, 0
    while raw := file.readline(LARGEST_ROW + 1):
        number += 1
        read += len(raw)
        if len(raw) > LARGEST_ROW:
            yield number, Broken(kinds.UNREADABLE, f"it is larger than {LARGEST_ROW // MIB} MiB")
            _skip_line(file, raw)
            continue
        yield from lines.rows(raw, number)
        if read > PART:
            read = 0
            yield number, PART_ENDS
    yield from lines.rest()
    yield number, PART_ENDS


class _Lines:
    """Parser of lines with objects: mostly one, sometimes several, or one over several lines."""

    def __init__(self, *, in_one_block: bool) -> None:
        self._in_one_block = in_one_block
        self._pending, self._began, self._count = "", 1, 0

    def rows(self, raw: bytes, number: int) -> Iterator[Read]:
        """Yield the rows that end on a line."""
        text, problem = _decoded(raw)
        if self._pending:
            text, self._count = self._pending + text, self._count + 1
        else:
            self._began, self._count = number, 1
        self._pending = ""
        place, end = 0, len(text.rstrip(_SPACE))
        try:
            while place < end:
                if text[place] in _SPACE:
                    place += 1
                    continue
                value, place = _OBJECTS.raw_decode(text, place)
                yield self._began, problem or _encodable(value, raw)
        except json.JSONDecodeError as error:
            if error.pos < end or not self._may_go_on(text):
                words = f"it is no JSON: {error.msg} at character {error.pos + 1}"
                yield self._began, Broken(kinds.SYNTAX, words)
            else:
                self._pending = text[place:]
        except ValueError as error:
            yield self._began, Broken(kinds.SYNTAX, f"{error}")
        except RecursionError:
            yield self._began, Broken(kinds.SYNTAX, "it is nested too deeply")

    def _may_go_on(self, text: str) -> bool:
        return self._in_one_block and self._count <= LINES_OF_A_ROW and len(text) <= LARGEST_ROW

    def rest(self) -> Iterator[Read]:
        """Yield what is wrong with a row that has begun and not ended."""
        if self._pending:
            yield self._began, Broken(kinds.SYNTAX, "it does not end")


def _skip_line(file: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MIB)


def _decoded(raw: bytes) -> tuple[str, Broken | None]:
    """Return the text of a line; where it is not UTF-8, also what to say of its rows."""
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        words = f"byte {error.start + 1} of the line is not UTF-8"
        return raw.decode("utf-8", "replace"), Broken(kinds.ENCODING, words, loads=True)


def _encodable(value: Any, raw: bytes) -> Any:
    """Refuse half of a surrogate pair, which JSON can write and no text holds."""
    if (b"\\ud" in raw or b"\\uD" in raw) and _HALF.search(json.dumps(value, ensure_ascii=False)):
        return Broken(kinds.SYNTAX, "it has half of a surrogate pair")
    return value


_HALF = re.compile("[\ud800-\udfff]")

# one array


def _bounded(text: str) -> int:
    value = int(text) if len(text) <= _DIGITS + 1 else 1 << 64
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError("a whole number of it has more than 64 bits")
    return value


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


_ITEMS = json.JSONDecoder(strict=False, parse_int=_bounded, parse_constant=_constant)


def _array(file: BinaryIO) -> Iterator[Read]:
    reader = _ArrayReader(file)
    yield from reader.rows()
    yield reader.line, TABLE_ENDS


class _ArrayReader:
    """Reader of one JSON array, which keeps the text of one row at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = getincrementaldecoder("utf-8")()
        self._text, self._place, self._done = "", 0, False
        self._ask = _ASK
        self.line = 1

    def rows(self) -> Iterator[Read]:
        """Yield the rows; after one that is broken nothing can be read."""
        try:
            self._skip("[")
            if self._next() == "]":
                self._skip("]")
            else:
                yield from self._items()
            if self._next():
                yield self.line, Broken(kinds.SYNTAX, "something follows the array")
        except UnicodeDecodeError:
            yield self.line, Broken(kinds.ENCODING, "the file is not UTF-8 from here on")
        except RecursionError:
            yield self.line, Broken(kinds.SYNTAX, "it is nested too deeply")
        except ValueError as error:
            yield self.line, Broken(kinds.SYNTAX, f"{error}")

    def _items(self) -> Iterator[Read]:
        while True:
            self._next()
            line, value = self.line, self._value()
            yield line, value if value is not None else Broken(kinds.TYPES, "it is no mapping of columns to values")
            if self._next() == "]":
                self._skip("]")
                return
            self._skip(",")

    def _value(self) -> Any:
        """Return the next value; read on while the text that is there is no whole one."""
        found = self._decoded()
        while found is None or (found[1] == len(self._text) and not self._done):
            self._more()
            found = self._decoded()
        value, end = found
        consumed = self._text[self._place : end]
        self._move(end)
        self._ask = _ASK
        return _whole(value) if "\\ud" in consumed or "\\uD" in consumed else value

    def _decoded(self) -> tuple[Any, int] | None:
        """Return the next value and its end; None if the text that is there may be the begin of one."""
        try:
            return _ITEMS.raw_decode(self._text, self._place)
        except json.JSONDecodeError as error:
            if self._without_comma(error.pos):
                return self._decoded()
            if self._done or len(self._text) - self._place > LARGEST_ROW:
                raise ValueError(f"it is no JSON: {error.msg}") from None
            return None

    def _without_comma(self, place: int) -> bool:
        """Take away a comma before the end of an object, which pandas takes; return whether there was one."""
        found = _LAST_COMMA.search(self._text, max(place - _NEAR, self._place), place + _NEAR)
        if not found or not found.start() <= place <= found.end():
            return False
        self._text = f"{self._text[: found.start()]} {self._text[found.start() + 1 :]}"
        return True

    def _next(self) -> str:
        """Move to the next character that is no space, and return it; empty at the end of the file."""
        while True:
            match = _SPACES.match(self._text, self._place)
            self._move(match.end() if match else self._place)
            if self._place < len(self._text) or self._done:
                return self._text[self._place : self._place + 1]
            self._more()

    def _skip(self, expected: str) -> None:
        found = self._next()
        if found != expected:
            raise ValueError(f"{found!r} stands where {expected} belongs" if found else f"{expected} is missing")
        self._place += 1

    def _move(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _more(self) -> None:
        """Read more text, twice as much each time, so that a large row is not parsed over and over."""
        piece = self._file.read(self._ask)
        self._ask = min(2 * self._ask, LARGEST_ROW)
        self._done = not piece
        self._text = self._text[self._place :] + self._decoder.decode(piece, final=self._done)
        self._place = 0


_SPACES = re.compile(r"[ \t\r\n]*")
_LAST_COMMA = re.compile(r",[ \t\r\n]*\}")
_NEAR = 200
_ASK = MIB // 16


def _whole(value: Any) -> Any:
    """Refuse the second half of a surrogate pair; leave out the first, as pandas does."""
    text = json.dumps(value, ensure_ascii=False)
    if _LOW_HALF.search(text):
        return Broken(kinds.SYNTAX, "it has half of a surrogate pair")
    return json.loads(_HALF.sub("", text)) if _HALF.search(text) else value


_LOW_HALF = re.compile("[\udc00-\udfff]")


# plain text


def text_rows(file: BinaryIO) -> Iterator[Read]:
    """Yield a row with the column `text` for each line (datasets' text builder)."""
    number = 0
    while raw := file.readline(LARGEST_ROW + 1):
        if len(raw) > LARGEST_ROW:
            yield number + 1, Broken(kinds.UNREADABLE, f"it is larger than {LARGEST_ROW // MIB} MiB")
            _skip_line(file, raw)
            continue
        text, problem = _decoded(raw)
        if problem:
            yield number + 1, Broken(problem.kind, problem.text)
        for line in text.replace("\r\n", "\n").removesuffix("\n").replace("\r", "\n").split("\n"):
            number += 1
            if not problem:
                yield number, {"text": line}
    yield number, TABLE_ENDS
