"""Provenance is true: what `explain` says of every key and every line, checked against what was composed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.golden.cases import CASES

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import COMMAND_LINE
from ftgen.lower import render
from ftgen.pipeline.serving import TrainedRun, compile_service
from ftgen.provenance import explain
from ftgen.provenance.dependencies import path_by_names
from ftgen.provenance.origins import KeyOrigins
from ftgen.provenance.service import compiled_again
from ftgen.text import yamlio
from ftgen.text.paths import leaves

EXPERIMENTS = sorted(file.stem for file in runtime.conf_dir().glob("experiment/*.yaml"))
SELECTIONS = {"default": (), **{name: (f"+experiment={name}",) for name in EXPERIMENTS}}
JOBS = {
    **SELECTIONS,
    "ascend": ("hardware=ascend", "hardware.nodes=2", "storage=nfs"),
    "full-gpu": ("hardware=full-gpu", "hardware.devices=8", "trainer=sft-full"),
    "flux": ("delivery=flux", "storage.workspace.claim=work", "storage.workspace.create=true"),
    "kubectl": ("delivery=kubectl", "tracking=none"),
    "qlora": (
        "trainer=sft-qlora",
        "model.revision=v1.0",
        "cluster.git.ca_config_map=ca",
        "cluster.git.tls_verify=true",
    ),
    "dpo": ("trainer=dpo-lora", "dataset=preference-pairs"),
    "pretrain": ("trainer=pretrain", "dataset=corpus"),
    "command": ("trainer=command", "trainer.command=[python,-m,vendor.train]"),
}


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


@cache
def _read(file: str) -> tuple[list[str], Any, dict[tuple[str | int, ...], int]]:
    text = Path(file).read_text(encoding="utf-8")
    lines = {path: mark.line for path, mark in yamlio.document(text, file).places().items()}
    return text.splitlines(), yamlio.parse(text, file), lines


@pytest.mark.parametrize("case", CASES)
def test_every_key_of_every_golden_is_where_it_is_said_to_be(case: str, composer: Composer) -> None:
    overrides = CASES[case].overrides
    config = composer.compose(composer.parse(overrides)).config
    origins = KeyOrigins.of(composer, overrides)
    for path, value in leaves(config):
        key = ".".join(map(str, path))
        story = explain.key(key, config, origins)
        assert story, key
        assert story.statements, key
        place = story.statements[-1].location
        if place.file == COMMAND_LINE:
            assert key.startswith(overrides[place.line - 1].partition("=")[0])
            continue
        text, whole, lines = _read(place.file)
        name = next(str(step) for step in reversed(path) if isinstance(step, str))
        (written,) = {p for p, line in lines.items() if place.line == line and p and _stands_for(p, path)} or {()}
        assert written, f"{place} does not hold {key}"
        assert name in text[place.line - 1] or isinstance(path[-1], int)
        said = _at(whole, written)
        assert _reads_as(said, value), f"{place} says {said!r}, composed is {value!r}"


def _stands_for(written: tuple[str | int, ...], path: tuple[str | int, ...]) -> bool:
    """A file's path is the end of the key's: its package is the beginning."""
    return tuple(map(str, path))[-len(written) :] == tuple(map(str, written))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _reads_as(said: Any, composed: Any) -> bool:
    return bool(said == composed) or (isinstance(said, str) and "${" in said)


@pytest.mark.parametrize("job", JOBS)
def test_every_scalar_of_a_manifest_has_a_cause_or_is_computed(job: str, composer: Composer) -> None:
    compiled = pipeline.compile_job(composer, JOBS[job])
    rebuilt = explain.Rebuilt.of(compiled.bundle.job, _asked(composer, JOBS[job]))
    assert not rebuilt.changed
    assert _judged(rebuilt, compiled)


def _asked(composer: Composer, words: tuple[str, ...], name: str = "config") -> Composer:
    return Composer(replace(composer.request, overrides=words, config_name=name))


def _judged(rebuilt: explain.Rebuilt, compiled: pipeline.Compiled) -> int:
    """Return how many scalars are computed; the others have causes with locations."""
    computed = 0
    for manifest in map(render.ordered, compiled.bundle.objects):
        for path, value in leaves(manifest):
            story = rebuilt.explain(manifest, path)
            computed += not story.causes
            for cause in story.causes:
                assert cause.locations or cause.value in {"null", "false", "0", "[]", "{}", '""'}, (path, cause)
                assert all(place.line for place in cause.locations)
            if isinstance(value, str) and value in NOT_COMPUTED:
                assert story.causes, path
    return computed


RUN = TrainedRun("sft-qwen3-0-6b-1a2b3c4d", ())
RESULT = "model.output_url=https://git.example.com/team/result"
SERVICES = {
    "deployment": (RESULT, "serving.args.max_num_seqs=4"),
    "kserve": (RESULT, "serving=kserve", "hardware=ascend", "storage=nfs", "serving.args.max_num_seqs=4"),
    "adapter": (RESULT, "trainer.merge=false", "hardware.devices=2", "hardware=full-gpu", "serving.replicas=2"),
    "inline": (RESULT, "delivery=kubectl", "serving.api_key={secret: a, key: b}"),
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_scalar_of_what_serves_has_a_cause_or_is_computed(service: str, composer: Composer) -> None:
    asked = _asked(composer, SERVICES[service], "serve")
    compiled = compile_service(asked, RUN, SERVICES[service], pipeline.Workspace(asked))
    rebuilt = explain.Rebuilt.of(compiled.bundle.job, asked, compiled_again)
    assert not rebuilt.changed
    _judged(rebuilt, compiled)


@pytest.mark.parametrize("service", ["deployment", "kserve"])
def test_what_a_change_reaches_in_what_serves_is_what_is_blamed(service: str, composer: Composer) -> None:
    asked = _asked(composer, SERVICES[service], "serve")
    workspace = pipeline.Workspace(asked)
    before = compile_service(asked, RUN, SERVICES[service], workspace).bundle.job
    rebuilt = explain.Rebuilt.of(before, asked, compiled_again)
    for change in (
        "serving.context=4096", "serving.memory_utilization=0.5", "serving.replicas=3", "serving.image=a/b:c",
        "serving.env={A: b}", "storage.models.path=/other", "cluster.namespace=other", "serving.args.max_num_seqs=2",
        "hardware.devices=2", "serving.revision=other",
    ):  # fmt: skip
        changed = compile_service(asked, RUN, (*SERVICES[service], change), workspace).bundle.job
        there = {path_by_names(changed, path): value for path, value in leaves(changed)}
        key = change.partition("=")[0]
        for path, value in leaves(before):
            if there.get(path_by_names(before, path), value) != value and "annotations" not in path:
                causes = [cause.name for cause in rebuilt.explain(before, path).causes]
                assert any(cause.startswith(key) or key.startswith(cause) for cause in causes), (path, key, causes)


# Values that only a configuration file can have told.
NOT_COMPUTED = {
    "kubeflow-admin-cpaas-io",
    "default",
    "aml-image-builder-secret",
    "/mnt/models",
    "/mnt/workspace",
    "sc-topolvm",
}


def test_what_a_change_reaches_is_what_is_blamed(composer: Composer) -> None:
    """The other way round: a key is changed for real, and every line that differs names it."""
    overrides = ("hardware=full-gpu",)
    compiled = pipeline.compile_job(composer, overrides)
    rebuilt = explain.Rebuilt.of(compiled.bundle.job, _asked(composer, overrides))
    for key, change in {
        "cluster.queue": "cluster.queue=other",
        "trainer.args.lora_rank": "trainer.args.lora_rank=16",
        "hardware.devices": "hardware.devices=4",
        "job.grace_period": "job.grace_period=5",
        "model.name": "model.name=Other",
    }.items():
        changed = pipeline.compile_job(composer, (*overrides, change))
        there = {path_by_names(changed.bundle.job, path): value for path, value in leaves(changed.bundle.job)}
        for path, value in leaves(compiled.bundle.job):
            if (
                there.get(path_by_names(compiled.bundle.job, path)) != value
                and "annotations" not in path
                and path != ("metadata", "name")
            ):
                causes = [cause.name for cause in rebuilt.explain(compiled.bundle.job, path).causes]
                assert key in causes, (path, causes)
