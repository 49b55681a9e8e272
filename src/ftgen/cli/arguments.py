"""The command line's words: a verb, overrides in Hydra's grammar, and flags, in any order."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ftgen.diagnostics import Rejected

RENDER = "render"
# Verb -> what it does; the module of the same name carries it out.
VERBS = {
    RENDER: "compose, check and write manifests (the verb that is meant where none is given)",
    "groups": "configuration groups and their options",
    "explain": "where a configuration key, or a line of a manifest, comes from",
    "schema": "the JSON Schema of the configuration, for editors; `import CRD.yaml` takes a cluster's own",
}


class Usage(Exception):  # noqa: N818 - how the command line was used, not a malfunction
    """The command line itself cannot be understood."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parsed command line; `flags` holds the rest of what the verb knows."""

    verb: str
    module: str
    overrides: tuple[str, ...]
    flags: argparse.Namespace

    def reject(self, rejected: Rejected) -> int:
        """Report what was rejected, and the exit code of it."""
        from ftgen.cli import output  # noqa: PLC0415 - reporting is paid for when there is something to report

        return output.reject(rejected, self)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\nTry `ftgen --help`.")


def parse(words: list[str]) -> Arguments:
    """Understand the command line.

    Raises:
        Usage: when a flag is unknown or lacks its value.
    """
    verb = words[0] if words and words[0] in VERBS else RENDER
    rest = words[1:] if words and words[0] in VERBS else words
    flags, unknown = parser(verb).parse_known_intermixed_args(rest)
    strange = [word for word in unknown if word.startswith("-")]
    if strange:
        raise Usage(f"there is no flag {strange[0]}\nTry `ftgen --help`.")
    return Arguments(verb, _module(verb, flags), tuple(flags.overrides), flags)


def _module(verb: str, flags: argparse.Namespace) -> str:
    if flags.help:
        return "help"
    for flag in ("version", "shell_completion", "cfg", "info"):
        if getattr(flags, flag, None):
            return {"version": "help", "shell_completion": "completion", "cfg": "show", "info": "show"}[flag]
    return verb


def parser(verb: str) -> argparse.ArgumentParser:
    """The flags of a verb; Hydra's own keep Hydra's names and meanings."""
    made = _Parser(prog="ftgen" if verb == RENDER else f"ftgen {verb}", add_help=False, allow_abbrev=False)
    made.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="KEY=VALUE in Hydra's grammar")
    _common(made)
    _hydra(made)
    if verb == RENDER:
        _output(made)
    if verb in {"groups", "explain"}:
        made.add_argument("--json", action="store_true", help="as JSON")
    if verb == "schema":
        made.add_argument("--out", "-o", default="schemas", help="with import: folder to write to")
    return made


def _common(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("general")
    group.add_argument("--help", "-h", action="store_true", help="this text")
    group.add_argument("--version", action="store_true", help="ftgen's version")
    group.add_argument("--format", choices=("text", "json", "github", "sarif"), default="text", help="form of diagnostics")
    group.add_argument("--strict", action="store_true", help="treat warnings as errors")
    group.add_argument("--quiet", "-q", action="store_true", help="say nothing but diagnostics")


def _hydra(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("configuration (as in Hydra)")
    group.add_argument("--multirun", "-m", action="store_true", help="expand sweeps such as trainer.lr=1e-4,2e-4")
    group.add_argument("--run", "-r", action="store_true", help=argparse.SUPPRESS)
    group.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="show the composed configuration")
    group.add_argument("--package", "-p", help="with --cfg: only this part of it")
    group.add_argument("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    group.add_argument("--info", "-i", nargs="?", const="all", choices=_INFO, help="show how it was composed")
    group.add_argument("--config-dir", "-cd", action="append", default=[], type=Path, help="search here first")
    group.add_argument("--config-path", "-cp", type=Path, help="search here instead of ftgen's own configuration")
    group.add_argument("--config-name", "-cn", default="config", help="the primary configuration file")
    group.add_argument("--shell-completion", "-sc", action="store_true", help="install=bash|zsh|fish, uninstall=…, query=…")
    group.add_argument("--hydra-help", action="store_true", help=argparse.SUPPRESS)


_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def _output(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("output")
    group.add_argument("--out", "-o", default="out", help="folder to write to; - prints a stream for kubectl")
    group.add_argument("--adopt", action="store_true", help="take over files that ftgen did not write")
    group.add_argument("--overwrite", action="store_true", help="replace files that were edited by hand")


def is_terminal() -> bool:
    """Whether diagnostics go to a terminal, where colours are welcome."""
    return sys.stderr.isatty()
