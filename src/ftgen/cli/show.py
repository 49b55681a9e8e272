"""`--cfg` and `--info`: print the composed configuration, or how Hydra composed it, as Hydra lays them out.

What is not in ftgen is left out: the groups of Hydra's own node `hydra`, its structured configurations, and the time
that it took to find plugins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from ftgen.cli import output, request
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import HYDRA_VERSION, Composer
from ftgen.text import tables
from ftgen.text.lines import visible


def run(arguments: Arguments) -> int:
    """Print the configuration or how it was composed; check and write nothing."""
    flags = arguments.flags
    with request.open_composer(arguments) as composer:
        overrides = composer.parse(arguments.overrides)
        if flags.cfg:
            text = composer.show(overrides, flags.package, resolved=flags.resolve, kind=flags.cfg)
            # A bare value is what a script reads, as it is.
            sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
        else:
            lines = [line for part in _INFO[flags.info] for line in part(composer, arguments)]
            output.print_text(lines)
        hydra, _ = composer.run_sections(overrides)
        ignored = request.add_locations(composer, arguments, composer.hydra_notes(overrides, hydra))
    output.print_diagnostics(ignored, arguments, to_stderr=True)
    return 0


def _version(_: Composer, __: Arguments) -> Iterator[str]:
    yield from _titled(f"Hydra {HYDRA_VERSION}", "=")


def _plugins(_: Composer, __: Arguments) -> Iterator[str]:
    yield from _titled("Installed Hydra Plugins")
    yield "\tftgen loads none, but the sweeper that hydra/sweeper=NAME chooses on the command line with --multirun"


def _search_path(composer: Composer, _: Arguments) -> Iterator[str]:
    yield ""
    yield from _titled("Config search path")
    rows = [(place.provider, place.address) for place in composer.request.places()]
    yield from _table(("Provider", "Search path"), rows)


def _tree(composer: Composer, arguments: Arguments) -> Iterator[str]:
    yield ""
    yield from _titled("Defaults Tree")
    yield from composer.tree(composer.parse(arguments.overrides))


def _defaults(composer: Composer, arguments: Arguments) -> Iterator[str]:
    yield ""
    yield from _titled("Defaults List")
    head, *lines = _table(
        ("Config path", "Package", "_self_", "Parent"), composer.defaults(composer.parse(arguments.overrides))
    )
    yield f"{head} "  # as Hydra prints it
    yield from (f"{line}-" if set(line) == {"-"} else line for line in lines)


def _config(composer: Composer, arguments: Arguments) -> Iterator[str]:
    yield from _titled("Config")
    yield from composer.show(composer.parse(arguments.overrides), None, resolved=False).split("\n")


Part = Callable[[Composer, Arguments], Iterator[str]]
"""Yields the lines of a part of `--info`."""
_COMPOSED: tuple[Part, ...] = (_search_path, _tree, _defaults, _config)
_INFO: dict[str, tuple[Part, ...]] = {
    "all": (_version, _plugins, *_COMPOSED),
    "config": _COMPOSED,
    "defaults": (_defaults,),
    "defaults-tree": (_tree,),
    "plugins": (_plugins,),
    "searchpath": (_search_path,),
}


def _titled(title: str, line: str = "*") -> Iterator[str]:
    yield title
    yield line * len(title)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table in Hydra's frame, between two rules below the head and the last row."""
    widths = tables.widths([head, *rows])
    first, *lines = (
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in (head, *rows)
    )
    rule = "-" * len(first)
    yield from (first, rule, *lines, rule)
