"""Texts and files of YAML and JSON, read as plain values or with their places."""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ftgen import files
from ftgen.diagnostics import Location
from ftgen.yamlio.compose import DEEPEST, EMPTY, START, TOO_DEEP, composed
from ftgen.yamlio.nodes import Document
from ftgen.yamlio.problems import FILE, SYNTAX, location, reject

STDIN = "<stdin>"
_TOO_DEEP_JSON = f"this JSON holds more than {DEEPEST} levels"
_LONGEST_LINE = 1_000_000
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CURES = {
    errno.EINVAL: "name a regular file; what comes through a pipe is read from standard input, as -",
    errno.EFBIG: "split it, or name the file that was meant",
    errno.EXDEV: "put the file itself there instead of a link",
}


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


def read_stdin() -> str:
    """Return the text of standard input; raises like `read_text`."""
    if sys.stdin is None:
        reject(FILE, "standard input is closed", Location(STDIN), "pipe the text in, or name its file")
    return _decoded(lambda: files.read_stream(sys.stdin.buffer, STDIN), STDIN)


def _decoded(read_: Callable[[], bytes], name: str) -> str:
    try:
        return read_().decode("utf-8")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        reject(FILE, f"{name} is not UTF-8 text", Location(name, line), "save the file as UTF-8")
    except FileNotFoundError:
        reject(FILE, f"there is no file {name}", Location(name))
    except (OSError, ValueError) as problem:
        # A path with a NUL is a ValueError, which has neither.
        reason, number = getattr(problem, "strerror", None) or problem, getattr(problem, "errno", 0)
        reject(FILE, f"{name} cannot be read: {reason}", Location(name), _CURES.get(number, ""))


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
    if _is_deeper(value, DEEPEST):
        raise ValueError(_TOO_DEEP_JSON)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner if isinstance(each, dict | list))


def document(text: str, file: str = "") -> Document:
    """The one document of a text, with its places; raises like `parse`."""
    found = documents(text, file)
    if len(found) > 1:
        where = location(file, found[1].root.start_mark)
        reject(SYNTAX, f"{len(found)} YAML documents where one is expected", where, "keep one document")
    return found[0] if found else Document(None, EMPTY, file)


def documents(text: str, file: str = "") -> list[Document]:
    """All documents of a text with their places, empty ones left out; raises like `parse`."""
    if text.startswith("\ufeff"):
        reject(SYNTAX, "the file starts with a byte order mark", Location(file, 1, 1), "save it without one")
    if len(text) > _LONGEST_LINE:
        _refuse_long_lines(text, file)
    try:
        return list(composed(text, file))
    except (yaml.YAMLError, UnicodeEncodeError) as problem:
        # libyaml refuses the same characters, in words and at a place that help nobody.
        _refuse_characters(text, file)
        reject(SYNTAX, *_explained(problem, text, file))


def _explained(problem: Exception, text: str, file: str) -> tuple[str, Location, str]:
    if not isinstance(problem, yaml.MarkedYAMLError):
        return f"this is not YAML: {problem}", Location(file), ""
    mark = problem.problem_mark or problem.context_mark or START
    if text[mark.index : mark.index + 1] == "\t":
        return "a tab cannot indent YAML", location(file, mark), "indent with spaces"
    if "maximum nesting depth" in str(problem.problem):  # libyaml's own limit, where it looks far ahead
        return TOO_DEEP, location(file, mark), ""
    context = f" {problem.context}" if problem.context else ""
    return f"this is not YAML: {problem.problem}{context}", location(file, mark), ""


def _refuse_characters(text: str, file: str) -> None:
    if illegal := _ILLEGAL.search(text):
        before = text[: illegal.start()]
        where = Location(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        reject(SYNTAX, f"the character U+{ord(illegal[0]):04X} cannot stand in YAML", where)


def _refuse_long_lines(text: str, file: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            reject(SYNTAX, f"a line of {len(line)} characters is no configuration", Location(file, number))
