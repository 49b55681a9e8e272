"""Causes: what many points have in common is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ftgen.diagnostics import Diagnostic, Severity, note
from ftgen.sweeping.points import Point

_FIRST = 3
_MOST = 50
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong: as the first point has it, and the points that have it, too."""

    diagnostic: Diagnostic
    points: list[Point]


@dataclass(slots=True)
class Causes:
    """The diagnostics of a sweep's points, each once."""

    found: dict[Diagnostic, Cause] = field(default_factory=dict)
    refuse: bool = False

    def add(self, point: Point, diagnostics: Iterable[Diagnostic]) -> None:
        """Take down what was found in a point."""
        for diagnostic in diagnostics:
            # The override that brought it, and where it stands, differ from point to point.
            same = replace(diagnostic, value="", locations=())
            self.found.setdefault(same, Cause(diagnostic, [])).points.append(point)
            self.refuse = self.refuse or diagnostic.severity is Severity.ERROR

    def told(self, total: int, locate: Callable[[Diagnostic, Point], Diagnostic]) -> list[Diagnostic]:
        """One diagnostic for each cause, the most widespread first, located by its first point."""
        ranked = sorted(self.found.values(), key=lambda cause: (_RANK[cause.diagnostic.severity], -len(cause.points)))
        rest = [note("FT038", f"{len(ranked) - _MOST} more causes are not shown", help="mend these first")]
        return [*(_told(cause, total, locate) for cause in ranked[:_MOST]), *(rest if ranked[_MOST:] else [])]


def _told(cause: Cause, total: int, locate: Callable[[Diagnostic, Point], Diagnostic]) -> Diagnostic:
    located = locate(cause.diagnostic, cause.points[0])
    return replace(located, headline=f"{located.headline} ({where(cause.points, total)})") if total > 1 else located


def where(points: Sequence[Point], total: int) -> str:
    """The points in a few words."""
    if len(points) == total:
        return f"in all {total} points"
    first = ", ".join(point.label for point in points[:_FIRST])
    more = f" and {len(points) - _FIRST} more" if len(points) > _FIRST else ""
    return f"in {first}{more} of {total} points"
