"""Volcano's CronJob: its own fields, and the job that it creates, judged by the rules about jobs."""

from __future__ import annotations

from typing import Any

import pytest

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.review import preview
from ftgen.text import yamlio
from ftgen.validation import UNKNOWN_FACT, check
from ftgen.validation.options import CheckOptions

CRON_JOB = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: CronJob
metadata: {name: nightly, namespace: research}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    metadata: {labels: {team: vision}}
    spec:
      queue: research
      plugins: {svc: [], env: []}
      tasks:
      - name: train
        replicas: 2
        template:
          spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example.com/train:1"}]}
"""


def told(text: str, version: str = "1.15", **options: Any) -> list[Diagnostic]:
    chosen = CheckOptions(volcano_version=version, **options)
    return [d for d in check.check(text, "cron.yaml", chosen).diagnostics if d.severity is not Severity.NOTE]


def errors(text: str, version: str = "1.15") -> list[tuple[str, str]]:
    return [(d.code, d.subject) for d in told(text, version) if d.severity is Severity.ERROR]


@pytest.mark.parametrize("version", ["1.13", "1.14", "1.15", "newest"])
def test_one_that_its_cluster_takes(version: str) -> None:
    assert errors(CRON_JOB, version) == []


def test_an_older_release_has_none() -> None:
    [found] = told(CRON_JOB, "1.12")
    assert (found.code, found.severity) == ("FT305", Severity.ERROR)
    assert "Volcano 1.13 has it" in found.help


@pytest.mark.parametrize(
    ("old", "new", "code", "subject", "line"),
    [
        (
            "replicas: 2",
            "replicas: 2\n        minAvailable: 3",
            "FT315",
            "spec.jobTemplate.spec.tasks[0].minAvailable",
            14,
        ),
        ("svc: []", "sv: []", "FT323", "spec.jobTemplate.spec.plugins.sv", 10),
        (
            "restartPolicy: Never",
            "restartPolicy: Sometimes",
            "",
            "spec.jobTemplate.spec.tasks[0].template.spec.restartPolicy",
            15,
        ),
        ("svc: []", "svc: null", "FT418", "spec.jobTemplate.spec.plugins.svc", 10),
        ("queue: research", "queues: research", "FT301", "spec.jobTemplate.spec.queues", 9),
        ("name: nightly", f"name: {'n' * 53}", "FT798", "metadata.name", 3),
    ],
)
def test_its_job_is_judged_where_it_stands(old: str, new: str, code: str, subject: str, line: int) -> None:
    found = [d for d in told(CRON_JOB.replace(old, new)) if d.subject == subject and code in {"", d.code}]
    assert found
    assert found[0].locations[0].line == line


def test_a_cure_is_named() -> None:
    text = CRON_JOB.replace(
        "replicas: 2", "replicas: 2\n        partitionPolicy: {totalPartitions: 1, partitionSize: 2}"
    )
    assert any(d.code == "FT301" and "Volcano 1.14 has it" in d.help for d in told(text, "1.13"))


def test_nothing_is_said_of_a_second_apply() -> None:
    """Nobody applies its jobs, so that what admission fills in may be left out."""
    assert not {"FT454", "FT459"} & {d.code for d in told(CRON_JOB)}


def test_a_missing_fact_keeps_its_key() -> None:
    found = check.check(CRON_JOB, "cron.yaml", CheckOptions(volcano_version="1.15")).diagnostics
    assert {d.subject.split(".")[0] for d in found if d.code == UNKNOWN_FACT} == {"cluster"}


@pytest.mark.parametrize(
    "schedule",
    [
        "0 3 * * *",
        "*/5 0-6,12 1 JAN-mar mon-FRI",
        "? ? ? ? ?",
        "3/15 * * * 0",
        "@daily",
        "@every 1h30m",
        "@every 0",
        "@every .5h",
    ],
)
def test_a_schedule(schedule: str) -> None:
    assert errors(CRON_JOB.replace("0 3 * * *", schedule)) == []


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "0 3 * *",
        "0 0 3 * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 7",
        "0 3 * * jan",
        "5-3 * * * *",
        "*/0 * * * *",
        f"5-{'9' * 5000} * * * *",
        "1-2-3 * * * *",
        "-1 * * * *",
        "TZ=Asia/Shanghai 0 3 * * *",
        "CRON_TZ=UTC 0 3 * * *",
        "@noon",
        "@every",
        "@every 5",
        f"{'9' * 5000} * * * *",
    ],
)
def test_no_schedule(schedule: str) -> None:
    assert errors(CRON_JOB.replace("0 3 * * *", schedule)) == [("FT798", "spec.schedule")]


@pytest.mark.parametrize(
    ("zone", "found"), [("Asia/Shanghai", []), ("UTC", []), ("Etc/GMT+8", []), ("America/North_Dakota/Center", [])]
)
def test_a_time_zone(zone: str, found: list[tuple[str, str]]) -> None:
    assert errors(CRON_JOB.replace("  jobTemplate", f"  timeZone: {zone}\n  jobTemplate")) == found


@pytest.mark.parametrize("zone", ["Local", '""', "../etc/passwd", "Asia//Shanghai", "-a", "Asia/Shanghai-of-my-own"])
def test_no_time_zone(zone: str) -> None:
    found = errors(CRON_JOB.replace("  jobTemplate", f"  timeZone: {zone}\n  jobTemplate"))
    assert found == [("FT798", "spec.timeZone")]


def test_its_pods_are_previewed() -> None:
    [first, second] = preview.pods([yamlio.parse(CRON_JOB, "cron.yaml")])
    assert (first.name, second.name) == ("nightly-xxxxxxxx-train-0", "nightly-xxxxxxxx-train-1")
    assert (first.kind, first.namespace, second.rank) == ("VolcanoJob", "research", 1)


@pytest.mark.parametrize(
    "template", ["null", "[]", "text", "{}", "{spec: null}", "{spec: []}", "{metadata: [], spec: {tasks: 3}}"]
)
def test_any_template_is_judged(template: str) -> None:
    text = CRON_JOB.partition("  jobTemplate")[0] + f"  jobTemplate: {template}\n"
    assert told(text)
    preview.pods([yamlio.parse(text, "cron.yaml")])
