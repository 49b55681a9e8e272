"""What judging a data set costs: a million rows of each form, in processor time and memory.

    python -m tests.bench.data

Processor time of whole processes, so that a busy machine tells the same; no tokenizer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.__main__ import FTGEN, Measured, show
from tests.bench.checking import measure

ROWS = 1_000_000
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "train", "rank", "token", "über", "数据")
TALK = "dataset.info={file_name: rows.jsonl, formatting: sharegpt}"
PLAIN = "dataset.info={file_name: rows.jsonl}"


def _text(source: random.Random, words: int) -> str:
    return " ".join(source.choices(WORDS, k=words))


def _row(source: random.Random, number: int, *, talk: bool) -> dict[str, Any]:
    if not talk:
        return {"instruction": f"{_text(source, 10)} {number}", "input": "", "output": _text(source, 30)}
    said = [("human", f"{_text(source, 12)} {number}"), ("gpt", _text(source, 25))]
    said += [("human", _text(source, 6)), ("gpt", _text(source, 20))]
    return {"conversations": [{"from": role, "value": text} for role, text in said]}


def write(file: Path, *, talk: bool = False, array: bool = False) -> None:
    """Write a million rows."""
    source = random.Random(1)
    with file.open("w", encoding="utf-8") as out:
        out.write("[\n" if array else "")
        for number in range(ROWS):
            out.write(json.dumps(_row(source, number, talk=talk), ensure_ascii=False))
            out.write(",\n" if array and number < ROWS - 1 else "\n")
        out.write("]\n" if array else "")


def judging(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """A million rows as lines, as an array, and as conversations."""
    for what, info, how in (
        ("alpaca, JSON Lines", PLAIN, {}),
        ("alpaca, one array", PLAIN, {"array": True}),
        ("sharegpt, JSON Lines", TALK, {"talk": True}),
    ):
        file = scratch / "rows.jsonl"
        write(file, **how)
        command = [*FTGEN, "data", file.name, info, "trainer.args.max_samples=null", "-q"]
        yield measure(f"ftgen data, {what}", command, cwd=scratch, jobs=ROWS, runs=1), None


if __name__ == "__main__":
    show(judging)
