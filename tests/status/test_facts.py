"""`ftgen facts`: what a program called kubectl answers becomes a snapshot, or a diagnostic."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftgen import cli
from ftgen.diagnostics import Rejected, Severity
from ftgen.remote.cluster import facts
from ftgen.remote.cluster.kubectl import Kubectl
from ftgen.text import yamlio
from ftgen.validation.inventory import KINDS, inventory_in

# Answers by the file of the resource's name; beside it, `<name>.error` for a failure.
FAKE = """\
#!/bin/sh
echo "$@" >> "$ANSWERS/calls"
for word in "$@"; do case "$word" in /*) asked=${word##*/} ;; esac; done
if [ -e "$ANSWERS/$asked.error" ]; then cat "$ANSWERS/$asked.error" >&2; exit 1; fi
cat "$ANSWERS/$asked"
"""
MANAGED = {
    "uid": "1",
    "resourceVersion": "77",
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "managedFields": [{}],
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "token": "s3cr3t-token-of-the-node"},
}
NODE = {
    "metadata": {"name": "gpu-1", "labels": {"zone": "b", "gpu": "h100", "nvidia.com/gfd.timestamp": "1"}, **MANAGED},
    "spec": {
        "podCIDR": "10.0.0.0/24",
        "providerID": "cloud://1",
        "unschedulable": True,
        "taints": [
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
            {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
        ],
    },
    "status": {
        "allocatable": {"nvidia.com/gpu": "8", "cpu": "64"},
        "capacity": {"cpu": "65"},
        "addresses": [{"type": "InternalIP", "address": "10.1.2.3"}],
        "conditions": [{"type": "Ready", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}],
    },
}
QUOTA = {
    "metadata": {"name": "cards", "namespace": "research", **MANAGED},
    "spec": {
        "hard": {"requests.nvidia.com/gpu": "8", "pods": "4"},
        "scopeSelector": {
            "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["urgent", "high"]}]
        },
    },
    "status": {"used": {"pods": "3"}},
}
RANGE = {
    "metadata": {"name": "range", "namespace": "research", **MANAGED},
    "spec": {"limits": [{"type": "Container", "max": {"memory": "64Gi"}, "default": {"cpu": "4"}}]},
}
URGENT = {"metadata": {"name": "urgent", **MANAGED}, "value": 1000, "description": "x", "globalDefault": True}
TEAM = {
    "metadata": {"name": "team", **MANAGED},
    "spec": {"weight": 1, "parent": "root", "capability": {"nvidia.com/gpu": "16"}},
    "status": {"state": "Open", "running": 3, "allocated": {"cpu": "1"}},
}
FAST = {
    "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true", "x": "y"}},
    "provisioner": "topolvm.io",
    "parameters": {"csi.storage.k8s.io/provisioner-secret-name": "admin"},
    "volumeBindingMode": "WaitForFirstConsumer",
}
ANSWERS = {
    "nodes": [NODE],
    "resourcequotas": [QUOTA],
    "limitranges": [RANGE],
    "priorityclasses": [URGENT],
    "queues": [TEAM],
    "storageclasses": [FAST],
}
CONTROLLERS = "deployments?labelSelector=app%3Dvolcano-controller"
IMAGE = "registry.example.com:5000/volcanosh/vc-controller-manager:v1.15.1@sha256:0"
VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.2+k3s1", "goVersion": "go1.25"}
RELEASES = {"kubernetes": "v1.35.2+k3s1", "volcano": "v1.15.1"}
DENIED = (
    'Error from server (Forbidden): nodes is forbidden: User "eve" cannot list resource "nodes" at the cluster scope'
)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what the cluster answers, through a kubectl that is the only one on PATH."""
    folder, programs = tmp_path / "answers", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (programs / "kubectl").write_text(FAKE)
    (programs / "kubectl").chmod(0o755)
    for resource, items in ANSWERS.items():
        (folder / resource).write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    (folder / "version").write_text(json.dumps(VERSION))
    pod = {"containers": [{"name": "sidecar"}, {"image": IMAGE}]}
    (folder / CONTROLLERS).write_text(json.dumps({"items": [{"spec": {"template": {"spec": pod}}}]}))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def taken(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["facts", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_snapshot_holds_what_is_weighed(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, errors = taken(capsys)
    items = {each["metadata"]["name"]: each for listed in yamlio.parse_all(text, "") for each in listed["items"]}

    assert (code, errors) == (0, "")
    assert {name: items.pop(name)["version"] for name in RELEASES} == RELEASES
    assert items == {
        "gpu-1": {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "gpu-1", "labels": {"gpu": "h100", "zone": "b"}},
            "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}], "unschedulable": True},
            "status": {"allocatable": {"cpu": "64", "nvidia.com/gpu": "8"}},
        },
        "cards": {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "cards", "namespace": "research"},
            "spec": {
                "hard": {"pods": "4", "requests.nvidia.com/gpu": "8"},
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high", "urgent"]}]
                },
            },
        },
        "range": {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "range", "namespace": "research"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "64Gi"}, "default": {"cpu": "4"}}]},
        },
        "urgent": {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "urgent"},
            "value": 1000,
            "globalDefault": True,
        },
        "team": {
            "apiVersion": "scheduling.volcano.sh/v1beta1",
            "kind": "Queue",
            "metadata": {"name": "team"},
            "spec": {"parent": "root", "capability": {"nvidia.com/gpu": "16"}},
            "status": {"state": "Open"},
        },
        "fast": {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "topolvm.io",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    }


