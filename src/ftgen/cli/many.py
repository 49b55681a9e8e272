"""`ftgen -m …`: render every job of a sweep; write all of them or none."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

from ftgen import pipeline, sweeping
from ftgen.cli import document, output, progress, writing
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import Composer
from ftgen.output import delivery, tree
from ftgen.output.tree import FileChange, Outcome, Run, WriteOptions
from ftgen.review import diff
from ftgen.sweeping import index, parallel
from ftgen.sweeping.batch import Batch

_LISTED = 20
_IN_MEMORY = 16 * 2**20


def write(arguments: Arguments, composer: Composer) -> int:
    """Expand, compile, and write or print; write nothing when there is an error."""
    batch = expanded(arguments, composer)
    if arguments.flags.out == "-":
        return _stream(batch, arguments)
    out = arguments.out()
    plan = tree.plan_write(out, runs(batch, table=arguments.flags.csv), write_options(batch, arguments))
    outcome, noticed = writing.apply(plan, batch.diagnostics, arguments)
    output.print_diagnostics(noticed, arguments)
    _summarise(outcome, batch, out, arguments)
    if arguments.flags.json:
        document.print_rendered(outcome, batch.rows, arguments)
    return 0


def expanded(arguments: Arguments, composer: Composer) -> Batch:
    """Expand the sweep of the command line into a batch, whose iteration compiles it."""
    points = sweeping.expand(composer, arguments.overrides, limit=arguments.flags.limit)
    meter = progress.Meter("compiling", "jobs", arguments, len(points.points))
    return Batch(composer, points, progress=meter, workers=parallel.processors())


def runs(batch: Batch, *, table: bool, published: delivery.GitSource | None = None) -> Iterator[Run]:
    """Yield the runs for the output tree: the jobs as they are compiled, then the index, the queue and delivery files.

    Args:
        batch: the sweep.
        table: whether to write its index as a table, too.
        published: the repository that the tree is published to.
    """
    delivered = []
    for job in batch:
        if job.spec.delivery.application:
            delivered.append(job)
        yield job.run
    extras = batch.extras(table=table)
    yield extras
    yield from pipeline.deliver(delivered, published, extras.files)


def write_options(batch: Batch, arguments: Arguments) -> WriteOptions:
    """Return the write options that the flags set."""
    flags = arguments.flags
    return WriteOptions(
        adopt=flags.adopt,
        overwrite=flags.overwrite,
        allow_shrink=flags.allow_shrink,
        whole=complete_folders(batch),
        same_run=diff.same_run,
    )


def complete_folders(batch: Batch) -> frozenset[str]:
    """Return the folders in which the batch is all that is rendered: the folder of a named sweep."""
    return frozenset({batch.folder}) if batch.sweep.settings.name else frozenset()


def _stream(batch: Batch, arguments: Arguments) -> int:
    """Print all objects on stdout, shared ones once; buffer them until the last point has compiled."""
    seen: set[str] = set()
    with SpooledTemporaryFile(_IN_MEMORY) as buffer:
        for run in runs(batch, table=False):
            for path, content in run.files.items():
                if path.endswith(".yaml") and path not in seen:
                    seen.add(path)
                    buffer.write(b"---\n" + content)
        output.print_diagnostics(output.apply_strict(batch.diagnostics, arguments), arguments, to_stderr=True)
        buffer.seek(0)
        for block in iter(lambda: buffer.read(2**20), b""):
            sys.stdout.buffer.write(block)
    return 0


def _summarise(outcome: Outcome, batch: Batch, out: Path, arguments: Arguments) -> None:
    touched = [(path, change) for path, change in outcome.changes.items() if path.startswith(f"{batch.folder}/")]
    shown = [(path, change) for path, change in touched if change is not FileChange.UNCHANGED]
    for path, change in shown[:_LISTED]:
        output.print_status(f"{change:>9}  {out / path}", arguments)
    if len(shown) > _LISTED:
        output.print_status(f"{'…':>9}  and {len(shown) - _LISTED} more files", arguments)
    counts = Counter(str(change) for _, change in touched)
    counts_text = ", ".join(f"{count} {change}" for change, count in sorted(counts.items()))
    output.print_status(f"{batch.folder}: {totals_line(index.totals(batch.rows))} ({counts_text})", arguments)


def totals_line(totals: index.Totals) -> str:
    """Return the jobs' total request in one line: jobs, pods, cards with GiB of memory, GiB of storage."""
    jobs = "1 job" if totals.jobs == 1 else f"{totals.jobs} jobs"
    pods = "1 pod" if totals.pods == 1 else f"{totals.pods} pods"
    cards = "1 card" if totals.devices == 1 else f"{totals.devices} cards"
    memory = f" with {totals.card_gib:g} GiB" if totals.card_gib else ""
    return f"{jobs}, {pods}, {cards}{memory}, {totals.storage_gib:g} GiB of storage"
