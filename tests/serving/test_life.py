"""A service in a tree: its name stays, a new revision rolls in place, and the verbs for trees know it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.serving.conftest import URL

from ftgen import cli
from ftgen.output.tree import parse_lock

RUN = "sft-qwen3-0-6b"
DEPLOYMENT = Path(f"out/{RUN}/deployment-{RUN}.yaml")


@pytest.fixture
def served(render, capsys) -> str:
    """Render a run, and serve it; the run's name."""
    render()
    assert cli.main(["serve", RUN, "-q"]) == 0, capsys.readouterr().err
    (job,) = Path("out").rglob("job-*.yaml")
    return job.stem.removeprefix("job-")


def lock():
    return parse_lock(Path("out/ftgen.lock").read_bytes())


def test_serving_again_changes_nothing(served):
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert cli.main(["serve", served, "-q"]) == 0
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_a_new_revision_rolls_in_place(served, render, capsys):
    old = Path("old.yaml")
    old.write_bytes(DEPLOYMENT.read_bytes())
    render("trainer.lr=1e-3")
    assert cli.main(["serve", RUN, "-q"]) == 0
    assert cli.main(["diff", str(old), str(DEPLOYMENT), "--json"]) == 1
    (change,) = json.loads(capsys.readouterr().out)
    assert change["class"] == "in-place"
    assert [path for path in lock().files if "deployment-" in path] == [f"{RUN}/deployment-{RUN}.yaml"]


def test_a_later_training_leaves_the_service(served, render):
    render("trainer.lr=1e-3")
    assert DEPLOYMENT.exists()
    named = [line.split()[-1] for line in DEPLOYMENT.read_text(encoding="utf-8").splitlines() if "-scripts-" in line]
    assert all((DEPLOYMENT.parent / f"configmap-{name}.yaml").exists() for name in named)


def test_the_file_of_a_service_is_rebuilt_and_served_anew(served, capsys):
    assert cli.main(["rebuild", str(DEPLOYMENT)]) == 0, capsys.readouterr().out
    assert cli.main(["serve", str(DEPLOYMENT), "serving.replicas=3", "-q"]) == 0
    assert "replicas: 3" in DEPLOYMENT.read_text(encoding="utf-8")
    assert cli.main(["rebuild", str(DEPLOYMENT)]) == 0
    edited = DEPLOYMENT.read_text(encoding="utf-8").replace("replicas: 3", "replicas: 4")
    DEPLOYMENT.write_text(edited, encoding="utf-8")
    assert cli.main(["rebuild", str(DEPLOYMENT)]) == 1


def test_what_is_written_passes_check(served, capsys):
    assert cli.main(["check", "--strict", "out"]) == 0, capsys.readouterr()


def test_archiving_the_run_warns_of_what_serves_it(served, capsys):
    assert cli.main(["archive", served]) == 0
    said = capsys.readouterr()
    assert "FT536" in said.out + said.err
    assert f"service/{RUN}" in said.out + said.err


def test_nothing_that_serves_is_left_over(served, capsys):
    assert cli.main(["gc", "--json"]) == 0
    assert "deployment" not in capsys.readouterr().out


def test_a_service_is_stopped_at_once_and_by_its_own_name_only(served, capsys):
    assert cli.main(["stop", RUN]) == 0
    assert DEPLOYMENT.exists()
    assert cli.main(["rerun", f"service/{RUN}"]) == 1
    assert cli.main(["archive", f"service/{RUN}"]) == 1
    capsys.readouterr()
    assert cli.main(["stop", f"service/{RUN}"]) == 0
    assert "what serves" in capsys.readouterr().err
    assert not DEPLOYMENT.exists()
    assert not [path for path, entry in lock().files.items() if entry.run.startswith("@service")]


def test_a_pattern_of_runs_selects_no_service(served):
    assert cli.main(["stop", f"{RUN}/*"]) == 0
    assert DEPLOYMENT.exists()


def test_a_point_of_a_sweep_is_served_by_its_label(render, capsys):
    render("-m", "trainer.lr=1e-4,2e-4", "name=tuning")
    names = {entry.run.partition("/")[2] for entry in lock().files.values()} - {"*", ""}
    label = min(names)
    assert cli.main(["serve", label, "-q"]) == 0, capsys.readouterr().err
    (file,) = Path("out").rglob("deployment-*.yaml")
    assert file.stem == f"deployment-tuning-{label.replace('.', '-')}"
    assert cli.main(["rebuild", str(file)]) == 0


def test_the_memory_of_a_card_is_told_and_nothing_written(render, capsys):
    render()
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert cli.main(["serve", RUN, "--fit"]) == 0
    said = capsys.readouterr().out
    assert "longest context" in said
    assert cli.main(["serve", RUN, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fit"]["needed_gib"] <= document["fit"]["usable_gib"]
    assert abs(sum(document["fit"]["terms"].values()) - document["fit"]["needed_gib"]) < 0.05
    assert sorted(Path().rglob("*")) == before


def test_a_service_is_committed_beside_its_run(bare, capsys):
    words = ["--repo", str(bare), "--branch", "main", "--path", "jobs"]
    assert cli.main(["publish", *words, "-q", f"model.output_url={URL}"]) == 0, capsys.readouterr().err
    assert cli.main(["serve", RUN, *words, "-q"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert cli.main(["gc", *words, "--json"]) == 0
    assert "deployment" not in capsys.readouterr().out
    assert cli.main(["serve", RUN, *words, "serving.replicas=2"]) == 0
    assert "deployment" in capsys.readouterr().err
    assert cli.main(["stop", f"service/{RUN}", *words]) == 0


def test_a_claim_of_the_run_is_not_made_larger_by_its_service(render, capsys):
    render("storage=nfs", "storage.models.create=true", "storage.models.size=20Gi")
    assert cli.main(["serve", RUN, "storage.models.size=40Gi", "-q"]) == 1
    said = capsys.readouterr().err
    assert "FT504" in said
    assert "storage.models.claim" in said
    assert cli.main(["serve", RUN, "-q"]) == 0
    assert cli.main(["serve", RUN, "storage.models.claim=larger", "storage.models.size=40Gi", "-q"]) == 0
