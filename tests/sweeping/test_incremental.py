"""What a sweep reuses of earlier jobs is what it would find anew: the same bytes and the same diagnostics."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import pipeline, runtime, sweeping
from ftgen.config.compose import Composer, Composition, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import Compiled, SweepPosition, Workspace
from ftgen.spec import Spec, admit
from ftgen.sweeping import Point, index
from ftgen.sweeping.batch import Batch, swept_text
from ftgen.trainers import llamafactory
from ftgen.validation import incremental
from ftgen.validation.incremental import Incremental, IncrementalCompile, changes, tracked
from ftgen.validation.reuse import WITHOUT_REUSE, Reuse
from ftgen.validation.rules import ADMISSION, AGREEMENT, LINT, ROLLOUT, SPEC
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING

_COMPOSER = Composer(Request(config_path=runtime.conf_dir()))
_WORKSPACE = Workspace(_COMPOSER)


def _spec(*words: str) -> Spec:
    return admit(_COMPOSER.compose(_COMPOSER.parse(words)).config)


# --- tracking ------------------------------------------------------------------------------------------

_VALUE = {"a": 1, "b": {"c": "x", "d": [1, {"e": 2}]}, "f": None}


@pytest.mark.parametrize(
    ("look", "reads"),
    [
        (lambda v: v["a"], {("a",)}),
        (lambda v: v.get("a"), {("a",)}),
        (lambda v: v.get("nowhere"), set()),
        (lambda v: v["b"], set()),
        (list, set()),
        (lambda v: "a" in v, set()),
        (lambda v: v["b"]["d"], {("b", "d", 0)}),
        (lambda v: v["b"]["d"][1]["e"], {("b", "d", 0), ("b", "d", 1, "e")}),
        (lambda v: {**v}, {("a",), ("f",)}),
        (dict, {("a",), ("f",)}),
        (lambda v: v | {}, {("a",), ("f",)}),
        (lambda v: {} | v, {("a",), ("f",)}),
        (lambda v: v.copy(), {("a",), ("f",)}),
        (lambda v: list(v.items()), {("a",), ("f",)}),
        (lambda v: list(v.values()), {("a",), ("f",)}),
        (lambda v: v["b"] == {}, {("b", "c"), ("b", "d", 0), ("b", "d", 1, "e")}),
        (lambda v: v["b"] != {}, {("b", "c"), ("b", "d", 0), ("b", "d", 1, "e")}),
        (json.dumps, {("a",), ("b", "c"), ("b", "d", 0), ("b", "d", 1, "e"), ("f",)}),
        (lambda v: f"{v['b']}", {("b", "c"), ("b", "d", 0), ("b", "d", 1, "e")}),
    ],
)
def test_every_way_into_a_mapping_is_seen(look: Any, reads: set[incremental.Path]) -> None:
    seen: incremental.ReadSet = set()
    found = look(tracked(_VALUE, seen))
    assert seen == reads
    assert found == look(_VALUE)


def test_a_rule_cannot_change_its_subject() -> None:
    with pytest.raises(TypeError, match="a rule changes its subject"):
        tracked({"a": 1}, set()).pop("a")


@pytest.mark.parametrize(
    ("look", "reads"),
    [
        (lambda s: s.hardware.nodes, {("hardware", "nodes")}),
        (lambda s: s.world_size, {("hardware", "nodes"), ("hardware", "devices")}),
        (lambda s: s.trainer.args["stage"], {("trainer", "args", "stage")}),
        (lambda s: isinstance(s.trainer, llamafactory.LlamaFactory), set()),
        (lambda s: s.storage.cache is None, {("storage", "cache")}),
        (lambda s: s.job.model_dump()["restarts"], {("job", name) for name in type(_spec().job).model_fields}),
        (lambda s: s.job == s.job, {("job", name) for name in type(_spec().job).model_fields}),
    ],
)
def test_every_way_into_a_section_is_seen(look: Any, reads: set[incremental.Path]) -> None:
    spec, seen = _spec(), set[incremental.Path]()
    assert look(tracked(spec, seen)) == look(spec)
    assert seen == reads


# --- comparing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, set()),
        ({"a": 1}, {"a": 2}, {("a",)}),
        ({"a": 1}, {"a": True}, {("a",)}),
        ({"a": 1}, {"a": 1.0}, {("a",)}),
        ({"a": 0.0}, {"a": -0.0}, {("a",)}),
        ({"a": None}, {"a": "x"}, {("a",)}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, {("a", 1, "b")}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": 1}, {"a": {}}, None),
        ({"a": {}}, {"a": None}, None),
        ({"a": [1]}, {"a": [1, 2]}, None),
        ({"a": [1]}, {"a": (1,)}, None),
        ({"a": 1}, {}, None),
    ],
)
def test_changes(old: Any, new: Any, found: set[incremental.Path] | None) -> None:
    assert changes(old, new) == found
    assert Incremental()._changes(old, new) == found


def test_sections_of_another_kind_have_another_shape() -> None:
    assert changes(_spec("trainer=sft-lora"), _spec("trainer=command", "trainer.command=[run]")) is None
    assert changes(_spec(), _spec("trainer.lr=3e-4")) == {("trainer", "lr"), ("trainer", "args", "learning_rate")}


# --- reusing -----------------------------------------------------------------------------------------


class _Rules:
    def __init__(self, *rules: Callable[[Any], list[Any]]) -> None:
        self.rules = rules

    def read(self, question: Any) -> Any:
        return question

    view = read


def test_a_rule_is_asked_again_only_where_a_value_that_it_read_has_changed() -> None:
    asked: list[str] = []

    def first(subject: Any) -> list[int]:
        asked.append("first")
        return [subject["a"]]

    def second(subject: Any) -> list[int]:
        asked.append("second")
        return [subject["b"] if subject["a"] > 2 else 0]

    rules, reusing = _Rules(first, second), Incremental()
    for number in range(20):
        assert reusing.call(rules, {"a": 1, "b": number}) == [1, 0]
    assert len(asked) < 20
    assert reusing.call(rules, {"a": 3, "b": 5}) == [3, 5]
    assert reusing.call(rules, {"a": 1, "b": 5, "c": 0}) == [1, 0]


# Keys that reach sizes, environment, configuration files, metadata and warnings, and values that break rules.
_AXES: dict[str, list[str]] = {
    "trainer.lr": ["1e-4", "2e-4", "0.5", "1e-9"],
    "trainer.args.lora_rank": ["8", "64", "512"],
    "trainer.batch_size": ["1", "2", "64"],
    "trainer.cutoff_len": ["512", "2048", "65536"],
    "trainer.epochs": ["1", "2.5"],
    "+trainer.args.seed": ["0", "1", "-1"],
    "+trainer.args.bf16": ["true", "false"],
    "+trainer.args.add_tokens": ["[a]", "[a,b]", "x"],
    "trainer.parallel": ["auto", "z2", "z3"],
    "hardware.nodes": ["1", "2", "3"],
    "hardware.devices": ["1", "2", "8"],
    "hardware.memory": ["8Gi+", "8Gi", "80Gi", "2Gi"],
    "hardware.per_card.memory.limit": ["16Gi", "2Gi", "64Gi"],
    "hardware.image": ["a/b:1", "registry.example.com/x/y:latest"],
    "storage.shm": ["auto", "2Gi", "32Gi"],
    "storage.workspace.size": ["1Gi", "100Gi", "8Gi+"],
    "job.grace_period": ["10", "60", "3600"],
    "job.restarts": ["0", "3"],
    "cluster.namespace": ["team-a", "volcano-system"],
    "cluster.queue": ["default", "b"],
    "cluster.priority_class": ["null", "high"],
    "+cluster.annotations.note": [
        "plain",
        "'two\nlines'",
        "'é \"q\" \\\\ $(X)'",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    ],
    "+cluster.labels.team": ["a", "'1'", "'true'", "null"],
    "+hardware.env.HF_TOKEN": ["abcdef", "''"],
    "+hardware.env.WORDS": ["'$(HOME)'", "'7'"],
    "+hardware.env.API": ["{secret: one, key: a}", "{secret: two, key: a}", "plain"],
    "network.master_port": ["29500", "70"],
    "name": ["one", "two", "'a name of many words that is longer than a label of Kubernetes may be'"],
    "model.output_url": ["null", "https://git.example.com/a/b.git"],
    "dataset.name": ["words", "numbers"],
    "trainer.merge": ["true", "false"],
    "trainer.resume": ["true", "false"],
    "trainer.precision": ["auto", "fp16", "fp32"],
    "+trainer.args.deepspeed": ["ds_z3_config.json", "/a/ds_z2.json", "null"],
    "+trainer.args.template": ["qwen3", "llama3"],
    "+trainer.args.warmup_ratio": ["0.0", "-0.0", "0"],
    "job.scripts": ["auto", "configmap", "inline"],
    "job.ttl": ["null", "60"],
    "cluster.volcano_version": ["'1.12'", "'1.14'", "newest"],
    "cluster.kubernetes_version": ["'1.28'", "'1.99'", "newest"],
    "cluster.pod_security": ["null", "restricted"],
    "+allow.FT282": ["words", "'other words'"],
    "tracking": ["mlflow", "none"],
    "model": ["qwen3-0.6b", "qwen2.5-0.5b"],
    "target": ["vcjob", "job"],
    "delivery": ["argocd", "flux", "kubectl"],
}


@st.composite
def _points(draw: st.DrawFn) -> list[tuple[str, ...]]:
    keys = draw(st.lists(st.sampled_from(sorted(_AXES)), min_size=1, max_size=4, unique=True))
    points = [tuple(f"{key}={draw(st.sampled_from(_AXES[key]))}" for key in keys) for _ in range(12)]
    return [*points, *points[::-1]]


@given(_points())
@settings(max_examples=25, deadline=None)
def test_a_job_beside_others_is_the_job_alone(points: list[tuple[str, ...]]) -> None:
    alone = {point: _compiled(point) for point in set(points)}
    reusing = IncrementalCompile()
    before, incremental._WARMUP = incremental._WARMUP, 1  # type: ignore[misc]
    try:
        for point in points:
            assert _compiled(point, reusing.of(tuple(_composed(point).choices.items()))) == alone[point]
    finally:
        incremental._WARMUP = before  # type: ignore[misc]


@st.composite
def _axes(draw: st.DrawFn) -> list[str]:
    keys = draw(st.lists(st.sampled_from(sorted(_AXES)), min_size=1, max_size=3, unique=True))
    return [f"{key}={','.join(draw(st.permutations(_AXES[key])))}" for key in keys]


@given(_axes())
@settings(max_examples=12, deadline=None)
def test_a_point_of_a_sweep_is_the_job_alone(words: list[str]) -> None:
    batch = Batch(_COMPOSER, sweeping.expand(_COMPOSER, words))
    before, incremental._WARMUP = incremental._WARMUP, 1  # type: ignore[misc]
    try:
        for point in (*batch.sweep.points, *batch.sweep.points[::-1]):
            compiled = batch._compile(point)
            assert _outcome(compiled) == _outcome(_alone(point, batch.folder))
    finally:
        incremental._WARMUP = before  # type: ignore[misc]


def _alone(point: Point, folder: str) -> tuple[Compiled, index.Row] | Rejected:
    """Compile a point from its command line, in the position that it has in its sweep."""
    position = SweepPosition(folder, point.label, {key: swept_text(value) for key, value in point.values.items()})
    try:
        composition = _COMPOSER.compose(_COMPOSER.parse(point.overrides))
        job = pipeline.compile_composition(composition, point.overrides, Workspace(_COMPOSER), position)
    except Rejected as rejected:
        return rejected
    return job, index.row(job)


def _outcome(compiled: tuple[Compiled, index.Row] | Rejected) -> tuple[Any, ...]:
    if isinstance(compiled, Rejected):
        return tuple(compiled.diagnostics)
    job, row = compiled
    # The text tells 1 from 1.0 and from true.
    return job.files, job.diagnostics, job.run.judged, row, repr(job.bundle), repr(job.spec)


@cache
def _composed(point: tuple[str, ...]) -> Composition:
    return _COMPOSER.compose(_COMPOSER.parse(point))


def _compiled(point: tuple[str, ...], reuse: Reuse = WITHOUT_REUSE) -> tuple[Any, ...]:
    position = SweepPosition("folder", f"label{len(str(point)) % 7}", {"a": str(point)})
    composition = _composed(point)
    try:
        spec = admit(composition.config)
        job = pipeline.compile_spec(spec, composition, point, _WORKSPACE, position, reuse=reuse)
    except Rejected as rejected:
        return tuple(rejected.diagnostics)
    return dict(job.files), job.diagnostics, job.spec, job.bundle


def test_scopes_ask_every_rule_once() -> None:
    asked = [SPEC, TRAINING, EXPORT, ROLLOUT, ADMISSION, AGREEMENT, LINT]
    assert all(len({rule.code for rule in scope.rules}) == len(scope.rules) > 1 for scope in asked)
