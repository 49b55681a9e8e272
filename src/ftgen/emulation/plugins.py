"""Volcano's job plugins: the versions that have them, their flags, and how Go's flag parser reads the arguments.

Sources: pkg/controllers/job/plugins of Volcano (factory.go and each plugin's addFlags) and Go's `flag`
package.  No layer of the cluster checks arguments: a parse error is a line in the controller's log, and
the arguments after it are lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from ftgen.schema.version import Version

FlagType = Literal["bool", "int", "string"]
"""Type of a flag in Go."""

_ROLE_FLAGS: dict[str, FlagType] = {"master": "string", "worker": "string"}

_FLAGS: dict[str, dict[str, FlagType]] = {
    "env": {},
    "svc": {"publish-not-ready-addresses": "bool", "disable-network-policy": "bool"},
    "ssh": {
        "ssh-key-file-path": "string",
        "ssh-private-key": "string",
        "ssh-public-key": "string",
        "ssh-port": "int",
    },
    "pytorch": {**_ROLE_FLAGS, "port": "int"},
    "tensorflow": {
        "ps": "string",
        "worker": "string",
        "chief": "string",
        "evaluator": "string",
        "port": "int",
    },
    "mpi": {**_ROLE_FLAGS, "port": "int"},
    "hcclrank": dict(_ROLE_FLAGS),
    "ray": {
        "head": "string",
        "headContainer": "string",
        "worker": "string",
        "workerContainer": "string",
        "port": "int",
        "dashboardPort": "int",
        "clientPort": "int",
    },
}
_LATER_FLAGS: tuple[tuple[Version, str, dict[str, FlagType]], ...] = (
    (
        (1, 14, 0),
        "pytorch",
        {"wait-master-enabled": "bool", "wait-master-timeout": "int", "wait-master-image": "string"},
    ),
    ((1, 16, 0), "svc", {"inject-hosts-env": "bool"}),
)
_FIRST_VERSIONS: dict[str, Version] = {"hcclrank": (1, 12, 3), "ray": (1, 13, 0)}

_BOOLEANS = frozenset(("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*|0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+)",
)

# 64 binary digits, with an underscore before each.
_LONGEST_NUMBER = 2 * 64 + len("-0b")


class ParsedFlags(Struct, frozen=True):
    """Flags of a plugin as Go's flag parser reads them.

    Attributes:
        values: text by flag; a bare boolean flag is `true`.
        stopped_at: position of the argument that ends the parse; None where the parser reads all.
        reason: why it stops.
    """

    values: Mapping[str, str]
    stopped_at: int | None = None
    reason: str = ""


@lru_cache(maxsize=16)
def available(version: Version) -> tuple[str, ...]:
    """Return the plugins that this Volcano version has."""
    return tuple(name for name in _FLAGS if version >= _FIRST_VERSIONS.get(name, (0, 0, 0)))


@lru_cache(maxsize=64)
def flags(plugin: str, version: Version) -> Mapping[str, FlagType]:
    """Return the flags of a plugin in this Volcano version; none for an unknown plugin."""
    later = {f: t for since, name, more in _LATER_FLAGS if name == plugin and version >= since for f, t in more.items()}
    return {**_FLAGS.get(plugin, {}), **later}


@lru_cache(maxsize=256)
def parse_flags(plugin: str, arguments: tuple[str, ...], version: Version) -> ParsedFlags:
    """Parse arguments as Go's flag parser does: up to the first that it cannot read."""
    declared = flags(plugin, version)
    values: dict[str, str] = {}
    position = 0
    while position < len(arguments):
        name, equals, value, reason = _parse_flag(arguments[position], declared)
        if not reason and not equals and declared[name] != "bool":
            if position + 1 == len(arguments):
                reason = f"--{name} needs a value"
            else:
                value, position = arguments[position + 1], position + 1
        if reason or (reason := _value_problem(name, value, declared[name])):
            return ParsedFlags(values, position, reason)
        values[name] = value
        position += 1
    return ParsedFlags(values)


def _parse_flag(argument: str, declared: Mapping[str, FlagType]) -> tuple[str, str, str, str]:
    """Return the name, `=` or nothing, the value (`true` for a bare boolean) and the reason why this is no flag."""
    if not argument.startswith("-") or argument == "-":
        return "", "", "", f"{argument!r} does not begin with dashes and ends the flags"
    flag = argument[2:] if argument.startswith("--") else argument[1:]
    if not flag:
        return "", "", "", "-- ends the flags"
    if flag[0] in "-=":
        return "", "", "", f"{argument!r} is no flag"
    name, equals, value = flag[0] + flag[1:].partition("=")[0], *flag[1:].partition("=")[1:]
    if name not in declared:
        return "", "", "", f"there is no flag --{name}"
    return name, equals, value if equals else "true", ""


def _value_problem(name: str, value: str, flag_type: FlagType) -> str:
    if flag_type == "bool" and value not in _BOOLEANS:
        return f"--{name} is true or false, not {value!r}"
    if flag_type == "int" and not _INTEGER.fullmatch(value):
        return f"--{name} is a whole number, not {value[:_LONGEST_NUMBER]!r}"
    if flag_type == "int" and (len(value) > _LONGEST_NUMBER or not -(2**63) <= as_number(value) < 2**63):
        return f"--{name} is a number of 64 bits, not {value[:_LONGEST_NUMBER]!r}"
    return ""


def as_number(value: str) -> int:
    """Return the number that Go reads in the text of an `int` flag, such as `0x5ba0`, `1_000` or `017`."""
    digits = value.replace("_", "")
    octal = re.fullmatch(r"([+-]?)0([0-7]+)", digits)
    return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
