"""Ownership index of a tree, `ftgen.lock`: its value and its text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from io import BytesIO

from msgspec import Struct, field

from ftgen.diagnostics import Rejected, error

LOCK_NAME = "ftgen.lock"
HASH_VERSION = 1
"""Version of the rule that turns a spec into the hash in a run's name; recorded with every assigned name."""

DELIVERY = "_delivery"
"""Folder of a tree for the objects that point reconcilers at the others; no run's name starts with `_`."""

SERVICES = "@service/"
"""Beginning of the identity of what serves a run's result; no folder of runs begins with `@`."""

_FORMAT = 1
_RESERVED = re.compile(r"\.git|git~\d+|ftgen\.lock|\.ftgen-.*", re.IGNORECASE)
"""Names that git or ftgen uses; git~1 is the short name that Windows gives to .git."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\\u0085\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Control characters; those of zero width, which macOS ignores in `.git`; those that reverse the text direction."""
HOOK = "argocd.argoproj.io/hook"
_TOMBSTONE = f"\n    {HOOK}: Skip\n".encode()
_NAME_BYTES = 255
_PATH_BYTES = 4095


class Run(Struct, frozen=True):
    """Rendered run: a job, a sweep's index, or the objects that deliver a folder.

    Attributes:
        folder: the run's own name or its sweep's, first component of every path.
        name: final name of the job object; empty under `generateName`, where the cluster chooses it.
        identity: `<folder>/<label>`, which stays the same when the content changes.
        files: posix path, relative to the tree's root, to content.
        judged: options that the run was checked with (see `Lock.judged`), as JSON text; empty if not recorded.
        of_tree: makes the files anew of the tree that they are written into: of its index with the runs before, and of
            what reads its files; None for files that depend on no others.
    """

    folder: str
    name: str
    identity: str
    files: Mapping[str, bytes]
    judged: str = ""
    of_tree: Callable[[Mapping[str, Entry], Callable[[str], bytes | None]], Mapping[str, bytes]] | None = None


class State(StrEnum):
    """State of a committed file in the life of its run."""

    ACTIVE = "active"
    """Rendered from the configuration."""
    ARCHIVED = "archived"
    """Finished: carries the tombstone, so reconcilers do not create it again."""
    ORPHANED = "orphaned"
    """No longer rendered, but its training may be running; never removed automatically."""
    STOPPING = "stopping"
    """Its prune guard is removed; removing the file stops the training."""


class Entry(Struct, frozen=True):
    """Owned file.

    Attributes:
        sha256: digest of the bytes that ftgen wrote, in hex.
        object: `<apiVersion> <kind> <namespace>/<name>`; empty for a file that holds no object.
        run: identity of its run, or `<folder>/*` for a file that several runs of a folder share.
        name: name of the job object it belongs to.
        state: see `State`.
    """

    sha256: str
    object: str
    run: str
    name: str
    state: State = State.ACTIVE


class AssignedName(Struct, frozen=True):
    """Name that the index assigned to a run, and the version of the hash rule that made it."""

    name: str
    hash: int = HASH_VERSION


class Lock(Struct, frozen=True):
    """Ownership index.

    Attributes:
        files: path to entry.
        runs: run identity to the latest name assigned to it.
        ended: names of stopped or purged runs; they are never created again under these names.
        judged: run identity to the options that the run was checked with, as JSON text: the release and the facts of
            its cluster, and the accepted codes.
    """

    files: Mapping[str, Entry] = field(default_factory=dict)
    runs: Mapping[str, AssignedName] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    judged: Mapping[str, str] = field(default_factory=dict)


EMPTY = Lock()


def assigned_name(lock: Lock, identity: str) -> str | None:
    """Return the name that was last assigned to the run, or None for a run that was never written."""
    assigned = lock.runs.get(identity)
    return assigned.name if assigned else None


def judged_by(lock: Lock, run: str) -> str:
    """Return the options that a run was checked with; empty if unknown.

    A file that several runs share has those of its folder, if all runs there have the same.
    """
    if not run.endswith("/*"):
        return lock.judged.get(run, "")
    folder = run.removesuffix("/*")
    texts = {text for identity, text in lock.judged.items() if _folder(identity) == folder}
    return texts.pop() if len(texts) == 1 else ""


def _folder(identity: str) -> str:
    return identity.partition("/")[0]


def _folded(judged: Mapping[str, str]) -> dict[str, str]:
    """Return one row for each folder whose runs were all checked alike, as in a sweep; else one for each run."""
    texts: dict[str, set[str]] = {}
    for identity, text in judged.items():
        texts.setdefault(_folder(identity), set()).add(text)
    return {(f"{_folder(run)}/*" if len(texts[_folder(run)]) == 1 else run): text for run, text in judged.items()}


def unfolded(judged: Mapping[str, str], runs: Iterable[str]) -> dict[str, str]:
    """Return the rows of `_folded` for every run again."""
    rows = {run: judged.get(run) or judged.get(f"{_folder(run)}/*") for run in runs}
    return {run: text for run, text in rows.items() if text}


