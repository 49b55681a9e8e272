"""Trackers in the job: their variables, where their files are, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.text import yamlio
from ftgen.trainers import surface, trackers

KEY = "tracking.key={secret: team, key: api-key}"
REFERENCE = {"secretKeyRef": {"name": "team", "key": "api-key"}}
JOB_NAME = "$(JOB_NAME)"


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def pod(composer: Composer, *words: str) -> dict[str, Any]:
    job = pipeline.compile_job(composer, words).bundle.job
    found: dict[str, Any] = job["spec"]["tasks"][0]["template"]["spec"]
    return found


def variables(composer: Composer, *words: str) -> dict[str, Any]:
    (container,) = pod(composer, *words)["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def refused(composer: Composer, *words: str) -> dict[str, tuple[str, str]]:
    try:
        found = pipeline.compile_job(composer, words).diagnostics
    except Rejected as rejected:
        found = rejected.diagnostics
    return {d.code: (d.subject, d.help) for d in found}


def test_a_run_of_wandb_has_its_key_name_tags_and_resumes(composer: Composer) -> None:
    found = variables(composer, "tracking=wandb", KEY, "tracking.entity=team", "tracking.tags.owner=a b")
    assert found["WANDB_API_KEY"] == REFERENCE
    assert (found["WANDB_PROJECT"], found["WANDB_ENTITY"]) == ("kubeflow-admin-cpaas-io", "team")
    assert (found["WANDB_NAME"], found["WANDB_RUN_ID"], found["WANDB_RESUME"]) == (JOB_NAME, JOB_NAME, "allow")
    assert found["WANDB_TAGS"].split(",")[-2:] == ["hardware:nvidia-vgpu", "owner:a b"]
    assert "WANDB_RUN_GROUP" not in found
    assert "WANDB_BASE_URL" not in found
    config = yamlio.parse(found["TRAIN_CONFIG"], "TRAIN_CONFIG")
    assert (config["report_to"], config["run_name"]) == ("wandb", JOB_NAME)
    assert not any(name.startswith("MLFLOW") for name in found)


def test_an_offline_run_needs_no_key_and_resumes_nothing(composer: Composer) -> None:
    found = variables(composer, "tracking=wandb", "tracking.offline=true", "tracking.run_name='$(X) run'")
    assert found["WANDB_MODE"] == "offline"
    assert found.keys().isdisjoint({"WANDB_RESUME", "WANDB_RUN_ID", "WANDB_API_KEY"})
    assert found["WANDB_NAME"] == "$$(X) run"
    found = variables(composer, "tracking=swanlab", "tracking.offline=true")
    assert found["SWANLAB_MODE"] == "offline"
    assert "SWANLAB_RESUME" not in found


def test_a_run_of_swanlab_has_its_key_name_and_server(composer: Composer) -> None:
    words = ("tracking.url=https://swan.example.com", "tracking.workspace=team", "tracking.project=tuning")
    found = variables(composer, "tracking=swanlab", KEY, *words)
    assert (found["SWANLAB_API_KEY"], found["SWANLAB_API_HOST"]) == (REFERENCE, "https://swan.example.com")
    assert (found["SWANLAB_PROJ_NAME"], found["SWANLAB_WORKSPACE"]) == ("tuning", "team")
    assert (found["SWANLAB_EXP_NAME"], found["SWANLAB_RESUME"]) == (JOB_NAME, "allow")


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("storage=topolvm",), "/mnt/workspace/runs"),
        (("storage=nfs",), f"/mnt/workspace/{JOB_NAME}/runs"),
        (("tracking.volume.claim=events",), f"/mnt/tracking/{JOB_NAME}"),
        (("tracking.volume.claim=events", "tracking.volume.path=/mnt/e"), f"/mnt/e/{JOB_NAME}"),
    ],
)
def test_each_run_has_a_folder_of_events(composer: Composer, words: tuple[str, ...], folder: str) -> None:
    found = variables(composer, "tracking=tensorboard", *words)
    assert found["TRACKING_DIR"] == folder
    config = yamlio.parse(found["TRAIN_CONFIG"], "TRAIN_CONFIG")
    assert (config["report_to"], config["logging_dir"]) == ("tensorboard", folder)
    assert "run_name" not in config


def test_the_claim_of_tracking_files_is_mounted_where_the_training_is(composer: Composer) -> None:
    found = pod(composer, "tracking=tensorboard", "tracking.volume.claim=events", "hardware.nodes=2")
    assert {"name": "tracking", "persistentVolumeClaim": {"claimName": "events"}} in found["volumes"]
    assert {"name": "tracking", "mountPath": "/mnt/tracking"} in found["containers"][0]["volumeMounts"]
    assert "tracking" not in {mount["name"] for mount in found["initContainers"][0]["volumeMounts"]}


def test_the_user_s_own_arguments_stay(composer: Composer) -> None:
    found = variables(composer, "tracking=tensorboard", "trainer.args.logging_dir=/mnt/workspace/mine")
    assert yamlio.parse(found["TRAIN_CONFIG"], "TRAIN_CONFIG")["logging_dir"] == "/mnt/workspace/mine"
    found = variables(composer, "tracking=wandb", KEY, "trainer.args.run_name=mine")
    assert yamlio.parse(found["TRAIN_CONFIG"], "TRAIN_CONFIG")["run_name"] == "mine"


@pytest.mark.parametrize("option", ["wandb", "swanlab", "tensorboard", "mlflow"])
def test_a_command_is_told_by_variables_alone(composer: Composer, option: str) -> None:
    key = () if option in {"tensorboard", "mlflow"} else (KEY,)
    plain = variables(composer, f"tracking={option}", *key)
    found = variables(composer, f"tracking={option}", *key, "trainer=command", "trainer.command=[a]")
    own = ("WANDB", "SWANLAB", "TRACKING", "MLFLOW")
    told = {name for name in found if name.startswith(own)}
    assert told == {name for name in plain if name.startswith(own)} != set()
    assert "TRAIN_CONFIG" not in found


def test_a_result_is_registered_by_its_base_name_or_another(composer: Composer) -> None:
    assert "REGISTERED_MODEL" not in variables(composer)
    found = variables(composer, "name=first", "tracking.register=true", "tracking.must_register=true")
    assert (found["REGISTERED_MODEL"], found["MUST_REGISTER"]) == ("first", "true")
    assert variables(composer, "tracking.register=support bot")["REGISTERED_MODEL"] == "support bot"


def test_the_release_has_every_tracker_and_its_package_is_known() -> None:
    offered = {"mlflow", "wandb", "swanlab", "tensorboard"}
    assert offered <= set(surface.surface("0.9.5").reporters)
    assert offered <= trackers.PACKAGES.keys()


@pytest.mark.parametrize(
    ("words", "code", "subject", "help_"),
    [
        (["tracking=wandb"], "FT770", "tracking.key", "tracking.offline=true"),
        (["tracking=swanlab"], "FT770", "tracking.key", "{secret: swanlab, key: api-key}"),
        (["tracking=tensorboard", "tracking.push=false"], "FT771", "tracking.volume.claim", "tracking.push=true"),
        (["tracking=wandb", "tracking.offline=true"], "FT771", "tracking.volume.claim", "claim="),
        (["tracking.register=a", "model.output_url=null", "storage=nfs"], "FT772", "tracking.register", "output_url"),
        (["tracking.must_register=true"], "FT772", "tracking.must_register", "tracking.register=true"),
        (["tracking=wandb", KEY, "tracking.tags.a='b,c'"], "FT773", "tracking.tags.a", "without commas"),
        (["tracking=wandb", KEY, f"tracking.tags.a={'b' * 63}"], "FT773", "tracking.tags.a", "64 characters"),
        (
            ["tracking=tensorboard", "tracking.volume.claim=e", "tracking.volume.path=/mnt/models/e"],
            "FT774",
            "tracking.volume.path",
            "/mnt/tracking",
        ),
        (["cluster.facts.mlflow=http://mlflow-tracking-server.a:5"], "FT775", "tracking.uri", "tracking.uri=http"),
        (["trainer=yolo", "tracking=tensorboard"], "FT776", "tracking.report_to", "tracking=mlflow"),
        (["tracking=wandb", "tracking.key=abc"], "FT102", "tracking.key", ""),
        (["tracking=wandb", KEY, "tracking.url=wandb.example.com"], "FT103", "tracking.url", ""),
        (["tracking.register=a/b"], "FT103", "tracking.register", ""),
        (["tracking.register=5"], "FT103", "tracking.register", ""),
        (["tracking=none", "tracking.register=a"], "FT101", "tracking.register", "choose the option of tracking"),
        (["tracking=wandb", KEY, "trainer.args.report_to=none"], "FT289", "trainer.args.report_to", "tracking=none"),
        (["tracking=none", "trainer.args.report_to=wandb"], "FT289", "trainer.args.report_to", "tracking=wandb"),
        (
            ["tracking=tensorboard", "hardware=full-gpu", "hardware.image=hiyouga/llamafactory:0.9.5"],
            "FT246",
            "tracking.report_to",
            "tensorboard",
        ),
    ],
)
def test_what_cannot_be_tracked_is_refused(
    composer: Composer, words: list[str], code: str, subject: str, help_: str
) -> None:
    found = refused(composer, *words)
    assert found[code][0] == subject
    assert help_ in found[code][1]


@pytest.mark.parametrize(
    "words",
    [
        ["tracking=wandb", "hardware.env.WANDB_API_KEY={secret: a, key: b}"],
        ["tracking=wandb", "tracking.offline=true", "tracking.push=true"],
        ["tracking=tensorboard"],
        ["tracking=tensorboard", "tracking.push=false", "storage=nfs"],
        ["cluster=alauda", "tracking=mlflow"],
        ["trainer=yolo"],
        ["trainer=yolo", "tracking=none"],
    ],
)
def test_what_can_be_tracked_is_not_blamed(composer: Composer, words: list[str]) -> None:
    assert not [code for code in refused(composer, *words) if code.startswith(("FT77", "FT289"))]
