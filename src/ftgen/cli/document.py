"""What `--json` of render and publish says: the jobs with their sums, and what became of each file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from ftgen.cli import output
from ftgen.cli.arguments import Arguments
from ftgen.output.tree import FileChange, Outcome
from ftgen.remote.gitops import Published, Result, Target
from ftgen.sweeping import index
from ftgen.sweeping.index import Row


def print_rendered(outcome: Outcome, rows: Sequence[Row], arguments: Arguments) -> None:
    """Print what was rendered into a folder."""
    output.print_document({"out": arguments.flags.out, **_jobs(rows, outcome), **_changes(outcome)}, arguments)


def print_published(target: Target, done: Published, rows: Sequence[Row], arguments: Arguments) -> None:
    """Print what was published, the address without the credentials in it."""
    published = {
        "repository": target.shown,
        "branch": done.branch,
        "path": target.path,
        "result": str(done.result),
        "commit": done.commit,
        "pushed": done.result is Result.PUSHED,
        "remote": done.remote,
        "new_branch": done.is_new,
    }
    output.print_document({**published, **_jobs(rows, done.outcome), **_changes(done.outcome)}, arguments)


def _jobs(rows: Sequence[Row], outcome: Outcome) -> dict[str, Any]:
    """Return the jobs and their sums, as `plan --json` has them."""
    named = index.under_names(rows, outcome.names)
    return {"jobs": [index.as_json(row) for row in named], "totals": asdict(index.totals(rows))}


def _changes(outcome: Outcome) -> dict[str, Any]:
    """Return the files by what became of them; every change is a key, so that a reader need not ask for it."""
    return {
        "changes": {str(change): list(outcome.paths(change)) for change in FileChange},
        "adopted": list(outcome.adopted),
        "renamed": [{"identity": identity, "old": old, "new": new} for identity, old, new in outcome.renamed],
    }
