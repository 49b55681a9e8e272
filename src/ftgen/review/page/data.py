"""The page of a data set: what becomes of its rows, how long they are, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ftgen.diagnostics import Diagnostic
from ftgen.emulation.datasets.judge import Judged, Verdict
from ftgen.emulation.datasets.lengths import Histogram
from ftgen.emulation.datasets.report import FATES
from ftgen.review.page import findings
from ftgen.review.page.document import document
from ftgen.review.page.markup import Markup, tag
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled, scrolled_table, table

_BAR = 300


def page(verdict: Verdict, found: Sequence[Diagnostic], title: str, say: Messages) -> str:
    """Return the verdict as one HTML page.

    Args:
        verdict: the verdict.
        found: its findings as diagnostics, secrets redacted.
        title: the data set, as the user names it.
        say: messages.
    """
    sets = (_section(number, judged, say) for number, judged in enumerate(verdict.sets))
    parts = [*sets, findings.section(found, say)]
    main = tag("main", tag("h1", title), *(part.__html__() for part in parts))
    return document(title, main, language=say.language)


def _section(number: int, judged: Judged, say: Messages) -> Section:
    caption = say("data.caption", name=judged.name, form=judged.form)
    fates = table(
        caption,
        [
            Column(say("data.fate"), [say.term("data", words) for words in FATES]),
            Column(say("data.rows"), [judged.count(fate) for fate in FATES.values()], number=True),
        ],
    )
    cut = tag("p", say("data.cut", cut=judged.cut, lost=judged.lost)) if len(judged.tokens) else ""
    lengths = (("characters", judged.characters), ("tokens", judged.tokens))
    bars = [_lengths(judged.name, say(f"data.{unit}"), found, say) for unit, found in lengths if len(found)]
    return Section(f"set-{number}", judged.name, scrolled(fates, caption), *bars, cut)


def _lengths(name: str, unit: str, histogram: Histogram, say: Messages) -> Markup:
    counted = list(histogram.rows())
    caption = say("data.lengths", name=name, unit=unit)
    columns = [
        Column(unit, [f"{low}-{high}" if high > low else f"{low}" for low, high, _ in counted]),
        Column(say("memory.bar"), list(_bars([count for _, _, count in counted]))),
        Column(say("data.rows"), [count for _, _, count in counted], number=True),
    ]
    return scrolled_table(caption, columns)


def _bars(counts: list[int]) -> Iterator[Markup]:
    most = max(counts)
    for count in counts:
        bar = tag("path", class_="w", d=f"M0 5H{-(-_BAR * count // most)}")
        yield tag("svg", bar, viewBox=f"0 0 {_BAR} 10", preserveAspectRatio="none", aria_hidden="true")
