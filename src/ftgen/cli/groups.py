"""`ftgen groups [GROUP]`: the options there are, each with the line its file begins with."""

from __future__ import annotations

import json
import sys

from ftgen import catalog
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Rejected, error


def run(arguments: Arguments) -> int:
    """Print all groups, or one."""
    places = arguments.search_path()
    found = dict(sorted({**catalog.groups(places), **catalog.nested_groups(places)}.items()))
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
        sys.stdout.write(listing(chosen))
    return 0


def listing(groups: dict[str, dict[str, str]]) -> str:
    """Groups and options as a table of two columns."""
    width = max((len(option) for options in groups.values() for option in options), default=0)
    blocks = [
        f"{group}\n" + "".join(f"  {option.ljust(width)}  {told}\n" for option, told in options.items())
        for group, options in groups.items()
    ]
    return "\n".join(blocks)
