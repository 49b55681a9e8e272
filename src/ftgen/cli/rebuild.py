"""`ftgen rebuild FILE`: render a manifest again from what it says of itself, and compare the bytes.

* FT533: a file does not say what it was rendered from.
* FT534: it was rendered by another release of ftgen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftgen import __version__, batch, changes, files, gitops, pipeline, record, tree, yamlio
from ftgen.cli import output, request
from ftgen.cli.arguments import Arguments, Usage
from ftgen.compose import Composer
from ftgen.diagnostics import Rejected, error, note
from ftgen.pipeline import SweepPosition, Workspace
from ftgen.tree import LOCK_NAME, Entry, Run, State
from ftgen.validation.manifest import text as text_of


@dataclass(frozen=True, slots=True)
class Committed:
    """A manifest as it was found: its bytes, what it says of itself, and its entry in a tree's index."""

    file: Path
    content: bytes
    name: str
    annotations: Mapping[str, Any]
    entry: Entry | None


def run(arguments: Arguments) -> int:
    """Compare; 0 where the bytes are the same, 1 where they differ, with the difference on stdout."""
    if len(arguments.overrides) != 1:
        raise Usage("rebuild takes the file of one job")
    found = _read(Path(arguments.overrides[0]))
    overrides, place = _said(found)
    asked = replace(arguments, overrides=overrides)
    with request.located(asked) as composer:
        composition = composer.compose(composer.parse(overrides))
        position = _position(composer, place, overrides)
        job = pipeline.compile_composition(composition, overrides, Workspace(composer), position)
    again = _as_committed(job.run, found)
    if again == found.content:
        output.say(f"{found.file} is what its configuration renders to", arguments)
        return 0
    return _tell(found, again, arguments)


def _read(file: Path) -> Committed:
    text = yamlio.read_text(file)
    manifest = yamlio.parse(text, str(file))
    annotations = record.of(manifest)
    if record.OVERRIDES not in annotations:
        how = f"name the file of a job; only ftgen's own carry {record.OVERRIDES}"
        raise Rejected([error("FT533", f"{file} does not say what it was rendered from", str(file), help=how)])
    return Committed(file, text.encode(), text_of(manifest["metadata"].get("name")), annotations, _entry(file))


def _entry(file: Path) -> Entry | None:
    """What the index of the tree says of the file, where it lies in one."""
    place = files.resolved(file)
    folder = place.parent
    for root in (folder, folder.parent):
        if (root / LOCK_NAME).is_file():
            tree.recover(root)
            return tree.read_lock(root).files.get(place.relative_to(root).as_posix())
    return None


def _said(found: Committed) -> tuple[tuple[str, ...], record.Point | None]:
    """The overrides and the place in a sweep that a manifest says it was rendered from."""
    try:
        return record.overrides(found.annotations), record.point(found.annotations)
    except ValueError as problem:
        told = f"{found.file} does not say what it was rendered from: {problem}"
        restore = "restore the file from version control"
        raise Rejected([error("FT533", told, str(found.file), help=restore)]) from None


def _position(composer: Composer, told: record.Point | None, overrides: Sequence[str]) -> SweepPosition:
    if told is None:
        return SweepPosition()
    values = {text.partition("=")[0].lstrip("+~"): text for text in overrides}
    swept = {key: batch.shown(composer.parse([values[key]])[0].value()) for key in told.swept if key in values}
    return SweepPosition(told.name, told.label, swept)


def _as_committed(run: Run, found: Committed) -> bytes:
    """The rendered job under the name that was assigned, and in the state that its life has reached."""
    # A name may have come with a clone: it is put into the job's text alone, after the job has been found by its path.
    job = {path: text for path, text in run.files.items() if path.rpartition("/")[2].startswith("job-")}
    named = replace(run, files=job)
    (content,) = (tree.under_name(named, found.name) if _was_issued(run, found) else named).files.values()
    state = found.entry.state if found.entry else _state_of(found.annotations)
    if state is State.ARCHIVED:
        return gitops.annotated(content, gitops.TOMBSTONE)
    return gitops.annotated(content, gitops.unguarded(content)) if state is State.STOPPING else content


def _was_issued(run: Run, found: Committed) -> bool:
    """Whether the name was given by the index, once, or by `ftgen rerun`: such a name is never changed."""
    return bool(run.name and found.name) and (found.entry is not None or found.name.startswith(f"{run.name}-r"))


def _state_of(annotations: Mapping[str, Any]) -> State:
    buried = all(annotations.get(key) == value for key, value in gitops.TOMBSTONE.items())
    return State.ARCHIVED if buried else State.ACTIVE


def _tell(found: Committed, again: bytes, arguments: Arguments) -> int:
    made = found.annotations.get(record.VERSION, "")
    if made != __version__:
        told = f"{found.file} was rendered by ftgen {made}, and this is ftgen {__version__}"
        output.tell(
            [note("FT534", told, str(found.file), help=f"install ftgen {made} to compare bytes")],
            arguments,
            beside=True,
        )
    differ = changes.between(*([yamlio.parse(text.decode(), str(found.file))] for text in (found.content, again)))
    sys.stdout.write(changes.as_text(differ, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 1
