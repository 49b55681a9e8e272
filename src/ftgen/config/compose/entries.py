"""Entries of the files' defaults lists, with their locations.

Hydra ignores an unknown word (`overide /hardware: x` adds a second hardware), and its errors have no location.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Location, Rejected, error
from ftgen.text import yamlio

_WORDS = ("override", "optional")
_HEADER = re.compile(r"#\s*@(\S*)\s*(.*)")
_FORM = "write - GROUP: OPTION, - override /GROUP: OPTION, - OPTION or - _self_"

_Path = tuple[str | int, ...]


class Entry(Struct, frozen=True):
    """Entry of a defaults list.

    Attributes:
        file: file that holds it.
        path: its path in the file's content.
        config: Hydra's name of the file: `experiment/mine`.
        name: its group as written, with its package.
        group: its absolute group.
        options: chosen options.
        words: keywords before the group: `override`, `optional`.
        relative: whether the group is relative to the file's own folder.
    """

    file: Path
    path: _Path
    config: str
    name: str
    group: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    relative: bool

    def is_among(self, names: Collection[str]) -> bool:
        """Return whether one of the names is its group, its configuration or a chosen option."""
        return any(name in names for name in (self.group, self.name, self.config, *self.options))

    def at(self) -> Location:
        """Return its location."""
        return _location(self.file, self.path)


def entries(config: str, file: Path, content: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the entries of a configuration file's defaults list that choose an option."""
    listed = content.get("defaults")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict):
            for name, option in entry.items():
                yield _entry(config, file, ("defaults", index, name), str(name), option)
        elif isinstance(entry, str) and entry != "_self_":
            group, _, option = entry.rpartition("/")
            parent = config.rpartition("/")[0]
            yield _entry(config, file, ("defaults", index), group or f"/{parent}", option.partition("@")[0])


def _entry(config: str, file: Path, path: _Path, text: str, option: Any) -> Entry:
    *words, name = text.split() or [""]
    bare_name, parent = name.partition("@")[0], config.rpartition("/")[0]
    group = bare_name.lstrip("/") if bare_name.startswith("/") or not parent else f"{parent}/{bare_name}"
    options = tuple(map(str, option)) if isinstance(option, list) else (str(option),)
    return Entry(file, path, config, name, group, options, tuple(words), not bare_name.startswith("/"))


