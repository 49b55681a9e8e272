"""The `sweep` section: pairs, conditions, samples, options, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftgen import runtime, sweeping
from ftgen.cli import request
from ftgen.cli.arguments import parse
from ftgen.config import catalog
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected
from ftgen.pipeline import compile_job
from ftgen.sweeping import settings
from ftgen.sweeping.batch import Batch

from .conftest import composer_with, labels, overrides

LR = "trainer.lr=1e-4,2e-4,3e-4"
RANK = "trainer.args.lora_rank=8,16,32"


def refused(composer: Composer, *words: str, **limits: int) -> Any:
    with pytest.raises(Rejected) as failure:
        sweeping.expand(composer, words, **limits)
    return failure.value.diagnostics[0]


def test_paired_axes_advance_together(composer: Composer) -> None:
    found = sweeping.expand(
        composer, ["name=a,b", LR, "model=qwen3-0.6b,qwen3-8b", RANK, "sweep.zip=[trainer.lr,trainer.args.lora_rank]"]
    )
    assert overrides(found)[:4] == [
        ("name=a", "trainer.lr=0.0001", "model=qwen3-0.6b", "trainer.args.lora_rank=8"),
        ("name=a", "trainer.lr=0.0001", "model=qwen3-8b", "trainer.args.lora_rank=8"),
        ("name=a", "trainer.lr=0.0002", "model=qwen3-0.6b", "trainer.args.lora_rank=16"),
        ("name=a", "trainer.lr=0.0002", "model=qwen3-8b", "trainer.args.lora_rank=16"),
    ]
    assert len(found.points) == 2 * 3 * 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trainer.lr=1,2", RANK], "trainer.lr has 2, trainer.args.lora_rank has 3"),
        ([LR], "sweep.zip pairs trainer.args.lora_rank, which is not swept"),
    ],
)
def test_uneven_pairs_are_refused(composer: Composer, words: list[str], told: str) -> None:
    found = refused(composer, *words, "sweep.zip=[trainer.lr,trainer.args.lora_rank]")
    assert found.code == "FT033"
    assert told in found.headline


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("trainer.lr > 2e-4", 6),
        ("trainer.lr > 2e-4 and trainer.args.lora_rank == 32", 8),
        ("not (trainer.lr == 1e-4 or trainer.lr == 2e-4)", 6),
        ("trainer.args.lora_rank in [8, 16]", 3),
        ("trainer.args.lora_rank not in (8, 16)", 6),
        ("8 <= trainer.args.lora_rank < 32", 3),
        ("model == 'qwen3-0.6b' and trainer.lr == 1e-4", 6),
        ("model.parameters > 1e12", 9),
        ("hardware.devices == -1", 9),
        ("model.revision > 3", 9),
        ("model.revision == null and trainer.lr == 3e-4", 6),
        ("hardware == 'ascend' or trainer.lr == 1e-4", 6),
        ("hardware in ['ascend', 'nvidia-vgpu'] and trainer.lr == 1e-4", 6),
        ("'vgpu' in hardware and trainer.lr == 1e-4", 6),
        ("experiment == null and trainer.lr == 1e-4", 6),
        ("trainer.lr in ['auto', 1e-4]", 6),
        ("trainer.lr == 'auto' or trainer.lr == 1e-4", 6),
        ("model.revision == 'main' or trainer.lr == 1e-4", 6),
        ("model.name == 8 or trainer.lr == 1e-4", 6),
    ],
)
def test_a_condition_leaves_points_out(composer: Composer, condition: str, left: int) -> None:
    assert len(labels(composer, LR, RANK, f'sweep.exclude="{condition}"')) == left


def test_points_must_meet_one_of_the_conditions_to_include(composer: Composer) -> None:
    conditions = "sweep.include=['trainer.lr == 1e-4','trainer.args.lora_rank == 8']"
    assert len(labels(composer, LR, RANK, conditions)) == 5


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("__import__('os').system('true')", "is not among keys, values"),
        ("trainer.lr.__class__", "which no job has"),
        ("(lambda: 1)()", "is not among keys, values"),
        ("trainer.lr is 1", "compare with =="),
        ("trainer.lr +", "is no condition"),
        ("trainer.lr > 'a'", "cannot be evaluated"),
        ("trainer.rl > 1", "a condition speaks of trainer.rl, which no job has"),
        ("[x for x in y]", "is not among keys, values"),
        ("(" * 300 + "1" + ")" * 300, "is no condition"),
        ("true or " * 400 + "true", "longer than 2000 characters"),
    ],
)
def test_a_condition_is_no_program(composer: Composer, condition: str, told: str) -> None:
    found = refused(composer, LR, f'sweep.exclude="{condition}"')
    assert found.code == "FT032"
    assert told in found.headline


@pytest.mark.parametrize(
    ("condition", "value", "near"),
    [
        ("hardware == 'ascnd'", "'ascnd'", "did you mean ascend"),
        ("'ascnd' != hardware", "'ascnd'", "did you mean ascend"),
        ("trainer.lr > 0 and not hardware in ('ascend', 'ascnd')", "'ascnd'", "did you mean ascend"),
        ("trainer.lr == 1 or hardware not in ['zzz']", "'zzz'", "choose one of amd, ascend"),
        ("hardware == 8", "8", "choose one of amd, ascend"),
    ],
)
@pytest.mark.parametrize("setting", ["exclude", "include"])
def test_an_option_that_no_file_has_is_refused(
    setting: str, condition: str, value: str, near: str, composer: Composer
) -> None:
    found = refused(composer, LR, f'sweep.{setting}="{condition}"')
    told = f"the condition {condition!r} speaks of an option {value} that the group hardware does not have"
    assert (found.code, found.headline) == ("FT032", told)
    assert found.help.startswith(near)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("trainer.lr == '1e-4'", "the text '1e-4' with 0.0001"),
        ("'1e-4' != trainer.lr", "the text '1e-4' with 0.0001"),
        ("trainer.args.lora_rank in ['4', '16']", "the text '4' with 8"),
        ("trainer.args.lora_rank not in ['4']", "the text '4' with 8"),
        ("model.name == 'x' or model.revision == 'null'", "the text 'null' with null"),
        ("trainer.args.bf16 == 'True'", "the text 'True' with true"),
        ("trainer.args.output_name == 3", "the text '3' with 3"),
    ],
)
def test_a_text_that_spells_what_it_is_compared_with_is_refused(composer: Composer, condition: str, told: str) -> None:
    more = ["+trainer.args.output_name='3'", "+trainer.args.bf16=true"]
    found = refused(composer, LR, RANK, *more, f'sweep.exclude="{condition}"')
    assert (found.code, f"it compares {told}, which is no text" in found.headline) == ("FT032", True)


@pytest.mark.parametrize(
    ("words", "setting", "unused"),
    [
        (["sweep.exclude='trainer.lr == 5'"], "sweep.exclude", ["trainer.lr == 5"]),
        (["sweep.exclude=\"hardware == 'ascend'\""], "sweep.exclude", ["hardware == 'ascend'"]),
        (["sweep.exclude=['trainer.lr == 1e-4','trainer.lr == 5']"], "sweep.exclude", ["trainer.lr == 5"]),
        (["sweep.include=['trainer.lr == 1e-4','trainer.lr == 5']"], "sweep.include", ["trainer.lr == 5"]),
        (
            ["sweep.also={axes:{trainer.epochs:[1,2]},exclude:'trainer.epochs == 7'}"],
            "sweep.also[0].exclude",
            ["trainer.epochs == 7"],
        ),
        # What an earlier condition decides alone, a point meets all the same.
        (["sweep.exclude=['trainer.lr >= 2e-4','trainer.lr == 2e-4']"], "", []),
        (["sweep.include=['trainer.lr >= 2e-4','trainer.lr == 2e-4']"], "", []),
        (["sweep.exclude='trainer.lr == 1e-4'"], "", []),
    ],
)
def test_a_condition_that_no_point_meets_is_told(
    words: list[str], setting: str, unused: list[str], composer: Composer
) -> None:
    found = sweeping.expand(composer, [LR, *words]).diagnostics
    told = [f"{setting} says {text!r}, which no point meets" for text in unused]
    assert [(d.code, d.headline, d.subject) for d in found] == [("FT037", text, setting) for text in told]


def test_a_condition_may_keep_a_later_one_from_points_without_its_key(composer: Composer) -> None:
    conditions = "sweep.exclude=[\"trainer == 'sft-full'\",'trainer.args.lora_rank == 9']"
    found = sweeping.expand(composer, ["trainer=sft-lora,sft-full", conditions])
    assert [point.label for point in found.points] == ["sft-lora"]
    assert [d.code for d in found.diagnostics] == ["FT037"]


def test_a_sample_is_the_same_on_every_run_and_keeps_the_order(composer: Composer) -> None:
    whole = labels(composer, LR, RANK)
    some = labels(composer, LR, RANK, "sweep.sample=4")
    assert some == labels(composer, LR, RANK, "sweep.sample=4")
    assert some == [label for label in whole if label in some]
    assert len(some) == 4
    assert some != labels(composer, LR, RANK, "sweep.sample=4", "sweep.shuffle=7")


def test_one_value_more_keeps_most_of_a_sample(composer: Composer) -> None:
    axis = "trainer.args.seed=range(0,{})"
    few = set(labels(composer, axis.format(50), "sweep.sample=20"))
    more = set(labels(composer, axis.format(51), "sweep.sample=20"))
    assert len(few & more) >= 19


def test_shuffling_changes_the_order_alone(composer: Composer) -> None:
    plain, mixed = labels(composer, LR, RANK), labels(composer, LR, RANK, "sweep.shuffle=3")
    assert sorted(plain) == sorted(mixed)
    assert plain != mixed


def test_an_optional_override_is_set_where_the_option_knows_it(composer: Composer) -> None:
    found = labels(composer, "trainer=sft-lora,sft-full", RANK, "sweep.optional=[trainer.args.lora_rank]")
    assert found == ["sft-lora-r8", "sft-lora-r16", "sft-lora-r32", "sft-full"]


def test_an_optional_override_that_no_option_sets_is_set_everywhere(composer: Composer) -> None:
    words = ["trainer.args.warmup_steps=0,100", LR, "sweep.optional=[trainer.args.warmup_steps]"]
    assert len(labels(composer, *words)) == 2 * 3


def test_an_optional_choice_is_made(composer: Composer) -> None:
    found = sweeping.expand(composer, ["+experiment=nope,none-such", "sweep.optional=[experiment]"])
    with pytest.raises(Rejected, match="nope"):
        list(Batch(composer, found))


@pytest.mark.parametrize("key", ["+trainer.args.seed", "trainer.args.seed"])
def test_the_keys_of_settings_may_have_a_prefix(key: str, composer: Composer) -> None:
    words = ["trainer.lr=1e-4,2e-4", "+trainer.args.seed=1,2", f"+sweep.zip=[trainer.lr,'{key}']"]
    assert labels(composer, *words) == ["s1-lr1e-4", "s2-lr2e-4"]
    read = settings.read({"alias": {key: "start"}, "optional": [key]})
    assert (read.alias, read.optional) == ({"trainer.args.seed": "start"}, {"trainer.args.seed"})


@pytest.mark.parametrize(
    ("words", "told", "subject"),
    [
        (["+sweep.alias={trainer.lrr: rate}"], "sweep.alias names trainer.lrr, which is not swept", "sweep.alias"),
        (["trainer.epochs=1,2,1"], "trainer.epochs has a value more than once: 1 is one point", "trainer.epochs"),
        (["+sweep.optional=[model]"], "sweep.optional names model, which nothing sets", "sweep.optional"),
    ],
)
def test_what_has_no_effect_is_told(composer: Composer, words: list[str], told: str, subject: str) -> None:
    found = sweeping.expand(composer, [LR, *words]).diagnostics
    assert [(d.code, d.headline, d.subject) for d in found] == [("FT037", told, subject)]


def test_more_points_than_the_limit_need_saying_so(composer: Composer) -> None:
    assert refused(composer, LR, RANK, limit=8).code == "FT034"
    assert len(labels(composer, LR, RANK, limit=9)) == 9
    assert len(labels(composer, LR, RANK, "sweep.sample=8", limit=8)) == 8


def test_an_endless_product_is_refused_before_it_is_made(composer: Composer) -> None:
    words = [f"+trainer.args.x{n}=range(0,1000000000)" for n in range(5)]
    assert refused(composer, *words).code == "FT034"


@pytest.mark.parametrize(
    ("sweep", "points"),
    [("range(0,5,1e-9)", 5_000_000_000), ("range(1000000)", 10**6), ("range(9,0,-0.0001)", 90_000), ("range(inf)", 10)],
)
def test_a_long_range_is_counted_and_not_walked(composer: Composer, sweep: str, points: int) -> None:
    found = refused(composer, f"trainer.lr={sweep}", limit=9)
    assert (found.code, f" {points} points" in found.headline) == ("FT034", True)


def test_only_the_last_value_of_a_key_counts(composer: Composer) -> None:
    assert len(labels(composer, "trainer.lr=range(0,5,1e-9)", "trainer.lr=1e-4,2e-4")) == 2


def test_a_sweep_without_points_is_refused(composer: Composer) -> None:
    assert "every point is excluded" in refused(composer, LR, 'sweep.exclude="trainer.lr > 0"').headline
    assert "model has no values" in refused(composer, "model=glob(nothing*)").headline


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("sweep.sampel=3", "a sweep has no 'sampel'"),
        ("sweep.sample=0", "sweep.sample must be a whole number from 1 on, not 0"),
        ("sweep.sample=true", "sweep.sample must be a whole number"),
        ("sweep.zip=trainer.lr", "sweep.zip must be a list of two or more keys"),
        ("sweep.axes=[a]", "sweep.axes must be a mapping"),
        ("sweep.axes={trainer.lr:1}", "(trainer.lr has none)"),
        ("sweep.name='a b'", "sweep.name must be a name"),
        ("sweep.alias={a:B}", "sweep.alias must be a mapping"),
        ("sweep.exclude=3", "sweep.exclude must be a text"),
    ],
)
def test_what_a_sweep_does_not_know_is_refused(composer: Composer, word: str, told: str) -> None:
    found = refused(composer, LR, word)
    assert found.code == "FT031"
    assert told in found.headline


def test_a_sweep_is_an_option_of_its_own(beside: Path) -> None:
    (beside / "sweep").mkdir()
    (beside / "sweep" / "mine.yaml").write_text(
        "axes:\n  trainer.lr: [1e-4, 2e-4]\n  model: [qwen3-0.6b]\n  trainer.args.run: [null, 'a,b', '1']\n"
        "  trainer.args.seed: range(0,2)\nexclude: trainer.lr == 2e-4\n",
        encoding="utf-8",
    )
    found = sweeping.expand(composer_with(beside), ["+sweep=mine", "trainer.lr=1e-4,2e-4,3e-4"])
    assert found.settings.name == "mine"
    assert overrides(found)[0] == (
        "trainer.lr=0.0001",
        "model=qwen3-0.6b",
        "trainer.args.run=null",
        "trainer.args.seed=0",
    )
    assert {text for point in overrides(found) for text in point if "run" in text} == {
        "trainer.args.run=null",
        "trainer.args.run='a,b'",
        "trainer.args.run='1'",
    }
    assert len(found.points) == 2 * 3 * 2


def test_a_sweep_option_must_not_speak_of_the_job(beside: Path) -> None:
    (beside / "sweep").mkdir()
    text = "# @package _global_\nsweep: {axes: {trainer.lr: [1e-4]}}\nname: mine\n"
    (beside / "sweep" / "mine.yaml").write_text(text, encoding="utf-8")
    assert refused(composer_with(beside), "+sweep=mine").code == "FT031"


def test_hydras_own_parameters_come_first(beside: Path) -> None:
    (beside / "experiment").mkdir()
    text = "# @package _global_\nhydra: {sweeper: {params: {trainer.lr: '1e-4,2e-4', trainer.epochs: 'range(1,3)'}}}\n"
    (beside / "experiment" / "mine.yaml").write_text(text, encoding="utf-8")
    found = sweeping.expand(composer_with(beside), ["+experiment=mine", "trainer.epochs=5"])
    assert overrides(found) == [
        ("trainer.lr=0.0001", "trainer.epochs=5", "+experiment=mine"),
        ("trainer.lr=0.0002", "trainer.epochs=5", "+experiment=mine"),
    ]


def test_a_sweep_option_without_the_flag_is_refused(composer: Composer) -> None:
    with pytest.raises(Rejected) as failure:
        request.is_sweep(parse(["+sweep=lora"]), composer)
    assert failure.value.diagnostics[0].code == "FT016"


def test_the_section_is_no_part_of_a_job(composer: Composer) -> None:
    one = composer.compose(composer.parse(["sweep.sample=3", "hydra.mode=RUN"]))
    assert "sweep" not in one.config
    assert one.config == composer.compose([]).config


@pytest.mark.parametrize("option", catalog.groups([runtime.conf_dir()])["sweep"])
def test_every_packaged_sweep_renders(composer: Composer, option: str) -> None:
    batch = Batch(composer, sweeping.expand(composer, [f"+sweep={option}"]))
    jobs = list(batch)
    assert batch.folder == option
    assert len(jobs) == len(batch.sweep.points) > 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("+sweep=lora,seeds", "sweeps cannot be swept themselves"),
        ("+sweep=choice(lora)", "sweeps cannot be swept themselves"),
        ("+sweep=glob(*)", "sweeps cannot be swept themselves"),
        ("+sweep@sweep=lora,seeds", "sweeps cannot be swept themselves"),
        ("sweep.sample=1,2", "what says how to sweep cannot be swept"),
        ("hydra.mode=RUN,MULTIRUN", "Hydra's own configuration cannot be swept"),
    ],
)
def test_what_says_how_to_sweep_is_not_swept(composer: Composer, word: str, told: str) -> None:
    found = refused(composer, word, LR)
    assert (found.code, found.headline) == ("FT030", f"{word}: {told}")


def test_two_sweeps_at_once_are_written_as_a_list(composer: Composer) -> None:
    assert len(labels(composer, "+sweep=[lora,seeds]")) == 3 * 3 * 3


OPTIONS = {
    "first": "axes: {trainer.lr: [1.0e-4, 2.0e-4]}\nexclude: [trainer.lr == 1e-4]\n",
    "second": "axes: {trainer.epochs: [1, 2]}\nexclude: [trainer.epochs == 1]\n",
    "third": "axes: {trainer.lr: [3.0e-4]}\n",
}


@pytest.fixture
def options(beside: Path) -> Composer:
    (beside / "sweep").mkdir()
    for name, text in OPTIONS.items():
        (beside / "sweep" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return composer_with(beside)


@pytest.mark.parametrize(
    ("second", "key", "lost"),
    [("second", "sweep.exclude", "['trainer.lr == 1e-4']"), ("third", "sweep.axes.trainer.lr", "[0.0001, 0.0002]")],
)
def test_what_a_second_sweep_would_replace_is_refused(options: Composer, second: str, key: str, lost: str) -> None:
    found = refused(options, f"+sweep=[first,{second}]")
    assert found.code == "FT031"
    assert f"sweep/{second}.yaml replaces {key} of " in found.headline
    assert found.headline.endswith(f"which said {lost}")


@pytest.mark.parametrize(
    ("words", "many"),
    [
        (("+sweep=[first,second]", "sweep.exclude=['trainer.epochs == 1']"), 2),
        (("+sweep=[first,third]", "trainer.lr=4e-4", "sweep.exclude=[]"), 1),
        (("+sweep=[second,third]",), 1),
    ],
)
def test_the_command_line_says_what_holds_for_both_sweeps(options: Composer, words: tuple[str, ...], many: int) -> None:
    assert len(sweeping.expand(options, words).points) == many


PRESETS = {
    "choosing": "# @package _global_\nhydra: {sweeper: {params: {+sweep: lora}}}\n",
    "setting": "# @package _global_\nsweep: {axes: {sweep.sample: [1, 2]}}\n",
    "axes": "# @package _global_\nsweep: {axes: {trainer.lr: [1.0e-4, 2.0e-4]}}\n",
    "parameters": "# @package _global_\nhydra: {sweeper: {params: {trainer.lr: '1e-4,2e-4'}}}\n",
    "plain": "# @package _global_\ntrainer: {epochs: 5}\n",
}


@pytest.fixture
def presets(beside: Path) -> Composer:
    (beside / "experiment").mkdir()
    for name, text in PRESETS.items():
        (beside / "experiment" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return composer_with(beside)


@pytest.mark.parametrize("preset", ["axes", "parameters"])
@pytest.mark.parametrize("values", ["{0},plain", "plain,{0}", "{0},{0}", "choice({0})"])
def test_a_swept_preset_has_no_axes_of_its_own(preset: str, values: str, presets: Composer) -> None:
    sweep = sweeping.expand(presets, [f"+experiment={values.format(preset)}", "model=qwen3-0.6b,qwen3-1.7b"])
    with pytest.raises(Rejected) as rejected:
        list(Batch(presets, sweep))
    (found,) = [d for d in rejected.value.diagnostics if d.code != "FT037"]
    assert (found.code, found.subject) == ("FT030", "experiment")
    assert found.headline.startswith(f"experiment={preset} says how to sweep, and is one of the swept values")


@pytest.mark.parametrize(
    ("preset", "told"),
    [("choosing", "hydra.sweeper.params sets +sweep,"), ("setting", "sweep.axes sets sweep.sample,")],
)
def test_a_file_does_not_sweep_over_what_says_how_to_sweep(preset: str, told: str, presets: Composer) -> None:
    found = refused(presets, f"+experiment={preset}")
    assert (found.code, found.headline) == ("FT030", f"{told} which says how to sweep and is no part of any job")


@pytest.mark.parametrize(("preset", "key"), [("axes", "sweep"), ("parameters", "hydra.sweeper.params")])
def test_a_single_job_of_a_preset_with_a_sweep_is_told(preset: str, key: str, presets: Composer) -> None:
    (told,) = [d for d in compile_job(presets, [f"+experiment={preset}"]).diagnostics if d.code == "FT037"]
    assert told.headline == f"this is one job, and what {key} says is left out"


@pytest.mark.parametrize("preset", ["axes", "parameters"])
def test_a_preset_that_is_chosen_once_brings_its_axes(preset: str, presets: Composer) -> None:
    sweep = sweeping.expand(presets, [f"+experiment={preset}", "model=qwen3-0.6b,qwen3-1.7b"])
    assert len(list(Batch(presets, sweep))) == 4


def test_plain_presets_are_swept(presets: Composer) -> None:
    sweep = sweeping.expand(presets, ["+experiment=plain,qwen3-identity-vgpu"])
    assert len(list(Batch(presets, sweep))) == 2


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("name=mine",), "mine"),
        (("++name=mine",), "mine"),
        (("name=mine", "+sweep.name=tried"), "tried"),
        (("name=a,b",), "sweep"),
        (("name=${model.name}",), "sweep"),
        ((), "sweep"),
    ],
)
def test_a_typed_name_names_the_folder_of_swept_presets(words: tuple[str, ...], folder: str, presets: Composer) -> None:
    jobs = list(Batch(presets, sweeping.expand(presets, ["+experiment=plain,qwen3-identity-vgpu", *words])))
    assert {job.identity.folder for job in jobs} == {folder}
