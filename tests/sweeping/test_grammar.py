"""Hydra's grammar, and Hydra's points in Hydra's order."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import runtime, sweeping
from ftgen.cli import request
from ftgen.cli.arguments import parse
from ftgen.config.compose import Composer, Request, grammar
from ftgen.diagnostics import Rejected

from .conftest import overrides

COMPOSER = Composer(Request(config_path=runtime.conf_dir()))

_numbers = st.one_of(
    st.integers(-5, 100).map(str),
    st.sampled_from(["1e-4", "2.5e-05", "0.1", "1_000", "inf", "1.0"]),
)
_scalars = st.one_of(
    _numbers,
    st.sampled_from(
        ["true", "null", "abc", "a.b/c", "'quoted, text'", '"a b"', r"a\,b", "[1,2]", "[a,[b]]", "{a:1}", "''"]
    ),
)
_several = st.lists(_scalars, min_size=2, max_size=4).map(",".join)
_ranges = st.builds("range({},{},{})".format, st.integers(-3, 2), st.integers(3, 9), st.sampled_from(["1", "2", "0.5"]))
_choices = st.lists(_scalars, min_size=1, max_size=4).map(lambda items: f"choice({','.join(items)})")
_sortable = st.lists(_numbers, min_size=2, max_size=4).map(",".join)
_values = st.one_of(
    _scalars,
    _several,
    _ranges,
    _choices,
    _sortable.map("sort({})".format),
    _sortable.map("sort({},reverse=true)".format),
    _sortable.map("tag(mine,choice({}))".format),
    _several.map("str({})".format),
    _sortable.map("float({})".format),
    _ranges.map("shuffle({})".format),
)
_value_keys = st.sampled_from(["trainer.lr", "+trainer.args.seed", "++name", "hardware.nodes", "a.b.0"])
_groups = st.sampled_from(
    [
        "model=qwen3-0.6b,qwen3-8b",
        "model=glob(qwen3-*)",
        "model=glob([qwen3-*,yi*],exclude=*-8b)",
        "hardware=ascend",
        "+experiment=choice(qwen3-identity-vgpu,qwen3-identity-ascend)",
        "trainer=sort(sft-lora,dpo-lora)",
        "~tracking",
        "storage@storage=nfs,topolvm",
    ]
)
_words = st.lists(st.one_of(st.builds("{}={}".format, _value_keys, _values), _groups), min_size=1, max_size=4)


@given(_words)
@settings(max_examples=150, deadline=None)
def test_points_are_those_of_hydras_basic_sweeper(words: list[str]) -> None:
    parsed = COMPOSER.parse(words)
    expected = list(dict.fromkeys(map(tuple, BasicSweeper.split_arguments(parsed, None)[0])))
    found = overrides(sweeping.expand(COMPOSER, words, limit=100_000))
    if any("shuffle" in word for word in words):
        expected, found = sorted(expected), sorted(found)
    assert found == expected


_quoted = st.builds(
    lambda text, quote: QuotedString(text, quote).with_quotes(),
    st.text(st.sampled_from("\\\\'\"a1, =$[]{}()é\t"), max_size=6),
    st.sampled_from(Quote),
)
_elements = st.recursive(
    st.one_of(
        _scalars, _quoted, st.sampled_from(["nan", "-inf", "1e16", "-0.0", "NULL", "False", "a-b@c.d", "${a.b}"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        inner.map("{{a:{}}}".format),
    ),
    max_leaves=4,
)
_cast = st.lists(st.sampled_from(["1", "1.0", "true", "nan", "abc", "'null'", "'1'", "'a b'"]), min_size=2, max_size=4)
_sweeps = st.one_of(
    st.lists(_elements, min_size=2, max_size=4).map(",".join),
    st.lists(_elements, min_size=1, max_size=3).map(lambda items: f"choice({','.join(items)})"),
    _cast.map(lambda items: f"str({','.join(items)})"),
    _values,
)


def _is_readable(word: str) -> bool:
    try:
        return bool(OverridesParser.create().parse_override(word))
    except HydraException:  # `choice(null)`
        return False


_swept = st.one_of(st.builds("{}={}".format, _value_keys, _sweeps).filter(_is_readable), _groups)


@given(st.lists(_swept, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_a_swept_value_is_what_its_text_reads_as(words: list[str]) -> None:
    """It is taken from the sweep, typed; only its own text says what a point composed alone would have."""
    composer = Composer(COMPOSER.request)
    texts = {text for each in sweeping.expand(composer, words, limit=100_000).points for text in each.overrides}
    for text in texts:
        (known,) = composer.parse([text])
        assert repr(replace(known, config_loader=None)) == repr(OverridesParser.create().parse_override(text))


def test_the_first_axis_varies_slowest(composer: Composer) -> None:
    expanded = sweeping.expand(composer, ["trainer.lr=1e-4,2e-4", "trainer.epochs=range(1,3)"])
    assert overrides(expanded) == [
        ("trainer.lr=0.0001", "trainer.epochs=1"),
        ("trainer.lr=0.0001", "trainer.epochs=2"),
        ("trainer.lr=0.0002", "trainer.epochs=1"),
        ("trainer.lr=0.0002", "trainer.epochs=2"),
    ]


def test_a_glob_chooses_options_by_name(composer: Composer) -> None:
    found = sweeping.expand(composer, ["model=glob(qwen3-*b, exclude=*a3b*)"]).points
    parser = OverridesParser.create()
    assert {parser.parse_override(point.overrides[0]).value() for point in found} >= {"qwen3-0.6b", "qwen3-8b"}
    assert not [point for point in found if "a3b" in point.label]


def test_shuffle_gives_the_same_order_on_every_run(composer: Composer) -> None:
    """Hydra's own order changes with every run; then so would the index."""
    words = ["trainer.args.seed=shuffle(range(1,30))"]
    random.seed(1)
    first = overrides(sweeping.expand(composer, words))
    random.seed(2)
    assert overrides(sweeping.expand(composer, words)) == first
    assert first != sorted(first)


