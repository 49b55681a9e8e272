"""One input of ftgen: the words typed, the files that lie there, the environment and the streams; kept as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

Entry = str | list[str] | Mapping[str, Any]
"""What lies at a path: a file's text, or its lines, or a mapping with one of these keys:

`link` (its target), `fifo`, `folder`, `size` (of a file without content), `copy` (a file of a rendered tree; `put`
maps texts in it to others).  Bytes that are no UTF-8 are written as lone surrogates, as `os.fsdecode` has them.
"""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        argv: the words after `ftgen`.
        why: what is odd about it.
        files: path to what lies there, see `Entry`.
        env: variables set, or taken away where the value is None.
        stdin: what standard input holds; None where it is closed.
        stdout: `open`, `closed`, `full` (as /dev/full), `unread` (a pipe without a reader); so `stderr`.
        before: command lines that run first in the same process.
        gone: whether the working directory is removed first.
        code: the exit code that is right, where one is told.
    """

    argv: tuple[str, ...]
    why: str = ""
    files: Mapping[str, Entry] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)
    stdin: str | None = ""
    stdout: str = "open"
    stderr: str = "open"
    before: tuple[tuple[str, ...], ...] = ()
    gone: bool = False
    code: int | None = None

    def lay(self, folder: Path) -> None:
        """Create the files below a folder; what cannot be created is no part of the input."""
        for path, entry in self.files.items():
            try:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _create(target, entry)
            except (OSError, ValueError):
                continue

    def __repr__(self) -> str:
        """The words; files may be long."""
        return f"Case({self.argv!r:.200})"

    @property
    def size(self) -> int:
        """How much there is to read."""
        return len(self.dump())

    def dump(self) -> str:
        """The case as JSON text, lines of files as items of a list."""
        held = {name: value for name, value in asdict(self).items() if value != _DEFAULTS.get(name)}
        if "files" in held:
            held["files"] = {path: _lines(entry) for path, entry in held["files"].items()}
        return json.dumps(held, indent=1) + "\n"


_DEFAULTS = {each.name: each.default for each in fields(Case)} | {"files": {}, "env": {}}


def load(text: str) -> Case:
    """The case that a JSON text holds."""
    held = json.loads(text)
    case = Case(**held)
    return replace(case, argv=tuple(case.argv), before=tuple(tuple(words) for words in case.before))


def encoded(text: str) -> bytes:
    """Text as bytes; lone surrogates are the bytes that they stand for."""
    return text.encode("utf-8", "surrogateescape")


def _lines(entry: Entry) -> Entry:
    return entry.split("\n") if isinstance(entry, str) and "\n" in entry else entry


def _create(target: Path, entry: Entry) -> None:
    match entry:
        case str():
            target.write_bytes(encoded(entry))
        case list():
            target.write_bytes(encoded("\n".join(entry)))
        case {"link": where}:
            target.symlink_to(where)
        case {"fifo": _}:
            os.mkfifo(target)
        case {"folder": _}:
            target.mkdir(exist_ok=True)
        case {"size": size}:
            with target.open("wb") as file:
                file.truncate(size)
        case _:
            raise TypeError(f"no such entry: {entry!r}")
