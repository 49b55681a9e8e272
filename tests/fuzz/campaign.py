"""Trying many inputs in several processes, for a time or a number; of each finding the smallest case is kept.

Hypothesis draws the cases and makes those that fail smaller.  Coverage-guided engines were weighed: an input costs
ftgen milliseconds, most of them inside libraries, and instrumented code several times that, while the grammars here
reach every verb and every file from the first input on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyFailure, FlakyReplay, HypothesisWarning
from tests.fuzz.case import Case, load
from tests.fuzz.inputs import cases
from tests.fuzz.run import Box, Verdict

_BATCH = 400
_TRIED_SMALLER = 150
_MEMORY = 3 * 2**30
_IN_MEMORY = Path("/dev/shm")
_BETWEEN_LINES = 60
"""Seconds between two lines of progress."""


class Found(Exception):  # noqa: N818 - what is looked for
    """A case shows a finding."""


@dataclass(frozen=True)
class Campaign:
    """How long to try, what, and where findings go.

    Attributes:
        seconds: of the wall's time.
        inputs: at most, all processes together.
        seed: the same seed and number of processes try the same inputs.
        jobs: processes.
        kinds: names of `inputs.KINDS`; all where there are none.
        folder: where findings are written to.
    """

    seconds: float
    inputs: int
    seed: int
    jobs: int = 1
    kinds: tuple[str, ...] = ()
    folder: Path = Path(".fuzz")


@dataclass
class Findings:
    """What was found so far, each by its smallest case; `counts` are inputs by kind and by exit code."""

    folder: Path
    smallest: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def keep(self, verdict: Verdict, case: Case) -> None:
        """Write the case unless a smaller one shows the same."""
        if case.size < self.smallest.get(verdict.finding, sys.maxsize):
            self.smallest[verdict.finding] = case.size
            self.folder.mkdir(parents=True, exist_ok=True)
            place = self.folder / f"{slug(verdict.finding)}.json"
            if not place.exists() or place.stat().st_size > case.size:
                place.write_text(case.dump(), encoding="utf-8")
                place.with_suffix(".txt").write_text(
                    f"{verdict.finding}\n\n{verdict.told}", "utf-8", "backslashreplace"
                )


def slug(finding: str) -> str:
    """A finding as the name of a file."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", finding).strip("-")[:120]


@contextmanager
def box() -> Iterator[Box]:
    """Folders to run cases in, in memory where the system has such a place."""
    place = Path(mkdtemp(prefix="ftgen-fuzz-", dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None))
    try:
        yield Box(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def batch(here: Box, findings: Findings, number: int, most: int, kinds: tuple[str, ...] = ()) -> None:
    """Try up to `most` inputs; of what is found, one is made smaller."""
    known = frozenset(findings.smallest)
    failed = 0

    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(cases(kinds))
    def one(case: Case) -> None:
        nonlocal failed
        (here.root / "current.json").write_text(case.dump(), encoding="utf-8")
        verdict = here.run(case)
        findings.counts[case.why] += 1
        findings.counts[f"= {verdict.code}"] += 1
        if verdict.finding:
            findings.keep(verdict, case)
            if verdict.finding not in known and (failed := failed + 1) < _TRIED_SMALLER:
                raise Found(verdict.finding)

    # Findings are kept as they are met; whether Hypothesis calls one flaky says nothing more.
    with suppress(Found, FlakyFailure, FlakyReplay), warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        one()


def work(asked: Campaign, number: int, before: int, report: Path) -> None:
    """Try batches until the time or the inputs are used up."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    findings = Findings(asked.folder)
    share, end = asked.inputs // asked.jobs, time.monotonic() + asked.seconds
    turn = before
    with box() as here:
        (report / f"{number}.box").write_text(str(here.root), encoding="utf-8")
        while time.monotonic() < end and (left := share - _inputs(findings.counts)) > 0:
            batch(here, findings, hash((asked.seed, number, turn)), min(_BATCH, left), asked.kinds)
            turn += 1
            told = {"counts": findings.counts, "findings": [*findings.smallest]}
            fresh = report / f"{number}-{before}.new"
            fresh.write_text(json.dumps(told), encoding="utf-8")
            fresh.replace(fresh.with_suffix(".json"))


def _inputs(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name.startswith("= "))


def carry_out(asked: Campaign) -> int:
    """Try in all processes, tell what was done and found; 1 where there is a finding."""
    started = time.monotonic()
    report = Path(mkdtemp(prefix="ftgen-fuzz-report-"))
    workers = {number: _started(asked, number, 0, report) for number in range(asked.jobs)}
    died, printed = 0, started
    while workers:
        if time.monotonic() - printed > _BETWEEN_LINES:
            printed = time.monotonic()
            print(_summary(*_read(report), printed - started, died), flush=True)
        for number, worker in list(workers.items()):
            worker.join(0.5)
            if worker.is_alive():
                continue
            del workers[number]
            if worker.exitcode:
                died += 1
                _bury(asked, number, worker.exitcode, report)
                if (left := asked.seconds - (time.monotonic() - started)) > 1:
                    rest = Campaign(left, asked.inputs, asked.seed, asked.jobs, asked.kinds, asked.folder)
                    workers[number] = _started(rest, number, died * 1_000_000, report)
    return _tell(report, time.monotonic() - started, died, asked.folder)


def _started(asked: Campaign, number: int, before: int, report: Path) -> multiprocessing.process.BaseProcess:
    worker = multiprocessing.get_context("fork").Process(target=work, args=(asked, number, before, report))
    worker.start()
    return worker


def _bury(asked: Campaign, number: int, code: int, report: Path) -> None:
    """An input that ends the process is a finding, too; its case was written before it ran."""
    place = Path((report / f"{number}.box").read_text(encoding="utf-8"))
    case = load((place / "current.json").read_text(encoding="utf-8"))
    Findings(asked.folder).keep(Verdict(None, "", "", f"process died with {code} on {' '.join(case.argv[:1])}"), case)
    shutil.rmtree(place, ignore_errors=True)


def _read(report: Path) -> tuple[Counter[str], set[str]]:
    """Add up what the processes have written: inputs by kind and exit code, and the findings."""
    counts: Counter[str] = Counter()
    found: set[str] = set()
    for file in report.glob("*.json"):
        told = json.loads(file.read_text(encoding="utf-8"))
        counts.update(told["counts"])
        found.update(told["findings"])
    return counts, found


def _summary(counts: Counter[str], found: set[str], seconds: float, died: int) -> str:
    inputs = _inputs(counts)
    return f"{inputs} inputs in {seconds:.0f} s, {inputs / seconds:.0f} a second; {len(found)} findings, {died} deaths"


def _tell(report: Path, seconds: float, died: int, folder: Path) -> int:
    counts, found = _read(report)
    shutil.rmtree(report)
    for name, count in sorted(counts.items()):
        print(f"{count:>9}  {name}")
    print(_summary(counts, found, seconds, died))
    for finding in sorted(found):
        print(f"  {finding}: {folder / slug(finding)}.json")
    return int(bool(found or died))
