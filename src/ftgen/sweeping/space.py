"""Search space of a study: the keys of a command line that an optimiser gives values, in Hydra's grammar.

`interval()` is a range of numbers, `tag(log, interval())` one on a logarithmic scale, `int(interval())` one of whole
numbers; `range()` has steps; whatever else a sweep may list (`choice()`, `a,b`, `glob()`) are alternatives without an
order.  These are the meanings of Hydra's Optuna sweeper, but that a range ends before its stop, as in all sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from msgspec import Struct
from msgspec.structs import fields

from ftgen.config.compose import Composer
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.sweeping import axes
from ftgen.sweeping.axes import Axis, Place
from ftgen.sweeping.label import without_prefix
from ftgen.sweeping.places import Places
from ftgen.sweeping.points import (
    Conditions,
    Point,
    job_words,
    lookup,
    parameters,
    read_settings,
    refuse_run_sections,
    section_sources,
)
from ftgen.sweeping.replay import FrameCache
from ftgen.sweeping.settings import Settings

UNTUNABLE = "FT791"
_DIGITS = 4
"""Decimal digits by which two proposals of a range differ: what is below matters to no training."""
_MOST_CHOICES = 1000
_MOST_STEPS = 10**9
EXACT = 2**53
"""Whole numbers up to here are the same as floats, in which Optuna computes."""
_KNOWN = frozenset({"name", "axes", "exclude", "include"})

Value = int | float | str
"""Value of a parameter: a number, or the text of an alternative in Hydra's grammar."""


class Parameter(Struct, frozen=True):
    """Values of one key.

    Attributes:
        kind: whether these are numbers, whole numbers, or alternatives.
        low: smallest number.
        high: largest number.
        step: distance between two numbers; None where any number will do.
        log: whether numbers are drawn on a logarithmic scale.
        choices: alternatives as text in Hydra's grammar.
    """

    kind: Literal["float", "int", "categorical"]
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()

    def tidy(self, value: Value) -> Value:
        """Return a value with no more digits than matter, so that processors that round differently propose alike."""
        if self.kind != "float" or isinstance(value, str):
            return value
        scale = min(self.high - self.low, abs(value)) if self.log else self.high - self.low
        rounded = round(value, _DIGITS - math.floor(math.log10(scale))) if scale else value
        return min(max(rounded, self.low), self.high)

    @property
    def is_counted(self) -> bool:
        """Return whether its numbers have steps and are not whole: they are told apart by their index."""
        return self.kind == "float" and self.step is not None

    @property
    def size(self) -> float:
        """Return the number of values; infinite for a range without steps."""
        if self.kind == "categorical":
            return len(self.choices)
        return math.inf if self.step is None else round((self.high - self.low) / self.step) + 1

    def at(self, index: int) -> Value:
        """Return the value at an index of a parameter of finite size."""
        if self.kind == "categorical":
            return self.choices[index]
        number = Decimal(str(self.low)) + index * Decimal(str(self.step))
        return int(number) if self.kind == "int" else float(number)

    def index(self, value: float) -> int:
        """Return the index of a number of a range with steps."""
        return round((value - self.low) / (self.step or 1))

    def as_json(self) -> dict[str, Any]:
        """Return what is not the default, as JSON values."""
        if self.kind == "categorical":
            return {"kind": self.kind, "choices": list(self.choices)}
        found: dict[str, Any] = {"kind": self.kind, "low": self.low, "high": self.high}
        return found | ({"log": True} if self.log else {}) | ({"step": self.step} if self.step is not None else {})


