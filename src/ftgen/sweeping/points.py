"""From a command line to the points of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftgen import yamlio
from ftgen.compose import DIRECTIVES, Composer, Composition
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error, note
from ftgen.sweeping import axes, condition, settings
from ftgen.sweeping.axes import Axis
from ftgen.sweeping.label import bare, labeller, told_apart
from ftgen.sweeping.replay import Replay
from ftgen.sweeping.settings import Settings
from ftgen.trace import Layer

LIMIT = 1000
# More points than this are not even counted out one by one, whatever is left of them after `exclude`.
_ENUMERABLE = 1_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """One job of a sweep.

    Attributes:
        overrides: its whole command line: alone, it composes the same configuration.
        values: swept key to this point's value, prefixes left out.
        label: what tells it from the others; empty where nothing is swept.
    """

    overrides: tuple[str, ...]
    values: Mapping[str, Any]
    label: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """An expanded sweep.

    Attributes:
        points: in Hydra's order, or shuffled.
        settings: its `sweep` section.
        swept: the swept keys, without prefixes.
        groups: those that choose options.
        positions: override key (as in `Axis.key`) to its place on the command line.
        diagnostics: what was noticed on the way.
        replay: composes its points.
    """

    points: tuple[Point, ...]
    settings: Settings
    swept: frozenset[str]
    groups: frozenset[str]
    positions: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]
    replay: Replay


def expand(composer: Composer, words: Sequence[str], *, limit: int = LIMIT) -> Sweep:
    """The points that a command line stands for.

    Args:
        composer: reads overrides and configuration.
        words: the overrides as typed, sweeps among them.
        limit: how many points are meant to be allowed.

    Raises:
        Rejected: when the sweep cannot be expanded, or has more points than `limit`, or none.
    """
    overrides = composer.parse(words)
    notes = list(_hydras(words, overrides))
    hydra, section = composer.directives(overrides)
    _only_of_sweeps(composer, overrides)
    if section and (lost := list(_overruled(composer, overrides))):
        raise Rejected(lost)
    chosen = _named(settings.read(section), overrides)
    spans = _axes(composer, words, hydra, chosen, max(limit, _ENUMERABLE))
    return _Expansion(composer, spans, chosen).sweep(limit, notes)


def _hydras(words: Sequence[str], overrides: Sequence[Any]) -> Iterator[Diagnostic]:
    """What is Hydra's own on the command line: plugins have nothing to do here, other sweepers are refused."""
    for position, (text, override) in enumerate(zip(words, overrides, strict=True), 1):
        place = Location(COMMAND_LINE, position)
        key = override.key_or_group
        if override.is_sweep_override() and _is_directive(override):
            raise Rejected([_swept_directive(override, text).at(place)])
        if key == "hydra/sweeper" and override.value() != "basic":
            how = "write the axes as choice(…), range(…) or under sweep; ftgen's own sweeper enumerates them"
            raise Rejected([error("FT030", f"{text}: other sweepers cannot run here", key, text, how).at(place)])
        if key.startswith("hydra/") and key != "hydra/sweeper":
            yield note("FT037", f"{text} is ignored: ftgen writes files and launches nothing", key, text).at(place)


def _swept_directive(override: Any, text: str) -> Diagnostic:
    """What says how to sweep is read once for all points, so that it cannot differ from one to the next."""
    key = override.key_or_group
    if key.split("@")[0] != "sweep":
        whose = "Hydra's own configuration" if override.is_hydra_override() else "what says how to sweep"
        return error("FT030", f"{text}: {whose} cannot be swept", key, text, f"give {key} one value")
    how = f"run one sweep after the other, or write {text.partition('=')[0]}=[…] for all axes of both in one sweep"
    return error("FT030", f"{text}: sweeps cannot be swept themselves", key, text, how)


def _only_of_sweeps(composer: Composer, overrides: Sequence[Any]) -> None:
    """An option of the group `sweep` is left out of its points, so that it must not speak of the job."""
    chosen = [o for o in overrides if o.key_or_group.split("@")[0] == "sweep"]
    if not chosen:
        return
    for layer in composer.trace(chosen).layers:
        if layer.file.parent.name == "sweep" and layer.package != "sweep":
            told = f"{layer.display} is an option of the group sweep and speaks of more than the sweep"
            how = "remove its @package line; what a job is belongs into an experiment"
            raise Rejected([error("FT031", told, "sweep", help=how).at(Location(layer.display, 1))])


def _overruled(composer: Composer, overrides: Sequence[Any]) -> Iterator[Diagnostic]:
    """What one chosen option of the group `sweep` says and a later one replaces: neither knows of the other.

    A file that is no such option, such as the experiment that chose them, and the command line have the last word.
    """
    settled = {prefix + bare(o.key_or_group) for o in overrides for prefix in ("", "sweep.axes.")}
    said: dict[str, tuple[Layer, Any]] = {}
    for layer in composer.trace([o for o in overrides if not o.is_sweep_override()]).layers:
        option = layer.package == "sweep" and layer.file.parent.name == "sweep"
        for key, value in _says(layer):
            before = said.pop(key, None)
            if option and before and before[1] != value and key not in settled:
                yield _lost(key, before[0], layer, before[1])
            if option:
                said[key] = (layer, value)


