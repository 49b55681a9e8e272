"""Shape of a study's file, validated strictly because it may have come with a clone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ftgen.sweeping.space import EXACT, Parameter
from ftgen.tuning.study import (
    FORMAT,
    MOST_AT_ONCE,
    MOST_STEPS,
    MOST_TRIALS,
    Direction,
    Pruner,
    Sampler,
    Study,
    Trial,
    TrialState,
)

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Count = Annotated[int, Field(ge=0, le=MOST_STEPS)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Whole = Annotated[int, Field(ge=-EXACT, le=EXACT)]
_Number = _Whole | _Finite


@dataclass(config=_STRICT)
class _Alternatives:
    kind: Literal["categorical"]
    choices: Annotated[Sequence[str], Field(min_length=1, max_length=1000)]


@dataclass(config=_STRICT)
class _Range:
    kind: Literal["float", "int"]
    low: _Number
    high: _Number
    step: _Number | None = None
    log: bool = False


@dataclass(config=_STRICT)
class _Trial:
    number: _Count
    state: TrialState
    params: Mapping[str, str | _Number]
    run: str = ""
    value: _Number | None = None
    step: _Count | None = None
    why: str = ""


@dataclass(config=_STRICT)
class _Study:
    version: int
    study: str
    objective: str
    direction: Direction
    sampler: Sampler
    seed: _Count
    words: Sequence[str]
    fixed: Sequence[str]
    budget: Annotated[int, Field(ge=0, le=MOST_TRIALS)]
    parallel: Annotated[int, Field(ge=0, le=MOST_AT_ONCE)]
    pruner: Pruner
    space: Mapping[str, _Alternatives | _Range]
    trials: Annotated[Sequence[_Trial], Field(max_length=2 * MOST_TRIALS)]


_STUDY = TypeAdapter(_Study)


def study_of(text: bytes) -> Study:
    """Parse a study.

    Raises:
        ValueError: it has another shape.
    """
    try:
        found = _STUDY.validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if found.version != FORMAT:
        raise ValueError(f"it has format {found.version}, and this ftgen reads {FORMAT}")
    return Study(
        found.study,
        found.objective,
        found.direction,
        found.sampler,
        found.seed,
        tuple(found.words),
        tuple(found.fixed),
        {key: _parameter(each) for key, each in found.space.items()},
        found.budget,
        found.parallel,
        found.pruner,
        tuple(Trial(**vars(each)) for each in found.trials),
    )


def _parameter(found: _Alternatives | _Range) -> Parameter:
    if isinstance(found, _Alternatives):
        return Parameter("categorical", choices=tuple(found.choices))
    return Parameter(found.kind, found.low, found.high, found.step, found.log)
