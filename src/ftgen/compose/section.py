"""Sections of a configuration: which keys there are, and the nodes that are no part of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

DIRECTIVES = ("hydra", "sweep")
"""Nodes that say how to run, not what: no part of a job's configuration."""


def taken_out(config: DictConfig, node: str) -> dict[str, Any]:
    """Remove a node from the configuration; gives its content, unresolved, or nothing where it is no mapping."""
    with open_dict(config):
        taken = config.pop(node, None)
    return OmegaConf.to_container(taken, resolve=False) if isinstance(taken, DictConfig) else {}  # type: ignore[return-value]


def keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """The full names of all keys, sections before what is in them."""
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        yield key
        if is_section(value):
            yield from keys(value, f"{key}.")


def is_section(value: Any) -> bool:
    """Whether it is a mapping with keys of its own, rather than null, missing or a reference to one."""
    special = isinstance(value, DictConfig) and (value._is_none() or value._is_missing() or value._is_interpolation())  # noqa: SLF001
    return isinstance(value, DictConfig) and not special


def leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their full keys; an empty mapping is a value."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
