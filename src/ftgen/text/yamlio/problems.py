"""Refusal of texts that cannot be read."""

from __future__ import annotations

from typing import NoReturn

import yaml

from ftgen.diagnostics import Location, Rejected, error

SYNTAX = "FT001"
FILE = "FT002"


def location(file: str, mark: yaml.Mark) -> Location:
    """Convert a parser's mark to a location, counted from 1."""
    return Location(file, mark.line + 1, mark.column + 1)


def reject(code: str, headline: str, where: Location, help: str = "") -> NoReturn:  # noqa: A002
    """Raise `Rejected` with one diagnostic at a location."""
    raise Rejected([error(code, headline, help=help).at(where)])
