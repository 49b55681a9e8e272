"""What a sweep recalls of earlier jobs is what it would find anew: the same bytes, and the same things said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import pipeline, project, recall, yamlio
from ftgen.compose import Composer, Composition, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import Beside, Place
from ftgen.recall import Recall, changes, watched
from ftgen.rules import ADMISSION, AGREEMENT, LINT, ROLLOUT, SPEC, memory, sizing
from ftgen.spec import Spec, admit
from ftgen.text.paths import put
from ftgen.trainers import llamafactory
from ftgen.trainers.remembered import remembered
from ftgen.trainers.setting import EXPORT, TRAINING

_COMPOSER = Composer(Request(config_path=project.conf_dir()))


def _spec(*words: str) -> Spec:
    return admit(_COMPOSER.compose(_COMPOSER.parse(words)).config)


# --- watching ------------------------------------------------------------------------------------------

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
def test_every_way_into_a_mapping_is_seen(look: Any, reads: set[recall.Path]) -> None:
    seen: recall.Reads = set()
    found = look(watched(_VALUE, seen))
    assert seen == reads
    assert found == look(_VALUE)


def test_a_question_cannot_change_its_subject() -> None:
    with pytest.raises(TypeError, match="changes what it is asked about"):
        watched({"a": 1}, set()).pop("a")


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
def test_every_way_into_a_section_is_seen(look: Any, reads: set[recall.Path]) -> None:
    spec, seen = _spec(), set[recall.Path]()
    assert look(watched(spec, seen)) == look(spec)
    assert seen == reads


def test_what_is_remembered_of_a_specification_depends_on_what_it_is_told_apart_by() -> None:
    told, read = set[recall.Path](), set[recall.Path]()
    remembered(lambda _: None)(watched(_spec(), told))  # type: ignore[arg-type]
    for made in (llamafactory.training, llamafactory.export, memory.training, memory.estimate):
        made.__wrapped__(watched(_spec("trainer=sft-lora"), read))  # type: ignore[attr-defined]
    sections = {"trainer", "model", "dataset", "tracking"}
    assert {path for path in read if path[0] not in sections and path[:2] != ("hardware", "card")} <= told


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
def test_changes(old: Any, new: Any, found: set[recall.Path] | None) -> None:
    assert changes(old, new) == found
    assert Recall()._changes(old, new) == found


def test_sections_of_another_kind_have_another_shape() -> None:
    assert changes(_spec("trainer=sft-lora"), _spec("trainer=command", "trainer.command=[run]")) is None
    assert changes(_spec(), _spec("trainer.lr=3e-4")) == {("trainer", "lr"), ("trainer", "args", "learning_rate")}


# --- recalling -----------------------------------------------------------------------------------------


class _Questions:
    def __init__(self, *questions: Callable[[Any], list[Any]]) -> None:
        self.questions = questions

    def view(self, subject: Any) -> Any:
        return subject

    def ask(self, subject: Any) -> list[Any]:
        return [answer for question in self.questions for answer in question(subject)]


def test_a_question_is_asked_again_only_where_what_it_read_has_changed() -> None:
    asked: list[str] = []

    def first(subject: Any) -> list[int]:
        asked.append("first")
        return [subject["a"]]

    def second(subject: Any) -> list[int]:
        asked.append("second")
        return [subject["b"] if subject["a"] > 2 else 0]

    panel, known = _Questions(first, second), Recall()
    for number in range(20):
        assert known.ask(panel, {"a": 1, "b": number}) == [1, 0]
    assert len(asked) < 20
    assert known.ask(panel, {"a": 3, "b": 5}) == [3, 5]
    assert known.ask(panel, {"a": 1, "b": 5, "c": 0}) == [1, 0]


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
    "trainer.deepspeed": ["auto", "z2", "z3"],
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
    "+hardware.env.NNODES": ["'$(HOME)'", "'7'"],
    "network.master_port": ["29500", "70"],
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
    beside, alone = Beside(_COMPOSER.request.directory), {point: _told(point, None) for point in set(points)}
    before, recall._PATIENCE = recall._PATIENCE, 1  # type: ignore[misc]
    try:
        for point in points:
            assert _told(point, beside) == alone[point]
    finally:
        recall._PATIENCE = before  # type: ignore[misc]


@cache
def _composed(point: tuple[str, ...]) -> Composition:
    return _COMPOSER.compose(_COMPOSER.parse(point))


def _told(point: tuple[str, ...], beside: Beside | None) -> tuple[Any, ...]:
    place = Place("folder", f"label{len(str(point)) % 7}", {"a": str(point)})
    try:
        job = pipeline.compile_composition(_COMPOSER, _composed(point), point, place, beside)
    except Rejected as rejected:
        return tuple(rejected.diagnostics)
    return dict(job.files), job.diagnostics, job.spec, job.bundle


def test_settled_sections_are_shared_and_right() -> None:
    config = _COMPOSER.compose(_COMPOSER.parse(["hardware.memory=8Gi+"])).config
    one, other = (sizing.settle(admit(config)) for _ in range(2))
    assert one == other
    assert one.hardware.memory == "8Gi"


def test_scopes_ask_every_rule_once() -> None:
    asked = [SPEC, TRAINING, EXPORT, ROLLOUT, ADMISSION, AGREEMENT, LINT]
    assert all(len({rule.code for rule in scope.questions}) == len(scope.questions) > 1 for scope in asked)


# --- blanks --------------------------------------------------------------------------------------------

_leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(),
    st.sampled_from(["", "a", "a\nb\n", " x\n", "ftgenBlank0x", "- y", "1"]),
)
_tree = st.recursive(
    _leaf,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c" * 1100]), inner, max_size=3)
    ),
)


def _leaves(value: Any, path: recall.Path = ()) -> list[recall.Path]:
    pairs = (
        list(value.items() if isinstance(value, dict) else enumerate(value)) if isinstance(value, dict | list) else None
    )
    if pairs is None:
        return [path]
    return [leaf for step, part in pairs for leaf in _leaves(part, (*path, step))]


@given(
    st.dictionaries(st.sampled_from(["a", "b", "é"]), _tree, min_size=1),
    st.integers(),
    st.lists(_leaf, min_size=3, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_a_filled_document_is_the_dumped_one(value: dict[str, Any], seed: int, new: list[Any]) -> None:
    leaves = _leaves(value)
    places = random.Random(seed).sample(leaves, min(len(leaves), 3))
    changed = value
    for place, leaf in zip(places, new, strict=False):
        changed = put(changed, place, leaf)
    assert yamlio.Blanked(value, places).fill(new[: len(places)]) == yamlio.dump(changed).encode()
