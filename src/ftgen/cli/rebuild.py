"""`ftgen rebuild FILE`: render a manifest again from what it says of itself, and compare the bytes.

* FT533: a file does not say what it was rendered from.
* FT534: it was rendered by another release of ftgen.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftgen import __version__, batch, changes, files, gitops, pipeline, tree, yamlio
from ftgen.cli import output, request
from ftgen.cli.arguments import Arguments, Usage
from ftgen.compose import Composer
from ftgen.diagnostics import Rejected, error, note
from ftgen.pipeline import Place
from ftgen.rules.job import mapping
from ftgen.tree import LOCK_NAME, Entry, Run, State

_OVERRIDES, _SWEEP, _VERSION = "ftgen.dev/overrides", "ftgen.dev/sweep", "ftgen.dev/version"


@dataclass(frozen=True, slots=True)
class Committed:
    """A manifest as it was found: its bytes, what it says of itself, and its entry in a tree's index."""

    file: Path
    content: bytes
    name: str
    annotations: Mapping[str, str]
    entry: Entry | None


def run(arguments: Arguments) -> int:
    """Compare; 0 where the bytes are the same, 1 where they differ, with the difference on stdout."""
    if len(arguments.overrides) != 1:
        raise Usage("rebuild takes the file of one job")
    found = _read(Path(arguments.overrides[0]))
    overrides = _overrides(found)
    asked = replace(arguments, overrides=overrides)
    with request.located(asked) as composer:
        place = _place(composer, found.annotations.get(_SWEEP, ""), overrides)
        job = pipeline.compile_composition(composer, composer.compose(composer.parse(overrides)), overrides, place)
    again = _as_committed(job.run, found)
    if again == found.content:
        output.say(f"{found.file} is what its configuration renders to", arguments)
        return 0
    return _tell(found, again, arguments)


def _read(file: Path) -> Committed:
    manifest = yamlio.read(file)
    metadata = mapping(mapping(manifest).get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    if _OVERRIDES not in annotations:
        how = f"name the file of a job; only ftgen's own carry {_OVERRIDES}"
        raise Rejected([error("FT533", f"{file} does not say what it was rendered from", str(file), help=how)])
    return Committed(file, files.read(file), str(metadata.get("name", "")), annotations, _entry(file))


def _entry(file: Path) -> Entry | None:
    """What the index of the tree says of the file, where it lies in one."""
    folder = file.resolve().parent
    for root in (folder, folder.parent):
        if (root / LOCK_NAME).is_file():
            tree.recover(root)
            return tree.read_lock(root).files.get(file.resolve().relative_to(root).as_posix())
    return None


def _overrides(found: Committed) -> tuple[str, ...]:
    try:
        said = json.loads(found.annotations[_OVERRIDES])
    except ValueError:
        said = None
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        told = f"{found.file} does not say what it was rendered from: {_OVERRIDES} is no list of overrides"
        raise Rejected([error("FT533", told, str(found.file), help="restore the file from version control")])
    return tuple(said)


def _place(composer: Composer, told: str, overrides: tuple[str, ...]) -> Place:
    if not told:
        return Place()
    said = json.loads(told)
    values = {text.partition("=")[0].lstrip("+~"): text for text in overrides}
    swept = {key: batch.shown(composer.parse([values[key]])[0].value()) for key in said["swept"] if key in values}
    return Place(said["name"], said["label"], swept)


def _as_committed(run: Run, found: Committed) -> bytes:
    """The rendered job under the name that was issued, and in the state that its life has reached."""
    named = tree.under_name(run, found.name) if _was_issued(run, found) else run
    content = next(text for path, text in named.files.items() if path.rpartition("/")[2].startswith("job-"))
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
    made = found.annotations.get(_VERSION, "")
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
