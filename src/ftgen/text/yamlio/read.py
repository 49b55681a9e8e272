"""Reader of YAML and JSON texts and files, as plain values or as documents with positions."""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ftgen.diagnostics import Location
from ftgen.text import files, parts
from ftgen.text.yamlio.breaks import Recount, counts_otherwise
from ftgen.text.yamlio.compose import DEEPEST, EMPTY, START, TOO_DEEP, composed
from ftgen.text.yamlio.nodes import Document
from ftgen.text.yamlio.problems import FILE, SYNTAX, location, reject

STDIN = "<stdin>"
_TOO_DEEP_JSON = f"this JSON holds more than {DEEPEST} levels"
LONGEST_LINE = 1_000_000
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REMEDIES = {
    errno.EINVAL: "name a regular file; what comes through a pipe is read from standard input, as -",
    errno.EFBIG: "split it, or name the file that was meant",
    errno.EXDEV: "put the file itself there instead of a link",
}


def parse(text: str, file: str, most: int = parts.MOST) -> Any:
    """Parse a text of one YAML document to its plain value; an empty text is `None`.

    Scalars follow YAML 1.1, except that dates stay text and `1e-4` is a number; aliases become copies.

    Args:
        text: the text.
        file: its name in diagnostics.
        most: most parts that it may have; see `ftgen.text.parts`.

    Raises:
        Rejected: with `FT001` at line and column: bad syntax, a duplicate key, a tag of no plain value,
            unprintable characters, or too many parts, levels or aliased values.
    """
    return document(text, file, most).value


def parse_all(text: str, file: str, most: int = parts.MOST) -> list[Any]:
    """Parse all documents of a text to plain values, without empty ones; take and raise what `parse` does."""
    return [each.value for each in documents(text, file, most)]


def read(path: Path, file: str = "", *, at_most: int = files.LARGEST, most: int = parts.MOST) -> Any:
    """Read a file of one document to its plain value; `file` is its name in diagnostics, else the path.

    Raises:
        Rejected: with `FT002` if the file cannot be read as UTF-8 text, with `FT001` like `parse`.
    """
    return parse(read_text(path, file, at_most=at_most), file or str(path), most)


def read_all(path: Path, file: str = "") -> list[Any]:
    """Read all documents of a file to plain values; raise like `read`."""
    return parse_all(read_text(path, file), file or str(path))


def read_text(path: Path, file: str = "", *, at_most: int = files.LARGEST, within: Path | None = None) -> str:
    """Return a file's text with its line ends unchanged.

    Args:
        path: the file.
        file: its name in diagnostics, else the path.
        at_most: maximum size in bytes.
        within: folder that must hold the file after all links are resolved.

    Raises:
        Rejected: FT002, if it is no regular file of UTF-8 text, is too large or lies outside of `within`.
    """
    return _decode(lambda: files.read(path, at_most=at_most, within=within), file or str(path))


def read_stdin() -> str:
    """Return the text of standard input; raise like `read_text`."""
    if sys.stdin is None:
        reject(FILE, "standard input is closed", Location(STDIN), "pipe the text in, or name its file")
    return _decode(lambda: files.read_stream(sys.stdin.buffer, STDIN), STDIN)


def _decode(read_bytes: Callable[[], bytes], name: str) -> str:
    try:
        return read_bytes().decode("utf-8")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        reject(FILE, f"{name} is not UTF-8 text", Location(name, line), "save the file as UTF-8")
    except FileNotFoundError:
        reject(FILE, f"there is no file {name}", Location(name))
    except (OSError, ValueError) as problem:
        # A path with a NUL raises ValueError, which has neither attribute.
        reason, number = getattr(problem, "strerror", None) or problem, getattr(problem, "errno", 0)
        reject(FILE, f"{name} cannot be read: {reason}", Location(name), _REMEDIES.get(number, ""))


def parse_json(text: object) -> Any:
    """Parse an untrusted JSON text.

    Raises:
        ValueError: if it is no text, no JSON, has a number of thousands of digits, or more parts or levels than a
            manifest may.
    """
    if not isinstance(text, (str, bytes)):
        raise ValueError("it is no text")  # noqa: TRY004 - one error type for every defect
    parts.refuse_json(text)
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP_JSON) from None
    if _is_deeper(value, DEEPEST):
        raise ValueError(_TOO_DEEP_JSON)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children if isinstance(child, (dict, list)))


def document(text: str, file: str = "", most: int = parts.MOST) -> Document:
    """Parse a text of one document, with positions; take and raise what `parse` does."""
    parsed = documents(text, file, most)
    if len(parsed) > 1:
        where = location(file, parsed[1].root.start_mark)
        reject(SYNTAX, f"{len(parsed)} YAML documents where one is expected", where, "keep one document")
    return parsed[0] if parsed else Document(None, EMPTY, file)


def documents(text: str, file: str = "", most: int = parts.MOST) -> list[Document]:
    """Parse all documents of a text, with positions, without empty ones; take and raise what `parse` does."""
    if text.startswith("\ufeff"):
        reject(SYNTAX, "the file starts with a byte order mark", Location(file, 1, 1), "save it without one")
    if len(text) > LONGEST_LINE:
        _refuse_long_lines(text, file)
    try:
        return list(composed(text, file, most))
    except (yaml.YAMLError, UnicodeEncodeError) as problem:
        # libyaml refuses the same characters, but without a useful message and position.
        _refuse_characters(text, file)
        reject(SYNTAX, *_syntax_problem(problem, text, file))


def _syntax_problem(problem: Exception, text: str, file: str) -> tuple[str, Location, str]:
    if not isinstance(problem, yaml.MarkedYAMLError):
        return f"this is not YAML: {problem}", Location(file), ""
    mark = problem.problem_mark or problem.context_mark or START
    mark = Recount(text).mark(mark) if counts_otherwise(text) else mark
    if text[mark.index : mark.index + 1] == "\t":
        return "a tab cannot indent YAML", location(file, mark), "indent with spaces"
    if "maximum nesting depth" in str(problem.problem):  # libyaml's own limit, which its lookahead may reach first
        return TOO_DEEP, location(file, mark), ""
    context = f" {problem.context}" if problem.context else ""
    return f"this is not YAML: {problem.problem}{context}", location(file, mark), ""


def _refuse_characters(text: str, file: str) -> None:
    if illegal := _ILLEGAL.search(text):
        before = text[: illegal.start()]
        where = Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        reject(SYNTAX, f"the character U+{ord(illegal[0]):04X} cannot stand in YAML", where)


def _refuse_long_lines(text: str, file: str) -> None:
    """Refuse a line that is too long: of such a line half of the length lies somewhere without an end."""
    half = LONGEST_LINE // 2
    for start in range(0, len(text), half):
        if text.find("\n", start, start + half) < 0:
            first, last = text.rfind("\n", 0, start) + 1, text.find("\n", start)
            length = (len(text) if last < 0 else last) - first
            if length > LONGEST_LINE:
                number = text.count("\n", 0, first) + 1
                reject(SYNTAX, f"a line of {length} characters is no configuration", Location(file, number))
