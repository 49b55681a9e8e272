"""The objects of a cluster come beside the manifests, or in the snapshot that the configuration names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftgen import cli

WORDS = ["hardware=full-gpu", "hardware.devices=8"]
QUOTA = """\
apiVersion: v1
kind: ResourceQuota
metadata:
  name: cards
  namespace: kubeflow-admin-cpaas-io
spec:
  hard:
    requests.nvidia.com/gpu: "4"
"""
QUEUE = """\
apiVersion: scheduling.volcano.sh/v1beta1
kind: Queue
metadata:
  name: default
status:
  state: Closed
"""
NODES = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata:
    name: gpu-1
  status:
    allocatable:
      cpu: "64"
      memory: 2Ti
      nvidia.com/gpu: "4"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rendered() -> str:
    assert cli.main(["-q", *WORDS]) == 0
    return "out"


def found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[str]]:
    """The codes that a command reports, each with the places of its first finding."""
    capsys.readouterr()
    cli.main([*words, "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    return {
        d["code"]: [f"{place['file']}:{place['line']}" for place in d["locations"]]
        for d in told
        if d["severity"] != "note"
    }


def test_a_quota_beside_the_manifests_is_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    folder = rendered()
    Path("quota.yaml").write_text(QUOTA)

    told = found(capsys, "check", folder, "quota.yaml")

    [job, quota] = told["FT600"]
    assert Path(job.rpartition(":")[0]).parent.parent == Path(folder)
    assert quota == "quota.yaml:8"
    assert "FT600" not in found(capsys, "check", folder)


def test_the_objects_may_stand_before_or_in_the_file_of_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    [job] = Path(rendered()).rglob("job-*.yaml")
    Path("all.yaml").write_text(f"{QUEUE}---\n{job.read_text()}---\n{NODES}")

    told = found(capsys, "check", "all.yaml")

    assert {"FT327", "FT607"} <= told.keys()
    assert told["FT327"][1] == "all.yaml:6"
    assert told["FT607"][1].startswith("all.yaml:")


def test_a_snapshot_that_the_configuration_names_is_weighed_while_rendering(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("conf/cluster").mkdir(parents=True)
    Path("conf/cluster/mine.yaml").write_text("defaults: [alauda@_here_, _self_]\nfacts: {snapshot: mine/facts.yaml}\n")
    Path("conf/cluster/mine").mkdir()
    Path("conf/cluster/mine/facts.yaml").write_text(f"{QUOTA}---\n{NODES}")

    told = found(capsys, "cluster=mine", *WORDS)

    assert told.keys() == {"FT600", "FT607"}
    assert told["FT600"][0] == "<command line>:3"
    assert told["FT600"][-1] == "conf/cluster/mine/facts.yaml:8"
    assert not Path("out").exists()


def test_check_takes_the_snapshot_of_the_cluster_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    folder = rendered()
    Path("conf/cluster").mkdir(parents=True)
    Path("conf/cluster/mine.yaml").write_text("defaults: [alauda@_here_, _self_]\nfacts: {snapshot: facts.yaml}\n")
    Path("facts.yaml").write_text(NODES)

    assert found(capsys, "check", folder, "--cluster", "mine")["FT607"][1] == "facts.yaml:12"
    assert found(capsys, "check", folder) == {}


def test_a_finding_can_be_accepted_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    Path("facts.yaml").write_text(NODES)
    words = [*WORDS, "cluster.facts.snapshot=facts.yaml"]

    assert found(capsys, *words).keys() == {"FT607"}
    assert found(capsys, *words, "allow.FT607=the cluster adds nodes by itself") == {}


def test_the_snapshot_is_no_part_of_what_is_written() -> None:
    Path("facts.yaml").write_text(NODES.replace('gpu: "4"', 'gpu: "8"'))
    assert cli.main(["-q", *WORDS, "cluster.facts.snapshot=facts.yaml", "-o", "with"]) == 0

    assert "facts.yaml" not in Path("with/ftgen.lock").read_text().replace("cluster.facts.snapshot=facts.yaml", "")


@pytest.mark.parametrize("name", ["missing.yaml", "/etc/passwd", "../outside.yaml", "link.yaml", "folder"])
def test_a_snapshot_that_cannot_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration may come with a clone: it leads to no file outside."""
    Path("../outside.yaml").write_text(NODES)
    Path("link.yaml").symlink_to("../outside.yaml")
    Path("folder").mkdir()

    assert found(capsys, *WORDS, f"cluster.facts.snapshot={name}").keys() == {"FT002"}


def test_the_line_of_an_unreadable_snapshot_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("facts.yaml").write_text("kind: Node\na: [\n")

    assert found(capsys, *WORDS, "cluster.facts.snapshot=facts.yaml") == {"FT001": ["facts.yaml:3"]}


def test_weighing_loads_nothing_for_other_verbs() -> None:
    code = (
        "import sys; from ftgen import cli; cli.main(['groups', '-q']); print([m for m in sys.modules if 'capac' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
