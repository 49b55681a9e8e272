"""`ftgen check --server`: the server's answers beside ours, and where the two differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.status.clusters import FakeKubectl

from ftgen import cli
from ftgen.remote.cluster import server

GOOD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "good", "namespace": "team"}}
HOOK = 'Error from server: error when creating "STDIN": admission webhook "validatejob.volcano.sh" denied the request: '
INVALID = 'The ConfigMap "odd" is invalid: data.key[0]: Invalid value: "x"'


def write(*manifests: Any) -> None:
    Path("a.yaml").write_text("---\n".join(json.dumps(manifest, indent=1) + "\n" for manifest in manifests))


def named(name: str, **more: Any) -> dict[str, Any]:
    return {**GOOD, "metadata": {"name": name, "namespace": "team"}, **more}


def codes(capsys: pytest.CaptureFixture[str], code: int) -> list[tuple[str, int]]:
    assert cli.main(["check", "--server", "a.yaml", "--format", "json"]) == code
    found = json.loads(capsys.readouterr().out)
    return [(each["code"], each["locations"][0]["line"]) for each in found]


def test_a_tree_without_faults_costs_one_request(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    write(*(named(f"good-{number}") for number in range(30)))
    assert cli.main(["check", "--server", "a.yaml"]) == 0
    (call,) = kubectl.calls()
    assert call[:2] == ["apply", "--dry-run=server"]
    assert "0 errors" in capsys.readouterr().err


def test_without_the_flag_nobody_is_asked(kubectl: FakeKubectl) -> None:
    write(GOOD)
    assert cli.main(["check", "a.yaml"]) == 0
    assert kubectl.calls() == []


def test_each_refusal_is_told_at_its_object(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    write(*(named(f"{'bad' if number in {3, 17} else 'good'}-{number}") for number in range(20)))
    kubectl.set(refuses={"bad": f'{HOOK}unable to find job queue: queue.scheduling.volcano.sh "q" not found;'})
    lines = [number for number, text in enumerate(Path("a.yaml").read_text().splitlines(), 1) if '"bad-' in text]
    found = codes(capsys, 1)
    assert [code for code, _ in found] == ["FT577", "FT577"]
    assert all(at < line < at + 8 for (_, at), line in zip(found, lines, strict=True))
    assert len(kubectl.calls()) < 20


def test_a_refusal_that_check_does_not_find_is_our_bug(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    write(named("odd", data={"key": "x"}))
    kubectl.set(refuses={"odd": INVALID})
    assert [code for code, _ in codes(capsys, 1)] == ["FT577", "FT578"]


def test_an_object_that_only_we_refuse_is_our_bug(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    write(named("odd", specc=1), GOOD)
    assert sorted(code for code, _ in codes(capsys, 1)) == ["FT301", "FT578"]
    kubectl.set(refuses={"odd": 'error: error validating data: unknown field "specc"'})
    assert sorted(code for code, _ in codes(capsys, 1)) == ["FT301", "FT577"]


def test_a_null_is_no_difference_whatever_the_server_says(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    write(named("null", immutable=None, specc=None))
    assert sorted(code for code, _ in codes(capsys, 0)) == ["FT301", "FT302"]


def test_warnings_of_the_server_are_ours(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    write(named("old"), GOOD)
    kubectl.set(warns={"old": "v1 ConfigMap is deprecated", "good": "missing last-applied-configuration annotation"})
    assert codes(capsys, 0) == [("FT579", 1)]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Unable to connect to the server: EOF", "FT571"),
        ('Error from server (Forbidden): configmaps is forbidden: User "u" cannot create resource', "FT572"),
    ],
)
def test_a_server_that_cannot_be_asked_is_one_error(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], said: str, code: str
) -> None:
    write(GOOD, named("b"))
    kubectl.set(fail=said)
    assert cli.main(["check", "--server", "a.yaml"]) == 1
    err = capsys.readouterr().err
    assert err.count("error[") == 1
    assert f"error[{code}]" in err


STDIN = 'error when creating "STDIN": '
CALLED = f'{STDIN}Internal error occurred: failed calling webhook "validatejob.volcano.sh": Post "https://v:443": '
REFUSALS = [
    f"Error from server (InternalError): {CALLED}dial tcp 10.0.0.3:443: connection refused",
    f"Error from server (InternalError): {CALLED}context deadline exceeded",
    f"Error from server (InternalError): {CALLED}tls: failed to verify: x509: unknown",
    'Error from server (NotFound): error when creating "STDIN": namespaces "geoffrey" not found',
    f"{HOOK}spec.task[0].policies timeout is invalid;",
    f"{HOOK}stat /model: no such file",
    f"{HOOK}unauthorized registry was refused",
    f'Error from server (Forbidden): {STDIN}admission webhook "p.io" denied the request: a timeout',
    'The Job "x" is invalid: spec.volumes[0].name: Invalid value: "tls": must be tls: lower case',
]


@pytest.mark.parametrize("said", REFUSALS)
def test_whatever_the_server_says_of_an_object_it_was_asked(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    write(GOOD)
    kubectl.set(fail=said)
    assert cli.main(["check", "--server", "a.yaml"]) == 1
    err = capsys.readouterr().err
    assert "error[FT577]" in err
    assert ("the webhook validatejob.volcano.sh does not answer" in err) == ("failed calling" in said)


def test_what_we_found_is_told_although_the_server_cannot_be_asked(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    write(named("odd", daat={"a": "b"}))
    kubectl.set(fail="Unable to connect to the server: EOF")
    assert cli.main(["check", "--server", "a.yaml", "--format", "json"]) == 1
    assert {each["code"] for each in json.loads(capsys.readouterr().out)} == {"FT301", "FT571"}


@pytest.mark.parametrize(
    ("said", "foreseeable"),
    [
        ("spec.tasks[0].replicas: Invalid value: -1", True),
        ('admission webhook "validatejob.volcano.sh" denied the request: duplicated task name', True),
        ('admission webhook "policy.kyverno.svc" denied the request: no labels', False),
        ('persistentvolumeclaims "x" is forbidden: exceeded quota: q, requested: a=1, used: a=1, limited: a=1', False),
        ('namespaces "x" not found', False),
        ("job updates may not change fields other than minAvailable", False),
        ('no matches for kind "Thing" in version "v1"', False),
    ],
)
def test_what_no_file_tells_is_no_bug_of_ours(said: str, foreseeable: bool) -> None:
    assert server.is_foreseeable(said) is foreseeable


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ('The Job "x" is invalid: spec.tasks[0].replicas: Invalid value: -1', "spec.tasks[0].replicas"),
        ("metadata.name: Invalid value", "metadata.name"),
        ("nothing of the kind", ""),
    ],
)
def test_the_field_of_a_refusal_is_found(said: str, path: str) -> None:
    assert server.field(said) == path