class SearchSpace(Struct, dict=True):
    """What a command line leaves to an optimiser, and composes of its proposals.

    Attributes:
        composer: composer of the points.
        words: the command line as typed.
        settings: the `sweep` section.
        sweeper: the node `hydra.sweeper`, which may say more of a study than its space.
        parameters: parameter by override key, with its prefix, in the order of the overrides.
        axes: all overrides in their order; those that are not swept hold for every point.
        frames: composer of points by what they share.
        diagnostics: notes of what has no effect.
    """

    composer: Composer
    words: Sequence[str]
    settings: Settings
    sweeper: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    axes: Sequence[Axis]
    frames: FrameCache
    diagnostics: Sequence[Diagnostic]

    @cached_property
    def conditions(self) -> Conditions:
        """Return what `sweep.exclude` and `sweep.include` say."""
        return Conditions(self.settings, self.composer)

    @cached_property
    def places(self) -> Places:
        """Return where its overrides were written."""
        return Places(self.composer, self.words, self.axes)

    @property
    def swept(self) -> frozenset[str]:
        """Return the tuned keys, without prefixes."""
        return self.frames.swept

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the overrides that every point has."""
        return tuple(axis.texts[0] for axis in self.axes if not axis.swept)

    def point(self, values: Mapping[str, Value], label: str) -> Point:
        """Return the point of some values, of which there is one for each parameter."""
        overrides = tuple(f"{axis.key}={values[axis.key]}" if axis.swept else axis.texts[0] for axis in self.axes)
        swept = {k: v for k, v in axes.values_set(self.composer, overrides).items() if k in self.swept}
        return Point(overrides, swept, label)

    def wants(self, values: Mapping[str, Value]) -> bool:
        """Return whether `sweep.exclude` and `sweep.include` admit some values.

        Raises:
            Rejected: FT032, if a condition cannot be evaluated.
        """
        if not self.conditions:
            return True
        point = self.point(values, "")
        try:
            return self.conditions.want(lookup(point.overrides, point.values, self.frames, self.composer))
        except Rejected as rejected:
            raise self.places.rejected(rejected, point.overrides) from None


def read(composer: Composer, words: Sequence[str]) -> SearchSpace:
    """Read the search space of a command line and of the files that it chooses.

    Raises:
        Rejected: FT791, if there is nothing to tune, or something that cannot be; FT03x, if `sweep` is malformed.
    """
    hydra, settings, notes = read_settings(composer, words)
    _refuse_unknown(settings)
    sources = [*parameters(hydra), *section_sources(settings), *job_words(composer, words)]
    problems: list[Diagnostic] = []
    found: dict[str, Parameter] = {}
    every: list[Axis] = []
    for source in axes.latest(composer, sources, problems):
        try:
            axis, parameter = _tuned(source)
        except Rejected as rejected:
            problems += rejected.diagnostics
            continue
        every.append(axis)
        if parameter:
            found[axis.key] = parameter
    if problems:
        raise Rejected(problems)
    refuse_run_sections(composer, every)
    if not found:
        help_ = "leave a key to the study, as in 'trainer.lr=tag(log, interval(1e-5,1e-3))'"
        raise Rejected([error(UNTUNABLE, "no override leaves anything to tune", help=help_)])
    fixed = composer.parse([axis.texts[0] for axis in every if not axis.swept])
    frames = FrameCache(composer, [without_prefix(key) for key in found], composer.run_sections(fixed))
    sweeper = hydra.get("sweeper") or {}
    return SearchSpace(composer, words, settings, sweeper, found, every, frames, notes)


def _refuse_unknown(settings: Settings) -> None:
    """Refuse settings of the section `sweep` that would have no effect."""
    plain = Settings()
    if useless := [f.name for f in fields(Settings) if getattr(settings, f.name) != getattr(plain, f.name)]:
        problems = [
            error(UNTUNABLE, f"sweep.{name} has no meaning for a study", f"sweep.{name}", help="leave it out")
            for name in useless
            if name not in _KNOWN
        ]
        if problems:
            raise Rejected(problems)


def _tuned(source: axes.ParsedSource) -> tuple[Axis, Parameter | None]:
    """Return an override as an axis, and the parameter that it is, if any."""
    if isinstance(source, Axis):
        texts = tuple(text.partition("=")[2] for text in source.texts)
        return source, _categorical(source.key, texts, source.place)
    override, place = source
    sweep: Any = override.value()
    key = override.get_key_element()
    if isinstance(sweep, IntervalSweep):
        return Axis(key, (), True, place), _interval(override, sweep, place)
    axis = axes.enumerated(override, place, _MOST_CHOICES)
    if not axis.swept:
        return axis, None
    if "log" in getattr(sweep, "tags", ()):
        raise _rejected(override, place, "a logarithmic scale is one of numbers", f"{key}=tag(log, interval(…))")
    if isinstance(sweep, RangeSweep) and not sweep.shuffle and axis.length:
        return axis, _range(override, sweep, axis.length, place)
    return axis, _categorical(key, tuple(text.partition("=")[2] for text in axis.texts), place)


def _interval(override: Override, sweep: IntervalSweep, place: Place) -> Parameter:
    low, high = sweep.start, sweep.end
    key, log = override.get_key_element(), "log" in sweep.tags
    if isinstance(low, int) and isinstance(high, int) and max(abs(low), abs(high)) > EXACT:
        raise _rejected(override, place, "its whole numbers are too large", f"{key}=interval(…)")
    if low is None or high is None or not (math.isfinite(high - low) and low < high):
        raise _rejected(override, place, "an interval goes from a number to a larger one", f"{key}=interval(0,1)")
    if log and low <= 0:
        raise _rejected(override, place, "a logarithmic scale begins above 0", f"{key}=tag(log, interval(1e-5,1e-3))")
    if isinstance(low, int) and isinstance(high, int):
        return Parameter("int", low, high, 1, log)
    return Parameter("float", float(low), float(high), None, log)


def _range(override: Override, sweep: RangeSweep, length: int, place: Place) -> Parameter:
    start, step = Decimal(str(sweep.start)), Decimal(str(sweep.step))
    example = f"{override.get_key_element()}=interval(…)"
    if length > _MOST_STEPS or not (start.is_finite() and step.is_finite()):
        raise _rejected(override, place, "it has too many steps, or no end", example)
    ends = sorted((start, start + (length - 1) * step))
    if max(map(abs, ends)) > EXACT:
        raise _rejected(override, place, "its numbers are too large", example)
    if all(isinstance(number, int) for number in (sweep.start, sweep.step)):
        return Parameter("int", int(ends[0]), int(ends[1]), int(abs(step)))
    return Parameter("float", float(ends[0]), float(ends[1]), float(abs(step)))


def _categorical(key: str, texts: Sequence[str], place: Place) -> Parameter:
    choices = tuple(dict.fromkeys(texts))
    if 0 < len(choices) <= _MOST_CHOICES:
        return Parameter("categorical", choices=choices)
    headline = f"{key} has {len(choices) or 'no'} alternatives, and a study takes up to {_MOST_CHOICES}"
    raise Rejected([axes.placed(error(UNTUNABLE, headline, without_prefix(key)), place)])


def _rejected(override: Override, place: Place, why: str, example: str) -> Rejected:
    text = str(override.input_line)
    problem = error(UNTUNABLE, f"{text} cannot be tuned: {why}", override.key_or_group, text, f"write {example}")
    return Rejected([axes.placed(problem, place)])
