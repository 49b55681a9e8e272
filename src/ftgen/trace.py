"""What a composition was made of: the files in merge order and the overrides by position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layer:
    """A configuration file of the defaults list.

    Attributes:
        file: where it was read.
        display: its path as the user would type it.
        package: the dotted key its content went under; empty for the top.
    """

    file: Path
    display: str
    package: str


@dataclass(frozen=True, slots=True)
class OverrideTrace:
    """A command-line override of a value: `index` counts from 1 among the overrides."""

    index: int
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A composition's making.

    Attributes:
        layers: the configuration files in merge order.
        overrides: the command-line overrides of values.
        choices: the command-line overrides that choose an option; `key` is the group.
    """

    layers: tuple[Layer, ...]
    overrides: tuple[OverrideTrace, ...]
    choices: tuple[OverrideTrace, ...]
