"""A study as it lies in the tree: what is tuned, and every trial with its result.

The file is JSON text with one trial a line.  Its name keeps reconcilers away from it, as a sweep's index does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Rejected, error
from ftgen.sweeping.space import Parameter, Value

UNREADABLE = "FT793"
FORMAT = 1
MOST_TRIALS, MOST_AT_ONCE, MOST_STEPS = 10_000, 1_000, 2**31 - 1
"""Largest numbers of a study; its file may say no more, as somebody else may have written it."""

Direction = Literal["minimize", "maximize"]
Sampler = Literal["tpe", "random"]
Pruner = Literal["none", "median"]


class TrialState(StrEnum):
    """State of a trial."""

    RUNNING = "running"
    """Its run is published, and no result is known."""
    COMPLETE = "complete"
    PRUNED = "pruned"
    """Stopped because others were better at the same step."""
    FAILED = "failed"
    """Ended without a result."""
    REFUSED = "refused"
    """Never published: ftgen's rules refuse its values."""


class Trial(Struct, frozen=True):
    """Trial of a study.

    Attributes:
        number: from 0; the label of its run is made of it.
        params: value by override key.
        run: name of its job when it was published; empty if it never was.
        state: see `TrialState`.
        value: the objective when it ended, the last one reported when it was stopped; None without a result.
        step: step at which it was stopped.
        why: reason of a state without a result; empty otherwise.
    """

    number: int
    params: Mapping[str, Value]
    run: str = ""
    state: TrialState = TrialState.RUNNING
    value: float | None = None
    step: int | None = None
    why: str = ""

    @property
    def label(self) -> str:
        """Return the label of its run: `t007`."""
        return f"t{self.number:03d}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, without what it does not have."""
        facts = {"run": self.run, "value": self.value, "step": self.step, "why": self.why}
        known = {key: value for key, value in facts.items() if value not in ("", None)}
        return {"number": self.number, "state": str(self.state), **known, "params": dict(self.params)}


class Study(Struct, frozen=True):
    """Study: what never changes, what a call may change, and the trials.

    Attributes:
        name: name of the study, and of the folder of its runs.
        objective: name of the metric.
        direction: whether a smaller or a larger one is better.
        sampler: what proposes.
        seed: seed of all proposals.
        words: command line of the study, without flags.
        fixed: overrides that every trial has, as `ftgen` takes them.
        space: parameter by override key.
        budget: number of trials that may run; those that ftgen refuses do not count.
        parallel: number of trials that run at a time.
        pruner: what stops poor trials.
        trials: in the order of their numbers.
    """

    name: str
    objective: str
    direction: Direction
    sampler: Sampler
    seed: int
    words: tuple[str, ...]
    fixed: tuple[str, ...]
    space: Mapping[str, Parameter]
    budget: int
    parallel: int
    pruner: Pruner = "none"
    trials: tuple[Trial, ...] = ()

    @property
    def path(self) -> str:
        """Return the path of its file in the tree."""
        return path_of(self.name)

    def in_state(self, *states: TrialState) -> list[Trial]:
        """Return the trials in one of these states."""
        return [trial for trial in self.trials if trial.state in states]

    @property
    def best(self) -> Trial | None:
        """Return the complete trial with the best value, of several the first; None without one."""
        sign = 1 if self.direction == "minimize" else -1
        complete = [(sign * t.value, t.number) for t in self.in_state(TrialState.COMPLETE) if t.value is not None]
        return self.trials[min(complete)[1]] if complete else None

    def overrides(self, trial: Trial) -> list[str]:
        """Return the overrides that render a trial's job on its own."""
        return [*self.fixed, *(f"{key}={value}" for key, value in trial.params.items())]

    @property
    def room(self) -> int:
        """Return the number of trials that may start now."""
        started = sum(trial.state is not TrialState.REFUSED for trial in self.trials)
        return max(0, min(self.budget - started, self.parallel - len(self.in_state(TrialState.RUNNING))))

    def with_trial(self, trial: Trial) -> Study:
        """Return the study with one more trial, or with another state of a trial."""
        return replace(self, trials=(*self.trials[: trial.number], trial, *self.trials[trial.number + 1 :]))

    def dump(self) -> bytes:
        """Write the study, one parameter and one trial a line, so that a git diff reads like a list."""
        head = {
            "version": FORMAT,
            "study": self.name,
            "objective": self.objective,
            "direction": self.direction,
            "sampler": self.sampler,
            "seed": self.seed,
            "words": list(self.words),
            "fixed": list(self.fixed),
            "budget": self.budget,
            "parallel": self.parallel,
            "pruner": self.pruner,
        }
        lines = ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in head.items())
        space = ",\n".join(f"{_json(key)}: {_json(each.as_json())}" for key, each in self.space.items())
        trials = ",\n".join(_json(trial.as_json()) for trial in self.trials)
        return f'{{\n{lines},\n"space": {{\n{space}\n}},\n"trials": [\n{trials}\n]\n}}\n'.encode()


