"""A composed configuration as Hydra's `--cfg` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import hydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen.compose.grammar import is_about_hydra
from ftgen.compose.interpolation import broken_interpolations
from ftgen.compose.problems import last_line
from ftgen.compose.process import hydra_resolver
from ftgen.diagnostics import Rejected, error

Kind = Literal["job", "hydra", "all"]
"""Which part of a configuration is shown, as Hydra's `--cfg` has it."""


def hydra_node(
    said: Mapping[str, Any], overrides: Sequence[Override], choices: Mapping[str, str], config_name: str
) -> dict[str, Any]:
    """Hydra's own node as far as ftgen has one: what the configuration says, and what `${hydra:…}` knows.

    Folders, logging, launchers and the like are not in it, for ftgen has none.
    """
    typed = [override.input_line or "" for override in overrides]
    words = {
        "hydra": [t for t in typed if is_about_hydra(t)],
        "task": [t for t in typed if not is_about_hydra(t)],
    }
    runtime = {"version": hydra.__version__, "choices": dict(choices)}
    known: dict[str, Any] = {
        "mode": None,
        "searchpath": [],
        "sweeper": {"params": None},
        "overrides": words,
        "job": {"name": "ftgen", "config_name": config_name},
        "runtime": runtime,
    }
    merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.unsafe_merge(known, dict(said)))  # type: ignore[assignment]
    return merged


def part(config: DictConfig, hydra_says: Mapping[str, Any], sweep: Mapping[str, Any], kind: Kind) -> DictConfig:
    """The part that is shown: the job's configuration, Hydra's node, or both with ftgen's own directives."""
    if kind == "job":
        return config
    OmegaConf.set_struct(config, False)
    below = OmegaConf.create({"hydra": hydra_says})
    ours = {"sweep": sweep} if sweep else {}
    return below if kind == "hydra" else cast(DictConfig, OmegaConf.unsafe_merge(below, config, ours))


def as_yaml(config: DictConfig, package: str | None, choices: Mapping[str, str], *, resolved: bool) -> str:
    """The configuration, or what is at the key `package`, as YAML; a single value as it is.

    Raises:
        Rejected: where there is no such key, and for each interpolation that does not resolve.
    """
    with hydra_resolver(choices):
        try:
            node = config if package in {None, "", "_global_"} else OmegaConf.select(config, package)
            if node is not None:
                return OmegaConf.to_yaml(node, resolve=resolved) if OmegaConf.is_config(node) else f"{node}\n"
        except (OmegaConfBaseException, ValueError, RecursionError) as failure:
            broken = list(broken_interpolations(config))
            raise Rejected(broken or [error("FT012", last_line(failure), str(package))]) from None
    raise Rejected([error("FT012", f"there is no {package!r} in the configuration", str(package))])
