"""The verdict in words: as text, and as a plain value for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftgen.emulation.datasets.judge import Judged, Verdict
from ftgen.emulation.datasets.lengths import Histogram
from ftgen.emulation.datasets.shards import DROPPED, FAILED, KEPT, UNUSED
from ftgen.text.tables import table

_BAR = 40
FATES = {"trained on": KEPT, "dropped": DROPPED, "ends the training": FAILED, "not used": UNUSED}
"""What becomes of a row, in words."""


def lines(verdict: Verdict) -> Iterator[str]:
    """Yield the counts of each data set, and how long its rows are."""
    for judged in verdict.sets:
        yield _title(judged, verdict)
        counts = [(words, str(judged.count(fate))) for words, fate in FATES.items() if judged.count(fate)]
        yield from (f"  {line}" for line in table(counts)) if counts else ()
        yield from _histogram("characters", judged.characters)
        yield from _histogram("tokens", judged.tokens)
        if len(judged.tokens):
            yield f"  {_lost(judged, verdict)}"


def _title(judged: Judged, verdict: Verdict) -> str:
    rows, reading = len(judged.fates), verdict.reading
    use = "evaluation" if judged.evaluated else reading.trainer
    number = "1 file" if judged.files == 1 else f"{judged.files} files"
    return f"{judged.name}: {rows} row{'s' * (rows != 1)} in {number}, read as {judged.form} for {use}"


def _lost(judged: Judged, verdict: Verdict) -> str:
    share = 100 * judged.lost / judged.tokens.total if judged.tokens.total else 0
    return (
        f"cutoff_len {verdict.reading.cutoff_len} cuts {judged.cut} of {len(judged.tokens)} rows: "
        f"{judged.lost} of {judged.tokens.total} tokens ({share:.1f} %) are lost"
    )


def _histogram(unit: str, histogram: Histogram) -> Iterator[str]:
    if not len(histogram):
        return
    most = max(count for _, _, count in histogram.rows())
    rows = [
        (f"{low}-{high}" if high > low else f"{low}", str(count), "#" * -(-_BAR * count // most))
        for low, high, count in histogram.rows()
    ]
    yield from (f"  {line}" for line in table([(unit, "rows", ""), *rows]))
    yield f"  longest {histogram.longest}, mean {histogram.total // len(histogram)}"


def plain(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as JSON values."""
    reading = verdict.reading
    return {
        "stage": reading.trainer,
        "template": reading.template,
        "cutoff_len": reading.cutoff_len,
        "max_samples": reading.max_samples,
        "sets": [_plain_set(judged) for judged in verdict.sets],
        "findings": [
            {
                "code": found.kind.code,
                "name": found.kind.name,
                "severity": str(found.kind.severity),
                "what": found.text,
                "file": found.file,
                "count": found.count,
                "rows": [{"row": row, "line": line} for row, line in found.rows],
                "help": found.help,
            }
            for found in verdict.findings
        ],
    }


def _plain_set(judged: Judged) -> dict[str, Any]:
    return {
        "name": judged.name,
        "form": judged.form,
        "files": judged.files,
        "evaluated": judged.evaluated,
        "rows": len(judged.fates),
        "trained": judged.count(KEPT),
        "dropped": judged.count(DROPPED),
        "failed": judged.count(FAILED),
        "unused": judged.count(UNUSED),
        "characters": _plain_lengths(judged.characters),
        "tokens": {**_plain_lengths(judged.tokens), "cut": judged.cut, "lost": judged.lost}
        if len(judged.tokens)
        else None,
    }


def _plain_lengths(histogram: Histogram) -> dict[str, Any]:
    buckets = [{"from": low, "to": high, "rows": count} for low, high, count in histogram.rows()]
    return {"longest": histogram.longest, "total": histogram.total, "buckets": buckets}
