"""Requests to compose: overrides, and the folders to search for configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from msgspec import Struct, field

from ftgen import runtime
from ftgen.config import catalog
from ftgen.config.compose.grammar import read
from ftgen.config.pins import Pins
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.text import files


class Place(Struct, frozen=True):
    """Place of the search path.

    Attributes:
        provider: what named it, in Hydra's words: `command-line`, `main`, `hydra.searchpath in main`.
        address: the place as Hydra shows it, with its scheme: `file:///home/me/conf`, `pkg://company.conf`.
        folder: its folder.
    """

    provider: str
    address: str
    folder: Path


class Request(Struct, frozen=True):
    """Request to compose overrides in Hydra's grammar with configuration from the given folders.

    Attributes:
        overrides: overrides as typed, without flags.
        config_dirs: folders searched first, so that their options shadow all others (`--config-dir`).
        config_path: folder that replaces the packaged configuration (`--config-path`).
        config_name: name of the primary configuration file, without `.yaml`.
        directory: folder that holds the user's own `conf/`.
        pins: pins in place of those of the first `pins.yaml` on the search path; None to read that file.
        locked: command that pins references, where a job with a movable one is to be rejected; else empty.
        typed: overrides that the user typed, where a file recorded the others, which may have come with a foreign
            clone and so choose no environment variable to read; None: the user typed all.
        expands: whether who asks would expand a sweep with --multirun.
    """

    overrides: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()
    config_path: Path | None = None
    config_name: str = "config"
    directory: Path = field(default_factory=Path)
    pins: Pins | None = None
    locked: str = ""
    typed: frozenset[str] | None = None
    expands: bool = True

    def search_path(self) -> list[Path]:
        """Return the folders to search, each once; see `places`."""
        unique: dict[str, Path] = {}
        for place in self.places():
            unique.setdefault(os.path.realpath(place.folder), place.folder)
        return list(unique.values())

    def places(self) -> list[Place]:
        """Return the places to search: the user's, the packaged, and last those of `hydra.searchpath`.

        As in Hydra, the primary file sets the searchpath, and the command line overrides it.

        Raises:
            Rejected: for every requested folder that does not exist; FT501, `conf` leads out of the repository.
        """
        packaged = (
            [self.config_path]
            if self.config_path
            else [files.unnamed_folder(self.directory / "conf"), runtime.conf_dir()]
        )
        nearer = [Place("command-line", _address(folder), folder) for folder in self.config_dirs]
        nearer += [Place("main", _address(folder), folder) for folder in packaged]
        there = [place for place in nearer if place.folder.is_dir()]
        provider, listed = self._searchpath([place.folder for place in there])
        further = {place: runtime.folder(place, self.directory) for place in listed}
        problems = [_no_folder(d) for d in self.config_dirs if not d.is_dir()]
        problems += [
            _no_folder(place).at(*self._searchpath_overrides()) for place, folder in further.items() if folder is None
        ]
        if problems:
            raise Rejected(problems)
        return [*there, *(Place(provider, _scheme(place), folder) for place, folder in further.items() if folder)]

    def _searchpath(self, nearer: Sequence[Path]) -> tuple[str, list[str]]:
        """Return Hydra's name of what sets the searchpath, and the places in it."""
        typed = self._searchpath_overrides()
        if not typed:
            return "hydra.searchpath in main", catalog.searchpath(nearer, self.config_name)
        try:  # a sweep, and what cannot be parsed, is reported later, with the other overrides
            override = read(self.overrides[typed[-1].line - 1])
            value = [] if override.is_sweep_override() else override.value()
        except HydraException:
            value = []
        return "hydra.searchpath in command-line", [str(v) for v in (value if isinstance(value, list) else [value])]

    def _searchpath_overrides(self) -> list[Location]:
        is_searchpath = (text.lstrip("+").startswith("hydra.searchpath=") for text in self.overrides)
        return [Location(COMMAND_LINE, position) for position, matches in enumerate(is_searchpath, 1) if matches]


def _address(folder: Path) -> str:
    return f"file://{folder.absolute()}"


def _scheme(place: str) -> str:
    return place if "://" in place else f"file://{place}"


def _no_folder(place: object) -> Diagnostic:
    return error("FT002", f"the configuration folder {place} does not exist", value=place)
