"""Memory of the cards: bars of an estimate's parts against the card, and a table of the different estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from ftgen.review.page.markup import Markup, join, short, tag
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled_table
from ftgen.sweeping.index import Row

PARTS = ("weights", "states", "activations", "logits", "other")
"""Parts of a bar, from left to right."""
_PART_OF = {
    "weights": "weights",
    "reference model": "weights",
    "weight copies": "weights",
    "optimizer states": "states",
    "gradients": "states",
    "accumulated gradients": "states",
    "copies for the update": "states",
    "activations": "activations",
    "logits and loss": "logits",
}
"""Part by term of the estimate; a term that is not listed (context, cached blocks, buffers) is `other`."""
_DRAWINGS = 250
_SCALES = (240, 120, 60, 30, 15)
_HEIGHT = 10
_LISTED = 60


class Need(Struct, frozen=True):
    """Memory that a job needs on its fullest card, in GiB.

    Attributes:
        used: the estimate.
        card: memory of the card or of the job's share of it; None if it is not stated.
        verdict: `fits`, `tight` or `does not fit`; None where the card's memory is not stated.
        parts: GiB by name of `PARTS`.
    """

    used: float
    card: float | None
    verdict: str | None
    parts: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.used:g}" if self.card is None else f"{self.used:g} / {self.card:g}"

    def drawn(self, scale: int) -> tuple[int, ...]:
        """Return the ends of the parts, and of the card, in units of which the longer of both has `scale`."""
        unit = scale / max(self.used, self.card or 0, 0.01)
        ends = (sum(self.parts[: i + 1]) for i in range(len(self.parts)))
        return (*(round(end * unit) for end in ends), round((self.card or 0) * unit))


def need_of(row: Row) -> Need | None:
    """Return the need of a job; None where nothing is known of it."""
    if row.fit is None:
        return None
    fit = row.fit
    return Need(fit["device_gib"], fit["available_gib"], fit["verdict"], _parts(row.terms))


def _parts(terms: Mapping[str, float]) -> tuple[float, ...]:
    sums = dict.fromkeys(PARTS, 0.0)
    for name, gib in terms.items():
        sums[_PART_OF.get(name, "other")] += gib
    return tuple(round(gib, 2) for gib in sums.values())


class Bars:
    """Drawings of bars, each once, which the jobs of a sweep share.

    A sweep over a length has another estimate for each job: then bars are drawn to a coarser scale, until there are
    few enough different ones.
    """

    def __init__(self, needs: Sequence[Need]) -> None:
        """Choose the scale for the needs of all jobs."""
        different = dict.fromkeys(needs)
        drawings = {scale: dict.fromkeys(need.drawn(scale) for need in different) for scale in _SCALES}
        self._scale = next((scale for scale in _SCALES if len(drawings[scale]) <= _DRAWINGS), _SCALES[-1])
        self._names = {drawn: f"m{number}" for number, drawn in enumerate(drawings[self._scale], 1)}

    def of(self, need: Need) -> Markup:
        """Return the bar of a need; a decoration, as the text beside it says the same."""
        return tag("svg", tag("use", href=f"#{self._names[need.drawn(self._scale)]}"), aria_hidden="true")

    @cached_property
    def definitions(self) -> Markup:
        """Return all drawings, to be put on the page once."""
        symbols = [self._symbol(name, drawn) for drawn, name in self._names.items()]
        return (
            tag("svg", *symbols, width="0", height="0", class_="drawings", aria_hidden="true") if symbols else Markup()
        )

    def _symbol(self, name: str, drawn: Sequence[int]) -> Markup:
        *ends, card = drawn
        starts = (0, *ends)
        paths = [
            tag("path", class_=part[0], d=f"M{start} 5H{end}")
            for part, start, end in zip(PARTS, starts, ends, strict=False)
            if end > start
        ]
        mark = [tag("path", class_="k", d=f"M{card} 0V{_HEIGHT}")] if card else []
        box = f"-1 0 {self._scale + 2} {_HEIGHT}"
        return tag("symbol", *paths, *mark, id=name, viewBox=box, preserveAspectRatio="none")


def legend(say: Messages) -> Markup:
    """Return what the colours of the parts mean."""
    items = [tag("li", tag("span", "", class_=f"swatch {part[0]}"), say(f"part.{part}")) for part in PARTS]
    return join([tag("ul", *items, class_="legend"), tag("p", say("memory.line"), class_="hint")])


def section(rows: Sequence[Row], bars: Bars, say: Messages) -> Section | None:
    """Return the table of the different estimates, with the jobs that have each; None without jobs."""
    if not rows:
        return None
    jobs: dict[Need, list[str]] = {}
    for row in rows:
        if need := need_of(row):
            jobs.setdefault(need, []).append(row.job)
    if not jobs:
        return Section("memory", say("memory"), tag("p", say("memory.unknown")))
    shown = list(jobs)[:_LISTED]
    caption = say("memory.caption")
    body = [legend(say), scrolled_table(caption, _columns(shown, jobs, bars, say))]
    if len(shown) < len(jobs):
        body.append(tag("p", say("more", n=len(jobs) - len(shown), command="ftgen plan --fit")))
    return Section("memory", say("memory"), *body)


def _columns(shown: Sequence[Need], jobs: Mapping[Need, Sequence[str]], bars: Bars, say: Messages) -> list[Column]:
    parts = [
        Column(say(f"part.{part}"), [f"{need.parts[i]:g}" for need in shown], number=True)
        for i, part in enumerate(PARTS)
        if any(need.parts[i] for need in shown)
    ]
    return [
        Column(say("memory.first"), [_who(jobs[need], say) for need in shown]),
        Column(say("memory.bar"), [bars.of(need) for need in shown], kind="bars"),
        Column(say("column.fit"), [verdict(need, say) for need in shown], classes=[tone(need) for need in shown]),
        *parts,
        Column(say("memory.used"), [f"{need.used:g}" for need in shown], number=True),
        Column(say("memory.card"), [say("unknown") if n.card is None else f"{n.card:g}" for n in shown], number=True),
    ]


def _who(names: Sequence[str], say: Messages) -> str:
    first = short(names[0])
    return first if len(names) == 1 else say("memory.others", first=first, n=len(names) - 1)


def verdict(need: Need | None, say: Messages) -> str:
    """Return whether a job fits its card, in a word."""
    return say.term("verdict", (need and need.verdict) or "unknown")


def tone(need: Need | None) -> str:
    """Return the class of a cell that says how well a job fits its card; empty where that is not known."""
    return {"fits": "ok", "tight": "tight", "does not fit": "bad"}.get((need and need.verdict) or "", "")
