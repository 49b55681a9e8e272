"""What a study refuses: words, results and files that say something else than it can take."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from tests.tuning.conftest import SPACE, results
from tests.tuning.test_rounds import begin, step

from ftgen import cli


def refused(tree, *words):
    """The code of the first error; nothing was committed."""
    before = tree.git(tree.bare, "for-each-ref")
    code, out, err = tree.tune(*words)
    assert code == 1, (out, err)
    assert tree.git(tree.bare, "for-each-ref") == before
    return err


# the command line


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["trainer.lr=interval(0,1)"],
        ["a", "b", "trainer.lr=interval(0,1)"],
        ["Not_A_Name", "trainer.lr=interval(0,1)"],
        ["../x", "trainer.lr=interval(0,1)"],
        ["-m", "lr", "trainer.lr=interval(0,1)"],
        ["lr", "trainer.lr=interval(0,1)"],  # without an objective
        ["lr", "--trials", "-1", "trainer.lr=interval(0,1)"],
        ["lr", "--seed", "9" * 5000, "trainer.lr=interval(0,1)"],
        ["lr", "--objective", "x", "--trials", "99999", "trainer.lr=interval(0,1)"],
        ["lr", "--objective", "x", "--round", "1001", "trainer.lr=interval(0,1)"],
        ["lr", "--objective", "x\udcff", "trainer.lr=interval(0,1)"],
        ["lr", "--objective", "x\n", "trainer.lr=interval(0,1)"],
        ["lr", "--seed", "²", "trainer.lr=interval(0,1)"],
    ],
)
def test_words_that_name_no_study(tree, words):
    assert tree.tune(*words)[0] == 2


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("trainer.lr=interval(5,1)", "FT791"),
        ("trainer.lr=interval(1,1)", "FT791"),
        ("trainer.lr=interval(nan,1)", "FT791"),
        ("trainer.lr=interval(0,inf)", "FT791"),
        ("trainer.lr=interval(-1e308,1e308)", "FT791"),
        ("trainer.args.seed=int(interval(0,1e17))", "FT791"),
        ("trainer.args.seed=range(0,1e17,1e16)", "FT791"),
        ("trainer.lr=range(0,1,1e-300)", "FT791"),
        ("trainer.lr=tag(log,interval(0,1))", "FT791"),
        ("trainer.epochs=tag(log,range(1,9))", "FT791"),
        ("trainer.epochs=tag(log,choice(1,9))", "FT791"),
        ("trainer.args.seed=range(0,1,0)", "FT030"),
        ("trainer.args.seed=range(5,1)", "FT791"),
        ("model=glob(no-such-*)", "FT791"),
        ("trainer.lr=1e-4", "FT791"),
        ("trainer.lrr=interval(0,1)", "FT012"),
        ("trainer.lr=interval(-2,-1)", "FT103"),
        ("sweep.name=a,b", "FT030"),
        ("+sweep.axes={trainer.lr: range(1)}", "FT012"),
        ("+sweep.zip=[a,b]", "FT791"),
        ("+hydra.sweeper.params={trainer.lr: interval(1)}", "FT010"),
        ("hydra.mode=a,b", "FT030"),
        ("trainer.lr=interval(", "FT010"),
        ("delivery=kubectl,", "FT010"),
    ],
)
def test_what_cannot_be_tuned_is_refused_where_it_stands(tree, word, code):
    err = refused(tree, "lr", "--objective", "x", word)
    assert f"error[{code}]" in err
    assert err.startswith(("<command line>:2:", "error["))


def test_a_study_says_how_what_it_fetches_is_locked(tree):
    words = ("trainer.lr=interval(1e-5,1e-3)", "model=choice(qwen3-0.6b,qwen3-1.7b)")
    code, _, err = tree.tune("lr", "--objective", "eval_loss", "--locked", *words)
    assert code == 1
    assert "run `ftgen lock -m 'model=choice(qwen3-0.6b,qwen3-1.7b)'`" in err


def test_a_study_is_not_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune", "lr", "-o", "-", "--objective", "x", *SPACE]) == 2
    assert not list(tmp_path.iterdir())


def test_names_that_only_a_cluster_gives_are_refused(tree):
    assert "error[FT529]" in refused(tree, "lr", "--objective", "x", SPACE[0], "delivery=kubectl")


def test_a_study_that_does_not_exist(tree):
    assert "error[FT792]" in refused(tree, "lr")
    assert "error[FT792]" in refused(tree, "lr", "--show")


@pytest.mark.parametrize(
    "words",
    [
        [SPACE[0]],
        [SPACE[0], "trainer.args.lora_rank=choice(8,16)"],
        [*SPACE, "trainer.epochs=3"],
        ["--objective", "accuracy"],
        ["--direction", "maximize"],
        ["--seed", "7"],
        ["--sampler", "random"],
    ],
)
def test_what_contradicts_the_study_is_refused(tree, words):
    begin(tree)
    Path("results").write_text("")
    assert "error[FT792]" in refused(tree, "lr", "--results", "results", *words)


def test_the_same_study_in_other_words_goes_on(tree):
    begin(tree, "--round", "1")
    Path("results").write_text(results(tree.trials()))
    code, _, err = tree.tune("lr", "--results", "results", *reversed(SPACE), "--trials", "30", "--objective=eval_loss")
    assert code == 0, err
    assert len(tree.trials()) == 2
    assert tree.study()["words"] == list(SPACE)


def test_a_folder_of_other_runs_is_not_taken(tree):
    assert tree.ftgen("publish", "-m", "+sweep.name=lr", "trainer.lr=1e-4,2e-4")[0] == 0
    assert "error[FT792]" in refused(tree, "lr", "--objective", "x", *SPACE)


def test_a_place_for_results_is_asked_for(tree):
    begin(tree)
    code, _, err = tree.tune("lr")
    assert (code, "--results FILE" in err) == (2, True)


def test_without_optuna_one_line_says_how_to_get_it(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    err = refused(tree, "lr", "--objective", "x", *SPACE)
    assert "error[FT795]" in err
    assert "pip install 'ftgen[tune]'" in err


def test_the_study_is_shown_without_optuna(tree, monkeypatch):
    begin(tree)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert tree.tune("lr", "--show")[0] == 0


def test_a_configuration_for_hydras_optuna_sweeper_is_one_for_a_study(tree):
    Path("conf").mkdir()
    Path("conf/config.yaml").write_text(SWEEPER)
    code, _, err = tree.tune("lr", "--objective", "accuracy", "--trials", "3")
    assert code == 0, err
    study = tree.study()
    assert (study["direction"], study["budget"], study["parallel"], study["seed"]) == ("maximize", 3, 2, 5)
    assert study["space"] == {"trainer.lr": {"kind": "float", "low": 1e-5, "high": 1e-3, "log": True}}
    err = refused(tree, "more", "--objective", "accuracy", "hydra.sweeper.n_jobs=many")
    assert "error[FT791]" in err


SWEEPER = """\
defaults: [model: qwen3-0.6b, dataset: identity-alauda, hardware: full-gpu, storage: topolvm, trainer: sft-lora,
  tracking: mlflow, cluster: alauda, delivery: argocd, common, override hydra/sweeper: optuna, _self_]
