"""The installed program and its process: version, folders of its own data, settings that it restores afterwards.

In an installed wheel the configuration groups, overlays and schemas are package data beside the modules; in a checkout
they are the repository's top-level folders, so that edits take effect at once.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

VERSION = "0.1.0"
_PACKAGE = Path(__file__).parent


@cache
def _data(name: str) -> Path:
    packaged = _PACKAGE / name
    return packaged if packaged.is_dir() else _PACKAGE.parent.parent / name


def conf_dir() -> Path:
    """Return the folder of the packaged configuration groups."""
    return _data("conf")


def overlays_dir() -> Path:
    """Return the folder of the packaged overlays."""
    return _data("overlays")


def schemas_dir() -> Path:
    """Return the folder of the derived schemas and argument surfaces."""
    return _data("schemas")


def folder(place: str, directory: Path) -> Path | None:
    """Return the folder of a search path entry or an overlay pack; None if it does not exist.

    Args:
        place: a path, `file://` and a path, or `pkg://` and the dotted name of a folder in an installed package.
        directory: base of relative paths.
    """
    if not place.startswith(_IN_PACKAGE):
        found = directory / place.removeprefix("file://")
        return found if found.is_dir() else None
    package, *inside = place.removeprefix(_IN_PACKAGE).replace("/", ".").split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = [Path(root, *inside) for root in (spec.submodule_search_locations or ())] if spec else []
    return next((path for path in folders if path.is_dir()), None)


_IN_PACKAGE = "pkg://"


# --- the process ----------------------------------------------------------------------------------------


def rarely_collect() -> None:
    """Collect garbage rarely until the process ends; restoring the thresholds then would only start a collection."""
    gc.set_threshold(100_000, 50, 50)


def end(code: int) -> NoReturn:
    """End the process with an exit code, without taking it apart: to free each object takes longer than most steps."""
    for stream in (sys.stdout, sys.stderr):
        # What cannot be written was reported, or is dropped, where it was printed.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextmanager
def few_collections() -> Iterator[None]:
    """Collect garbage rarely in the block: jobs are many small values and few cycles.

    Collections would take a seventh of the time.
    """
    before = gc.get_threshold()
    rarely_collect()
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable in the block, unless the host has set it, and remove it afterwards."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
