"""Where the rows are: a file, or a folder with dataset_info.json and a README, as a repository's checkout has them.

Whatever lies there is anybody's: names are kept inside the folder, and a file's kind is known before it is read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Rejected
from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.entry import HUBS, Entry, entry_of
from ftgen.emulation.datasets.findings import Findings
from ftgen.emulation.datasets.reading import Reading
from ftgen.emulation.datasets.rows import POINTER
from ftgen.text import files, lines, yamlio

INFO = "dataset_info.json"
README = "README.md"
TYPES = {"arrow": "arrow", "csv": "csv", "json": "json", "jsonl": "json", "parquet": "parquet", "txt": "text"}
"""Ending of a file -> how LLaMA-Factory reads it (`FILEEXT2TYPE` in extras/constants.py)."""
_LARGEST_INFO = 16 * files.MIB
_POINTER_SIZE = 1024
_NAMED = 20
_MOST_FILES = 10_000


class DataSet(Struct, frozen=True):
    """A data set that the training reads.

    Attributes:
        name: name of its entry.
        entry: its description.
        files: the files with its rows, in the order in which they are read.
        form: how they are read: one of the values of `TYPES`.
        root: folder that they must lie in.
        evaluated: whether it is for evaluation alone.
    """

    name: str
    entry: Entry
    files: Sequence[Path]
    form: str
    root: Path
    evaluated: bool = False


def data_sets(path: Path, reading: Reading, findings: Findings) -> list[DataSet]:
    """Return the data sets of a file or folder that the training reads; add what hinders it to the findings."""
    if path.is_dir():
        found = list(_of_folder(path, reading, findings))
        _compare_readme(path, found, findings)
    else:
        found = list(_of_file(path, reading, findings))
    return [each for each in found if _suits(each, reading, findings, path)]


def _suits(found: DataSet, reading: Reading, findings: Findings, path: Path) -> bool:
    ranked = reading.stage == "rm"
    if found.entry.ranking is (not ranked):
        wants = "ranked answers (ranking: true)" if ranked else "entries that are not ranked"
        findings.about(
            kinds.STAGE,
            f"the entry {found.name} is not for the stage {reading.trainer}, which wants {wants}",
            str(path),
        )
        return False
    return True


# a file


def _of_file(path: Path, reading: Reading, findings: Findings) -> Iterator[DataSet]:
    """Yield a file as the entry beside it describes it, else as the configuration's does, else as the defaults do."""
    beside = _info(path.parent, findings) if os.path.lexists(path.parent / INFO) else None
    name, described = _describing(path, beside or {}) or next(iter((reading.info or {}).items()), (path.stem, {}))
    entry = _entry(name, {**described, "file_name": path.name}, str(path), findings)
    if entry:
        yield from _with_files(name, entry, [path], path.parent, findings)


