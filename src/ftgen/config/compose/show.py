"""YAML of a composed configuration, as Hydra's `--cfg` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import hydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen.config.compose.grammar import is_about_hydra
from ftgen.config.compose.interpolation import broken_interpolations
from ftgen.config.compose.problems import significant_line
from ftgen.config.compose.process import hydra_resolver
from ftgen.diagnostics import Rejected, error

Kind = Literal["job", "hydra", "all"]
"""Part of a configuration to print, as the values of Hydra's `--cfg`."""


def hydra_node(
    configured: Mapping[str, Any], overrides: Sequence[Override], choices: Mapping[str, str], config_name: str
) -> dict[str, Any]:
    """Return the node `hydra` as far as ftgen has one: its configured content, and the values of `${hydra:…}`.

    Output folders, logging and launchers are not in it, for ftgen has none.
    """
    typed = [override.input_line or "" for override in overrides]
    by_target = {
        "hydra": [t for t in typed if is_about_hydra(t)],
        "task": [t for t in typed if not is_about_hydra(t)],
    }
    runtime = {"version": hydra.__version__, "choices": dict(choices)}
    defaults: dict[str, Any] = {
        "mode": None,
        "searchpath": [],
        "sweeper": {"params": None},
        "overrides": by_target,
        "job": {"name": "ftgen", "config_name": config_name},
        "runtime": runtime,
    }
    merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.unsafe_merge(defaults, dict(configured)))  # type: ignore[assignment]
    return merged


def part(config: DictConfig, hydra_content: Mapping[str, Any], sweep: Mapping[str, Any], kind: Kind) -> DictConfig:
    """Return the part to print: the job's configuration, the node `hydra`, or both with the node `sweep`."""
    if kind == "job":
        return config
    OmegaConf.set_struct(config, False)
    base = OmegaConf.create({"hydra": hydra_content})
    sweep_node = {"sweep": sweep} if sweep else {}
    return base if kind == "hydra" else cast(DictConfig, OmegaConf.unsafe_merge(base, config, sweep_node))


def as_yaml(config: DictConfig, package: str | None, choices: Mapping[str, str], *, resolved: bool) -> str:
    """Write the configuration, or its part at the key `package`, as YAML; a single value as plain text.

    Raises:
        Rejected: if there is no such key, and for each interpolation that does not resolve.
    """
    with hydra_resolver(choices):
        try:
            node = config if package in {None, "", "_global_"} else OmegaConf.select(config, package)
            if node is not None:
                return OmegaConf.to_yaml(node, resolve=resolved) if OmegaConf.is_config(node) else f"{node}\n"
        except (OmegaConfBaseException, ValueError, RecursionError) as failure:
            broken = list(broken_interpolations(config))
            raise Rejected(broken or [error("FT012", significant_line(failure), str(package))]) from None
    raise Rejected([error("FT012", f"there is no {package!r} in the configuration", str(package))])
