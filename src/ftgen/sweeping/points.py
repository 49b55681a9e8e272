"""Expansion of a command line to the points of a sweep."""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.config.compose import RUN_SECTIONS, Composer, Composition, seeded_order
from ftgen.config.trace import Layer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error, note
from ftgen.sweeping import axes, condition, settings
from ftgen.sweeping.axes import Axis, AxisSource
from ftgen.sweeping.condition import Condition
from ftgen.sweeping.label import new_labeller, with_hash, without_prefix
from ftgen.sweeping.places import Places
from ftgen.sweeping.replay import FrameCache
from ftgen.sweeping.settings import Settings
from ftgen.text import yamlio

LIMIT = 1000
# A larger product is not enumerated, however few points `exclude` would keep.
_ENUMERABLE = 1_000_000


class Point(Struct, frozen=True):
    """Point of a sweep: one job.

    Attributes:
        overrides: complete command line, which composes the same configuration outside of the sweep.
        values: value of this point by swept key, without prefixes.
        label: short name, unique in the sweep; empty if nothing is swept.
    """

    overrides: tuple[str, ...]
    values: Mapping[str, Any]
    label: str


class Sweep(Struct, frozen=True):
    """Expanded sweep.

    Attributes:
        points: points in Hydra's order, or shuffled.
        settings: checked `sweep` section.
        swept: swept keys, without prefixes.
        groups: swept keys that choose options.
        places: places of the points' overrides.
        diagnostics: notes of the expansion.
        frames: composer of the points.
    """

    points: tuple[Point, ...]
    settings: Settings
    swept: frozenset[str]
    groups: frozenset[str]
    places: Places
    diagnostics: tuple[Diagnostic, ...]
    frames: FrameCache


def expand(composer: Composer, words: Sequence[str], *, limit: int = LIMIT) -> Sweep:
    """Expand a command line to the points of its sweep.

    Args:
        composer: composer of the configuration.
        words: overrides as typed, including sweeps.
        limit: maximum number of points.

    Raises:
        Rejected: if the sweep cannot be expanded, or has more points than `limit`, or none.
    """
    overrides = composer.parse(words)
    hydra, sweep_settings, notes = read_settings(composer, words)
    sweeper, most = composer.sweeper(overrides), _allowed(sweep_settings, limit)
    if sweeper == "basic":
        products = _products(composer, words, hydra, sweep_settings, most)
    else:
        products = _products_of(sweeper, composer, words, sweep_settings, most)
    return _Expansion(composer, words, products, sweep_settings).sweep(limit, notes)


def read_settings(composer: Composer, words: Sequence[str]) -> tuple[Mapping[str, Any], Settings, list[Diagnostic]]:
    """Return the node `hydra`, the checked `sweep` section, and notes of what has no effect.

    Raises:
        Rejected: FT030 or FT031, if the section is malformed or swept itself.
    """
    overrides = composer.parse(words)
    _refuse_swept_sections(words, overrides)
    hydra, section = composer.run_sections(overrides)
    notes = composer.hydra_notes(overrides, hydra)
    _refuse_job_keys(composer, overrides)
    if section and (replaced := list(_replaced_settings(composer, overrides))):
        raise Rejected(replaced)
    return hydra, _with_name(settings.read(section), overrides), notes


def _allowed(sweep_settings: Settings, limit: int) -> int:
    """Return how many points to enumerate at most: settings may leave out many of them."""
    shrinks = any(each.include or each.exclude for each in (sweep_settings, *sweep_settings.also))
    shrinks = shrinks or sweep_settings.sample is not None or bool(sweep_settings.optional)
    return max(limit, _ENUMERABLE) if shrinks else limit


def _refuse_swept_sections(words: Sequence[str], overrides: Sequence[Any]) -> None:
    """Refuse swept run sections."""
    for position, (text, override) in enumerate(zip(words, overrides, strict=True), 1):
        location = Location(COMMAND_LINE, position)
        if override.is_sweep_override() and _is_run_section(override):
            raise Rejected([_swept_run_section(override, text).at(location)])


