"""Configuration sources: Hydra's repository over our search path, and the trainer's scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ftgen import runtime
from ftgen.config.catalog import MOST_ENTRIES
from ftgen.config.compose.entries import HEADERS_WITHIN, Entry, entries, hydras, refuse_malformed, without_hydras
from ftgen.diagnostics import Location, Rejected, error
from ftgen.text import files, parts, yamlio


class _Source(ConfigSource):
    """Folder of configuration files, read by `yamlio`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(provider="main", path=f"file://{folder}")
        self.folder = folder
        self._contents: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {}

    @staticmethod
    def scheme() -> str:
        return "file"

    def file(self, config_path: str) -> Path:
        return self.folder / _file_name(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return what Hydra's defaults list needs of a file: its defaults, its header, and whether it has content."""
        content, header = self.read(config_path)
        relevant: dict[str, Any] = {}
        if "defaults" in content:
            relevant["defaults"] = without_hydras(config_path, self.file(config_path), content)
        if len(content) > len(relevant):
            relevant["_content_"] = None
        return ConfigResult(provider="main", path=self.path, config=OmegaConf.create(relevant), header=dict(header))

    def read(self, config_path: str) -> tuple[dict[str, Any], dict[str, str | None]]:
        """Return a file's plain content and its header, read once; callers must not change them."""
        if config_path not in self._contents:
            self._contents[config_path] = self._read(self.file(config_path))
        return self._contents[config_path]

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
        text = _text(path, self.folder)
        value = yamlio.parse(text, str(path), parts.MOST_OF_SOURCE)
        if not isinstance(value, dict | None):
            raise Rejected(
                [error("FT003", f"{path.name} must be a mapping of keys to values").at(Location(str(path), 1))]
            )
        refuse_malformed(path, value or {}, text)
        return value or {}, ConfigSource._get_header_dict(text[:HEADERS_WITHIN])  # noqa: SLF001 - Hydra's own header rule

    def available(self) -> bool:
        return self.folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return (self.folder / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return _has_file(self.folder, _file_name(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        wanted = ObjectType.GROUP if results_filter == ObjectType.GROUP else ObjectType.CONFIG
        return sorted(_list(self.folder / config_path, wanted))


def _list(folder: Path, wanted: ObjectType) -> Iterator[str]:
    for entry in folder.iterdir():
        if wanted == ObjectType.GROUP and entry.is_dir() and entry.name != "__pycache__":
            yield entry.name
        elif wanted == ObjectType.CONFIG and entry.suffix == ".yaml" and files.is_there(entry):
            yield entry.stem


_CALLS = 2  # of load_config for a file, by Hydra


class Repository(ConfigRepository):
    """Hydra's repository over our search path; the first folder that has a configuration wins."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Search these folders in order."""
        self._folders = [_Source(folder) for folder in folders]
        self.sources = list(self._folders)
        self._loaded: dict[str, ConfigResult | None] = {}
        self._options: dict[str, list[str]] = {}
        self.start()
        super().__init__(ConfigSearchPathImpl())

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Do nothing: the constructor sets the sources, without Hydra's search path."""

    def start(self) -> None:
        """Forget how many entries were listed: another defaults list begins."""
        self._room = _CALLS * MOST_ENTRIES

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Load a file once: Hydra copies a result before it changes it.

        Raises:
            Rejected: FT011, the entries of the defaults list are more than anyone writes.
        """
        if config_path not in self._loaded:
            self._loaded[config_path] = super().load_config(config_path)
        loaded = self._loaded[config_path]
        self._room -= len(loaded.defaults_list or ()) if loaded else 0
        if self._room < 0:
            raise self._too_many(config_path)
        return loaded

    def _too_many(self, config_path: str) -> Rejected:
        file = self.source(config_path).file(config_path)
        headline = f"the defaults list has more than {MOST_ENTRIES} entries, with those of the files that it chooses"
        help_ = "let each file be chosen once, and none lead back to itself"
        return Rejected([error("FT011", headline, value=config_path, help=help_).at(Location(str(file), 1))])

    def text(self, name: str) -> str | None:
        """Return the text of the first file of this name on the search path, None if there is none.

        Raises:
            Rejected: FT002, if it cannot be read.
        """
        folder = self.folder_of(name)
        return None if folder is None else _text(folder / name, folder)

    def folder_of(self, name: str) -> Path | None:
        """Return the first folder on the search path that has a file of this name, None if there is none."""
        return next((s.folder for s in self._folders if _has_file(s.folder, name)), None)

    def source(self, config_path: str) -> _Source:
        """Return the source that provides a configuration."""
        found = self._find_object_source(config_path, ObjectType.CONFIG)
        assert isinstance(found, _Source)  # noqa: S101 - the defaults list was built from these sources
        return found

    def entries(self) -> Iterator[Entry]:
        """Yield the entries of the defaults lists of all files loaded so far."""
        for config, loaded in self._loaded.items():
            if loaded is not None:
                source = self.source(config)
                yield from entries(config, source.file(config), source.read(config)[0])

    def hydras(self, defaults: DefaultsList) -> Iterator[Entry]:
        """Yield the entries of a composition's files that choose options of Hydra's own groups."""
        for config in dict.fromkeys(default.config_path for default in defaults.defaults if default.config_path):
            source = self.source(config)
            yield from hydras(config, source.file(config), source.read(config)[0])

    def groups(self) -> list[str]:
        """Return the configuration groups, sorted."""
        return self.get_group_options("", ObjectType.GROUP)

    def options(self, group: str) -> list[str]:
        """Return the options of a group, sorted; list its folders once."""
        if group not in self._options:
            self._options[group] = self.get_group_options(group, ObjectType.CONFIG)
        return self._options[group]


def read_scripts(names: Sequence[str], group: str, repository: Repository) -> dict[str, str]:
    """Return the texts of a group's scripts by file name, the first found on the search path.

    Raises:
        Rejected: for every missing script, or the first that cannot be read.
    """
    texts = {name: repository.text(f"{group}/{name}") for name in names}
    missing = [name for name, text in texts.items() if text is None]
    if missing:
        raise Rejected([error("FT015", f"there is no script conf/{group}/{n}", f"{group}.script", n) for n in missing])
    return {name: text for name, text in texts.items() if text is not None}


def _file_name(config_path: str) -> str:
    return config_path if config_path.endswith(".yaml") else f"{config_path}.yaml"


def _has_file(folder: Path, name: str) -> bool:
    """Return whether a folder holds a file of this name; a name that leads out of the folder does not count."""
    inside = not name.startswith("/") and ".." not in name.split("/")
    return inside and files.is_there(folder / name)


def _text(path: Path, folder: Path) -> str:
    """Read a file of a folder on the search path.

    Links must not lead out of a user's folder, because a clone may contain links to anywhere.  Packaged files may be
    links, as an installer may share them between environments.
    """
    within = None if folder == runtime.conf_dir() else folder
    return yamlio.read_text(path, at_most=files.LARGEST_SOURCE, within=within)
