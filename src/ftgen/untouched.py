"""A sweep that was rendered here before, and of which nothing was touched since, is not compiled again.

Beside the user's other caches stands, for each sweep that was written, what it was made from and what was said of it.
Everything that could make a difference counts: ftgen's own files and those of the user (by path, size and time of
change, as make has it), the libraries' releases, the points, and every file in the output folder, by digest.  Where
anything differs, or a configuration asks the environment, the sweep is compiled.  The cache may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ftgen import project, tree
from ftgen.batch import Batch
from ftgen.compose import Composer
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity
from ftgen.sweeping import Sweep, index
from ftgen.sweeping.index import Totals

_LIBRARIES = ("hydra", "omegaconf", "pydantic", "yaml", "jsonschema_rs")
_KEPT = 32
# Fewer points are compiled in the time that looking takes.
_FEWEST = 20
_ASKS_ENVIRONMENT = "oc.env"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A sweep as it was written.

    Attributes:
        folder: its folder in the output tree.
        totals: what its jobs ask for.
        files: paths of its files there.
        diagnostics: what was told, located.
    """

    folder: str
    totals: Totals
    files: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


class Memory:
    """What is remembered of one sweep in one output folder; made before anything is compiled."""

    def __init__(self, composer: Composer, sweep: Sweep, out: Path, words: Sequence[str]) -> None:
        """Look at everything that the sweep is made from.

        Args:
            composer: with the search path.
            sweep: its points.
            out: the output folder.
            words: what else decides about its files.
        """
        self._out = out
        self._place: Path | None = None
        if len(sweep.points) >= _FEWEST and not _asks_environment(composer, sweep):
            with suppress(OSError):
                self._place = _place(composer, sweep, out, words)

    def known(self) -> Rendered | None:
        """What the sweep was when it was written; None where it is not known, or a file of its was touched."""
        if self._place is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, Rejected):
            kept = json.loads(self._place.read_text(encoding="utf-8"))
            tree.recover(self._out)
            lock = (self._out / tree.LOCK_NAME).read_bytes()
            if kept["lock"] == _digest(lock) and _untouched(self._out, tree.parse_lock(lock, ""), kept["files"]):
                diagnostics = tuple(_diagnostic(d) for d in kept["diagnostics"])
                return Rendered(kept["folder"], Totals(**kept["totals"]), tuple(kept["files"]), diagnostics)
        return None

    def keep(self, batch: Batch, files: Iterable[str]) -> None:
        """Remember the sweep that was just written; where there is no place for it, nothing happens."""
        if self._place is None or batch.packs:
            return
        with suppress(OSError):
            said = {
                "folder": batch.folder,
                "totals": asdict(index.totals(batch.rows)),
                "files": sorted(files),
                "diagnostics": [asdict(d) for d in batch.diagnostics],
                "lock": _digest((self._out / tree.LOCK_NAME).read_bytes()),
            }
            self._place.parent.mkdir(parents=True, exist_ok=True)
            beside = self._place.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(said), encoding="utf-8")
            beside.replace(self._place)
            _forget(self._place.parent)


def _forget(folder: Path) -> None:
    """The oldest go."""
    entries = sorted(folder.glob("*.json"), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in entries[:-_KEPT]:
        entry.unlink(missing_ok=True)


def _place(composer: Composer, sweep: Sweep, out: Path, words: Sequence[str]) -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made_from = [
        [project.VERSION, sys.version, *(str(getattr(import_module(name), "__version__", "")) for name in _LIBRARIES)],
        [str(Path.cwd()), str(out.resolve()), *words],
        [[point.overrides, point.label, dict(point.values)] for point in sweep.points],
        repr(sweep.settings),
        [composer.request.config_name, *map(str, composer.request.search_path())],
        [found for folder in _folders(composer) for found in _stamps(folder)],
    ]
    text = json.dumps(made_from, default=str, ensure_ascii=False)
    return Path(caches) / "ftgen" / "sweeps" / f"{_digest(text.encode('utf-8', 'surrogatepass'))}.json"


def _folders(composer: Composer) -> list[Path]:
    here = composer.request.directory
    own = [Path(__file__).parent, project.overlays_dir(), project.schemas_dir()]
    return [*own, *composer.request.search_path(), here / "overlays", here / "schemas"]


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of change of every file below a folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            if entry.is_dir():
                if entry.is_symlink():
                    raise OSError("what lies behind links is not looked at")
                if entry.name != "__pycache__":
                    yield from _stamps(Path(entry.path))
            else:
                stat = entry.stat()
                yield entry.path, stat.st_size, stat.st_mtime_ns


def _asks_environment(composer: Composer, sweep: Sweep) -> bool:
    """Whether a value may come from outside of all that is looked at."""
    words = (word for point in sweep.points for word in point.overrides)
    packaged = project.conf_dir()
    files = (f for folder in composer.request.search_path() if folder != packaged for f in folder.rglob("*.yaml"))
    texts = (*words, *(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()))
    return any(_ASKS_ENVIRONMENT in text for text in texts)


def _untouched(out: Path, lock: tree.Lock, files: Iterable[str]) -> bool:
    return all(_digest((out / path).read_bytes()) == lock.files[path].sha256 for path in files)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _diagnostic(said: dict[str, Any]) -> Diagnostic:
    places = tuple(Location(**place) for place in said["locations"])
    return Diagnostic(**{**said, "severity": Severity(said["severity"]), "locations": places})
