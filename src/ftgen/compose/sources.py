"""Where configuration lies: Hydra's view of our search path, and the trainer's scripts beside the options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ftgen import files, project, yamlio
from ftgen.compose.entries import Entry, entries, refuse_strange
from ftgen.diagnostics import Location, Rejected, error


class _Source(ConfigSource):
    """One folder of configuration files, read by `yamlio`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(provider="main", path=f"file://{folder}")
        self.folder = folder
        self._texts: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {}

    @staticmethod
    def scheme() -> str:
        return "file"

    def file(self, config_path: str) -> Path:
        return self.folder / _file_name(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """What Hydra's defaults list asks of a file: its defaults, its header, and whether there is more."""
        content, header = self.read(config_path)
        asked = {key: value for key, value in content.items() if key == "defaults"}
        if len(content) > len(asked):
            asked["_content_"] = None
        return ConfigResult(provider="main", path=self.path, config=OmegaConf.create(asked), header=dict(header))

    def read(self, config_path: str) -> tuple[dict[str, Any], dict[str, str | None]]:
        """A file's plain content and its header, read once; not to be written to."""
        if config_path not in self._texts:
            self._texts[config_path] = self._read(self.file(config_path))
        return self._texts[config_path]

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
        text = _text(path, self.folder)
        value = yamlio.parse(text, str(path))
        if not isinstance(value, dict | None):
            raise Rejected(
                [error("FT003", f"{path.name} must be a mapping of keys to values").at(Location(str(path), 1))]
            )
        refuse_strange(path, value or {}, text[:512])
        return value or {}, ConfigSource._get_header_dict(text[:512])  # noqa: SLF001 - Hydra's own header rule

    def available(self) -> bool:
        return self.folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return (self.folder / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return _holds(self.folder, _file_name(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        wanted = ObjectType.GROUP if results_filter == ObjectType.GROUP else ObjectType.CONFIG
        return sorted(_list(self.folder / config_path, wanted))


def _list(folder: Path, wanted: ObjectType) -> Iterator[str]:
    for entry in folder.iterdir():
        if wanted == ObjectType.GROUP and entry.is_dir() and entry.name != "__pycache__":
            yield entry.name
        elif wanted == ObjectType.CONFIG and entry.suffix == ".yaml" and files.is_there(entry):
            yield entry.stem


class Repository(ConfigRepository):
    """Hydra's view of our search path; the first folder that has a configuration wins."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Search these folders, the nearest first."""
        self._folders = [_Source(folder) for folder in folders]
        self.sources = list(self._folders)
        self._loaded: dict[str, ConfigResult | None] = {}
        super().__init__(ConfigSearchPathImpl())

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """The sources are given; Hydra's search path is not consulted."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What Hydra makes of a file, once; it copies what it changes."""
        if config_path not in self._loaded:
            self._loaded[config_path] = super().load_config(config_path)
        return self._loaded[config_path]

    def text(self, name: str) -> str | None:
        """Return the text of the first file of this name on the search path, None where there is none.

        Raises:
            Rejected: FT002, when it cannot be read.
        """
        folder = next((s.folder for s in self._folders if _holds(s.folder, name)), None)
        return None if folder is None else _text(folder / name, folder)

    def source(self, config_path: str) -> _Source:
        """The folder that a configuration comes from."""
        found = self._find_object_source(config_path, ObjectType.CONFIG)
        assert isinstance(found, _Source)  # noqa: S101 - the defaults list was built from these sources
        return found

    def entries(self) -> Iterator[Entry]:
        """The entries of the defaults lists of all files that were asked for so far."""
        for config, loaded in self._loaded.items():
            if loaded is not None:
                source = self.source(config)
                yield from entries(config, source.file(config), source.read(config)[0])

    def groups(self) -> list[str]:
        """The configuration groups, sorted."""
        return self.get_group_options("", ObjectType.GROUP)

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return self.get_group_options(group, ObjectType.CONFIG)


def read_scripts(names: Sequence[str], repository: Repository) -> dict[str, str]:
    """Return the texts of the trainer's scripts by file name, the first found on the search path.

    Raises:
        Rejected: for every script that is nowhere, or the first that cannot be read.
    """
    found = {name: repository.text(f"trainer/{name}") for name in names}
    lost = [name for name, text in found.items() if text is None]
    if lost:
        raise Rejected([error("FT015", f"there is no script conf/trainer/{n}", "trainer.script", n) for n in lost])
    return {name: text for name, text in found.items() if text is not None}


def _file_name(config_path: str) -> str:
    return config_path if config_path.endswith(".yaml") else f"{config_path}.yaml"


def _holds(folder: Path, name: str) -> bool:
    """Whether a file of this name lies in a folder on the search path; a name never leads out of it."""
    inside = not name.startswith("/") and ".." not in name.split("/")
    return inside and files.is_there(folder / name)


def _text(path: Path, folder: Path) -> str:
    """Read a file of a folder on the search path.

    Links must not lead out of a folder of the user's, for what came with a clone may point anywhere.  An installer may
    make links of the packaged files, to share them between environments.
    """
    within = None if folder == project.conf_dir() else folder
    return yamlio.read_text(path, at_most=files.LARGEST_SOURCE, within=within)
