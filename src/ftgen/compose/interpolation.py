"""Interpolations: resolved to plain values, or refused with what they may have meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen import spec
from ftgen.compose.plain import NotPlain, Plain
from ftgen.compose.problems import last_line
from ftgen.compose.process import hydra_resolver
from ftgen.compose.section import is_section, keys, leaves
from ftgen.diagnostics import Diagnostic, Rejected, error

_LOST_KEY = re.compile(r"Interpolation key '([^']+)' not found")
_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*['\"]?([^,{}\s'\"]+)")


def resolve(config: DictConfig, unresolved: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """Plain values with interpolations resolved.

    Raises:
        Rejected: with every value still missing (`???`) and every interpolation that does not resolve.
    """
    missing = [_missing(key) for key, value in leaves(unresolved) if value == "???"]
    if not missing:
        try:
            return Plain(unresolved).resolved()
        except NotPlain:
            pass  # OmegaConf knows the whole language, at ten times the price
    with hydra_resolver(choices):
        try:
            plain = OmegaConf.to_container(config, resolve=True)
        except (OmegaConfBaseException, ValueError, RecursionError) as failure:
            found = [*missing, *broken_interpolations(config)]
            raise Rejected(found or [error("FT014", last_line(failure))]) from None
    if missing:
        raise Rejected(missing)
    return plain  # type: ignore[return-value]


def _missing(key: str) -> Diagnostic:
    return error("FT013", f"{key} has no value and no default", key, "???", f"add {key}=… to the command line")


def broken_interpolations(config: DictConfig, prefix: str = "") -> Iterator[Diagnostic]:
    """One problem for each interpolation that does not resolve, by its key."""
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        if OmegaConf.is_interpolation(config, name):  # type: ignore[arg-type]
            try:
                config[name]
            except (OmegaConfBaseException, ValueError, RecursionError) as failure:
                text = str(config._get_node(name)._value())  # type: ignore[union-attr]  # noqa: SLF001 - unresolved
                yield _broken(key, text, last_line(failure), config._get_root())  # type: ignore[arg-type]  # noqa: SLF001
        elif is_section(value):
            yield from broken_interpolations(value, f"{key}.")


def _broken(key: str, text: str, why: str, root: DictConfig) -> Diagnostic:
    """An interpolation that leads nowhere, and what it may have meant."""
    unset = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if unset and "Environment variable" in why:
        close = difflib.get_close_matches(unset[0], os.environ, 1, 0.7)
        guess = f"did you mean {close[0]}? Else e" if close else "e"
        help_ = f"{guess}xport {unset[0]}, or give a default: ${{oc.env:{unset[0]},DEFAULT}}"
        return error("FT014", f"{key}: the environment variable {unset[0]} is not set", key, text, help_)
    lost = _LOST_KEY.search(why)
    close = difflib.get_close_matches(lost[1], sorted(keys(root)), 1, 0.7) if lost else []
    if lost and spec.knows(lost[1]):
        help_ = f"set {lost[1]}, which nothing in the chosen options sets"
    else:
        help_ = f"did you mean ${{{close[0]}}}?" if close else "name a key that exists, or quote the text"
    return error("FT014", f"{key}: {why}", key, text, help_)


def environment(unresolved: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The keys whose value asks for environment variables (`${oc.env:…}`), each with their names."""
    asked = {key: tuple(dict.fromkeys(_VARIABLE.findall(str(value)))) for key, value in leaves(unresolved)}
    return {key: names for key, names in asked.items() if names}