def _swept_run_section(override: Any, text: str) -> Diagnostic:
    """Report a sweep over a run section: all points share these sections, so they cannot differ."""
    key = override.key_or_group
    if key.split("@")[0] != "sweep":
        swept = "Hydra's own configuration" if override.is_hydra_override() else "what says how to sweep"
        return error("FT030", f"{text}: {swept} cannot be swept", key, text, f"give {key} one value")
    whole = shlex.quote(f"{text.partition('=')[0]}=[…]")
    help_ = f"run one sweep after the other, or write {whole} for all axes of both in one sweep"
    return error("FT030", f"{text}: sweeps cannot be swept themselves", key, text, help_)


def _refuse_job_keys(composer: Composer, overrides: Sequence[Any]) -> None:
    """Refuse options of the group `sweep` that set keys of the job, as points do not include these options."""
    chosen = [o for o in overrides if o.key_or_group.split("@")[0] == "sweep"]
    if not chosen:
        return
    for layer in composer.trace(chosen).layers:
        if layer.file.parent.name == "sweep" and layer.package != "sweep":
            headline = f"{layer.display} is an option of the group sweep and speaks of more than the sweep"
            help_ = "remove its @package line; what a job is belongs into an experiment"
            raise Rejected([error("FT031", headline, "sweep", help=help_).at(Location(layer.display, 1))])


def _replaced_settings(composer: Composer, overrides: Sequence[Any]) -> Iterator[Diagnostic]:
    """Report each key that one chosen option of the group `sweep` sets and a later one replaces.

    Other files, such as the experiment that chose the options, and the command line may replace it.
    """
    overridden = {prefix + without_prefix(o.key_or_group) for o in overrides for prefix in ("", "sweep.axes.")}
    set_by: dict[str, tuple[Layer, Any]] = {}
    for layer in composer.trace([o for o in overrides if not o.is_sweep_override()]).layers:
        is_sweep_option = layer.package == "sweep" and layer.file.parent.name == "sweep"
        for key, value in _settings_of(layer):
            previous = set_by.pop(key, None)
            if is_sweep_option and previous and previous[1] != value and key not in overridden:
                yield _replaced(key, previous[0], layer, previous[1])
            if is_sweep_option:
                set_by[key] = (layer, value)


def _settings_of(layer: Layer) -> Iterator[tuple[str, Any]]:
    """Yield a file's `sweep` settings by dotted key: each axis, and each setting that is no mapping."""
    content = yamlio.parse(yamlio.read_text(layer.file), layer.display) if layer.package in {"", "sweep"} else None
    for section in () if layer.package else ("sweep",):
        content = content.get(section) if isinstance(content, dict) else None
    for name, value in content.items() if isinstance(content, dict) else ():
        sweep_axes = value.items() if name == "axes" and isinstance(value, dict) else ()
        yield from ((f"sweep.axes.{without_prefix(str(key))}", values) for key, values in sweep_axes)
        if not isinstance(value, dict):
            yield f"sweep.{name}", value


def _replaced(key: str, first: Layer, second: Layer, value: Any) -> Diagnostic:
    axis = key.removeprefix("sweep.axes.")
    headline = f"{second.display} replaces {key} of {first.display}, which said {value}"
    help_ = f"choose one of them, or say on the command line what holds for both: {axis}=…"
    return error("FT031", headline, key if axis == key else "sweep.axes", value, help_)


def _with_name(sweep_settings: Settings, overrides: Sequence[Any]) -> Settings:
    """Return the settings with a name: by default, that of the chosen option of the group `sweep`."""
    options = [o.value() for o in overrides if o.key_or_group == "sweep" and isinstance(o.value(), str)]
    return replace(sweep_settings, name=options[-1]) if options and sweep_settings.name is None else sweep_settings


