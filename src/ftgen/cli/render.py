"""`ftgen [OVERRIDES…]`: compose, check and write the manifests of a job."""

from __future__ import annotations

import sys
from pathlib import Path

from ftgen import pipeline
from ftgen.cli import output, request
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic
from ftgen.output import tree
from ftgen.output.tree import Run
from ftgen.pipeline import Compiled


def run(arguments: Arguments) -> int:
    """Compile, then write or print; write nothing when there is an error."""
    with request.open_composer(arguments) as composer:
        if request.is_sweep(arguments, composer):
            from ftgen.cli import many  # noqa: PLC0415 - a single job needs no sweep code

            return many.write(arguments, composer)
        job = pipeline.compile_job(composer, arguments.overrides)
        runs = [job.run, *pipeline.deliver([job])]
        located = request.add_locations(composer, arguments, job.diagnostics)
    noticed = output.apply_strict(located, arguments)
    if arguments.flags.out == "-":
        output.print_diagnostics(noticed, arguments, to_stderr=True)
        sys.stdout.writelines(f"---\n{content.decode()}" for run in runs for content in run.files.values())
    else:
        _write(runs, Path(arguments.flags.out), noticed, arguments)
        output.print_status(summary(job), arguments)
    return 0


def _write(runs: list[Run], out: Path, noticed: list[Diagnostic], arguments: Arguments) -> None:
    flags = arguments.flags
    options = tree.WriteOptions(
        adopt=flags.adopt, overwrite=flags.overwrite, allow_shrink=flags.allow_shrink, same_run=_same_run
    )
    outcome = tree.apply(tree.plan_write(out, runs, options))
    output.print_diagnostics([*noticed, *output.apply_strict(outcome.diagnostics, arguments)], arguments)
    for path, change in outcome.changes.items():
        if any(path in run.files for run in runs) or change is tree.FileChange.REMOVED:
            output.print_status(f"{change:>9}  {out / path}", arguments)


def _same_run(old: bytes, new: bytes) -> bool:
    """Compare two texts of an object by `diff.same_run`, which is loaded only when a file differs."""
    from ftgen.diff import same_run  # noqa: PLC0415 - a first render compares nothing

    return same_run(old, new)


def summary(job: Compiled) -> str:
    """Return a job's request in one line: pods, cards, memory of each, queue."""
    hardware, nodes = job.spec.hardware, job.spec.hardware.nodes
    cards = nodes * hardware.devices
    cards_text = f"{cards} × {hardware.cards}" if hardware.cards else "no cards"  # noqa: RUF001 - a sign, not a letter
    share = f" ({hardware.memory} of each)" if hardware.memory else ""
    pods = "1 pod" if nodes == 1 else f"{nodes} pods"
    return f"{job.identity.stem}: {pods}, {cards_text}{share}, queue {job.spec.cluster.queue}"
