"""train.sh and the trackers: one parent for a sweep in MLflow, versions of a registered model, and trackers' files."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .mlflow import TOKEN, Store, Tracker, real, small
from .pod import Pod, end
from .test_train import GIT, environment, nodes, pushing

# What MLflow's callback does, by its API: a run with the tags of MLFLOW_TAGS, and a loss.
REPORT = f"""
import json, os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.scripts.mlflow import Tracker
tracker = Tracker(os.environ["MLFLOW_TRACKING_URI"], os.environ["LOGIN"])
tags = json.loads(os.environ["MLFLOW_TAGS"])
assert json.loads(os.environ["MLFLOW_RUN_CONTEXT"]) == tags
run = tracker.create_run(int(time.time() * 1000), **{{key.replace(".", "__"): value for key, value in tags.items()}})
tracker.ask("runs/log-metric", {{"run_id": run, "key": "train_loss", "value": 1.0, "timestamp": 1, "step": 1}})
"""
SAVE = 'mkdir -p "$OUTPUT_DIR"; echo 1 >"$OUTPUT_DIR/model.safetensors"'
CLI = f'{sys.executable} "$STUB_HOME/report.py" && . "$STUB_HOME/more" && {{ {SAVE}; }}'
SOURCE = "git-https://git.example.com/group/out#2222"


def started(home: Path, name: str, tracker: Tracker) -> Pod:
    """A job of the sweep `tuning`, which pushes to a server that takes everything."""
    pod = Pod(home / name, home / f"{name}-volume", {"JOB_NAME": name, "TRAIN_CONFIG": "stage: sft\n"})
    pod.program("llamafactory-cli", CLI)
    pod.program("git", GIT)
    (pod.home / "report.py").write_text(REPORT)
    (pod.home / "more").touch()
    tags = f'{{"ftgen.run": "tuning-a", "ftgen.job": "{name}"}}'
    pod.env |= {"WORK_DIR": str(pod.volume), "RETRY_SECONDS": "0", "MLFLOW_SWEEP": "tuning", "MLFLOW_TAGS": tags}
    pod.env |= {"LOGIN": tracker.login, "NO_PROXY": "127.0.0.1", **tracker.env}
    return pod


@pytest.fixture(
    params=[
        "small basic",
        "small bearer",
        pytest.param("real basic", marks=pytest.mark.slow),
        pytest.param("real bearer", marks=pytest.mark.slow),
    ]
)
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracker]:
    kind, login = request.param.split()
    if kind == "small":
        with small(login) as (found, _):
            yield found
    else:
        with real(login, tmp_path) as found:
            yield found


@pytest.fixture
def fake() -> Iterator[tuple[Tracker, Store]]:
    with small("basic") as found:
        yield found


def test_jobs_that_start_at_once_share_a_parent(tracker: Tracker, tmp_path: Path) -> None:
    pods = [started(tmp_path, f"tuning-{n}", tracker) for n in range(tracker.jobs)]
    for pod, container in [(pod, pod.start("train")) for pod in pods]:
        ended = end(container)
        assert ended.code == 0, (pod.home, ended.log)
        assert "warning" not in ended.log, ended.log
    (parent,) = tracker.parents()
    children = [tags for tags in tracker.runs().values() if "ftgen.job" in tags]
    assert [tags["mlflow.parentRunId"] for tags in children] == [parent] * tracker.jobs
    assert tracker.runs()[parent]["mlflow.runName"] == "tuning"


def test_the_oldest_parent_counts_also_where_it_was_seen_late(tracker: Tracker, tmp_path: Path) -> None:
    """Another job's parent, created before, becomes visible while this one trains."""
    pod = started(tmp_path, "tuning-1", tracker)
    late = "tracker.create_run(1, ftgen__parent='tuning', late='true')"
    (pod.home / "late.py").write_text(f"{REPORT.partition('tags =')[0]}{late}")
    (pod.home / "more").write_text(f'{sys.executable} "$STUB_HOME/late.py"')
    ended = pod.run("train")
    assert ended.code == 0, ended.log
    (parent,) = tracker.parents()
    assert tracker.runs()[parent]["late"] == "true"
    (child,) = [tags for tags in tracker.runs().values() if "ftgen.job" in tags]
    assert child["mlflow.parentRunId"] == parent


def test_a_pushed_commit_is_one_version_of_the_model(tracker: Tracker, tmp_path: Path) -> None:
    pod = pushing(started(tmp_path, "tuning-1", tracker))
    for _ in range(2):
        ended = pod.run("train", REGISTERED_MODEL="tuned")
        assert ended.code == 0, ended.log
        assert "train: registered in MLflow: tuned, version 1\n" in ended.log
    (version,) = tracker.versions()
    assert (version["name"], version["source"]) == ("tuned", SOURCE)
    (run,) = [run for run, tags in tracker.runs().items() if "ftgen.job" in tags]
    assert version["run_id"] == run
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert (tags["ftgen.branch"], tags["ftgen.commit"], tags["ftgen.run"]) == ("tuning-1", "2222", "tuning-a")
    assert TOKEN not in ended.log


