"""Provenance: which file and line, or which override, gave a configuration key its value.

Looks a key up in the layers of the defaults list in merge order, then in the command line; the last one that sets
the key wins.  A file is read when a key is first looked up in it, so a composition without diagnostics pays nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from hydra.errors import HydraException
from msgspec import Struct

from ftgen.config.compose import Composer, grammar
from ftgen.config.trace import Layer, OverrideTrace
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, for_shell
from ftgen.text import yamlio
from ftgen.text.yamlio import Mark

_Path = tuple[str, ...]

# What stands in brackets is one step: a position, or a key with dots, such as that of an axis.
_STEP = re.compile(r"\[([^\[\]]+)\]|([^.\[\]]+)")
_REFERENCE = re.compile(r"\$\{\s*(?P<key>\.*[^.${}:,\s][^${}:,\s]*)\s*\}")
_CHOICE = re.compile(r"\$\{\s*hydra:runtime\.choices\.(?P<group>[^${}\s]+)\s*\}")
_GLOBAL = "_global_"


class Origin(Struct, frozen=True):
    """Statement about a key: its location and its value.

    Attributes:
        location: file, line and column of the value where it is on the key's line, else of the key; for an override,
            the command line and its position.
        value_text: the value as text, mappings and lists as JSON, a deletion as it was typed.
    """

    location: Location
    value_text: str


class KeyOrigins(Struct, frozen=True, dict=True):
    """Origins of a composition's keys.

    Attributes:
        layers: the configuration files in merge order.
        overrides: the command-line overrides of values, by position.
        choices: the command-line overrides that choose an option; `key` is the group.
    """

    layers: Sequence[Layer]
    overrides: Sequence[OverrideTrace]
    choices: Sequence[OverrideTrace] = ()

    @classmethod
    def of(cls, composer: Composer, overrides: Sequence[str]) -> KeyOrigins:
        """Trace the composition of a command line, even where it is rejected."""
        trace = composer.trace(composer.parse(overrides))
        return cls(trace.layers, trace.overrides, trace.choices)

    def origins(self, key: str) -> list[Origin]:
        """Return every statement about a key in the order they were applied: the last one holds.

        A statement sets the key itself, or replaces a parent of it: by a value that is no mapping, or by a deletion.
        A mapping is merged, and sets only the keys it has.

        Args:
            key: dotted key, list positions as `a[0]` or `a.0`, a step with dots as `sweep.axes[trainer.lr]`.
        """
        return self._at(_path(key))

    def _at(self, path: _Path) -> list[Origin]:
        return [origin for source in self._sources for origin in source.origins(path)]

    def references(self, key: str) -> list[Origin]:
        """Return the origins that a key's value is interpolated from: the last one of each `${key}` in it."""
        return self._references(_path(key))

    def _references(self, path: _Path) -> list[Origin]:
        own = self._at(path)
        text = own[-1].value_text if own else ""
        found = [self._at(_absolute(match["key"], path)) for match in _REFERENCE.finditer(text)]
        found += [self.choice_origins(match["group"]) for match in _CHOICE.finditer(text)]
        return [origins[-1] for origins in found if origins]

    def choice_origins(self, group: str) -> list[Origin]:
        """Return every choice of a group's option: defaults lists, their `override` entries, the command line."""
        entries = [entry for source in self._files for entry in source.choices(group)]
        typed = [Origin(_position(c), _text_after(c.text)) for c in self.choices if _group(c.key) == group]
        ranked = [origin for overriding in (False, True) for origin, is_one in entries if is_one is overriding]
        return [*ranked, *typed]

    def locations(self, key: str) -> tuple[Location, ...]:
        """Return the locations of a key, the one to edit first; empty where no parent of it is set either.

        A key that is set nowhere has the locations of its nearest parent; a group (`storage`) comes first where its
        option was chosen.
        """
        path = _path(key)
        chosen = self.choice_origins("/".join(path))[-1:]
        for length in range(len(path), 0, -1):
            near = path[:length]
            if origins := self._at(near):
                return _unique([*chosen, origins[-1], *self._references(near)])
        # An unknown key exists because an override set a key below it.
        below = [Origin(_position(o), "") for o in self.overrides if _path(o.key)[: len(path)] == path]
        return _unique([*chosen, *below[-1:]])

    @cached_property
    def _files(self) -> list[_File]:
        return [_File(layer) for layer in self.layers]

    @cached_property
    def _sources(self) -> list[_File | _Override]:
        return [*self._files, *(_Override(trace) for trace in self.overrides)]


def add_key_locations(diagnostics: Iterable[Diagnostic], key_origins: KeyOrigins) -> list[Diagnostic]:
    """Locate diagnostics by their subject, a configuration key; keep locations that they have."""
    return [_located(diagnostic, key_origins) for diagnostic in diagnostics]


def _located(diagnostic: Diagnostic, key_origins: KeyOrigins) -> Diagnostic:
    if diagnostic.locations or not diagnostic.subject:
        return diagnostic
    return help_for_shell(diagnostic.at(*key_origins.locations(diagnostic.subject)), key_origins)


def help_for_shell(diagnostic: Diagnostic, key_origins: KeyOrigins) -> Diagnostic:
    """Spell the help of a diagnostic for a shell, where it stands on the command line."""
    for override in key_origins.overrides:
        if diagnostic.locations[:1] == (_position(override),):
            return for_shell(diagnostic, override.text, is_value=_path(override.key) == _path(diagnostic.subject))
    return diagnostic