def path_of(name: str) -> str:
    """Return the path of a study's file in the tree."""
    return f"{name}/{name}.ftgen-study"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def parse(text: bytes, where: str, name: str) -> Study:
    """Read a study, whose file may have come with a clone.

    Raises:
        Rejected: FT793, when it is no study, or not the one of this name.
    """
    from ftgen.tuning import shape  # noqa: PLC0415 - pydantic is imported only when there is a study to read

    try:
        study = shape.study_of(text)
        for problem in _problems(study, name):
            raise ValueError(problem)  # noqa: TRY301 - the first one is told
    except ValueError as problem:
        headline = f"{where} is not a study that ftgen wrote: {problem}"
        how = "restore it from version control; a study cannot go on without it"
        raise Rejected([error(UNREADABLE, headline, where, help=how)]) from None
    return study


def _problems(study: Study, name: str) -> Iterator[str]:
    """Yield what no study of ftgen's says, though each value has the right type."""
    if study.name != name:
        yield f"it calls itself {study.name!r}"
    for number, trial in enumerate(study.trials):
        if trial.number != number:
            yield f"trial {trial.number} stands at place {number}"
        if trial.params.keys() != study.space.keys():
            yield f"trial {number} does not set the keys of the space"
        for key, value in trial.params.items():
            if not _is_within(study.space[key], value):
                yield f"{key} of trial {number} is {value!r}, which is outside of the space"
        if trial.state in _WITH_VALUE and trial.value is None:
            yield f"trial {number} is {trial.state} without a value"


_WITH_VALUE = frozenset({TrialState.COMPLETE})


def _is_within(parameter: Parameter, value: Value) -> bool:
    if parameter.kind == "categorical":
        return value in parameter.choices
    if isinstance(value, str) or (parameter.kind == "int" and not isinstance(value, int)):
        return False
    return parameter.low <= value <= parameter.high


def differences(old: Study, new: Study) -> Sequence[str]:
    """Return in words what two studies of one name disagree about, trials and numbers of trials left out."""
    names = ("objective", "direction", "sampler", "seed")
    found = [f"{n} is {getattr(old, n)}, not {getattr(new, n)}" for n in names if getattr(old, n) != getattr(new, n)]
    if sorted(old.fixed) != sorted(new.fixed):
        found.append(f"its other overrides are {' '.join(old.fixed) or 'none'}, not {' '.join(new.fixed) or 'none'}")
    keys = [key for key in {**old.space, **new.space} if old.space.get(key) != new.space.get(key)]
    found += [f"{key} is {_shown(old.space.get(key))}, not {_shown(new.space.get(key))}" for key in keys]
    return found


def _shown(parameter: Parameter | None) -> str:
    return _json(parameter.as_json()) if parameter else "no parameter"