def _says(layer: Layer) -> Iterator[tuple[str, Any]]:
    """What a file says of the sweep, by full keys; axes are said one by one, and aliases are words only."""
    content = yamlio.parse(yamlio.read_text(layer.file), layer.display) if layer.package in {"", "sweep"} else None
    for part in () if layer.package else ("sweep",):
        content = content.get(part) if isinstance(content, dict) else None
    for name, value in content.items() if isinstance(content, dict) else ():
        spans = value.items() if name == "axes" and isinstance(value, dict) else ()
        yield from ((f"sweep.axes.{bare(str(key))}", values) for key, values in spans)
        if not isinstance(value, dict):
            yield f"sweep.{name}", value


def _lost(key: str, before: Layer, after: Layer, value: Any) -> Diagnostic:
    axis = key.removeprefix("sweep.axes.")
    told = f"{after.display} replaces {key} of {before.display}, which said {value}"
    how = f"choose one of them, or say on the command line what holds for both: {axis}=…"
    return error("FT031", told, key if axis == key else "sweep.axes", value, how)


def _named(chosen: Settings, overrides: Sequence[Any]) -> Settings:
    """The settings with their name: a chosen option names its sweep."""
    options = [o.value() for o in overrides if o.key_or_group == "sweep" and isinstance(o.value(), str)]
    return replace(chosen, name=options[-1]) if options and chosen.name is None else chosen


def _axes(
    composer: Composer, words: Sequence[str], hydra: Mapping[str, Any], chosen: Settings, most: int
) -> list[Axis]:
    """All overrides as axes: from files first, so that the command line has the last word."""
    own = [(text, n) for n, text in enumerate(words, 1) if not _is_directive(composer.parse([text])[0])]
    # A text is read in Hydra's grammar (`range(1,5)`), a list's values are meant as they are.
    section = [(key, v) if isinstance(v, list) else (f"{key}={v}", 0) for key, v in chosen.axes.items()]
    parameters = [(text, 0) for text in _parameters(hydra)]
    found = axes.read(composer, [*parameters, *section, *own], most + 1, chosen.shuffle or 0)
    if late := [axis.key for axis in found if _is_directive(composer.parse([f"{axis.key}=x"])[0])]:
        raise Rejected(_read_already(key, bare(key) in map(bare, chosen.axes)) for key in late)
    return found


def _read_already(key: str, listed: bool) -> Diagnostic:
    """What says how to sweep, among the axes that a file gives: it would be left out of every point."""
    subject = "sweep.axes" if listed else "hydra.sweeper.params"
    told = f"{subject} sets {key}, which says how to sweep and is no part of any job"
    how = f"write it into the defaults list (- /{bare(key)}: …) or on the command line"
    if "." in bare(key):
        how = f"set {bare(key)} in the file itself or on the command line"
    return error("FT030", told, subject, key, how)


def _is_directive(override: Any) -> bool:
    return override.key_or_group.replace("/", ".").split(".")[0] in DIRECTIVES


def _parameters(hydra: Mapping[str, Any]) -> Iterator[str]:
    """`hydra.sweeper.params` as overrides; Hydra types the values as text."""
    parameters = (hydra.get("sweeper") or {}).get("params") or {}
    for key, value in parameters.items():
        if isinstance(value, dict | list) or value is None:
            told = f"hydra.sweeper.params.{key} must be text in Hydra's grammar, not {value!r}"
            raise Rejected([error("FT031", told, "hydra.sweeper.params", value, f"write {key}: choice(…)")])
        yield f"{key}={value}"


def _settled(composer: Composer, spans: Iterable[Axis]) -> list[Any]:
    """The overrides that all points share."""
    return composer.parse([axis.texts[0] for axis in spans if not axis.swept])


