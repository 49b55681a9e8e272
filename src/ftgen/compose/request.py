"""What is asked for: overrides, and the folders to look for configuration in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.errors import HydraException

from ftgen import catalog, files, project
from ftgen.compose.grammar import read
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error


@dataclass(frozen=True, slots=True)
class Request:
    """What to compose: overrides in Hydra's grammar, and where to look for configuration.

    Attributes:
        overrides: as typed, without flags.
        config_dirs: searched first, so that their options shadow all others (`--config-dir`).
        config_path: replaces the packaged configuration (`--config-path`).
        config_name: the primary configuration file, without `.yaml`.
        directory: where the user's own `conf/` is looked for.
    """

    overrides: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()
    config_path: Path | None = None
    config_name: str = "config"
    directory: Path = field(default_factory=Path)

    def search_path(self) -> list[Path]:
        """The folders to search, each once: the user's, the packaged, and last those of `hydra.searchpath`.

        As in Hydra, the searchpath is said in the primary file or, overruling that, on the command line.

        Raises:
            Rejected: for every folder that is asked for and is not there.
        """
        packaged = [self.config_path] if self.config_path else [self.directory / "conf", project.conf_dir()]
        nearer = [folder for folder in [*self.config_dirs, *packaged] if folder.is_dir()]
        further = {place: project.folder(place, self.directory) for place in self._further(nearer)}
        lost = [_no_folder(d) for d in self.config_dirs if not d.is_dir()]
        lost += [_no_folder(place).at(*self._typed()) for place, folder in further.items() if folder is None]
        if lost:
            raise Rejected(lost)
        unique: dict[str, Path] = {}
        for folder in [*nearer, *(f for f in further.values() if f)]:
            unique.setdefault(os.path.realpath(folder), folder)
        return list(unique.values())

    def _further(self, nearer: Sequence[Path]) -> list[str]:
        typed = self._typed()
        if not typed:
            return catalog.searchpath(nearer, self.config_name)
        try:
            said = read(self.overrides[typed[-1].line - 1]).value()
        except HydraException:
            return []  # told with the other overrides that cannot be read
        return [str(place) for place in said] if isinstance(said, list) else [str(said)]

    def _typed(self) -> list[Location]:
        said = (text.lstrip("+").startswith("hydra.searchpath=") for text in self.overrides)
        return [Location(COMMAND_LINE, position) for position, is_one in enumerate(said, 1) if is_one]


def _no_folder(place: object) -> Diagnostic:
    return error("FT002", f"the configuration folder {place} does not exist", value=place)


def displayed(path: Path, directory: Path) -> str:
    """The path as the user would type it from where they are; packaged files by their place in conf/."""
    try:
        return str(files.resolved(path).relative_to(files.resolved(directory)))
    except ValueError:
        return str(path)
