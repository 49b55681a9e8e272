"""Entries of the files' defaults lists, with the places where they stand.

Hydra reads past a word that it does not know (`overide /hardware: x` adds a second hardware), and says nothing of
the place of what it refuses.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftgen import yamlio
from ftgen.diagnostics import Diagnostic, Location, Rejected, error

_WORDS = ("override", "optional")
_HEADER = re.compile(r"#\s*@(\S*)\s*(.*)")
_FORM = "write - GROUP: OPTION, - override /GROUP: OPTION, - OPTION or - _self_"

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a defaults list.

    Attributes:
        file: where it stands.
        path: its place there.
        config: the configuration whose list it is in, as Hydra calls it: `experiment/mine`.
        name: its group as it is written, with its package.
        group: its group, absolute.
        options: what it chooses there.
        words: the words before the group.
        relative: whether the group is named from the file's own folder on.
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
        """Whether one of the names is its group's, its file's or what it chooses."""
        return any(name in names for name in (self.group, self.name, self.config, *self.options))

    def at(self) -> Location:
        """Where it stands."""
        return _place(self.file, self.path)


def entries(config: str, file: Path, content: Mapping[str, Any]) -> Iterator[Entry]:
    """The entries of a configuration file's defaults list that choose something."""
    listed = content.get("defaults")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict):
            for name, chosen in entry.items():
                yield _entry(config, file, ("defaults", index, name), str(name), chosen)
        elif isinstance(entry, str) and entry != "_self_":
            group, _, option = entry.rpartition("/")
            above = config.rpartition("/")[0]
            yield _entry(config, file, ("defaults", index), group or f"/{above}", option.partition("@")[0])


def _entry(config: str, file: Path, path: _Path, said: str, chosen: Any) -> Entry:
    *words, name = said.split() or [""]
    named, above = name.partition("@")[0], config.rpartition("/")[0]
    group = named.lstrip("/") if named.startswith("/") or not above else f"{above}/{named}"
    options = tuple(map(str, chosen)) if isinstance(chosen, list) else (str(chosen),)
    return Entry(file, path, config, name, group, options, tuple(words), not named.startswith("/"))


def refuse_strange(file: Path, content: Mapping[Any, Any], head: str) -> None:
    """Refuse what Hydra would read past, or refuse without a place.

    Args:
        file: the configuration file.
        content: what it says.
        head: the beginning of its text.

    Raises:
        Rejected: FT007, for a defaults list that is none, an entry of another form, a word that is not known, and a
            header that is misspelt.
    """
    listed = content.get("defaults", [])
    found = [*_strange_header(file, head)]
    if isinstance(listed, list):
        found += [d for index, entry in enumerate(listed) for d in _strange(file, index, entry)]
        found += _twice(file, listed)
    else:
        found += [error("FT007", "defaults is a list, one entry a line", help=_FORM).at(_place(file, ("defaults",)))]
    if found:
        raise Rejected(found)


def _strange(file: Path, index: int, entry: Any) -> Iterator[Diagnostic]:
    place = _place(file, ("defaults", index)) if not _is_sound(entry) else None
    if place:
        yield error("FT007", f"an entry of a defaults list cannot be {entry!r}", "", entry, _FORM).at(place)
    elif isinstance(entry, dict):
        (name,) = entry
        for word in name.split()[:-1]:
            if word not in _WORDS:
                yield _unknown(word, _WORDS).at(_place(file, ("defaults", index, name)))
    elif entry.startswith("_") and entry != "_self_" and difflib.get_close_matches(entry, ["_self_"], 1, 0.7):
        yield _unknown(entry, ("_self_",)).at(_place(file, ("defaults", index)))


def _twice(file: Path, listed: Iterable[Any]) -> Iterator[Diagnostic]:
    """Of two entries for the same group Hydra takes one without a word."""
    seen: set[str] = set()
    for index, entry in enumerate(listed):
        for name in entry if isinstance(entry, dict) else ():
            if name in seen:
                told = f"a second entry of this defaults list is for {name!r}"
                help_ = "remove one of them; several options of a group are a list: [a, b]"
                yield error("FT007", told, "", name, help_).at(_place(file, ("defaults", index, name)))
            seen.add(name)


def _is_sound(entry: Any) -> bool:
    if isinstance(entry, dict):
        named = len(entry) == 1 and all(isinstance(name, str) and name.strip() for name in entry)
        return named and all(_is_choice(chosen) for chosen in entry.values())
    return isinstance(entry, str) and bool(entry.strip())


def _is_choice(chosen: Any) -> bool:
    listed = chosen if isinstance(chosen, list) else [chosen]
    return chosen is None or all(isinstance(option, str) and option for option in listed)


def _unknown(word: str, known: Iterable[str]) -> Diagnostic:
    near = difflib.get_close_matches(word, known, 1, 0.5)
    help_ = f"did you mean {near[0]}?" if near else _FORM
    return error("FT007", f"a defaults list does not know the word {word!r}", "", word, help_)


def _strange_header(file: Path, head: str) -> Iterator[Diagnostic]:
    """A header that looks like `# @package` and is none; any other comment may begin with `@`, too."""
    for number, line in enumerate(head.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            return
        match = _HEADER.fullmatch(line.strip())
        if match and match[1] != "package" and difflib.get_close_matches(match[1], ["package"], 1, 0.7):
            told = f"the header @{match[1]} is not known, and would be read past"
            yield error("FT007", told, "", match[1], "did you mean @package?").at(Location(str(file), number))
        elif match and len(match[0].lstrip("# ").split()) != 2:  # noqa: PLR2004 - a key and its value
            told = "Hydra reads a comment that begins with @ as a header, which is one word and its value"
            yield error("FT007", told, "", match[0], "write # @package NAME").at(Location(str(file), number))


def _place(file: Path, path: _Path) -> Location:
    try:
        mark = yamlio.document(yamlio.read_text(file), str(file)).nearest(path)
    except Rejected:
        return Location(str(file), 1)
    return Location(str(file), mark.line, mark.column)
