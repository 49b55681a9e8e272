"""Volcano's job plugins: which exist when, their flags, and how Go's flag parser reads the arguments.

Sources: pkg/controllers/job/plugins of Volcano (factory.go and each plugin's addFlags) and Go's `flag`
package.  No layer of the cluster checks arguments: a parse error is a line in the controller's log, and
what comes after it is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ftgen.rules import ADMISSION
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job, Version, strings

FlagType = Literal["bool", "int", "string"]

_ROLES: dict[str, FlagType] = {"master": "string", "worker": "string"}

_FLAGS: dict[str, dict[str, FlagType]] = {
    "env": {},
    "svc": {"publish-not-ready-addresses": "bool", "disable-network-policy": "bool"},
    "ssh": {
        "ssh-key-file-path": "string",
        "ssh-private-key": "string",
        "ssh-public-key": "string",
        "ssh-port": "int",
    },
    "pytorch": {**_ROLES, "port": "int"},
    "tensorflow": {
        "ps": "string",
        "worker": "string",
        "chief": "string",
        "evaluator": "string",
        "port": "int",
    },
    "mpi": {**_ROLES, "port": "int"},
    "hcclrank": dict(_ROLES),
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
_FLAGS_SINCE: tuple[tuple[Version, str, dict[str, FlagType]], ...] = (
    (
        (1, 14, 0),
        "pytorch",
        {"wait-master-enabled": "bool", "wait-master-timeout": "int", "wait-master-image": "string"},
    ),
    ((1, 16, 0), "svc", {"inject-hosts-env": "bool"}),
)
_SINCE: dict[str, Version] = {"hcclrank": (1, 12, 3), "ray": (1, 13, 0)}

_BOOLEANS = frozenset(("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*|0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+)",
)


@dataclass(frozen=True, slots=True)
class ParsedFlags:
    """What Go's flag parser makes of a plugin's arguments.

    Attributes:
        values: flag to its text; a bare boolean flag is `true`.
        stopped_at: the position of the argument the parser stopped at, None when it read all.
        reason: why it stopped.
    """

    values: Mapping[str, str]
    stopped_at: int | None = None
    reason: str = ""


@lru_cache(maxsize=16)
def available(version: Version) -> tuple[str, ...]:
    """The plugins this Volcano has."""
    return tuple(name for name in _FLAGS if version >= _SINCE.get(name, (0, 0, 0)))


@lru_cache(maxsize=64)
def flags(plugin: str, version: Version) -> Mapping[str, FlagType]:
    """The flags of a plugin in this Volcano; none of an unknown plugin."""
    later = {f: k for since, name, more in _FLAGS_SINCE if name == plugin and version >= since for f, k in more.items()}
    return {**_FLAGS.get(plugin, {}), **later}


@lru_cache(maxsize=256)
def parse_flags(plugin: str, arguments: tuple[str, ...], version: Version) -> ParsedFlags:
    """The arguments as Go's flag parser reads them: up to the first it cannot, and not beyond."""
    declared = flags(plugin, version)
    values: dict[str, str] = {}
    at = 0
    while at < len(arguments):
        name, equals, value, reason = _split(arguments[at], declared)
        if not reason and not equals and declared[name] != "bool":
            if at + 1 == len(arguments):
                reason = f"--{name} needs a value"
            else:
                value, at = arguments[at + 1], at + 1
        if reason or (reason := _unreadable(name, value, declared[name])):
            return ParsedFlags(values, at, reason)
        values[name] = value
        at += 1
    return ParsedFlags(values)


def _split(argument: str, declared: Mapping[str, FlagType]) -> tuple[str, str, str, str]:
    """Name, `=` or nothing, value (that of a bare boolean: true) and the reason why this is no flag."""
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


def _unreadable(name: str, value: str, kind: FlagType) -> str:
    if kind == "bool" and value not in _BOOLEANS:
        return f"--{name} is true or false, not {value!r}"
    if kind == "int" and not _INTEGER.fullmatch(value):
        return f"--{name} is a whole number, not {value!r}"
    return ""


@rule("FT323", "unknown-plugin", on=ADMISSION)
def unknown_plugin(job: Job) -> Iterator[Finding]:
    """The job asks for a plugin this Volcano does not have.

    Volcano's job webhook looks every key of `spec.plugins` up, by its exact name: ssh, env, svc, tensorflow,
    mpi, pytorch; hcclrank from 1.12.3; ray from 1.13.

    Refused: `plugins: {SVC: []}`.
    Write: `plugins: {svc: []}`.
    """
    there = available(job.version)
    for name in job.plugins:
        if name not in there:
            yield Finding(
                f"Volcano {'.'.join(map(str, job.version))} has no job plugin {name!r}",
                f"spec.plugins.{name}",
                name,
                f"use one of {', '.join(there)}",
            )


@rule("FT324", "mpi-without-master", on=ADMISSION)
def mpi_without_master(job: Job) -> Iterator[Finding]:
    """The mpi plugin's master task does not exist; up to 1.14 the worker task must exist too.

    Volcano's job webhook looks for the tasks named by `--master` and `--worker` (default master, worker).

    Refused: `plugins: {mpi: []}` with one task `train`.
    Write: `plugins: {mpi: ["--master=train", "--worker=train"]}`, or name the tasks master and worker.
    """
    if "mpi" not in job.plugins or not job.tasks:
        return
    given = parse_flags("mpi", tuple(strings(job.plugins["mpi"])), job.version).values
    for role in ("master", "worker") if job.version < (1, 15, 0) else ("master",):
        name = given.get(role, role)
        if all(task.name != name for task in job.tasks):
            yield Finding(
                f"the mpi plugin's {role} task {name!r} does not exist",
                "spec.plugins.mpi",
                name,
                f"add --{role}=<task> to spec.plugins.mpi",
            )
