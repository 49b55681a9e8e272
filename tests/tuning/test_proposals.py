"""What a study proposes depends on its file alone, and is as good as what Optuna finds on its own."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys

import optuna
import pytest
from msgspec.structs import replace
from tests.tuning.conftest import loss

from ftgen.sweeping.space import Parameter
from ftgen.tuning import Study, Trial, TrialState, proposals

SPACE = {
    "trainer.lr": Parameter("float", 1e-5, 1e-2, log=True),
    "trainer.args.lora_rank": Parameter("categorical", choices=("8", "16", "32")),
}
GRID = {
    "a": Parameter("int", 1, 6, 1),
    "b": Parameter("float", 0.0, 0.5, 0.1),
    "c": Parameter("categorical", choices=("x", "y")),
}


def study(space=SPACE, seed=0, budget=40, parallel=1, **more):
    return Study("lr", "loss", "minimize", "tpe", seed, (), (), space, budget, parallel, **more)


def asked(known):
    while known.room:
        values = proposals.propose(known, lambda _: True)
        if values is None:
            break
        known = known.with_trial(Trial(len(known.trials), values, "run"))
    return known


def told(known, function=loss):
    for trial in known.in_state(TrialState.RUNNING):
        known = known.with_trial(replace(trial, state=TrialState.COMPLETE, value=function(trial.params)))
    return known


def finished(known, function=loss, bound=-math.inf):
    while (larger := asked(known)) != known and not (known.best and known.best.value <= bound):
        known = told(larger, function)
    return known


def test_a_study_that_stopped_after_any_trial_goes_on_as_one_that_did_not():
    whole = finished(study(budget=16))
    for done in (1, 7, 12):
        begun = study(budget=16, trials=whole.trials[:done])
        assert finished(begun).trials == whole.trials


def test_proposals_do_not_depend_on_the_order_of_keys_or_on_hashes():
    backwards = dict(reversed(SPACE.items()))
    params = [dict(trial.params) for trial in finished(study(budget=14, parallel=3)).trials]
    assert [dict(trial.params) for trial in finished(study(backwards, budget=14, parallel=3)).trials] == params
    program = (
        "from tests.tuning.test_proposals import *\n"
        "print([sorted(trial.params.items()) for trial in finished(study(budget=14, parallel=3)).trials])"
    )
    for seed in "12":
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        assert done.stdout == f"{[sorted(each.items()) for each in params]}\n"


def test_another_seed_proposes_something_else():
    assert finished(study(budget=3)).trials != finished(study(budget=3, seed=1)).trials


def test_a_result_changes_later_proposals_and_no_earlier_ones():
    whole = finished(study(budget=14))
    other = finished(study(budget=14), lambda params: -loss(params))
    assert [trial.params for trial in other.trials[:10]] == [trial.params for trial in whole.trials[:10]]
    assert [trial.params for trial in other.trials] != [trial.params for trial in whole.trials]


def test_numbers_have_no_more_digits_than_matter():
    for trial in asked(study(parallel=12)).trials:
        lr = trial.params["trainer.lr"]
        assert 1e-5 <= lr <= 1e-2
        assert len(f"{lr:e}".rstrip("0").partition("e")[0].rstrip("0")) <= len("1.2345")
    assert Parameter("float", 0.1234, 0.1236).tidy(0.12345678912) == 0.12345679
    assert Parameter("float", 0.0, 0.5, 0.1).at(3) == 0.3


def test_every_point_of_a_small_space_is_tried_once():
    known = finished(study(GRID, budget=100), lambda _: 1.0)
    tried = [tuple(trial.params.items()) for trial in known.trials]
    assert len(tried) == len(set(tried)) == 6 * 6 * 2
    assert proposals.propose(known, lambda _: True) is None


def test_what_is_not_wanted_is_not_proposed():
    assert proposals.propose(study(GRID), lambda values: values["a"] == 5 and values["c"] == "y")["a"] == 5
    assert proposals.propose(study(GRID), lambda _: False) is None


def test_failed_and_refused_trials_teach_nothing_and_are_not_tried_again():
    known = study({"c": Parameter("categorical", choices=("x", "y", "z"))})
    states = (TrialState.FAILED, TrialState.REFUSED)
    for number, (choice, state) in enumerate(zip("xy", states, strict=True)):
        known = known.with_trial(Trial(number, {"c": choice}, state=state, why="so"))
    assert proposals.propose(known, lambda _: True) == {"c": "z"}


# as good as Optuna


def optunas(seed, space, function, budget):
    """What Optuna's own loop finds with its own sampler, trial by trial."""
    alone = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    distributions = {key: proposals._distribution(each) for key, each in space.items()}
    for _ in range(budget):
        trial = alone.ask(distributions)
        alone.tell(trial, function(trial.params))
    return [trial.value for trial in alone.trials]


def trials_until(values, bound, budget):
    return next((number for number, value in enumerate(values, 1) if value <= bound), budget + 1)


def bowl(params):
    return (params["a"] - 5) ** 2 + 100 * (params["b"] - 0.2) ** 2 + (params["c"] == "x")


@pytest.mark.parametrize(
    ("space", "function", "bound"), [(SPACE, loss, 0.02), (GRID, bowl, 1e-9)], ids=["continuous", "grid"]
)
def test_the_optimum_takes_no_more_trials_than_optuna_alone(space, function, bound):
    seeds, budget = range(15), 60
    ours = [len(finished(study(space, seed, budget), function, bound).trials) for seed in seeds]
    alone = [trials_until(optunas(seed, space, function, budget), bound, budget) for seed in seeds]
    assert max(ours) < budget
    assert statistics.median(ours) <= statistics.median(alone)
