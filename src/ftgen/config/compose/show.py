"""YAML of a composed configuration, as Hydra's `--cfg` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.conf import JobConf
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen.config.compose.grammar import is_about_hydra
from ftgen.config.compose.interpolation import broken_interpolations
from ftgen.config.compose.problems import significant_line
from ftgen.config.compose.process import HYDRA_VERSION, WithHydra, resolvers
from ftgen.diagnostics import Rejected, error

_WHOLE = (None, "", "_global_")
"""Packages that stand for all of the configuration."""

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
    runtime = {"version": HYDRA_VERSION, "choices": dict(choices)}
    settings = _dirname_settings(configured)
    tasks = [override for override in overrides if not is_about_hydra(override.input_line or "")]
    defaults: dict[str, Any] = {
        "mode": None,
        "searchpath": [],
        "sweeper": {"params": None},
        "overrides": by_target,
        "job": {
            "name": "ftgen",
            "config_name": config_name,
            "override_dirname": get_overrides_dirname(tasks, **settings),
        },
        "runtime": runtime,
    }
    merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.unsafe_merge(defaults, dict(configured)))  # type: ignore[assignment]
    return merged


def _dirname_settings(configured: Mapping[str, Any]) -> dict[str, Any]:
    """Return how `hydra.job.override_dirname` is written: Hydra's defaults, and what the configuration sets."""
    declared: Any = OmegaConf.structured(JobConf.JobConfig.OverrideDirname)
    own = OmegaConf.select(
        OmegaConf.create(dict(configured)), "job.config.override_dirname", throw_on_resolution_failure=False
    )
    merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge(declared, own or {}))  # type: ignore[assignment]
    return merged


def part(config: DictConfig, hydra_content: Mapping[str, Any], sweep: Mapping[str, Any], kind: Kind) -> DictConfig:
    """Return the part to print: the job's configuration, the node `hydra`, or both with the node `sweep`."""
    if kind == "job":
        return config
    OmegaConf.set_struct(config, False)
    base = OmegaConf.create({"hydra": hydra_content})
    sweep_node = {"sweep": sweep} if sweep else {}
    return base if kind == "hydra" else cast(DictConfig, OmegaConf.unsafe_merge(base, config, sweep_node))


def as_yaml(config: DictConfig, package: str | None, with_hydra: WithHydra, *, resolved: bool) -> str:
    """Write the configuration, or its part at the key `package`, as YAML; a single value as plain text.

    A part begins with the header (`# @package`) that would put it back where it was.

    Raises:
        Rejected: if there is no such key, and for each interpolation that does not resolve.
    """
    with resolvers(with_hydra):
        try:
            node = config if package in _WHOLE else OmegaConf.select(config, package)
            if node is not None:
                return _as_yaml(node, package, resolved=resolved) if OmegaConf.is_config(node) else f"{node}\n"
        except (OmegaConfBaseException, ValueError, RecursionError) as failure:
            broken = list(broken_interpolations(config))
            raise Rejected(broken or [error("FT012", significant_line(failure), str(package))]) from None
    raise Rejected([error("FT012", f"there is no {package!r} in the configuration", str(package))])


def _as_yaml(node: Any, package: str | None, *, resolved: bool) -> str:
    header = f"# @package {package}\n" if package not in _WHOLE else ""
    return header + OmegaConf.to_yaml(node, resolve=resolved)
