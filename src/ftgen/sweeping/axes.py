"""Axes: the overrides of a sweep by key, each with its values, and the points they span.

The same points in the same order as Hydra's basic sweeper makes of them: the last override of a key counts,
at the place of its first; the first axis varies slowest.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override

from ftgen import compose
from ftgen.compose import Alternative, Composer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.sweeping.label import bare


@dataclass(frozen=True, slots=True)
class Axis:
    """An override with every value it takes.

    Attributes:
        key: as Hydra's sweeper keys it, prefix and package included (`+trainer.args.seed`, `db@here`).
        texts: the overrides it stands for, one for each value.
        swept: whether it was written as a sweep; one value alone may be a sweep, too.
        position: of the override on the command line, from 1; 0 where it comes from a file.
        sweep: what was written, and the values that Hydra's grammar has read in it.
    """

    key: str
    texts: tuple[str, ...]
    swept: bool
    position: int
    sweep: tuple[Override, Sequence[Alternative]] | None = None


Written = tuple[str, int] | tuple[str, list[Any]]


def read(composer: Composer, written: Iterable[Written], most: int, seed: int) -> list[Axis]:
    """What was written as axes.

    Args:
        composer: reads overrides.
        written: overrides with their positions on the command line, or keys with lists of values.
        most: how many values of an axis may be enumerated.
        seed: the order of a `shuffle()`; Hydra's own changes with every run.

    Raises:
        Rejected: with every override that is no override, or a sweep that cannot be enumerated.
    """
    axes: dict[str, Axis] = {}
    problems: list[Diagnostic] = []
    for text, rest in written:
        try:
            axis = _axis(composer, text, rest, most, seed) if isinstance(rest, int) else _listed(composer, text, rest)
            axes[axis.key] = axis
        except Rejected as rejected:
            problems += [d.at(*_places(rest)) for d in rejected.diagnostics]
    if problems:
        raise Rejected(problems)
    return list(axes.values())


def _axis(composer: Composer, text: str, position: int, most: int, seed: int) -> Axis:
    override = composer.parse([text])[0]
    key = override.get_key_element()
    if not override.is_sweep_override():
        return Axis(key, (f"{key}={override.get_value_element_as_str()}",), False, position)
    values, shuffled = compose.alternatives(override, most)
    texts = [f"{key}={words}" for words, _ in values]
    return Axis(key, tuple(mixed(texts, seed) if shuffled else texts), True, position, (override, values))


def _places(position: object) -> list[Location]:
    return [Location(COMMAND_LINE, position)] if isinstance(position, int) and position else []


def _listed(composer: Composer, key: str, values: Sequence[Any]) -> Axis:
    """An axis of a configuration file: its values are meant as they are, `null` and texts with commas among them."""
    overrides = composer.parse([f"{key}={compose.spelled(value)}" for value in values])
    element = overrides[0].get_key_element() if overrides else key
    return Axis(element, tuple(f"{element}={o.get_value_element_as_str()}" for o in overrides), True, 0)


def pair(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> list[list[Axis]]:
    """The dimensions of the product: axes that advance together share one, at the place of the first.

    Raises:
        Rejected: FT033, when a paired key is not swept, is paired twice or has another number of values.
    """
    group = {key: number for number, keys in enumerate(pairings) for key in keys}
    problems = [*_unpaired(axes, pairings), *_uneven(axes, pairings)]
    if problems:
        raise Rejected(problems)
    dimensions: dict[Any, list[Axis]] = {}
    for axis in axes:
        dimensions.setdefault(group.get(bare(axis.key), axis.key), []).append(axis)
    return list(dimensions.values())


def _unpaired(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> Iterator[Diagnostic]:
    swept = {bare(axis.key) for axis in axes if axis.swept}
    seen: set[str] = set()
    for key in itertools.chain.from_iterable(pairings):
        if key not in swept:
            yield error("FT033", f"sweep.zip pairs {key}, which is not swept", "sweep.zip", key, f"sweep it: {key}=…,…")
        if key in seen:
            yield error("FT033", f"sweep.zip pairs {key} twice", "sweep.zip", key, "put all its partners into one list")
        seen.add(key)


def _uneven(axes: Sequence[Axis], pairings: Iterable[Sequence[str]]) -> Iterator[Diagnostic]:
    counts = {bare(axis.key): len(axis.texts) for axis in axes if axis.swept}
    for keys in pairings:
        if len({counts[key] for key in keys if key in counts}) > 1:
            told = ", ".join(f"{key} has {counts[key]}" for key in keys if key in counts)
            yield error(
                "FT033",
                f"paired axes differ in length: {told}",
                "sweep.zip",
                help="give each the same number of values",
            )


def count(dimensions: Iterable[Sequence[Axis]]) -> int:
    """How many points the product has."""
    return math.prod(len(dimension[0].texts) for dimension in dimensions)


def product(axes: Sequence[Axis], dimensions: Sequence[Sequence[Axis]]) -> Iterator[tuple[str, ...]]:
    """Every point's overrides, in the order of the axes."""
    places = {axis.key: place for place, axis in enumerate(axes)}
    order = [places[axis.key] for dimension in dimensions for axis in dimension]
    paired = order != sorted(order)
    steps = [list(zip(*(axis.texts for axis in dimension), strict=True)) for dimension in dimensions]
    for chosen in itertools.product(*steps):
        texts = tuple(itertools.chain.from_iterable(chosen))
        yield tuple(text for _, text in sorted(zip(order, texts, strict=True))) if paired else texts


def mixed(items: Sequence[Any], seed: int) -> list[Any]:
    """The items in an order that looks random, the same for the same seed on every machine."""

    def rank(item: Any) -> bytes:
        return hashlib.sha256(f"{seed}\0{item}".encode("utf-8", "surrogatepass")).digest()

    return sorted(items, key=rank)
