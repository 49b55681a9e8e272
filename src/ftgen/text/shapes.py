"""Readers of foreign values: a value of another shape than the wanted one reads as absent."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ftgen.text import kube

_MOST = Fraction(kube.INT64_MAX)


def mapping(value: object) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[tuple[int, dict[str, Any]]]:
    """Return the objects of a list with their positions."""
    return [(i, item) for i, item in enumerate(value) if isinstance(item, dict)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """Return the strings of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return the value if it is a string, else the empty one: Go's zero value, which every check treats as unset."""
    return value if isinstance(value, str) else ""


def integer(value: object) -> int:
    """Return the value if it is an integer, else 0, Go's zero value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def optional_integer(value: object) -> int | None:
    """Return the value if it is an integer, else None: for fields that are pointers in Go, where 0 is not unset."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def amounts(resources: object) -> dict[str, Fraction]:
    """Return the amounts of a resource list, capped as quantities are; leave out what is no quantity."""
    stated = {str(name): amount(value) for name, value in mapping(resources).items()}
    return {name: min(value, _MOST) for name, value in stated.items() if value is not None}


def amount(value: object) -> Fraction | None:
    """Return the amount of a quantity; None where the value is no quantity."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return kube.parse_quantity(str(value))
    except ValueError:
        return None
