"""The same job on several options, side by side."""

from __future__ import annotations

import json

import pytest

from ftgen import cli
from ftgen.lower import Bundle
from ftgen.review.diff import ABSENT, compare


def job(**pod: object) -> Bundle:
    tasks = [{"name": "train", "template": {"spec": {"containers": [{"name": "c", "image": "i"}], **pod}}}]
    return Bundle(
        {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"tasks": tasks}}
    )


def paths(*columns: Bundle) -> dict[str, tuple]:
    return {row.path.removeprefix("spec.tasks[train].template.spec."): row.values for row in compare.rows(columns)}


def test_equal_jobs_have_no_rows() -> None:
    assert compare.rows([job(), job()]) == []
    assert compare.as_text(["a", "b"], []) == "nothing differs in effect\n"


def test_every_field_that_differs_is_a_row() -> None:
    assert paths(job(hostname="a"), job(hostname="b", nodeName="n")) == {
        "hostname": ("a", "b"),
        "nodeName": (ABSENT, "n"),
    }


def test_three_columns_each_have_their_value() -> None:
    assert paths(job(hostname="a"), job(hostname="b"), job()) == {"hostname": ("a", "b", ABSENT)}
    assert paths(job(), job(hostname="b"), job(hostname="c")) == {"hostname": (ABSENT, "b", "c")}
    assert paths(job(hostname="a"), job(hostname="a"), job(hostname="c")) == {"hostname": ("a", "a", "c")}


def test_a_mapping_that_one_lacks_is_one_row() -> None:
    found = paths(job(nodeSelector={"a": "1"}), job(nodeSelector={"a": "2"}), job())
    assert found == {"nodeSelector": ({"a": "1"}, {"a": "2"}, ABSENT)}


def test_names_made_of_content_and_ftgens_own_annotations_are_no_effect() -> None:
    one, other = job(), job()
    other.job["metadata"] = {"name": "y", "annotations": {"ftgen.dev/overrides": "[]"}}
    one.job["metadata"] = {"name": "x", "annotations": {"ftgen.dev/overrides": '["a=b"]'}}
    assert compare.rows([one, other]) == []


def test_an_object_that_one_lacks_is_shown() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"volumeName": "v"},
    }
    rows = compare.rows([job(), Bundle(job().job, (claim,))])
    assert {row.object for row in rows} == {"PersistentVolumeClaim data"}
    assert all(row.values[0] is ABSENT for row in rows)


def test_columns_are_aligned_and_long_cells_show_where_they_differ() -> None:
    long = "registry.example.com/a/very/long/path/to/an/image/that/nobody/reads/"
    text = compare.as_text(["one", "two"], compare.rows([job(hostname=f"{long}x:1"), job(hostname=f"{long}y:22")]))
    head, kind, row = text.splitlines()
    assert kind == "Job"
    assert row.startswith("  train: hostname")
    assert head.index("one") == row.index("…")
    assert head.index("two") == row.rindex("…")
    assert [cell[-6:] for cell in row.split()[-2:]] == ["ds/x:1", "s/y:22"]


def test_json_leaves_out_what_is_absent() -> None:
    text = compare.as_json(["a", "b"], compare.rows([job(), job(hostname="h")]))
    assert json.loads(text) == {
        "columns": ["a", "b"],
        "rows": [{"object": "Job", "path": "spec.tasks[train].template.spec.hostname", "values": {"b": "h"}}],
    }


# --- the command ---


def test_hardware_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "hardware=nvidia-vgpu,ascend"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["nvidia-vgpu", "ascend"]
    (cards,) = [line for line in lines if "resources.limits[huawei.com/Ascend910]" in line]
    assert cards.split()[-2:] == ["-", "1"]


def test_values_compare_as_options_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "trainer.lr=1e-4,2e-4,3e-4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["columns"] == ["0.0001", "0.0002", "0.0003"]
    (rate,) = [row for row in found["rows"] if row["path"].endswith("TRAIN_CONFIG].value:learning_rate")]
    assert list(rate["values"].values()) == [0.0001, 0.0002, 0.0003]


def test_one_option_compares_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "hardware=ascend"]) == 2
    assert "at least two" in capsys.readouterr().err


def test_an_option_on_which_the_job_is_refused_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "hardware=full-gpu,nvidia-vgpu", "hardware.memory=7Mi"]) == 1
    assert "FT2" in capsys.readouterr().err


def test_the_refused_one_is_named_and_located(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "storage=topolvm,nfs,rbd", "hardware=full-gpu", "hardware.nodes=2"]) == 1
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "error[" in line]
    assert "conf/storage/rbd.yaml:" in told
    assert "error[FT255]: rbd: sft-qwen3-volume is ReadWriteOnce" in told
