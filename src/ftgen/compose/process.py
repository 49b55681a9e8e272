"""What Hydra and OmegaConf hold once for a whole process: set while composing, and put back afterwards."""

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
    """Hydra's behaviour of version_base 1.3 while it composes, whatever another application in this process asked for.

    From 1.4 on there is no other behaviour.
    """
    base = VersionBase.instance()
    before = base.version_base
    if _HYDRA_1_3:
        setbase("1.3")
    try:
        yield
    finally:
        base.version_base = before


def _known(node: DictConfig, path: str) -> Any:
    """What Hydra's node has at a path; Hydra itself gives nothing for an unknown path, and the text `None` goes on.

    Raises:
        ValueError: there is no such path here.
    """
    found = OmegaConf.select(node, path)
    if found is None:
        raise ValueError(f"there is no hydra:{path}; ftgen has hydra:runtime.choices.GROUP and hydra:job.name")
    return found


@contextmanager
def hydra_resolver(choices: Mapping[str, str]) -> Iterator[None]:
    """`${hydra:runtime.choices.GROUP}` while resolving; the process-wide resolver is put back afterwards."""
    node = OmegaConf.create({"runtime": {"choices": dict(choices)}, "job": {"name": "ftgen"}})
    registered = BaseContainer._resolvers  # noqa: SLF001 - OmegaConf offers no scoped resolver
    before = registered.get("hydra")
    registered.pop("hydra", None)
    # OmegaConf 2.4 calls by this name what 2.3 calls by the other, and each warns of the one it left.
    register = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
    register("hydra", lambda path: _known(node, path))
    try:
        yield
    finally:
        registered.pop("hydra")
        if before is not None:
            registered["hydra"] = before
