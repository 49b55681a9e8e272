"""Folders of a run: those that have the job's name in their path are the job's own."""

from __future__ import annotations

import pytest
from tests.lower.test_shape import composer as composer  # noqa: PLC0414 - a fixture
from tests.lower.test_shape import container, job

from ftgen.config.compose import Composer
from ftgen.text import kube

OWN = "/mnt/workspace/$(JOB_NAME)/out"


def expanded(composer: Composer, *words: str) -> dict[str, str]:
    """Return the variables of the training as the kubelet sets them, each by those before it."""
    env: dict[str, str] = {}
    for variable in container(job(composer, "storage=nfs", *words)["spec"]["tasks"][0])["env"]:
        env[variable["name"]] = kube.expand(variable["value"], env) if "value" in variable else "job-1"
    return env


def test_kubernetes_puts_the_job_s_name_into_its_folders(composer: Composer) -> None:
    env = expanded(composer, f"trainer.args.output_dir='{OWN}'", "trainer.export.export_dir='/mnt/$(JOB_NAME)/m'")
    assert env["OUTPUT_DIR"] == "/mnt/workspace/job-1/out"
    assert env["EXPORT_DIR"] == "/mnt/job-1/m"
    assert "output_dir: /mnt/workspace/job-1/out\n" in env["TRAIN_CONFIG"]
    assert "adapter_name_or_path: /mnt/workspace/job-1/out\n" in env["EXPORT_CONFIG"]
    assert "export_dir: /mnt/job-1/m\n" in env["EXPORT_CONFIG"]
    command = expanded(composer, "trainer=command", "trainer.command=[a]", f"trainer.output='{OWN}'")
    assert command["OUTPUT_DIR"] == "/mnt/workspace/job-1/out"


def test_a_folder_s_name_ends_in_no_slash(composer: Composer) -> None:
    env = expanded(composer, "trainer.args.output_dir=output_models//", "trainer.export.export_dir=merged/")
    assert (env.get("OUTPUT_DIR"), env["EXPORT_DIR"]) == (None, "merged")


@pytest.mark.parametrize("folder", ["$(HOME)/out", "$$(JOB_NAME)/out", "$(JOB_NAMES)"])
def test_any_other_dollar_stays(composer: Composer, folder: str) -> None:
    assert expanded(composer, f"trainer.args.output_dir='{folder}'")["OUTPUT_DIR"] == folder
