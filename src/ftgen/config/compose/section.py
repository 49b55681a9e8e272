"""Sections of a configuration: their keys, and the nodes that are no part of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

RUN_SECTIONS = ("hydra", "sweep")
"""Top-level nodes that control the run (sweeper, search path) and are no part of a job's configuration."""


def pop_section(config: DictConfig, node: str) -> dict[str, Any]:
    """Remove a node from the configuration and return its content, unresolved; `{}` if it is no mapping."""
    with open_dict(config):
        removed = config.pop(node, None)
    return OmegaConf.to_container(removed, resolve=False) if isinstance(removed, DictConfig) else {}  # type: ignore[return-value]


def dotted_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield all dotted keys, each section before its content."""
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        yield key
        if is_section(value):
            yield from dotted_keys(value, f"{key}.")


def is_section(value: Any) -> bool:
    """Return whether a value is a mapping with its own keys, not null, `???` or an interpolation."""
    special = isinstance(value, DictConfig) and (value._is_none() or value._is_missing() or value._is_interpolation())  # noqa: SLF001
    return isinstance(value, DictConfig) and not special


def flatten(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of each leaf; an empty mapping is a leaf."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
