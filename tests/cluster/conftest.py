"""One cluster for all parts of the suite, and the table of what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftgen import runtime
from ftgen.config.compose import Composer, Request

from . import facts, programs
from .jobs import Desk
from .kubectl import Kubectl
from .site import CLAIMS, Site
from .summary import FOLDER, Summary, parts

SUMMARY = pytest.StashKey[Summary]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SUMMARY] = Summary()
    config.addinivalue_line("markers", "needs(*names): what must run on the cluster, or the check is left out")
    config.pluginmanager.register(_Reports(config.stash[SUMMARY]))


class _Reports:
    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = Path(report.location[0])
        if file.parent.name == FOLDER.name and file.name in parts():
            self.summary.note(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.summary.counts:
            terminalreporter.section("cluster")
            for line in self.summary.lines():
                terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The cluster that KUBECONFIG names, with the suite's own part, which is removed at the end."""
    named = os.environ.get("KUBECONFIG")
    if not named or not Path(named).is_file():
        pytest.exit("name a cluster: make test-cluster KUBECONFIG=FILE (`make cluster` starts one)", returncode=2)
    kubectl = Kubectl(Path(named))
    made = Site(kubectl, facts.look(kubectl))
    try:
        made.prepare()
        made.programs = programs.running(made)
        request.config.stash[SUMMARY].ran_on = made.rows()
        yield made
    finally:
        made.remove_all()


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Leave a check out, with the reason, where the cluster lacks what it needs."""
    marks = list(request.node.iter_markers("needs"))
    if not marks:
        return
    site = request.getfixturevalue("site")
    missing = sorted({name for mark in marks for name in mark.args} - site.has)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="session")
def composer() -> Composer:
    """The packaged configuration."""
    return Composer(Request(config_path=runtime.conf_dir()))


@pytest.fixture
def namespace(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the check's own."""
    made = site.namespace(request.node.originalname.removeprefix("test_").replace("_", "-")[:30].strip("-"))
    site.claim(made, *CLAIMS)
    yield made
    site.remove(made)


@pytest.fixture
def desk(site: Site, composer: Composer, namespace: str) -> Desk:
    """Where the check submits jobs."""
    return Desk(site, composer, namespace)
