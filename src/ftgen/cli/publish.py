"""`ftgen publish`: render into a GitOps repository as one commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ftgen.cli import document, output, progress, repository
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.repository import Rendering
from ftgen.diagnostics import Diagnostic, note
from ftgen.output.tree import FileChange, OnImmutableChange, Outcome, Run, WriteOptions, under_name
from ftgen.output.tree.lock import is_job
from ftgen.remote import gitops
from ftgen.remote.gitops import Published, Result
from ftgen.review.diff import Change

_CREATED_ONCE = b"kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"


def run(arguments: Arguments) -> int:
    """Compile, then commit; commit nothing if there is an error."""
    flags = arguments.flags
    target = repository.target(arguments)
    if target is None:
        raise Usage("publish needs --repo and --branch; without a repository, `ftgen -o DIR` writes to a folder")
    rendering = repository.rendered(arguments, target)
    output.print_diagnostics(output.apply_strict(rendering.diagnostics, arguments), arguments)
    changes: list[Sequence[Change]] = []
    # A file is written before the commit, since it may be refused; standard output, once.
    review = changes.append if flags.page == "-" else partial(_write_page, rendering, arguments)
    with progress.steps(arguments) as step:
        done = gitops.publish(
            target,
            rendering.runs,
            repository.provenance(rendering.runs),
            options=_options(arguments, rendering),
            push=flags.push,
            branch_per_sweep=flags.branch_per_sweep,
            allow_dirty=flags.allow_dirty,
            approve=lambda outcome: output.apply_strict(outcome.diagnostics, arguments),
            review=review if flags.page else None,
            progress=step,
        )
    for last in changes[-1:]:
        _write_page(rendering, arguments, last)
    output.print_diagnostics([*done.diagnostics, *undelivered(rendering.runs, done.outcome)], arguments)
    _summarise(done, arguments)
    if flags.json:
        document.print_published(target, done, rendering.rows, arguments)
    return 0


def _write_page(rendering: Rendering, arguments: Arguments, changes: Sequence[Change]) -> None:
    from ftgen.cli import review  # noqa: PLC0415 - a commit needs no page

    noticed = output.strict(rendering.diagnostics, arguments)
    review.write(arguments, rendering.rows, changes, noticed, runs=rendering.runs)


def _options(arguments: Arguments, rendering: Rendering) -> WriteOptions:
    flags = arguments.flags
    return WriteOptions(
        on_immutable_change=OnImmutableChange.KEEP if flags.new_run else OnImmutableChange.REFUSE,
        adopt=flags.adopt,
        overwrite=flags.overwrite,
        allow_shrink=flags.allow_shrink,
        whole=rendering.whole,
    )


def undelivered(runs: Sequence[Run], outcome: Outcome) -> list[Diagnostic]:
    """Return a note if Flux, which creates a job only once, will not apply a change to the cluster."""
    changed = set(outcome.paths(FileChange.CHANGED))
    named = (under_name(run, outcome.names[run.name]) if run.name in outcome.names else run for run in runs)
    files = [(path, text) for run in named for path, text in run.files.items() if path in changed]
    create_once = [path for path, text in files if _CREATED_ONCE in text]
    if not create_once:
        return []
    headline = f"Flux creates a job once: the changes of {len(create_once)} published jobs stay in git"
    return [note("FT532", headline, create_once[0], help="patch the live job too, or publish a new run")]


def _summarise(done: Published, arguments: Arguments) -> None:
    repository.print_changes(done.outcome, arguments)
    if done.result is not Result.UNCHANGED:
        for line in _reconciler_actions(done.outcome):
            output.print_status(line, arguments)
    output.print_status(done.summary, arguments)


def _reconciler_actions(outcome: Outcome) -> Iterator[str]:
    """Yield one line for each action that the reconciler will take."""
    words = {
        FileChange.ADDED: "to be created",
        FileChange.CHANGED: "to be changed in place, without a restart",
        FileChange.ORPHANED: "left alone, and no longer rendered",
        FileChange.KEPT: "left alone: archived, or stopped before",
    }
    for change, word in words.items():
        jobs = sum(
            is_job(outcome.lock.files[path].object) for path in outcome.paths(change) if path in outcome.lock.files
        )
        if jobs:
            yield f"{jobs:>9}  {'job' if jobs == 1 else 'jobs'} {word}"
