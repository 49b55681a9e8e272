"""The shape of an ownership index, checked before anything is believed of it: it may have come with a clone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ftgen.tree.lock import AssignedName, Entry, Lock, State, unfolded

_Shape = TypeVar("_Shape")
_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(config=ConfigDict(strict=True, extra="ignore"))
class _Head:
    version: int


@dataclass(config=_STRICT)
class _Entry:
    sha256: str
    object: str
    run: str
    name: str
    state: State


@dataclass(config=_STRICT)
class _Issued:
    name: str
    hash: Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(config=_STRICT)
class _Lock:
    version: int
    files: Mapping[str, _Entry]
    runs: Mapping[str, _Issued]
    ended: Sequence[str] = ()
    judged: Mapping[str, Any] = field(default_factory=dict)


_HEAD, _LOCK = TypeAdapter(_Head), TypeAdapter(_Lock)


def version_of(text: bytes) -> int:
    """The format that the index says it has.

    Raises:
        ValueError: it is not JSON, or does not say.
    """
    return _checked(_HEAD, text).version


def lock_of(text: bytes) -> Lock:
    """The index.

    Raises:
        ValueError: it has another shape, or says something twice.
    """
    found = _checked(_LOCK, text)
    # Which of two entries holds is a reader's choice, and git merges of two sides may keep both.
    json.loads(text, object_pairs_hook=_once)
    files = {path: Entry(**vars(entry)) for path, entry in found.files.items()}
    runs = {run: AssignedName(**vars(assigned)) for run, assigned in found.runs.items()}
    judged = {run: json.dumps(terms, ensure_ascii=False) for run, terms in found.judged.items()}
    return Lock(files, runs, frozenset(found.ended), unfolded(judged, runs))


def _checked(adapter: TypeAdapter[_Shape], text: bytes) -> _Shape:
    try:
        return adapter.validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def _once(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"it says {twice!r} twice")