class _Expansion:
    """A sweep in the making."""

    def __init__(self, composer: Composer, spans: list[Axis], chosen: Settings) -> None:
        self.composer = composer
        self.axes = spans
        self.settings = chosen
        self.swept = frozenset(bare(axis.key) for axis in spans if axis.swept)
        self.groups = frozenset(key for key in self.swept if composer.is_group(key.partition("@")[0]))
        self.labels = labeller(self.swept, self.groups, chosen.alias)
        self.replay = Replay(composer, self.swept, composer.directives(_settled(composer, spans)))
        self.include = [condition.parse(text) for text in chosen.include]
        self.exclude = [condition.parse(text) for text in chosen.exclude]

    def sweep(self, limit: int, notes: list[Diagnostic]) -> Sweep:
        points = self._chosen(limit)
        if not points:
            empty = next((axis.key for axis in self.axes if not axis.texts), "")
            why = f": {empty} has no values" if empty else ": every point is excluded"
            raise Rejected([error("FT035", f"the sweep has no points{why}", bare(empty) or "sweep")])
        notes += self._unused()
        positions = {axis.key: axis.position for axis in self.axes}
        return Sweep(points, self.settings, self.swept, self.groups, positions, tuple(notes), self.replay)

    def _chosen(self, limit: int) -> tuple[Point, ...]:
        dimensions = axes.pair(self.axes, self.settings.zip)
        many = axes.count(dimensions)
        if many > max(limit, _ENUMERABLE):
            raise Rejected([_too_many(many, limit)])
        for axis in self.axes:
            if axis.sweep:
                self.composer.remember(*axis.sweep)
        points = self._labelled(self._sifted(axes.product(self.axes, dimensions)))
        if self.settings.sample is not None and self.settings.sample < len(points):
            kept = set(self._mixed(range(len(points)), points)[: self.settings.sample])
            points = [point for place, point in enumerate(points) if place in kept]
        if self.settings.shuffle is not None:
            points = [points[place] for place in self._mixed(range(len(points)), points)]
        if len(points) > limit:
            raise Rejected([_too_many(len(points), limit)])
        return tuple(points)

    def _mixed(self, places: Sequence[int], points: Sequence[Point]) -> list[int]:
        """Places in an order that depends on each point alone, so that one more value keeps most of a sample."""
        by_overrides = {points[place].overrides: place for place in places}
        return [by_overrides[text] for text in axes.mixed(list(by_overrides), self.settings.shuffle or 0)]

    def _sifted(self, products: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        seen: set[tuple[str, ...]] = set()
        for overrides in products:
            fitting = self._fitting(overrides)
            if fitting not in seen and self._is_wanted(fitting):
                seen.add(fitting)
                yield fitting

    def _fitting(self, overrides: tuple[str, ...]) -> tuple[str, ...]:
        """Without the optional overrides whose key the chosen options do not know."""
        doubtful = [text for text in overrides if bare(text.partition("=")[0]) in self.settings.optional]
        if not doubtful:
            return overrides
        known = self.composer.keys(self.composer.parse([text for text in overrides if text not in doubtful]))
        return tuple(text for text in overrides if text not in doubtful or bare(text.partition("=")[0]) in known)

    def _is_wanted(self, overrides: tuple[str, ...]) -> bool:
        if not self.include and not self.exclude:
            return True
        look = _lookup(overrides, self._values(overrides), self.replay, self.composer)
        if any(each.holds(look) for each in self.exclude):
            return False
        return not self.include or any(each.holds(look) for each in self.include)

    def _values(self, overrides: Iterable[str]) -> dict[str, Any]:
        return {bare(text.partition("=")[0]): self.composer.parse([text])[0].value() for text in overrides}

    def _labelled(self, found: Iterable[tuple[str, ...]]) -> list[Point]:
        points = []
        for overrides in found:
            values = {key: value for key, value in self._values(overrides).items() if key in self.swept}
            points.append(Point(overrides, values, self.labels.label(values)))
        return list(_told_apart(points))

    def _unused(self) -> Iterator[Diagnostic]:
        for key in sorted(self.settings.optional - {bare(axis.key) for axis in self.axes}):
            yield note("FT037", f"sweep.optional names {key}, which nothing sets", "sweep.optional", key)


def _told_apart(points: list[Point]) -> Iterator[Point]:
    """Values that read the same in a name (`a.b` and `a-b`) get a hash."""
    seen: dict[str, int] = {}
    for point in points:
        seen[point.label] = seen.get(point.label, 0) + 1
    for point in points:
        yield point if seen[point.label] == 1 else replace(point, label=told_apart(point.label, point.values))


def _lookup(
    overrides: tuple[str, ...], values: Mapping[str, Any], replay: Replay, composer: Composer
) -> Callable[[str], Any]:
    """Values of a point by key: what it sets, without composing it; else what it composes to."""
    composed: list[Composition] = []

    def look(key: str) -> Any:
        if key in values:
            return values[key]
        if not composed:
            composed.append(replay.compose(overrides))
        return _found(key, composed[0], composer)

    return look


def _found(key: str, composition: Composition, composer: Composer) -> Any:
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


def _too_many(many: int, limit: int) -> Diagnostic:
    how = f"--limit {many} says that this is meant; sweep.exclude and sweep.sample make it smaller"
    return error("FT034", f"the sweep has {many} points, and {limit} are allowed", "sweep", many, how)


def positions(sweep: Sweep, point: Point) -> list[int]:
    """Where on the command line each override of a point was written, 0 for those from files."""
    return [sweep.positions.get(text.partition("=")[0], 0) for text in point.overrides]
