"""`ftgen compare GROUP=a,b[,…] [OVERRIDES…]`: compare a job on several options, side by side."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from ftgen import pipeline, sweeping
from ftgen.cli import request
from ftgen.cli.arguments import Arguments, Usage
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected
from ftgen.pipeline import Compiled
from ftgen.review.diff import compare
from ftgen.sweeping import Point, Sweep
from ftgen.sweeping.batch import located


def run(arguments: Arguments) -> int:
    """Print the differing rows; reject if the job is rejected on any option."""
    with request.open_composer(arguments) as composer:
        sweep = sweeping.expand(composer, arguments.overrides)
        points = sweep.points
        if len(points) < 2:  # noqa: PLR2004 - a comparison needs two
            raise Usage("compare takes at least two options: ftgen compare hardware=nvidia-vgpu,ascend")
        jobs = [_compiled(composer, sweep, point) for point in points]
    found = compare.rows([job.bundle for job in jobs])
    show = compare.as_json if arguments.flags.json else compare.as_text
    sys.stdout.write(show([_label(point) for point in points], found))
    return 0


def _compiled(composer: Composer, sweep: Sweep, point: Point) -> Compiled:
    """Compile the job of one column; name the column in each diagnostic, and locate it in that composition."""
    try:
        return pipeline.compile_job(composer, point.overrides)
    except Rejected as rejected:
        found = (located(composer, point, sweep.places, d) for d in rejected.diagnostics)
        raise Rejected([replace(d, headline=f"{_label(point)}: {d.headline}") for d in found]) from None


def _label(point: Point) -> str:
    return " ".join(str(value) for value in point.values.values())
