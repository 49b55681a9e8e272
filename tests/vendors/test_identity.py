"""Every part of a job speaks of the chosen model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tools.options import LANGUAGE_MODELS, NEEDS

from ftgen import pipeline, runtime, sweeping
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity
from ftgen.sweeping.batch import Batch
from ftgen.text import yamlio
from ftgen.trainers.surface import surface, versions

from .conftest import Refuse, Render, Write

CACHE = ("storage=model-cache", *NEEDS["model-cache"])


def folders(job: pipeline.Compiled) -> set[str]:
    pod = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]
    mounts = [m for c in (*pod["initContainers"], *pod["containers"]) for m in c["volumeMounts"]]
    return {m["subPath"] for m in mounts if m["name"] == "base-model"}


@pytest.mark.parametrize("option", LANGUAGE_MODELS)
def test_every_model_names_the_hub_that_the_trainer_knows_it_by(option: str) -> None:
    said = yamlio.read(runtime.conf_dir() / "model" / f"{option}.yaml")
    assert said["hub"] in surface(versions()[0]).models
    assert said["hub"].rpartition("/")[2] == said["name"]


def test_the_cached_folder_follows_the_model(shared: Composer) -> None:
    sweep = sweeping.expand(shared, ["model=qwen3-0.6b,qwen3-1.7b", *CACHE])
    found = [folders(job) for job in Batch(shared, sweep)]
    hubs = ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B")
    assert found == [{f"models/{hashlib.sha256(f'hf://{hub}'.encode()).hexdigest()[:16]}"} for hub in hubs]


@pytest.mark.parametrize(
    "uri",
    ["hf://Qwen/Qwen3-0.6B:main", "s3://models/qwen3-0.6b/v2", "'pvc://models/${model.name}'", "hf://qwen/qwen3-0.6b"],
)
def test_a_cache_filled_from_elsewhere_names_the_model(uri: str, render: Render) -> None:
    assert not [d for d in render(*CACHE, f"storage.cache.uri={uri}").diagnostics if d.code == "FT005"]


@pytest.mark.parametrize("uri", ["hf://Qwen/Qwen3-8B", "hf://Qwen/Qwen3-0.6B-Base", "s3://models/a1b2"])
def test_a_cache_of_another_model_is_refused_by_both_names(uri: str, refuse: Refuse) -> None:
    (found,) = refuse(*CACHE, f"storage.cache.uri={uri}")
    assert (found.code, found.subject) == ("FT005", "storage.cache.uri")
    assert found.headline == f"the cached model is {uri}, and the chosen model is Qwen3-0.6B"


def test_one_cache_for_all_models_of_a_sweep_is_refused(shared: Composer) -> None:
    sweep = sweeping.expand(shared, ["model=qwen3-0.6b,qwen3-8b", *CACHE, "storage.cache.uri=hf://Qwen/Qwen3-8B"])
    with pytest.raises(Rejected) as rejected:
        list(Batch(shared, sweep))
    assert [d.code for d in rejected.value.diagnostics] == ["FT005"]


def test_a_url_that_the_cache_stands_in_for_is_told(render: Render) -> None:
    url = "model.url=https://git.example.com/team/qwen3-tuned"
    (told,) = [d for d in render(*CACHE, url).diagnostics if d.code == "FT005"]
    assert told.severity is Severity.WARNING


def test_a_model_of_ones_own_without_a_hub_says_what_to_set(write: Write, tmp_path: Path) -> None:
    packaged = (runtime.conf_dir() / "model" / "qwen3-0.6b.yaml").read_text(encoding="utf-8")
    write("conf/model/ours.yaml", packaged.replace("hub: Qwen/Qwen3-0.6B\n", ""))
    with pytest.raises(Rejected) as rejected:
        pipeline.compile_job(Composer(Request(directory=tmp_path)), ("model=ours", *CACHE))
    (found,) = rejected.value.diagnostics
    assert (found.code, found.subject) == ("FT014", "storage.cache.uri")
    assert found.help == "set model.hub, which nothing in the chosen options sets"


@pytest.mark.parametrize(
    "override",
    [
        "model.url=https://git.example.com/team/Llama-3.2-1B-Instruct",
        "model.url=https://git.example.com/team/qwen3-8b.git",
        "trainer.args.model_name_or_path=/mnt/models/Qwen3-8B",
    ],
)
def test_weights_of_another_known_model_are_refused(override: str, refuse: Refuse) -> None:
    assert "FT006" in {d.code for d in refuse(override)}


@pytest.mark.parametrize("name", ["team/wy-sft-base", "team/QWEN3-0.6B.git", "team/qwen3-0.6b-ours"])
def test_weights_of_ones_own_are_no_other_model(name: str, render: Render) -> None:
    job = render(f"model.url=https://git.example.com/{name}")
    assert not [d for d in job.diagnostics if d.code == "FT006"]


def test_a_preset_is_called_by_the_model_that_it_trains(render: Render) -> None:
    preset = ("+experiment=qwen3-8b-full-2x8", "storage.workspace.claim=w")
    assert render(*preset).identity.folder == "qwen3-8b-full"
    assert render(*preset, "model=qwen3-4b").identity.folder == "qwen3-4b-full"


def test_a_revision_that_the_cache_does_not_name_is_told(render: Render) -> None:
    (told,) = [d for d in render(*CACHE, "model.revision=v2").diagnostics if d.code == "FT005"]
    assert told.headline == "the cache holds hf://Qwen/Qwen3-0.6B, and the revision v2 is not looked for"
    named = ("model.revision=v2", "storage.cache.uri='hf://Qwen/Qwen3-0.6B:v2'")
    assert not [d for d in render(*CACHE, *named).diagnostics if d.code == "FT005"]
