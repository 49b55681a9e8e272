"""Merge of the chosen files, and of the command line's values over them."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict
from omegaconf.errors import OmegaConfBaseException

from ftgen import spec
from ftgen.config.compose.grammar import ListExtension
from ftgen.config.compose.problems import position, significant_line, unknown_key
from ftgen.config.compose.section import RUN_SECTIONS, is_section
from ftgen.config.compose.sources import Repository
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error


def merge(defaults: DefaultsList, repository: Repository) -> dict[str, Any]:
    """Merge the files of a defaults list in order, each under its package."""
    merged: dict[str, Any] = {}
    for default in defaults.defaults:
        if default.config_path is not None:
            merged = _merged(merged, _embedded(default, repository))
    return merged


def misplaced_searchpaths(defaults: DefaultsList, repository: Repository) -> Iterator[Diagnostic]:
    """Yield a problem for each option that sets `hydra.searchpath`: options are found by it, so that it comes first.

    Hydra refuses it as well (`ConfigLoaderImpl._load_single_config`).
    """
    for default in defaults.defaults:
        if default.config_path is None or default.primary or "/" not in default.config_path:
            continue
        hydra = _embedded(default, repository).get("hydra")
        if isinstance(hydra, dict) and hydra.get("searchpath") is not None:
            headline = f"{default.config_path}.yaml sets hydra.searchpath, which only the primary file may"
            help_ = "write it into conf/config.yaml, or on the command line: hydra.searchpath=[…]"
            yield error("FT012", headline, "hydra.searchpath", hydra["searchpath"], help_)


def searchpaths_too_late(overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    """Yield a problem for each override that changes `hydra.searchpath` in another form than `hydra.searchpath=[…]`.

    Options are found by that form alone, before any override is applied; Hydra takes the others and passes them over
    (`ConfigLoaderImpl._process_config_searchpath`).
    """
    for number, override in enumerate(overrides, 1):
        key, value = override.key_or_group, override.value()
        within = key == "hydra" and isinstance(value, dict) and "searchpath" in map(str, value)
        if within or key.startswith("hydra.searchpath.") or (key == "hydra.searchpath" and override.is_delete()):
            headline = f"{override.input_line} comes too late: options are found by hydra.searchpath before it is set"
            help_ = "write hydra.searchpath=[…], and hydra.searchpath=[] for none"
            found = error("FT012", headline, "hydra.searchpath", override.input_line, help_)
            yield found.at(Location(COMMAND_LINE, number))


def _embedded(default: ResultDefault, repository: Repository) -> dict[str, Any]:
    """Return the content of a file under its package."""
    content, header = repository.source(str(default.config_path)).read(str(default.config_path))
    package = header["package"] if default.package is None else default.package
    return _under(package or "", {k: v for k, v in content.items() if k != "defaults"})


def _under(package: str, content: dict[str, Any]) -> dict[str, Any]:
    for name in reversed(package.split(".") if package else []):
        content = {name: content}
    return content


def _merged(base: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Merge as OmegaConf does untyped mappings: mappings merge, other values replace, `???` keeps the lower value."""
    result = dict(base)
    for key, value in upper.items():
        lower = result.get(key)
        if isinstance(lower, dict) and isinstance(value, dict):
            result[key] = _merged(lower, value)
        elif not (value == "???" and key in result):
            result[key] = value
    return result


_MOST_VALUES = 20_000
"""Most values of a composition: a file may be chosen under many keys, and OmegaConf takes long for each value."""


def _refuse_many(merged: dict[str, Any]) -> None:
    """Refuse a composition of more values than anyone writes."""
    found: deque[Any] = deque([merged])
    left = _MOST_VALUES
    while found:
        value = found.popleft()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left -= len(inner)
        if left < 0:
            headline = f"the files of the defaults list hold more than {_MOST_VALUES} values together"
            raise Rejected([error("FT011", headline, help="choose each file once, and leave out what no job needs")])
        found.extend(inner)


