"""What was understood of an imported job: the options that come nearest, and the values that differ from theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Options = Callable[[str], Mapping[str, Mapping[str, Any]]]
"""The options of a group with their raw content, by name."""


@dataclass(frozen=True, slots=True)
class ImportedConfig:
    """An experiment to be.

    Attributes:
        name: its name, a DNS label.
        source: what it was imported from, as the user called it.
        choices: option by group.
        values: plain values by dotted key.
    """

    name: str
    source: str
    choices: Mapping[str, str]
    values: Mapping[str, Any]

    def without(self, key: str) -> ImportedConfig:
        """The proposal less what it says about a key: its value and those below and above it, or else its choice."""
        kept = {one: value for one, value in self.values.items() if not _related(one, key)}
        if len(kept) < len(self.values):
            return replace(self, values=kept)
        group = key.partition(".")[0]
        return replace(self, choices={one: option for one, option in self.choices.items() if one != group})

    def without_allowances(self) -> ImportedConfig:
        """The proposal with nothing accepted."""
        return replace(self, values={key: value for key, value in self.values.items() if not key.startswith("allow.")})

    def without_last_value(self) -> ImportedConfig:
        """The proposal without its last value; without its choices where no value but the name is left."""
        optional = [key for key in self.values if key != "name"]
        kept = {key: value for key, value in self.values.items() if key not in optional[-1:]}
        return replace(self, values=kept, choices=self.choices if optional else {})

    def without_defaults(self, config: Mapping[str, Any]) -> ImportedConfig:
        """The proposal without values that the choices alone compose to."""
        return replace(self, values={key: value for key, value in self.values.items() if _said(config, key) != value})

    def allowing(self, code: str) -> ImportedConfig:
        """The proposal with a diagnostic accepted: the imported job is as it is."""
        return replace(self, values={**self.values, f"allow.{code}": f"as in {self.source}"})


def _said(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _related(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
