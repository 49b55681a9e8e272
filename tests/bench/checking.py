"""What judging costs: `ftgen check` beside merely parsing the same files, and a refusal beside a success.

    python -m tests.bench.checking

Processor time of whole processes, so that a busy machine tells the same ratios; the best of a few runs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.__main__ import FTGEN, Measured, ran, show

DOCUMENTS = (100, 1000, 5000)
PARSE = """
import pathlib, sys, yaml
for file in sorted(pathlib.Path(sys.argv[1]).rglob("*.yaml")):
    list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
"""
REFUSED = {
    "an unknown option": ["model=qwen3-0.6"],
    "an unknown key": ["trainer.lrr=1"],
    "a value of the wrong type": ["hardware.nodes=two"],
    "what does not fit together": ["hardware=ascend", "trainer.args.fp8=true"],
    "a trainer argument that does not exist": ["+trainer.args.lora_rnk=8"],
    "a card that is too small": ["model=qwen3-32b", "hardware=full-gpu", "trainer=sft-full"],
}


def measure(what: str, command: list[str], *, cwd: Path, jobs: int = 1, runs: int = 3, code: int = 0) -> Measured:
    """The least processor time of some runs, which must end with `code`, and the peak memory of the last."""
    best, peak = float("inf"), 0.0
    for _ in range(runs):
        usage = ran(command, cwd, code=code)
        best, peak = min(best, usage.ru_utime + usage.ru_stime), usage.ru_maxrss / 1024
    return Measured(what, best, peak, jobs)


def check(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """`ftgen check` over rendered manifests, findings and all, beside PyYAML's C loader on the same files."""
    for count in DOCUMENTS:
        folder = f"of-{count}"
        words = [f"trainer.args.seed=range(0,{count})", "--limit", str(count), "-o", folder, "-q"]
        subprocess.run([*FTGEN, "-m", *words], cwd=scratch, check=True)
        runs = 3 if count < DOCUMENTS[-1] else 1
        parse = [sys.executable, "-c", PARSE, folder]
        peer = measure(f"CSafeLoader, {count:,} files", parse, cwd=scratch, jobs=count, runs=runs)
        yield peer, None
        judge = [*FTGEN, "check", folder, "-q"]
        yield measure(f"ftgen check, {count:,} files", judge, cwd=scratch, jobs=count, runs=runs), peer


def refuse(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """A refusal of each layer beside a render that succeeds."""
    success = measure("a render that succeeds", [*FTGEN, "-o", "single", "-q"], cwd=scratch, runs=5)
    yield success, None
    for what, words in REFUSED.items():
        yield measure(f"refused: {what}", [*FTGEN, *words, "-o", "none"], cwd=scratch, runs=5, code=1), success


if __name__ == "__main__":
    show(check, refuse)
