"""What a page asks its reader to type, in its order: files to write, commands with their output, Python."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)(.*)$")
# `title="conf/hardware/nova.yaml"` after the language of a block, or its first line: a comment that is a path.
_TITLE = re.compile(r'title="([^"]+)"')
_PATH = re.compile(r"# ([\w./-]+\.\w+)$")
_SHELL = frozenset({"", "console", "bash", "sh", "shell"})
_PROGRAMS = ("ftgen", "make", "git", "pip", "pipx", "uvx", "python", "pytest", "kubectl", "docker", "tensorboard")
# A program at the beginning of a line, perhaps behind variables of its own.
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{'|'.join(_PROGRAMS)})(?: |$)")
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class File:
    """A file that the page shows, to be written before the commands below it."""

    line: int
    path: str
    text: str


@dataclass(frozen=True)
class Code:
    """Lines of Python."""

    line: int
    text: str


@dataclass(frozen=True)
class Command:
    """A command line, with the output that the page shows below it; the empty text where it shows none."""

    line: int
    text: str
    shown: str = ""

    @property
    def parts(self) -> list[list[str]]:
        """Return the words of each program of a pipeline, without comments and redirections of output."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|>&")
        lexer.whitespace_split = True
        found: list[list[str]] = [[]]
        words = iter(lexer)
        for word in words:
            if set(word) <= set("|&"):
                found.append([])
            elif set(word) == {">"}:
                next(words)
            else:
                found[-1].append(word)
        return [part for part in found if part]


Step = File | Code | Command


def steps(page: Path) -> list[Step]:
    """Return the files and commands of all blocks of a page."""
    return [step for block in _blocks(page.read_text(encoding="utf-8")) for step in _steps(*block)]


def mentions(page: Path) -> list[Command]:
    """Return the commands of ftgen that stand in a sentence or in a table."""
    text = _without_blocks(page.read_text(encoding="utf-8"))
    spans = [(text.count("\n", 0, found.start()) + 1, " ".join(found[1].split())) for found in _SPAN.finditer(text)]
    return [Command(line, span) for line, span in spans if span.startswith("ftgen ")]


def _blocks(text: str) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield the line, the language, the title and the lines of each block, fenced or indented."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        start = at + 1
        if fence := _FENCE.match(lines[at].strip()):
            indent = len(lines[at]) - len(lines[at].lstrip())
            end = next(i for i in range(start, len(lines)) if lines[i].strip() == "```")
            title = _TITLE.search(fence[2])
            yield start + 1, fence[1], title[1] if title else "", [line[indent:] for line in lines[start:end]]
            at = end + 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            end = next((i for i in range(at, len(lines)) if lines[i] and not lines[i].startswith("    ")), len(lines))
            yield start, "", "", [line[4:] for line in lines[at:end]]
            at = end
        else:
            at += 1


def _without_blocks(text: str) -> str:
    """Blank the lines of all blocks."""
    lines = text.splitlines()
    for start, _, _, block in _blocks(text):
        lines[start - 1 : start - 1 + len(block)] = [""] * len(block)
    return "\n".join("" if _FENCE.match(line.strip()) else line for line in lines)


def _steps(start: int, language: str, title: str, lines: list[str]) -> Iterator[Step]:
    first = _PATH.match(lines[0]) if lines else None
    if title or first:
        yield File(start, title or (first[1] if first else ""), "\n".join(lines) + "\n")
    elif language == "python":
        yield Code(start, "\n".join(lines) + "\n")
    elif language in _SHELL:
        yield from _commands(start, lines)


def _commands(start: int, lines: list[str]) -> Iterator[Command]:
    """Yield the commands of a block: behind `$ `, with what they print; or each line that begins with a program."""
    is_session = any(line.startswith("$ ") for line in lines)
    begins = [i for i, line in enumerate(lines) if (line.startswith("$ ") if is_session else _COMMAND.match(line))]
    for begin, end in pairwise([*begins, len(lines)]):
        last = next(i for i in range(begin, len(lines)) if not lines[i].endswith("\\"))
        text = " ".join(line.removesuffix("\\").strip() for line in lines[begin : last + 1]).removeprefix("$ ")
        shown = [line for line in lines[last + 1 : end] if is_session]
        yield Command(start + begin, text, "".join(f"{line}\n" for line in shown).rstrip("\n") + "\n" if shown else "")
