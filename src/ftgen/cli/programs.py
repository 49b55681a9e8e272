"""The programs that a configuration starts, by the key of their arguments: what `ftgen explain` knows of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, error
from ftgen.trainers import command, vllm
from ftgen.trainers.surface import Argument, surface, versions
from ftgen.validation.arguments import UNKNOWN


class Program(Struct, frozen=True):
    """Release of a program whose arguments are known.

    Attributes:
        name: the program with its release.
        arguments: the arguments that a configuration may set, by name.
        owned: arguments that ftgen sets itself, with what to set instead.
        unknown: says of a name that is no argument what is known of it, and the help.
    """

    name: str
    arguments: Mapping[str, Argument]
    owned: Mapping[str, str]
    unknown: Callable[[str], tuple[str, str]]

    def refused(self, key: str, name: str) -> Diagnostic:
        """Return the error of a key whose name is no argument of the program, as the rules say it."""
        headline, help_ = self.unknown(name)
        return error(UNKNOWN, headline, key, help=help_)


def program(parent: str, config: Mapping[str, Any]) -> Program | None:
    """Return the program whose arguments lie below a key, such as `trainer.args`; None if none is known there."""
    group, _, _ = parent.partition(".")
    section = config.get(group)
    if not isinstance(section, dict) or parent not in _PROGRAMS:
        return None
    return _PROGRAMS[parent](section)


def _training(trainer: Mapping[str, Any]) -> Program | None:
    if trainer.get("framework") == "command":
        return _package(trainer)
    return _llamafactory(trainer, "train")


def _export(trainer: Mapping[str, Any]) -> Program | None:
    return _llamafactory(trainer, "export")


def _llamafactory(trainer: Mapping[str, Any], verb: str) -> Program | None:
    if (version := str(trainer.get("version"))) not in versions():
        return None
    from ftgen.validation.rules.trainer.check import unknown_argument  # noqa: PLC0415 - for this program only

    release = surface(version)
    accepted = {name: argument for name, argument in release.arguments.items() if verb in argument.commands}
    return Program(f"LLaMA-Factory {version}", accepted, {}, lambda name: unknown_argument(name, release, verb))


def _package(trainer: Mapping[str, Any]) -> Program | None:
    package, pins = str(trainer.get("package")), trainer.get("requirements")
    version = command.pinned(package, map(str, pins if isinstance(pins, (list, tuple)) else ()))
    accepted = command.arguments(package, version)
    if accepted is None:
        return None
    from ftgen.validation.rules.command_arguments import unknown_argument  # noqa: PLC0415 - for this program only

    name = f"{package} {version}"
    return Program(name, accepted, {}, lambda unknown: unknown_argument(unknown, name, accepted))


def _serving(serving: Mapping[str, Any]) -> Program | None:
    if (version := str(serving.get("version"))) not in vllm.versions():
        return None
    from ftgen.validation.rules.serving_arguments import OWNED, unknown_argument  # noqa: PLC0415 - for this program only

    release = vllm.surface(version)
    parsers = {name: replace(release.arguments[name], choices=each.names) for name, each in release.registered.items()}
    accepted = {**release.arguments, **parsers}
    return Program(f"vLLM {version}", accepted, OWNED, lambda name: unknown_argument(name, release))


_PROGRAMS: Mapping[str, Callable[[Mapping[str, Any]], Program | None]] = {
    "trainer.args": _training,
    "trainer.export": _export,
    "serving.args": _serving,
}