hydra:
  sweeper:
    sampler: {_target_: optuna.samplers.TPESampler, seed: 5}
    direction: maximize
    n_trials: 9
    n_jobs: 2
    params:
      trainer.lr: tag(log, interval(1e-5,1e-3))
"""


# proposals that are refused


def test_a_proposal_that_the_rules_refuse_is_passed_over(tree):
    code, _, err = tree.tune("lr", "--objective", "x", "trainer.epochs=-1,1,2", "--round", "3")
    assert code == 0, err
    states = {trial["params"]["trainer.epochs"]: trial["state"] for trial in tree.trials()}
    assert states == {"-1": "refused", "1": "running", "2": "running"}
    assert "FT103" in err
    assert "tried all there is" in err
    assert len([path for path in tree.files() if "/job-" in path]) == 2


def test_what_is_excluded_is_not_tried(tree):
    condition = "+sweep.exclude='trainer.args.lora_rank == 8'"
    begin(tree, "--round", "8", space=(*SPACE, condition))
    assert "8" not in {trial["params"]["trainer.args.lora_rank"] for trial in tree.trials()}


# results


@pytest.mark.parametrize(
    "text",
    [
        "run,loss\nlr/t000,1\n",
        "run,value\nlr/t000,high\n",
        "run,value\n,1\n",
        "run,value,step\nlr/t000,1,-1\n",
        "run,value,step\nlr/t000,1,1.5\n",
        "run,value,step\nlr/t000,1,nan\n",
        "run,value,step\nlr/t000,1,1e15\n",
        "run,value,state\nlr/t000,1,bad\n",
        '{"run": "lr/t000"}',
        '{"run": 3, "value": 1}',
        '{"run": "lr/t000", "value": [1]}',
        '{"run": "lr/t000", "value": true}',
        '{"run": "lr/t000", "value": 1, "state": {}}',
        '{"run": "lr/t000", "value": 1' + "0" * 5000 + "}",
        '{"run": "lr/t000"',
        '{"a": ' * 100_000,
        'run,value\n"lr/t000,1\n',
        "\0",
        "[]",
    ],
)
def test_results_that_say_nothing_are_refused(tree, text):
    begin(tree)
    Path("results").write_text(text)
    assert "error[FT794]" in refused(tree, "lr", "--results", "results")


def test_results_that_are_no_text_are_refused(tree):
    begin(tree)
    Path("results").write_bytes(b"\xff\xfe\x00")
    assert "error[FT794]" in refused(tree, "lr", "--results", "results")


@pytest.mark.parametrize("place", [".", "missing", "fifo", "/dev/zero", "loop"])
def test_a_place_that_holds_no_results(tree, place):
    begin(tree)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    assert "error[FT794]" in refused(tree, "lr", "--results", place)


def test_the_last_line_of_a_run_decides(tree):
    begin(tree)
    lines = ["t000,9", "lr/t000,2", f"{tree.trials()[0]['run']},3", "t001,inf", "t002,1", "other,1"]
    Path("results").write_text("run,value\n" + "".join(f"{line}\n" for line in lines))
    code, _, err = tree.tune("lr", "--results", "results")
    assert code == 0
    assert "warning[FT794]" in err
    found = [(trial["state"], trial.get("value")) for trial in tree.trials()[:3]]
    assert found == [("complete", 3.0), ("failed", None), ("complete", 1.0)]


def test_strict_makes_an_error_of_what_is_only_told(tree):
    begin(tree)
    Path("results").write_text("run,value\nother,1\n")
    assert "error[FT794]" in refused(tree, "lr", "--results", "results", "--strict")


def test_a_known_result_is_not_told_again(tree):
    begin(tree)
    step(tree)
    known = tree.trials()[0]["value"]
    Path("results").write_text("run,value\nt000,99\n")
    assert tree.tune("lr", "--results", "results")[0] == 0
    assert tree.trials()[0]["value"] == known


# the file of a study


def rewritten(tree, change):
    """Commit another content of the study's file, as a foreign hand would."""
    text = change(tree.show("jobs/lr/lr.ftgen-study"))
    clone = Path("clone")
    tree.git(Path(), "clone", "--quiet", str(tree.bare), str(clone))
    target = clone / "jobs/lr/lr.ftgen-study"
    if isinstance(text, bytes):
        target.write_bytes(text)
    else:
        target.write_text(text)
    tree.git(clone, "commit", "--quiet", "-am", "edit")
    tree.git(clone, "push", "--quiet", "origin", "HEAD:main")


