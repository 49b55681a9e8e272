"""Catalog of groups and options, read from folders without composing, so that help and completion are instant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftgen import runtime
from ftgen.diagnostics import Rejected
from ftgen.diagnostics.credentials import redact
from ftgen.text import files, parts
from ftgen.text.lines import visible


def folders(
    config_dirs: Iterable[Path] = (), config_path: Path | None = None, config_name: str = "config"
) -> list[Path]:
    """Return the folders to search for options, in order: the user's, the packaged ones, those of the searchpath."""
    own = Path("conf")
    packaged = [config_path] if config_path else [*([] if files.leads_out(own) else [own]), runtime.conf_dir()]
    places = [folder for folder in [*config_dirs, *packaged] if folder.is_dir()]
    further = (runtime.folder(place, Path()) for place in searchpath(places, config_name))
    return [*places, *(folder for folder in further if folder)]


def searchpath(places: Sequence[Path], config_name: str) -> list[str]:
    """Return `hydra.searchpath` of the primary file: folders to search after all others."""
    file = _find(places, config_name)
    if file is None or "searchpath" not in _text(file):
        return []
    hydra = _read(file).get("hydra")
    value = hydra.get("searchpath") if isinstance(hydra, dict) else None
    return [str(place) for place in value] if isinstance(value, list) else []


def groups(places: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Return the description of each option by group, sorted; the first folder that has an option describes it."""
    catalog: dict[str, dict[str, str]] = {}
    for place in places:
        for folder in _folders(place):
            options = catalog.setdefault(folder.name, {})
            for file in _files(folder):
                options.setdefault(file.stem, description(file))
    return {group: dict(sorted(options.items())) for group, options in sorted(catalog.items()) if options}


def nested_groups(places: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return the same for groups inside groups (`hardware/card`), from which an option's defaults list chooses."""
    inner = {f"{top.name}/{folder.name}" for place in places for top in _folders(place) for folder in _folders(top)}
    return {
        name: {option: description(file) for option in known if (file := _find(places, f"{name}/{option}"))}
        for name in sorted(inner)
        if (known := options(places, name))
    }


def options(places: Iterable[Path], group: str) -> list[str]:
    """Return the options of a group, which may lie inside another (`trainer/base`), sorted."""
    return sorted({file.stem for place in places for file in _files(place / group)})


def subgroups(places: Iterable[Path], parent: str = "") -> list[str]:
    """Return the groups below a group, or the top-level groups, sorted."""
    inside = (folder for place in places for folder in _folders(place / parent))
    return sorted({f"{parent}/{folder.name}" if parent else folder.name for folder in inside})


def description(file: Path) -> str:
    """Return the first comment of a configuration file that is no header of Hydra's (`# @package`), without secrets."""
    return redact(visible(next(_first_comment(_text(file).splitlines()), "")))


def packages(places: Sequence[Path], group: str) -> list[str]:
    """Return the dotted keys that the options of a group set: those of their headers (`# @package`), else its path."""
    path = group.replace("/", ".")
    files = (_find(places, f"{group}/{option}") for option in options(places, group))
    return sorted({package_of(file) or path for file in files if file}) or [path]


def choices(places: Sequence[Path], config_name: str, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the chosen option by group, from the primary file and the overrides; ignore unreadable files.

    Args:
        places: folders to search, see `folders`.
        config_name: name of the primary configuration file, without `.yaml`.
        overrides: option by group, as typed; an option's own defaults list may choose others.
    """
    files = [_find(places, config_name), *(_find(places, f"{g}/{o}") for g, o in overrides.items())]
    chosen = {group: option for file in files if file for group, option in _defaults(_read(file))}
    return chosen | dict(overrides)


def content(places: Sequence[Path], group: str, option: str) -> dict[str, Any]:
    """Return an option's content merged with the options that its defaults list chooses; not interpolated."""
    return _Contents(places).of(group, option)


def contents(places: Sequence[Path], group: str) -> dict[str, dict[str, Any]]:
    """Return the content of each option of a group, each file read once; see `content`."""
    known = _Contents(places)
    return {option: known.of(group, option) for option in options(places, group)}


MOST_ENTRIES = 250
"""Most entries of a composition's defaults lists, of all files together: composing refuses more.

Twenty files of two entries each, which choose the next one twice, come to a million.
"""


class _Contents:
    """Contents of options, each merged once.

    What composing refuses counts as empty: an option that its own defaults list leads back to, and those after the
    last of the entries that a defaults list may have.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._room = 0

    def of(self, group: str, option: str) -> dict[str, Any]:
        self._room = MOST_ENTRIES
        return self._content(group, option)

    def _content(self, group: str, option: str) -> dict[str, Any]:
        if (group, option) not in self._known:
            self._known[group, option] = {}
            self._known[group, option] = self._read(group, option)
        return self._known[group, option]

    def _read(self, group: str, option: str) -> dict[str, Any]:
        file = _find(self._places, f"{group}/{option}")
        own = _read(file) if file else {}
        listed = own.pop("defaults", ())
        self._room -= len(listed)
        merged: dict[str, Any] = {}
        for entry in listed if self._room >= 0 else ():
            if isinstance(entry, str) and entry != "_self_":
                merged |= self._content(group, entry.partition("@")[0])
            for name, chosen in _defaults({"defaults": [entry]}):
                merged |= {name: self._content(f"{group}/{name}", chosen)}
        return _merged(merged, own)


def _merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    nested = {k for k in upper if isinstance(upper[k], dict) and isinstance(lower.get(k), dict)}
    return {**lower, **upper, **{key: _merged(lower[key], upper[key]) for key in nested}}


def _defaults(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the choices of a defaults list: `- model: x`, `- override /model: x`."""
    for entry in content.get("defaults", ()):
        for name, option in entry.items() if isinstance(entry, dict) else ():
            words = str(name).split()
            if words and isinstance(option, str):
                yield words[-1].lstrip("/").partition("@")[0], option


def _find(places: Sequence[Path], name: str) -> Path | None:
    return next((file for place in places if files.is_there(file := place / f"{name}.yaml")), None)


def _read(file: Path) -> dict[str, Any]:
    from ftgen.text import yamlio  # noqa: PLC0415 - a listing of groups needs no YAML

    try:
        value = yamlio.read(file, at_most=files.LARGEST_SOURCE, most=parts.MOST_OF_SOURCE)
    except Rejected:
        return {}
    found = dict(value) if isinstance(value, dict) else {}
    return found if isinstance(found.get("defaults", []), list) else {**found, "defaults": []}


def _text(file: Path) -> str:
    """Return a file's text, empty if it cannot be read: composing reports the reason."""
    try:
        return files.read(file, at_most=files.LARGEST_SOURCE).decode("utf-8", "replace")
    except OSError:
        return ""


def _folders(place: Path) -> list[Path]:
    inside = sorted(place.iterdir()) if place.is_dir() else []
    return [folder for folder in inside if folder.is_dir() and not folder.name.startswith((".", "_"))]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.yaml") if files.is_there(file))


def package_of(file: Path) -> str:
    """Return the package of a file's header (`# @package hardware`), empty if it has none."""
    words = _text(file).lstrip().partition("\n")[0].lstrip("# ").split()
    return words[1] if words[:1] == ["@package"] and len(words) > 1 else ""


_HEADERS = ("@", "yaml-language-server:")
"""Comments that are addressed to Hydra and to editors."""


def _first_comment(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        text = line.strip()
        if text.startswith("#") and not text.lstrip("# ").startswith(_HEADERS):
            yield text.lstrip("# ")
        if text and not text.startswith("#"):
            return