class Conditions:
    """Conditions of `exclude` and `include`, which notice what no point meets."""

    def __init__(self, sweep_settings: Settings, composer: Composer, path: str = "sweep") -> None:
        """Parse them.

        Raises:
            Rejected: FT032, for one that cannot be parsed, and for each option that its group does not have.
        """
        self.exclude = [condition.parse(text) for text in sweep_settings.exclude]
        self.include = [condition.parse(text) for text in sweep_settings.include]
        self._path = path
        self._asked = 0
        self._met: set[int] = set()
        if unknown := [d for each in (*self.exclude, *self.include) for d in _unknown_options(each, composer)]:
            raise Rejected(unknown)

    def __bool__(self) -> bool:
        return bool(self.exclude or self.include)

    def want(self, value_of: Callable[[str], Any]) -> bool:
        """Return whether a point with these values meets none of `exclude`, and one of `include` if there are any."""
        wanted = not self._meets(self.exclude, value_of)
        wanted = wanted and (not self.include or self._meets(self.include, value_of))
        if self._asked < LIMIT:
            self._asked += 1
            self._ask_others(value_of)
        return wanted

    def _meets(self, conditions: Sequence[Condition], value_of: Callable[[str], Any]) -> bool:
        met = next((each for each in conditions if each.holds(value_of)), None)
        self._met |= {id(met)} if met else set()
        return met is not None

    def _ask_others(self, value_of: Callable[[str], Any]) -> None:
        """Ask the conditions that no point has met yet, also those whose answer no longer matters for this one."""
        for each in self._unmet(self.exclude, self.include):
            # What stands before a condition may keep it from points that have none of its keys.
            with suppress(Rejected):
                self._meets([each], value_of)

    def _unmet(self, *conditions: Sequence[Condition]) -> list[Condition]:
        return [each for each in itertools.chain.from_iterable(conditions) if id(each) not in self._met]

    def unused(self) -> Iterator[Diagnostic]:
        """Yield a note for each condition that none of the points met."""
        for setting, conditions in (("exclude", self.exclude), ("include", self.include)):
            for each in self._unmet(conditions):
                key = f"{self._path}.{setting}"
                headline = f"{key} says {each.text!r}, which no point meets"
                yield note("FT037", headline, key, each.text, "correct it, or leave it out")


def _unknown_options(asked: Condition, composer: Composer) -> Iterator[Diagnostic]:
    for key, value in asked.compared:
        if value is None or not composer.is_group(key) or value in (options := composer.options(key)):
            continue
        near = difflib.get_close_matches(str(value), options, 3, 0.5)
        help_ = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(options)}"
        headline = f"the condition {asked.text!r} speaks of an option {value!r} that the group {key} does not have"
        yield error("FT032", headline, "sweep", asked.text, help_)


class _Product(Struct, frozen=True):
    """Axes whose product is a part of the sweep, or all of it.

    Attributes:
        axes: in the order of the overrides.
        dimensions: the same, with those that advance together in one.
        conditions: conditions of its own points.
    """

    axes: Sequence[Axis]
    dimensions: Sequence[Sequence[Axis]]
    conditions: Conditions

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return axes.product(self.axes, self.dimensions)


def _products(
    composer: Composer, words: Sequence[str], hydra: Mapping[str, Any], sweep_settings: Settings, most: int
) -> list[_Product]:
    """Return the products that a sweep is made of: its own, if it has axes, and those of `sweep.also`.

    The overrides of files come before those of the command line, which replace them; what the command line sweeps is
    an axis of the first product alone.
    """
    typed = job_words(composer, words)
    fixed = [source for source in typed if not composer.parse([source.text])[0].is_sweep_override()]
    seed = sweep_settings.shuffle or 0

    def product_of(
        each: Settings, before: Sequence[AxisSource], after: Sequence[AxisSource], path: str = "sweep"
    ) -> _Product:
        found = axes.read(composer, [*before, *section_sources(each, path), *after], most, seed)
        refuse_run_sections(composer, found)
        return _Product(found, axes.zip_axes(found, each.zip), Conditions(each, composer, path))

    own = product_of(replace(sweep_settings, exclude=(), include=()), parameters(hydra), typed)
    further = [product_of(each, (), fixed, f"sweep.also[{n}]") for n, each in enumerate(sweep_settings.also)]
    return [own, *further] if any(axis.swept for axis in own.axes) or not further else further


def job_words(composer: Composer, words: Sequence[str]) -> list[AxisSource]:
    """Return the overrides that are about the job, with their positions on the command line."""
    parsed = zip(words, composer.parse(words), strict=True)
    return [AxisSource(text, n) for n, (text, override) in enumerate(parsed, 1) if not _is_run_section(override)]


def section_sources(sweep_settings: Settings, path: str = "sweep") -> list[AxisSource]:
    """Return the sources of `axes` at a path: a text is parsed by Hydra's grammar, a list's values are literal."""
    return [
        AxisSource(key, f"{path}.axes[{key}]", values)
        if isinstance(values, list)
        else AxisSource(f"{key}={values}", f"{path}.axes[{key}]")
        for key, values in sweep_settings.axes.items()
    ]


