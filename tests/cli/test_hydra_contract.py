"""Hydra's flags side by side with Hydra: an application of `hydra.main` and ftgen compose the same folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf.basecontainer import BaseContainer

from ftgen import cli, runtime

APPLICATION = """\
import os
import hydra

@hydra.main(config_path=os.environ["CONF"], config_name="config", **({base}))
def app(config):
    pass

app()
"""
BASE = 'dict(version_base="1.3") if hydra.__version__.startswith("1.3.") else {}'
FILES = {
    "config.yaml": (
        "defaults:\n- model: small\n- optional gone: nothing\n- card@far: big\n- _self_\nname: first\nseed: 3\n"
        "nothing: null\nlong:\n  text: ${name}-${seed}\n  list: [1, '2']\n"
    ),
    "model/small.yaml": "defaults:\n- /card: little\n- _self_\nwidth: 8\nfrom: ${hydra:runtime.choices.model}\n",
    "model/large.yaml": "# @package _global_\nmodel:\n  width: 16\n",
    "card/little.yaml": "memory: 8\n",
    "card/big.yaml": "memory: 80\n",
    "experiment/one.yaml": "# @package _global_\ndefaults:\n- override /model: large\n- _self_\nname: one\n",
}

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder of options, in a directory without a conf/ of its own."""
    folder = tmp_path / "options"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (tmp_path / "app.py").write_text(APPLICATION.format(base=BASE), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONF", str(folder))
    return folder


@pytest.fixture(autouse=True)
def resolvers() -> Iterator[None]:
    before = dict(BaseContainer._resolvers)
    yield
    assert dict(BaseContainer._resolvers) == before


def hydra(*words: str, status: int = 0) -> str:
    done = subprocess.run([sys.executable, "app.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if not status else done.stderr


@pytest.fixture
def ftgen(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str, status: int = 0) -> str:
        assert cli.main(["-cp", os.environ["CONF"], *words]) == status
        said = capsys.readouterr()
        return said.out if not status else said.err

    return run


# --- --cfg ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--resolve"],
        ["-p", "name"],
        ["-p", "seed"],
        ["-p", "long"],
        ["-p", "long", "--resolve"],
        ["-p", "long.text"],
        ["-p", "long.list"],
        ["-p", "long.list.1"],
        ["-p", "_global_"],
        ["-p", "model.from"],
        ["-p", "model.from", "model=large", "+model.from=${hydra:runtime.choices.model}"],
        ["-p", "name", "name=${hydra:job.name}", "hydra.job.name=mine"],
        ["-p", "name", "name=${hydra:job.name}", "hydra.job.name=${model.width}"],
        ["-p", "name", "name=${hydra:job.config_name}"],
        ["-p", "name", "name=${hydra:overrides.task}", "seed=4"],
        ["-p", "name", "name=${hydra:overrides.hydra}", "hydra.job.name=mine"],
        ["-p", "name", "name=x${hydra:runtime.version}"],
        ["-p", "name", "name=${hydra:job.override_dirname}", "hydra.job.config.override_dirname.exclude_keys=[name]"],
        [
            *("-p", "name", "+experiment=one", "seed=4", "++name='${hydra:job.override_dirname}'"),
            *("hydra.job.config.override_dirname.exclude_keys=[name]", "hydra.job.config.override_dirname.kv_sep=-"),
        ],
    ],
    ids=" ".join,
)
def test_cfg_prints_what_hydra_prints(words: list[str], ftgen: Run) -> None:
    assert ftgen("--cfg", "job", *words) == hydra("--cfg", "job", *words)


@pytest.mark.parametrize("package", ["nope", "long.nope", "nothing"])
def test_a_part_that_is_not_there_or_null_is_refused(package: str, ftgen: Run) -> None:
    hydra("--cfg", "job", "-p", package, status=1)
    assert f"there is no {package!r} in the configuration" in ftgen("--cfg", "job", "-p", package, status=1)


@pytest.mark.parametrize(
    "words",
    [
        ["--resolve"],
        ["--resolve", "--info"],
        ["--cfg", "job", "-m"],
        ["--cfg", "job", "--info", "defaults"],
        ["-m", "--info", "searchpath"],
        ["--run", "-m"],
    ],
    ids=" ".join,
)
def test_flags_that_need_or_exclude_others(words: list[str], ftgen: Run) -> None:
    said = hydra(*words, status=1)
    assert "can only be used" in said or "Only one of" in said
    said = ftgen(*words, status=2)
    assert "goes with --cfg" in said or "only one of" in said


# --- --info --------------------------------------------------------------------------------------------

HYDRAS = re.compile(r"\| (?:hydra/|hydra +\||schema )")
"""Rows about Hydra's own node, and the places of Hydra's own configurations."""


def lines(text: str) -> list[str]:
    """Return the lines of `--info`, without what is Hydra's own, and without the widths of columns."""
    return [re.sub(r"-{9,}|(?<=\S) +(?= \|)", "", line) for line in _without_node(text) if not HYDRAS.match(line)]


def _without_node(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        inside = line == "  hydra/config:" or (inside and line.startswith("    "))
        if not inside:
            yield line


@pytest.mark.parametrize("part", ["defaults", "defaults-tree", "searchpath", "config"])
@pytest.mark.parametrize("words", [[], ["model=large", "seed=4"], ["+experiment=one"], ["~model"], ["card@far=little"]])
def test_info_has_hydras_lines_and_columns(part: str, words: list[str], ftgen: Run) -> None:
    said = hydra("--info", part, *words)
    assert lines(ftgen("--info", part, *words)) == lines(said)
    assert len(lines(said)) > 5


@pytest.mark.parametrize("part", ["defaults", "defaults-tree"])
def test_a_sweep_is_left_out_of_the_defaults(part: str, ftgen: Run) -> None:
    assert lines(ftgen("--info", part, "model=small,large")) == lines(hydra("--info", part, "model=small,large"))


def test_all_of_info_begins_as_hydras(ftgen: Run) -> None:
    ours, theirs = lines(ftgen("--info")), lines(hydra("--info"))
    assert ours[:4] == theirs[:4]
    start = "Config search path"
    assert ours[ours.index(start) :] == theirs[theirs.index(start) :]


def test_the_places_of_a_search_path_have_hydras_names(ftgen: Run, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "further").mkdir()
    words = ["--info", "searchpath", "-cd", str(tmp_path / "more"), f"hydra.searchpath=[file://{tmp_path}/further]"]
    ours, theirs = lines(ftgen(*words)), lines(hydra(*words))
    # --config-dir comes last in Hydra, and first in ftgen, where it shadows.
    assert sorted(ours) == sorted(theirs)
    assert [line.split()[1] for line in ours[5:-1]] == ["command-line", "main", "hydra.searchpath"]


def test_an_unknown_option_is_refused_in_place_of_a_list_without_it(ftgen: Run) -> None:
    hydra("--info", "defaults", "model=huge", status=1)
    assert "the group model has no option 'huge'" in ftgen("--info", "defaults", "model=huge", status=1)


def test_the_packaged_configuration_is_listed_as_hydra_lists_it(ftgen: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONF", str(runtime.conf_dir()))
    words = ["--info", "config", "hardware=ascend", "+experiment=qwen3-identity-vgpu"]
    assert lines(ftgen(*words)) == lines(hydra(*words))


# --- plugins that have no effect -----------------------------------------------------------------------

CHOSEN = "- override hydra/launcher: basic\n- override /hydra/job_logging: none\n"
CONFIGURED = "hydra:\n  callbacks:\n    mine:\n      _target_: mine.Callback\n"
MODES = [
    ("-o", "-"),
    ("plan",),
    ("-m", "-o", "-", "trainer.lr=1e-4,2e-4"),
    ("plan", "-m", "trainer.lr=1e-4,2e-4"),
    ("--cfg", "job"),
    ("--info", "defaults"),
    ("export", "kustomize"),
]


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """The packaged configuration, with a primary file that chooses and configures plugins."""
    folder = tmp_path / "conf"
    folder.mkdir()
    primary = (runtime.conf_dir() / "config.yaml").read_text(encoding="utf-8")
    text = primary.replace("- _self_\n", f"{CHOSEN}- _self_\n".replace("\n-", "\n  -"), 1) + CONFIGURED
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


@pytest.mark.parametrize("mode", MODES, ids=" ".join)
def test_launchers_and_callbacks_are_told_to_have_no_effect(
    mode: tuple[str, ...], packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*mode, "hydra/launcher=submitit_slurm"])
    said = capsys.readouterr().err
    told = re.findall(r"(\S+): note\[FT037\]: (\S+) is ignored: ftgen writes files and launches nothing", said)
    text = packaged.read_text(encoding="utf-8").splitlines()
    lines = {
        what: next(n for n, line in enumerate(text, 1) if what in line) for what in ("hydra/l", "/hydra/j", "call")
    }
    positions = {what: place.split(":")[1] for place, what in told if place.startswith("conf/config.yaml")}
    assert positions == {
        "hydra/launcher=basic": str(lines["hydra/l"]),
        "hydra/job_logging=none": str(lines["/hydra/j"]),
        "hydra.callbacks": str(lines["call"]),
    }
    assert (f"line>:{len([w for w in mode if '=' in w]) + 1}", "hydra/launcher=submitit_slurm") in told


TYPED = {
    "hydra.job.env_set.A=b": "hydra.job.env_set",
    "hydra.job.env_copy=[A]": "hydra.job.env_copy",
    "hydra.job.name=mine": "hydra.job.name",
    "hydra.job.chdir=true": "hydra.job.chdir",
    "hydra.run.dir=x": "hydra.run.dir",
    "hydra.sweep.dir=x": "hydra.sweep.dir",
    "++hydra.sweep.subdir=x": "hydra.sweep.subdir",
    "hydra.output_subdir=null": "hydra.output_subdir",
    "hydra.verbose=true": "hydra.verbose",
    "hydra.launcher={a: 1}": "hydra.launcher",
}


@pytest.mark.parametrize("mode", MODES, ids=" ".join)
def test_what_is_typed_of_hydras_own_node_is_told_to_have_no_effect(
    mode: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*mode, *TYPED])
    said = capsys.readouterr().err
    told = re.findall(r"<command line>:(\d+): note\[FT037\]: (\S+) is ignored: ftgen writes files", said)
    first = len([word for word in mode if "=" in word]) + 1
    assert sorted(told) == sorted((str(first + n), key) for n, key in enumerate(TYPED.values()))


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.mode=RUN"],
        ["hydra.searchpath=[]"],
        ["hydra.sweeper.params=null"],
        ["hydra.job.config.override_dirname.kv_sep=-"],
        ["hydra.job.name=mine", "name=${hydra:job.name}"],
        ["hydra.job={name: mine}", "name=${hydra:job.name}"],
        ["hydra.run.dir=a", "name=${hydra:run.dir}"],
    ],
)
def test_what_has_an_effect_of_hydras_own_node_is_not_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["-o", "-", *words]) == 0
    assert "FT037" not in capsys.readouterr().err


