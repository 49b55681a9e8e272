"""Trainers that are commands, as their packaged options render them, with stand-ins for their programs."""

from __future__ import annotations

from typing import Any

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.text import kube

from .pod import Ended, Pod
from .test_train import GIT

# Notes its words, and leaves what Ultralytics leaves in save_dir.
YOLO = """
printf '%s\\n' "$@" >"$STUB_HOME/words"
printf '%s\\n' "$MLFLOW_RUN" "$YOLO_OFFLINE" >"$STUB_HOME/seen"
for word; do case $word in save_dir=*) folder=${word#save_dir=} ;; esac; done
mkdir -p "$folder/weights" && echo best >"$folder/weights/best.pt" && echo epoch >"$folder/results.csv"
"""


def container(*words: str) -> dict[str, Any]:
    job = pipeline.compile_job(Composer(Request(config_path=runtime.conf_dir())), words).bundle.job
    (found,) = job["spec"]["tasks"][0]["template"]["spec"]["containers"]
    return found


def run(pod: Pod, *words: str) -> Ended:
    """Run the container that the words render, its variables and arguments expanded as the kubelet does."""
    rendered = container(*words, "delivery=argocd")
    env = {"JOB_NAME": "job-1"}
    for variable in rendered["env"]:
        if "value" in variable:
            env[variable["name"]] = kube.expand(variable["value"], env).replace("/mnt/models", str(pod.volume))
    pod.program("git", GIT)
    pod.env |= {**env, "WORK_DIR": str(pod.volume / "work"), "RETRY_SECONDS": "0"}
    return pod.run("train", *(kube.expand(word, env) for word in rendered["args"]))


@pytest.mark.parametrize(
    ("words", "model", "device"),
    [
        (("trainer=yolo", "hardware=full-gpu", "hardware.devices=2"), "{volume}/yolo26n/yolo26n.pt", "0,1"),
        (("trainer=yolo-scratch", "hardware=cpu"), "yolo26n.yaml", "cpu"),
    ],
)
def test_yolo_is_called_and_its_folder_pushed(pod: Pod, words: tuple[str, ...], model: str, device: str) -> None:
    pod.program("yolo", YOLO)
    ended = run(pod, *words)
    assert ended.code == 0, ended.log
    assert (pod.home / "words").read_text().splitlines() == [
        "train",
        "batch=16",
        f"data={pod.volume}/coco8/data.yaml",
        f"device={device}",
        "epochs=100",
        "imgsz=640",
        f"model={model.format(volume=pod.volume)}",
        "optimizer=auto",
        "save_dir=output_models",
        "seed=0",
        "workers=4",
    ]
    assert (pod.home / "seen").read_text().splitlines() == ["job-1", "true"]
    pushed = pod.home / "pushed"
    assert (pushed / "weights" / "best.pt").read_text() == "best\n"
    assert (pushed / "results.csv").exists()
    assert "# job-1" in (pushed / "README.md").read_text()


def test_an_image_without_the_program(pod: Pod) -> None:
    ended = run(pod, "trainer=yolo", "hardware=cpu", "trainer.command=[no-such-program]")
    assert ended.code == 1
    assert "the image has no no-such-program" in ended.log


def test_a_result_of_no_model_and_no_data(pod: Pod) -> None:
    """Its program has the name of one of the script's own functions."""
    pod.program("run", 'mkdir -p "$OUTPUT_DIR" && echo a >"$OUTPUT_DIR/a"')
    ended = run(pod, "trainer=command", "trainer.command=[run]", "model=none", "dataset=none")
    assert ended.code == 0, ended.log
    assert "commit" not in (pod.home / "pushed" / "README.md").read_text()
    assert (pod.home / "message").read_text() == "job-1\n\n"
