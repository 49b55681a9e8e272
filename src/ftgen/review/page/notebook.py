"""Jobs as a notebook shows them: tables, with the memory of each against its card.

A notebook's cell has no style sheet, and its reader a pointer: a bar has its own colours, and names each term.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ftgen.review.page.markup import Markup, join, tag
from ftgen.review.page.tables import Column, table
from ftgen.sweeping import index

_SHOWN = 60


def job(row: index.Row, text: str) -> Markup:
    """Return what a job asks for, its memory against its card, and its file to unfold."""
    return join([_table([row]), tag("details", tag("summary", row.file), tag("pre", text))])


def sweep(rows: Sequence[index.Row]) -> Markup:
    """Return a row for each job of a sweep, and the sums."""
    totals = index.totals(rows)
    more = f" (the first {_SHOWN} are shown)" if totals.jobs > _SHOWN else ""
    cards = f"{totals.pods} pods, {totals.devices} cards, {totals.storage_gib:g} GiB of volumes"
    return join([_table(rows[:_SHOWN]), tag("p", f"{totals.jobs} jobs{more}, {cards}")])


def _table(rows: Sequence[index.Row]) -> Markup:
    """Return a table of jobs: name, swept values, pods, cards, queue, and the memory of the fullest card."""
    swept, memory = list(rows[0].swept) if rows else [], _MemoryBars(rows)
    columns = [
        Column("job", [row.job for row in rows]),
        *(Column(key, [row.swept.get(key, "") for row in rows]) for key in swept),
        Column("pods", [row.pods for row in rows]),
        Column("cards", [row.devices for row in rows]),
        Column("queue", [row.queue for row in rows]),
        Column("memory of the fullest card", [memory.of(row) for row in rows]),
    ]
    return join([table("Jobs and what they ask for", columns), memory.legend()])


class _MemoryBars:
    """Bars of what the fullest card of each job has to hold, all to one scale, with a line where the card ends."""

    WIDTH = 240
    COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#edc948", "#9c755f")

    def __init__(self, rows: Sequence[index.Row]) -> None:
        names = dict.fromkeys(name for row in rows for name in row.terms)
        self._colours = dict(zip(names, itertools.cycle(self.COLOURS), strict=False))
        sizes = [size for row in rows if row.fit for size in (row.fit["device_gib"], row.fit["available_gib"]) if size]
        self._unit = self.WIDTH / max(sizes, default=1)

    def of(self, row: index.Row) -> Markup:
        """Return the bar of a job, and the same in words."""
        if row.fit is None:
            return join(["not estimated"])
        card = row.fit["available_gib"]
        of_card = f" of {card:g} GiB: {row.fit['verdict']}" if card else " GiB; the card's memory is not stated"
        said = f"{row.fit['device_gib']:g}{of_card}"
        end = [tag("path", d=f"M{card * self._unit:.1f} 0V16", stroke="currentColor", stroke_width=2)] if card else []
        bar = tag("svg", *self._parts(row), *end, role="img", aria_label=said, width=self.WIDTH + 2, height=16)
        return join([bar, said], " ")

    def _parts(self, row: index.Row) -> Iterator[Markup]:
        at = 0.0
        for name, gib in row.terms.items():
            title = tag("title", f"{name}: {gib:g} GiB")
            start, width = f"{at * self._unit:.1f}", f"{gib * self._unit:.1f}"
            yield tag("rect", title, x=start, y=3, width=width, height=10, fill=self._colours[name])
            at += gib

    def legend(self) -> Markup:
        """Return what the colours mean."""
        named = [join([tag("span", "■", style=f"color:{of}"), name], " ") for name, of in self._colours.items()]
        return tag("p", join(named, " \N{NO-BREAK SPACE} ")) if named else Markup()
