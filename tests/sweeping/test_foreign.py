"""`hydra/sweeper=NAME`: an installed sweeper that enumerates gives the points that it gives Hydra; others a reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from ftgen import cli, runtime, sweeping
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected

PLUGIN = '''
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper


class Diagonal(BasicSweeper):
    """Keeps every second point, in batches, and asks the loader for each."""

    def split_arguments(self, overrides, max_batch_size):
        (points,) = BasicSweeper.split_arguments(overrides, None)
        return [[list(point)] for point in points[::2] if self._seed(point) != 3]

    def _seed(self, point):
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(point))
        return config.trainer.args.get("seed")


class Looking(Sweeper):
    def __init__(self, params=None, ending="looks"):
        self.ending = ending

    def setup(self, *, hydra_context, task_function, config):
        pass

    def sweep(self, arguments):
        if self.ending == "fails":
            raise KeyError("a bug of the plugin")
        if self.ending == "leaves":
            raise SystemExit(3)
        if self.ending == "dies":
            os._exit(3)
        if self.ending == "nothing":
            return
        number = 0
        while True:
            try:
                (result,) = self.launcher.launch([[*arguments, f"trainer.epochs={number + 1}"]], initial_job_idx=number)
                if self.ending == "looks":
                    float(result.return_value)
            except Exception:
                pass
            number += 1


@dataclass
class DiagonalConfig:
    _target_: str = "hydra_plugins.ours.Diagonal"
    max_batch_size: Optional[int] = None
    params: Optional[Dict[str, str]] = None


@dataclass
class LookingConfig:
    _target_: str = "hydra_plugins.ours.Looking"
    params: Optional[Dict[str, str]] = None
    ending: str = "looks"


ConfigStore.instance().store(group="hydra/sweeper", name="diagonal", node=DiagonalConfig)
ConfigStore.instance().store(group="hydra/sweeper", name="looking", node=LookingConfig)
'''
APPLICATION = """
import hydra
from hydra.core.hydra_config import HydraConfig

@hydra.main(config_path=r"{conf}", config_name="config", **({base}))
def app(config):
    print("POINT", "\\t".join(HydraConfig.get().overrides.task))

app()
"""
BASE = 'dict(version_base="1.3") if hydra.__version__.startswith("1.3.") else {}'
WORDS = ["hydra/sweeper=diagonal", "trainer.lr=1e-4,2e-4,3e-4", "hardware=ascend,full-gpu", "storage=nfs"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the plugins, on the path of packages."""
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "ours.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # Hydra looks for plugins once in a process; a test that ran Hydra here found none of ours.
    monkeypatch.delitem(Singleton._instances, Plugins, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def points(*words: str) -> list[tuple[str, ...]]:
    return [point.overrides for point in sweeping.expand(Composer(Request(words)), words).points]


def of_hydra(folder: Path, *words: str) -> list[tuple[str, ...]]:
    (folder / "app.py").write_text(APPLICATION.format(conf=runtime.conf_dir(), base=BASE), encoding="utf-8")
    command = [sys.executable, str(folder / "app.py"), "-m", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return [
        tuple(line.split("\t")) for line in done.stdout.replace("POINT ", "\nPOINT ").split("\n") if "POINT" in line
    ]


def test_its_points_are_those_that_hydra_would_run(elsewhere: Path) -> None:
    theirs = [tuple(text.removeprefix("POINT ") for text in point) for point in of_hydra(elsewhere, *WORDS)]
    assert points(*WORDS) == theirs
    assert len(theirs) == 3


def test_nothing_is_left_behind(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hydra.core.hydra_config import HydraConfig

    assert cli.main(["plan", "-m", *WORDS]) == 0
    assert "3 jobs" in capsys.readouterr().out
    assert list(Path().iterdir()) == []
    assert not HydraConfig.initialized()
    assert "hydra_plugins.ours" not in sys.modules


def test_ftgens_own_keys_need_no_plus_and_settings_hold(elsewhere: Path) -> None:
    found = points(
        *WORDS,
        "trainer.args.seed=1",
        "+sweep.exclude='hardware == ascend_ and trainer.lr > 1e-4'".replace("ascend_", "\\'ascend\\'"),
    )
    assert all("trainer.args.seed=1" in point for point in found)
    assert not [point for point in found if "hardware=ascend" in point and "trainer.lr=0.0001" not in point]
    with pytest.raises(Rejected, match="gives no points"):
        points(*WORDS, "trainer.args.seed=3")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["hydra/sweeper=looking"], "it chooses points by the results of jobs, and none has run"),
        (["hydra/sweeper=looking", "hydra.sweeper.ending=endless"], "it has more than 1000 points"),
        (["hydra/sweeper=looking", "hydra.sweeper.ending=fails"], "KeyError: 'a bug of the plugin'"),
        (["hydra/sweeper=looking", "hydra.sweeper.ending=leaves"], "SystemExit: 3"),
        (["hydra/sweeper=looking", "hydra.sweeper.ending=dies"], "its process ended without an answer"),
        (["hydra/sweeper=looking", "hydra.sweeper.ending=nothing"], "gives no points"),
        (["hydra/sweeper=absent"], "Could not find 'hydra/sweeper/absent' Available options in 'hydra/sweeper': basic"),
        (["hydra/sweeper=diagonal", "+sweep=lora"], "sweep.axes and the sweeper diagonal both say what to sweep"),
    ],
)
def test_one_that_does_not_enumerate_is_refused_with_the_reason(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,2e-4", *words]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert "error[FT030]" in said or "error[FT035]" in said


def test_a_file_cannot_choose_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf").mkdir()
    primary = (runtime.conf_dir() / "config.yaml").read_text(encoding="utf-8")
    chosen = primary.replace("- _self_\n", "- override hydra/sweeper: diagonal\n  - _self_\n", 1)
    Path("conf/config.yaml").write_text(chosen, encoding="utf-8")
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,2e-4"]) == 1
    said = capsys.readouterr().err
    assert "config chooses the sweeper diagonal, a plugin whose code only the command line may run" in said
    assert said.startswith("conf/config.yaml:")
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,2e-4", "hydra/sweeper=basic"]) == 0
    assert cli.main(["plan", "-m", "trainer.lr=1e-4,2e-4", "hydra/sweeper=diagonal"]) == 0
    assert cli.main(["plan"]) == 0
