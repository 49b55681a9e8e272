"""The arguments of the trainer in the types that its YAML needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftgen.trainers.surface import Argument, Surface, WrongType, cast, export_keys, surface, template_of, versions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Surface", "export_keys", "normalise", "surface", "template_of", "versions"]


def normalise(args: Mapping[str, object], release: Surface) -> dict[str, Any]:
    """Return the arguments in the types that the trainer's YAML needs, without those that are null.

    `1e-4` as a text becomes a number, and 3 becomes 3.0 where the trainer wants a float.  A value that cannot be cast
    stays as it is: `check` refuses it.
    """
    typed = {name: coerced(release.arguments.get(name), value) for name, value in args.items()}
    return {name: value for name, value in typed.items() if value is not None}


def coerced(argument: Argument | None, value: object) -> Any:
    """The value in the type that the argument wants, or as it is where it cannot be cast."""
    try:
        return cast(argument, value) if argument else value
    except WrongType:
        return value
