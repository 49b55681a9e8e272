"""Axes: the overrides of a sweep by key with their values, and the product of them.

Points and order equal those of Hydra's basic sweeper: the last override of a key wins, at the place of its
first; the first axis varies slowest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from msgspec import Struct
from msgspec.structs import replace
from omegaconf.errors import OmegaConfBaseException

from ftgen.config import compose
from ftgen.config.compose import Alternative, Composer, ListExtension
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.sweeping.label import without_prefix

Place = int | str
"""Position on the command line, from 1; or key of the file that holds it: `sweep.axes[trainer.lr]`; 0 if unknown."""


class Axis(Struct, frozen=True):
    """Axis of a sweep: an override key with all its values.

    Attributes:
        key: override key as Hydra's sweeper has it, with prefix and package (`+trainer.args.seed`, `db@here`).
        texts: overrides as text, one for each value; none if there are too many to enumerate.
        swept: whether it was written as a sweep; a sweep may have a single value.
        place: place of the override.
        sweep: parsed sweep override and its values; None if it is not one.
        length: number of values.
    """

    key: str
    texts: tuple[str, ...]
    swept: bool
    place: Place
    sweep: tuple[Override, Sequence[Alternative]] | None = None
    length: int = 1

    @property
    def is_listed(self) -> bool:
        """Return whether its values are a list of a file."""
        return self.swept and self.sweep is None and isinstance(self.place, str)


class AxisSource(Struct, frozen=True):
    """Source of an axis.

    Attributes:
        text: override as text; of a list of values, its key.
        place: place of it.
        values: list of values that a file gives the key; None for an override.
    """

    text: str
    place: Place
    values: Sequence[Any] | None = None


ParsedSource = tuple[Override, Place] | Axis
"""Override with its place, or the axis of a list of values."""


def read(composer: Composer, sources: Iterable[AxisSource], most: int, seed: int) -> list[Axis]:
    """Parse the sources of a sweep to axes.

    Args:
        composer: parser of overrides.
        sources: overrides, or keys with lists of values.
        most: maximum number of values of an axis to enumerate.
        seed: seed for the order of a `shuffle()`; Hydra's own order changes with every run.

    Raises:
        Rejected: for every override that cannot be parsed, and every sweep that cannot be enumerated.
    """
    problems: list[Diagnostic] = []
    found = latest(composer, sources, problems)
    axes = []
    for source in found:
        try:
            axes.append(source if isinstance(source, Axis) else enumerated(*source, most, seed))
        except Rejected as rejected:
            problems += rejected.diagnostics
    if problems:
        raise Rejected(problems)
    return axes


def latest(composer: Composer, sources: Iterable[AxisSource], problems: list[Diagnostic]) -> list[ParsedSource]:
    """Parse sources, of which the last one of a key decides; add to `problems` what cannot be parsed."""
    found: dict[str, ParsedSource] = {}
    for source in sources:
        try:
            if source.values is None:
                override = composer.parse([source.text])[0]
                # What extends a list replaces nothing that was said of it before.
                extends = isinstance(override, ListExtension)
                found[source.text if extends else override.get_key_element()] = override, source.place
            else:
                axis = _list_axis(composer, source.text, source.values, source.place)
                found[axis.key] = axis
        except Rejected as rejected:
            problems += [placed(d, source.place) for d in rejected.diagnostics]
    return list(found.values())


def enumerated(override: Override, place: Place, most: int, seed: int = 0) -> Axis:
    """Return the axis of an override with all its values.

    Raises:
        Rejected: FT030, if they cannot be enumerated.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        return Axis(key, (f"{key}={_value_text(override, place)}",), False, place)
    try:
        values, length, shuffled = compose.alternatives(override, most)
    except Rejected as rejected:
        raise Rejected([placed(d, place) for d in rejected.diagnostics]) from None
    texts = [f"{key}={value_text}" for value_text, _ in values]
    return Axis(
        key, tuple(compose.seeded_order(texts, seed) if shuffled else texts), True, place, (override, values), length
    )


