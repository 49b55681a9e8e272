"""Folders of ftgen's own data: configuration groups, overlays and schemas.

In an installed wheel they are package data beside the modules; in a checkout they are the repository's top-level
folders, so that edits take effect at once.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

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
