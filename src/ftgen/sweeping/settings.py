"""The `sweep` section: settings of a sweep beyond the axes that Hydra's grammar can express.

It controls how points are made, never a job: it is removed from the configuration before a job is compiled,
so that a job's bytes do not depend on it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.sweeping.label import without_prefix


class Settings(Struct, frozen=True):
    """Checked `sweep` section.

    Attributes:
        name: folder of the sweep and base of its jobs' names; None: made from the keys that are not swept.
        axes: values by key, as if swept on the command line; a text is parsed by Hydra's grammar.
        zip: groups of keys whose axes advance together.
        exclude: conditions of points to drop.
        include: conditions of which a point must meet one, if there are any.
        shuffle: seed of the order of points.
        sample: number of points to keep, chosen by `shuffle`'s seed (0 without one).
        optional: keys to set only if the chosen options have them, where those of some point do.
        alias: abbreviation in labels, by key.
        max_parallel: number of jobs for which the queue's capability has room.
        also: further sweeps, whose points follow; of these settings they have axes, zip, exclude and include.
    """

    name: str | None = None
    axes: Mapping[str, Any] = field(default_factory=dict)
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    shuffle: int | None = None
    sample: int | None = None
    optional: frozenset[str] = frozenset()
    alias: Mapping[str, str] = field(default_factory=dict)
    max_parallel: int | None = None
    also: tuple[Settings, ...] = ()


def read(section: Mapping[str, Any]) -> Settings:
    """Check the section's plain content and return it as `Settings`.

    Raises:
        Rejected: FT031, for every key that is unknown or has a malformed value.
    """
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for key, value in section.items():
        try:
            values[key] = _READERS[key](value) if value is not None else None
        except KeyError:
            problems.append(_unknown(key))
        except ValueError as wrong:
            problems.append(error("FT031", f"sweep.{key} must be {wrong}, not {value!r}", f"sweep.{key}", value))
    if problems:
        raise Rejected(problems)
    return Settings(**{key: value for key, value in values.items() if value is not None})


def _unknown(key: str) -> Diagnostic:
    near = difflib.get_close_matches(key, _READERS, 1, 0.5)
    hint = f"did you mean sweep.{near[0]}?" if near else f"a sweep knows {', '.join(_READERS)}"
    return error("FT031", f"a sweep has no {key!r}", f"sweep.{key}", help=hint)


def _name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", value):
        return value
    raise ValueError("a name of letters, digits, dots and dashes that starts with a letter")


def _axes(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("a mapping of keys to lists of values")
    if wrong := [key for key, values in value.items() if not isinstance(values, (list, str))]:
        raise ValueError(f"a mapping of keys to lists of values ({wrong[0]} has none)")
    return value


def _pairs(value: Any) -> tuple[tuple[str, ...], ...]:
    listed = value if isinstance(value, list) else []
    groups = [listed] if all(isinstance(item, str) for item in listed) else listed
    if all(isinstance(g, list) and len(g) > 1 and all(isinstance(k, str) for k in g) for g in groups) and groups:
        return tuple(tuple(map(without_prefix, group)) for group in groups)
    raise ValueError("a list of two or more keys, or a list of such lists")


def _texts(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    raise ValueError("a text or a list of texts")


def _aliases(value: Any) -> dict[str, str]:
    label = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
    if isinstance(value, dict) and all(isinstance(a, str) and label.fullmatch(a) for a in value.values()):
        return {without_prefix(str(key)): alias for key, alias in value.items()}
    raise ValueError("a mapping of keys to words of small letters, digits and dashes")


def _further(value: Any) -> tuple[Settings, ...]:
    sweeps = value if isinstance(value, list) else [value]
    if not all(isinstance(sweep, dict) and sweep.get("axes") for sweep in sweeps):
        raise ValueError("a list of sweeps, each a mapping with axes")
    if unknown := [str(key) for sweep in sweeps for key in sweep if key not in _OF_FURTHER]:
        raise ValueError(f"a list of sweeps, each with {', '.join(_OF_FURTHER)} and no {unknown[0]}")
    return tuple(read(sweep) for sweep in sweeps)


_OF_FURTHER = ("axes", "zip", "exclude", "include")


def _whole(minimum: int) -> Callable[[Any], int]:
    def read_whole(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= minimum:
            return value
        raise ValueError(f"a whole number from {minimum} on")

    return read_whole


_READERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "axes": _axes,
    "zip": _pairs,
    "exclude": _texts,
    "include": _texts,
    "shuffle": _whole(0),
    "sample": _whole(1),
    "optional": lambda value: frozenset(map(without_prefix, _texts(value))),
    "alias": _aliases,
    "max_parallel": _whole(1),
    "also": _further,
}
assert _READERS.keys() == {f.name for f in fields(Settings)}  # noqa: S101 - one reader for each field
