"""Places of a point's overrides: on the command line, or in the file that sweeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected
from ftgen.sweeping.axes import Axis, Place

if TYPE_CHECKING:
    from ftgen.config.compose import Composer
    from ftgen.provenance.origins import KeyOrigins


class Places:
    """Places of the overrides that points of a sweep are made of."""

    def __init__(self, composer: Composer, words: Sequence[str], axes: Sequence[Axis]) -> None:
        """Take the command line as typed, and its axes, of which the first one of a key is told."""
        self._composer = composer
        self._words = words
        self._places: dict[str, Place] = {}
        for axis in axes:
            self._places.setdefault(axis.key, axis.place)
            for index, text in enumerate(axis.texts if axis.is_listed else ()):
                self._places.setdefault(text, f"{axis.place}[{index}]")

    def of(self, override: str) -> Place:
        """Return the place of an override of a point."""
        return self._places.get(override) or self._places.get(override.partition("=")[0], 0)

    def translated(self, diagnostic: Diagnostic, overrides: Sequence[str]) -> Diagnostic:
        """Return a diagnostic whose locations are positions among a point's overrides, located where these stand."""
        found = (place for location in diagnostic.locations for place in self._translated(location, overrides))
        return diagnostic.at(*dict.fromkeys(found))

    def _translated(self, location: Location, overrides: Sequence[str]) -> Iterator[Location]:
        if location.file != COMMAND_LINE:
            yield location
        elif 0 < location.line <= len(overrides):
            place = self.of(overrides[location.line - 1])
            if isinstance(place, str):
                yield from self._origins.locations(place)[:1]
            elif place:
                yield Location(COMMAND_LINE, place, location.column)

    def rejected(self, rejected: Rejected, overrides: Sequence[str]) -> Rejected:
        """Return a rejection of a point with its diagnostics located where its overrides stand."""
        return Rejected(self.translated(each, overrides) for each in rejected.diagnostics)

    def noticed(self, diagnostic: Diagnostic) -> Diagnostic:
        """Return a diagnostic about the sweep itself with the locations of its subject."""
        return diagnostic if diagnostic.locations else diagnostic.at(*self._origins.locations(diagnostic.subject))

    @cached_property
    def _origins(self) -> KeyOrigins:
        from ftgen.provenance.origins import KeyOrigins  # noqa: PLC0415 - only a diagnostic needs provenance

        return KeyOrigins.of(self._composer, self._words)
