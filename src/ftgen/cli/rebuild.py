"""`ftgen rebuild FILE`: render a manifest again from its own annotations, and compare the bytes.

* FT533: the file does not record the overrides that it was rendered from.
* FT534: the file was rendered by another release of ftgen.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ftgen import __version__, diff, gitops, pipeline
from ftgen.cli import output, progress, request, streams
from ftgen.cli.arguments import Arguments, Usage
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected, error, note
from ftgen.lower import record, render
from ftgen.output import tree
from ftgen.output.tree import LOCK_NAME, Entry, Run, State
from ftgen.pipeline import SweepPosition, Workspace
from ftgen.sweeping import axes, batch
from ftgen.text import files, yamlio
from ftgen.validation.manifest import text as text_of


@dataclass(frozen=True, slots=True)
class Committed:
    """Manifest on disk: its bytes, its annotations, and its entry in a tree's index."""

    file: Path
    content: bytes
    name: str
    annotations: Mapping[str, Any]
    entry: Entry | None


def run(arguments: Arguments) -> int:
    """Compare; return 0 if the bytes are the same, or 1 with the difference on stdout."""
    if len(arguments.overrides) != 1:
        raise Usage("rebuild takes the file of one job")
    with progress.steps(arguments) as step:
        step(f"rendering {arguments.overrides[0]}")
        committed, rendered = _rebuilt(Path(arguments.overrides[0]), arguments)
    return _compare(rendered, committed, arguments)


def _rebuilt(file: Path, arguments: Arguments) -> tuple[Committed, bytes]:
    """Return a file, and what its configuration renders to."""
    committed = _read(file)
    overrides, point = _recorded(committed)
    if record.SERVES in committed.annotations:
        return committed, _rebuilt_service(committed, overrides, arguments)
    render_arguments = replace(arguments, overrides=overrides)
    with request.open_composer(render_arguments) as composer:
        composition = composer.compose(composer.parse(overrides))
        position = _position(composer, point, overrides)
        job = pipeline.compile_composition(composition, overrides, Workspace(composer), position)
    return committed, _as_committed(job.run, committed)


def _rebuilt_service(committed: Committed, overrides: tuple[str, ...], arguments: Arguments) -> bytes:
    """Render what serves a result again: the workload, whose name never changes."""
    from ftgen.serving import compile_service, service_source, trained_run  # noqa: PLC0415 - most files are jobs

    arguments.flags.config_name = "serve"
    words = replace(arguments, overrides=overrides)
    run = trained_run(yamlio.parse(committed.content.decode(), str(committed.file)), str(committed.file))
    with request.open_composer(words, partial(service_source, run)) as composer:
        service = compile_service(composer, run, overrides, Workspace(composer))
    path = f"{service.identity.folder}/{render.file_name(service.bundle.job)}"
    return service.files[path]


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


def _recorded(committed: Committed) -> tuple[tuple[str, ...], record.RecordedPoint | None]:
    """Return the overrides and the point of a sweep that a manifest records."""
    try:
        return record.overrides(committed.annotations), record.point(committed.annotations)
    except ValueError as problem:
        headline = f"{committed.file} does not say what it was rendered from: {problem}"
        restore = "restore the file from version control"
        raise Rejected([error("FT533", headline, str(committed.file), help=restore)]) from None


def _position(composer: Composer, point: record.RecordedPoint | None, overrides: Sequence[str]) -> SweepPosition:
    if point is None:
        return SweepPosition()
    values = axes.values_set(composer, overrides)
    swept = {key: batch.swept_text(values[key]) for key in point.swept if key in values}
    return SweepPosition(point.name, point.label, swept)


def _as_committed(run: Run, committed: Committed) -> bytes:
    """Return the rendered job under its assigned name and in its current state: active, stopping or archived."""
    # The name may come from a foreign clone: insert it only into the job's text, after finding the job by its path.
    job = {path: text for path, text in run.files.items() if path.rpartition("/")[2].startswith("job-")}
    named = replace(run, files=job)
    (content,) = (
        tree.under_name(named, committed.name) if _has_assigned_name(run, committed) else named
    ).files.values()
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
    differences = diff.diff_objects(
        *([yamlio.parse(text.decode(), str(committed.file))] for text in (committed.content, rendered))
    )
    sys.stdout.write(diff.as_text(differences, colour=streams.coloured(sys.stdout, arguments.flags.color)))
    return 1
