"""Provenance of a composition: its files in merge order and its overrides by position."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Layer(Struct, frozen=True):
    """Configuration file of the defaults list.

    Attributes:
        file: path of the file.
        display: its path as the user would type it.
        package: dotted key of its content; empty for the top level.
    """

    file: Path
    display: str
    package: str


class OverrideTrace(Struct, frozen=True):
    """Command-line override; `index` is its position on the command line, from 1."""

    index: int
    text: str
    key: str


class EnvironmentRead(Struct, frozen=True):
    """Read of an environment variable (`${oc.env:…}`) while a value was resolved.

    Attributes:
        key: dotted key of the value; an item of a list is `KEY[NUMBER]`.
        variable: name of the variable.
        value: text that it gave, or the default's.
    """

    key: str
    variable: str
    value: str

    def __repr__(self) -> str:
        # The value may be a secret.
        return f"{type(self).__name__}({self.key!r}, {self.variable!r})"


class Trace(Struct, frozen=True):
    """Provenance of a composition.

    Attributes:
        layers: configuration files in merge order.
        overrides: command-line overrides of values.
        choices: command-line overrides that choose an option; `key` is the group.
    """

    layers: tuple[Layer, ...]
    overrides: tuple[OverrideTrace, ...]
    choices: tuple[OverrideTrace, ...]
