"""`ftgen archive RUN…`: committed runs are finished, and never created again."""

from __future__ import annotations

from ftgen import gitops
from ftgen.cli import output, repository
from ftgen.cli.arguments import Arguments
from ftgen.tree import FileChange


def run(arguments: Arguments) -> int:
    """Give the runs their tombstones; their files stay."""
    outcome = repository.apply_edit(gitops.archiving(repository.names(arguments)), arguments)
    repository.print_changes(outcome, arguments, verbs={FileChange.CHANGED: "archived"})
    output.say(
        "Argo CD and Flux now skip these jobs: nothing is deleted, and nothing that is gone comes back.", arguments
    )
    return 0