def _describing(path: Path, info: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    named = (item for item in info.items() if isinstance(item[1], dict) and item[1].get("file_name") == path.name)
    return next(named, None)


# a folder


def _of_folder(folder: Path, reading: Reading, findings: Findings) -> Iterator[DataSet]:
    place = folder / INFO
    info = _info(folder, findings) if os.path.lexists(place) else reading.info
    if info is None:
        if not os.path.lexists(place):
            text = f"there is no {INFO} in {folder}, and the configuration has no dataset.info"
            findings.about(kinds.ENTRY, text, str(folder), _suggestion(folder))
        return
    for name in dict.fromkeys((*reading.train, *reading.evaluated)):
        evaluated = name not in reading.train
        for found in _named(folder, name, info, findings):
            yield DataSet(found.name, found.entry, found.files, found.form, found.root, evaluated)


def _named(folder: Path, name: str, info: Mapping[str, Any], findings: Findings) -> Iterator[DataSet]:
    place = str(folder / INFO)
    if name not in info:
        there = ", ".join(sorted(map(str, info))[:_NAMED]) or "none"
        near = get_close_matches(name, list(map(str, info)), 1)
        hint = f"set dataset.name={near[0]}" if near else f"add the entry {name}"
        findings.about(
            kinds.ENTRY, f"there is no entry {name}, which the job trains on; there are: {there}", place, hint
        )
        return
    described = info[name]
    entry = _entry(name, described, place, findings)
    if entry is None:
        return
    if any(key in described for key in HUBS):
        findings.about(kinds.UNJUDGED, f"the entry {name} names data elsewhere, which is not read here", place)
    elif not entry.file_name:
        findings.about(kinds.ENTRY, f"the entry {name} names no file (file_name)", place)
    elif not _is_in_train(entry.split):
        text = f"the entry {name} reads the split {lines.printable(str(entry.split))}, and files are the split train"
        findings.about(kinds.ENTRY, text, place, "leave split out, and let file_name name the files of one split")
    else:
        yield from _in_place(folder, name, entry, findings)


def _is_in_train(split: Any) -> bool:
    """Return whether a split is `train` or parts of it: `train[:80%]+train[90%:]`; null is read as `train` too."""
    return split is None or (isinstance(split, str) and all(_OF_TRAIN.fullmatch(part) for part in split.split("+")))


_OF_TRAIN = re.compile(r"\s*train\s*(\[[^\]]*\])?(\([^)]*\))?\s*")


def _in_place(folder: Path, name: str, entry: Entry, findings: Findings) -> Iterator[DataSet]:
    place = folder / entry.file_name
    if "\0" in entry.file_name or not files.resolved(place).is_relative_to(files.resolved(folder)):
        text = f"the entry {name} names {lines.printable(entry.file_name)}, which lies out of the folder"
        findings.about(kinds.OUTSIDE, text, str(folder / INFO))
    elif place.is_dir():
        members = [place / member for member in _listed(place)]
        yield from _with_files(name, entry, members, folder, findings)
    elif place.is_file():
        yield from _with_files(name, entry, [place], folder, findings)
    else:
        text = f"the entry {name} names {entry.file_name}, which is not there"
        findings.about(kinds.UNREADABLE, text, str(folder / INFO), "correct file_name, or push the file")


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder in the order in which the system lists them, as LLaMA-Factory takes them."""
    with os.scandir(folder) as listed:
        return [item.name for item, _ in zip(listed, range(_MOST_FILES), strict=False)]


def _with_files(name: str, entry: Entry, members: Sequence[Path], root: Path, findings: Findings) -> Iterator[DataSet]:
    """Yield the data set of an entry if its files are of one type, and data."""
    forms = {TYPES.get(member.suffix[1:]) for member in members}
    if len(forms) != 1 or None in forms:
        text = f"not all files are of one type that LLaMA-Factory reads ({', '.join(TYPES)})"
        findings.about(kinds.FILE_TYPES, text if members else "the folder is empty", str(root / entry.file_name))
        return
    pointers = [member for member in members if _is_pointer(member, root)]
    for pointer in pointers:
        help_ = "run `git lfs pull` in a clone, and name its folder"
        findings.about(kinds.POINTER, "it is a pointer of git-lfs, and not the data", str(pointer), help_)
    if not pointers:
        yield DataSet(name, entry, members, str(next(iter(forms))), root)


def _is_pointer(path: Path, root: Path) -> bool:
    try:
        with files.streamed(path, within=root) as file:
            return POINTER.match(file.read(_POINTER_SIZE)) is not None
    except OSError:
        return False  # reading the rows reports it


def _info(folder: Path, findings: Findings) -> Mapping[str, Any] | None:
    place = folder / INFO
    try:
        # As text: LLaMA-Factory's reader refuses a byte order mark, which bytes may have.
        content = json.loads(files.read(place, at_most=_LARGEST_INFO, within=folder).decode("utf-8"))
    except OSError as problem:
        findings.about(kinds.ENTRY, f"it cannot be read: {problem.strerror}", str(place))
    except (ValueError, RecursionError) as problem:
        findings.about(kinds.ENTRY, f"it is no JSON: {problem}", str(place))
    else:
        if isinstance(content, dict):
            return content
        findings.about(kinds.ENTRY, "it is not a mapping of names to data sets", str(place))
    return None


def _entry(name: str, described: Any, place: str, findings: Findings) -> Entry | None:
    if not isinstance(described, Mapping):
        findings.about(kinds.ENTRY, f"the entry {name} is not a mapping", place)
        return None
    try:
        return entry_of(described)
    except ValueError as problem:
        findings.about(kinds.ENTRY, f"the entry {name}: {problem}", place)
        return None


# Hugging Face's README


class Split(Struct, frozen=True):
    """Files of one split, as the README names them.

    Attributes:
        name: its name: `train`, `test`, …
        paths: paths or patterns, relative to the README.
    """

    name: str
    paths: tuple[str, ...]


def splits(folder: Path) -> list[Split]:
    """Return the splits that the front matter of a README names (Hugging Face's `configs`).

    Raises:
        ValueError: it is no YAML, or has another shape; the text says which.
        OSError: it cannot be read.
    """
    text = files.read(folder / README, at_most=files.LARGEST_SOURCE, within=folder).decode("utf-8", "replace")
    begin, _, rest = text.partition("\n")
    if begin.strip() != "---":
        return []
    head, end, _ = rest.partition("\n---")
    try:
        found = yamlio.parse(head, README) if end else None
    except Rejected as rejected:
        raise ValueError(rejected.diagnostics[0].headline) from None
    configs = found.get("configs") if isinstance(found, dict) else None
    return [split for config in configs or () for split in _splits(config)] if isinstance(configs, list) else []


def _splits(config: Any) -> Iterator[Split]:
    listed = config.get("data_files") if isinstance(config, dict) else None
    if isinstance(listed, str):
        yield Split("train", (listed,))
    elif isinstance(listed, dict):
        yield from (Split(str(name), _paths(paths)) for name, paths in listed.items())
    elif isinstance(listed, list):
        for item in listed:
            if isinstance(item, dict):
                yield Split(str(item.get("split", "train")), _paths(item.get("path")))
            else:
                yield Split("train", _paths(item))


def _paths(value: Any) -> tuple[str, ...]:
    return tuple(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))


def _compare_readme(folder: Path, found: Sequence[DataSet], findings: Findings) -> None:
    if not os.path.lexists(folder / README):
        return
    place = str(folder / README)
    try:
        listed = splits(folder)
    except OSError as problem:
        findings.about(kinds.SPLITS, f"it cannot be read: {problem.strerror}", place)
        return
    except ValueError as problem:
        findings.about(kinds.SPLITS, f"its front matter is no YAML: {problem}", place)
        return
    trained = {file.relative_to(folder).as_posix() for each in found if not each.evaluated for file in each.files}
    try:
        for split in listed:
            _compare_split(folder, split, trained, findings)
    except OSError as problem:
        findings.about(kinds.SPLITS, f"what it names cannot be looked for: {problem.strerror}", str(folder))


def _compare_split(folder: Path, split: Split, trained: set[str], findings: Findings) -> None:
    place = str(folder / README)
    for path in split.paths:
        there = _matching(folder, path)
        if not there:
            findings.about(
                kinds.SPLITS, f"it names {lines.printable(path)} (split {split.name}), which is not there", place
            )
        leaked = sorted(trained & there)
        if leaked and split.name != "train":
            named = ", ".join(leaked[:3])
            text = f"it names {named} as split {split.name}, and the entry trains on it"
            findings.about(kinds.SPLITS, text, place, "let file_name name the files of the split train alone")


def _matching(folder: Path, pattern: str) -> set[str]:
    """Return the files below a folder that a path, or a pattern in its last part or before, names."""
    if "\0" in pattern or pattern.startswith("/") or ".." in Path(pattern).parts:
        return set()
    if not any(character in pattern for character in "*?["):
        return {Path(pattern).as_posix()} if (folder / pattern).is_file() else set()
    below = (Path(entry.path).relative_to(folder).as_posix() for entry in files.below(folder) if not entry.is_dir())
    return {name for name, _ in zip(below, range(_MOST_FILES), strict=False) if fnmatch(name, pattern)}


def _suggestion(folder: Path) -> str:
    """Return the entry that the README's split train makes, for a folder that has none."""
    try:
        trained = [path for split in splits(folder) if split.name == "train" for path in split.paths]
        there = sorted(name for pattern in trained for name in _matching(folder, pattern))
    except (OSError, ValueError):
        there = []
    return f"set dataset.info.file_name={there[0]}" if there else "push one, or set dataset.info"
