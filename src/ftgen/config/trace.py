"""Provenance of a composition: its files in merge order and its overrides by position."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layer:
    """Configuration file of the defaults list.

    Attributes:
        file: path of the file.
        display: its path as the user would type it.
        package: dotted key of its content; empty for the top level.
    """

    file: Path
    display: str
    package: str


@dataclass(frozen=True, slots=True)
class OverrideTrace:
    """Command-line override; `index` is its position on the command line, from 1."""

    index: int
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class EnvironmentRead:
    """Read of an environment variable (`${oc.env:…}`) while a value was resolved.

    Attributes:
        key: dotted key of the value; an item of a list is `KEY[NUMBER]`.
        variable: name of the variable.
        value: text that it gave, or the default's.
    """

    key: str
    variable: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """Provenance of a composition.

    Attributes:
        layers: configuration files in merge order.
        overrides: command-line overrides of values.
        choices: command-line overrides that choose an option; `key` is the group.
    """

    layers: tuple[Layer, ...]
    overrides: tuple[OverrideTrace, ...]
    choices: tuple[OverrideTrace, ...]
