"""`ftgen preview`: what it prints of a job, of a committed run, of a file and of a sweep, and what it refuses."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.preview.jobs import claim, container, task, volcano_job

from ftgen import cli
from ftgen.text import yamlio

TWO = ("hardware=ascend", "hardware.nodes=2", "storage=nfs")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert cli.main(["preview", *words]) == code
    return capsys.readouterr().out


def jobs(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(capsys, *words, "--json"))["jobs"]
    return found


def written(*objects: dict[str, Any], name: str = "job.yaml") -> str:
    Path(name).write_text("---\n".join(map(yamlio.dump, objects)), encoding="utf-8")
    return name


def value(text: str, label: str) -> str:
    """Return what stands behind the first line of a label."""
    line = next(line for line in text.splitlines() if line[2:].split("  ")[0] == label)
    return line[2:].removeprefix(label).strip()


# one job


def test_two_pods_stand_side_by_side_and_what_differs_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = printed(capsys, *TWO)
    job = text.partition(":")[0]
    assert text.startswith(f"{job}: VolcanoJob in ")
    assert text.splitlines()[0].endswith(", 2 pods")
    marked = {line[2:].split("  ")[0] for line in text.splitlines() if line.startswith("* ")}
    assert marked - {""} == {"name", "hostname", "found as", "rank", "VK_TASK_INDEX", "VC_TASK_INDEX"}
    assert value(text, "rank").split() == ["0", "1"]
    assert value(text, "name").split() == [f"{job}-train-0", f"{job}-train-1"]
    assert value(text, "master") == f"{job}-train-0.{job}:29500"
    assert value(text, "WORK_DIR") == f"/mnt/workspace/{job}"
    assert value(text, "GIT_TOKEN") == "<secret aml-image-builder-secret/MODEL_REPO_GIT_TOKEN>"
    assert value(text, "huawei.com/Ascend910") == "1"


def test_a_value_that_an_earlier_container_shows_is_named_only(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *TWO)
    assert text.count("/amlmodels/wy-sft-dataset\n") == 1
    assert value(text, "(as prepare)").startswith("BASE_MODEL_URL, MODEL_DIR, DATASET_URL")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", [TWO, ("storage=topolvm",), (*TWO, "--all"), ("-m", "trainer.lr=1e-4,2e-4")])
def test_no_line_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(capsys, *words).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_long_values_are_cut_unless_all_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    brief, whole = printed(capsys, "storage=nfs"), printed(capsys, "storage=nfs", "--all")
    assert "learning_rate" not in brief
    assert "more lines (--all)" in brief
    assert "learning_rate: 0.0002" in whole
    assert "(--all)" not in whole


def test_of_many_pods_two_are_shown_unless_all_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    written(volcano_job(task("a", container(), replicas=5), plugins={"svc": [], "env": []}))
    brief, whole = printed(capsys, "job.yaml"), printed(capsys, "job.yaml", "--all")
    assert "… and 3 more pods of this task (--all shows every pod)" in brief
    assert "j-a-4" not in brief.replace("j-a-4.j", "")
    assert value(whole, "VC_TASK_INDEX").split() == ["0", "1", "2", "3", "4"]


def test_tasks_are_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    written(volcano_job(task("master", container()), task("worker", container(), replicas=2), plugins={"pytorch": []}))
    text = printed(capsys, "job.yaml")
    assert text.count("\npod\n") == 2
    assert [line.split()[-1] for line in text.splitlines() if line[2:].startswith("rank")] == ["0", "2"]


def test_json_is_what_the_library_tells(capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = jobs(capsys, *TWO)
    assert (job["kind"], job["replicas"], len(job["pods"])) == ("VolcanoJob", 2, 2)
    assert [pod["rank"] for pod in job["pods"]] == [0, 1]
    assert job["pods"][1]["containers"][1]["devices"] == {"huawei.com/Ascend910": "1"}


def test_the_release_of_the_cluster_decides(capsys: pytest.CaptureFixture[str]) -> None:
    old = jobs(capsys, *TWO, "cluster=alauda")
    assert old[0]["pods"][0]["ranks"] == {"VC_TASK_INDEX": "0", "VK_TASK_INDEX": "0"}


# sweeps


def test_a_sweep_tells_what_is_not_alike(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "-m", "trainer.lr=1e-4,2e-4", "tracking=none")
    assert text.startswith("2 runs; ")
    first, second = text.split("\n\n")[1:]
    assert "TRAIN_CONFIG              learning_rate: 0.0001" in first
    assert "TRAIN_CONFIG              learning_rate: 0.0002" in second
    assert len(first.splitlines()) == len(second.splitlines()) == 2


def test_a_sweep_as_json_has_every_run(capsys: pytest.CaptureFixture[str]) -> None:
    found = jobs(capsys, "-m", "trainer.lr=1e-4,2e-4")
    assert [("lr1e-4" in job["name"], "lr2e-4" in job["name"]) for job in found] == [(True, False), (False, True)]
    assert all(job["pods"] for job in found)


# committed runs and files


def test_a_committed_run_is_seen_with_what_lies_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    made = ("storage=nfs-static", "storage.workspace.nfs.server=nfs.example.com")
    assert cli.main([*made, "-q"]) == 0
    name = next(Path("out").rglob("job-*.yaml")).stem.removeprefix("job-")
    capsys.readouterr()
    rendered, committed = jobs(capsys, *made), jobs(capsys, name)
    assert rendered == committed
    volumes = {mount["path"]: mount["volume"] for mount in committed[0]["pods"][0]["containers"][1]["mounts"]}
    assert volumes["/mnt/models"]["size"]
    assert volumes["/opt/ftgen"]["files"] == ["prepare.sh", "train.sh"]


def test_a_run_is_found_in_another_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-o", "there", "-q"]) == 0
    capsys.readouterr()
    name = next(Path("there").rglob("job-*.yaml")).stem.removeprefix("job-")
    assert jobs(capsys, name, "-o", "there")[0]["name"] == name


def test_a_file_may_hold_claims_and_several_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounting = container(volumeMounts=[{"name": "data", "mountPath": "/data"}])
    data = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim("7Gi")}
    others = [volcano_job(task("a", mounting, volumes=volumes), name=name) for name in ("one", "two")]
    text = printed(capsys, written(data, *others))
    assert value(text, "/data") == "claim data (7Gi, fast, ReadWriteOnce)"
    assert "\none: VolcanoJob in team, 1 pod\n" in f"\n{text}"
    assert "\ntwo: VolcanoJob in team, 1 pod\n" in text


def test_a_stream_is_read_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = yamlio.dump({"apiVersion": "v1", "kind": "List", "items": [volcano_job(task("a", container()))]})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert jobs(capsys, "-")[0]["name"] == "j"


def test_a_service_s_deployment_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["storage=nfs", "-q"]) == 0
    name = next(Path("out").rglob("job-*.yaml")).stem.removeprefix("job-")
    assert cli.main(["serve", name, "-q"]) == 0
    capsys.readouterr()
    deployment = next(Path("out").rglob("deployment-*.yaml"))
    (found,) = jobs(capsys, str(deployment))
    assert (found["kind"], found["replicas"]) == ("Deployment", 1)


# what is refused, and what is hostile


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nosuch"], 1, "FT527"),
        (["sft", "other"], 2, "one run or file"),
        (["sft", "trainer.lr=1e-5"], 2, "one run or file"),
        (["missing.yaml"], 1, "FT002"),
        (["pipe.yaml"], 1, "FT002"),
        (["folder.yaml"], 1, "FT002"),
        (["broken.yaml"], 1, "FT001"),
        (["empty.yaml"], 1, "FT541"),
        (["other.yaml"], 1, "FT541"),
        (["none.yaml"], 1, "FT541"),
        (["trainer.lrr=1"], 1, "FT012"),
        (["trainer.lr=1,2"], 1, "FT016"),
        (["sft", "--branch", "main"], 2, "--repo"),
    ],
)
def test_what_is_no_job_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str) -> None:
    os.mkfifo("pipe.yaml")
    Path("folder.yaml").mkdir()
    Path("broken.yaml").write_text("a: [")
    Path("empty.yaml").write_text("")
    written({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, name="other.yaml")
    written(volcano_job(task("a", container(), replicas=0)), name="none.yaml")
    assert cli.main(["preview", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_text_of_others_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "\x1b[2J\u202e"
    env = [{"name": f"A{odd}\nB", "value": f"x{odd}\ny{odd}"}]
    mounts = [{"name": odd, "mountPath": f"/a{odd}"}]
    own = container(f"main{odd}", env=env, command=[odd], volumeMounts=mounts)
    written(volcano_job(task(f"a{odd}", own, replicas=2, hostname=odd), name=f"j{odd}", plugins={"svc": []}))
    for words in (("job.yaml",), ("job.yaml", "--all")):
        assert all(line.isprintable() for line in printed(capsys, *words).split("\n"))


def test_a_secret_in_a_manifest_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    env = [{"name": "HF_TOKEN", "value": "hf_abcdefghijklmnopqrstuvwxyz012345"}, {"name": "B", "value": "$(HF_TOKEN)"}]
    written(volcano_job(task("a", container(env=env, args=["--token=$(HF_TOKEN)"]))))
    for words in (("job.yaml",), ("job.yaml", "--json"), ("job.yaml", "--all")):
        assert "hf_abc" not in printed(capsys, *words)


def test_a_value_that_no_program_can_be_given_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    written(volcano_job(task("a", container(env=[{"name": "A", "value": "x" * 200_000}]))))
    assert value(printed(capsys, "job.yaml"), "A") == "<200000 characters, more than a program can be given>"


def test_values_that_double_each_other_fill_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Sixty variables would make one of 2**60 characters; a command would, too."""
    env = [{"name": f"A{i}", "value": f"$(A{i - 1})$(A{i - 1})" if i else "x"} for i in range(60)]
    written(volcano_job(task("a", container(env=env, args=["$(A16)$(A16)$(A16)"]))))
    shown = printed(capsys, "job.yaml")
    assert value(shown, "A3") == "xxxxxxxx"
    assert value(shown, "A17") == f"<{2**17} characters, more than a program can be given>"
    assert f"<{3 * 2**16} characters, more than a program can be given>" in shown


def test_the_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "preview.md").read_text(encoding="utf-8")
    exec(page.split("```python\n")[1].partition("```")[0], {})
    assert "['name', 'hostname', 'found as', 'rank']" in capsys.readouterr().out
