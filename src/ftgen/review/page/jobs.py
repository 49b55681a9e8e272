"""The table of the jobs, and the matrix of a sweep: its axes as rows and columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from ftgen.review.page.markup import NOTHING, Markup, join, short, tag
from ftgen.review.page.memory import Bars, Need, need_of, tone, verdict
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled, table
from ftgen.sweeping.index import Row

_ROWS, _COLUMNS = 60, 20
"""Largest matrix; the script keeps to the same numbers, which it reads from the page."""
_LARGEST = 212_000
"""Bytes of a table of jobs with bars; in a larger one, numbers alone, and the bars stand below it."""
_GRAVITY = ("", "fits", "tight", "does not fit")
_MEASURES = ("memory", "jobs", "cards", "storage", "change")


class Jobs(Struct, frozen=True, dict=True):
    """Jobs of a page.

    Attributes:
        rows: the jobs.
        changes: what becomes of each, by its row's identity: a word such as `added`.
        bars: drawings of their memory.
    """

    rows: Sequence[Row]
    changes: Mapping[str, str]
    bars: Bars

    @cached_property
    def axes(self) -> dict[str, list[str]]:
        """Return the values of each swept key, in the order of the jobs."""
        return axes(self.rows)

    @cached_property
    def needs(self) -> list[Need | None]:
        """Return what each job needs on its fullest card; None where nothing is known of it."""
        return [need_of(row) for row in self.rows]


def axes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the values of each swept key, in the order of the jobs."""
    keys = dict.fromkeys(key for row in rows for key in row.swept)
    return {key: list(dict.fromkeys(row.swept.get(key, "") for row in rows)) for key in keys}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or the whole key where two end alike."""
    last = {key: key.rpartition(".")[2].lstrip("+") for key in keys}
    many = Counter(last.values())
    return {key: name if many[name] == 1 else key for key, name in last.items()}


# the table


def table_section(jobs: Jobs, say: Messages) -> Section | None:
    """Return the table of all jobs; columns that are the same for all of several jobs are told above it."""
    if not jobs.rows:
        return None
    columns = _columns(jobs, say)
    same = [column for column in columns[1:] if len(jobs.rows) > 1 and _is_constant(column)]
    shown = [column for column in columns if column not in same]
    words = ", ".join(f"{column.name} {column.cells[0]}" for column in same)
    facts = {f"data_{column.kind}": column.cells[0] for column in same if column.kind in {"cards", "storage"}}
    caption = say("jobs.caption")
    listed = table(caption, shown, id="job-table", **facts)
    if len(listed.encode()) > _LARGEST:
        listed = table(caption, [_without_bars(column, jobs.needs) for column in shown], id="job-table", **facts)
    return Section(
        "jobs",
        say("jobs"),
        tag("p", say("jobs.each", values=words)) if words else "",
        _filter(say),
        scrolled(listed, caption),
    )


def _is_constant(column: Column) -> bool:
    return column.kind not in {"memory", "fit", "change"} and len(set(map(str, column.cells))) == 1


def _columns(jobs: Jobs, say: Messages) -> list[Column]:
    return [
        Column(say("column.job"), [short(row.job) for row in jobs.rows], kind="job"),
        *_axis_columns(jobs),
        *_facts(jobs, say),
        *([_memory_column(jobs, say)] if any(jobs.needs) else []),
        *_numbers(jobs.rows, say),
    ]


def _axis_columns(jobs: Jobs) -> Iterator[Column]:
    for key, name in short_names(list(jobs.axes)).items():
        yield Column(name, [short(row.swept.get(key, NOTHING), 60) for row in jobs.rows], kind="axis", about=key)


def _facts(jobs: Jobs, say: Messages) -> Iterator[Column]:
    if jobs.changes:
        words = [jobs.changes.get(row.identity, "") for row in jobs.rows]
        yield Column(say("column.change"), [say.term("change", word) for word in words], kind="change")
    yield Column(say("column.queue"), [row.queue for row in jobs.rows], kind="queue")
    if any(jobs.needs):
        classes = [_exceptional(tone(need)) for need in jobs.needs]
        yield Column(say("column.fit"), [verdict(need, say) for need in jobs.needs], kind="fit", classes=classes)


def _exceptional(name: str) -> str:
    """Leave out the class of most cells: a job that fits needs no colour, and what is unknown has a class."""
    return {"ok": "", "": "na"}.get(name, name)


def _numbers(rows: Sequence[Row], say: Messages) -> Iterator[Column]:
    yield Column(say("column.pods"), [row.pods for row in rows], number=True, kind="pods")
    yield Column(say("column.cards"), [row.devices for row in rows], number=True, kind="cards")
    known = [NOTHING if row.card_gib is None else f"{row.card_gib:g}" for row in rows]
    yield Column(say("column.card-gib"), known, number=True, kind="card-gib")
    yield Column(say("column.storage"), [f"{row.storage_gib:g}" for row in rows], number=True, kind="storage")


def _memory_column(jobs: Jobs, say: Messages) -> Column:
    cells = [join([jobs.bars.of(need), need]) if need else NOTHING for need in jobs.needs]
    return Column(say("column.memory"), cells, kind="memory")


def _without_bars(column: Column, needs: Sequence[Need | None]) -> Column:
    """Return a column of numbers in place of bars with numbers."""
    if column.kind != "memory":
        return column
    return replace(column, cells=[need or NOTHING for need in needs])


def _filter(say: Messages) -> Markup:
    """Return the controls of the table; the script shows them, as they do nothing without it."""
    label = tag("label", say("jobs.filter"), for_="filter")
    box = tag(
        "input", id="filter", type="search", autocomplete="off", spellcheck="false", aria_describedby="filter-help"
    )
    help_ = tag("span", say("jobs.filter-help"), id="filter-help", class_="hint")
    shown = tag("output", "", id="shown", for_="filter", data_text=say("jobs.shown", n="{n}", all="{all}"))
    return tag("p", label, box, help_, shown, class_="controls", hidden=True)


# the matrix


class Pivot(Struct, frozen=True):
    """What a matrix shows: the keys of its rows and columns, and what stands in its cells.

    Attributes:
        rows: key of the rows.
        columns: key of the columns; empty where there is one column.
        measure: one of `_MEASURES`.
        names: short name by key.
    """

    rows: str
    columns: str
    measure: str
    names: Mapping[str, str]

    def caption(self, say: Messages) -> str:
        """Return what the matrix shows, in words."""
        rows, columns = self.names[self.rows], self.names.get(self.columns, "")
        kind = "caption" if columns else "caption-single"
        return say(f"matrix.{kind}", rows=rows, columns=columns, measure=say(f"column.{self.measure}"))


def matrix_section(jobs: Jobs, say: Messages) -> Section | None:
    """Return the sweep as a matrix; None where no axis has few enough values.

    Its axes are the two that tell most of the jobs' memory, and of those that tell as much, the larger ones.
    """
    several = {key: values for key, values in jobs.axes.items() if len(values) > 1}
    fitting = [key for key in several if len(several[key]) <= _ROWS]
    if not fitting:
        return None
    fitting.sort(key=lambda key: (_influence(jobs, key), len(several[key])), reverse=True)
    columns = next((key for key in fitting[1:] if len(several[key]) <= _COLUMNS), "")
    measure = "memory" if any(row.fit for row in jobs.rows) else "jobs"
    names = {key: name for key, name in short_names(list(jobs.axes)).items() if key in several}
    pivot = Pivot(fitting[0], columns, measure, names)
    return Section(
        "matrix",
        say("matrix"),
        _controls(pivot, say),
        scrolled(_matrix(jobs, pivot, say), say("matrix.table")),
        tag("p", say("matrix.hint"), class_="hint scripted", hidden=True),
    )


def _influence(jobs: Jobs, key: str) -> int:
    """Return how many different ranges of memory the values of a key have."""
    needs: dict[str, list[float]] = {}
    for row, need in zip(jobs.rows, jobs.needs, strict=True):
        if need:
            needs.setdefault(row.swept.get(key, ""), []).append(need.used)
    return len({(min(each), max(each)) for each in needs.values()})


def _matrix(jobs: Jobs, pivot: Pivot, say: Messages) -> Markup:
    cells: dict[tuple[str, str], list[Need | None]] = {}
    for row, need in zip(jobs.rows, jobs.needs, strict=True):
        cells.setdefault((row.swept.get(pivot.rows, ""), row.swept.get(pivot.columns, "")), []).append(need)
    down, across = jobs.axes[pivot.rows], jobs.axes.get(pivot.columns, [""])
    made = [Column(pivot.names[pivot.rows], [short(value or NOTHING, 60) for value in down], about=pivot.rows)]
    for value in across:
        shown = [_cell(cells.get((at, value), []), pivot.measure, say) for at in down]
        heading = short(value or NOTHING, 60) if pivot.columns else say("matrix.all")
        made.append(Column(heading, [text for text, _ in shown], classes=[name for _, name in shown]))
    return table(pivot.caption(say), made, id="matrix-table", **_texts(say))


def _texts(say: Messages) -> dict[str, object]:
    """Return what the script needs to know for other matrices."""
    return {
        "data_caption": say("matrix.caption", rows="{rows}", columns="{columns}", measure="{measure}"),
        "data_single": say("matrix.caption-single", rows="{rows}", measure="{measure}"),
        "data_large": say("matrix.large", n=_ROWS),
        "data_all": say("matrix.all"),
        "data_most": _ROWS,
    }


def _cell(members: Sequence[Need | None], measure: str, say: Messages) -> tuple[str, str]:
    """Return text and class of a cell: the range of its jobs' needs with the gravest verdict, or their number."""
    if not members:
        return "", ""
    if measure == "jobs":
        return str(len(members)), ""
    needs = [need for need in members if need]
    if not needs:
        return NOTHING, ""
    low, high = min(need.used for need in needs), max(need.used for need in needs)
    worst = max(needs, key=lambda need: _GRAVITY.index(need.verdict or ""))
    sizes = f"{low:g}" if low == high else f"{low:g} - {high:g}"
    return (sizes if tone(worst) in {"", "ok"} else f"{sizes} {verdict(worst, say)}"), tone(worst)


def _controls(pivot: Pivot, say: Messages) -> Markup:
    axes = list(pivot.names.items())
    measures = [(measure, say(f"column.{measure}")) for measure in _MEASURES]
    selects = [
        _select("pivot-rows", say("matrix.rows"), axes, pivot.rows),
        _select("pivot-columns", say("matrix.columns"), [("", say("none")), *axes], pivot.columns),
        _select("pivot-measure", say("matrix.measure"), measures, pivot.measure),
    ]
    return tag("p", *selects, class_="controls", hidden=True)


def _select(key: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    listed = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    return tag("span", tag("label", label, for_=key), tag("select", *listed, id=key), class_="choice")
