"""Shape of an ownership index, validated strictly because the file may have come with a clone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from ftgen.output.tree.lock import AssignedName, Entry, Lock, State, unfolded
from ftgen.text import parts
from ftgen.text.shapes import mapping

_Shape = TypeVar("_Shape")
_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(config=ConfigDict(strict=True, extra="ignore"))
class _Head:
    version: int


class _BrokenRowError(Exception):
    """A row of an index has another shape; pydantic would go on, and collect the errors of all rows."""


def _or_end(row: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(row)
    except ValidationError:
        raise _BrokenRowError from None


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
    files: Mapping[str, Annotated[_Entry, WrapValidator(_or_end)]]
    runs: Mapping[str, Annotated[_Issued, WrapValidator(_or_end)]]
    ended: Sequence[str] = ()
    judged: Mapping[str, Any] = field(default_factory=dict)


_HEAD, _LOCK = TypeAdapter(_Head), TypeAdapter(_Lock)
_MOST_ERRORS = 1000


def version_of(text: bytes) -> int:
    """Return the format version of an index.

    Raises:
        ValueError: it is not JSON, or has no version.
    """
    return _checked(_HEAD, text).version


def lock_of(text: bytes) -> Lock:
    """Parse an index of the current format.

    Raises:
        ValueError: it has another shape, or a key twice.
    """
    try:
        parsed = _checked(_LOCK, text)
    except _BrokenRowError:
        raise ValueError(_broken_row(json.loads(text))) from None
    # A git merge may keep the entries of both sides, and JSON does not define which of two equal keys wins.
    json.loads(text, object_pairs_hook=_refuse_duplicates)
    files = {path: Entry(**vars(entry)) for path, entry in parsed.files.items()}
    runs = {run: AssignedName(**vars(assigned)) for run, assigned in parsed.runs.items()}
    judged = {run: json.dumps(options, ensure_ascii=False) for run, options in parsed.judged.items()}
    # An earlier ftgen noted a job without a name, which the API server gives; it would end each of its kind.
    return Lock(files, runs, frozenset(filter(None, parsed.ended)), unfolded(judged, runs))


def _broken_row(content: Mapping[str, object]) -> str:
    """Return what is wrong with the first row that has another shape."""
    adapters: dict[str, TypeAdapter[Any]] = {"files": TypeAdapter(_Entry), "runs": TypeAdapter(_Issued)}
    for table, adapter in adapters.items():
        for name, row in mapping(content.get(table)).items():
            try:
                _checked(adapter, json.dumps(row).encode())
            except ValueError as problem:
                return f"{table}.{name}.{problem}"
    return "a row that is there twice has another shape"


def _checked(adapter: TypeAdapter[_Shape], text: bytes) -> _Shape:
    parts.refuse_json(text, parts.MOST_OF_INDEX)
    try:
        return adapter.validate_json(text)
    except ValidationError as problem:
        if problem.error_count() > _MOST_ERRORS:
            raise ValueError(f"it has {problem.error_count()} entries of another shape") from None
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {first['msg']}" if path else first["msg"]) from None


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it says {twice!r} twice")
