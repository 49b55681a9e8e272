"""The suite's own parts, without a cluster: its CRDs, its comparison, its table."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import hardware_matrix
from tools.options import GROUPS

from ftgen.schema import closed

from . import crds, summary
from .live import differences

JOB: dict[str, Any] = hardware_matrix.outcome("cpu", "nfs", 2).job.bundle.job  # type: ignore[union-attr]


def live(change: dict[str, Any]) -> dict[str, Any]:
    stored = copy.deepcopy(JOB)
    stored["metadata"] |= {"uid": "1", "resourceVersion": "2", "generation": 1}
    stored["status"] = {"state": {"phase": "Running"}}
    stored["spec"] |= change
    return stored


def test_what_the_server_notes_is_no_difference() -> None:
    assert differences(JOB, live({})) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"minSuccess": 1}, "spec.minSuccess: nothing became 1"),
        ({"maxRetry": 9}, "spec.maxRetry: 3 became 9"),
    ],
)
def test_a_field_of_a_job_added_or_changed_is_told(change: dict[str, Any], told: str) -> None:
    assert differences(JOB, live(change)) == [f"Job {JOB['metadata']['name']}: {told}"]


def test_a_field_lost_is_told_of_any_kind() -> None:
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "v"},
        "spec": {"storageClassName": ""},
    }
    stored = {**volume, "spec": {"claimRef": {"name": "c"}}}
    assert differences(volume, stored) == ["PersistentVolume v: spec.storageClassName: '' became nothing"]


@pytest.mark.parametrize("kind", [k for g in ("batch.volcano.sh", "argoproj.io") for k in crds.kinds(g)], ids=str)
def test_a_crd_made_of_a_closed_schema_closes_to_the_same(kind: closed.Kind) -> None:
    made = crds.definition(*kind, {})
    (again,) = closed.close_crd(made).values()
    assert simple(again["properties"]["spec"], again) == simple(found(kind)["properties"]["spec"], found(kind))


def found(kind: closed.Kind) -> closed.Schema:
    schema = closed.find(*kind, closed.NEWEST)
    assert schema is not None
    return schema


def simple(part: Any, root: closed.Schema) -> Any:
    """A schema with its references followed."""
    if isinstance(part, list):
        return [simple(each, root) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return simple(root["$defs"][part["$ref"].removeprefix("#/$defs/")], root)
    return {key: simple(value, root) for key, value in part.items()}


def test_every_part_has_a_title_of_its_own() -> None:
    titles = summary.parts().values()
    assert len(set(titles)) == len(titles) == len(list(summary.FOLDER.glob("test_*.py"))) - 1


NODES = yaml.safe_load((Path(__file__).parent / "control_plane" / "nodes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("hardware", list(GROUPS["hardware"]))
def test_there_are_simulated_nodes_for_each_hardware(hardware: str) -> None:
    job = hardware_matrix.outcome(hardware, "nfs", 2).job
    assert job is not None
    pod = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]
    asked = {name for name in pod["containers"][0]["resources"]["limits"] if name not in {"cpu", "memory"}}
    wanted = pod.get("nodeSelector", {}).items()
    tolerated = {each["key"] for each in pod.get("tolerations", [])}
    assert any(
        asked <= group.get("cards", {}).keys()
        and wanted <= ({"kubernetes.io/arch": "amd64"} | group.get("labels", {})).items()
        and {taint["key"] for taint in group.get("taints", [])} <= tolerated
        for group in NODES
    )