def test_only_reading_commands_are_run(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken(capsys)
    calls = (answers / "calls").read_text().splitlines()

    assert len(calls) == len(KINDS) + len(RELEASES)
    assert all(call.startswith("get ") for call in calls)
    assert [call.split()[2] for call in calls][:3] == ["/api/v1/nodes", "/api/v1/resourcequotas", "/api/v1/limitranges"]


def test_one_namespace_can_be_asked_for(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / "limitranges").write_text('{"items": []}')
    saved = inventory_in(taken(capsys, "-n", "research")[1], "")
    calls = (answers / "calls").read_text().splitlines()

    inside = [call.split()[2].removeprefix("/api/v1/namespaces/research/") for call in calls if "/research/" in call]
    assert inside == ["resourcequotas", "limitranges"]
    assert saved.has_all("LimitRange", "research")
    assert not saved.has_all("LimitRange", "other")
    assert not saved.has_all("ResourceQuota", "other")
    assert saved.has_all("Node")


def test_the_bytes_do_not_depend_on_the_order_of_the_answers(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["b", "a", "c"]
    nodes = [NODE | {"metadata": NODE["metadata"] | {"name": name}} for name in names]
    texts = []
    for items in (nodes, nodes[::-1]):
        backwards = [json.loads(json.dumps(item), object_pairs_hook=lambda pairs: dict(pairs[::-1])) for item in items]
        for answer in (items, backwards):
            (answers / "nodes").write_text(json.dumps({"items": answer}))
            texts.append(taken(capsys)[1])

    assert len(set(texts)) == 1


def test_the_snapshot_is_clean_to_check_and_complete(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / "limitranges").write_text('{"items": []}')
    assert taken(capsys, "-o", "facts/prod.yaml", "-q")[0] == 0
    text = Path("facts/prod.yaml").read_text()

    assert cli.main(["check", "facts/prod.yaml"]) == 0
    assert "0 errors, 0 warnings, 0 notes" in capsys.readouterr().err
    assert all(inventory_in(text, "").has_all(kind, "any") for _, kind in KINDS)


def test_a_file_of_another_content_is_not_replaced_by_itself(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert taken(capsys, "-o", "facts.yaml")[0] == 0
    assert taken(capsys, "-o", "facts.yaml")[0] == 0
    (answers / "nodes").write_text('{"items": []}')

    assert taken(capsys, "-o", "facts.yaml")[0] == 1
    assert "gpu-1" in Path("facts.yaml").read_text()
    assert taken(capsys, "-o", "facts.yaml", "--overwrite")[0] == 0
    assert "gpu-1" not in Path("facts.yaml").read_text()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (DENIED, "FT572"),
        ("error: You must be logged in to the server (Unauthorized)", "FT572"),
        ('error: the server doesn\'t have a resource type "queues"', "FT573"),
    ],
)
def test_a_kind_that_is_not_shown_is_left_out_and_told(
    message: str, code: str, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (answers / "queues.error").write_text(f"E0101 retrying\n{message}\n")

    status, text, errors = taken(capsys)

    assert status == 0
    assert f"warning[{code}]" in errors
    assert message in errors
    assert "retrying" not in errors
    assert [kind for _, kind in KINDS if not inventory_in(text, "").has_all(kind)] == ["Queue"]
    assert taken(capsys, "--strict", "-o", "facts.yaml")[0] == 1
    assert not Path("facts.yaml").exists()


def test_a_cluster_that_shows_nothing_gives_no_snapshot(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for resource in ANSWERS:
        (answers / f"{resource}.error").write_text(DENIED)

    status, text, errors = taken(capsys, "-o", "facts.yaml")

    assert (status, text) == (1, "")
    assert errors.count("error[FT572]") == len(KINDS)
    assert not Path("facts.yaml").exists()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("The connection to the server localhost:8080 was refused - did you specify the right host or port?", "FT571"),
        ("Unable to connect to the server: dial tcp: lookup api.example.com: no such host", "FT571"),
        ("Unable to connect to the server: context deadline exceeded", "FT571"),
        ("error: something else\x1b[31m", "FT575"),
        ("", "FT575"),
    ],
)
def test_a_cluster_that_cannot_be_used(
    message: str, code: str, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (answers / "nodes.error").write_text(message)

    status, text, errors = taken(capsys)

    assert (status, text) == (1, "")
    assert f"error[{code}]" in errors
    assert "\x1b" not in errors
    assert len((answers / "calls").read_text().splitlines()) == 1


def test_there_may_be_no_kubectl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    status, _, errors = taken(capsys)

    assert status == 1
    assert "error[FT570]: kubectl is not installed" in errors


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "null",
        "[]",
        "1",
        "{}",
        '{"items": {}}',
        '{"items": [1]}',
        '{"items": [null]}',
        "[" * 5000,
        "\xff",
    ],
)
def test_an_answer_of_another_shape(answer: str, answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / "nodes").write_text(answer, encoding="latin-1")

    status, text, errors = taken(capsys)

    assert (status, text) == (1, "")
    assert "error[FT574]" in errors


