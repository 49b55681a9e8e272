"""Hydra's plugins in a configuration: ftgen launches and logs nothing, so that choosing one has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from ftgen.config.compose.entries import Entry
from ftgen.config.compose.grammar import is_hydras
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, error, note

SWEEPER = "hydra/sweeper"
_SECTIONS = ("launcher", "callbacks")
_HELP = "remove it; `ftgen --hydra-help` says what of Hydra has no effect"


def notes(overrides: Sequence[Override], entries: Iterable[Entry], hydra: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Yield a note for each plugin that is chosen or configured and has no effect.

    Args:
        overrides: the command line.
        entries: entries of the files' defaults lists that choose options of Hydra's groups.
        hydra: content of the node `hydra`.
    """
    for position, override in enumerate(overrides, 1):
        if is_hydras(override) and override.key_or_group != SWEEPER:
            text = str(override.input_line)
            yield _ignored(text, str(override.key_or_group), text).at(Location(COMMAND_LINE, position))
    for entry in entries:
        if entry.group != SWEEPER:
            yield _ignored(f"{entry.group}={','.join(entry.options)}", entry.group, entry.config).at(entry.at())
    for section in _SECTIONS:
        if hydra.get(section):
            yield _ignored(f"hydra.{section}", f"hydra.{section}")


def sweepers(entries: Iterable[Entry]) -> Iterator[Diagnostic]:
    """Yield an error for each sweeper but `basic` that a file chooses."""
    for entry in entries:
        if entry.group == SWEEPER and entry.options != ("basic",):
            option = ",".join(entry.options)
            headline = f"{entry.config} chooses the sweeper {option}, a plugin whose code only the command line may run"
            help_ = f"add hydra/sweeper={option}; or hydra/sweeper=basic, in whose place ftgen enumerates the points"
            yield error("FT030", headline, SWEEPER, option, help_).at(entry.at())


def _ignored(what: str, subject: str, value: object = "") -> Diagnostic:
    return note("FT037", f"{what} is ignored: ftgen writes files and launches nothing", subject, value, _HELP)
