"""The arguments that a release of `vllm serve` accepts, and how its `--config FILE` reads them.

`tools/derive_vllm.py` derives the data under `schemas/vllm/` from the source distribution of the release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from ftgen.trainers.arguments import coerced
from ftgen.trainers.surface import Argument, read, releases


class Registry(Struct, frozen=True):
    """Names that an argument may have, and the argument whose module may register more."""

    names: tuple[str, ...]
    plugin: str


class Surface(Struct, frozen=True):
    """The arguments and names that one release accepts.

    Attributes:
        version: release of vLLM.
        ascend: release of vllm-ascend that serves with it on Ascend.
        arguments: every argument, by name.
        registered: names of parsers, by the argument that takes one.
    """

    version: str
    ascend: str
    arguments: Mapping[str, Argument]
    registered: Mapping[str, Registry]


def versions() -> tuple[str, ...]:
    """Return the releases of vLLM whose arguments are known, newest first."""
    return releases("vllm")


@cache
def surface(version: str) -> Surface:
    """Read the surface of a release.

    Raises:
        KeyError: the release is not among `versions()`.
    """
    data = read("vllm", version)
    registered = {name: Registry(tuple(each["names"]), each["plugin"]) for name, each in data["registered"].items()}
    return Surface(data["version"], data["ascend"], data["arguments"], registered)


def configuration(args: Mapping[str, Any], release: Surface) -> dict[str, Any]:
    """Return the mapping whose YAML `vllm serve --config FILE` reads as these arguments.

    `load_config_file` (vllm/utils/argparse_utils.py) drops a switch that is false, so that a false one is written as
    its `no_` form; it writes null as the text None, so that a null is left out; and it spreads a list over several
    words, so that a list that vLLM reads as JSON is written as such.
    """
    written = (_written(name, value, release.arguments.get(name)) for name, value in args.items())
    return {name: value for each in written for name, value in each.items()}


def _written(name: str, value: Any, argument: Argument | None) -> dict[str, Any]:
    typed = coerced(argument, value)
    if typed is None or (typed is False and argument is not None and argument.bare):
        return {}
    if typed is False:
        return {f"no_{name}": True}
    if argument is not None and argument.json and isinstance(typed, list):
        return {name: json.dumps(typed)}
    return {name: typed}
