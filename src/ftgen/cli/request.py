"""Composer of a command line, and locations of the diagnostics that it raises."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftgen.cli.arguments import Arguments
from ftgen.config import compose
from ftgen.config.compose import Composer
from ftgen.config.pins import Pins
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error

if TYPE_CHECKING:
    from ftgen.provenance.dependencies import Source


@contextmanager
def open_composer(
    arguments: Arguments,
    source_of: Source | None = None,
    directory: Path = Path(),
    pins: Pins | None = None,
    typed: Iterable[str] | None = None,
) -> Iterator[Composer]:
    """Yield the composer that the flags describe; locate the diagnostics of a `Rejected` raised in the block.

    Args:
        arguments: the command line.
        source_of: traces values in manifests; by default, through the lowering of a job.
        directory: folder that holds the user's own `conf/` and `overlays/`.
        pins: pins in place of those of `pins.yaml`; see `Request`.
        typed: overrides that the user typed, where a file recorded the others; see `Request`.
    """
    composer = Composer(_request(arguments, directory, pins, None if typed is None else frozenset(typed)))
    try:
        yield composer
    except Rejected as rejected:
        raise Rejected(add_locations(composer, arguments, rejected.diagnostics, source_of)) from None


def add_locations(
    composer: Composer, arguments: Arguments, diagnostics: Sequence[Diagnostic], source_of: Source | None = None
) -> Sequence[Diagnostic]:
    """Locate diagnostics by file and line; load nothing when all of them are located."""
    if all(d.locations for d in diagnostics):
        return diagnostics
    from ftgen.provenance import dependencies  # noqa: PLC0415 - loaded only when there is something to locate

    traced = source_of or dependencies.LoweringInput.of
    return dependencies.add_locations(composer, arguments.overrides, diagnostics, traced)


def is_sweep(arguments: Arguments, composer: Composer) -> bool:
    """Return whether to expand sweeps: by the flag, or by `hydra.mode` on the command line or in a file.

    Raises:
        Rejected: FT016, when a `sweep` option is chosen without --multirun.
    """
    if arguments.flags.multirun:
        return True
    overrides = composer.parse(arguments.overrides)
    modes = [o.value() for o in overrides if o.key_or_group == "hydra.mode"]
    if not modes:
        hydra, _ = composer.run_sections(overrides)
        modes = [hydra.get("mode")]
    is_multirun = str(modes[-1]).upper() == "MULTIRUN"
    if not is_multirun:
        _refuse_unused_sweep(arguments.overrides, overrides)
    return is_multirun


def _refuse_unused_sweep(words: Sequence[str], overrides: Sequence[Any]) -> None:
    for position, (text, override) in enumerate(zip(words, overrides, strict=True), 1):
        if override.key_or_group.split(".")[0] == "sweep":
            problem = error("FT016", f"{text} speaks of a sweep", "sweep", text, "add --multirun (-m) to expand it")
            raise Rejected([problem.at(Location(COMMAND_LINE, position))])


def _request(arguments: Arguments, directory: Path, pins: Pins | None, typed: frozenset[str] | None) -> compose.Request:
    flags = arguments.flags
    return compose.Request(
        overrides=arguments.overrides,
        config_dirs=tuple(flags.config_dir),
        config_path=flags.config_path,
        config_name=arguments.config_name,
        directory=directory,
        pins=pins,
        locked=_locking(arguments) if getattr(flags, "locked", False) else "",
        typed=typed,
        expands=arguments.verb in _EXPANDING and not flags.cfg and not flags.info,
    )


_EXPANDING = frozenset({"render", "plan", "preview", "diff", "publish", "lock"})
"""Verbs that --multirun has a meaning for."""


def _locking(arguments: Arguments) -> str:
    """Return the command that pins the references of a command line."""
    flags = arguments.flags
    folders = [word for folder in flags.config_dir for word in ("--config-dir", str(folder))]
    path = ["--config-path", str(flags.config_path)] if flags.config_path else []
    name = ["--config-name", flags.config_name] if flags.config_name != "config" else []
    sweep = ["-m"] if flags.multirun or arguments.verb == "tune" else []
    # The intervals of a study hold numbers, none of which is fetched; only `ftgen tune` can choose from them.
    words = [word for word in arguments.overrides if "interval(" not in word]
    return shlex.join(["ftgen", "lock", *sweep, *words, *folders, *path, *name])
