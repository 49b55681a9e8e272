"""Hydra's own node: which keys it has and of what type, as Hydra itself declares them.

ftgen reads few of them (the mode, the search path, the sweeper's parameters).  The others mean nothing where
manifests are written, but they are no mistake; a key that Hydra does not have either is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from ftgen.compose.problems import last_line
from ftgen.compose.section import DIRECTIVES, is_section, keys
from ftgen.diagnostics import Diagnostic, error


def directives_problems(config: DictConfig) -> Iterator[Diagnostic]:
    """One problem for each node that says how to run and is no mapping, and for each key that Hydra does not have."""
    for directive in DIRECTIVES:
        node: Any = config._get_node(directive, validate_access=False)  # noqa: SLF001 - as written, unresolved
        if is_section(node):
            said: Any = OmegaConf.to_container(node, resolve=False)
            yield from _strange(said) if directive == "hydra" else ()
        elif node is not None and node._value() is not None:  # noqa: SLF001 - null says nothing
            help_ = f"set keys of it: {directive}.KEY"
            yield error("FT012", f"{directive} cannot be set: it is a mapping", directive, node._value(), help_)  # noqa: SLF001


def _strange(said: Mapping[Any, Any]) -> Iterator[Diagnostic]:
    for key, value in said.items():
        try:
            OmegaConf.merge(_declared(), {key: value})
        except (OmegaConfBaseException, ValueError) as failure:
            yield _refused(failure, str(key), value)
    yield from _sweeper(said.get("sweeper"))


@cache
def _declared() -> DictConfig:
    from hydra.conf import HydraConf  # noqa: PLC0415 - most configurations say nothing of Hydra

    declared: DictConfig = OmegaConf.structured(HydraConf)
    return declared


def _refused(failure: Exception, key: str, value: Any) -> Diagnostic:
    full = f"hydra.{getattr(failure, 'full_key', None) or key}"
    if not isinstance(failure, ConfigKeyError):
        return error("FT012", f"{full} cannot be set: {last_line(failure)}", full, value)
    known = [f"hydra.{name}" for name in keys(_declared())]
    near = difflib.get_close_matches(full, known, 1, 0.7)
    help_ = f"did you mean {near[0]}?" if near else "remove it; ftgen reads hydra.mode, .searchpath and .sweeper.params"
    return error("FT012", f"Hydra has no key {full!r}", full, value, help_)


def _sweeper(said: Any) -> Iterator[Diagnostic]:
    """The sweeper's node is a plugin's, which Hydra declares apart."""
    if not isinstance(said, Mapping | None):
        told = "hydra.sweeper cannot be set: it is a mapping, with the axes under params"
        yield error("FT012", told, "hydra.sweeper", said, "write hydra.sweeper.params: {KEY: VALUES}")
    elif not isinstance((said or {}).get("params"), Mapping | None):
        told = "hydra.sweeper.params cannot be set: it is a mapping of keys to values in Hydra's grammar"
        yield error("FT012", told, "hydra.sweeper.params", said and said["params"], "write {KEY: 'VALUE,VALUE'}")
