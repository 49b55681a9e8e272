"""`ftgen archive RUN…`: mark committed runs as finished, so that they are never created again."""

from __future__ import annotations

from ftgen.cli import output, repository
from ftgen.cli.arguments import Arguments
from ftgen.output.tree import FileChange
from ftgen.remote import gitops


def run(arguments: Arguments) -> int:
    """Add the tombstones to the runs; keep their files."""
    outcome, _ = repository.apply_edit(gitops.archiving(repository.names(arguments)), arguments)
    repository.print_changes(outcome, arguments, verbs={FileChange.CHANGED: "archived"})
    output.print_status(
        "Argo CD and Flux now skip these jobs: nothing is deleted, and nothing that is gone comes back.", arguments
    )
    return 0
