"""`ftgen [OVERRIDES…]`: compose, check and write the manifests of a job."""

from __future__ import annotations

import sys
from pathlib import Path

from ftgen import pipeline, render, tree
from ftgen.cli import output, request
from ftgen.cli.arguments import Arguments
from ftgen.pipeline import Compiled


def run(arguments: Arguments) -> int:
    """Compile, then write or print; nothing is written when anything is wrong."""
    with request.located(arguments) as composer:
        job = pipeline.compile_job(composer, arguments.overrides)
        noticed = request.locate(composer, arguments, job.diagnostics)
    output.tell(output.judged(noticed, arguments), arguments)
    if arguments.flags.out == "-":
        sys.stdout.write(render.stream(job.bundle, job.identity))
    else:
        _write([job], Path(arguments.flags.out), arguments)
    return 0


def _write(jobs: list[Compiled], out: Path, arguments: Arguments) -> None:
    terms = tree.Terms(adopt=arguments.flags.adopt or arguments.flags.overwrite)
    outcome = tree.apply(tree.plan_write(out, (job.run for job in jobs), terms))
    output.tell(output.judged(outcome.diagnostics, arguments), arguments)
    for path, fate in outcome.fates.items():
        if any(path in job.files for job in jobs) or fate is tree.Fate.REMOVED:
            output.say(f"{fate:>9}  {out / path}", arguments)
    for job in jobs:
        output.say(summary(job), arguments)


def summary(job: Compiled) -> str:
    """What a job asks for, in one line."""
    hardware, nodes = job.spec.hardware, job.spec.hardware.nodes
    cards = nodes * hardware.devices
    asked = f"{cards} × {hardware.resources.count}" if hardware.resources.count else "no cards"
    share = f" ({hardware.memory} of each)" if hardware.memory else ""
    pods = "1 pod" if nodes == 1 else f"{nodes} pods"
    return f"{job.identity.stem}: {pods}, {asked}{share}, queue {job.spec.cluster.queue}"