def _products_of(
    sweeper: str, composer: Composer, words: Sequence[str], sweep_settings: Settings, most: int
) -> list[_Product]:
    """Return the points that another sweeper enumerates, each as a product of single values.

    Raises:
        Rejected: FT030, if it cannot enumerate them, or the settings have axes of their own.
    """
    from ftgen.sweeping import foreign  # noqa: PLC0415 - imports Hydra's plugins

    if sweep_settings.axes or sweep_settings.also:
        headline = f"sweep.axes and the sweeper {sweeper} both say what to sweep"
        raise Rejected([error("FT030", headline, "hydra/sweeper", sweeper, "leave one of them out")])
    parsed = list(zip(words, composer.parse(words), strict=True))
    choices = [t for t, o in parsed if not o.is_sweep_override() and _chooses(composer, o)]
    tasks = [t for t, o in parsed if not _is_run_section(o)]
    question = foreign.Question(composer.request, tuple(choices), tuple(tasks), most)
    found = foreign.enumerate_points(question)
    if found.refusal:
        raise Rejected([_no_points(sweeper, found.refusal, parsed)])
    if not found.points:
        raise Rejected([error("FT035", f"the sweeper {sweeper} gives no points", "hydra/sweeper", sweeper)])
    everywhere = set(found.points[0]).intersection(*map(set, found.points[1:]))
    positions = {text: position for position, text in enumerate(words, 1)}
    return [_point(composer, texts, everywhere, positions) for texts in found.points]


def _chooses(composer: Composer, override: Any) -> bool:
    """Return whether an override chooses an option or sets a key of Hydra's own, a launcher's excepted."""
    return composer.is_group(override.key_or_group) or (
        override.is_hydra_override() and not override.key_or_group.startswith("hydra/launcher")
    )


def _no_points(sweeper: str, refusal: str, parsed: Sequence[tuple[str, Any]]) -> Diagnostic:
    help_ = "write the axes as choice(…), range(…) or under sweep, and ftgen's own sweeper enumerates them"
    found = error("FT030", f"the sweeper {sweeper} gives no points: {refusal}", "hydra/sweeper", sweeper, help_)
    typed = [n for n, (_, override) in enumerate(parsed, 1) if override.key_or_group == "hydra/sweeper"]
    return found.at(*(Location(COMMAND_LINE, position) for position in typed[-1:]))


def _point(
    composer: Composer, texts: Sequence[str], everywhere: Collection[str], positions: Mapping[str, int]
) -> _Product:
    read = ((text, axes.read(composer, [AxisSource(text, positions.get(text, 0))], 1, 0)) for text in texts)
    found = [replace(axis, swept=text not in everywhere) for text, (axis,) in read]
    return _Product(found, [[axis] for axis in found], Conditions(Settings(), composer))


def refuse_run_sections(composer: Composer, found: Sequence[Axis]) -> None:
    """Refuse axes that say how to sweep: points would not include them.

    Raises:
        Rejected: FT030, for each.
    """
    if run_sections := [axis for axis in found if _is_run_section(composer.parse([f"{axis.key}=x"])[0])]:
        raise Rejected(_run_section_axis(axis.key, str(axis.place)) for axis in run_sections)


def _run_section_axis(key: str, path: str) -> Diagnostic:
    """Report a run section among the axes of a file: points would not include it."""
    subject = path.partition("[")[0] if path.startswith("hydra") else "sweep.axes"
    headline = f"{subject} sets {key}, which says how to sweep and is no part of any job"
    help_ = f"write it into the defaults list (- /{without_prefix(key)}: …) or on the command line"
    if "." in without_prefix(key):
        help_ = f"set {without_prefix(key)} in the file itself or on the command line"
    return error("FT030", headline, path, key, help_)


def _is_run_section(override: Any) -> bool:
    return override.key_or_group.replace("/", ".").split(".")[0] in RUN_SECTIONS


def parameters(hydra: Mapping[str, Any]) -> list[AxisSource]:
    """Return `hydra.sweeper.params` as overrides; Hydra declares the values as text."""
    found = (hydra.get("sweeper") or {}).get("params") or {}
    for key, value in found.items():
        if isinstance(value, (dict, list)) or value is None:
            headline = f"hydra.sweeper.params.{key} must be text in Hydra's grammar, not {value!r}"
            subject = f"hydra.sweeper.params[{key}]"
            raise Rejected([error("FT031", headline, subject, value, f"write {key}: choice(…)")])
    return [AxisSource(f"{key}={value}", f"hydra.sweeper.params[{key}]") for key, value in found.items()]


