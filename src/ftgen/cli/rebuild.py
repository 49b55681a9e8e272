"""`ftgen rebuild FILE`: render a manifest again from its own annotations, and compare the bytes.

Without a file, `drift` does so with every run of a tree.

* FT533: the file does not record the overrides that it was rendered from.
* FT534: the file was rendered by another release of ftgen.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import __version__
from ftgen.cli import output, progress, request, streams
from ftgen.cli.arguments import Arguments, Usage
from ftgen.diagnostics import Rejected, error, note
from ftgen.lower import record, render
from ftgen.output import tree
from ftgen.output.tree import LOCK_NAME, Entry, Run, State
from ftgen.pipeline import Workspace
from ftgen.provenance.foreign import refuse_outside
from ftgen.remote import gitops
from ftgen.review import diff
from ftgen.review.diff.show import printable
from ftgen.sweeping.recorded import Recorded, Rerender
from ftgen.text import files, yamlio
from ftgen.text.shapes import text as text_of

if TYPE_CHECKING:
    from ftgen.pipeline.serving import CompiledService


class Committed(Struct, frozen=True):
    """Manifest on disk: its bytes, its annotations, and its entry in a tree's index."""

    file: Path
    content: bytes
    name: str
    annotations: Mapping[str, Any]
    entry: Entry | None


def run(arguments: Arguments) -> int:
    """Compare a file, or without one a whole tree; return 0 if the bytes are the same, or 1 with the difference."""
    if not arguments.overrides:
        from ftgen.cli import drift  # noqa: PLC0415 - a single file needs no tree

        return drift.run(arguments)
    if arguments.flags.json:
        raise Usage("rebuild has --json for a tree; `ftgen diff --json` compares two files")
    if len(arguments.overrides) != 1 or arguments.flags.repo or Path(arguments.overrides[0]).is_dir():
        raise Usage("rebuild takes the file of one job, or no word: then it takes the tree of -o DIR, or of --repo")
    with progress.steps(arguments) as step:
        step(f"rendering {arguments.overrides[0]}")
        committed = _read(Path(arguments.overrides[0]))
        rendered = _rebuilt(committed, arguments)
    return _compare(rendered, committed, arguments)


def _rebuilt(committed: Committed, arguments: Arguments) -> bytes:
    """Return what the configuration of a file renders to."""
    recorded = recorded_of(committed)
    if record.SERVES in committed.annotations:
        service = service_of(committed, recorded, arguments)
        content = service.files[f"{service.identity.folder}/{render.file_name(service.bundle.job)}"]
        return tree.with_commit_of(content, committed.content)
    with request.open_composer(replace(arguments, overrides=recorded.overrides), pins=recorded.pins) as composer:
        return as_committed(Rerender(composer).run(recorded), committed)


def service_of(
    committed: Committed, recorded: Recorded, arguments: Arguments, *, trusted: bool = True
) -> CompiledService:
    """Render what serves a result again: its workload, whose name never changes, and what stands beside it.

    Raises:
        Rejected: the configuration does not compile any more, or the manifest does not say of which run.
    """
    from ftgen.pipeline.serving import compile_service, trained_run  # noqa: PLC0415 - most files are jobs
    from ftgen.provenance.service import service_source  # noqa: PLC0415 - as above

    words = replace(arguments, overrides=recorded.overrides).with_flags(config_name="serve")
    run = trained_run(yamlio.parse(committed.content.decode(), str(committed.file)), str(committed.file))
    typed = None if trusted else ()
    with request.open_composer(words, partial(service_source, run), pins=recorded.pins, typed=typed) as composer:
        if not trusted:
            refuse_outside(composer, recorded.overrides)
        return compile_service(composer, run, recorded.overrides, Workspace(composer))


def _compare(rendered: bytes, committed: Committed, arguments: Arguments) -> int:
    if rendered == committed.content:
        output.print_status(f"{committed.file} is what its configuration renders to", arguments)
        return 0
    return _print_difference(committed, rendered, arguments)


def _read(file: Path) -> Committed:
    text = yamlio.read_text(file)
    manifest = yamlio.parse(text, str(file))
    annotations = record.annotations_of(manifest)
    if record.OVERRIDES not in annotations:
        how = f"name the file of a job; only ftgen's own carry {record.OVERRIDES}"
        raise Rejected([error("FT533", f"{file} does not say what it was rendered from", str(file), help=how)])
    return Committed(file, text.encode(), text_of(manifest["metadata"].get("name")), annotations, _entry(file))


def _entry(file: Path) -> Entry | None:
    """Return the file's entry in the index of its tree, or None if it lies in no tree."""
    path = files.resolved(file)
    folder = path.parent
    for root in (folder, folder.parent):
        if (root / LOCK_NAME).is_file():
            tree.recover(root)
            return tree.read_lock(root).files.get(path.relative_to(root).as_posix())
    return None


def recorded_of(committed: Committed) -> Recorded:
    """Return the overrides, the point of a sweep and the pins that a manifest records.

    Raises:
        Rejected: FT533, it records none, or in no shape of ftgen's.
    """
    try:
        noted = committed.annotations
        return Recorded(record.overrides(noted), record.point(noted), record.pins(noted))
    except ValueError as problem:
        headline = f"{committed.file} does not say what it was rendered from: {problem}"
        restore = "restore the file from version control"
        raise Rejected([error("FT533", headline, str(committed.file), help=restore)]) from None


def as_committed(run: Run, committed: Committed) -> bytes:
    """Return the rendered job under its assigned name and in its current state: active, stopping or archived."""
    # The name may come from a foreign clone: insert it only into the job's text, after finding the job by its path.
    job = {path: text for path, text in run.files.items() if tree.is_job_file(path)}
    named = replace(run, files=job)
    (content,) = (
        tree.under_name(named, committed.name) if _has_assigned_name(run, committed) else named
    ).files.values()
    content = tree.with_commit_of(content, committed.content)
    state = committed.entry.state if committed.entry else _state_of(committed.annotations)
    if state is State.ARCHIVED:
        return gitops.annotated(content, gitops.TOMBSTONE)
    return gitops.annotated(content, gitops.unguarded(content)) if state is State.STOPPING else content


def _has_assigned_name(run: Run, committed: Committed) -> bool:
    """Return whether the index or `ftgen rerun` assigned the name; such a name never changes."""
    return bool(run.name and committed.name) and (
        committed.entry is not None or committed.name.startswith(f"{run.name}-r")
    )


def _state_of(annotations: Mapping[str, Any]) -> State:
    has_tombstone = all(annotations.get(key) == value for key, value in gitops.TOMBSTONE.items())
    return State.ARCHIVED if has_tombstone else State.ACTIVE


def _print_difference(committed: Committed, rendered: bytes, arguments: Arguments) -> int:
    version = committed.annotations.get(record.VERSION, "")
    if version != __version__:
        headline = f"{committed.file} was rendered by ftgen {version}, and this is ftgen {__version__}"
        output.print_diagnostics(
            [note("FT534", headline, str(committed.file), help=f"install ftgen {version} to compare bytes")],
            arguments,
            to_stderr=True,
        )
    if commit := committed.annotations.get(tree.COMMIT):
        told = printable(f"{committed.file} was published from the commit {commit} of the configuration")
        output.print_status(told, arguments)
    differences = diff.diff_objects(
        *([yamlio.parse(text.decode(), str(committed.file))] for text in (committed.content, rendered))
    )
    sys.stdout.write(diff.as_text(differences, colour=streams.coloured(sys.stdout, arguments.flags.color)))
    return 1
