"""`--cfg` and `--info`: print the composed configuration, or how Hydra composed it."""

from __future__ import annotations

import sys

from ftgen.cli import request
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import Composer
from ftgen.text import tables


def run(arguments: Arguments) -> int:
    """Print the configuration or how it was composed; check and write nothing."""
    flags = arguments.flags
    with request.open_composer(arguments) as composer:
        if flags.cfg:
            overrides = composer.parse(arguments.overrides)
            text = composer.show(overrides, flags.package, resolved=flags.resolve, kind=flags.cfg)
            head = f"# @package {flags.package}\n" if flags.package else ""
            sys.stdout.write(head + text)
        else:
            sys.stdout.write("\n".join(_info(flags.info, composer, arguments)) + "\n")
    return 0


def _info(kind: str, composer: Composer, arguments: Arguments) -> list[str]:
    parts = {
        "searchpath": lambda: _table(("search path",), [(str(p),) for p in composer.request.search_path()]),
        "defaults": lambda: _defaults(composer, arguments),
        "defaults-tree": lambda: composer.tree(composer.parse(arguments.overrides)),
        "config": lambda: composer.show(composer.parse(arguments.overrides), None, resolved=False).splitlines(),
        "plugins": lambda: ["ftgen loads no Hydra plugins; sweepers and launchers are its own"],
    }
    chosen = ("searchpath", "defaults", "config") if kind == "all" else (kind,)
    return [line for name in chosen for line in (*parts[name](), "")][:-1]


def _defaults(composer: Composer, arguments: Arguments) -> list[str]:
    layers = composer.trace(composer.parse(arguments.overrides)).layers
    return _table(("file", "package"), [(layer.display, layer.package or "_global_") for layer in layers])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = tables.table([head, *rows])
    widths = tables.widths([head, *rows])
    return [lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]
