"""Hydra's plugins and its own settings in a configuration: ftgen launches and logs nothing, so they have no effect.

Of a file only what would reach the job under Hydra is told: output folders and logging stand in many configurations,
and no reader expects them in a manifest.  Whoever types such a setting expects something of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from ftgen.config.compose.entries import Entry
from ftgen.config.compose.grammar import is_hydras
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, error, note
from ftgen.text.shapes import mapping

SWEEPER = "hydra/sweeper"
_HELP = "remove it; `ftgen --hydra-help` says what of Hydra has no effect"
_VARIABLES = "set the variables of the job's container: hardware.env, or trainer.env of a command"
_SECTIONS = {
    "hydra.launcher": _HELP,
    "hydra.callbacks": _HELP,
    "hydra.job.env_set": _VARIABLES,
    "hydra.job.env_copy": _VARIABLES,
}
"""What has no effect wherever it is set, and what to do instead."""
_ACTED_ON = ("hydra.mode", "hydra.searchpath", "hydra.sweeper", "hydra.job.config")
_TYPED = {
    "hydra.run": "remove it; -o chooses the folder that is written",
    "hydra.sweep": "remove it; -o chooses the folder that is written",
    "hydra.job.name": "write name=… to name the run",
}
"""What to do instead of what was typed."""
_REFERENCE = re.compile(r"\bhydra[:.](?P<key>[\w.]+)")


def notes(
    overrides: Sequence[Override], entries: Iterable[Entry], hydra: Mapping[str, Any], texts: Callable[[], str]
) -> Iterator[Diagnostic]:
    """Yield a note for each plugin or setting of Hydra's own that is chosen or configured and has no effect.

    Args:
        overrides: the command line.
        entries: entries of the files' defaults lists that choose options of Hydra's groups.
        hydra: content of the node `hydra`.
        texts: returns what may refer to that node: the configuration, and the overrides of its keys.
    """
    for position, override in enumerate(overrides, 1):
        if is_hydras(override) and override.key_or_group != SWEEPER:
            text = str(override.input_line)
            yield _ignored(text, str(override.key_or_group), text).at(Location(COMMAND_LINE, position))
    for entry in entries:
        if entry.group != SWEEPER:
            yield _ignored(f"{entry.group}={','.join(entry.options)}", entry.group, entry.config).at(entry.at())
    for key, help_ in _SECTIONS.items():
        if _value_at({"hydra": hydra}, key):
            yield _ignored(key, key, help_=help_)
    yield from _typed_settings(overrides, texts)


def _value_at(node: Mapping[str, Any], key: str) -> Any:
    *sections, last = key.split(".")
    for section in sections:
        node = mapping(node.get(section))
    return node.get(last)


def _typed_settings(overrides: Sequence[Override], texts: Callable[[], str]) -> Iterator[Diagnostic]:
    """Yield a note for each setting that somebody typed, that nothing acts on and no interpolation refers to."""
    for position, override in enumerate(overrides, 1):
        key = str(override.key_or_group)
        if (
            not key.startswith("hydra.")
            or override.is_delete()
            or any(_covers(k, key) for k in (*_ACTED_ON, *_SECTIONS))
        ):
            continue
        if not any(_covers(named, key) or _covers(key, named) for named in _references(texts())):
            help_ = next((each for section, each in _TYPED.items() if _covers(section, key)), _HELP)
            yield _ignored(key, key, help_=help_).at(Location(COMMAND_LINE, position))


def _references(text: str) -> set[str]:
    return {f"hydra.{found['key']}" for found in _REFERENCE.finditer(text)}


def _covers(section: str, key: str) -> bool:
    return f"{key}.".startswith(f"{section}.")


def sweepers(entries: Iterable[Entry]) -> Iterator[Diagnostic]:
    """Yield an error for each sweeper but `basic` that a file chooses."""
    for entry in entries:
        if entry.group == SWEEPER and entry.options != ("basic",):
            option = ",".join(entry.options)
            headline = f"{entry.config} chooses the sweeper {option}, a plugin whose code only the command line may run"
            help_ = f"add hydra/sweeper={option}; or hydra/sweeper=basic, in whose place ftgen enumerates the points"
            yield error("FT030", headline, SWEEPER, option, help_).at(entry.at())


def _ignored(what: str, subject: str, value: object = "", help_: str = _HELP) -> Diagnostic:
    return note("FT037", f"{what} is ignored: ftgen writes files and launches nothing", subject, value, help_)
