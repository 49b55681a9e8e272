"""Write files that belong to no run: exports, imports, Dockerfiles, schemas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftgen.cli import output
from ftgen.cli.arguments import Arguments
from ftgen.output import tree


def write(files: Mapping[str, bytes], folder: Path, arguments: Arguments) -> None:
    """Write all files below a folder, or none if one exists with other content, unless --overwrite.

    Raises:
        Rejected: FT501 to FT515, with every file that is in the way.
    """
    outcome = tree.apply(tree.plan_copy(folder, files, overwrite=arguments.flags.overwrite))
    for path, change in outcome.changes.items():
        output.print_status(f"{change:>9}  {folder / path}", arguments)
