"""The verdict on a data set against LLaMA-Factory's own loader, on data sets made at random.

Needs a Python with llamafactory installed: the one that runs the tests, or the one `FTGEN_TRAINER_PYTHON` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.trainers.made_data import Made, made

from ftgen.datasets.judge import judge
from ftgen.datasets.reading import Reading
from ftgen.diagnostics import Severity
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
        train=("d",),
    )


def judged(folder: Path, case: Made) -> list[int] | str:
    """The numbers of the rows that are left, from 0, or the first error."""
    verdict = judge(folder, read_by(case.stage, case.arguments))
    errors = [f"{d.code} {d.headline}" for d in verdict.diagnostics if d.severity is Severity.ERROR]
    return errors[0] if errors else [number - 1 for number in verdict.sets[0].kept_rows]


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
