"""`ftgen diff`: the changes that rendering would make; `ftgen diff OLD NEW`: the differences between manifests."""

from __future__ import annotations

import sys
from pathlib import Path

from ftgen.cli import output, progress, repository, streams
from ftgen.cli.arguments import Arguments, Usage, is_override
from ftgen.cli.repository import Rendering
from ftgen.diagnostics import note
from ftgen.output import tree
from ftgen.remote import gitops
from ftgen.review import diff
from ftgen.review.diff import Change, ChangeClass, Status
from ftgen.text.shapes import mapping

_SSA = "kustomize.toolkit.fluxcd.io/ssa"


def run(arguments: Arguments) -> int:
    """Print the changes; return 1 when the cluster would notice one, else 0."""
    form = "json" if arguments.flags.json else arguments.flags.format
    form = "html" if arguments.flags.page == "-" else form
    if form in {"markdown", "html"}:
        # Diagnostics have no such form.
        arguments.flags.format = "text"
    of_files = _names_files(arguments)
    place = None if of_files else repository.target(arguments)
    rendering = None if of_files else _rendered(arguments, place)
    found = _between(arguments) if rendering is None else _against_tree(arguments, rendering, place)
    if form == "html" or arguments.flags.page:
        _write_page(found, rendering, arguments)
    if form != "html":
        sys.stdout.write(_shown(found, form, arguments, stays=not of_files))
    if not of_files and any(change.status is Status.REMOVED for change in found):
        headline = "what is no longer rendered stays where it is, and its jobs keep running"
        output.print_diagnostics([note("FT511", headline, help="`ftgen stop RUN` ends a run")], arguments)
    if undelivered := [change for change in found if _is_left_alone(change)]:
        headline = f"Flux creates a job once: {len(undelivered)} changed jobs stay as they are in the cluster"
        output.print_diagnostics(
            [note("FT532", headline, help="patch the live jobs too, or publish new runs")], arguments, to_stderr=True
        )
    return int(diff.differs(found))


def _names_files(arguments: Arguments) -> bool:
    words = [word for word in arguments.overrides if not is_override(word)]
    if words and (len(words) != 2 or len(arguments.overrides) != 2):  # noqa: PLR2004 - the old and the new
        raise Usage("diff takes either overrides, or the two files or folders to compare")
    return bool(words)


def _between(arguments: Arguments) -> list[Change]:
    old, new = map(Path, arguments.overrides)
    for path in (old, new):
        if path.is_dir():
            tree.recover(path)
    return diff.diff_paths(old, new)


def _rendered(arguments: Arguments, place: gitops.Target | None) -> Rendering:
    rendering = repository.rendered(arguments, place)
    output.print_diagnostics(output.apply_strict(rendering.diagnostics, arguments), arguments, to_stderr=True)
    return rendering


def _against_tree(arguments: Arguments, rendering: Rendering, place: gitops.Target | None) -> list[Change]:
    if place is not None:
        with progress.steps(arguments) as step:
            step(f"reading {place.branch}")
            return gitops.preview(place, rendering.runs, whole=rendering.whole, push=arguments.flags.push)
    out = arguments.out()
    tree.recover(out)
    return diff.diff_tree(tree.folder_store(out), tree.read_lock(out), rendering.runs, rendering.whole)


def _write_page(found: list[Change], rendering: Rendering | None, arguments: Arguments) -> None:
    from ftgen.cli import review  # noqa: PLC0415 - text needs no page

    if rendering is None:
        review.write(arguments, (), found, (), name=" → ".join(arguments.overrides), stays=False)
    else:
        noticed = output.strict(rendering.diagnostics, arguments)
        review.write(arguments, rendering.rows, found, noticed, runs=rendering.runs)


def _shown(found: list[Change], form: str, arguments: Arguments, *, stays: bool) -> str:
    if form == "json":
        return diff.as_json(found)
    if form == "markdown":
        return diff.as_markdown(found, stays=stays)
    return diff.as_text(found, colour=streams.coloured(sys.stdout, arguments.flags.color))


def _is_left_alone(change: Change) -> bool:
    """Return whether Flux would not apply the change, as it only creates the job (`ssa: IfNotPresent`)."""
    annotations = mapping(mapping(change.manifest.get("metadata")).get("annotations"))
    changed = change.status is Status.CHANGED and change.change_class in {ChangeClass.IN_PLACE, ChangeClass.METADATA}
    return changed and annotations.get(_SSA) == "IfNotPresent"
