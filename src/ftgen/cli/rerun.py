"""`ftgen rerun RUN… [OVERRIDES]`: train committed runs again, as new objects with names of their own."""

from __future__ import annotations

from msgspec.structs import replace

from ftgen.cli import output, repository
from ftgen.cli.arguments import Arguments
from ftgen.remote import gitops


def run(arguments: Arguments) -> int:
    """Copy the runs under their next names; render a run whose file is removed from the given overrides."""
    names = repository.names(arguments)
    overrides = tuple(word for word in arguments.overrides if word not in names)
    runs = repository.rendered(replace(arguments, overrides=overrides)).runs if overrides else ()
    outcome, _ = repository.apply_edit(gitops.rerunning(names, runs), arguments, runs)
    repository.print_changes(outcome, arguments)
    output.print_status("The reconciler creates the new jobs; the old ones are left as they are.", arguments)
    return 0
