"""Points of another sweeper: an installed plugin of Hydra's that `hydra/sweeper=NAME` chooses.

The plugin runs as in Hydra, with a launcher that notes the jobs and runs none.  It runs in a fork of this process,
because it needs Hydra's global state.  A sweeper that asks for the result of a job, as an optimiser does, cannot go on.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from msgspec import Struct
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected

_BASIC = "hydra/launcher=basic"


class Enumeration(Struct, frozen=True):
    """Result of a sweeper.

    Attributes:
        points: the overrides of each job.
        refusal: why there are none; empty if there are.
    """

    points: tuple[tuple[str, ...], ...] = ()
    refusal: str = ""


class Question(Struct, frozen=True):
    """What a sweeper needs.

    Attributes:
        request: what names the folders and the primary configuration file.
        choices: overrides that choose options or set keys of the node `hydra`.
        tasks: the other overrides, sweeps among them.
        most: largest number of points.
    """

    request: Request
    choices: tuple[str, ...]
    tasks: tuple[str, ...]
    most: int


def enumerate_points(question: Question) -> Enumeration:
    """Return the points that a sweeper enumerates, or why it does not."""
    with ProcessPoolExecutor(1, get_context("fork" if sys.platform == "linux" else "spawn")) as pool:
        try:
            return pool.submit(_asked, question).result()
        except BrokenProcessPool:
            return Enumeration(refusal="its process ended without an answer")


class _Stopped(BaseException):
    """End of a sweeper that cannot go on; no `except Exception` of a plugin holds it up."""


class _Result:
    """Result of a job that never ran: nothing can be asked of it."""

    def _ask(self, *_: object) -> NoReturn:
        raise _Stopped("it chooses points by the results of jobs, and none has run when manifests are written")

    __getattr__ = __float__ = __int__ = __iter__ = __len__ = __lt__ = __gt__ = __bool__ = __getitem__ = _ask


class _Done:
    """What a launcher returns for a job."""

    return_value = _Result()


class _Notebook:
    """Launcher that notes the jobs."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.jobs: list[tuple[str, ...]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[_Done]:  # noqa: ARG002 - Hydra's signature
        """Note jobs."""
        self.jobs += [tuple(map(str, job)) for job in job_overrides]
        if len(self.jobs) > self.most:
            raise _Stopped(f"it has more than {self.most} points; --limit allows more")
        return [_Done() for _ in job_overrides]


class _Loader:
    """Hydra's loader, but that ftgen composes single points: it knows keys of its own that need no `+`."""

    def __init__(self, loader: ConfigLoaderImpl, request: Request) -> None:
        self.loader, self.composer = loader, Composer(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return the configuration of a point; of a point that ftgen will reject, that of the whole sweep."""
        config = copy.deepcopy(master_config)
        OmegaConf.set_readonly(config.hydra, None)
        OmegaConf.set_struct(config, False)
        with suppress(Rejected):
            config.update(self.composer.compose(self.composer.parse(sweep_overrides)).config)
        config.hydra.overrides.task = list(sweep_overrides)
        return config


def _asked(question: Question) -> Enumeration:
    os.dup2(2, 1)  # standard output is for manifests
    notebook = _Notebook(question.most)
    try:
        with TemporaryDirectory() as folder:
            _sweep(question, notebook, folder)
    except _Stopped as stopped:
        return Enumeration(refusal=str(stopped))
    except (HydraException, OmegaConfBaseException) as failure:
        return Enumeration(refusal=" ".join(str(failure).split("\nConfig search path")[0].split()))
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - the plugin's own failure, whatever it is
        return Enumeration(refusal=f"{type(failure).__name__}: {failure}")
    return Enumeration(tuple(notebook.jobs))


def _sweep(question: Question, notebook: _Notebook, folder: str) -> None:
    """Run a sweeper; `folder` takes what it writes."""
    plugins = Plugins.instance()
    setup_globals()
    loader = ConfigLoaderImpl(_search_path(question.request.search_path()))
    config = loader.load_configuration(question.request.config_name, [*question.choices, _BASIC], RunMode.MULTIRUN)
    with flag_override(config, ["struct", "readonly"], [False, False]):
        OmegaConf.update(config, "hydra.sweep.dir", folder)
        OmegaConf.update(config, "hydra.runtime.output_dir", folder)
    HydraConfig.instance().set_config(config)
    composing: Any = _Loader(loader, question.request)
    context = HydraContext(config_loader=composing, callbacks=Callbacks())
    sweeper: Any = plugins.instantiate_sweeper(config=config, hydra_context=context, task_function=lambda _: None)
    sweeper.launcher = notebook
    sweeper.sweep(arguments=list(question.tasks))


def _search_path(folders: Sequence[Path]) -> ConfigSearchPathImpl:
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    for folder in folders:
        search_path.append("main", f"file://{folder.absolute()}")
    search_path.append("schema", "structured://")
    return search_path
