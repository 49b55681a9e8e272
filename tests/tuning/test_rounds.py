"""`ftgen tune`: rounds of a study as commits, from the space to the best trial."""

from __future__ import annotations

from pathlib import Path

from tests.tuning.conftest import SPACE, results

from ftgen import cli


def begin(tree, *flags, space=SPACE, name="lr"):
    code, out, err = tree.tune(name, "--objective", "eval_loss", *flags, *space)
    assert code == 0, err
    return out


def step(tree, *flags, name="lr"):
    """Tell what the runs so far would say, and take the next step."""
    Path("results").write_text(results(tree.trials(name)))
    code, out, err = tree.tune(name, "--results", "results", *flags)
    assert code == 0, err
    return out


def test_a_study_begins_with_one_commit_of_runs_and_its_file(tree):
    begin(tree, "--round", "3")
    assert tree.commits == 1
    trials = tree.trials()
    assert [trial["state"] for trial in trials] == ["running"] * 3
    jobs = [path for path in tree.files() if "/job-" in path]
    assert jobs == [f"jobs/lr/job-{trial['run']}.yaml" for trial in trials]
    for trial, path in zip(trials, jobs, strict=True):
        assert f"learning_rate: {trial['params']['trainer.lr']}\n" in tree.show(path)


def test_a_round_tells_archives_and_asks_in_one_commit_and_renames_nothing(tree):
    begin(tree, "--round", "3")
    first = {trial["run"]: trial["params"] for trial in tree.trials()}
    step(tree)
    assert tree.commits == 2
    trials = tree.trials()
    assert [trial["state"] for trial in trials] == ["complete"] * 3 + ["running"] * 3
    assert {trial["run"]: trial["params"] for trial in trials[:3]} == first
    for trial in trials:
        archived = "argocd.argoproj.io/hook: Skip" in tree.show(f"jobs/lr/job-{trial['run']}.yaml")
        assert archived is (trial["state"] == "complete")


def test_a_round_in_which_nothing_ended_makes_no_commit(tree):
    begin(tree)
    Path("results").write_text("")
    before = tree.commits
    code, _, err = tree.tune("lr", "--results", "results")
    assert (code, tree.commits) == (0, before)
    assert "4 running of 20" in err


def test_as_many_runs_start_as_ended_and_no_more_than_the_budget(tree):
    begin(tree, "--round", "2", "--trials", "5")
    for expected in (4, 5, 5):
        step(tree)
        assert len(tree.trials()) == expected
    assert {trial["state"] for trial in tree.trials()} == {"complete"}


def test_the_best_trial_is_shown_with_a_command_that_renders_it(tree, capsys):
    begin(tree, "--round", "3", "--trials", "3", space=(*SPACE, "trainer.epochs=2"))
    step(tree)
    code, out, err = tree.tune("lr", "--show")
    best = min(tree.trials(), key=lambda trial: trial["value"])
    assert code == 0
    assert f"best so far: t{best['number']:03d}" in err
    command = out.splitlines()[-1].split()
    assert command[0] == "ftgen"
    assert cli.main(["-o", "-", *command[1:]]) == 0
    rendered = capsys.readouterr().out
    assert f"learning_rate: {best['params']['trainer.lr']}\n" in rendered
    assert "num_train_epochs: 2" in rendered
