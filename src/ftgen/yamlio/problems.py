"""How a text that cannot be read is refused."""

from __future__ import annotations

from typing import NoReturn

import yaml

from ftgen.diagnostics import Location, Rejected, error

SYNTAX = "FT001"
FILE = "FT002"


def location(file: str, mark: yaml.Mark) -> Location:
    """Count a mark of the parser from 1."""
    return Location(file, mark.line + 1, mark.column + 1)


def reject(code: str, headline: str, where: Location, help: str = "") -> NoReturn:  # noqa: A002
    """Refuse a text."""
    raise Rejected([error(code, headline, help=help).at(where)])
