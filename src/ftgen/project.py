"""Where ftgen's own data lies: configuration groups, overlays and schemas.

In an installed wheel they travel as package data beside the modules; in a checkout they are the
repository's top-level folders, so that what is edited is what is rendered.
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
    """The packaged configuration groups."""
    return _data("conf")


def overlays_dir() -> Path:
    """The packaged overlays."""
    return _data("overlays")


def schemas_dir() -> Path:
    """The derived schemas and argument surfaces."""
    return _data("schemas")


def folder(place: str, directory: Path) -> Path | None:
    """The folder that a place names; None where there is none.

    Args:
        place: a path, `file://` and a path, or `pkg://` and the dotted name of a folder in an installed package.
        directory: what relative paths start from.
    """
    if not place.startswith(_IN_PACKAGE):
        found = directory / place.removeprefix("file://")
        return found if found.is_dir() else None
    package, *inside = place.removeprefix(_IN_PACKAGE).replace("/", ".").split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = [Path(each, *inside) for each in (spec.submodule_search_locations or ())] if spec else []
    return next((each for each in places if each.is_dir()), None)


_IN_PACKAGE = "pkg://"
