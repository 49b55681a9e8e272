"""What is wrong with Hydra's side of a configuration: refused at its file and line, and never by a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.rejects.conftest import Reject, run, survives
from tests.rejects.test_files import Write

PRESET = "conf/experiment/ours.yaml"
GLOBAL = "# @package _global_\n"
NO_FORM = "write - GROUP: OPTION, - override /GROUP: OPTION, - OPTION or - _self_"

DEFAULTS: dict[str, tuple[str, str, str]] = {
    "- override /hardware: fullgpu": (
        "FT011",
        "experiment/ours chooses 'fullgpu' of the group hardware, which has no such option",
        "did you mean full-gpu?",
    ),
    "- overide /hardware: full-gpu": (
        "FT007",
        "a defaults list does not know the word 'overide'",
        "did you mean override?",
    ),
    "- optinal /sweep: lora": ("FT007", "a defaults list does not know the word 'optinal'", "did you mean optional?"),
    "- _self": ("FT007", "a defaults list does not know the word '_self'", "did you mean _self_?"),
    "- hardware: full-gpu": (
        "FT011",
        "experiment/ours chooses 'full-gpu' of the group experiment/hardware, which has no such option",
        "write /hardware: without / a group is looked for in the folder of the file",
    ),
    "- override hardware: full-gpu": (
        "FT011",
        "experiment/ours overrides the group experiment/hardware, for which no defaults list has an entry",
        "write override /hardware: without / a group is looked for in the folder of the file",
    ),
    "- override /sweep: lora": (
        "FT011",
        "experiment/ours overrides the group sweep, for which no defaults list has an entry",
        "write - /sweep: lora without override, which adds it",
    ),
    "- override hydra/launcher: joblib": (
        "FT011",
        "experiment/ours overrides the group experiment/hydra/launcher, for which no defaults list has an entry",
        "remove it: ftgen launches and logs nothing, and has none of Hydra's own groups",
    ),
    "- /hardware: full-gpu": (
        "FT011",
        "Multiple values for hardware. To override a value use 'override hardware: full-gpu'",
        "",
    ),
    "- nothing": ("FT011", "In 'experiment/ours': Could not load 'experiment/nothing'.", ""),
    "- 5": ("FT007", "an entry of a defaults list cannot be 5", NO_FORM),
    "- [a]": ("FT007", "an entry of a defaults list cannot be ['a']", NO_FORM),
    "- {1: a}": ("FT007", "an entry of a defaults list cannot be {1: 'a'}", NO_FORM),
    "- {a: b, c: d}": ("FT007", "an entry of a defaults list cannot be {'a': 'b', 'c': 'd'}", NO_FORM),
    "- model: [1]": ("FT007", "an entry of a defaults list cannot be {'model': [1]}", NO_FORM),
}


@pytest.mark.parametrize("entry", DEFAULTS)
def test_an_entry_of_a_presets_defaults_list(
    entry: str, write: Write, reject: Reject, capsys: pytest.CaptureFixture[str]
) -> None:
    code, headline, help_ = DEFAULTS[entry]
    write(PRESET, f"{GLOBAL}defaults:\n  {entry}\n")
    assert reject("+experiment=ours") == [(code, f"{PRESET}:3:5", headline)]
    _, said = run(["+experiment=ours"])
    assert f"help: {help_}" in said if help_ else "help: " not in said
    capsys.readouterr()


def test_two_entries_for_one_group(write: Write, reject: Reject) -> None:
    write(PRESET, f"{GLOBAL}defaults:\n  - override /model: qwen3-8b\n  - override /model: qwen3-4b\n")
    told = "a second entry of this defaults list is for 'override /model'"
    assert reject("+experiment=ours") == [("FT007", f"{PRESET}:4:5", told)]


def test_all_of_a_defaults_list_and_the_command_line_is_told(write: Write, reject: Reject) -> None:
    write(PRESET, f"{GLOBAL}defaults:\n  - optinal /sweep: lora\n  - _self\n")
    assert [(code, place) for code, place, _ in reject("+experiment=ours", "hardware=asend")] == [
        ("FT011", "<command line>:2"),
        ("FT007", f"{PRESET}:3:5"),
        ("FT007", f"{PRESET}:4:5"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "headline"),
    [
        ("defaults: {a: b}\n", "1:1", "defaults is a list, one entry a line"),
        ("# @pakage _global_\nname: x\n", "1", "the header @pakage is not known, and would be read past"),
        ("# @package _global_ x\n", "1", "Hydra reads a comment that begins with @ as a header, which is one word"),
        (
            "# Ours.\n# @package _global_\nname: x\n",
            "2",
            "this header is not read: Hydra reads headers above all comments",
        ),
        ("---\n# @package _global_\nname: x\n", "2", "this header is not read"),
        (f"# @author {'x' * 510}\n# @package _global_\nname: x\n", "2", "this header is not read"),
        ("# Ours.\n# @package\n", "2", "Hydra reads a comment that begins with @ as a header, which is one word"),
    ],
)
def test_a_list_or_a_header_of_another_form(text: str, place: str, headline: str, write: Write, reject: Reject) -> None:
    write(PRESET, text)
    ((code, where, told),) = reject("+experiment=ours")
    assert (code, where) == ("FT007", f"{PRESET}:{place}")
    assert told.startswith(headline)


@pytest.mark.parametrize("first", ["a", "${oc.env:HOME}"])
@pytest.mark.parametrize("links", [400, 5_000])
def test_a_long_chain_of_interpolations_is_one_problem(first: str, links: int, write: Write, reject: Reject) -> None:
    """OmegaConf follows some sixty; each further one would be a problem of its own, found in its own time."""
    chain = [f"  k{number}: ${{trainer.args.k{number - 1}}}\n" for number in range(1, links)]
    write("conf/trainer/ours.yaml", f"defaults: [sft-lora, _self_]\nargs:\n  k0: {first}\n{''.join(chain)}")
    ((code, place, headline),) = reject("trainer=ours")
    assert (code, place.partition(":")[0]) == ("FT014", "conf/trainer/ours.yaml")
    assert "belongs to a chain of too many interpolations" in headline


@pytest.mark.parametrize("one", ["${trainer.args.k%d}", "${.k%d}", "${oc.select:trainer.args.k%d}"])
@pytest.mark.parametrize("both", ["{0}{0}", "['{0}', '{0}']", "{{a: '{0}', b: '{0}'}}"])
def test_values_that_double_are_one_problem(one: str, both: str, write: Write, reject: Reject) -> None:
    if both != "{0}{0}":
        one = one.replace("${.", "${..")  # from within a list or a mapping
    lines = [f"  k{number}: {both.format(one % (number - 1))}\n" for number in range(1, 60)]
    write("conf/trainer/ours.yaml", f"defaults: [sft-lora, _self_]\nargs:\n  k0: a\n{''.join(lines)}")
    ((code, _, headline),) = reject("trainer=ours")
    assert code == "FT014"
    assert headline == "the interpolations of the configuration come to more than anyone writes"


def test_a_long_text_may_be_named_some_times(write: Write, reject: Reject) -> None:
    names = [f"  k{number}: ${{trainer.args.long}}\n" for number in range(50)]
    write("conf/trainer/ours.yaml", f"defaults: [sft-lora, _self_]\nargs:\n  long: {'x' * 10_000}\n{''.join(names)}")
    assert {code for code, *_ in reject("trainer=ours")} == {"FT201"}


def test_of_many_broken_interpolations_some_are_reported(write: Write, reject: Reject) -> None:
    keys = [f"  k{number}: ${{trainer.args.missing}}\n" for number in range(500)]
    write("conf/trainer/ours.yaml", f"defaults: [sft-lora, _self_]\nargs:\n{''.join(keys)}")
    found = reject("trainer=ours")
    assert {code for code, _, _ in found} == {"FT014"}
    assert len(found) == 100


@pytest.mark.parametrize("comment", ["# @author someone", "# see @package", "#", "# me@example.com"])
def test_another_comment_is_no_header(comment: str, write: Write) -> None:
    write(PRESET, f"{comment}\n{GLOBAL}name: x\n")
    survives(["-o", "-", "+experiment=ours"])


@pytest.mark.parametrize(
    ("override", "headline"),
    [
        ("hydra.foo=1", "Hydra has no key 'hydra.foo'"),
        ("+hydra.foo=1", "Hydra has no key 'hydra.foo'"),
        ("hydra.job.chdr=true", "Hydra has no key 'hydra.job.chdr'"),
        ("hydra.mode=5", "hydra.mode cannot be set: Invalid value '5', expected one of [RUN, MULTIRUN]"),
        ("hydra=5", "hydra cannot be set: it is a mapping"),
        ("hydra.sweeper=5", "hydra.sweeper cannot be set: it is a mapping, with the axes under params"),
        (
            "hydra.sweeper.params=[a]",
            "hydra.sweeper.params cannot be set: it is a mapping of keys to values in Hydra's grammar",
        ),
        ("name=run-${hydra:no.such}", "there is no hydra:no.such"),
        ("name=run-${hydra:runtime.choices.modl}", "there is no hydra:runtime.choices.modl"),
        ("model=[0]", "the group model has no option '0'"),
        ("cluster.labels={a: '\udcff'}", "an override is UTF-8 text, and this one is not"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-m",)])
def test_what_is_no_key_or_path_of_hydras(override: str, headline: str, flags: tuple[str, ...], reject: Reject) -> None:
    ((_, place, told),) = reject("trainer.epochs=2", override, *flags)
    assert place == "<command line>:2"
    assert headline in told


def test_keys_of_hydras_in_a_file(write: Write, reject: Reject) -> None:
    write(PRESET, f"{GLOBAL}hydra:\n  mod: MULTIRUN\n  run: {{dri: x}}\n")
    assert reject("+experiment=ours") == [
        ("FT012", f"{PRESET}:3:8", "Hydra has no key 'hydra.mod'"),
        ("FT012", f"{PRESET}:4:14", "Hydra has no key 'hydra.run.dri'"),
    ]


def test_keys_that_hydra_has_are_read_past() -> None:
    survives(["-o", "-", "hydra.run.dir=x", "hydra.job.chdir=false", "hydra.verbose=true", "hydra=null"])
    assert run(["-o", "-", "hydra.run.dir=x", "hydra.job.chdir=false"])[0] == 0


BROKE: list[tuple[list[str], dict[str, str]]] = [
    (["--cfg", "all", "+sweep=lora"], {}),
    (["--cfg", "all", "-p", "sweep", "+sweep=lora"], {}),
    (["--cfg", "job", "-p", "name", "name=${hydra:runtime.choices.model}"], {}),
    (["--cfg", "job", "-p", "model.url", "model.url=${nothing}"], {}),
    (["--cfg", "job", "-p", "name", "name=${oc.decode:'{a: 1'}"], {}),
    (["--cfg", "job", "-p", "..x"], {}),
    (["-o", "-", "-m", "model=[0],[1]"], {}),
    (["-o", "-", "model=[{a: b}]"], {}),
    (["-o", "-", "~hydra"], {}),
    (["--cfg", "job", "--resolve"], {"conf/config.yaml": "# @package 1\njob: ${.x}\n1.5: ${model}\na: {true: x}\n"}),
    (["-o", "-"], {"conf/config.yaml": "hydra: ${oc.env:NOT_SET}\n"}),
    (["-i"], {"conf/config.yaml": "hydra: 99999999999999999999\nsweep: []\n"}),
    (["-o", "-", "-m", "trainer.lr=1,2"], {"conf/config.yaml": "hydra: range(1,3)\n"}),
]


@pytest.mark.parametrize(("words", "files"), BROKE)
def test_what_broke_once(words: list[str], files: dict[str, str], write: Write) -> None:
    for name, text in files.items():
        write(name, text)
    survives(words)


PATCHES = [
    "- {op: remove, path: /metadata}\n",
    "- {op: replace, path: /spec/tasks, value: 5}\n",
    "- {op: replace, path: /spec/tasks/0, value: {name: [a]}}\n",
    "- {op: replace, path: /spec/tasks/0/template, value: null}\n",
    "- {op: add, path: /metadata/labels, value: {1: 2}}\n",
    "- {op: [a], path: /a}\n",
    "- 5\n",
    "{1: 2}\n",
    "apiVersion: v1\nkind: PodTemplate\nmetadata: [1]\n",
    "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: [1]}\n",
    "apiVersion: v1\nkind: PodTemplate\ntemplate: {$patch: delete}\n",
    "apiVersion: v1\nkind: PodTemplate\ntemplate: {metadata: {annotations: {~: x}}}\n",
    "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: {a: b}}\n",
]


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("words", [["-o", "-"], ["diff"], ["export", "kustomize"]], ids=" ".join)
def test_an_overlay_of_another_shape(patch: str, words: list[str], scratch: Path, write: Write) -> None:
    # The model's overlay is merged before the hardware's, which then finds what it left.
    write("overlays/model/qwen3-0.6b/x.yaml", patch)
    survives([*words, "hardware=ascend"])
