"""What publishing costs on top of rendering the same thousand runs, and what their later life costs.

    python -m tests.bench.publishing

Processor time of whole processes and of the git that they run, so that a busy machine tells the same ratios; the
least of a few runs.  The repository is a server's, on this disk, reached as any remote is.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.__main__ import FTGEN, HUNDRED_BY_TEN, Measured, show
from tests.bench.checking import measure

RUNS = 1000
SWEEP = ["-m", "+sweep.name=abl", *HUNDRED_BY_TEN, "-q"]


def _server(scratch: Path) -> list[str]:
    """An empty repository, and the words that name a folder of it."""
    place = scratch / "server.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    return ["--repo", f"file://{place}", "--branch", "main", "--path", "training"]


def _anew(scratch: Path, what: str, command: list[str], *before: list[str], runs: int = 3) -> Measured:
    """The least of some runs, each in a new folder on a tree where only `before` was done."""
    found = []
    for _ in range(runs):
        here = Path(tempfile.mkdtemp(dir=scratch))
        at = _server(here)
        for earlier in before:
            subprocess.run([*FTGEN, *earlier, *at], check=True, cwd=here)
        found.append(measure(what, [*FTGEN, *command, *(at if command[0] != "render" else [])], cwd=here, runs=1))
    return min(found, key=lambda each: each.seconds)


def publish(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """Publishing a thousand runs beside rendering them into a folder."""
    words = ["publish", *SWEEP]
    render = _anew(scratch, f"ftgen -m, {RUNS:,} runs", ["render", *SWEEP, "-o", "out"])
    yield render, None
    new = _anew(scratch, "ftgen publish, all new", words)
    yield new, render
    yield Measured("  on top of rendering", new.seconds - render.seconds), None
    yield _anew(scratch, "ftgen publish, all unchanged", words, words, runs=2), render
    yield _anew(scratch, "ftgen diff, all unchanged", ["diff", *SWEEP], words, runs=2), render


def life(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """Archiving, repeating and stopping a thousand published runs, beside publishing them."""
    words, every = ["publish", *SWEEP], "abl/*"
    new = _anew(scratch, "ftgen publish, all new", words, runs=1)
    yield new, None
    for verb in ("archive", "rerun", "stop"):
        yield _anew(scratch, f"ftgen {verb} {every}", [verb, every, "-q"], words, runs=1), new
    yield _anew(scratch, "ftgen publish, all archived", words, words, ["archive", every, "-q"], runs=1), new


if __name__ == "__main__":
    show(publish, life)
