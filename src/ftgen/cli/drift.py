"""`ftgen rebuild` without a file: is a whole tree what the configurations of its runs give?

Every active run that the tree's index names is rendered again from what its manifest records, and compared by bytes;
the files that no manifest gives alone, such as a sweep's index, are compared with their digest in `ftgen.lock`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import __version__
from ftgen.cli import output, progress, reading, rebuild, report, request
from ftgen.cli.arguments import Arguments
from ftgen.cli.rebuild import Committed
from ftgen.config.pins import Reference
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.lower import record
from ftgen.output.tree import COMMIT, LOCK_NAME, Lock, Run, State, Store, kind_of, with_commit_of
from ftgen.output.tree.lock import is_job_file, is_workload
from ftgen.output.tree.plan import sha256
from ftgen.remote import gitops
from ftgen.review import diff
from ftgen.review.diff import FieldChange
from ftgen.review.diff.show import printable
from ftgen.sweeping import parallel
from ftgen.sweeping.recorded import Recorded, Rerender
from ftgen.text import yamlio

_MANIFESTS = {".yaml", ".yml", ".json", ".jsonnet"}
_KUSTOMIZATION = "Kustomization"
"""Third name of the file that makes kustomize's input of a folder, beside those with an ending of `_MANIFESTS`."""
_SEARCHPATH = "hydra.searchpath="
_NAMED = 3
_SHORT = 12


class Reason(StrEnum):
    """Why a file is not what a configuration gives."""

    CONFIGURATION = "configuration"
    EDITED = "edited"
    MISSING = "missing"
    FOREIGN = "foreign"
    VERSION = "version"
    REJECTED = "rejected"
    UNRECORDED = "unrecorded"


class Difference(Struct, frozen=True):
    """File that differs.

    Attributes:
        file: path below the tree's root.
        reason: see `Reason`.
        detail: the reason in words.
        change_class: what the difference means for a running job, as `ftgen diff` says; empty if unknown.
        fields: the fields that differ.
    """

    file: str
    reason: Reason
    detail: str
    change_class: str = ""
    fields: tuple[FieldChange, ...] = ()


class Comparison(Struct):
    """Comparison of a tree with the renderings of its runs.

    Attributes:
        store: files of the tree.
        lock: its index.
        runs: number of runs that were rendered again.
        differences: the files that differ, by path.
        given: files that a rendering gave.
    """

    store: Store
    lock: Lock
    runs: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def add(self, path: str, reason: Reason, detail: str) -> None:
        """Add a difference, unless the file has one already: an edit explains all others."""
        self.differences.setdefault(path, Difference(path, reason, detail))

    @property
    def history(self) -> dict[str, State]:
        """Return the files that are kept as they were: of runs that ended, end, or are no longer rendered."""
        return {path: e.state for path, e in sorted(self.lock.files.items()) if e.state is not State.ACTIVE}

    @property
    def unrendered(self) -> list[str]:
        """Return the active files that no manifest gives alone, which were compared with their digests."""
        active = (path for path, entry in self.lock.files.items() if entry.state is State.ACTIVE)
        return sorted(path for path in active if path not in self.given and path not in self.differences)


