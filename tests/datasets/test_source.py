"""Files and folders as a repository's checkout has them, and what hostile ones hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.reading import Reading

ROW = b'{"instruction":"q","input":"","output":"a"}\n'
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"
README = """\
---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train*.jsonl}
  - {split: test, path: data/test.jsonl}
---
# Rows
"""


def found(verdict: Verdict) -> list[str]:
    return [finding.kind.code for finding in verdict.findings]


def described(folder: Path, **entry: Any) -> Path:
    (folder / "dataset_info.json").write_text(json.dumps({"d": entry}))
    return folder


def judged(path: Path, **how: Any) -> Verdict:
    return judge(path, Reading(**{"train": ("d",), **how}))


def test_a_folder_is_read_by_its_entry(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    verdict = judged(described(tmp_path, file_name="rows.jsonl"))
    assert found(verdict) == []
    assert verdict.sets[0].kept_rows == [1]


def test_a_file_is_read_by_the_entry_beside_it_or_the_configurations(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"text":"a"}\n')
    assert set(found(judged(file, stage="pt"))) == {"FT708"}
    info = {"d": {"file_name": "other.jsonl", "columns": {"prompt": "text"}}}
    assert found(judged(file, stage="pt", info=info)) == []
    described(tmp_path, file_name="rows.jsonl", columns={"prompt": "document"})
    assert "document" in judged(file, stage="pt", info=info).findings[0].text


def test_the_configurations_entry_is_for_folders_without_dataset_info(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert found(judged(tmp_path)) == ["FT701"]
    assert found(judged(tmp_path, info={"d": {"file_name": "rows.jsonl"}})) == []
    described(tmp_path, file_name="nowhere.jsonl")
    assert found(judged(tmp_path, info={"d": {"file_name": "rows.jsonl"}})) == ["FT700"]


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("", "FT701"),
        ("[]", "FT701"),
        ("{}", "FT701"),
        ('{"e": {}}', "FT701"),
        ('{"d": 1}', "FT701"),
        ('{"d": {}}', "FT701"),
        ('{"d": {"file_name": 1}}', "FT701"),
        ('{"d": {"file_name": "rows.jsonl", "formatting": "x"}}', "FT701"),
        ('{"d": {"file_name": "rows.jsonl", "columns": []}}', "FT701"),
        ('{"d": {"file_name": "rows.jsonl", "tags": {"role_tag": []}}}', "FT701"),
        ('{"d": {"file_name": "rows.jsonl", "num_samples": "1"}}', "FT701"),
        ('{"d": {"file_name": "../rows.jsonl"}}', "FT718"),
        ('{"d": {"file_name": "/etc/passwd"}}', "FT718"),
        ('{"d": {"file_name": "\\u0000"}}', "FT718"),
        ('{"d": {"file_name": "link.jsonl"}}', "FT718"),
        ('{"d": {"file_name": "pipe.jsonl"}}', "FT700"),
        ('{"d": {"hf_hub_url": "a/b"}}', "FT734"),
        ("[" * 100_000, "FT701"),
    ],
)
def test_an_entry_that_leads_nowhere(tmp_path: Path, info: str, code: str) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "rows.jsonl").write_bytes(ROW)
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    (folder / "link.jsonl").symlink_to(tmp_path / "rows.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "dataset_info.json").write_text(info)
    assert found(judged(folder)) == [code]


def test_a_missing_entry_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"identity_alauda": {}}')
    [finding] = judged(tmp_path, train=("identity-alauda",)).findings
    assert finding.help == "set dataset.name=identity_alauda"


def test_files_of_a_folder_are_of_one_type(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    described(tmp_path, file_name="data")
    assert found(judged(tmp_path)) == ["FT704"], "it is empty"
    (tmp_path / "data" / "a.jsonl").write_bytes(ROW)
    (tmp_path / "data" / "b.json").write_bytes(ROW)
    assert len(judged(tmp_path).sets[0].kept_rows) == 2, "json and jsonl are read alike"
    (tmp_path / "data" / "README.md").write_text("rows")
    assert found(judged(tmp_path)) == ["FT704"]


def test_columns_of_all_files_are_those_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    described(tmp_path, file_name="data")
    for name, row in (("a.jsonl", ROW), ("b.jsonl", ROW.replace(b"}", b',"more":"x"}'))):
        (tmp_path / "data" / name).write_bytes(row)
    first = os.listdir(tmp_path / "data")[0]  # noqa: PTH208 - the trainer lists by it, too
    assert found(judged(tmp_path)) == (["FT709"] if first == "a.jsonl" else [])


def test_a_pointer_of_git_lfs_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(POINTER)
    assert found(judged(described(tmp_path, file_name="rows.jsonl"))) == ["FT703"]


def test_a_split_for_evaluation_that_is_trained_on_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text(README)
    for name in ("train-0.jsonl", "test.jsonl"):
        (tmp_path / "data" / name).write_bytes(ROW)
    described(tmp_path, file_name="data")
    assert found(judged(tmp_path)) == ["FT733"]
    assert found(judged(described(tmp_path, file_name="data/train-0.jsonl"))) == []
    (tmp_path / "data" / "test.jsonl").unlink()
    assert found(judged(tmp_path)) == ["FT733"], "the README names what is not there"


def test_a_readme_proposes_the_entry_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-0.jsonl").write_bytes(ROW)
    finding = judged(tmp_path).findings[0]
    assert (finding.kind.code, finding.help) == ("FT701", "set dataset.info.file_name=data/train-0.jsonl")


@pytest.mark.parametrize(
    "head",
    [
        "{",
        "configs: 1",
        "configs: [1, {data_files: 1}]",
        "configs: [{data_files: [{path: [1]}]}]",
        "&a [*a]",
        "a: b: c",
    ],
)
def test_a_broken_front_matter_is_no_crash(tmp_path: Path, head: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n")
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    verdict = judged(described(tmp_path, file_name="rows.jsonl"))
    assert set(found(verdict)) <= {"FT733"}
    assert verdict.sets[0].kept_rows == [1]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "**/*.jsonl", "[", "a\\0b", "*" * 3000])
def test_patterns_of_a_readme_stay_in_its_folder(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nconfigs: [{{data_files: [{{split: test, path: '{pattern}'}}]}}]\n---\n")
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert set(found(judged(described(tmp_path, file_name="rows.jsonl")))) <= {"FT733"}


def test_a_folder_that_is_too_deep_for_a_pattern_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(README)
    tmp_path.joinpath(*["d"] * 101).mkdir(parents=True)
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert found(judged(tmp_path)) == ["FT701", "FT733"]
    assert found(judged(described(tmp_path, file_name="rows.jsonl"))) == ["FT733"]


def test_rows_of_the_evaluation_are_compared_with_those_of_the_training(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ROW)
    (tmp_path / "b.jsonl").write_bytes(ROW.replace(b'"q"', b'"r"') + ROW)
    info = {"d": {"file_name": "a.jsonl"}, "e": {"file_name": "b.jsonl"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    verdict = judged(tmp_path, evaluated=("e",))
    assert [(finding.kind.code, finding.rows) for finding in verdict.findings] == [("FT729", [(2, 2)])]


def test_types_that_are_not_read_here_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.arrow").write_bytes(b"ARROW1")
    assert found(judged(described(tmp_path, file_name="rows.arrow"))) == ["FT734"]


@pytest.mark.parametrize(
    ("split", "codes"),
    [
        ("train", []),
        ("train[:80%]+train[90%:]", []),
        (None, []),
        ("test", ["FT701"]),
        ("train+test", ["FT701"]),
        (3, ["FT701"]),
    ],
)
def test_files_are_the_split_train(tmp_path: Path, split: Any, codes: list[str]) -> None:
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert found(judged(described(tmp_path, file_name="rows.jsonl", split=split))) == codes


@pytest.mark.parametrize("number", [0, -3])
def test_no_row_that_is_drawn_is_refused(tmp_path: Path, number: int) -> None:
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    assert found(judged(described(tmp_path, file_name="rows.jsonl", num_samples=number))) == ["FT701"]


def test_a_byte_order_mark_ends_the_reader_of_entries(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(ROW)
    described(tmp_path, file_name="rows.jsonl")
    place = tmp_path / "dataset_info.json"
    place.write_bytes(b"\xef\xbb\xbf" + place.read_bytes())
    assert found(judged(tmp_path)) == ["FT701"]
