"""What each queue is asked for by the jobs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ftgen.review.page.markup import NOTHING
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled_table
from ftgen.sweeping import index
from ftgen.sweeping.index import Row
from ftgen.validation.rules.resources import is_extended


def section(rows: Sequence[Row], say: Messages) -> Section | None:
    """Return the sums by queue, and of all queues where there are several; None without jobs."""
    if not rows:
        return None
    queues = {name: [row for row in rows if row.queue == name] for name in sorted({row.queue for row in rows})}
    if len(queues) > 1:
        queues[say("sums.all")] = list(rows)
    caption = say("sums.caption")
    return Section("sums", say("sums"), scrolled_table(caption, _columns(queues, say)))


def _columns(queues: Mapping[str, Sequence[Row]], say: Messages) -> list[Column]:
    sums = [index.totals(rows) for rows in queues.values()]
    return [
        Column(say("column.queue"), [name or NOTHING for name in queues]),
        Column(say("column.resources"), [_resources(rows, say) for rows in queues.values()]),
        Column(say("column.jobs"), [each.jobs for each in sums], number=True),
        Column(say("column.pods"), [each.pods for each in sums], number=True),
        Column(say("column.cards"), [each.devices for each in sums], number=True),
        Column(
            say("column.card-gib"), [f"{each.card_gib:g}" if each.card_gib else NOTHING for each in sums], number=True
        ),
        Column(say("column.storage"), [f"{each.storage_gib:g}" for each in sums], number=True),
    ]


def _resources(rows: Sequence[Row], say: Messages) -> str:
    """Return the extended resources, such as a vendor's cards, that the jobs request."""
    total: dict[str, Fraction] = {}
    for row in rows:
        for name, amount in row.requests.items():
            if is_extended(name):
                total[name] = total.get(name, Fraction(0)) + amount
    return ", ".join(say("many", n=f"{float(amount):.12g}", kind=name) for name, amount in total.items()) or NOTHING
