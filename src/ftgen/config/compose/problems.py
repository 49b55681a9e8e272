"""Diagnostics for errors of Hydra and OmegaConf, with locations and suggestions."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen import spec
from ftgen.config.compose.section import dotted_keys
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, error


def significant_line(failure: Exception) -> str:
    """Return the significant line of an error of Hydra or OmegaConf: the last for a parse error, else the first."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    significant = [
        line for line in lines if not line.startswith(("full_key:", "object_type=", "See https:", "reference_type="))
    ]
    return (
        significant[-1]
        if isinstance(failure, OverrideParseException) and significant
        else (significant[0] if significant else type(failure).__name__)
    )


def position(override: Override, overrides: Sequence[Override]) -> int:
    """Return the position of an override on the command line, from 1; 0 if it was not typed there."""
    return next((i for i, other in enumerate(overrides, 1) if other is override), 0)


def unknown_group(override: Override, groups: Sequence[str], overrides: Sequence[Override]) -> Diagnostic:
    """Report an override of an unknown group, with a suggestion."""
    group = override.key_or_group
    near = difflib.get_close_matches(group, groups, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"the groups are {', '.join(groups)}"
    location = Location(COMMAND_LINE, position(override, overrides))
    return error("FT011", f"there is no group {group!r}", group, override.input_line, hint).at(location)


def unknown_option(
    override: Override, option: str, options: Sequence[str], overrides: Sequence[Override]
) -> Diagnostic:
    """Report an unknown option of a group, with suggestions."""
    group = override.key_or_group
    near = difflib.get_close_matches(option, options, 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(options)}"
    location = Location(COMMAND_LINE, position(override, overrides))
    headline = f"the group {group} has no option {option!r}"
    return error("FT011", headline, group, override.input_line, hint).at(location)


def broken_defaults(failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
    """Report Hydra's error about a defaults list, located at the override that the error names."""
    headline = significant_line(failure)
    for number, override in enumerate(overrides, 1):
        group = override.get_key_element().lstrip("+~")
        if f"'{group}'" in headline or (override.value() is None and "NoneType" in headline):
            if headline.startswith("Could not override"):
                message = f"the group {group} is not in the defaults list"
                cure = f"write {_adding(override)} to add it"
                return error("FT011", message, group, override.input_line, cure).at(Location(COMMAND_LINE, number))
            return error("FT011", headline, group, override.input_line).at(Location(COMMAND_LINE, number))
    return error("FT011", headline)


def unknown_key(override: Override, config: DictConfig, failure: Exception) -> Diagnostic:
    """Report Hydra's error about setting a key, with suggestions."""
    key = override.key_or_group
    cause = str(failure).strip().splitlines()[0]
    if cause.startswith("Error merging") and isinstance(_selected(config, key), ListConfig):
        return error(
            "FT012",
            f"{key} is a list, and a mapping cannot be merged into it",
            key,
            override.input_line,
            f"write {shlex.quote(f'{key}=[…]')}",
        )
    if "Could not override" not in cause:
        return error("FT012", cause, key, override.input_line)
    known = {*dotted_keys(config)}
    key = _first_unknown(key, override.value(), known)
    near = _trainer_arguments(key, config) or similar_keys(key, known)
    hint = f"did you mean {', '.join(near)}?" if near else "`ftgen schema` lists every key, `ftgen groups` every group"
    return error("FT012", f"there is no key {key!r}", key, override.input_line, hint)


def _adding(override: Override) -> str:
    """Return the override that adds what this one would change, as a word for a shell."""
    return shlex.quote(f"+{override.input_line}")


def _first_unknown(key: str, value: Any, known: Collection[str]) -> str:
    """Return the first key in a mapping that no file has; the mapping's own key where it has none itself."""
    inner = {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) and key in known else {}
    found = (_first_unknown(name, part, known) for name, part in inner.items() if key not in spec.free_mappings())
    return next((name for name in found if name not in known), key)


def similar_keys(key: str, keys: Iterable[str]) -> list[str]:
    """Return similar keys, among them those that no file sets: by the whole key, else by its last part."""
    section = key.split(".")[:-1]
    unset = (".".join((*section, name)) for name in spec.known_keys(section))
    known = sorted(each for each in {*keys, *unset} if not key.startswith(f"{each}."))
    last_parts = {k: k.rpartition(".")[2] for k in known}
    similar_parts = difflib.get_close_matches(key.rpartition(".")[2], [*last_parts.values()], 1, 0.7)
    return (
        difflib.get_close_matches(key, known, 1, 0.85)
        or [k for k in known if last_parts[k] in similar_parts][:3]
        or difflib.get_close_matches(key, known, 3, 0.6)
    )


def _trainer_arguments(key: str, config: DictConfig) -> list[str]:
    """Return `trainer.args.X` for a key whose last part resembles a trainer argument X."""
    from ftgen.trainers.surface import surface, versions  # noqa: PLC0415 - only errors need it

    version = str(_selected(config, "trainer.version"))
    names = surface(version).arguments if version in versions() else {}
    return [f"trainer.args.{name}" for name in difflib.get_close_matches(key.rpartition(".")[2], names, 1, 0.8)]


def _selected(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None
