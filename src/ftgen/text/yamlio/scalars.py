"""Types of plain scalars: YAML 1.1's rules, and the texts that YAML readers disagree on."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

PLAIN = re.compile(
    r"(?:--?)?[A-Za-z0-9_/$]"
    r"(?:[-A-Za-z0-9_/$.+@=()\[\]{}|%~;'\"^&*<>!?,]|:(?=[^ ])| (?=[^ #]))*",
)
"""Texts that a plain scalar of a block collection can hold: nothing in them ends it or starts anything else."""
_NUMERIC = re.compile(r"[-+]*[0-9_][-+0-9_.,: eExXoObBa-fA-FtTzZ]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def is_ambiguous(text: str) -> bool:
    """Return whether YAML readers may disagree on whether a plain scalar is text."""
    return bool(_NUMERIC.fullmatch(text)) or text.lower() in _WORDS


class Loader(yaml.CSafeLoader):
    """PyYAML's C scanner and YAML 1.1 rules, with two exceptions: a date stays text, and `1e-4` is a number.

    OmegaConf and the Kubernetes clients read both so; PyYAML alone requires `1.0e-4`.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_EXPONENT = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+\Z")
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
_RESOLVER = Loader("")
TAG = "tag:yaml.org,2002:"
_CONSTRUCTORS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    f"{TAG}null": lambda _: None,
    f"{TAG}bool": _RESOLVER.construct_yaml_bool,
    f"{TAG}int": _RESOLVER.construct_yaml_int,
    f"{TAG}float": _RESOLVER.construct_yaml_float,
}
_TEXT_TAGS = frozenset({"!", *(f"{TAG}{kind}" for kind in ("str", "merge", "value"))})

# The range of a double: JSON readers take no larger integer, and Python refuses to print a huge hexadecimal one.
_MOST_BITS = 1023


@lru_cache(maxsize=8192)
def resolve_scalar(tag: str | None, text: str) -> tuple[Any, bool]:
    """Return the value of a scalar that may be no text, and whether another reader may read it differently."""
    resolved_tag = tag or _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # untyped in the stubs
    value = text if resolved_tag in _TEXT_TAGS else _CONSTRUCTORS[resolved_tag](yaml.ScalarNode(resolved_tag, text))
    if type(value) is int and value.bit_length() > _MOST_BITS:
        raise ValueError("a number that no JSON reader takes")
    return value, is_ambiguous(text)