def dump_lock(lock: Lock) -> bytes:
    """Return the index as JSON text: sorted, one file or run a line, so that its git diff reads like a list."""
    files = {path: _entry_json(entry) for path, entry in sorted(lock.files.items())}
    runs = {run: {"name": assigned.name, "hash": assigned.hash} for run, assigned in sorted(lock.runs.items())}
    parts = [f'"version": {_FORMAT}', _table("files", files), _table("runs", runs)]
    parts.append(f'"ended": {_json(sorted(lock.ended))}')
    judged = _folded({run: text for run, text in lock.judged.items() if run in lock.runs})
    parts += [_table("judged", {run: json.loads(text) for run, text in sorted(judged.items())})] if judged else []
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _entry_json(entry: Entry) -> dict[str, str]:
    return {
        "sha256": entry.sha256,
        "object": entry.object,
        "run": entry.run,
        "name": entry.name,
        "state": entry.state.value,
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _table(name: str, rows: Mapping[str, object]) -> str:
    lines = ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in rows.items())
    return f'"{name}": {{\n{lines}\n}}' if lines else f'"{name}": {{}}'


def parse_lock(text: bytes, where: str = LOCK_NAME) -> Lock:
    """Parse the text of an index.

    Raises:
        Rejected: FT509, when it is no index, names an unsafe path or comes from a later ftgen.
    """
    from ftgen.output.tree import shape  # noqa: PLC0415 - pydantic is imported only when there is an index to read

    try:
        version = shape.version_of(text)
        if version != _FORMAT:
            raise _unreadable(where, f"of format {version}, and this ftgen reads format {_FORMAT}")
        lock = shape.lock_of(text)
    except ValueError as problem:
        raise _unreadable(where, f"not an ownership index ({problem})") from None
    unsafe = [f"{path!r}: {reason}" for path in lock.files if (reason := path_problem(path))]
    if unsafe:
        raise _unreadable(where, f"naming a path outside its tree, {unsafe[0]}")
    return lock


def _unreadable(where: str, reason: str) -> Rejected:
    restore = (
        "restore it from version control; else move it away and render once with --adopt, which keeps archived runs"
    )
    restore = f"{restore} as they are, and cannot tell which ones were stopped: leave these out"
    return Rejected([error("FT509", f"{where} is {reason}", where, help=restore)])


def path_problem(path: str) -> str:
    """Return why `path` may not be written below a tree's root; empty when it may."""
    parts = path.split("/")
    rules = (
        (_UNPRINTABLE.search(path), "it holds a character that no reviewer could read, or a backslash"),
        (path.startswith("/"), "it is absolute"),
        (any(part in {"", ".", ".."} for part in parts), "it has an empty, `.` or `..` component"),
        (any(part.startswith("-") for part in parts), "a component starts with `-`, as an option does"),
        (any(_RESERVED.fullmatch(part) for part in parts), "the name is reserved"),
        (any(len(part.encode("utf-8", "replace")) > _NAME_BYTES for part in parts), "a name is too long"),
        (len(path.encode("utf-8", "replace")) > _PATH_BYTES, "it is too long"),
    )
    return next((reason for broken, reason in rules if broken), "")


def object_of(content: bytes) -> str:
    """Return `<apiVersion> <kind> <namespace>/<name>` of a rendered file, or the empty string.

    Reads the lines of the block style that ftgen renders, up to the end of `metadata`; a full YAML parse of
    every file would take longer than everything else in writing a tree.
    """
    found = dict(_identity_lines(line.decode("utf-8", "replace") for line in BytesIO(content)))
    if not {"apiVersion", "kind"} <= found.keys():
        return ""
    return f"{found['apiVersion']} {found['kind']} {found.get('namespace', '')}/{found.get('name', '')}"


def kind_of(described: str) -> str:
    """Return the kind that `object_of` describes; empty where it describes none."""
    return next(iter(described.split(" ")[1:2]), "")


def group_of(described: str) -> tuple[str, str, str]:
    """Return the group, kind and namespace of what `object_of` describes."""
    version, kind, name = described.split(" ", 2)
    return version.rpartition("/")[0], kind, name.partition("/")[0]


def is_job(described: str) -> bool:
    """Return whether `object_of` describes a job, Volcano's or Kubernetes' own."""
    return described.startswith(("batch.volcano.sh/", "batch/")) and kind_of(described) == "Job"


def is_job_file(path: str) -> bool:
    """Return whether a rendered file is the job of its run, by its name."""
    return path.rpartition("/")[2].startswith("job-")


def is_archived(content: bytes) -> bool:
    """Return whether a rendered file has the tombstone of an archived run."""
    return _TOMBSTONE in content


def is_service(entry: Entry) -> bool:
    """Return whether a file belongs to what serves a run's result, which has no end, and no guard against pruning."""
    return entry.run.startswith(SERVICES)


def names_others(entry: Entry) -> bool:
    """Return whether a file has pods, which may name claims and scripts."""
    return is_job(entry.object) or is_service(entry)


def is_workload(described: str) -> bool:
    """Return whether `object_of` describes what records the command line of its run: a job, or what serves a result."""
    return is_job(described) or kind_of(described) in {"Deployment", "InferenceService"}


def is_claim(described: str) -> bool:
    """Return whether `object_of` describes a PersistentVolumeClaim."""
    return described.startswith("v1 PersistentVolumeClaim ")


def is_scripts(described: str) -> bool:
    """Return whether `object_of` describes a ConfigMap of scripts; argocd-cm is a ConfigMap without scripts."""
    return described.startswith("v1 ConfigMap ") and "-scripts-" in described


def _identity_lines(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    section = ""
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key in {"apiVersion", "kind"}:
            yield key, value.strip().strip("'\"")
        if section == "metadata" and key and key[0].isalpha():
            return
        if key and not key[0].isspace():
            section = key
        elif section == "metadata" and key in {"  name", "  namespace"}:
            yield key.strip(), value.strip().strip("'\"")