def replaced(**values):
    def change(text):
        return json.dumps({**json.loads(text), **values})

    return change


def with_trial(**values):
    def change(text):
        study = json.loads(text)
        study["trials"][0] |= values
        return json.dumps(study)

    return change


FLOAT = {"kind": "float", "low": 1e-5, "high": 1e-2}
HOSTILE = {
    "empty": lambda _: "",
    "no JSON": lambda _: "{",
    "deep": lambda _: "[" * 100_000,
    "bytes": lambda _: b"\xff\xfe",
    "a list": lambda _: "[]",
    "later format": replaced(version=2),
    "format as text": replaced(version="1"),
    "unknown key": replaced(more=1),
    "another name": replaced(study="other"),
    "no seed": replaced(seed=None),
    "negative seed": replaced(seed=-1),
    "huge budget": replaced(budget=10**30),
    "endless rounds": replaced(budget=2**31 - 1, parallel=2**31 - 1),
    "sampler": replaced(sampler="os.system"),
    "words": replaced(words="trainer.lr=1"),
    "space": replaced(space=[]),
    "empty space": replaced(space={}),
    "kind": replaced(space={"trainer.lr": {"kind": "x"}}),
    "reversed": replaced(space={"trainer.lr": FLOAT | {"low": 1, "high": 0}, "trainer.args.lora_rank": FLOAT}),
    "log of nothing": replaced(space={"trainer.lr": FLOAT | {"low": 0, "log": True}, "trainer.args.lora_rank": FLOAT}),
    "no step": replaced(space={"trainer.lr": FLOAT | {"step": 0}, "trainer.args.lora_rank": FLOAT}),
    "trial's number": with_trial(number=3),
    "trial's params": with_trial(params={}),
    "trial's outside": with_trial(params={"trainer.lr": 1.0, "trainer.args.lora_rank": "8"}),
    "trial's choice": with_trial(params={"trainer.lr": 1e-4, "trainer.args.lora_rank": "64"}),
    "trial's type": with_trial(params={"trainer.lr": "1e-4", "trainer.args.lora_rank": "8"}),
    "trial's state": with_trial(state="won"),
    "complete without value": with_trial(state="complete"),
    "value": with_trial(state="complete", value="low"),
    "trials": replaced(trials={}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_ftgen_did_not_write_is_refused(tree, change):
    begin(tree)
    rewritten(tree, change)
    Path("results").write_text("")
    assert "error[FT793]" in refused(tree, "lr", "--results", "results")
    assert "error[FT793]" in refused(tree, "lr", "--show")


def test_values_without_a_number_are_refused(tree):
    begin(tree)
    rewritten(tree, lambda text: text.replace('"state": "running"', '"state": "complete", "value": NaN', 1))
    assert "error[FT793]" in refused(tree, "lr", "--show")


@pytest.mark.parametrize("key", ["words", "fixed"])
@pytest.mark.parametrize("word", ["hydra.searchpath=[/etc]", "+overlays=/etc", "trainer.lrr=3"])
def test_the_words_of_a_foreign_study_choose_no_folder_and_are_checked(tree, word, key):
    begin(tree)
    rewritten(tree, lambda text: replaced(**{key: [*json.loads(text)[key], word]})(text))
    Path("results").write_text(results(tree.trials()))
    err = refused(tree, "lr", "--results", "results")
    assert "error[FT" in err
    assert "FT002" in err or word == "trainer.lrr=3"


def test_the_words_of_a_foreign_study_choose_no_variable_whose_value_a_round_would_publish(tree, monkeypatch):
    monkeypatch.setenv("WANTED", "wanted")
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2canary")
    begin(tree, "tracking.run_name=${oc.env:WANTED}")
    rewritten(tree, lambda text: text.replace("WANTED", "SECRET_OF_MINE"))
    Path("results").write_text(results(tree.trials()))
    err = refused(tree, "lr", "--results", "results")
    assert "error[FT002]" in err
    assert "hunter2canary" not in err


def test_a_file_that_was_edited_is_not_overwritten_unasked(tree):
    begin(tree)
    rewritten(tree, lambda text: text.replace('"budget": 20', '"budget": 21'))
    Path("results").write_text(results(tree.trials()))
    assert "error[FT503]" in refused(tree, "lr", "--results", "results")
    code, _, err = tree.tune("lr", "--results", "results", "--overwrite")
    assert code == 0, err
    assert tree.study()["budget"] == 21


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune", "lr", "--objective", "x", *SPACE]) == 0
    file = Path("out/lr/lr.ftgen-study")
    Path("elsewhere").write_text(file.read_text())
    file.unlink()
    file.symlink_to(Path("elsewhere").absolute())
    Path("results").write_text("")
    assert cli.main(["tune", "lr", "--results", "results"]) == 1
    assert "FT79" in capsys.readouterr().err
    file.unlink()
    os.mkfifo(file)
    assert cli.main(["tune", "lr", "--results", "results"]) == 1


# secrets: the file of the study holds every alternative, whatever its runs hold

TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (f"hardware.env.A=choice(b,{TOKEN})", "FT441"),
        (f"+hardware.env=choice({{}},{{A: {TOKEN}}})", "FT441"),
        ("hardware.env.HF_TOKEN=choice(abcdefg1,x)", "FT442"),
        ("name=choice(a,'curl -u user:Sup3rS3cret')", "FT441"),
    ],
)
def test_an_alternative_with_a_secret_begins_no_study(tree, word, code):
    err = refused(tree, "lr", "--objective", "loss", "trainer.lr=1e-4,2e-4,3e-4", word)
    assert re.search(rf"<command line>:\d+: error\[{code}\]", err)
    assert TOKEN not in err
    assert "Sup3rS3cret" not in err


def test_an_accepted_secret_is_an_alternative(tree):
    word = "hardware.env.HF_TOKEN=choice(abcdefg1,x)"
    code, _, err = tree.tune("lr", "--objective", "loss", "trainer.lr=1e-4,2e-4", word, "allow.FT442=tried")
    assert code == 0, err


def test_the_reason_of_a_refused_trial_repeats_no_secret(tree):
    words = ("trainer.lr=1e-4,2e-4,3e-4", "name=choice(a,'curl -u user:Sup3rS3cret')")
    code, _, err = tree.tune("lr", "--objective", "loss", *words, "allow.FT441=tried")
    assert code == 0, err
    whys = [trial["why"] for trial in tree.trials() if trial["state"] == "refused"]
    assert whys
    assert not [why for why in whys if "Sup3rS3cret" in why]
