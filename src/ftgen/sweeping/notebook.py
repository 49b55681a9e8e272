"""HTML that a notebook shows of jobs: tables, with the memory of each against its card."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ftgen.sweeping import index

_SHOWN = 60


def job(row: index.Row, text: str) -> str:
    """Return what a job asks for, its memory against its card, and its file to unfold."""
    unfolded = f"<summary>{html.escape(row.file)}</summary><pre>{html.escape(text)}</pre>"
    return f"{_table([row])}<details>{unfolded}</details>"


def sweep(rows: Sequence[index.Row]) -> str:
    """Return a row for each job of a sweep, and the sums."""
    totals = index.totals(rows)
    more = f" (the first {_SHOWN} are shown)" if totals.jobs > _SHOWN else ""
    cards = f"{totals.pods} pods, {totals.devices} cards, {totals.storage_gib:g} GiB of volumes"
    return f"{_table(rows[:_SHOWN])}<p>{totals.jobs} jobs{more}, {cards}</p>"


def _table(rows: Sequence[index.Row]) -> str:
    """Return a table of jobs: name, swept values, pods, cards, queue, and the memory of the fullest card."""
    swept, memory = list(rows[0].swept) if rows else [], _MemoryBars(rows)
    head = _cells("th", ["job", *swept, "pods", "cards", "queue", "memory of the fullest card"])
    values = [[row.job, *(row.swept.get(key, "") for key in swept), row.pods, row.devices, row.queue] for row in rows]
    body = "".join(_cells("td", each, memory.of(row)) for row, each in zip(rows, values, strict=True))
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{memory.legend()}"


def _cells(cell: str, values: Iterable[Any], *markup: str) -> str:
    """Return a row of a table: values, which are escaped, and then what is markup."""
    contents = [*(html.escape(str(value)) for value in values), *markup]
    return f"<tr>{''.join(f'<{cell}>{content}</{cell}>' for content in contents)}</tr>"


class _MemoryBars:
    """Bars of what the fullest card of each job has to hold, all to one scale, with a line where the card ends."""

    WIDTH = 240
    COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#edc948", "#9c755f")

    def __init__(self, rows: Sequence[index.Row]) -> None:
        names = dict.fromkeys(name for row in rows for name in row.terms)
        self._colours = dict(zip(names, itertools.cycle(self.COLOURS), strict=False))
        sizes = [size for row in rows if row.fit for size in (row.fit["device_gib"], row.fit["available_gib"]) if size]
        self._unit = self.WIDTH / max(sizes, default=1)

    def of(self, row: index.Row) -> str:
        """Return the bar of a job, and the same in words."""
        if row.fit is None:
            return "not estimated"
        card = row.fit["available_gib"]
        of_card = f" of {card:g} GiB: {row.fit['verdict']}" if card else " GiB; the card's memory is not stated"
        said = f"{row.fit['device_gib']:g}{of_card}"
        end = f'<path d="M{card * self._unit:.1f} 0V16" stroke="currentColor" stroke-width="2"/>' if card else ""
        size = f'width="{self.WIDTH + 2}" height="16"'
        return f'<svg role="img" aria-label="{said}" {size}>{"".join(self._parts(row))}{end}</svg> {said}'

    def _parts(self, row: index.Row) -> Iterator[str]:
        at = 0.0
        for name, gib in row.terms.items():
            place = f'x="{at * self._unit:.1f}" y="3" width="{gib * self._unit:.1f}" height="10"'
            title = f"<title>{html.escape(name)}: {gib:g} GiB</title>"
            yield f'<rect {place} fill="{self._colours[name]}">{title}</rect>'
            at += gib

    def legend(self) -> str:
        """Return what the colours mean."""
        named = (f'<span style="color:{colour}">■</span> {html.escape(name)}' for name, colour in self._colours.items())
        return f"<p>{' &nbsp; '.join(named)}</p>" if self._colours else ""
