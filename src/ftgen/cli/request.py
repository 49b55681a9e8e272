"""From the command line to a composer, and from diagnostics back to the places that are to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ftgen import compose
from ftgen.cli.arguments import Arguments
from ftgen.compose import Composer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error


@contextmanager
def open_composer(arguments: Arguments) -> Iterator[Composer]:
    """The composer that the flags ask for; what is rejected while it works is located in its files."""
    composer = Composer(_request(arguments))
    try:
        yield composer
    except Rejected as rejected:
        raise Rejected(add_locations(composer, arguments, rejected.diagnostics)) from None


def add_locations(composer: Composer, arguments: Arguments, diagnostics: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """The diagnostics with file and line; costs nothing where there is nothing to tell."""
    if all(d.locations for d in diagnostics):
        return diagnostics
    from ftgen import lineage  # noqa: PLC0415 - provenance costs nothing until something is to be told

    return lineage.add_locations(composer, arguments.overrides, diagnostics)


def is_sweep(arguments: Arguments, composer: Composer) -> bool:
    """Return whether sweeps are to be expanded: by the flag, or by `hydra.mode` on the command line or in a file.

    Raises:
        Rejected: FT016, when a `sweep` option is chosen, but expanding was not asked for.
    """
    if arguments.flags.multirun:
        return True
    overrides = composer.parse(arguments.overrides)
    modes = [o.value() for o in overrides if o.key_or_group == "hydra.mode"]
    if not modes:
        hydra, _ = composer.run_sections(overrides)
        modes = [hydra.get("mode")]
    asked = str(modes[-1]).upper() == "MULTIRUN"
    if not asked:
        _refuse_idle(arguments.overrides, overrides)
    return asked


def _refuse_idle(words: Sequence[str], overrides: Sequence[Any]) -> None:
    for position, (text, override) in enumerate(zip(words, overrides, strict=True), 1):
        if override.key_or_group.split(".")[0] == "sweep":
            problem = error("FT016", f"{text} speaks of a sweep", "sweep", text, "add --multirun (-m) to expand it")
            raise Rejected([problem.at(Location(COMMAND_LINE, position))])


def _request(arguments: Arguments) -> compose.Request:
    flags = arguments.flags
    return compose.Request(
        overrides=arguments.overrides,
        config_dirs=tuple(flags.config_dir),
        config_path=flags.config_path,
        config_name=arguments.config_name,
    )
