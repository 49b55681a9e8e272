"""A study among others who write to its branch, through interruptions, and to its optimum."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.tuning.conftest import SPACE, Tree, loss, results
from tests.tuning.test_proposals import SPACE as PARAMETERS
from tests.tuning.test_proposals import optunas, trials_until
from tests.tuning.test_rounds import begin, step

from ftgen import cli

FTGEN = Path(sys.executable).with_name("ftgen")


def running(tree, *words):
    """A step as a process of its own."""
    line = [str(FTGEN), "tune", *tree.at, *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# others


def test_two_steps_at_once_make_one_round(tree):
    begin(tree)
    Path("results").write_text(results(tree.trials()))
    both = [running(tree, "lr", "--results", "results") for _ in range(2)]
    said = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert tree.commits == 2
    assert len(tree.trials()) == 8


def test_commits_of_others_are_kept(tree):
    begin(tree)
    assert tree.ftgen("publish", "name=other")[0] == 0
    step(tree)
    folders = {path.split("/")[1] for path in tree.files()}
    assert folders == {"ftgen.lock", "lr", "other"}
    assert tree.ftgen("rebuild")[0] == 0


def test_two_studies_share_a_tree(tree):
    begin(tree)
    before = tree.study()
    begin(tree, name="second", space=SPACE[:1])
    step(tree, name="second")
    assert tree.study() == before


def test_a_sweep_of_the_same_name_leaves_the_study_as_it_is(tree):
    begin(tree)
    before = tree.study()
    code, _, err = tree.ftgen("publish", "-m", "name=lr", "trainer.lr=1e-4,2e-4")
    assert (code, "orphaned" in err) == (0, False)
    assert tree.study() == before
    step(tree)
    assert len(tree.trials()) == 8
    assert tree.ftgen("rebuild")[0] == 0


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8, 1.1])
def test_a_step_that_is_killed_leaves_a_study_that_goes_on(tree, delay):
    begin(tree)
    Path("results").write_text(results(tree.trials()))
    process = running(tree, "lr", "--results", "results")
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(tree.trials()) in {4, 8}
    step(tree)
    whole = tree.trials()
    begin(tree, name="again")
    step(tree, name="again")
    # A late signal finds the step done, and the next one has told its results already.
    assert [trial["params"] for trial in whole[:8]] == [trial["params"] for trial in tree.trials("again")]


def test_what_its_study_rendered_is_what_its_configuration_gives(tree):
    begin(tree)
    step(tree)
    code, out, _ = tree.ftgen("rebuild", "--json")
    assert code == 0, out
    code, out, _ = tree.ftgen("gc")
    assert out.count("its run is archived") == 4
    assert "ftgen-study" not in out


# runs


def test_a_run_that_was_archived_by_hand_has_failed(tree):
    begin(tree)
    first, second = (trial["run"] for trial in tree.trials()[:2])
    assert tree.ftgen("archive", first)[0] == 0
    assert tree.ftgen("stop", second)[0] == 0
    Path("results").write_text("")
    assert tree.tune("lr", "--results", "results")[0] == 0
    trials = tree.trials()
    assert [trial["state"] for trial in trials] == ["failed", "failed"] + ["running"] * 4
    assert trials[0]["why"] == "archived or stopped by hand"
    Path("results").write_text("run,value\nt000,0.5\n")
    assert tree.tune("lr", "--results", "results")[0] == 0
    assert tree.trials()[0]["value"] == 0.5


def test_a_run_that_is_trained_again_is_told_by_its_new_name(tree):
    begin(tree)
    first = tree.trials()[0]["run"]
    assert tree.ftgen("rerun", first)[0] == 0
    Path("results").write_text(f"run,value\n{first}-r2,0.25\n")
    assert tree.tune("lr", "--results", "results")[0] == 0
    assert tree.trials()[0]["value"] == 0.25
    assert "hook: Skip" in tree.show(f"jobs/lr/job-{first}-r2.yaml")


def test_scripts_stay_where_all_runs_are_stopped_and_others_begin(tree):
    begin(tree, "--round", "5", "--trials", "6")
    lines = [f"t{number:03d},{1 + number / 10},{at}" for number in range(5) for at in ("1", "")]
    Path("results").write_text("run,value,step\n" + "".join(f"{line}\n" for line in lines))
    assert tree.tune("lr", "--results", "results")[0] == 0
    for number in range(5):
        assert tree.ftgen("stop", f"lr/t{number:03d}")[0] == 0
    [poor] = [trial for trial in tree.trials() if trial["state"] == "running"]
    with Path("results").open("a") as file:
        file.write(f"{poor['run']},99,1\n")
    code, _, err = tree.tune("lr", "--results", "results", "--prune", "median", "--trials", "7")
    assert code == 0, err
    assert [trial["state"] for trial in tree.trials()[5:]] == ["pruned", "running"]
    [scripts] = [path for path in tree.files() if "-scripts-" in path]
    assert "Prune=false" in tree.show(scripts)
    assert "Prune=false" not in tree.show(f"jobs/lr/job-{poor['run']}.yaml")
    assert tree.tune("lr", "--results", "results")[0] == 0
    assert f"jobs/lr/job-{poor['run']}.yaml" not in tree.files()
    assert scripts in tree.files()


def test_a_reconciler_is_pointed_at_the_folder_of_a_study(tree):
    begin(tree, space=(*SPACE, "delivery.application=true", "delivery.repo_url=https://git.example.com/c"))
    delivered = [path for path in tree.files() if "/_delivery/" in path]
    assert any("application-" in path for path in delivered)
    before = [tree.show(path) for path in delivered]
    step(tree)
    assert [tree.show(path) for path in delivered] == before


def test_a_study_in_a_folder_needs_no_git(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune", "lr", "-o", "there", "--objective", "x", *SPACE]) == 0
    trials = json.loads(Path("there/lr/lr.ftgen-study").read_text())["trials"]
    Path("results").write_text(results(trials))
    assert cli.main(["tune", "lr", "-o", "there", "--results", "results"]) == 0
    trials = json.loads(Path("there/lr/lr.ftgen-study").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["complete"] * 4 + ["running"] * 4
    assert all((tmp_path / f"there/lr/job-{trial['run']}.yaml").exists() for trial in trials)
    capsys.readouterr()
    assert cli.main(["check", "there"]) == 0


def test_a_push_names_a_source_that_is_committed(tree, git, monkeypatch):
    git(Path(), "init", "--quiet")
    Path("conf/sweep").mkdir(parents=True)
    Path("conf/sweep/mine.yaml").write_text("axes:\n  trainer.lr: tag(log, interval(1e-5,1e-2))\n")
    git(Path(), "add", ".")
    git(Path(), "commit", "--quiet", "-m", "first")
    at = ["tune", "--repo", f"file://{tree.bare}", "--branch", "main", "--path", "jobs"]
    Path("conf/sweep/more.yaml").write_text("axes: {}\n")
    words = ["lr", "--objective", "x", "+sweep=mine"]
    tree.capsys.readouterr()
    assert cli.main([*at, *words]) == 1
    assert "error[FT523]" in tree.capsys.readouterr().err
    assert cli.main([*at, *words, "--allow-dirty"]) == 0
    assert tree.study()["space"]["trainer.lr"]["log"] is True
    Path("conf/sweep/more.yaml").unlink()
    Path("results").write_text(results(tree.trials()))
    assert cli.main([*at, "lr", "--results", "results"]) == 0
    assert "config-commit" in tree.show(f"jobs/lr/job-{tree.trials()[4]['run']}.yaml")


# what is printed


def test_one_document_says_what_a_step_did(tree):
    out = begin(tree, "--json")
    said = json.loads(out)
    assert said["asked"] == ["t000", "t001", "t002", "t003"]
    assert said["commit"] == tree.git(tree.bare, "rev-parse", "main").strip()
    assert (said["study"], said["objective"], said["best"]) == ("lr", "eval_loss", None)
    Path("results").write_text(results(tree.trials()) + '{"run": "other", "value": 1}\n')
    _, out, _ = tree.tune("lr", "--results", "results", "--json")
    said = json.loads(out)
    assert [each["code"] for each in said["diagnostics"]] == ["FT794"]
    assert said["best"]["value"] == min(trial["value"] for trial in said["trials"] if "value" in trial)
    shown = json.loads(tree.tune("lr", "--show", "--json")[1])
    assert shown["trials"] == said["trials"]
    code, out, _ = tree.tune("none", "--json")
    assert (code, json.loads(out)[0]["code"]) == (1, "FT792")


def test_no_other_verb_imports_optuna():
    program = "import sys; from ftgen import cli; cli.main(['-o', '-', '-q']); sys.exit('optuna' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


# the optimum


def test_rounds_as_commits_reach_the_optimum_in_no_more_trials_than_optuna_alone(tree: Tree):
    bound = 0.02
    alone = [trials_until(optunas(seed, PARAMETERS, loss, 60), bound, 60) for seed in range(15)]
    begin(tree, "--round", "1", "--trials", "60")
    while "running" in {trial["state"] for trial in tree.trials()}:
        if min((trial.get("value", 99) for trial in tree.trials()), default=99) <= bound:
            break
        step(tree)
    ended = [trial for trial in tree.trials() if trial["state"] == "complete"]
    assert min(trial["value"] for trial in ended) <= bound
    assert len(ended) <= statistics.median(alone)
    assert tree.commits == len(ended) + 1