def configured(merged: dict[str, Any]) -> DictConfig:
    """Convert the merged files to a DictConfig that refuses unknown keys, except in free mappings."""
    _refuse_many(merged)
    content = {**{section: {} for section in RUN_SECTIONS}, **merged}
    try:
        config = _dict_config(content)
    except OmegaConfBaseException as failure:
        raise Rejected([error("FT014", significant_line(failure), _key(failure))]) from None
    except RecursionError:
        headline = "an interpolation holds others, each in the one before, deeper than can be read"
        raise Rejected([error("FT014", headline, help="give the inner ones keys of their own")]) from None
    OmegaConf.set_struct(config, True)
    for section in RUN_SECTIONS:
        if is_section(node := config._get_node(section)):  # noqa: SLF001 - as written, unresolved
            OmegaConf.set_struct(node, False)  # type: ignore[arg-type]
    for key in spec.free_mappings():
        node = OmegaConf.select(config, key, throw_on_resolution_failure=False, throw_on_missing=False)
        if isinstance(node, DictConfig):
            OmegaConf.set_struct(node, False)
    return config


def _dict_config(content: dict[str, Any]) -> DictConfig:
    """Build a DictConfig from a mapping, reusing the sections built before."""
    config = OmegaConf.create()
    try:
        with flag_override(config, "no_deepcopy_set_nodes", values=True):
            for key, value in content.items():
                config[key] = _section(value) if isinstance(value, dict) else value
    except (OmegaConfBaseException, RecursionError):
        # OmegaConf names the full key in its error only if it creates the whole configuration.
        return OmegaConf.create(content)
    return config


def _section(content: dict[str, Any]) -> DictConfig:
    """Copy a section's DictConfig: combinations of options share sections, and a copy takes a tenth of the time."""
    section: DictConfig = pickle.loads(_pickled_section(pickle.dumps(content)))  # noqa: S301 - our own
    return section


@lru_cache(maxsize=512)
def _pickled_section(content: bytes) -> bytes:
    return pickle.dumps(OmegaConf.create(pickle.loads(content)))  # noqa: S301 - our own


def _key(failure: OmegaConfBaseException) -> str:
    return str(failure.full_key or "")


def apply(applied: Sequence[Override], config: DictConfig, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    """Set the values of overrides in `config`, in order, and yield a problem for each that cannot be set.

    Args:
        applied: overrides that set values.
        config: configuration to change.
        overrides: all overrides of the command line, for their positions.
    """
    for override in applied:
        try:
            ConfigLoaderImpl._apply_overrides_to_config([_extended(_with_key_added(override, config), config)], config)  # noqa: SLF001
        except ConfigCompositionException as failure:
            location = Location(COMMAND_LINE, position(override, overrides))
            yield unknown_key(override, config, failure).at(location)
        except (OmegaConfBaseException, ValueError, TypeError) as failure:
            key, location = override.key_or_group, Location(COMMAND_LINE, position(override, overrides))
            yield error("FT012", f"{key} cannot be set: {significant_line(failure)}", key, override.input_line).at(
                location
            )
        except RecursionError:
            key, location = override.key_or_group, Location(COMMAND_LINE, position(override, overrides))
            yield error("FT010", f"the value of {key} is nested too deeply", key, override.input_line).at(location)


def _with_key_added(override: Override, config: DictConfig) -> Override:
    """Add a key of the specification that the chosen option omits, so that the override can set it."""
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


def _extended(override: Override, config: DictConfig) -> Override:
    """Return an override that sets a list with the values that it is to be extended by.

    Raises:
        ValueError: the key holds something else; null, and a known key that nothing sets, count as an empty list.
    """
    if not isinstance(override, ListExtension):
        return override
    key = override.key_or_group
    present = OmegaConf.select(config, key, throw_on_missing=True)
    if present is not None and not OmegaConf.is_list(present):
        kind = "a mapping" if OmegaConf.is_config(present) else repr(present)
        raise ValueError(f"extend_list() appends to a list, and this is {kind}")
    items = [] if present is None else OmegaConf.to_container(present, resolve=False)
    return replace(override, _value=[*items, *override.value()])  # type: ignore[misc]
