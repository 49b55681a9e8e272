"""The page of a plan, of a difference, or of what is to be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from ftgen.diagnostics import Diagnostic
from ftgen.review.diff import Change, Status, run_of
from ftgen.review.diff.show import word
from ftgen.review.page import changes as changed
from ftgen.review.page import findings, jobs, memory, pods, sums
from ftgen.review.page.document import document
from ftgen.review.page.jobs import Jobs
from ftgen.review.page.markup import NOTHING, Markup, escape, join, short, tag
from ftgen.review.page.memory import Bars
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Section
from ftgen.runtime import VERSION
from ftgen.schema.version import Version
from ftgen.sweeping import index
from ftgen.sweeping.index import Row
from ftgen.text import kube
from ftgen.validation.manifest import NEWEST

_VALUES = 12


class Review(Struct, frozen=True, dict=True):
    """What a page shows.

    Attributes:
        kind: `plan`, `diff` or `publish`.
        name: the run, the sweep, or what is compared.
        rows: the jobs; empty where files are compared, of whose configuration nothing is known.
        changes: the change of every object.
        diagnostics: what the rules say, secrets redacted.
        commands: message's key and command of each way to make the page, or what it shows, again.
        stays: whether the files of removed objects stay in place.
        version: release of Volcano that makes the pods.
    """

    kind: str
    name: str
    rows: Sequence[Row]
    changes: Sequence[Change]
    diagnostics: Sequence[Diagnostic]
    commands: Sequence[tuple[str, str]]
    stays: bool = True
    version: Version = NEWEST

    @cached_property
    def words(self) -> Mapping[str, str]:
        """Return what becomes of each job, by the identity of its row."""
        jobs_ = (change for change in self.changes if change.manifest.get("kind") == "Job")
        by_run = {run_of(change.manifest): word(change) for change in jobs_}
        return {row.identity: by_run.get(kube.label_value(row.identity), "") for row in self.rows}


def page(review: Review, say: Messages) -> str:
    """Return the page, in the language of the messages."""
    title = say(f"title.{review.kind}", name=short(review.name, 120))
    bars = Bars([need for row in review.rows if (need := memory.need_of(row))])
    shown = [section for section in _sections(review, bars, say) if section]
    head = tag("header", tag("h1", title), _contents(shown, say))
    main = tag("main", _summary(review, say), *(section.__html__() for section in shown), id="main", tabindex="-1")
    skip = tag("a", say("skip"), href="#main", class_="skip")
    foot = tag("footer", tag("p", say("footer", version=VERSION)))
    return document(title, skip, bars.definitions, head, main, foot, language=say.language, script=True)


def _sections(review: Review, bars: Bars, say: Messages) -> Iterator[Section | None]:
    listed = Jobs(review.rows, review.words, bars)
    yield findings.section(review.diagnostics, say)
    yield jobs.matrix_section(listed, say)
    yield jobs.table_section(listed, say)
    yield memory.section(review.rows, bars, say)
    yield sums.section(review.rows, say)
    yield changed.section(review.changes, len(review.rows), say, stays=review.stays)
    yield pods.section(review.changes, review.version, say)
    yield _commands(review.commands, say)


def _contents(sections: Sequence[Section], say: Messages) -> Markup:
    items = [tag("li", tag("a", section.title, href=f"#{section.key}")) for section in sections]
    return tag("nav", tag("ul", *items), aria_label=say("contents"))


def _summary(review: Review, say: Messages) -> Markup:
    numbers = _tiles(review, say)
    tiles = [tag("div", tag("dt", name), tag("dd", value, class_=tone or None)) for name, value, tone in numbers]
    body = [tag("h2", say("summary"), id="summary-title", class_="unseen"), tag("dl", *tiles, class_="tiles")]
    return tag("section", *body, _choices(review, say), aria_labelledby="summary-title", id="summary")


def _tiles(review: Review, say: Messages) -> Iterator[tuple[str, object, str]]:
    """Yield name, value and tone of each number that a reviewer looks for first."""
    if review.rows:
        total = index.totals(review.rows)
        yield say.count("tile.jobs", total.jobs), total.jobs, ""
        yield say.count("tile.pods", total.pods), total.pods, ""
        yield say.count("tile.cards", total.devices), total.devices, ""
        if total.card_gib:
            yield say("tile.card-gib"), f"{total.card_gib:g}", ""
        yield say("tile.storage"), f"{total.storage_gib:g}", ""
        verdicts = Counter(row.fit["verdict"] for row in review.rows if row.fit and row.fit["verdict"])
        if known := sum(verdicts.values()):
            tone = "bad" if verdicts["does not fit"] else "tight" if verdicts["tight"] else "ok"
            yield say("tile.fits"), f"{verdicts['fits']} / {known}", tone
    affected = [change for change in review.changes if change.status is not Status.UNCHANGED]
    yield say.count("tile.changes", len(affected)), len(affected), ""
    severities = {str(each.severity) for each in review.diagnostics}
    tone = "bad" if "error" in severities else "tight" if "warning" in severities else "ok"
    found = len(set(review.diagnostics))
    yield say.count("tile.findings", found), found, tone


def _choices(review: Review, say: Messages) -> Markup:
    """Return the options that all jobs share, and the values of each axis."""
    if not review.rows:
        return Markup()
    words = [tag("code", f"{group}={option}") for group, option in index.shared_choices(review.rows).items()]
    items = [tag("dt", say("summary.choices")), tag("dd", join(words, " "))]
    for key, values in jobs.axes(review.rows).items():
        items += [tag("dt", tag("code", key)), tag("dd", _values(values))]
    return tag("dl", *items, class_="choices")


def _values(values: Sequence[str]) -> Markup:
    shown = [tag("code", short(value or NOTHING, 60)) for value in values[:_VALUES]]
    if len(shown) == len(values):
        return join(shown, ", ")
    return join([join(shown, ", "), escape(f" … {short(values[-1], 60)} ({len(values)})")])


def _commands(commands: Sequence[tuple[str, str]], say: Messages) -> Section:
    items = [item for key, command in commands for item in (tag("dt", say(key)), tag("dd", tag("pre", command)))]
    note = tag("p", say("reproduce.note", version=VERSION), class_="hint")
    return Section("reproduce", say("reproduce"), note, tag("dl", *items))
