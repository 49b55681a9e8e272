"""The verdict in words: as text, as a plain value for JSON, and as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from ftgen.datasets.judge import Judged, Verdict
from ftgen.datasets.lengths import Histogram
from ftgen.datasets.shards import DROPPED, FAILED, KEPT, UNUSED
from ftgen.text.tables import table

_BAR = 40
_FATES = {"trained on": KEPT, "dropped": DROPPED, "ends the training": FAILED, "not used": UNUSED}


def lines(verdict: Verdict) -> Iterator[str]:
    """Yield the counts of each data set, and how long its rows are."""
    for judged in verdict.sets:
        yield _title(judged, verdict)
        counts = [(words, str(judged.count(fate))) for words, fate in _FATES.items() if judged.count(fate)]
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


# a page


_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .2em .8em .2em 0; text-align: left; }
td.number { text-align: right; } .bar { background: #4a7ab5; height: .8em; } code { word-break: break-all; }
.error { color: #b00020; } .warning { color: #8a5a00; } .note { color: #35607a; }
"""


def page(verdict: Verdict, title: str) -> str:
    """Return the verdict as one HTML page without scripts, or anything from elsewhere."""
    body = "".join([*map(_section, verdict.sets), _found(verdict)])
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n"


def _section(judged: Judged) -> str:
    cells = "".join(
        f'<tr><td>{words}</td><td class="number">{judged.count(fate)}</td></tr>' for words, fate in _FATES.items()
    )
    bars = _bars("Characters", judged.characters) + _bars("Tokens", judged.tokens)
    cut = f"<p>{judged.cut} rows are cut, {judged.lost} tokens lost.</p>" if len(judged.tokens) else ""
    return f"<h2>{html.escape(judged.name)} ({judged.form})</h2><table>{cells}</table>{bars}{cut}"


def _bars(unit: str, histogram: Histogram) -> str:
    if not len(histogram):
        return ""
    counted = list(histogram.rows())
    most = max(count for _, _, count in counted)
    rows = "".join(
        f'<tr><td class="number">{low}-{high}</td><td class="number">{count}</td>'
        f'<td><div class="bar" style="width: {300 * count // most}px"></div></td></tr>'
        for low, high, count in counted
    )
    return f"<h3>{unit}</h3><table>{rows}</table>"


def _found(verdict: Verdict) -> str:
    rows = "".join(
        f'<tr><td class="{found.kind.severity}">{found.kind.severity}</td><td>{found.kind.code}</td>'
        f"<td>{html.escape(found.diagnostic.headline)}</td><td><code>{html.escape(str(found.diagnostic.locations[0]))}</code></td></tr>"
        for found in verdict.findings
    )
    return f"<h2>Findings</h2><table>{rows}</table>" if rows else "<p>Nothing was found.</p>"
