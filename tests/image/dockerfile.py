"""A small reader of Dockerfiles: instructions with their continued lines joined, as BuildKit reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

KNOWN = {"ARG", "FROM", "SHELL", "RUN", "ENV", "WORKDIR", "LABEL", "USER", "COPY", "ADD", "ENTRYPOINT", "CMD", "EXPOSE"}


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str
    line: int


def parse(text: str) -> list[Instruction]:
    found, pending, start = [], "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        start = start or number
        pending += line.removesuffix("\\") if line.endswith("\\") else line
        if line.endswith("\\"):
            continue
        word, _, rest = pending.strip().partition(" ")
        assert word in KNOWN, f"line {start}: {word} is no instruction"
        found.append(Instruction(word, rest.strip(), start))
        pending, start = "", 0
    assert not pending, "the last line is continued"
    return found


def commands(run: Instruction) -> list[str]:
    return [part.strip() for part in re.split(r"&&|;|\|\|", run.text)]
