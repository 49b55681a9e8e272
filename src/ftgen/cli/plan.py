"""`ftgen plan`: show the jobs that a render would write, and their resource requests, without writing."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from ftgen import pipeline
from ftgen.cli import many, output, request, streams
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import Composer
from ftgen.diagnostics import Diagnostic
from ftgen.output import tree
from ftgen.output.tree import FileChange, Outcome, Run, WriteOptions
from ftgen.review import diff
from ftgen.sweeping import index
from ftgen.sweeping.index import Row
from ftgen.text.lines import shortened, visible

_STATUS = {
    FileChange.ADDED: "new",
    FileChange.CHANGED: "changed",
    FileChange.UNCHANGED: "unchanged",
    FileChange.KEPT: "kept",
}
_GONE = (FileChange.REMOVED, FileChange.ORPHANED, FileChange.MISSING)
# Up to _SHOWN jobs are listed one by one; of more, the first _OF_EACH of each of the first _GROUPS groups.
_SHOWN = 40
_OF_EACH = 3
_GROUPS = 15
_MIN_NAME = 20


class Planned(Struct, frozen=True):
    """Preview of a render.

    Attributes:
        rows: the jobs.
        outcome: the changes that rendering them would make to the output folder.
        diagnostics: warnings and notes.
        whole: folders that the jobs cover completely.
        runs: the rendered files; None where nobody asked for them.
    """

    rows: Sequence[Row]
    outcome: Outcome
    diagnostics: Sequence[Diagnostic]
    whole: frozenset[str] = frozenset()
    runs: Sequence[Run] | None = None

    def status(self, row: Row) -> str:
        """Return what would happen to a job's file: new, changed, unchanged or kept.

        The file of a run that has ended may be gone.
        """
        change = self.outcome.changes.get(row.file, FileChange.KEPT)
        return _STATUS.get(change, str(change))

    @property
    def gone(self) -> list[str]:
        """Return the files of jobs that would no longer be rendered."""
        return [path for path in self.outcome.paths(*_GONE) if tree.is_job_file(path)]


def run(arguments: Arguments) -> int:
    """Print the table, or the same as JSON."""
    form = "html" if arguments.flags.page == "-" else arguments.flags.format
    if form == "html":
        # Diagnostics are on the page; as text they go to standard error, too.
        arguments.flags.format = "text"
    with request.open_composer(arguments) as composer:
        planned = _planned(arguments, composer, keep=form == "html" or bool(arguments.flags.page))
    if planned.runs is not None:
        _write_page(planned, planned.runs, arguments)
    if form == "html":
        return 0
    if arguments.flags.json:
        print(json.dumps(_plain(planned, fit=arguments.flags.fit), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        width = streams.width()
        lines = [
            *_lines(planned, width, show_all=arguments.flags.all),
            *(_fits(planned) if arguments.flags.fit else ()),
        ]
        paint = _painted if streams.coloured(sys.stdout, arguments.flags.color) else str
        sys.stdout.writelines(f"{paint(_wrapped(visible(line), width))}\n" for line in lines)
    return 0


def _painted(line: str) -> str:
    """Colour the status that ends the line of a job, as `ftgen diff` colours its signs."""
    return _ENDING.sub(lambda found: streams.painted(found[0], _COLOURS[found[0]]), line)


_COLOURS = {"new": "32", "changed": "33"}
_ENDING = re.compile(rf"(?<=  )({'|'.join(_COLOURS)})$")


def _wrapped(line: str, width: int) -> str:
    """Wrap a line that is too long for the terminal, between two words."""
    return line if len(line) <= width else textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False)


def _write_page(planned: Planned, runs: Sequence[Run], arguments: Arguments) -> None:
    from ftgen.cli import review  # noqa: PLC0415 - a table needs no page

    out = arguments.out()
    changes = diff.diff_tree(tree.folder_store(out), tree.read_lock(out), runs, planned.whole)
    review.write(arguments, planned.rows, changes, planned.diagnostics, runs=runs)


def _planned(arguments: Arguments, composer: Composer, *, keep: bool) -> Planned:
    """Compile the jobs, and keep their files where a page is to compare them with those that are there."""
    out = arguments.out()
    if request.is_sweep(arguments, composer):
        batch = many.expanded(arguments, composer)
        runs: Iterable[Run] = many.runs(batch, table=False)
        kept = list(runs) if keep else None
        write_options = replace(many.write_options(batch, arguments), tentative=True)
        outcome = tree.plan_write(out, runs if kept is None else kept, write_options, dry=True).outcome
        found = output.apply_strict([*batch.diagnostics, *outcome.diagnostics], arguments)
        output.print_diagnostics(found, arguments, to_stderr=True)
        return Planned(index.under_names(batch.rows, outcome.names), outcome, found, write_options.whole, kept)
    job = pipeline.compile_job(composer, arguments.overrides)
    outcome = tree.plan_write(out, [job.run], WriteOptions(same_run=diff.same_run), dry=True).outcome
    noticed = request.add_locations(composer, arguments, job.diagnostics)
    found = output.apply_strict([*noticed, *outcome.diagnostics], arguments)
    output.print_diagnostics(found, arguments, to_stderr=True)
    rows = index.under_names([index.row(job)], outcome.names)
    return Planned(rows, outcome, found, runs=[job.run] if keep else None)


def _plain(planned: Planned, *, fit: bool) -> dict[str, Any]:
    jobs = [
        {
            **index.as_json(row),
            "status": planned.status(row),
            **({"fit": row.fit, "fit_terms": row.terms} if fit else {}),
        }
        for row in planned.rows
    ]
    return {"jobs": jobs, "gone": planned.gone, "totals": asdict(index.totals(planned.rows))}


def _lines(planned: Planned, width: int, *, show_all: bool) -> Iterator[str]:
    """Yield the options that all jobs share, then the jobs grouped by the other options, then the totals."""
    shared = index.shared_choices(planned.rows)
    yield _choices_text(shared)
    groups = _grouped(planned.rows, shared)
    brief = len(planned.rows) > _SHOWN and not show_all
    shown = list(groups.items())[: _GROUPS if brief else None]
    for options, members in shown:
        yield from ("", options) if options else ("",)
        yield from _members(members, planned, width, brief=brief)
    if len(shown) < len(groups):
        yield f"\n… and {len(groups) - len(shown)} more combinations of options (--all shows every job)"
    yield ""
    yield from _sums(planned)


def _fits(planned: Planned) -> Iterator[str]:
    """Yield the memory of the fullest card, in GiB, once for each distinct estimate, with the first job that has it."""
    yield ""
    first_jobs: dict[str, str] = {}
    for row in planned.rows:
        if row.fit is None:
            text = "nothing is known of the memory that its trainer needs for its model"
        else:
            free = row.fit["available_gib"]
            verdict = f"{row.fit['verdict']} in {free:g} GiB" if free is not None else "the card's memory is unknown"
            terms = ", ".join(f"{name} {gib:g}" for name, gib in row.terms.items())
            text = f"{row.fit['device_gib']:g} GiB of a card: {verdict} ({terms})"
        first_jobs.setdefault(text, row.job)
    yield from (f"{job}  {text}" for text, job in first_jobs.items())


def _choices_text(choices: Mapping[str, str]) -> str:
    return " ".join(f"{group}={option}" for group, option in choices.items())


def _grouped(rows: Sequence[Row], shared: Mapping[str, str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        own = {group: option for group, option in row.choices.items() if group not in shared and "/" not in group}
        groups.setdefault(_choices_text(own), []).append(row)
    return groups


def _members(members: Sequence[Row], planned: Planned, width: int, *, brief: bool) -> Iterator[str]:
    shown = members[:_OF_EACH] if brief and len(members) > _OF_EACH + 1 else members
    yield from _table(shown, planned, width)
    if len(shown) < len(members):
        spans = "; ".join(_span(key, [row.swept.get(key, "") for row in members]) for key in _columns(members))
        yield f"  … and {len(members) - len(shown)} more: {spans}"


def _span(key: str, values: Sequence[str]) -> str:
    """Return the values of a column in brief: all of them up to three, else the first, the last and their number."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= _OF_EACH:
        return f"{key} {', '.join(distinct)}"
    return f"{key} {distinct[0]} … {distinct[-1]} ({len(distinct)} values)"


