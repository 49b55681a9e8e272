"""Causes: diagnostics that many points of a sweep share, reported once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Severity, note
from ftgen.sweeping.points import Point

_MOST_LABELS = 3
_MOST_CAUSES = 50
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


class Cause(Struct, frozen=True):
    """Diagnostic of the first point, with all points that have the same one."""

    diagnostic: Diagnostic
    points: list[Point]


class Causes(Struct):
    """Diagnostics of a sweep's points, each once; `has_errors` is whether any of them is an error."""

    found: dict[Diagnostic, Cause] = field(default_factory=dict)
    has_errors: bool = False

    def add(self, point: Point, diagnostics: Iterable[Diagnostic]) -> None:
        """Add the diagnostics of a point."""
        for diagnostic in diagnostics:
            # Value and location differ between the points of one cause.
            key = replace(diagnostic, value="", locations=())
            self.found.setdefault(key, Cause(diagnostic, [])).points.append(point)
            self.has_errors = self.has_errors or diagnostic.severity is Severity.ERROR

    def diagnostics(self, total: int, locate: Callable[[Diagnostic, Point], Diagnostic]) -> list[Diagnostic]:
        """Return one diagnostic for each cause, by severity and number of points, located at its first point."""
        ranked = sorted(self.found.values(), key=lambda cause: (_RANK[cause.diagnostic.severity], -len(cause.points)))
        omitted = [note("FT038", f"{len(ranked) - _MOST_CAUSES} more causes are not shown", help="mend these first")]
        return [
            *(_summary(cause, total, locate) for cause in ranked[:_MOST_CAUSES]),
            *(omitted if ranked[_MOST_CAUSES:] else []),
        ]


def _summary(cause: Cause, total: int, locate: Callable[[Diagnostic, Point], Diagnostic]) -> Diagnostic:
    located = locate(cause.diagnostic, cause.points[0])
    return replace(located, headline=f"{located.headline} ({where(cause.points, total)})") if total > 1 else located


def where(points: Sequence[Point], total: int) -> str:
    """Describe the points in a few words: the first labels and how many there are."""
    if len(points) == total:
        return f"in all {total} points"
    first = ", ".join(point.label for point in points[:_MOST_LABELS])
    more = f" and {len(points) - _MOST_LABELS} more" if len(points) > _MOST_LABELS else ""
    return f"in {first}{more} of {total} points"
