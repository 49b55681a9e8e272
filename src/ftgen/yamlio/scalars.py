"""What a plain scalar is: YAML 1.1's rules, and which words its readers disagree on."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

_NUMERIC = re.compile(r"[-+]*[0-9_][-+0-9_.,: eExXoObBa-fA-FtTzZ]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def is_ambiguous(text: str) -> bool:
    """Tell whether one reader may take a plain scalar for text and another for something else."""
    return bool(_NUMERIC.fullmatch(text)) or text.lower() in _WORDS


class Loader(yaml.CSafeLoader):
    """PyYAML's C scanner and the YAML 1.1 rules, two apart: a date stays text, and `1e-4` is a number.

    Both are what OmegaConf and the Kubernetes clients read; PyYAML alone wants `1.0e-4`.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_EXPONENT = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+\Z")
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
_NOTHING = Loader("")
TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    f"{TAG}null": lambda _: None,
    f"{TAG}bool": _NOTHING.construct_yaml_bool,
    f"{TAG}int": _NOTHING.construct_yaml_int,
    f"{TAG}float": _NOTHING.construct_yaml_float,
}
_TEXTS = frozenset({"!", *(f"{TAG}{kind}" for kind in ("str", "merge", "value"))})

# Beyond the range of a double nobody computes with an integer, and Python refuses to print a hexadecimal bomb.
_MOST_BITS = 1023


@lru_cache(maxsize=8192)
def resolved(tag: str | None, text: str) -> tuple[Any, bool]:
    """The value of a scalar that is no text for sure, and whether another reader may have another."""
    known = tag or _NOTHING.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # untyped in the stubs
    value = text if known in _TEXTS else _SCALARS[known](yaml.ScalarNode(known, text))
    if type(value) is int and value.bit_length() > _MOST_BITS:
        raise ValueError("a number that no JSON reader takes")
    return value, is_ambiguous(text)
