"""`ftgen compare GROUP=a,b[,…] [OVERRIDES…]`: the same job on several options, side by side."""

from __future__ import annotations

import sys

from ftgen import compare, pipeline, sweeping
from ftgen.cli import request
from ftgen.cli.arguments import Arguments, Usage
from ftgen.sweeping import Point


def run(arguments: Arguments) -> int:
    """Print what differs; an option on which the job is refused is refused here too."""
    with request.located(arguments) as composer:
        points = sweeping.expand(composer, arguments.overrides).points
        if len(points) < 2:  # noqa: PLR2004 - what is alone compares to nothing
            raise Usage("compare takes at least two options: ftgen compare hardware=nvidia-vgpu,ascend")
        jobs = [pipeline.compile_job(composer, point.overrides) for point in points]
    found = compare.rows([job.bundle for job in jobs])
    show = compare.as_json if arguments.flags.json else compare.as_text
    sys.stdout.write(show([_label(point) for point in points], found))
    return 0


def _label(point: Point) -> str:
    return " ".join(str(value) for value in point.values.values())
