"""Validation of Hydra's own node against the keys and types that Hydra declares.

ftgen reads few of its keys (the mode, the search path, the sweeper's parameters).  The others are accepted and
have no effect; a key that Hydra does not declare is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from ftgen.config.compose.problems import significant_line
from ftgen.config.compose.section import RUN_SECTIONS, dotted_keys, is_section
from ftgen.diagnostics import Diagnostic, error


def run_section_problems(config: DictConfig) -> Iterator[Diagnostic]:
    """Yield one problem for each of `hydra` and `sweep` that is no mapping, and for each key unknown to Hydra."""
    for section in RUN_SECTIONS:
        node: Any = config._get_node(section, validate_access=False)  # noqa: SLF001 - as written, unresolved
        if is_section(node):
            content: Any = OmegaConf.to_container(node, resolve=False)
            yield from _hydra_problems(content) if section == "hydra" else ()
        elif node is not None and node._value() is not None:  # noqa: SLF001 - null is no content
            help_ = f"set keys of it: {section}.KEY"
            yield error("FT012", f"{section} cannot be set: it is a mapping", section, node._value(), help_)  # noqa: SLF001


def _hydra_problems(content: Mapping[Any, Any]) -> Iterator[Diagnostic]:
    for key, value in content.items():
        try:
            OmegaConf.merge(_hydra_schema(), {key: value})
        except (OmegaConfBaseException, ValueError) as failure:
            yield _refused(failure, str(key), value)
    yield from _sweeper_problems(content.get("sweeper"))


@cache
def _hydra_schema() -> DictConfig:
    from hydra.conf import HydraConf  # noqa: PLC0415 - most configurations have no node of Hydra's

    schema: DictConfig = OmegaConf.structured(HydraConf)
    return schema


def _refused(failure: Exception, key: str, value: Any) -> Diagnostic:
    full = f"hydra.{getattr(failure, 'full_key', None) or key}"
    if not isinstance(failure, ConfigKeyError):
        return error("FT012", f"{full} cannot be set: {significant_line(failure)}", full, value)
    known = [f"hydra.{name}" for name in dotted_keys(_hydra_schema())]
    near = difflib.get_close_matches(full, known, 1, 0.7)
    help_ = f"did you mean {near[0]}?" if near else "remove it; ftgen reads hydra.mode, .searchpath and .sweeper.params"
    return error("FT012", f"Hydra has no key {full!r}", full, value, help_)


def _sweeper_problems(content: Any) -> Iterator[Diagnostic]:
    """Check the sweeper's node, which Hydra declares in the plugin."""
    if not isinstance(content, Mapping | None):
        headline = "hydra.sweeper cannot be set: it is a mapping, with the axes under params"
        yield error("FT012", headline, "hydra.sweeper", content, "write hydra.sweeper.params: {KEY: VALUES}")
    elif not isinstance((content or {}).get("params"), Mapping | None):
        headline = "hydra.sweeper.params cannot be set: it is a mapping of keys to values in Hydra's grammar"
        yield error(
            "FT012", headline, "hydra.sweeper.params", content and content["params"], "write {KEY: 'VALUE,VALUE'}"
        )