class _File(Struct, frozen=True, dict=True):
    """Layer of a composition, read at the first look-up; a file that can no longer be read sets nothing."""

    layer: Layer

    def origins(self, path: _Path) -> Iterator[Origin]:
        package = _path(self.layer.package.rpartition(_GLOBAL)[2])
        if path[: len(package)] != package or not path:
            return
        inner = path[len(package) :]
        if inner[:1] != ("defaults",) and (nearest := self._nearest(inner)) is not None:
            yield self._origin(nearest)

    def choices(self, group: str) -> Iterator[tuple[Origin, bool]]:
        """Yield the defaults-list entries that choose an option of the group, and whether each is an `override`."""
        for index, entry in enumerate(self._defaults):
            for name, option in _choices(entry):
                if _is_group(name.split()[-1], group, self.layer):
                    place = ("defaults", str(index), *((name,) if isinstance(entry, dict) else ()))
                    yield Origin(self._place(place), _text(option)), name.startswith("override ")

    @cached_property
    def _defaults(self) -> list[Any]:
        entries = _step(self._value, "defaults")
        return entries if isinstance(entries, list) else []

    def _nearest(self, inner: _Path) -> _Path | None:
        """Return the path where the file sets it, else the parent that it replaces by a value that is no mapping."""
        for length in range(len(inner), -1, -1):
            if inner[:length] in self._marks:
                is_exact = length == len(inner)
                return inner[:length] if is_exact or not isinstance(self._at(inner[:length]), dict) else None
        return None

    def _origin(self, path: _Path) -> Origin:
        return Origin(self._place(path), _text(self._at(path)))

    def _place(self, path: _Path) -> Location:
        mark = self._first if not path else self._marks[path]
        is_inline = mark.line == mark.value_line and not isinstance(self._at(path), dict)
        return Location(self.layer.display, mark.line, mark.value_column if is_inline else mark.column)

    @property
    def _first(self) -> Mark:
        """Return the position of the file's first key other than `defaults`, which stands for the file as a whole."""
        keys = (m for path, m in self._marks.items() if len(path) == 1 and path[0] != "defaults")
        return next(keys, self._marks[()])

    def _at(self, path: _Path) -> Any:
        value = self._value
        for name in path:
            value = _step(value, name)
        return value

    @cached_property
    def _marks(self) -> Mapping[_Path, Mark]:
        return {tuple(map(str, path)): mark for path, mark in self._read.places().items()} if self._read else {}

    @property
    def _value(self) -> Any:
        """Return the file's value; Hydra reads a file with nothing but comments as an empty mapping."""
        return self._read.value or {} if self._read else None

    @cached_property
    def _read(self) -> yamlio.Document | None:
        try:
            return yamlio.document(yamlio.read_text(self.layer.file, self.layer.display), self.layer.display)
        except Rejected:
            return None


class _Override(Struct, frozen=True, dict=True):
    """Command-line override of a value."""

    trace: OverrideTrace

    def origins(self, path: _Path) -> Iterator[Origin]:
        key = _path(self.trace.key)
        if path[: len(key)] != key:
            return
        if path == key or self.trace.text.startswith("~") or not isinstance(self._value, dict):
            yield self._origin(_text_after(self.trace.text))
        elif (value := _within(self._value, path[len(key) :])) is not _ABSENT:
            yield self._origin(_text(value))

    def _origin(self, text: str) -> Origin:
        return Origin(_position(self.trace), text)

    @cached_property
    def _value(self) -> Any:
        try:
            return grammar.read(self.trace.text).value()
        except HydraException:
            return self.trace.text


_ABSENT = object()


def _within(value: Any, path: _Path) -> Any:
    """Return the value at a path, or the value that replaces a parent; `_ABSENT` where a mapping lacks the key."""
    for name in path:
        if not isinstance(value, dict):
            return value
        if all(str(key) != name for key in value):
            return _ABSENT
        value = _step(value, name)
    return value


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return next((inner for key, inner in value.items() if str(key) == name), None)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return None


def _path(key: str) -> _Path:
    return tuple(step or name for step, name in _STEP.findall(key))


def _absolute(reference: str, path: _Path) -> _Path:
    """Return the path of an interpolated key: `.x` is a sibling of the key at `path`, `..x` a sibling of its parent."""
    name = reference.lstrip(".")
    up = len(reference) - len(name)
    return (*(path[:-up] if up else ()), *_path(name))


def _position(trace: OverrideTrace) -> Location:
    return Location(COMMAND_LINE, trace.index)


def _text_after(override: str) -> str:
    return override if override.startswith("~") else override.partition("=")[2]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _choices(entry: Any) -> Iterator[tuple[str, Any]]:
    """Yield the group and option of an entry of a defaults list: `- model: x`, or `- model/x`."""
    if isinstance(entry, dict):
        yield from ((str(name), option) for name, option in entry.items())
    elif isinstance(entry, str) and "/" in entry:
        group, _, option = entry.rpartition("/")
        yield group, option


def _group(key: str) -> str:
    return key.partition("@")[0].lstrip("/")


def _is_group(name: str, group: str, layer: Layer) -> bool:
    """Return whether a name in a file's defaults list is the group: absolute, or relative to the file's folder."""
    plain = _group(name)
    folder = group.removesuffix(f"/{plain}")
    return plain == group or (folder != group and layer.file.parent.as_posix().endswith(f"/{folder}"))


def _unique(origins: Iterable[Origin]) -> tuple[Location, ...]:
    return tuple(dict.fromkeys(origin.location for origin in origins))
