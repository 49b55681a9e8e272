"""The table at the end of a run: every part of the suite, what became of it, and why a check was left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from ftgen.text import tables

FOLDER = Path(__file__).parent


@cache
def parts() -> dict[str, str]:
    """Return the title of every part, the first line of its module, by the module's name."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("test_*.py"))}
    asked = {name: text for name, text in texts.items() if "pytest.mark.cluster" in text}
    return {name: text.split('"""')[1].partition("\n")[0].rstrip(".") for name, text in asked.items()}


@dataclass
class Summary:
    """What became of the checks of every part.

    Attributes:
        ran_on: the lines that say what the cluster is; empty before it was asked.
        counts: by part, how many checks passed, failed and were left out.
        reasons: by part, why checks were left out, each once.
    """

    ran_on: Sequence[str] = ()
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, report: pytest.TestReport) -> None:
        """Count one report: of a check, or of a preparation or removal that failed or left the check out."""
        part = Path(report.location[0]).name
        if report.when == "call" or not report.passed:
            self.counts[part][report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[part][report.longrepr[2].removeprefix("Skipped: ")] = None

    def lines(self) -> list[str]:
        """Return what is printed at the end."""
        head = ("part", "passed", "failed", "left out", "because")
        return [*self.ran_on, "", *tables.table([head, *self._rows()])]

    def _rows(self) -> Iterable[tuple[str, ...]]:
        for name, title in parts().items():
            counts, reasons = self.counts[name], list(self.reasons[name])
            why = reasons if counts else ["not asked for"]
            yield title, *(str(counts[key]) for key in ("passed", "failed", "skipped")), next(iter(why), "")
            yield from (("", "", "", "", reason) for reason in why[1:])
