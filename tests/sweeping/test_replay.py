"""The fast way gives what composing and compiling each point alone gives, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import pipeline, runtime, sweeping
from ftgen.config.compose import Composer, Composition, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.pipeline import SweepPosition, Workspace
from ftgen.sweeping.batch import Batch
from ftgen.sweeping.replay import FrameCache

_FILES = {
    "config.yaml": """
defaults: [{shape: round}, {size: small}, {edge: "${shape}"}, _self_]
top: 1
copied: ${top}
told: "a ${top} b ${size.width}"
deep: {value: 2, near: "${.value}", up: "${..top}", list: [1, "${deep.value}"], whole: "${size}"}
chained: ${copied}
both: "${top}/${deep.value}"
free: {}
nothing: null
""",
    "shape/round.yaml": "corner: null\nof: ${top}\n",
    "shape/square.yaml": "corner: ${deep.value}\nextra: {a: 1}\n",
    "edge/round.yaml": "soft: true\n",
    "edge/square.yaml": "soft: ${top}\n",
    "size/small.yaml": "width: 1\nheights: [1, 2]\n",
    "size/large.yaml": "width: ${deep.value}\nheights: ${deep.list}\nname: ${hydra:runtime.choices.shape}\n",
    "size/clever.yaml": "width: ${oc.select:top}\nheights: ['${top}']\n",
    "size/nested.yaml": "width: ${deep.${pick}}\nheights: []\npick: value\n",
    "preset/wide.yaml": "# @package _global_\ndefaults: [{override /size: large}]\ntop: 7\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("conf")
    for name, text in _FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


_plain = st.sampled_from(
    [
        "0",
        "1",
        "-3",
        "1.5",
        "1e-05",
        "nan",
        "true",
        "null",
        "text",
        "'two words'",
        "''",
        "a/b.c",
        r"'it\'s'",
        r"'back\\slash'",
    ]
)
_odd = st.sampled_from(
    [
        "[1,2]",
        "[]",
        "[[1],{a:2}]",
        "['${top}']",
        "{a:1}",
        "{value:{x:1}}",
        "${deep.value}",
        "'a ${top}'",
        "???",
        "'\\${top}'",
    ]
)
_value = st.one_of(_plain, _plain, _odd)
_keys = st.sampled_from(
    [
        "top",
        "deep.value",
        "deep",
        "deep.list",
        "deep.list.0",
        "size.width",
        "size.heights",
        "nothing",
        "+free.a",
        "++free.a.b",
        "+free",
        "++top",
        "+new.key",
        "shape.corner",
        "shape.extra.a",
        "unknown",
    ]
)
_constant = st.one_of(
    st.builds("{}={}".format, _keys, _value),
    st.sampled_from(
        [
            "shape=square",
            "size=large",
            "size=clever",
            "+size=nested",
            "size=nested",
            "~deep.up",
            "~size",
            "+preset=wide",
            "~top=1",
            "size={width:3}",
        ]
    ),
)
_points = st.lists(_keys, min_size=1, max_size=3, unique=True).flatmap(
    lambda keys: st.lists(st.tuples(*(st.builds(f"{key}={{}}".format, _value) for key in keys)), min_size=2, max_size=4)
)


def outcome(compose: object, overrides: tuple[str, ...]) -> Composition | tuple[Diagnostic, ...]:
    try:
        return compose(overrides)  # type: ignore[operator]
    except Rejected as rejected:
        return rejected.diagnostics


def same(one: object, other: object) -> bool:
    """Equal, `nan` to itself and 1 not to True: as text, which is what becomes of every value."""
    return repr(one) == repr(other)


@given(constants=st.lists(_constant, max_size=3), points=_points, first=st.booleans())
@settings(max_examples=200, deadline=None)
def test_replay_is_compose(folder: Path, constants: list[str], points: list[tuple[str, ...]], first: bool) -> None:
    composer = Composer(Request(config_path=folder))
    frames = FrameCache(composer, {text.partition("=")[0].lstrip("+") for text in points[0]})
    for point in points:
        overrides = (*constants, *point) if first else (*point, *constants)
        assert same(
            outcome(frames.compose, overrides),
            outcome(lambda words: composer.compose(composer.parse(words)), overrides),
        )


def test_points_of_one_shape_are_composed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composer = Composer(Request(config_path=folder))
    frames = FrameCache(composer, {"top", "deep.value"})
    composed = []
    whole = composer.compose_with_unresolved
    monkeypatch.setattr(
        composer, "compose_with_unresolved", lambda overrides: composed.append(overrides) or whole(overrides)
    )
    for top in range(5):
        found = frames.compose((f"top={top}", f"deep.value={top}.5", "shape=square"))
        assert found.config["told"] == f"a {top} b 1"
        assert found.config["both"] == f"{top}/{top}.5"
        assert found.config["shape"]["corner"] == top + 0.5
    assert len(composed) == 1


_SWEPT = st.lists(
    st.sampled_from(
        [
            "trainer.lr=1e-4,0.0002,3e-05",
            "trainer.args.lora_rank=8,16",
            "trainer.cutoff_len=512,1024",
            "+trainer.args.seed=1,2",
            "trainer.args.lora_target=choice([q_proj,v_proj],all)",
            "hardware=ascend,nvidia-vgpu",
            "model=qwen3-0.6b,qwen3-1.7b",
            "cluster.namespace=team-a,team-b",
            "cluster.labels={team:a},{team:b}",
            "tracking=mlflow,none",
            "trainer.batch_size='${trainer.gradient_accumulation}',4",
            "hardware.nodes=1,2",
            "name=one,two",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


@given(_SWEPT)
@settings(max_examples=25, deadline=None)
def test_a_swept_job_is_the_job_compiled_alone(words: list[str]) -> None:
    request = Request(config_path=runtime.conf_dir())
    batch = Batch(Composer(request), sweeping.expand(Composer(request), words))
    alone = Composer(request)
    workspace = Workspace(alone)
    for job in batch:
        position = SweepPosition(job.identity.folder, job.identity.label, job.identity.swept)
        composition = alone.compose(alone.parse(job.identity.overrides))
        again = pipeline.compile_composition(composition, job.identity.overrides, workspace, position)
        assert again.files == job.files