def test_a_command_registers_as_well(fake: tuple[Tracker, Store], tmp_path: Path) -> None:
    tracker, _ = fake
    pod = pushing(started(tmp_path, "tuning-1", tracker))
    command = "mkdir -p output_models; echo 1 >output_models/model.pt"
    ended = pod.run("train", "sh", "-c", command, TRAIN_CONFIG="", REGISTERED_MODEL="tuned")
    assert ended.code == 0, ended.log
    (version,) = tracker.versions()
    assert "run_id" not in version  # it reported nothing


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {}, b'{"error_code": "PERMISSION_DENIED", "message": "not\\nyours"}'), "403 PERMISSION_DENIED"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "answers 302"),
        ((200, {}, b"<html>"), "does not answer as MLflow"),
        ((200, {}, b"[]"), "does not answer as MLflow"),
        ((200, {}, b"{}"), "there is no experiment team, and it cannot be created"),
        ((200, {}, b"[" * 100000), "does not answer as MLflow"),
        ((500, {}, b"{broken"), "does not answer as MLflow"),
    ],
)
def test_a_server_that_refuses_costs_no_training(
    fake: tuple[Tracker, Store], tmp_path: Path, answer: tuple[int, dict[str, str], bytes], words: str
) -> None:
    tracker, store = fake
    pod = pushing(started(tmp_path, "tuning-1", tracker))
    store.answer = answer
    pod.program("llamafactory-cli", SAVE)
    ended = pod.run("train", REGISTERED_MODEL="tuned")
    assert ended.code == 0, ended.log
    assert "warning: this run is not under the parent of tuning in MLflow: " in ended.log
    assert "warning: branch tuning-1 is pushed, but MLflow has no version of tuned for it: " in ended.log
    assert words in ended.log
    assert "commit 2222" in ended.log
    assert "Traceback" not in ended.log
    ended = pod.run("train", REGISTERED_MODEL="tuned", MUST_REGISTER="true")
    assert ended.code == 1
    assert "train: error: branch tuning-1 is pushed, but" in ended.log


def test_a_server_that_is_silent_is_not_waited_for(fake: tuple[Tracker, Store], tmp_path: Path) -> None:
    tracker, _ = fake
    pod = started(tmp_path, "tuning-1", tracker)
    pod.program("llamafactory-cli", SAVE)
    # As the script waits for two minutes, `timeout` ends at once here.
    pod.program("timeout", "exit 124")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = pod.run("train", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert ended.code == 0, ended.log
    assert "in MLflow: the server takes more than 120 s\n" in ended.log


def test_the_workspace_and_the_login_go_with_every_question(fake: tuple[Tracker, Store], tmp_path: Path) -> None:
    tracker, store = fake
    ended = started(tmp_path, "tuning-1", tracker).run("train", MLFLOW_WORKSPACE="team-a")
    assert ended.code == 0, ended.log
    asked = [headers for headers in store.headers if "X-Mlflow-Workspace" in headers]
    assert {headers["X-Mlflow-Workspace"] for headers in asked} == {"team-a"}
    assert {headers["Authorization"] for headers in asked} == {store.authorization}


def test_other_nodes_ask_nothing_and_their_commands_are_not_tracked(fake: tuple[Tracker, Store], pod: Pod) -> None:
    tracker, store = fake
    pod.program("getent", "exit 0")
    pod.env |= nodes(pod, 1) | tracker.env | {"WORK_DIR": str(pod.volume), "MLFLOW_SWEEP": "tuning"}
    ended = pod.run("train", "sh", "-c", 'env -0 >"$STUB_HOME/env-train"', REGISTERED_MODEL="tuned")
    assert ended.code == 0, ended.log
    assert store.headers == []
    assert environment(pod)["WANDB_MODE"] == environment(pod)["SWANLAB_MODE"] == "disabled"


def test_files_of_trackers_have_their_folder_and_are_pushed(pod: Pod) -> None:
    pushing(pod)
    events = pod.volume / "events of" / "sft-1"
    write = f'{SAVE}; env -0 >"$STUB_HOME/env-train"; mkdir -p "$WANDB_DIR/wandb"'
    write += '; echo events >"$TENSORBOARD_LOGGING_DIR/events.out"; echo run >"$WANDB_DIR/wandb/run.wandb"'
    pod.program("llamafactory-cli", f'{write}; ln -s wandb/run.wandb "$WANDB_DIR/latest"')
    pod.program("git", GIT)
    tracking = {"TRACKING_DIR": str(events), "TRACKING_PUSH": "true", "SWANLAB_RESUME": "allow"}
    ended = pod.run("train", TRAIN_CONFIG="stage: sft\n", WORK_DIR=str(pod.volume), **tracking)
    assert ended.code == 0, ended.log
    pushed = pod.home / "pushed"
    files = {str(path.relative_to(pushed)) for path in pushed.rglob("*") if path.is_file()}
    assert {"runs/events.out", "runs/wandb/run.wandb", "model.safetensors"} <= files
    assert "runs/latest" not in files
    assert "not pushed" not in ended.log
    assert environment(pod)["SWANLAB_LOG_DIR"] == str(events)
    assert len(environment(pod)["SWANLAB_RUN_ID"]) == 21


def test_a_volume_of_files_that_cannot_be_written_is_told(pod: Pod) -> None:
    ended = pod.run("train", "true", WORK_DIR=str(pod.volume), TRACKING_DIR="/proc/none")
    assert ended.code == 1
    assert "/proc/none cannot be written by uid" in ended.log
