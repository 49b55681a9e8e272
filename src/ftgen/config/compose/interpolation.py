"""Resolution of interpolations to plain values, with suggestions for those that cannot be resolved."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen import spec
from ftgen.config.compose.plain import ChainTooLong, NeedsOmegaConf, ReferenceResolver, Room, TooMuch
from ftgen.config.compose.problems import significant_line
from ftgen.config.compose.process import WithHydra, bounded_interpolations, resolvers
from ftgen.config.compose.section import dotted_keys, flatten, is_section
from ftgen.config.trace import EnvironmentRead
from ftgen.diagnostics import Diagnostic, Rejected, error

_MISSING_KEY = re.compile(r"Interpolation key '([^']+)' not found")
_RESOLVER = re.compile(r"Unsupported interpolation type (\S+)")
_MOST_BROKEN = 100
"""Problems that are reported at once: each is compared with all keys, to suggest one."""
_SLOW = 2048
"""Room of an interpolation that OmegaConf resolves, in ten times the time: there may be some thousands."""
_RAISED = "ValueError raised while resolving interpolation: "
_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*['\"]?([^,{}\s'\"]+)")


Refusal = Callable[[Sequence[EnvironmentRead]], list[Diagnostic]]
"""Returns a problem for each variable of the environment that may not be read."""


def resolve(
    config: DictConfig, unresolved: Mapping[str, Any], with_hydra: WithHydra, refusal: Refusal
) -> tuple[dict[str, Any], tuple[EnvironmentRead, ...]]:
    """Resolve all interpolations; return plain values, and what was read of the environment.

    Raises:
        Rejected: for every missing value (`???`) and every interpolation that does not resolve; or what `refusal`
            returns, and then nothing else, as other problems may repeat what was read.
    """
    missing = [_missing(key) for key, value in flatten(unresolved) if value == "???"]
    if not missing:
        try:
            return ReferenceResolver(unresolved, Room()).resolved(), ()
        except NeedsOmegaConf:
            pass  # OmegaConf resolves every interpolation, in ten times the time
        except ChainTooLong as chain:
            raise Rejected([_too_long(chain.key)]) from None
        except TooMuch:
            raise Rejected([_too_much()]) from None
    with resolvers(with_hydra) as reads, bounded_interpolations(Room(_SLOW)) as is_beyond:
        try:
            plain = OmegaConf.to_container(config, resolve=True)
        except (OmegaConfBaseException, ValueError, RecursionError, TooMuch) as failure:
            if is_beyond():
                raise Rejected(refusal(reads) or [_too_much()]) from None
            problems = refusal(reads) or [*missing, *islice(broken_interpolations(config), _MOST_BROKEN)]
            raise Rejected(problems or [error("FT014", significant_line(failure))]) from None
    if problems := refusal(reads) or missing:
        raise Rejected(problems)
    return plain, tuple(dict.fromkeys(reads))  # type: ignore[return-value]


def _missing(key: str) -> Diagnostic:
    return error("FT013", f"{key} has no value and no default", key, "???", f"add {key}=… to the command line")


def broken_interpolations(config: DictConfig, prefix: str = "") -> Iterator[Diagnostic]:
    """Yield one problem for each interpolation that does not resolve, with its key."""
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        if OmegaConf.is_interpolation(config, name):  # type: ignore[arg-type]
            try:
                config[name]
            except (OmegaConfBaseException, ValueError, RecursionError) as failure:
                if "RecursionError" in str(failure):
                    yield _too_long(key)
                    return  # the next are as long, and each takes its time
                text = str(config._get_node(name)._value())  # type: ignore[union-attr]  # noqa: SLF001 - unresolved
                yield _broken(key, text, significant_line(failure), config._get_root())  # type: ignore[arg-type]  # noqa: SLF001
        elif is_section(value):
            yield from broken_interpolations(value, f"{key}.")


def _too_much() -> Diagnostic:
    headline = "the interpolations of the configuration come to more than anyone writes"
    return error("FT014", headline, help="look for values that name each other again and again: ${a}${a}")


def _too_long(key: str) -> Diagnostic:
    headline = f"{key} belongs to a chain of too many interpolations, each of the next"
    return error("FT014", headline, key, help="name the value itself, or one nearer to the end of the chain")


def _broken(key: str, text: str, why: str, root: DictConfig) -> Diagnostic:
    """Report an interpolation that does not resolve, with a suggestion."""
    unset = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if unset and "Environment variable" in why:
        close = difflib.get_close_matches(unset[0], os.environ, 1, 0.7)
        guess = f"did you mean {close[0]}? Else e" if close else "e"
        help_ = f"{guess}xport {unset[0]}, or give a default: ${{oc.env:{unset[0]},DEFAULT}}"
        return error("FT014", f"{key}: the environment variable {unset[0]} is not set", key, text, help_)
    if resolver := _RESOLVER.search(why):
        return _without_resolver(resolver[1], key, text)
    if why.startswith(_RAISED):
        help_ = "`ftgen --cfg hydra` shows what there is, such as ${hydra:runtime.choices.GROUP} and ${hydra:job.name}"
        return error("FT014", f"{key}: {why.removeprefix(_RAISED)}", key, text, help_ if "${hydra:" in text else "")
    missing_key = _MISSING_KEY.search(why)
    close = difflib.get_close_matches(missing_key[1], sorted(dotted_keys(root)), 1, 0.7) if missing_key else []
    if missing_key and spec.knows(missing_key[1]):
        help_ = f"set {missing_key[1]}, which nothing in the chosen options sets"
    else:
        help_ = f"did you mean ${{{close[0]}}}?" if close else "name a key that exists, or quote the text"
    return error("FT014", f"{key}: {why}", key, text, help_)


def _without_resolver(name: str, key: str, text: str) -> Diagnostic:
    """Report an interpolation by a resolver that ftgen does not have."""
    if name == "now":
        headline = f"{key}: ${{now:…}} differs with every render, and the same configuration gives the same bytes"
        help_ = "leave it out: ftgen names a job by its content; or take it from the environment, as ${oc.env:STAMP}"
        return error("FT014", headline, key, text, help_)
    help_ = "write ${KEY}, ${oc.env:…}, another of OmegaConf's ${oc.…}, or ${hydra:…}"
    return error("FT014", f"{key}: ftgen has no resolver {name!r}, and loads none", key, text, help_)


def variables_named(text: str) -> set[str]:
    """Return the environment variables that a text names, as `${oc.env:NAME}`."""
    return set(_VARIABLE.findall(text))
