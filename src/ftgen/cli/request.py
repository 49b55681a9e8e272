"""From the command line to a composer, and from diagnostics back to the places that are to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ftgen import compose
from ftgen.cli.arguments import Arguments
from ftgen.compose import Composer
from ftgen.diagnostics import Diagnostic, Rejected


@contextmanager
def located(arguments: Arguments) -> Iterator[Composer]:
    """The composer that the flags ask for; what is rejected while it works is located in its files."""
    composer = Composer(_request(arguments))
    try:
        yield composer
    except Rejected as rejected:
        raise Rejected(locate(composer, arguments, rejected.diagnostics)) from None


def locate(composer: Composer, arguments: Arguments, diagnostics: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """The diagnostics with file and line; costs nothing where there is nothing to tell."""
    if all(d.locations for d in diagnostics):
        return diagnostics
    from ftgen import lineage  # noqa: PLC0415 - provenance costs nothing until something is to be told

    return lineage.located(composer, arguments.overrides, diagnostics)


def _request(arguments: Arguments) -> compose.Request:
    flags = arguments.flags
    return compose.Request(
        overrides=arguments.overrides,
        config_dirs=tuple(flags.config_dir),
        config_path=flags.config_path,
        config_name=arguments.config_name,
    )
