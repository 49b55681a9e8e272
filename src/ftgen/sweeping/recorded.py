"""Jobs rendered again from what their manifests record.

The jobs of a sweep are composed as the sweep was: once for all that differ only in values (see `replay`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from msgspec import Struct, field

from ftgen.config.compose import Composer
from ftgen.config.pins import Pins
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.lower.record import RecordedPoint
from ftgen.output.tree import Run
from ftgen.provenance.foreign import refuse_outside
from ftgen.sweeping import axes
from ftgen.sweeping.batch import Compiler
from ftgen.sweeping.label import without_prefix
from ftgen.sweeping.parallel import parallel_map
from ftgen.sweeping.points import Point
from ftgen.sweeping.replay import FrameCache


class Recorded(Struct, frozen=True):
    """What a manifest records of its rendering.

    Attributes:
        overrides: command line of the job.
        point: position in a sweep, or None.
        pins: commits and digests that took the place of movable references.
    """

    overrides: tuple[str, ...]
    point: RecordedPoint | None
    pins: Pins = field(default_factory=dict)


class Rerender:
    """Renderer of recorded jobs, which composes a sweep once."""

    def __init__(self, composer: Composer) -> None:
        """Render with the composer's configuration, and with the pins of its request.

        Where the user typed only some of the overrides, as the request says, those of the jobs name no folder outside
        of the working directory, of `--config-dir` and of installed packages.
        """
        self._composer = composer
        self._compiler = Compiler(composer)
        self._frames: dict[Hashable, FrameCache] = {}

    def run(self, recorded: Recorded) -> Run:
        """Render one job.

        Raises:
            Rejected: the configuration does not compile any more, or the recorded command line never did.
        """
        overrides, place = recorded.overrides, recorded.point
        if self._composer.request.typed is not None:
            refuse_outside(self._composer, overrides)
        if place is None:
            composition = self._composer.compose(self._composer.parse(overrides))
            return self._compiler.compile(composition, Point(overrides, {}, ""), frozenset(), "").run
        values = axes.values_set(self._composer, overrides)
        swept = frozenset(place.swept)
        # In the order of the command line, as in the sweep: a tracker's tags have it, too.
        point = Point(overrides, {key: value for key, value in values.items() if key in swept}, place.label)
        composition = self._frames_of(overrides, swept).compose(overrides)
        return self._compiler.compile(composition, point, swept, place.name).run

    def runs(self, recorded: Sequence[Recorded], workers: int = 1) -> Iterator[Run | Sequence[Diagnostic]]:
        """Yield for each recorded job its run, or why it is rejected now.

        Args:
            recorded: the jobs; those of one sweep should follow each other.
            workers: number of processes; see `parallel_map`.
        """
        yield from parallel_map(self._run_or_reasons, recorded, workers if len(recorded) >= _MANY else 1)

    def _run_or_reasons(self, recorded: Recorded) -> Run | Sequence[Diagnostic]:
        try:
            return self.run(recorded)
        except Rejected as rejected:
            return rejected.diagnostics

    def _frames_of(self, overrides: Sequence[str], swept: frozenset[str]) -> FrameCache:
        fixed = tuple(text for text in overrides if without_prefix(text.partition("=")[0]) not in swept)
        if (swept, fixed) not in self._frames:
            sections = self._composer.run_sections(self._composer.parse(fixed))
            self._frames[swept, fixed] = FrameCache(self._composer, swept, sections)
        return self._frames[swept, fixed]


# Fewer jobs are compiled before other processes have started.
_MANY = 50
