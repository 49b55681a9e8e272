"""`--cfg job|hydra|all`: what of the configuration is shown, as Hydra tells the parts apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf.basecontainer import BaseContainer

from ftgen import cli, runtime

# Hydra 1.4 has no other behaviour, and warns of being asked for it.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
WORDS = ["hardware=ascend", "trainer.lr=3e-4", "hydra.job.name=mine"]


@pytest.fixture(autouse=True)
def resolvers() -> Iterator[None]:
    """Hydra leaves its resolvers behind."""
    before = dict(BaseContainer._resolvers)
    yield
    BaseContainer._resolvers.clear()
    BaseContainer._resolvers.update(before)


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Any:
        assert cli.main([*words]) == 0
        return yaml.safe_load(capsys.readouterr().out)

    return run


def test_the_job_is_without_hydras_node(show: Any) -> None:
    assert not {"hydra", "sweep"} & show(*WORDS, "--cfg", "job").keys()


def test_hydra_is_hydras_node_alone_and_says_what_hydra_says(show: Any) -> None:
    shown = show(*WORDS, "--cfg", "hydra")
    assert shown.keys() == {"hydra"}
    with initialize_config_dir(str(runtime.conf_dir()), **VERSION_BASE):
        real = compose("config", WORDS, return_hydra_config=True).hydra
    assert shown["hydra"]["overrides"] == {"hydra": list(real.overrides.hydra), "task": list(real.overrides.task)}
    assert shown["hydra"]["runtime"]["version"] == real.runtime.version
    job = {"name": "mine", "config_name": "config", "override_dirname": real.job.override_dirname}
    assert shown["hydra"]["job"] == job
    chosen = {group: option for group, option in real.runtime.choices.items() if not group.startswith("hydra/")}
    assert shown["hydra"]["runtime"]["choices"] == chosen


def test_all_is_both(show: Any) -> None:
    everything = show(*WORDS, "--cfg", "all")
    assert everything == {**show(*WORDS, "--cfg", "hydra"), **show(*WORDS, "--cfg", "job")}


def test_a_part_of_either(show: Any) -> None:
    assert show(*WORDS, "--cfg", "hydra", "-p", "hydra.runtime.choices")["hardware"] == "ascend"
    assert show(*WORDS, "--cfg", "all", "-p", "trainer.lr", "--resolve") == 3e-4


def test_sweeper_parameters_are_hydras(show: Any) -> None:
    word = "hydra.sweeper.params={trainer.epochs: '1,2'}"
    assert show(word, "--cfg", "hydra")["hydra"]["sweeper"] == {"params": {"trainer.epochs": "1,2"}}
