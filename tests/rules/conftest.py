"""Cases for the rules: data/<stage>.yaml says, rule by rule, which edits of the base job pass and which do not.

An edit is `path: value`; null removes, the position after the last appends.  `task.`, `pod.`, `main.` and
`init.` abbreviate the first task, its pod spec and that spec's first container and init container.  In a
refused case `at` is the finding's exact subject; `version` is Volcano's, the newest unless said.
"""

import copy
import functools
import json
import re
from pathlib import Path

import pytest

from ftgen.text import yamlio
from ftgen.validation.manifest import NEWEST

DATA = Path(__file__).parent / "data"
SHORT = {
    "task": "spec.tasks[0]",
    "pod": "spec.tasks[0].template.spec",
    "main": "spec.tasks[0].template.spec.containers[0]",
    "init": "spec.tasks[0].template.spec.initContainers[0]",
}
STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')


@functools.cache
def documents(name):
    return yamlio.parse_all((DATA / name).read_text(encoding="utf-8"), name)


def full(path):
    head, dot, rest = path.partition(".")
    base, bracket, index = head.partition("[")
    return f"{SHORT.get(base, base)}{bracket}{index}{dot}{rest}"


def edited(edits):
    job = copy.deepcopy(documents("base.yaml")[0])
    for path, value in copy.deepcopy(edits).items():
        steps = [int(i) if i else key or plain for key, i, plain in STEP.findall(full(path))]
        place = job
        for step in steps[:-1]:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        if value is None:
            del place[steps[-1]]
        elif isinstance(place, list) and steps[-1] == len(place):
            place.append(value)
        else:
            place[steps[-1]] = value
    return json.loads(json.dumps(job))


class Case:
    """One edit of the base job: the manifest, Volcano's version and, where refused, the finding's subject."""

    def __init__(self, rule, said):
        said = dict(said)
        self.rule = rule
        self.subject = full(said.pop("at", ""))
        self.version = tuple(map(int, said.pop("version").split("."))) if "version" in said else NEWEST
        self.manifest = edited(said)


def cases(stage, verdict):
    return [
        pytest.param(Case(group["rule"], said), id=f"{group['rule']}-{i}")
        for group in documents(f"{stage}.yaml")[0]
        for i, said in enumerate(group.get(verdict, []))
    ]


def pytest_generate_tests(metafunc):
    for verdict in ("accepts", "refuses"):
        if verdict in metafunc.fixturenames:
            metafunc.parametrize(verdict, cases(metafunc.module.STAGE, verdict))


@pytest.fixture
def base_job():
    return edited({})


@pytest.fixture
def reference_jobs():
    return json.loads(json.dumps(documents("reference.yaml")))


@pytest.fixture
def rules_with_cases(request):
    groups = documents(f"{request.module.STAGE}.yaml")[0]
    return {group["rule"] for group in groups if group.get("accepts") and group.get("refuses")}
