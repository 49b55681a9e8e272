"""The chosen files laid over one another, and the command line's values over them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict
from omegaconf.errors import OmegaConfBaseException

from ftgen import spec
from ftgen.compose.problems import last_line, position, unknown_key
from ftgen.compose.section import DIRECTIVES, is_section
from ftgen.compose.sources import Repository
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error


def merge(defaults: DefaultsList, repository: Repository) -> dict[str, Any]:
    """The content of the files of a defaults list, each under its package, merged in their order."""
    merged: dict[str, Any] = {}
    for default in defaults.defaults:
        if default.config_path is None:
            continue
        content, header = repository.source(default.config_path).read(default.config_path)
        package = header["package"] if default.package is None else default.package
        merged = _overlaid(merged, _under(package or "", {k: v for k, v in content.items() if k != "defaults"}))
    return merged


def _under(package: str, content: dict[str, Any]) -> dict[str, Any]:
    for name in reversed(package.split(".") if package else []):
        content = {name: content}
    return content


def _overlaid(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """OmegaConf's merge of untyped mappings: mappings merge, all else replaces, `???` keeps what is there."""
    result = dict(base)
    for key, value in above.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = _overlaid(below, value)
        elif not (value == "???" and key in result):
            result[key] = value
    return result


def configured(merged: dict[str, Any]) -> DictConfig:
    """OmegaConf's view of the merged files, closed to unknown keys where keys are known."""
    content = {**{directive: {} for directive in DIRECTIVES}, **merged}
    try:
        config = _assembled(content)
    except OmegaConfBaseException as failure:
        raise Rejected([error("FT014", last_line(failure), _key(failure))]) from None
    OmegaConf.set_struct(config, True)
    for directive in DIRECTIVES:
        if is_section(node := config._get_node(directive)):  # noqa: SLF001 - as written, unresolved
            OmegaConf.set_struct(node, False)  # type: ignore[arg-type]
    for key in spec.free_mappings():
        node = OmegaConf.select(config, key, throw_on_resolution_failure=False, throw_on_missing=False)
        if isinstance(node, DictConfig):
            OmegaConf.set_struct(node, False)
    return config


def _assembled(content: dict[str, Any]) -> DictConfig:
    """What OmegaConf makes of a mapping, from sections that it has made before."""
    config = OmegaConf.create()
    try:
        with flag_override(config, "no_deepcopy_set_nodes", values=True):
            for key, value in content.items():
                config[key] = _section(value) if isinstance(value, dict) else value
    except (OmegaConfBaseException, RecursionError):
        # It refuses a key by its full name only where it is given all of them.
        return OmegaConf.create(content)
    return config


def _section(content: dict[str, Any]) -> DictConfig:
    """OmegaConf's view of a section; combinations of options share sections, and a copy takes a tenth of the time."""
    made: DictConfig = pickle.loads(_pickled(pickle.dumps(content)))  # noqa: S301 - our own
    return made


@lru_cache(maxsize=512)
def _pickled(content: bytes) -> bytes:
    return pickle.dumps(OmegaConf.create(pickle.loads(content)))  # noqa: S301 - our own


def _key(failure: OmegaConfBaseException) -> str:
    return str(failure.full_key or "")


def apply(applied: Sequence[Override], config: DictConfig, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    """Set the values of overrides in `config`, one after the other; a problem for each that cannot be set.

    Args:
        applied: those that set values.
        config: written to.
        overrides: all of them, for their positions.
    """
    for override in applied:
        try:
            ConfigLoaderImpl._apply_overrides_to_config([_admissible(override, config)], config)  # noqa: SLF001
        except ConfigCompositionException as failure:
            place = Location(COMMAND_LINE, position(override, overrides))
            yield unknown_key(override, config, failure).at(place)
        except (OmegaConfBaseException, ValueError, TypeError) as failure:
            key, place = override.key_or_group, Location(COMMAND_LINE, position(override, overrides))
            yield error("FT012", f"{key} cannot be set: {last_line(failure)}", key, override.input_line).at(place)
        except RecursionError:
            key, place = override.key_or_group, Location(COMMAND_LINE, position(override, overrides))
            yield error("FT010", f"the value of {key} is nested too deeply", key, override.input_line).at(place)


def _admissible(override: Override, config: DictConfig) -> Override:
    """A key that the specification knows may be set even where the chosen option left it out."""
    if override.is_delete() or override.is_add() or override.is_force_add():
        return override
    key = override.key_or_group
    parent, _, name = key.rpartition(".")
    section = OmegaConf.select(config, parent, throw_on_resolution_failure=False) if parent else config
    if section is None and spec.knows(parent) and spec.knows(key):
        OmegaConf.update(config, parent, {}, force_add=True)
        section = OmegaConf.select(config, parent)
    if isinstance(section, DictConfig) and name not in section and spec.knows(key):
        with open_dict(section):
            section[name] = None
    return override
