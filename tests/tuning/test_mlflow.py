"""A study by what MLflow says: a small server on loopback, and with `make test-tracking` MLflow's own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.scripts.mlflow import LOGINS, Tracker, real, small
from tests.tuning.conftest import SPACE, loss
from tests.tuning.test_rounds import begin


@pytest.fixture(
    params=[
        "small bearer",
        pytest.param("real basic", marks=pytest.mark.slow),
        pytest.param("real bearer", marks=pytest.mark.slow),
    ]
)
def tracker(request, tmp_path, monkeypatch) -> Iterator[Tracker]:
    kind, login = request.param.split()
    folder = tmp_path / "mlflow"
    folder.mkdir()
    with real(login, folder) if kind == "real" else _small(login) as found:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
        for name, value in LOGINS[login].items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found


@contextmanager
def _small(login) -> Iterator[Tracker]:
    with small(login) as (found, _):
        yield found


class Trainings:
    """What the jobs of a study would log."""

    def __init__(self, tracker, tree) -> None:
        self.tracker, self.tree = tracker, tree
        self.starts = 0
        name = re.search(r"MLFLOW_EXPERIMENT_NAME\n +value: (\S+)", self.manifest(tree.trials()[0]))[1]
        self.experiment = tracker.ask("experiments/create", {"name": name})["experiment_id"]

    def manifest(self, trial):
        return self.tree.show(f"jobs/lr/job-{trial['run']}.yaml")

    def start(self, trial) -> str:
        self.starts += 1
        tags = [{"key": "ftgen.job", "value": trial["run"]}]
        question = {"experiment_id": self.experiment, "start_time": self.starts, "tags": tags}
        return self.tracker.ask("runs/create", question)["run"]["info"]["run_id"]

    def log(self, run, value, step=1, key="eval_loss") -> None:
        metric = {"key": key, "value": value, "step": step, "timestamp": int(time.time() * 1000)}
        self.tracker.ask("runs/log-metric", {"run_id": run, **metric})

    def end(self, run, status="FINISHED") -> None:
        self.tracker.ask("runs/update", {"run_id": run, "status": status})

    def train(self, trial) -> None:
        run = self.start(trial)
        self.log(run, loss(trial["params"]) + 1, 1)
        self.log(run, loss(trial["params"]), 2)
        self.end(run)


@pytest.fixture
def trainings(tree, tracker) -> Trainings:
    begin(tree, "--round", "3")
    return Trainings(tracker, tree)


def step(tree, *flags):
    code, _, err = tree.tune("lr", *flags)
    assert code == 0, err
    return err


def test_the_last_value_of_a_finished_run_is_its_result(trainings, tree):
    first, second, third = tree.trials()
    trainings.train(first)
    trainings.log(trainings.start(second), 0.5)
    step(tree)
    trials = tree.trials()
    assert [trial["state"] for trial in trials] == ["complete", "running", "running", "running"]
    assert trials[0]["value"] == pytest.approx(loss(first["params"]))
    assert third["run"] == trials[2]["run"]


def test_a_study_is_tuned_to_its_end(trainings, tree):
    for _ in range(20):
        for trial in tree.trials():
            if trial["state"] == "running":
                trainings.train(trial)
        step(tree, "--trials", "12")
    trials = tree.trials()
    assert len(trials) == 12
    assert {trial["state"] for trial in trials} == {"complete"}
    assert all(trial["value"] == pytest.approx(loss(trial["params"])) for trial in trials)
    assert min(trial["value"] for trial in trials) < trials[0]["value"]


def test_of_a_job_that_started_again_the_last_run_with_the_objective_counts(trainings, tree):
    first, second, _ = tree.trials()
    lost = trainings.start(first)
    trainings.log(lost, 9.0)
    trainings.end(lost, "FAILED")
    trainings.train(first)
    closing = trainings.start(first)
    trainings.log(closing, 3.0, key="test_loss")
    trainings.end(trainings.start(second), "KILLED")
    step(tree)
    trials = tree.trials()
    assert trials[0]["value"] == pytest.approx(loss(first["params"]))
    assert (trials[1]["state"], trials[1]["why"]) == ("failed", "MLflow says KILLED")
    trainings.train(second)
    step(tree)
    assert tree.trials()[1]["state"] == "complete"
    assert tree.trials()[1]["value"] == pytest.approx(loss(second["params"]))


def test_a_run_that_diverged_has_failed_and_one_without_the_objective_waits(trainings, tree):
    first, second, _ = tree.trials()
    run = trainings.start(first)
    trainings.log(run, "NaN")
    trainings.end(run)
    run = trainings.start(second)
    trainings.log(run, 1.0, key="train_loss")
    trainings.end(run)
    err = step(tree)
    assert tree.trials()[0]["state"] == "failed"
    assert tree.trials()[1]["state"] == "running"
    assert "warning[FT794]" in err
    assert "it logged train_loss" in err


def test_a_poor_run_is_stopped_in_two_steps(trainings, tree):
    for _ in range(2):
        for trial in tree.trials():
            if trial["state"] == "running":
                trainings.train(trial)
        step(tree)
    poor, good, fresh = (trial for trial in tree.trials() if trial["state"] == "running")
    worst = trainings.start(poor)
    trainings.log(worst, 1e6, 1)
    trainings.log(worst, 1e6, 2**40)  # no step of a training
    trainings.log(trainings.start(good), -1e6, 1)
    file = f"jobs/lr/job-{poor['run']}.yaml"
    assert "Prune=false" in tree.show(file)
    step(tree, "--prune", "median")
    states = {trial["run"]: trial["state"] for trial in tree.trials()}
    assert (states[poor["run"]], states[good["run"]], states[fresh["run"]]) == ("pruned", "running", "running")
    assert "Prune=false" not in tree.show(file)
    step(tree)
    assert file not in tree.files()
    assert tree.trials()[poor["number"]]["value"] == 1e6


@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_server_that_refuses_changes_nothing_and_no_token_is_printed(trainings, tree, monkeypatch, token):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    before = tree.commits
    code, out, err = tree.tune("lr")
    assert (code, tree.commits) == (1, before)
    assert "error[FT661]" in err
    assert not token or token not in out + err
    assert SPACE[0] in tree.study()["words"]
