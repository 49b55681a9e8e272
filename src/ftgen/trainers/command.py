"""Words of a trainer that is a command: its own, then its arguments, with the variables that they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ftgen.spec import Command
from ftgen.text import kube
from ftgen.trainers.arguments import coerced
from ftgen.trainers.surface import Argument, read, releases

VARIABLES = ("MODEL_DIR", "DATASET_DIR", "WORK_DIR", "JOB_NAME", "DEVICE_IDS")
"""Variables that a command may refer to as `$(NAME)`, which Kubernetes replaces; other dollars reach it as they are."""
_REFERENCE = re.compile(rf"(?<!\$)\$\(({'|'.join(VARIABLES)})\)")

LAUNCHER_SYSTEM_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "pytorch": (),
    "mpi": ("openssh-client", "openssh-server"),
    "ray": (),
}
"""Debian packages that a launcher needs in the image, beside the MPI that the command calls."""
LAUNCHER_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {"pytorch": (), "mpi": (), "ray": ("ray",)}
"""Python packages that a launcher needs in the image."""


def release(trainer: Command) -> str:
    """Return the release of the trainer's package that its requirements pin; empty if none of them does."""
    return pinned(trainer.package or "", trainer.requirements)


def pinned(package: str, requirements: Iterable[str]) -> str:
    """Return the release of a package that requirements pin; empty if none of them does."""
    found = (requirement for requirement in requirements if package_of(requirement) == package)
    return next(found, "").partition("==")[2]


def package_of(requirement: str) -> str:
    """Return the package of a requirement that pins a release, without its extras."""
    return requirement.partition("==")[0].partition("[")[0]


def known_arguments(trainer: Command) -> Mapping[str, Argument] | None:
    """Return the arguments that the release of its package accepts, by name; None if they are not known."""
    return arguments(trainer.package, release(trainer)) if trainer.package else None


@cache
def arguments(package: str, version: str) -> Mapping[str, Argument] | None:
    """Return the arguments that a release of a package accepts, by name; None if they are not known."""
    if version not in releases(package):
        return None
    found: Mapping[str, Argument] = read(package, version)["arguments"]
    return found


def words(trainer: Command) -> list[str]:
    """List the words of the command line: the command, and its arguments by name, so that no order of keys matters."""
    known = known_arguments(trainer) or {}
    typed = ((name, coerced(known.get(name), value)) for name, value in sorted(trainer.args.items()))
    given = ((name, value) for name, value in typed if value is not None)
    return [*trainer.command, *(word for name, value in given for word in _argument(name, value, trainer.style))]


def references(trainer: Command) -> dict[str, str]:
    """Return the variables that the command refers to, each with the configuration key of the first reference."""
    keyed = [(f"trainer.command.{i}", word) for i, word in enumerate(trainer.command)]
    keyed += [(f"trainer.args.{name}", _text(value)) for name, value in sorted(trainer.args.items())]
    keyed += [(f"trainer.env.{name}", value) for name, value in trainer.env.items() if isinstance(value, str)]
    found: dict[str, str] = {}
    for key, word in keyed:
        for name in _REFERENCE.findall(word):
            found.setdefault(name, key)
    return found


def refers(value: object) -> bool:
    """Return whether a value refers to a variable, so that only the pod knows it."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def escape(text: str) -> str:
    """Escape a word or a value for Kubernetes, except the variables that it may refer to."""
    return kube.escape_dollars(text, VARIABLES)


def _argument(name: str, value: object, style: str) -> Iterator[str]:
    """Yield the words of one argument.

    As options, a list's items follow one by one, `true` is the option alone, and `false` leaves it out.
    """
    if style == "name=value":
        yield f"{name}={_text(value)}"
    elif value is not False:
        yield f"--{name}"
        if value is not True:
            yield from map(_text, value if isinstance(value, list) else [value])


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
