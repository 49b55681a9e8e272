"""Volcano versions as comparable numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ftgen import schema

Version = tuple[int, int, int]
_NUMBERS = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?.*")
# Last patch release of a minor version: `1.12` means 1.12.4.
_PATCHES: Mapping[tuple[int, int], int] = {(1, 12): 4, (1, 13): 3, (1, 14): 4, (1, 15): 1}


@lru_cache(maxsize=64)
def version_of(text: str) -> Version:
    """Return the numbers of a Volcano version: `1.12` is its last patch, `newest` the newest known release line.

    Raises:
        ValueError: the text is not a version, or is older than every known release line.
    """
    line = schema.release(text)
    numbers = _NUMBERS.fullmatch(line if text == "newest" else text)
    if numbers is None:
        raise ValueError(f"{text!r} is no Volcano version")
    major, minor = int(numbers[1]), int(numbers[2])
    return major, minor, int(numbers[3]) if numbers[3] else _PATCHES.get((major, minor), 0)


def has_optional_partitions(version: Version) -> bool:
    """Return whether minPartitions 0 asks nothing of a task's gang: since 1.14.3, 1.15.1 and 1.16."""
    return version >= ((1, 15, 1) if version[:2] == (1, 15) else (1, 14, 3))
