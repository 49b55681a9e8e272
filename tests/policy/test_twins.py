"""The CEL beside a rule of ftgen's says what the rule says, of every manifest that the schemas accept."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lint import test_lint as lint
from tests.rules import conftest as rules

from ftgen.schema.conform import conform
from ftgen.text import yamlio
from ftgen.validation import Context, validate
from ftgen.validation.cel import Expression
from ftgen.validation.rules import all_rules

ROOT = Path(__file__).parents[2]
TWINS = {rule.name: rule for rule in all_rules().values() if rule.cel}
COMPILED = {name: Expression(rule.cel, "object", bool) for name, rule in TWINS.items()}
NEWEST = Context()


@cache
def manifests():
    """Every job of a case file or a golden, once, as JSON text."""
    stages = [(stage, verdict) for stage in ("admission", "agreement", "pod") for verdict in ("accepts", "refuses")]
    cases = [case for stage in stages for case in rules.cases(*stage)]
    cases += [case for verdict in ("accepts", "refuses") for case in lint.cases(verdict)]
    edited = [case.values[0].manifest for case in cases]
    written = [*(ROOT / "tests/golden/expected").rglob("*.yaml"), *(ROOT / "out").rglob("job-*.yaml")]
    golden = [each for file in written for each in yamlio.read_all(file)]
    jobs = [each for each in (*edited, *golden) if isinstance(each, dict) and each.get("kind") == "Job"]
    return sorted({json.dumps(job, sort_keys=True) for job in jobs if "volcano" in str(job.get("apiVersion"))})


@cache
def accepted_by_the_schema():
    jobs = [json.loads(text) for text in manifests()]
    return [job for job in jobs if not conform(job, volcano_version="newest")]


def said(rule, job):
    """Return whether the rule finds nothing, as Python and as CEL."""
    (scope,) = rule.scopes
    codes = {d.code for d in validate(scope, job, NEWEST, notes=True)}
    return rule.code not in codes, COMPILED[rule.name].value(job)


@pytest.mark.parametrize("name", TWINS)
def test_the_twins_agree_on_every_case_and_golden(name):
    verdicts = [said(TWINS[name], job) for job in accepted_by_the_schema()]
    assert len(verdicts) > 200
    assert {verdict for verdict in verdicts if verdict[0] is not verdict[1]} == set()
    assert {verdict[0] for verdict in verdicts} == {True, False}


POLICIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from(["RestartJob", "RestartTask", "RestartPod", "AbortJob", "CompleteJob", ""]),
            "event": st.sampled_from(["*", "TaskCompleted", "PodPending", "PodFailed"]),
            "events": st.lists(st.sampled_from(["*", "TaskCompleted", "PodPending", "PodEvicted"]), max_size=2),
            "timeout": st.sampled_from(["1h", ""]),
        },
    ),
    max_size=2,
)
PATHS = st.sampled_from(["/a", "/a:b", ":", ""])
MOUNTS = st.lists(st.fixed_dictionaries({"name": st.just("v"), "mountPath": PATHS}), max_size=2)
CONTAINERS = st.lists(st.fixed_dictionaries({"name": st.just("c")}, optional={"volumeMounts": MOUNTS}), max_size=2)
TASK = st.fixed_dictionaries(
    {"name": st.just("t")},
    optional={
        "replicas": st.integers(-2, 3),
        "policies": POLICIES,
        "template": st.fixed_dictionaries(
            {},
            optional={
                "spec": st.fixed_dictionaries({"containers": CONTAINERS}, optional={"initContainers": CONTAINERS})
            },
        ),
    },
)
VOLUME = st.fixed_dictionaries(
    {"mountPath": PATHS}, optional={"volumeClaimName": st.sampled_from(["a", "b", ""]), "volumeClaim": st.just({})}
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from(["", "default", "research", "q" * 63, "q" * 64, "é" * 63]),
        "minSuccess": st.integers(1, 5),
        "maxRetry": st.integers(0, 3),
        "policies": POLICIES,
        "volumes": st.lists(VOLUME, max_size=3),
        "tasks": st.lists(TASK, max_size=3),
    },
)
LABELS = st.sampled_from([None, {}, {"kueue.x-k8s.io/queue-name": "a"}, {"a": "b"}])


@given(SPEC, LABELS)
@settings(max_examples=500)
def test_the_twins_agree_on_odd_jobs(spec, labels):
    metadata = {"name": "a"} | ({"labels": labels} if labels is not None else {})
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": metadata, "spec": spec}
    verdicts = {name: said(rule, job) for name, rule in TWINS.items()}
    assert {name: both for name, both in verdicts.items() if both[0] is not both[1]} == {}