def _columns(rows: Sequence[Row]) -> list[str]:
    """Return the swept keys, except groups: the heading above the table names their options."""
    return list(dict.fromkeys(key for row in rows for key in row.swept if key not in row.choices))


def _table(rows: Sequence[Row], planned: Planned, width: int) -> Iterator[str]:
    keys = _columns(rows)
    head = ("job", *(key.rpartition(".")[2] for key in keys), "pods", "cards", "card GiB", "storage GiB", "")
    body = [(row.job, *(row.swept.get(key, "-") for key in keys), *_numbers(row), planned.status(row)) for row in rows]
    sizes = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    sizes[0] = max(_MIN_NAME, min(sizes[0], sizes[0] + width - sum(sizes) - 2 * len(sizes)))
    for name, *numbers, status in (head, *body):
        cells = [shortened(number, size).rjust(size) for number, size in zip(numbers, sizes[1:-1], strict=True)]
        yield "  ".join([shortened(name, sizes[0]).ljust(sizes[0]), *cells, status]).rstrip()


def _numbers(row: Row) -> tuple[str, ...]:
    memory = "-" if row.card_gib is None else f"{row.card_gib:g}"
    return str(row.pods), str(row.devices), memory, f"{row.storage_gib:g}" if row.storage_gib else "-"


def _sums(planned: Planned) -> Iterator[str]:
    counts = Counter(planned.status(row) for row in planned.rows) + Counter({"gone": len(planned.gone)})
    statuses = ", ".join(f"{count} {status}" for status, count in counts.items())
    yield f"{many.totals_line(index.totals(planned.rows))}: {statuses}"
    yield from (f"  gone: {path}" for path in planned.gone[:_GROUPS])
