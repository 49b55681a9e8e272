"""Where configuration lies: Hydra's view of our search path, and the trainer's scripts beside the options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ftgen import yamlio
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
        return self.folder / (config_path if config_path.endswith(".yaml") else f"{config_path}.yaml")

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
        value = yamlio.read(path)
        if not isinstance(value, dict | None):
            raise Rejected(
                [error("FT003", f"{path.name} must be a mapping of keys to values").at(Location(str(path), 1))]
            )
        with path.open(encoding="utf-8") as text:
            return value or {}, ConfigSource._get_header_dict(text.read(512))  # noqa: SLF001 - Hydra's own header rule

    def available(self) -> bool:
        return self.folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return (self.folder / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self.file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        wanted = ObjectType.GROUP if results_filter == ObjectType.GROUP else ObjectType.CONFIG
        return sorted(_list(self.folder / config_path, wanted))


def _list(folder: Path, wanted: ObjectType) -> Iterator[str]:
    for entry in folder.iterdir():
        if wanted == ObjectType.GROUP and entry.is_dir() and entry.name != "__pycache__":
            yield entry.name
        elif wanted == ObjectType.CONFIG and entry.suffix == ".yaml" and entry.is_file():
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

    def find(self, name: str) -> Path | None:
        """The first file of this name on the search path."""
        return next((path for s in self._folders if (path := s.folder / name).is_file()), None)

    def source(self, config_path: str) -> _Source:
        """The folder that a configuration comes from."""
        found = self._find_object_source(config_path, ObjectType.CONFIG)
        assert isinstance(found, _Source)  # noqa: S101 - the defaults list was built from these sources
        return found

    def groups(self) -> list[str]:
        """The configuration groups, sorted."""
        return self.get_group_options("", ObjectType.GROUP)

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return self.get_group_options(group, ObjectType.CONFIG)


def read_scripts(names: Sequence[str], repository: Repository) -> dict[str, str]:
    """Texts of the trainer's scripts by file name, the first found on the search path.

    Raises:
        Rejected: for every script that is nowhere.
    """
    found = {name: repository.find(f"trainer/{name}") for name in names}
    lost = [
        error("FT015", f"there is no script conf/trainer/{n}", "trainer.script", n)
        for n, path in found.items()
        if not path
    ]
    if lost:
        raise Rejected(lost)
    return {name: _script(path) for name, path in found.items() if path}


def _script(path: Path) -> str:
    return _read_script(path.resolve(), path.stat().st_mtime_ns)


@cache
def _read_script(path: Path, _changed: int) -> str:
    return yamlio.read_text(path)