def hydras(config: str, file: Path, content: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the entries that choose an option of one of Hydra's own groups, such as `override /hydra/launcher: x`."""
    return (entry for entry in entries(config, file, content) if _is_hydras(entry.group))


def without_hydras(config: str, file: Path, content: Mapping[str, Any]) -> Any:
    """Return the defaults list without these entries: ftgen has none of Hydra's groups, and Hydra would refuse it."""
    listed, dropped = content["defaults"], {entry.path[1] for entry in hydras(config, file, content)}
    return [entry for index, entry in enumerate(listed) if index not in dropped] if dropped else listed


def place_without_self(file: Path, content: Mapping[str, Any]) -> Location | None:
    """Return the defaults list of a primary configuration that has content of its own and no `_self_`; else None."""
    listed = content.get("defaults")
    if not isinstance(listed, list) or "_self_" in listed or not content.keys() - {"defaults"}:
        return None
    names = (next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed)
    return _location(file, ("defaults",)) if any("override" not in name.split()[:-1] for name in names) else None


def _is_hydras(group: str) -> bool:
    return group.startswith("hydra/")


def refuse_malformed(file: Path, content: Mapping[Any, Any], text: str) -> None:
    """Refuse a malformed header or defaults list, which Hydra would ignore or refuse without a location.

    Args:
        file: the configuration file.
        content: its parsed content.
        text: its text.

    Raises:
        Rejected: FT007, for a `defaults` that is no list, a malformed or duplicate entry, an unknown keyword, a
            misspelt header, and one that Hydra does not read.
    """
    defaults = content.get("defaults", [])
    problems = [*_header_problems(file, text)]
    if isinstance(defaults, list):
        problems += [d for index, entry in enumerate(defaults) for d in _entry_problems(file, index, entry)]
        problems += _duplicates(file, defaults)
    else:
        problems += [
            error("FT007", "defaults is a list, one entry a line", help=_FORM).at(_location(file, ("defaults",)))
        ]
    if problems:
        raise Rejected(problems)


def _entry_problems(file: Path, index: int, entry: Any) -> Iterator[Diagnostic]:
    place = _location(file, ("defaults", index)) if not _is_well_formed(entry) else None
    if place:
        yield error("FT007", f"an entry of a defaults list cannot be {entry!r}", "", entry, _FORM).at(place)
    elif isinstance(entry, dict):
        (name,) = entry
        for word in name.split()[:-1]:
            if word not in _WORDS:
                yield _unknown_word(word, _WORDS).at(_location(file, ("defaults", index, name)))
    elif entry.startswith("_") and entry != "_self_" and difflib.get_close_matches(entry, ["_self_"], 1, 0.7):
        yield _unknown_word(entry, ("_self_",)).at(_location(file, ("defaults", index)))


def _duplicates(file: Path, items: Iterable[Any]) -> Iterator[Diagnostic]:
    """Report duplicate entries for a group, of which Hydra silently uses one."""
    seen: set[str] = set()
    for index, entry in enumerate(items):
        for name in entry if isinstance(entry, dict) else ():
            if name in seen:
                headline = f"a second entry of this defaults list is for {name!r}"
                help_ = "remove one of them; several options of a group are a list: [a, b]"
                yield error("FT007", headline, "", name, help_).at(_location(file, ("defaults", index, name)))
            seen.add(name)


def _is_well_formed(entry: Any) -> bool:
    if isinstance(entry, dict):
        single = len(entry) == 1 and all(isinstance(name, str) and name.strip() for name in entry)
        return single and all(_is_choice(option) for option in entry.values())
    return isinstance(entry, str) and bool(entry.strip())


def _is_choice(chosen: Any) -> bool:
    listed = chosen if isinstance(chosen, list) else [chosen]
    return chosen is None or all(isinstance(option, str) and option for option in listed)


def _unknown_word(word: str, known: Iterable[str]) -> Diagnostic:
    near = difflib.get_close_matches(word, known, 1, 0.5)
    help_ = f"did you mean {near[0]}?" if near else _FORM
    return error("FT007", f"a defaults list does not know the word {word!r}", "", word, help_)


def _header_problems(file: Path, text: str) -> Iterator[Diagnostic]:
    """Report a misspelt `# @package` header, a malformed one, and one that Hydra does not read.

    Other comments may begin with `@`, too.  Hydra reads headers up to the first line that is none, within the first
    512 characters (`ConfigSource._get_header_dict`, `FileConfigSource.load_config`).
    """
    read, length = True, 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() not in {"", "---"} and not line.lstrip().startswith("#"):
            return
        match, length = _HEADER.fullmatch(line.strip()), length + len(line) + 1
        if match and (problem := _header_problem(match, is_read=read and length <= HEADERS_WITHIN)):
            yield problem.at(Location(str(file), number))
        read = read and bool(match or not line.strip())


HEADERS_WITHIN = 512
_HEADER_FORM = 2  # words: a key and its value


def _header_problem(match: re.Match[str], *, is_read: bool) -> Diagnostic | None:
    name, is_header = match[1], len(match[0].lstrip("# ").split()) == _HEADER_FORM
    if name == "package" and is_header and not is_read:
        headline = "this header is not read: Hydra reads headers above all comments only"
        return error("FT007", headline, "", match[0], "make it the first line of the file")
    if name != "package" and difflib.get_close_matches(name, ["package"], 1, 0.7):
        return error(
            "FT007", f"the header @{name} is not known, and would be read past", "", name, "did you mean @package?"
        )
    if not is_header:
        headline = "Hydra reads a comment that begins with @ as a header, which is one word and its value"
        return error("FT007", headline, "", match[0], "write # @package NAME")
    return None


def _location(file: Path, path: _Path) -> Location:
    try:
        mark = yamlio.document(yamlio.read_text(file), str(file)).nearest(path)
    except Rejected:
        return Location(str(file), 1)
    return Location(str(file), mark.line, mark.column)