def _fixed_overrides(composer: Composer, sweep_axes: Iterable[Axis]) -> list[Any]:
    """Return the overrides that all points share."""
    return composer.parse([axis.texts[0] for axis in sweep_axes if not axis.swept])


class _Expansion:
    """Expansion of the axes to a sweep."""

    def __init__(
        self, composer: Composer, words: Sequence[str], products: Sequence[_Product], sweep_settings: Settings
    ) -> None:
        self.composer = composer
        self.products = products
        self.axes = [axis for product in products for axis in product.axes]
        self.places = Places(composer, words, self.axes)
        self.settings = sweep_settings
        self.swept = frozenset(without_prefix(axis.key) for axis in self.axes if axis.swept)
        self.groups = frozenset(key for key in self.swept if composer.is_group(key.partition("@")[0]))
        self.labels = new_labeller(self.swept, self.groups, sweep_settings.alias)
        fixed = _fixed_overrides(composer, products[0].axes)
        self.frames = FrameCache(composer, self.swept, composer.run_sections(fixed))
        self.conditions = Conditions(sweep_settings, composer)
        self.known: dict[tuple[str, ...], frozenset[str]] = {}

    def sweep(self, limit: int, notes: list[Diagnostic]) -> Sweep:
        points = self._points(limit)
        if not points:
            raise Rejected([self._no_points()])
        notes += [*self._unused(), *self._repeated()]
        return Sweep(points, self.settings, self.swept, self.groups, self.places, tuple(notes), self.frames)

    def _no_points(self) -> Diagnostic:
        for axis in self.axes:
            if not axis.length:
                found = error("FT035", f"the sweep has no points: {axis.key} has no values", without_prefix(axis.key))
                return axes.placed(found, axis.place)
        return error("FT035", "the sweep has no points: every point is excluded", "sweep")

    def _points(self, limit: int) -> tuple[Point, ...]:
        total = sum(axes.count(product.dimensions) for product in self.products)
        distinct = all(len(set(axis.texts)) == len(axis.texts) for axis in self.axes)
        if total > (_allowed(self.settings, limit) if distinct else max(limit, _ENUMERABLE)):
            raise Rejected([_too_many(total, limit)])
        for axis in self.axes:
            if axis.sweep:
                self.composer.cache_parsed(*axis.sweep)
        points = self._labelled(self._filtered())
        if self.settings.sample is not None and self.settings.sample < len(points):
            sample = set(self._shuffled(range(len(points)), points)[: self.settings.sample])
            points = [point for index, point in enumerate(points) if index in sample]
        if self.settings.shuffle is not None:
            points = [points[index] for index in self._shuffled(range(len(points)), points)]
        if len(points) > limit:
            raise Rejected([_too_many(len(points), limit)])
        return tuple(points)

    def _shuffled(self, indexes: Sequence[int], points: Sequence[Point]) -> list[int]:
        """Order indexes by a hash of each point alone, so that one more value keeps most of a sample."""
        by_overrides = {points[index].overrides: index for index in indexes}
        return [by_overrides[overrides] for overrides in seeded_order(list(by_overrides), self.settings.shuffle or 0)]

    def _filtered(self) -> Iterator[tuple[str, ...]]:
        """Yield the overrides of every point that is wanted, once."""
        seen: set[tuple[str, ...]] = set()
        for product in self.products:
            for overrides in product:
                kept = self._without_unknown_optional(overrides)
                if kept not in seen and self._is_wanted(kept, product):
                    seen.add(kept)
                    yield kept

    def _without_unknown_optional(self, overrides: tuple[str, ...]) -> tuple[str, ...]:
        """Drop the optional overrides whose key the chosen options do not have, but those of other points."""
        if not any(map(self._is_optional, overrides)):
            return overrides
        known = self._known(overrides)
        dropped = self._told_apart - known
        return tuple(text for text in overrides if without_prefix(text.partition("=")[0]) not in dropped)

    def _is_optional(self, text: str) -> bool:
        return without_prefix(text.partition("=")[0]) in self.settings.optional

    @cached_property
    def _told_apart(self) -> frozenset[str]:
        """Return the optional keys that the options of some point have: of others, nothing tells who knows them."""
        asked = self.settings.optional & {without_prefix(axis.key) for axis in self.axes}
        found: frozenset[str] = frozenset()
        for overrides in itertools.chain.from_iterable(self.products):
            found |= self._known(overrides)
            if asked <= found:
                break
        return found

    def _known(self, overrides: tuple[str, ...]) -> frozenset[str]:
        """Return the optional keys that the options of a point have."""
        others = tuple(text for text in overrides if not self._is_optional(text))
        if others not in self.known:
            try:
                self.known[others] = self.settings.optional & self.composer.keys(self.composer.parse(others))
            except Rejected as rejected:
                raise self.places.rejected(rejected, others) from None
        return self.known[others]

    def _is_wanted(self, overrides: tuple[str, ...], product: _Product) -> bool:
        # The settings' own conditions hold for all products.
        asked = [conditions for conditions in (self.conditions, product.conditions) if conditions]
        if not asked:
            return True
        value_of = lookup(overrides, self._values(overrides), self.frames, self.composer)
        try:
            return all(conditions.want(value_of) for conditions in asked)
        except Rejected as rejected:
            raise self.places.rejected(rejected, overrides) from None

    def _values(self, overrides: Iterable[str]) -> dict[str, Any]:
        return axes.values_set(self.composer, overrides)

    def _labelled(self, products: Iterable[tuple[str, ...]]) -> list[Point]:
        points = []
        for overrides in products:
            values = {key: value for key, value in self._values(overrides).items() if key in self.swept}
            points.append(Point(overrides, values, self.labels.label(values)))
        return list(_with_unique_labels(points))

    def _unused(self) -> Iterator[Diagnostic]:
        for key in sorted(self.settings.optional - {without_prefix(axis.key) for axis in self.axes}):
            yield note("FT037", f"sweep.optional names {key}, which nothing sets", "sweep.optional", key)
        for key in sorted(self.settings.alias.keys() - self.swept):
            near = difflib.get_close_matches(key, self.swept, 1)
            help_ = f"did you mean {near[0]}?" if near else "name a swept key"
            yield note("FT037", f"sweep.alias names {key}, which is not swept", "sweep.alias", key, help_)
        for conditions in (self.conditions, *(product.conditions for product in self.products)):
            yield from conditions.unused()

    def _repeated(self) -> Iterator[Diagnostic]:
        for axis in self.axes:
            twice = [text for text, times in Counter(axis.texts).items() if times > 1]
            if twice:
                headline = f"{axis.key} has a value more than once: {twice[0].partition('=')[2]} is one point"
                found = note("FT037", headline, without_prefix(axis.key), help="leave the others out")
                yield axes.placed(found, axis.place)