def run(arguments: Arguments) -> int:
    """Compare the tree; return 0 if all is the same, else 1 with each difference on stdout."""
    with reading.open_tree(arguments) as (store, lock):
        if not lock.files and not store.has(LOCK_NAME):
            raise Rejected([_no_index(store)])
        found = Comparison(store, lock)
        _compare_digests(found)
        _compare_runs(found, arguments)
    if arguments.flags.json:
        print(json.dumps(document(found), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        output.print_text(_lines(found, _folder(arguments)))
        output.print_status(summary(found), arguments)
    return int(bool(found.differences))


def _no_index(store: Store) -> Diagnostic:
    how = "name the tree by -o DIR, or by --repo, --branch and --path"
    return error(
        "FT509", f"{store.describe()} has no index {LOCK_NAME}: ftgen wrote no tree there", LOCK_NAME, help=how
    )


# --- what the index alone says -------------------------------------------------------------------------


def _compare_digests(found: Comparison) -> None:
    for path, entry in found.lock.files.items():
        content = found.store.read(path)
        if content is None:
            found.add(path, Reason.MISSING, "the index names it, and it is not there")
        elif sha256(content) != entry.sha256:
            found.add(path, Reason.EDITED, "edited since ftgen wrote it")
    for path in _foreign(found.store, found.lock):
        found.add(path, Reason.FOREIGN, "ftgen did not write it, and a reconciler would apply it")


def _foreign(store: Store, lock: Lock) -> Iterator[str]:
    """Yield the manifests beside ftgen's that the index does not name.

    An ApplicationSet takes the folders that the index does not name, too: not hidden ones, and nothing below them.
    """
    folders = {path.partition("/")[0] for path in lock.files if "/" in path}
    takes_all = any(kind_of(entry.object) == "ApplicationSet" for entry in lock.files.values())
    others = {name for name in store.names() if not name.startswith(".")} - folders if takes_all else set[str]()
    for folder in sorted(folders | others):
        for path in store.files(folder):
            is_taken = folder in folders or path.count("/") == 1
            if is_taken and path not in lock.files and _is_applied(PurePosixPath(path)):
                yield path


def _is_applied(path: PurePosixPath) -> bool:
    """Return whether Argo CD or Flux would read a file of a folder that they apply."""
    return path.suffix in _MANIFESTS or path.name == _KUSTOMIZATION


# --- what the configurations give ----------------------------------------------------------------------


def _compare_runs(found: Comparison, arguments: Arguments) -> None:
    jobs, services = _recorded(found)
    found.runs = len(jobs) + len(services)
    meter = progress.Meter("rendering again", "runs", arguments, found.runs)
    served = ((committed, _service(committed, recorded, arguments)) for committed, recorded in services)
    try:
        for done, (committed, outcome) in enumerate(chain(_rendered(jobs, arguments), served), 1):
            meter(done)
            _compare_run(found, committed, outcome, arguments)
    finally:
        meter.end()


_Recorded = list[tuple[Committed, Recorded]]


def _recorded(found: Comparison) -> tuple[_Recorded, _Recorded]:
    """Return the active jobs with what they record, sweep by sweep, and what serves results."""
    jobs, services = list[tuple[Committed, Recorded]](), list[tuple[Committed, Recorded]]()
    for path, entry in sorted(found.lock.files.items()):
        content = found.store.read(path) if entry.state is State.ACTIVE else None
        # The index may have come with a clone: what it says of a file is not enough to pass a job over.
        if content is None or not (is_workload(entry.object) or f"{record.OVERRIDES}:".encode() in content):
            continue
        try:
            committed = Committed(Path(path), content, entry.name, gitops.annotations_of(content), entry)
            kind = services if record.SERVES in committed.annotations else jobs
            kind.append((committed, rebuild.recorded_of(committed)))
        except Rejected as rejected:
            found.add(path, Reason.UNRECORDED, rejected.diagnostics[0].headline)
    return jobs, services


_Outcome = Run | Sequence[Diagnostic]


def _rendered(jobs: _Recorded, arguments: Arguments) -> Iterator[tuple[Committed, _Outcome]]:
    """Yield the jobs with their renderings, those of one search path and the same pins by one composer."""
    groups: dict[tuple[tuple[str, ...], frozenset[tuple[Reference, str]]], _Recorded] = {}
    for committed, recorded in jobs:
        words = tuple(word for word in recorded.overrides if word.lstrip("+").startswith(_SEARCHPATH))
        groups.setdefault((words, frozenset(recorded.pins.items())), []).append((committed, recorded))
    for (words, _), group in groups.items():
        committed_jobs, recorded_jobs = zip(*group, strict=True)
        yield from zip(committed_jobs, _outcomes(words, recorded_jobs, arguments), strict=True)


def _outcomes(words: tuple[str, ...], recorded: Sequence[Recorded], arguments: Arguments) -> Iterator[_Outcome]:
    try:
        with request.open_composer(replace(arguments, overrides=words), pins=recorded[0].pins, typed=()) as composer:
            yield from Rerender(composer).runs(recorded, parallel.processors())
    except Rejected as rejected:
        # Only the search path is rejected here, and with it every job.
        yield from [rejected.diagnostics] * len(recorded)


def _service(committed: Committed, recorded: Recorded, arguments: Arguments) -> _Outcome:
    try:
        return rebuild.service_of(committed, recorded, arguments, trusted=False).run
    except Rejected as rejected:
        return rejected.diagnostics


def _compare_run(found: Comparison, committed: Committed, outcome: _Outcome, arguments: Arguments) -> None:
    path = str(committed.file)
    if not isinstance(outcome, Run):
        found.add(path, Reason.REJECTED, _rejection(outcome, arguments))
        return
    rendered = _under_paths(outcome, committed)
    content = rendered.pop(path, None)
    if content is None:
        found.add(path, Reason.CONFIGURATION, "its configuration gives no such file now")
    elif content != committed.content:
        _add_change(found, committed, content)
    _compare_companions(found, rendered, is_new=path in found.differences)
    found.given |= {path, *rendered}


def _rejection(diagnostics: Sequence[Diagnostic], arguments: Arguments) -> str:
    """Return the first error, and how many there are, without secrets."""
    first = report.redacted(diagnostics[:1], report.Sources(arguments.overrides))[0]
    more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
    return f"its configuration is rejected now: {first.code}: {first.headline}{more}"


def _under_paths(rendered: Run, committed: Committed) -> dict[str, bytes]:
    """Return the rendered files by path, the job's under the name and at the path that it has in the tree."""
    path = str(committed.file)
    if record.SERVES in committed.annotations:
        kept = {path: with_commit_of(rendered.files[path], committed.content)} if path in rendered.files else {}
        return {**rendered.files, **kept}
    others = {path: content for path, content in rendered.files.items() if not is_job_file(path)}
    return {path: rebuild.as_committed(rendered, committed), **others}


def _add_change(found: Comparison, committed: Committed, content: bytes) -> None:
    """Add the difference of a run's manifest: by its reason, and by what it means for a running job."""
    path, version = str(committed.file), committed.annotations.get(record.VERSION, "")
    commit = committed.annotations.get(COMMIT, "")
    since = f" than at the commit {commit[:_SHORT]} that it was published from" if commit else ""
    reason, detail = Reason.CONFIGURATION, f"its configuration gives something else now{since}"
    if version != __version__:
        reason, detail = Reason.VERSION, f"rendered by ftgen {version}, and this is ftgen {__version__}"
    if earlier := found.differences.get(path):
        reason, detail = earlier.reason, earlier.detail
    found.differences[path] = _with_fields(Difference(path, reason, detail), committed.content, content)


def _with_fields(difference: Difference, old: bytes, new: bytes) -> Difference:
    """Return the difference with its class and fields, as `ftgen diff` names them; without, if a text is no object."""
    try:
        objects = [[yamlio.parse(text.decode("utf-8", "replace"), difference.file)] for text in (old, new)]
        changes = diff.diff_objects(*objects) if all(isinstance(o, dict) for (o,) in objects) else []
    except Rejected:
        return difference
    fields = tuple(field for change in changes for field in change.fields)
    classes = [change.change_class.value for change in changes if change.status is not diff.Status.UNCHANGED]
    return replace(difference, change_class=classes[0] if classes else "", fields=fields)


def _compare_companions(found: Comparison, rendered: Mapping[str, bytes], *, is_new: bool) -> None:
    """Compare what stands beside a run: scripts, claims, the Service of a result.

    Where the run itself differs (`is_new`), it may name others, which are not committed yet.
    """
    for path, content in rendered.items():
        entry = found.lock.files.get(path)
        if entry is None and not is_new:
            found.add(path, Reason.MISSING, "a run's configuration gives it, and the index does not name it")
        elif entry and path not in found.given and entry.state is State.ACTIVE and not found.store.holds(path, content):
            found.add(path, Reason.CONFIGURATION, "its configuration gives something else now")
            old = found.store.read(path)
            if old is not None:
                found.differences[path] = _with_fields(found.differences[path], old, content)


# --- what is printed -----------------------------------------------------------------------------------


def _folder(arguments: Arguments) -> str:
    """Return the folder that paths are shown below; none for a repository."""
    return "" if arguments.flags.repo else str(reading.folder(arguments))


def _lines(found: Comparison, folder: str) -> Iterator[str]:
    """Yield a line for each difference and, below it, the first fields that differ."""
    for path, each in sorted(found.differences.items()):
        kind = f" ({each.change_class})" if each.change_class else ""
        yield printable(f"{os.path.join(folder, path)}: {each.detail}{kind}")  # noqa: PTH118 - a text, shown as it is
        # What makes the change one of its class comes first: a digest in an annotation changes with everything.
        fields = sorted(each.fields, key=lambda change: change.change_class.value != each.change_class)
        more = [f"{len(fields) - _NAMED} more"] if len(fields) > _NAMED else []
        if fields:
            yield printable(f"    {', '.join([*(change.path for change in fields[:_NAMED]), *more])}")


def summary(found: Comparison) -> str:
    """Return the result in one line."""
    counts = Counter(each.reason.value for each in found.differences.values())
    states = Counter(state.value for path, state in found.history.items() if path not in found.differences)
    told = "; " + ", ".join(f"{count} {state}" for state, count in sorted(states.items())) if states else ""
    kept = f"{told}: history, not rendered again" if states else ""
    runs = "1 run" if found.runs == 1 else f"{found.runs} runs"
    if not counts:
        return f"{runs} rendered again, nothing differs{kept}"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    files = "1 file differs" if len(found.differences) == 1 else f"{len(found.differences)} files differ"
    return f"{runs} rendered again, {files}: {reasons}{kept}"


def document(found: Comparison) -> dict[str, Any]:
    """Return the result as JSON values; the values of fields, which may be long, are `ftgen rebuild FILE`'s to show."""
    return {
        "same": not found.differences,
        "runs": found.runs,
        "differences": [
            {
                "file": each.file,
                "reason": each.reason.value,
                "detail": each.detail,
                "class": each.change_class or None,
                "fields": [{"path": change.path, "class": change.change_class.value} for change in each.fields],
            }
            for _, each in sorted(found.differences.items())
        ],
        "history": [{"file": path, "state": state.value} for path, state in found.history.items()],
        "unrendered": found.unrendered,
    }
