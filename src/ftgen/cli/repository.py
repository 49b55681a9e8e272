"""Shared code of the verbs for a published tree: its address, its rendering, and the report of its changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from ftgen import __version__, pipeline
from ftgen.cli import many, output, progress, reading, request
from ftgen.cli.arguments import Arguments, Usage, is_override
from ftgen.diagnostics import Diagnostic
from ftgen.output import delivery, tree
from ftgen.output.tree import FileChange, Outcome, Run
from ftgen.remote import gitops
from ftgen.remote.gitops import Provenance, Target, TreeEdit
from ftgen.sweeping import index
from ftgen.sweeping.index import Row

_DIGEST = re.compile(rb"ftgen\.dev/config-digest: sha256:([0-9a-f]{64})")
_LISTED = 20


class Rendering(Struct, frozen=True):
    """Runs that a command line renders.

    Attributes:
        runs: jobs first, then the objects that deliver them.
        diagnostics: warnings and notes, with locations.
        whole: folders that the runs cover completely.
        rows: the jobs in the sweep's index, and what they ask for.
    """

    runs: Sequence[Run]
    diagnostics: Sequence[Diagnostic]
    whole: frozenset[str] = frozenset()
    rows: Sequence[Row] = ()


def target(arguments: Arguments) -> Target | None:
    """Return the repository that the flags name, or None for a plain folder.

    Raises:
        Usage: when a flag is missing that another flag needs.
        Rejected: FT520.
    """
    flags = arguments.flags
    if flags.repo is None:
        if flags.branch or flags.path or flags.push:
            raise Usage("--branch, --path and --push go with --repo")
        return None
    if not flags.branch:
        raise Usage("--repo needs --branch")
    return gitops.target_of(flags.repo, flags.branch, flags.path)


def rendered(arguments: Arguments, destination: Target | None = None) -> Rendering:
    """Compile the job, or every job of the sweep, of the command line.

    Raises:
        Rejected: with all errors and their locations.
    """
    source = git_source(destination) if destination else None
    with request.open_composer(arguments) as composer:
        if request.is_sweep(arguments, composer):
            batch = many.expanded(arguments, composer)
            runs = list(many.runs(batch, table=False, published=source))
            return Rendering(runs, batch.diagnostics, many.complete_folders(batch), batch.rows)
        job = pipeline.compile_job(composer, arguments.overrides)
        runs = [job.run, *pipeline.deliver([job], source)]
        noticed = request.add_locations(composer, arguments, job.diagnostics)
        return Rendering(runs, noticed, rows=[index.row(job)])


def git_source(destination: Target) -> delivery.GitSource:
    """Return the source from which a reconciler reads a published tree."""
    return delivery.GitSource(gitops.url_of(destination), f"refs/heads/{destination.branch}", destination.path)


def provenance(runs: Iterable[Run] = ()) -> Provenance:
    """Return the origin for a commit: this ftgen, the digest of the configurations, the commit of the checkout."""
    digests = sorted({found[1] for run in runs for text in run.files.values() if (found := _DIGEST.search(text))})
    combined = digests[0].decode() if len(digests) == 1 else hashlib.sha256(b"\n".join(digests)).hexdigest()
    return Provenance(__version__, combined if digests else "", gitops.source_of(Path.cwd()))


def names(arguments: Arguments) -> list[str]:
    """Return the names of runs on the command line.

    Raises:
        Usage: when there are none.
    """
    found = [word for word in arguments.overrides if not is_override(word)]
    if not found:
        raise Usage(f"{arguments.verb} needs the name of a run, as in `ftgen {arguments.verb} sft-1a2b3c4d`")
    return found


def apply_edit(edit: TreeEdit, arguments: Arguments, runs: Sequence[Run] = ()) -> tuple[Outcome, str]:
    """Apply an edit to the tree: by a commit if it is in a repository, in place if it is a folder.

    Return what changed, and the id of the commit; empty for a folder.

    Args:
        edit: the change.
        arguments: the command line.
        runs: runs rendered for the edit; the commit then records their configuration.

    Raises:
        Rejected: FT5xx, or with --strict a warning; nothing was changed.
    """
    destination = target(arguments)

    def checked(store: tree.Store, lock: tree.Lock) -> tuple[Outcome, str]:
        outcome, subject = edit(store, lock)
        output.apply_strict(outcome.diagnostics, arguments)
        return outcome, subject

    if destination is None:
        outcome = tree.apply(tree.plan_edit(reading.folder(arguments), lambda store, lock: checked(store, lock)[0]))
        output.print_diagnostics(outcome.diagnostics, arguments)
        return outcome, ""
    origin = provenance(runs)
    if runs and not arguments.flags.allow_dirty:
        gitops.refuse_unclean_source(destination, origin, push=arguments.flags.push)
    with progress.steps(arguments) as step:
        done = gitops.commit(destination, checked, origin, push=arguments.flags.push, progress=step)
    output.print_diagnostics(done.diagnostics, arguments)
    output.print_status(done.summary, arguments)
    return done.outcome, done.commit


def print_changes(outcome: Outcome, arguments: Arguments, *, verbs: dict[FileChange, str] | None = None) -> None:
    """Print the changed files: the first twenty by name, and the number of the others.

    Args:
        outcome: the changes.
        arguments: the command line.
        verbs: words to print for a change, if they differ from its own.
    """
    changed = [(path, change) for path, change in outcome.changes.items() if change is not FileChange.UNCHANGED]
    for path, change in changed[:_LISTED]:
        output.print_status(f"{(verbs or {}).get(change, change):>9}  {path}", arguments)
    if len(changed) > _LISTED:
        output.print_status(f"{'…':>9}  and {len(changed) - _LISTED} more files", arguments)
