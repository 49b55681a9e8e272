"""`ftgen [OVERRIDES…]`: compose, check and write the manifests of a job."""

from __future__ import annotations

from ftgen import pipeline
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments
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
    if arguments.flags.out == "-":
        writing.print_runs(runs, located, arguments)
    else:
        outcome = writing.write_runs(runs, located, arguments, allow_shrink=arguments.flags.allow_shrink)
        output.print_status(summary(job), arguments)
        if arguments.flags.json:
            from ftgen.cli import document  # noqa: PLC0415 - for --json only
            from ftgen.sweeping import index  # noqa: PLC0415 - as above

            document.print_rendered(outcome, [index.row(job)], arguments)
    return 0


def summary(job: Compiled) -> str:
    """Return a job's request in one line: pods, cards, memory of each, queue; a Job of Kubernetes' own has none."""
    hardware, nodes = job.spec.hardware, job.spec.hardware.nodes
    cards = nodes * hardware.devices
    cards_text = f"{cards} × {hardware.cards}" if hardware.cards else "no cards"  # noqa: RUF001 - a sign, not a letter
    share = f" ({hardware.memory} of each)" if hardware.memory else ""
    pods = "1 pod" if nodes == 1 else f"{nodes} pods"
    queue = f"queue {job.spec.cluster.queue}" if job.spec.target == "vcjob" else "no queue"
    return f"{job.identity.stem}: {pods}, {cards_text}{share}, {queue}"
