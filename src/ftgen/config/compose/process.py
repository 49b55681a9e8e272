"""Process-wide state of Hydra and OmegaConf: set while composing, and restored afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import hydra
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Container, Node
from omegaconf.basecontainer import BaseContainer
from omegaconf.resolvers import oc

from ftgen.config.compose.plain import Room, TooMuch
from ftgen.config.trace import EnvironmentRead

HYDRA_VERSION = hydra.__version__
_HYDRA_1_3 = HYDRA_VERSION.startswith("1.3.")


@contextmanager
def hydra_1_3() -> Iterator[None]:
    """Use Hydra's version_base 1.3 while composing, whatever another application in this process has set.

    Hydra 1.4 and later have no other behaviour.  A warning that Hydra prints is a diagnostic of ours (FT009).
    """
    base = VersionBase.instance()
    before = base.version_base
    if _HYDRA_1_3:
        setbase("1.3")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "In .*Defaults list is missing", UserWarning)
            yield
    finally:
        base.version_base = before


WithHydra = Callable[[], Mapping[str, Any]]
"""Returns a configuration with its node `hydra`, unresolved; called at the first interpolation that asks for it."""

# What the node holds while a job runs, and why it has no value where a manifest is written.
_NOTHING_RUNS = "ftgen writes manifests and runs nothing, so that it has no folders, loggers and launchers"
_PLACES = "it differs from machine to machine, and the same configuration gives the same bytes everywhere"
_NUMBERS = "a job of a sweep is the same job alone, and has no number"
_ABSENT = {
    "runtime.cwd": _PLACES,
    "runtime.output_dir": _NOTHING_RUNS,
    "runtime.config_sources": _PLACES,
    "job.num": _NUMBERS,
    "job.id": _NUMBERS,
    **dict.fromkeys(
        ("run", "sweep", "launcher", "job_logging", "hydra_logging", "callbacks", "output_subdir"), _NOTHING_RUNS
    ),
}


def _hydra_value(config: DictConfig, path: str) -> Any:
    """Return the value of Hydra's node at a path; Hydra itself yields the text `None` for an unknown path.

    Raises:
        ValueError: if ftgen has no such path.
    """
    value = OmegaConf.select(config, f"hydra.{path}")
    if value is None:
        absent = next((name for name in _ABSENT if path == name or path.startswith(f"{name}.")), None)
        raise ValueError(f"there is no hydra:{path}{f': {_ABSENT[absent]}' if absent else ''}")
    return value


@contextmanager
def resolvers(with_hydra: WithHydra) -> Iterator[list[EnvironmentRead]]:
    """Provide `${hydra:…}` and record what `${oc.env:…}` reads, then restore the process-wide resolvers.

    Yields:
        what was read so far.  The text of a value does not tell it: `${oc.decode:…}` resolves a text that other values
        may spell, and a variable may be named by another value.
    """
    config = cache(lambda: OmegaConf.create(dict(with_hydra())))
    reads: list[EnvironmentRead] = []

    def environment(variable: str, *default: Any, _node_: Node | None = None) -> Any:
        value = oc.env(variable, *default)
        key = _node_._get_full_key("") if _node_ else ""  # noqa: SLF001 - OmegaConf offers no other name of a value
        reads.append(EnvironmentRead(key, variable, "" if value is None else str(value)))
        return value

    with _registered({"hydra": lambda path: _hydra_value(config(), path), "oc.env": environment}):
        yield reads


@contextmanager
def bounded_interpolations(room: Room) -> Iterator[Callable[[], bool]]:
    """Let OmegaConf resolve interpolations as long as there is room for what they come to.

    Yields:
        a function that returns whether there was not; OmegaConf wraps exceptions.
    """
    resolve = Container._resolve_interpolation_from_parse_tree  # noqa: SLF001 - OmegaConf offers no bound
    beyond = False

    def bounded(container: Container, *args: Any, **options: Any) -> Node | None:
        nonlocal beyond
        found = resolve(container, *args, **options)
        try:
            room.take(found._value() if isinstance(found, Node) else None)  # noqa: SLF001 - of a container its parts
        except TooMuch:
            beyond = True
            raise
        return found

    Container._resolve_interpolation_from_parse_tree = bounded  # type: ignore[method-assign, assignment]  # noqa: SLF001
    try:
        yield lambda: beyond
    finally:
        Container._resolve_interpolation_from_parse_tree = resolve  # type: ignore[method-assign]  # noqa: SLF001


@contextmanager
def _registered(functions: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Register resolvers, then put those back that were there before."""
    known = BaseContainer._resolvers  # noqa: SLF001 - OmegaConf offers no scoped resolver
    before = {name: known.pop(name) for name in functions if name in known}
    # OmegaConf 2.4 renamed register_new_resolver to register_resolver, and each version warns of the other name.
    register = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
    for name, function in functions.items():
        register(name, function)
    try:
        yield
    finally:
        for name in functions:
            known.pop(name)
        known.update(before)
