"""`ftgen gc`: list the files of a tree that no active run needs; `ftgen stop` removes runs."""

from __future__ import annotations

import json

from msgspec.structs import asdict

from ftgen.cli import output, reading
from ftgen.cli.arguments import Arguments, Usage
from ftgen.remote import gitops
from ftgen.remote.gitops import UnusedFile


def run(arguments: Arguments) -> int:
    """Print the unused files, one a line, or as JSON."""
    if arguments.overrides:
        raise Usage("gc takes no words of its own; it looks at a whole tree")
    with reading.open_tree(arguments) as (store, lock):
        found = list(gitops.unused_files(store, lock))
    if arguments.flags.json:
        print(json.dumps([asdict(file) for file in found], indent=2, ensure_ascii=False))  # noqa: T201
        return 0
    output.print_text(f"{file.path}: {file.why}" for file in found)
    output.print_status(_advice(found), arguments)
    return 0


def _advice(found: list[UnusedFile]) -> str:
    if not found:
        return "nothing is left over"
    return (
        f"{len(found)} left over; `ftgen stop RUN` ends a run, and purges one that is archived\n"
        "what is no run's is yours to remove from git, once the reconciler has synchronised the last stop: the index\n"
        "then forgets it, and claims keep their data"
    )
