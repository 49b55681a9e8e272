"""`ftgen groups [GROUP]`: list configuration groups and options, each with the first comment of its file."""

from __future__ import annotations

import json

from ftgen.cli import output
from ftgen.cli.arguments import Arguments
from ftgen.config import catalog
from ftgen.diagnostics import Rejected, error


def run(arguments: Arguments) -> int:
    """Print all groups, or one."""
    search_path = arguments.search_path()
    found = dict(sorted({**catalog.groups(search_path), **catalog.nested_groups(search_path)}.items()))
    wanted = arguments.overrides
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise Rejected(
            [error("FT011", f"there is no group {unknown[0]!r}", unknown[0], help=f"the groups are {', '.join(found)}")]
        )
    chosen = {name: options for name, options in found.items() if not wanted or name in wanted}
    if arguments.flags.json:
        print(json.dumps(chosen, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        output.print_text(listing(chosen).splitlines())
    return 0


def listing(groups: dict[str, dict[str, str]]) -> str:
    """Format groups and options as a table of two columns."""
    width = max((len(option) for options in groups.values() for option in options), default=0)
    blocks = [
        f"{group}\n" + "".join(f"  {option.ljust(width)}  {description}\n" for option, description in options.items())
        for group, options in groups.items()
    ]
    return "\n".join(blocks)