def _value_text(override: Override, place: Place) -> str:
    """Return the value of an override as Hydra writes it, which cannot write a sweep within a list or a mapping."""
    try:
        return str(override.get_value_element_as_str())
    except (OmegaConfBaseException, HydraException):
        text = str(override.input_line)
        help_ = "sweep over the whole value: KEY=choice({…},{…})"
        found = error("FT030", f"{text}: a sweep within a value is none", override.key_or_group, text, help_)
        raise Rejected([placed(found, place)]) from None


def placed(diagnostic: Diagnostic, place: Place) -> Diagnostic:
    """Return a diagnostic at the place of an override; what a file holds is located by its key."""
    if isinstance(place, str):
        return replace(diagnostic, subject=place, locations=())
    return diagnostic.at(*([Location(COMMAND_LINE, place)] if place else []))


def _list_axis(composer: Composer, key: str, values: Sequence[Any], place: Place) -> Axis:
    """Return the axis of a list in a configuration file: its values are literal, including `null` and commas."""
    overrides = composer.parse([f"{key}={compose.hydra_literal(value)}" for value in values])
    element = overrides[0].get_key_element() if overrides else key
    texts = tuple(f"{element}={o.get_value_element_as_str()}" for o in overrides)
    return Axis(element, texts, True, place, length=len(texts))


def values_set(composer: Composer, overrides: Iterable[str]) -> dict[str, Any]:
    """Return the value that overrides set, by key without prefix; what extends a list sets none."""
    parsed = ((text, composer.parse([text])[0]) for text in overrides)
    setting = ((text, override) for text, override in parsed if not isinstance(override, ListExtension))
    return {without_prefix(text.partition("=")[0]): override.value() for text, override in setting}


def zip_axes(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> list[list[Axis]]:
    """Group axes to dimensions of the product: axes of a pairing share one, at the place of the first.

    Raises:
        Rejected: FT033, if a paired key is not swept, is paired twice or has another number of values.
    """
    dimension_of = {key: number for number, keys in enumerate(pairings) for key in keys}
    problems = [*_unpaired(axes, pairings), *_uneven(axes, pairings)]
    if problems:
        raise Rejected(problems)
    dimensions: dict[Any, list[Axis]] = {}
    for axis in axes:
        # Several overrides may extend one list, beside the axis of its key.
        own = axis.key if axis.swept else id(axis)
        dimensions.setdefault(dimension_of.get(without_prefix(axis.key), own) if axis.swept else own, []).append(axis)
    return list(dimensions.values())


def _unpaired(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> Iterator[Diagnostic]:
    swept = {without_prefix(axis.key) for axis in axes if axis.swept}
    seen: set[str] = set()
    for key in itertools.chain.from_iterable(pairings):
        if key not in swept:
            yield error("FT033", f"sweep.zip pairs {key}, which is not swept", "sweep.zip", key, f"sweep it: {key}=…,…")
        if key in seen:
            yield error("FT033", f"sweep.zip pairs {key} twice", "sweep.zip", key, "put all its partners into one list")
        seen.add(key)


def _uneven(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> Iterator[Diagnostic]:
    counts = {without_prefix(axis.key): axis.length for axis in axes if axis.swept}
    for keys in pairings:
        if len({counts[key] for key in keys if key in counts}) > 1:
            lengths = ", ".join(f"{key} has {counts[key]}" for key in keys if key in counts)
            yield error(
                "FT033",
                f"paired axes differ in length: {lengths}",
                "sweep.zip",
                help="give each the same number of values",
            )


def count(dimensions: Iterable[Sequence[Axis]]) -> int:
    """Return the number of points of the product."""
    return math.prod(dimension[0].length for dimension in dimensions)


def product(axes: Sequence[Axis], dimensions: Sequence[Sequence[Axis]]) -> Iterator[tuple[str, ...]]:
    """Yield the overrides of every point, in the order of the axes."""
    positions = {id(axis): position for position, axis in enumerate(axes)}
    order = [positions[id(axis)] for dimension in dimensions for axis in dimension]
    paired = order != sorted(order)
    combinations = [list(zip(*(axis.texts for axis in dimension), strict=True)) for dimension in dimensions]
    for chosen in itertools.product(*combinations):
        texts = tuple(itertools.chain.from_iterable(chosen))
        yield tuple(text for _, text in sorted(zip(order, texts, strict=True))) if paired else texts
