"""Write runs into a tree, and files that belong to no run: exports, imports, Dockerfiles, schemas."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ftgen.cli import output
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic
from ftgen.output import tree
from ftgen.output.tree import Run
from ftgen.output.tree.folder import Plan


def write(files: Mapping[str, bytes], folder: Path, arguments: Arguments) -> None:
    """Write all files below a folder, or none if one exists with other content, unless --overwrite.

    Raises:
        Rejected: FT501 to FT515, with every file that is in the way.
    """
    outcome = tree.apply(tree.plan_copy(folder, files, overwrite=arguments.flags.overwrite))
    for path, change in outcome.changes.items():
        output.print_status(f"{change:>9}  {folder / path}", arguments)


def write_runs(
    runs: Sequence[Run], diagnostics: Sequence[Diagnostic], arguments: Arguments, *, allow_shrink: bool = False
) -> tree.Outcome:
    """Write single runs into the tree that --out names, print the diagnostics and the changed files, return these.

    Raises:
        Rejected: FT501 to FT515, or with --strict a warning; nothing was written.
    """
    flags, out = arguments.flags, arguments.out()
    options = tree.WriteOptions(
        adopt=flags.adopt, overwrite=flags.overwrite, allow_shrink=allow_shrink, same_run=_same_run
    )
    outcome, noticed = apply(tree.plan_write(out, runs, options), diagnostics, arguments)
    output.print_diagnostics(noticed, arguments)
    own = {*(path for run in runs for path in run.files), *_paths_of(runs, outcome)}
    for path, change in outcome.changes.items():
        if path in own or change is tree.FileChange.REMOVED:
            output.print_status(f"{change:>9}  {out / path}", arguments)
    return outcome


def apply(
    plan: Plan, diagnostics: Sequence[Diagnostic], arguments: Arguments
) -> tuple[tree.Outcome, Sequence[Diagnostic]]:
    """Apply a plan, unless --strict makes an error of a warning; return what changed, and all diagnostics.

    Raises:
        Rejected: FT501 or FT508, or with --strict a warning; nothing was written.
    """
    try:
        noticed = output.apply_strict([*diagnostics, *plan.outcome.diagnostics], arguments)
    except BaseException:
        tree.discard(plan)
        raise
    return tree.apply(plan), noticed


def _paths_of(runs: Sequence[Run], outcome: tree.Outcome) -> Iterator[str]:
    """Yield the paths of runs in the tree, where a run may have another name, and more objects may deliver it."""
    identities = {run.identity for run in runs}
    yield from (path for path, entry in outcome.lock.files.items() if entry.run in identities)


def print_runs(runs: Sequence[Run], diagnostics: Sequence[Diagnostic], arguments: Arguments) -> None:
    """Print the objects of runs as a stream for kubectl, and the diagnostics to standard error."""
    output.print_diagnostics(output.apply_strict(diagnostics, arguments), arguments, to_stderr=True)
    sys.stdout.writelines(f"---\n{content.decode()}" for run in runs for content in run.files.values())


def _same_run(old: bytes, new: bytes) -> bool:
    """Compare two texts of an object by `diff.same_run`, which is loaded only when a file differs."""
    from ftgen.review.diff import same_run  # noqa: PLC0415 - a first render compares nothing

    return same_run(old, new)
