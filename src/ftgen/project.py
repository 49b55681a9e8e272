"""Where ftgen's own data lies: configuration groups, overlays and schemas.

In an installed wheel they travel as package data beside the modules; in a checkout they are the
repository's top-level folders, so that what is edited is what is rendered.
"""

from __future__ import annotations

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