def _with_unique_labels(points: list[Point]) -> Iterator[Point]:
    """Add a hash to equal labels: different values may yield the same label (`a.b` and `a-b`)."""
    counts: dict[str, int] = {}
    for point in points:
        counts[point.label] = counts.get(point.label, 0) + 1
    for point in points:
        yield point if counts[point.label] == 1 else replace(point, label=with_hash(point.label, point.values))


def lookup(
    overrides: tuple[str, ...], values: Mapping[str, Any], frames: FrameCache, composer: Composer
) -> Callable[[str], Any]:
    """Return a lookup of a point's values by key, which composes the point only for keys that it does not set."""
    composed: list[Composition] = []

    def value_of(key: str) -> Any:
        if key in values:
            return values[key]
        if not composed:
            composed.append(frames.written(overrides))
        return _value_at(key, composed[0], composer)

    return value_of


def _value_at(key: str, composition: Composition, composer: Composer) -> Any:
    if key in composition.choices:
        return composition.choices[key]
    value: Any = composition.config
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            if composer.is_group(key):
                return None
            raise Rejected([error("FT032", f"a condition speaks of {key}, which no job has", "sweep", key)])
        value = value[part]
    return value


def _too_many(total: int, limit: int) -> Diagnostic:
    help_ = f"--limit {total} says that this is meant; sweep.exclude and sweep.sample make it smaller"
    return error("FT034", f"the sweep has {total} points, and {limit} are allowed", "sweep", total, help_)
