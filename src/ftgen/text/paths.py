"""Paths into JSON-like values: tuples of keys and indexes, and their dotted form in diagnostics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

Steps = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as diagnostics do: `spec.tasks[0].name`, `metadata.labels["volcano.sh/x"]`."""
    text = ""
    for step in path:
        text = child(text, step)
    return text


@lru_cache(maxsize=4096)
def child(path: str, step: str | int) -> str:
    """Write the path of a key or item: `limits.cpu`, but `limits["nvidia.com/gpu"]` for a key that is no word."""
    if isinstance(step, str) and _PLAIN.fullmatch(step):
        return f"{path}.{step}" if path else step
    return f"{path}[{json.dumps(step, ensure_ascii=False)}]"


@lru_cache(maxsize=4096)
def steps(path: str) -> Steps:
    """Parse the keys and indexes of a path as `dotted` writes it."""
    parts = re.findall(r"([^.\[\]]+)|\[(\"(?:[^\"\\]|\\.)*\"|\d+)\]", path)
    return tuple(json.loads(quoted) if quoted else plain for plain, quoted in parts)


def leaves(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield scalars and empty collections with their paths."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, (list, tuple)) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def part(value: Any, step: str | int) -> Any:
    """Return the entry of a mapping or the item of a list; None where there is none."""
    if isinstance(value, dict):
        return value.get(step)
    is_there = isinstance(value, list) and isinstance(step, int) and step < len(value)
    return value[step] if is_there else None


def put(value: Any, path: Steps, new: Any) -> Any:
    """Return a copy with another value at a path; everything beside the path is shared."""
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: put(value[path[0]], path[1:], new)}
    return [put(item, path[1:], new) if index == path[0] else item for index, item in enumerate(value)]
