"""What `ftgen -m` writes and prints: every job or none, and an index beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftgen import cli

SWEEP = ("-m", "trainer.lr=1e-4,2e-4", "hardware=ascend,nvidia-vgpu")
FOLDER = "sft-qwen3-0-6b"


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> None:
    assert cli.main([*words, "-q"]) == 0


def index(folder: str = FOLDER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out", folder, f"{folder}.ftgen-index").read_text(encoding="utf-8"))
    return found


def manifests() -> dict[str, dict[str, Any]]:
    return {str(file): yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(Path("out").rglob("*.yaml"))}


def jobs() -> dict[str, dict[str, Any]]:
    return {file: manifest for file, manifest in manifests().items() if manifest["kind"] == "Job"}


def snapshot(root: Path = Path("out")) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_one_file_a_job_named_by_what_differs() -> None:
    run(*SWEEP)
    stems = [Path(file).stem.rpartition("-")[0] for file in jobs()]
    assert stems == [
        f"job-{FOLDER}-ascend-lr1e-4",
        f"job-{FOLDER}-ascend-lr2e-4",
        f"job-{FOLDER}-nvidia-vgpu-lr1e-4",
        f"job-{FOLDER}-nvidia-vgpu-lr2e-4",
    ]


def test_the_index_tells_every_job_and_what_differs() -> None:
    run(*SWEEP)
    rows = index()["jobs"]
    assert [job["swept"] for job in rows][:2] == [
        {"trainer.lr": "0.0001", "hardware": "ascend"},
        {"trainer.lr": "0.0001", "hardware": "nvidia-vgpu"},
    ]
    assert all(Path("out", job["file"]).is_file() and job["devices"] == 1 for job in rows)
    assert {job["job"] for job in rows} == {m["metadata"]["name"] for m in jobs().values()}


def test_nothing_beside_the_jobs_looks_like_a_manifest() -> None:
    run(*SWEEP, "--csv")
    others = [path.suffix for path in Path("out").rglob("*") if path.is_file() and path.suffix != ".yaml"]
    assert sorted(others) == [".csv", ".ftgen-index", ".lock"]


def test_the_csv_has_a_column_for_each_swept_key() -> None:
    run(*SWEEP, "--csv")
    with Path("out", FOLDER, f"{FOLDER}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trainer.lr"] for row in rows] == ["0.0001", "0.0001", "0.0002", "0.0002"]
    assert {row["hardware"] for row in rows} == {"ascend", "nvidia-vgpu"}


def test_a_job_tells_its_own_whole_command_line_and_its_swept_values() -> None:
    run(*SWEEP, "trainer.epochs=2")
    job = next(iter(jobs().values()))
    annotations = job["metadata"]["annotations"]
    assert json.loads(annotations["ftgen.dev/overrides"]) == [
        "trainer.lr=0.0001",
        "hardware=ascend",
        "trainer.epochs=2",
    ]
    assert json.loads(annotations["ftgen.dev/sweep"]) == {
        "name": FOLDER,
        "label": "ascend-lr1e-4",
        "swept": ["hardware", "trainer.lr"],
    }
    env = {e["name"]: e.get("value") for e in job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["env"]}
    assert '"ftgen.trainer.lr": "0.0001"' in env["MLFLOW_TAGS"]
    assert '"ftgen.hardware": "ascend"' in env["MLFLOW_TAGS"]


def test_a_jobs_bytes_do_not_depend_on_the_other_points_or_the_section() -> None:
    run(*SWEEP)
    before = snapshot()
    run("-m", "trainer.lr=5e-5,2e-4,1e-4", "hardware=nvidia-vgpu,ascend", "sweep.shuffle=3", "sweep.alias={name:n}")
    after = snapshot()
    files = [path for path in before if path.endswith(".yaml")]
    assert all(after[path] == before[path] for path in files)
    # Six jobs and the scripts that they share.
    assert len([path for path in after if path.endswith(".yaml")]) == 7


def test_rendering_again_changes_no_byte_and_touches_no_file() -> None:
    run(*SWEEP, "--csv")
    before, times = snapshot(), {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")}
    run(*SWEEP, "--csv")
    assert snapshot() == before
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")} == times


def test_one_bad_point_and_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    run(*SWEEP)
    before = snapshot()
    assert cli.main(["-m", "trainer.lr=1e-4,-1", "trainer.args.lora_rank=8,16", "trainer.epochs=1,2"]) == 1
    told = capsys.readouterr().err
    assert told.count("error[") == 1
    assert "trainer.lr cannot be -1" in told
    assert "and 1 more of 8 points" in told
    assert "1 | trainer.lr=1e-4,-1" in told
    assert snapshot() == before


def test_a_fault_of_all_points_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-m", "trainer.lr=1e-4,2e-4", "trainer.eopchs=3"]) == 1
    told = capsys.readouterr().err
    assert told.count("error[FT012]") == 1
    assert "in all 2 points" in told
    assert "2 | trainer.eopchs=3" not in told.splitlines()[0]
    assert not Path("out").exists()


def test_points_that_render_the_same_job_are_rendered_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "trainer.lr=1e-4,0.0001",
        "trainer.gradient_accumulation=4",
        "trainer.batch_size=4,'${.gradient_accumulation}'",
    )
    assert cli.main(["-m", *words]) == 0
    assert "renders the same job as bs4-lr1e-4" in capsys.readouterr().err
    assert len(jobs()) == len(index()["jobs"]) == 1


def test_a_named_sweep_is_all_there_is_in_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run("-m", "sweep.name=rates", "trainer.lr=1e-4,2e-4,3e-4")
    assert cli.main(["-m", "sweep.name=rates", "trainer.lr=2e-4,3e-4"]) == 0
    assert "rates/job-rates-lr1e-4" in capsys.readouterr().err
    assert [job["swept"]["trainer.lr"] for job in index("rates")["jobs"]] == ["0.0002", "0.0003"]


def test_claims_are_shared() -> None:
    run(*SWEEP, "storage.models.create=true")
    claims = [file for file, manifest in manifests().items() if manifest["kind"] == "PersistentVolumeClaim"]
    assert len(claims) == 1
    assert len(jobs()) == 4


def test_a_stream_holds_every_object_once(capsys: pytest.CaptureFixture[str]) -> None:
    run(*SWEEP, "storage.models.create=true", "-o", "-")
    kinds = [document["kind"] for document in yaml.safe_load_all(capsys.readouterr().out)]
    assert sorted(kinds) == ["ConfigMap", "Job", "Job", "Job", "Job", "PersistentVolumeClaim"]


def test_an_experiment_per_point() -> None:
    run("-m", "+experiment=qwen3-identity-vgpu,qwen3-identity-ascend")
    assert [job["swept"]["experiment"] for job in index("sweep")["jobs"]] == [
        "qwen3-identity-vgpu",
        "qwen3-identity-ascend",
    ]


def test_long_names_are_shortened_with_a_hash_and_stay_apart() -> None:
    long = "a-very-long-name-of-a-sweep-that-leaves-little-room"
    run("-m", f"sweep.name={long}", "trainer.lr=1e-4,2e-4", "trainer.args.lora_rank=8,16")
    names = {manifest["metadata"]["name"] for manifest in jobs().values()}
    assert len(names) == 4
    assert all(len(name) <= 55 for name in names)
    assert len({name.rpartition("-")[0] for name in names}) == 4


def test_a_queue_leaves_room_for_so_many_jobs() -> None:
    run(*SWEEP[:2], "hardware=ascend", "hardware.devices=2", "sweep.max_parallel=3", "cluster.queue=mine")
    queue = yaml.safe_load(Path("out", FOLDER, "queue-mine.yaml").read_text(encoding="utf-8"))
    assert queue["kind"] == "Queue"
    assert queue["metadata"]["name"] == "mine"
    assert "namespace" not in queue["metadata"]
    assert queue["spec"]["capability"]["huawei.com/Ascend910"] == "6"
    assert queue["spec"]["reclaimable"] is True


def test_a_queue_that_others_use_is_not_limited(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SWEEP, "sweep.max_parallel=3"]) == 1
    assert "add cluster.queue=" in capsys.readouterr().err
    assert not Path("out").exists()


def test_what_runs_share_stays_when_the_sweep_is_rendered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep's index is the folder's, too, and replaces nothing that its runs share."""
    monkeypatch.chdir(tmp_path)
    claim = ("storage=nfs", "storage.models.claim=m", "storage.models.create=true")
    for values in ("1e-4,2e-4", "1e-4,3e-4"):
        assert cli.main(["-q", *claim, "-m", f"trainer.lr={values}"]) == 0
        assert [path.name for path in tmp_path.rglob("persistentvolumeclaim-*")] == ["persistentvolumeclaim-m.yaml"]