@pytest.mark.parametrize("word", ["shuffle([{0}])", "shuffle(list=[{0}])", "[[shuffle([{0}])],1]"])
def test_a_shuffled_list_has_the_same_order_on_every_run(word: str) -> None:
    text = "trainer.args.lora_target=" + word.format("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj")
    random.seed(1)
    first = grammar.read(text).value()
    random.seed(2)
    assert grammar.read(text).value() == first
    assert "up_proj" in str(first)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("trainer.lr=interval(0,1)", "only an optimiser can walk an interval()"),
        ("trainer.lr=range(1,2,0)", "cannot be enumerated"),
        ("trainer.lr=range(1,2,false)", "cannot be enumerated"),
        ("trainer.lr=range(nan)", "cannot be enumerated: nan is no number"),
        ("hydra/sweeper=optuna", "the sweeper optuna gives no points: In 'hydra/config': Could not find"),
        ("hydra.mode=RUN,MULTIRUN", "Hydra's own configuration cannot be swept"),
        ("+trainer.args.seed=choice()", "cannot read the override"),
        ("model=glob([1])", "glob() takes names, in which * and ? stand for others, and not 1"),
        ("model=glob(qwen*,[[a]])", "glob() takes names, in which * and ? stand for others, and not ['a']"),
    ],
)
def test_what_cannot_be_enumerated_is_refused_where_it_stands(composer: Composer, word: str, told: str) -> None:
    with pytest.raises(Rejected) as refused:
        sweeping.expand(composer, ["trainer.epochs=1,2", word])
    assert told in refused.value.diagnostics[0].headline
    assert refused.value.diagnostics[0].locations[0].line == 2


@pytest.mark.parametrize(
    "word", ["glob(qwen3-0*)", "glob([qwen3-0*])", "glob(['qwen3-0*'])", 'glob(["qwen3-*"],["*b-*","*[48]b"])']
)
def test_a_glob_takes_names_with_quotes_and_without(composer: Composer, word: str) -> None:
    assert ("model=qwen3-0.6b",) in overrides(sweeping.expand(composer, [f"model={word}"]))


@pytest.mark.parametrize(("word", "values"), [("range(true)", [0]), ("range(true,4,true)", [1, 2, 3])])
def test_a_truth_value_in_a_range_is_a_number_as_hydra_counts_it(
    composer: Composer, word: str, values: list[int]
) -> None:
    expanded = sweeping.expand(composer, [f"trainer.args.seed={word}"])
    assert overrides(expanded) == [(f"trainer.args.seed={value}",) for value in values]


def test_a_launcher_is_ignored_with_a_note(composer: Composer) -> None:
    expanded = sweeping.expand(composer, ["hydra/launcher=submitit_slurm", "trainer.lr=1e-4,2e-4"])
    assert [d.code for d in expanded.diagnostics] == ["FT037"]
    assert overrides(expanded) == [("trainer.lr=0.0001",), ("trainer.lr=0.0002",)]


def test_a_sweep_that_nobody_asked_to_expand_names_hydras_three_ways_out(composer: Composer) -> None:
    with pytest.raises(Rejected) as refused:
        composer.compose(composer.parse(["trainer.lr=1e-4,2e-4"]))
    (told,) = refused.value.diagnostics
    assert told.code == "FT016"
    assert "--multirun (-m)" in told.help
    assert "trainer.lr=[1e-4,2e-4]" in told.help
    assert """write 'trainer.lr="1e-4,2e-4"'""" in told.help


def test_expanding_is_asked_for_by_flag_or_by_hydras_mode(composer: Composer) -> None:
    assert request.is_sweep(parse(["-m", "trainer.lr=1e-4"]), composer)
    assert request.is_sweep(parse(["hydra.mode=MULTIRUN", "trainer.lr=1,2"]), composer)
    assert not request.is_sweep(parse(["trainer.lr=1e-4"]), composer)