@pytest.mark.parametrize("words", [["nodes"], ["-n", "No Namespace"], ["-n", "a\0"], ["--namespace=--as=admin"]])
def test_words_are_refused(words: list[str], answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert taken(capsys, *words)[0] == 2
    assert not (answers / "calls").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def replaced(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    whole = json.loads(json.dumps(whole))
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return whole


def paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_at_any_place(data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the API server, or whatever answers in its place, says is written as YAML that reads the same."""
    resource = data.draw(st.sampled_from(sorted(ANSWERS)))
    path = data.draw(st.sampled_from([p for p in paths(ANSWERS[resource][0]) if p]))
    odd = replaced(ANSWERS[resource][0], path, data.draw(JSON))
    shown = {**ANSWERS, resource: [odd]}
    monkeypatch.setattr(Kubectl, "get", lambda _, path: {"items": shown.get(path.rpartition("/")[2], [])})

    text, left_out = facts.take(Kubectl())

    assert [each.severity for each in left_out] == [Severity.NOTE] * len(RELEASES)
    assert [listed["kind"] for listed in yamlio.parse_all(text, "")] == [f"{kind}List" for _, kind in KINDS]


@given(answer=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_about_releases(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in (answer, {"gitVersion": answer}, {"items": answer}, {"items": [{"spec": {"template": answer}}]}):
        monkeypatch.setattr(Kubectl, "get", lambda *_, shape=shape: shape)
        found, unseen = facts.releases(Kubectl())
        assert len(unseen) + sum(len(listed["items"]) for listed in found) == len(RELEASES)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("volcanosh/vc-controller-manager:v1.12.4", "v1.12.4"),
        ("localhost:5000/vc:1.15.1-alauda.3@sha256:00", "1.15.1-alauda.3"),
        ("localhost:5000/vc", ""),
        ("vc-controller-manager:latest", ""),
        (f"vc:v1.{'9' * 5000}", ""),
    ],
)
def test_the_release_of_volcano_is_the_tag_of_its_image(
    answers: Path, capsys: pytest.CaptureFixture[str], image: str, version: str
) -> None:
    template = {"spec": {"containers": [{"image": image}]}}
    (answers / CONTROLLERS).write_text(json.dumps({"items": [{"spec": {"template": template}}]}))
    code, text, errors = taken(capsys)
    saved = inventory_in(text, "").find("Release", "volcano")
    assert code == 0
    assert (saved.body["version"] if saved else "") == version
    assert ("compared with nothing" in errors) is not bool(version)


def test_who_may_not_see_volcano_gets_the_rest(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / f"{CONTROLLERS}.error").write_text(DENIED.replace("nodes", "deployments"))
    code, text, errors = taken(capsys, "--strict")
    assert code == 0
    assert "note[FT572]" in errors
    assert inventory_in(text, "").find("Release", "kubernetes")
    assert not inventory_in(text, "").find("Release", "volcano")


def test_text_that_no_file_can_hold_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = json.loads('{"metadata": {"name": "a\\ud800"}}')
    monkeypatch.setattr(Kubectl, "get", lambda *_: {"items": [odd]})

    with pytest.raises(Rejected) as rejected:
        facts.take(Kubectl())

    assert {d.code for d in rejected.value.diagnostics} == {"FT574"}
