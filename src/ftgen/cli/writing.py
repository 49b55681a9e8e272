"""Files that belong to no run: exports, imports, Dockerfiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftgen.cli import output
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Rejected, error


def write(files: Mapping[str, bytes], folder: Path, arguments: Arguments) -> None:
    """Write all files below a folder, or none: what is there with another content stays, unless --overwrite.

    Raises:
        Rejected: FT502 for every file in the way, FT508 where the folder cannot be written.
    """
    there = {path: _content(folder / path) for path in files}
    ways = "move them away, or say --overwrite"
    alien = [path for path, content in there.items() if content not in {None, files[path]}]
    if alien and not arguments.flags.overwrite:
        raise Rejected(
            [error("FT502", f"{folder / path} is there with another content", path, help=ways) for path in alien]
        )
    for path, content in files.items():
        if there[path] != content:
            _put(folder / path, content)
        output.say(f"{'unchanged' if there[path] == content else 'wrote':>9}  {folder / path}", arguments)


def _content(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _unwritable(target, problem) from None


def _put(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as problem:
        raise _unwritable(target, problem) from None


def _unwritable(target: Path, problem: OSError) -> Rejected:
    return Rejected([error("FT508", f"cannot write {target}: {problem.strerror}", value=target)])
