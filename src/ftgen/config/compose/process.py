"""Process-wide state of Hydra and OmegaConf: set while composing, and restored afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer

_HYDRA_1_3 = hydra.__version__.startswith("1.3.")


@contextmanager
def hydra_1_3() -> Iterator[None]:
    """Use Hydra's version_base 1.3 while composing, whatever another application in this process has set.

    Hydra 1.4 and later have no other behaviour.
    """
    base = VersionBase.instance()
    before = base.version_base
    if _HYDRA_1_3:
        setbase("1.3")
    try:
        yield
    finally:
        base.version_base = before


def _hydra_value(node: DictConfig, path: str) -> Any:
    """Return the value of Hydra's node at a path; Hydra itself yields the text `None` for an unknown path.

    Raises:
        ValueError: if ftgen has no such path.
    """
    value = OmegaConf.select(node, path)
    if value is None:
        raise ValueError(f"there is no hydra:{path}; ftgen has hydra:runtime.choices.GROUP and hydra:job.name")
    return value


@contextmanager
def hydra_resolver(choices: Mapping[str, str]) -> Iterator[None]:
    """Provide `${hydra:runtime.choices.GROUP}` while resolving, then restore the process-wide resolver."""
    node = OmegaConf.create({"runtime": {"choices": dict(choices)}, "job": {"name": "ftgen"}})
    registered = BaseContainer._resolvers  # noqa: SLF001 - OmegaConf offers no scoped resolver
    before = registered.get("hydra")
    registered.pop("hydra", None)
    # OmegaConf 2.4 renamed register_new_resolver to register_resolver, and each version warns of the other name.
    register = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
    register("hydra", lambda path: _hydra_value(node, path))
    try:
        yield
    finally:
        registered.pop("hydra")
        if before is not None:
            registered["hydra"] = before
