"""Several data sets that are trained on as one, and rows that are packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.reading import Reading, reading_of_arguments
from ftgen.emulation.datasets.shards import order

GOOD = {"instruction": "q", "input": "", "output": "a"}
EMPTY = {"instruction": "q", "input": "", "output": None}


def judged(folder: Path, *sets: list[dict[str, Any]], entry: dict[str, Any] | None = None, **how: Any) -> Verdict:
    names = "abc"[: len(sets)]
    for name, rows in zip(names, sets, strict=True):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    info = {name: {"file_name": f"{name}.jsonl", **(entry or {})} for name in names}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return judge(folder, Reading(**{"train": tuple(names), **how}))


def found(verdict: Verdict) -> list[str]:
    return [each.kind.code for each in verdict.findings if str(each.kind.severity) == "error"]


def test_a_set_may_be_dropped_as_a_whole_beside_another_only_if_the_two_can_be_joined(tmp_path: Path) -> None:
    turned = {"conversations": [{"from": "gpt", "value": "a"}, {"from": "gpt", "value": "b"}]}
    talk = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    sharegpt = {"formatting": "sharegpt"}
    verdict = judged(tmp_path, [talk], [turned], entry=sharegpt)
    assert found(verdict) == ["FT716", "FT716"]
    assert "one set have no messages" in verdict.findings[-2].text
    assert found(judged(tmp_path, [turned], [turned], entry=sharegpt)) == ["FT715"]
    assert found(judged(tmp_path, [talk, turned], [talk], entry=sharegpt)) == []


def test_a_set_without_answers_is_not_joined_with_one_that_has_some(tmp_path: Path) -> None:
    verdict = judged(tmp_path, [GOOD, GOOD], [EMPTY, EMPTY])
    assert found(verdict) == ["FT716"]
    assert "have no answer" in verdict.findings[-1].text


def test_neighbours_are_those_of_the_joined_set(tmp_path: Path) -> None:
    entry = {"formatting": "sharegpt", "columns": {"messages": "conversations", "kto_tag": "label"}}
    talk = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "label": True}
    turned = {"conversations": [{"from": "gpt", "value": "a"}], "label": False}
    together = judged(tmp_path, [talk, turned], [turned, talk], entry=entry, stage="kto")
    assert found(together) == ["FT717"]
    (named,) = [each for each in together.findings if each.kind.code == "FT717"]
    assert (Path(named.file).name, named.rows) == ("b.jsonl", [(1, 1)])


def test_a_strategy_that_the_trainers_library_does_not_know_is_refused_for_several_sets(tmp_path: Path) -> None:
    assert found(judged(tmp_path, [GOOD], [GOOD], mix_strategy="interleave_once")) == ["FT739"]
    assert found(judged(tmp_path, [GOOD], mix_strategy="interleave_once")) == []


@pytest.mark.parametrize(
    ("strategy", "rows"),
    [
        ("concat", ["a0", "a1", "a2", "b0"]),
        ("interleave_under", ["a0", "b0"]),
        ("interleave_over", ["a0", "b0", "a1", "b0", "a2", "b0"]),
    ],
)
def test_the_order_of_several_sets(strategy: str, rows: list[str]) -> None:
    assert [f"{'ab'[which]}{place}" for which, place in order([3, 1], strategy)] == rows


@pytest.mark.parametrize(
    ("arguments", "packing"),
    [
        ({}, False),
        ({"packing": True}, True),
        ({"neat_packing": True}, True),
        ({"stage": "pt"}, True),
        ({"stage": "pt", "packing": False}, False),
    ],
)
def test_packing_is_the_default_of_pre_training(arguments: dict[str, Any], packing: bool) -> None:
    assert reading_of_arguments(arguments).packing is packing


class Letters:
    """Tokenizer with a token for each character."""

    def counts(self, texts: list[str]) -> list[int]:
        return [len(text) for text in texts]


@pytest.mark.parametrize(("cutoff", "codes"), [(6, []), (7, ["FT715"])])
def test_texts_that_fill_no_block_are_left_out(cutoff: int, codes: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "ab"}\n{"text": "cd"}\n')
    info = {"a": {"file_name": "a.jsonl", "columns": {"prompt": "text"}}}
    reading = Reading(stage="pt", trainer="pt", packing=True, cutoff_len=cutoff, info=info)
    assert found(judge(tmp_path / "a.jsonl", reading, Letters())) == codes
    assert found(judge(tmp_path / "a.jsonl", reading)) == []


def test_a_batch_that_is_dropped_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    rows = [GOOD] * 10 + [EMPTY] * 20
    assert found(judged(tmp_path, rows)) == []
    assert found(judged(tmp_path, rows, batch=10)) == ["FT716"]
    assert found(judged(tmp_path, [GOOD] + [EMPTY] * 2000, batch=2500)) == []


def test_a_stream_fixes_no_types(tmp_path: Path) -> None:
    rows = [{**GOOD, "system": None}] * 1200 + [{**GOOD, "system": "s"}]
    entry = {"columns": {"prompt": "instruction", "response": "output", "system": "system"}}
    assert found(judged(tmp_path, rows, entry=entry)) == ["FT716"]
    assert found(judged(tmp_path, rows, entry=entry, streaming=True)) == []


@pytest.mark.parametrize(("size", "codes"), [(2, []), (3, ["FT715"]), (50, ["FT715"]), (0.5, []), (0.9, ["FT715"])])
def test_a_validation_split_leaves_rows_to_train_on(tmp_path: Path, size: float, codes: list[str]) -> None:
    assert found(judged(tmp_path, [GOOD] * 3, val_size=size)) == codes
