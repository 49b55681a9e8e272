"""The verdict on a data set against LLaMA-Factory's own loader, on data sets made at random.

Needs a Python with llamafactory installed: the one that runs the tests, or the one `FTGEN_TRAINER_PYTHON` names.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.trainers.made_data import SECOND, Made, made

from ftgen.diagnostics import Severity
from ftgen.emulation.datasets.judge import judge
from ftgen.emulation.datasets.lengths import Tokenizer
from ftgen.emulation.datasets.reading import Reading
from ftgen.emulation.datasets.shards import FATE, KEPT, UNUSED, order
from ftgen.trainers.surface import surface

pytestmark = pytest.mark.slow

VERSION = "0.9.5"
SETS = int(os.environ.get("FTGEN_DATA_SETS", "400"))
FIRST = int(os.environ.get("FTGEN_DATA_SEED", "0"))


def loaded(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    python = os.environ.get("FTGEN_TRAINER_PYTHON", sys.executable)
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    driver = str(Path(__file__).with_name("real_loader.py"))
    done = subprocess.run([python, driver], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    version, *rest = map(json.loads, done.stdout.splitlines())
    assert version == VERSION
    assert len(rest) == len(cases), done.stderr[-4000:]
    return rest


def read_by(stage: str, arguments: dict[str, Any]) -> Reading:
    return Reading(
        stage="rm" if stage == "dpo" else stage,
        trainer=stage,
        template=arguments["template"],
        plain_tools="tools" not in surface(VERSION).templates[arguments["template"]],
        max_samples=arguments.get("max_samples"),
        val_size=arguments.get("val_size", 0),
        workers=arguments.get("preprocessing_num_workers", 1),
        mix_strategy=arguments.get("mix_strategy", "concat"),
        packing=arguments.get("packing", False),
        train=tuple(arguments.get("dataset", "d").split(",")),
    )


def judged(folder: Path, case: Made) -> list[int] | str:
    """The marks of the rows that are left, or the first error."""
    reading = read_by(case.stage, case.arguments)
    verdict = judge(folder, reading)
    errors = [f"{d.code} {d.headline}" for d in verdict.diagnostics if d.severity is Severity.ERROR]
    if errors:
        return errors[0]
    used = [each.fates.rstrip(bytes([UNUSED])) for each in verdict.sets]
    rows = order([*map(len, used)], reading.mix_strategy)
    return sorted(SECOND * which + row for which, row in rows if used[which][row] & FATE == KEPT)


def agrees(ours: list[int] | str, theirs: dict[str, Any]) -> bool:
    if "failed" in theirs or isinstance(ours, str):
        return "failed" in theirs and isinstance(ours, str)
    marks = theirs["rows"]
    return len(marks) == len(ours) and (None in marks or sorted(marks) == ours)


def test_verdicts_are_those_of_the_trainers_loader(tmp_path: Path) -> None:
    cases = {}
    for seed in range(FIRST, FIRST + SETS):
        cases[seed] = made(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        for name, content in cases[seed].files.items():
            (folder / name).write_bytes(content)
    asked = [
        {"folder": str(tmp_path / str(seed)), "stage": case.stage, "arguments": case.arguments}
        for seed, case in cases.items()
    ]
    found = dict(zip(cases, loaded(asked), strict=True))
    ours = {seed: judged(tmp_path / str(seed), case) for seed, case in cases.items()}
    ends = Counter("fails" if "failed" in each else "loads" for each in found.values())
    dropping = sum(1 for seed, each in found.items() if "rows" in each and len(each["rows"]) < made_rows(cases[seed]))
    differ = {seed: (found[seed], ours[seed]) for seed in cases if not agrees(ours[seed], found[seed])}
    print(f"{len(cases)} data sets: {dict(ends)}, {dropping} load without some rows, {len(differ)} differ")
    assert differ == {}
    assert min(ends["loads"], ends["fails"], 5 * dropping) > SETS / 5, "the sets made are too much alike"


def made_rows(case: Made) -> int:
    """About how many rows a set has: each has one mark."""
    return max(content.count(b"row") for content in case.files.values())


def test_what_cutoff_len_leaves_is_what_the_trainers_loader_leaves(tmp_path: Path) -> None:
    """By the template without marks, and a tokenizer with a token for each byte."""
    source, cutoff = random.Random(1), 24
    talk = [
        [("human" if turn % 2 == 0 else "gpt", "x" * source.randint(1, 40)) for turn in range(2 * source.randint(1, 3))]
        for _ in range(60)
    ]
    rows = [{"conversations": [{"from": role, "value": text} for role, text in each]} for each in talk]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "dataset_info.json").write_text('{"d": {"file_name": "d.jsonl", "formatting": "sharegpt"}}')
    arguments = {"template": "empty", "cutoff_len": cutoff}
    [theirs] = loaded([{"folder": str(tmp_path), "stage": "sft", "arguments": arguments}])
    ours = judge(tmp_path, replace(read_by("sft", arguments), cutoff_len=cutoff), bytewise(tmp_path)).sets[0]
    assert ours.tokens.total == sum(len(text) for each in talk for _, text in each)
    assert ours.tokens.total - ours.lost == sum(theirs["lengths"])
    assert ours.cut == sum(sum(len(text) for _, text in each) > cutoff for each in talk)


def test_what_packing_leaves_is_what_the_trainers_loader_leaves(tmp_path: Path) -> None:
    source, cutoff = random.Random(2), 32
    rows = [{"instruction": f"row{i}x", "input": "", "output": "y" * source.randint(1, 50)} for i in range(80)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "dataset_info.json").write_text('{"d": {"file_name": "d.jsonl"}}')
    arguments = {"template": "empty", "cutoff_len": cutoff, "packing": True}
    [theirs] = loaded([{"folder": str(tmp_path), "stage": "sft", "arguments": arguments}])
    ours = judge(tmp_path, replace(read_by("sft", arguments), cutoff_len=cutoff), bytewise(tmp_path)).sets[0]
    assert sorted(theirs["marks"]) == [*range(len(rows))]
    assert ours.cut == sum(len(row["instruction"]) + len(row["output"]) > cutoff for row in rows) > 0


@pytest.mark.parametrize("cutoff", [20, 200])
def test_packing_that_fills_no_block_ends_pre_training(cutoff: int, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("".join(f'{{"text": "row{i}x"}}\n' for i in range(10)))
    (tmp_path / "dataset_info.json").write_text('{"d": {"file_name": "d.jsonl", "columns": {"prompt": "text"}}}')
    arguments = {"template": "default", "cutoff_len": cutoff, "packing": True}
    [theirs] = loaded([{"folder": str(tmp_path), "stage": "pt", "arguments": arguments}])
    verdict = judge(tmp_path, replace(read_by("pt", arguments), cutoff_len=cutoff), bytewise(tmp_path))
    found = {each.kind.code for each in verdict.findings}
    assert ("failed" in theirs) == ("FT715" in found) == (cutoff == 200)


def bytewise(folder: Path) -> Tokenizer:
    python, driver = os.environ.get("FTGEN_TRAINER_PYTHON", sys.executable), Path(__file__).with_name("real_loader.py")
    subprocess.run([python, str(driver), str(folder / "tokenizer.json")], check=True, capture_output=True)
    return Tokenizer((folder / "tokenizer.json").read_bytes())


def test_a_file_that_is_no_tokenizer_is_refused() -> None:
    for content in (b"", b"{}", b'{"model": 1}', b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            Tokenizer(content)


def test_parquet_is_read_as_json_lines_are(tmp_path: Path) -> None:
    table, parquet = import_module("pyarrow").Table, import_module("pyarrow.parquet")
    rows = [{"instruction": f"q{i}", "input": "", "output": None if i == 2 else "a", "at": i} for i in range(5)]
    parquet.write_table(table.from_pylist(rows), tmp_path / "d.parquet")
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    of_parquet, of_lines = (judge(tmp_path / name, Reading()) for name in ("d.parquet", "d.jsonl"))
    assert of_parquet.sets[0].fates == of_lines.sets[0].fates
    assert [(f.kind, f.text) for f in of_parquet.findings] == [(f.kind, f.text) for f in of_lines.findings]
    (tmp_path / "d.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert [f.kind.code for f in judge(tmp_path / "d.parquet", Reading()).findings] == ["FT700"]
