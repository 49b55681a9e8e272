"""Proposals of Optuna: the only module that imports it.

A proposal is a function of the study as its file has it: seed, space, and the trials before it.  Optuna's own random
state is not part of a study, so that each trial has a seed of its own, made of the study's and of its number.  So a
study that was interrupted, or goes on on another machine, proposes what it would have proposed.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ftgen.config.compose import seeded_order
from ftgen.diagnostics import Rejected, error
from ftgen.sweeping.space import Parameter, Value
from ftgen.tuning.study import Study, Trial, TrialState

MISSING = "FT795"
_ATTEMPTS = 20
_ENUMERABLE = 10_000

Reported = Mapping[int, float]
"""Objective of a trial by step."""


def load() -> Any:
    """Import Optuna, which takes longer than a render, and says nothing of its own on standard error.

    Raises:
        Rejected: FT795, when it is not installed.
    """
    try:
        import optuna  # noqa: PLC0415 - an extra, which takes a quarter of a second to import
    except ImportError as problem:
        headline = f"tuning needs Optuna, which cannot be imported: {problem}"
        raise Rejected([error(MISSING, headline, help="pip install 'ftgen[tune]'")]) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def propose(study: Study, wants: Callable[[Mapping[str, Value]], bool]) -> Mapping[str, Value] | None:
    """Return the values of the next trial; None where no untried ones are left.

    Args:
        study: the study with all of its trials.
        wants: whether some values may be tried at all.
    """
    tried = {_key(trial.params) for trial in study.trials}

    def is_new(values: Mapping[str, Value]) -> bool:
        return _key(values) not in tried and wants(values)

    return next((values for values in itertools.chain(_asked(study), _every(study)) if is_new(values)), None)


def _key(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))


def _asked(study: Study) -> Iterator[Mapping[str, Value]]:
    """Yield what Optuna proposes; what it proposed before counts as running, so that it turns elsewhere."""
    optuna = load()
    seed = hashlib.sha256(f"{study.seed}/{len(study.trials)}".encode()).digest()
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    known = _optunas(study, samplers[study.sampler](seed=int.from_bytes(seed[:4])))
    spaces = _distributions(study.space)
    for _ in range(_ATTEMPTS):
        found = known.ask(spaces).params
        yield {key: _ours(parameter, found[key]) for key, parameter in study.space.items()}


def _every(study: Study) -> Iterator[Mapping[str, Value]]:
    """Yield all values of a small space in a fixed order, as a sampler may not hit on the last ones."""
    sizes = [parameter.size for parameter in study.space.values()]
    if math.prod(sizes) > _ENUMERABLE:
        return
    values = [[each.at(index) for index in range(int(each.size))] for each in study.space.values()]
    every = [dict(zip(study.space, combination, strict=True)) for combination in itertools.product(*values)]
    yield from seeded_order(every, study.seed)


def poor(study: Study, trial: Trial, reported: Mapping[int, Reported]) -> bool:
    """Return whether the study's pruner would stop a trial.

    Args:
        study: the study.
        trial: a trial of it that runs.
        reported: what each trial reported, by its number.
    """
    if study.pruner == "none" or not reported.get(trial.number):
        return False
    optuna = load()
    known = _optunas(study, optuna.samplers.RandomSampler(), reported)
    pruner = optuna.pruners.MedianPruner()
    return bool(pruner.prune(known, known.get_trials(deepcopy=False)[trial.number]))


def _optunas(study: Study, sampler: Any, reported: Mapping[int, Reported] | None = None) -> Any:
    """Return the study as Optuna's own, in memory."""
    optuna = load()
    spaces = _distributions(study.space)
    known = optuna.create_study(direction=study.direction, sampler=sampler)
    known.add_trials(
        _optunas_trial(each, study.space, spaces, (reported or {}).get(each.number, {})) for each in study.trials
    )
    return known


def _optunas_trial(trial: Trial, space: Mapping[str, Parameter], spaces: Mapping[str, Any], reported: Reported) -> Any:
    optuna = load()
    states = optuna.trial.TrialState
    state = {TrialState.COMPLETE: states.COMPLETE, TrialState.RUNNING: states.RUNNING}.get(trial.state, states.FAIL)
    if trial.state is TrialState.PRUNED and trial.value is not None and trial.step is not None:
        state, reported = states.PRUNED, reported or {trial.step: trial.value}
    return optuna.trial.create_trial(
        state=state,
        value=trial.value if state == states.COMPLETE else None,
        params={key: _optunas_value(space[key], trial.params[key]) for key in spaces},
        distributions=dict(spaces),
        intermediate_values=dict(reported),
    )


def _distributions(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the space in the order of its keys, so that proposals do not depend on how it was written."""
    return {key: _distribution(space[key]) for key in sorted(space)}


def _distribution(parameter: Parameter) -> Any:
    found = load().distributions
    if parameter.kind == "categorical":
        return found.CategoricalDistribution(parameter.choices)
    if parameter.kind == "int":
        return found.IntDistribution(parameter.low, parameter.high, log=parameter.log, step=int(parameter.step or 1))
    if parameter.is_counted:
        # By its own arithmetic of steps, Optuna may miss the last number.
        return found.IntDistribution(0, int(parameter.size) - 1)
    return found.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _ours(parameter: Parameter, value: Any) -> Value:
    return parameter.at(value) if parameter.is_counted else parameter.tidy(value)


def _optunas_value(parameter: Parameter, value: Value) -> Value:
    return parameter.index(float(value)) if parameter.is_counted else value
