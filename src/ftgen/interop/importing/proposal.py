"""Configuration derived from an imported job: the closest options, and the values that differ from theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

Options = Callable[[str], Mapping[str, Mapping[str, Any]]]
"""Function from a group to its options' raw content, by name."""


class ImportedConfig(Struct, frozen=True):
    """The configuration of an imported experiment.

    Attributes:
        name: name of the experiment, a DNS label.
        source: file or command that it was imported from, as the user named it.
        choices: chosen option by group.
        values: plain values by dotted key.
    """

    name: str
    source: str
    choices: Mapping[str, str]
    values: Mapping[str, Any]

    def without(self, key: str) -> ImportedConfig:
        """Remove the value of a key and those below and above it, or if there is none, the choice of its group."""
        kept = {other: value for other, value in self.values.items() if not _overlap(other, key)}
        if len(kept) < len(self.values):
            return replace(self, values=kept)
        group = key.partition(".")[0]
        return replace(self, choices={other: option for other, option in self.choices.items() if other != group})

    def without_allowances(self) -> ImportedConfig:
        """Remove the values below `allow`."""
        return replace(self, values={key: value for key, value in self.values.items() if not key.startswith("allow.")})

    def without_last_value(self) -> ImportedConfig:
        """Remove the last value, or if the name is the only one, all choices."""
        optional = [key for key in self.values if key != "name"]
        kept = {key: value for key, value in self.values.items() if key not in optional[-1:]}
        return replace(self, values=kept, choices=self.choices if optional else {})

    def without_defaults(self, config: Mapping[str, Any]) -> ImportedConfig:
        """Remove values equal to those of `config`, which the choices alone compose to."""
        return replace(self, values={key: value for key, value in self.values.items() if _get(config, key) != value})

    def allowing(self, code: str) -> ImportedConfig:
        """Allow a diagnostic's code, with the source as the reason."""
        return replace(self, values={**self.values, f"allow.{code}": f"as in {self.source}"})


def _get(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _overlap(one: str, other: str) -> bool:
    """Return whether two dotted keys are equal, or one is a section that contains the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