CARRIED = """\
hydra:
  run: {dir: "x/${hydra:job.name}"}
  sweep: {dir: x, subdir: y}
  job: {chdir: false, name: mine}
  verbose: true
  output_subdir: null
  job_logging: {root: {level: INFO}}
"""


@pytest.mark.parametrize("told", [[], ["conf/config.yaml"]])
def test_a_file_is_told_only_of_what_would_reach_the_job(
    told: list[str], packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = CARRIED.replace("job: {chdir: false", "job: {env_set: {A: b}, chdir: false") if told else CARRIED
    primary = (runtime.conf_dir() / "config.yaml").read_text(encoding="utf-8")
    packaged.write_text(primary + node, encoding="utf-8")
    assert cli.main(["-o", "-"]) == 0
    said = capsys.readouterr().err
    assert re.findall(r"(\S+?):\d+:\d+: note\[FT037\]: hydra.job.env_set is ignored", said) == told
    assert said.count("FT037") == len(told)


@pytest.mark.parametrize("above", ["# Ours.\n", "---\n", f"# @author {'x' * 510}\n"])
def test_a_header_that_hydra_does_not_read_is_told(above: str, conf: Path, ftgen: Run) -> None:
    (conf / "model" / "large.yaml").write_text(f"{above}# @package _global_\nwidth: 16\n", encoding="utf-8")
    assert "width" in hydra("--cfg", "job", "-p", "model", "model=large")
    said = ftgen("--cfg", "job", "model=large", status=1)
    assert re.match(r"\S+/model/large.yaml:2: error\[FT007\]: this header is not read", said)


@pytest.mark.parametrize("above", ["", "\n", "#@author someone\n"])
def test_a_header_that_hydra_reads_is_read(above: str, conf: Path, ftgen: Run) -> None:
    (conf / "model" / "large.yaml").write_text(f"{above}# @package _global_\n# Ours.\nwidth: 16\n", encoding="utf-8")
    words = ["--cfg", "job", "model=large"]
    assert ftgen(*words) == hydra(*words)


# --- what differs, with its reason ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("${now:%Y}", "the same configuration gives the same bytes"),
        ("a-${now:%H-%M}", "the same configuration gives the same bytes"),
        ("${hydra:runtime.cwd}", "differs from machine to machine"),
        ("${hydra:runtime.output_dir}", "runs nothing"),
        ("${hydra:job.num}", "has no number"),
        ("${mine:1}", "ftgen has no resolver 'mine'"),
    ],
)
@pytest.mark.parametrize("mode", [["--cfg", "job", "-p", "name"], ["--cfg", "job", "--resolve"], ["-o", "-"]])
def test_what_would_change_the_bytes_is_refused_with_the_reason(
    value: str, reason: str, mode: list[str], ftgen: Run
) -> None:
    said = ftgen(*mode, f"name={value}", status=1)
    assert "error[FT014]" in said
    assert reason in said


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("defaults:\n- config\nname: x\n", True),
        ("defaults:\n- config\n- _self_\nname: x\n", False),
        ("defaults:\n- config\n", False),
        ("defaults:\n- _self_\n- config\nname: x\n", False),
    ],
)
@pytest.mark.parametrize("words", [[], ["-m", "trainer.lr=1e-4,2e-4"], ["--cfg", "job"]], ids=["one", "many", "shown"])
def test_a_primary_configuration_without_self_is_told_once_and_with_its_place(
    text: str,
    is_told: bool,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Hydra warns of it in every run, by a line of its own source."""
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    Path("conf", "team.yaml").write_text(text)
    assert cli.main([*words, "-cn", "team", *([] if "--cfg" in words else ["-o", "out"])]) == 0
    said = capsys.readouterr().err
    assert said.count("note[FT009]") == is_told
    assert "UserWarning" not in said
    if is_told:
        assert "conf/team.yaml:1:1: note[FT009]: the defaults list of team has no _self_" in said
