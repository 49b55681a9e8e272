"""What becomes of a row: each case was seen with LLaMA-Factory's own loader, by `tests/trainers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.reading import Reading

USER, BOT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
TALK = {"formatting": "sharegpt"}
ALPACA = {"instruction": "q", "input": "", "output": "a"}
RANKED = {"ranking": True, "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}}
RANKED_TALK = {
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
KTO = {"columns": {"prompt": "instruction", "query": "input", "response": "output", "kto_tag": "label"}}
OPENAI = {
    "formatting": "openai",
    "columns": {"messages": "messages", "tools": "tools"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "function_tag": "function",
        "system_tag": "system",
    },
}
TOOLS = {"formatting": "sharegpt", "columns": {"messages": "conversations", "tools": "tools", "images": "images"}}
HISTORY = {"columns": {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}}


def talk(*roles: str, **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": role, "value": f"said by {role}"} for role in roles], **more}


def tools(text: Any) -> dict[str, Any]:
    return {"conversations": [USER, BOT], "tools": text, "images": []}


def calling(content: Any) -> dict[str, Any]:
    function = {"from": "function_call", "value": content}
    return {"conversations": [USER, function, {"from": "observation", "value": "o"}, BOT]}


def said(*messages: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content, **more} for role, content in messages], "tools": None}


# Entry, stage, the row, and the codes of what is found of it.
ROWS: dict[str, tuple[dict[str, Any], str, dict[str, Any], list[str]]] = {
    "plain": ({}, "sft", ALPACA, []),
    "null answer": ({}, "sft", {**ALPACA, "output": None}, ["FT722"]),
    "number answers": ({}, "sft", {**ALPACA, "output": 4}, ["FT707"]),
    "empty answer": ({}, "sft", {**ALPACA, "output": ""}, ["FT727"]),
    "empty prompt": ({}, "sft", {**ALPACA, "instruction": ""}, ["FT728"]),
    "null prompt": ({}, "sft", {**ALPACA, "instruction": None}, ["FT728"]),
    "history": (HISTORY, "sft", {**ALPACA, "history": [["q", "a"]]}, []),
    "history of three": (HISTORY, "sft", {**ALPACA, "history": [["q", "a", "b"]]}, ["FT711"]),
    "history with null": (HISTORY, "sft", {**ALPACA, "history": [["q", None]]}, ["FT712"]),
    "conversation": (TALK, "sft", talk("human", "gpt"), []),
    "system first": (TALK, "sft", talk("system", "human", "gpt"), []),
    "assistant first": (TALK, "sft", talk("gpt", "human"), ["FT720"]),
    "twice the user": (TALK, "sft", talk("human", "human", "gpt"), ["FT720"]),
    "system later": (TALK, "sft", talk("human", "gpt", "system", "gpt"), ["FT720"]),
    "unknown role": (TALK, "sft", talk("human", "stranger"), ["FT720"]),
    "ends with a question": (TALK, "sft", talk("human", "gpt", "human"), ["FT721"]),
    "no messages": (TALK, "sft", {"conversations": []}, ["FT721"]),
    "messages are null": (TALK, "sft", {"conversations": None}, ["FT711"]),
    "content is null": (TALK, "sft", {"conversations": [USER, {"from": "gpt", "value": None}]}, ["FT712"]),
    "content is missing": (TALK, "sft", {"conversations": [USER, {"from": "gpt"}]}, ["FT712"]),
    "tools": (TOOLS, "sft", tools("[]"), []),
    "tools that are no JSON": (TOOLS, "sft", tools("use it"), ["FT713"]),
    "tools that are null": (TOOLS, "sft", tools("null"), ["FT713"]),
    "tools that are texts": (TOOLS, "sft", tools('["f"]'), ["FT713"]),
    "images": (TOOLS, "sft", {**talk("human", "gpt"), "tools": "", "images": ["a.png"]}, ["FT714"]),
    "function call": (TALK, "sft", calling('{"name": "f", "arguments": {}}'), []),
    "function calls": (TALK, "sft", calling('[{"name": "f", "arguments": {}}]'), []),
    "thought and call": (TALK, "sft", calling('<think>\nhm\n</think>\n\n{"name":"f","arguments":1}'), []),
    "no call": (TALK, "sft", calling("f()"), ["FT713"]),
    "call without arguments": (TALK, "sft", calling('{"name": "f"}'), ["FT713"]),
    "pair": (RANKED, "rm", {"instruction": "q", "chosen": "a", "rejected": "b"}, []),
    "equal pair": (RANKED, "rm", {"instruction": "q", "chosen": "a", "rejected": "a"}, ["FT726"]),
    "half a pair": (RANKED, "rm", {"instruction": "q", "chosen": "a", "rejected": None}, ["FT724"]),
    "pair of messages": (RANKED_TALK, "rm", talk("human", chosen=BOT, rejected=BOT | {"value": "b"}), []),
    "pair after an answer": (RANKED_TALK, "rm", talk("human", "gpt", chosen=BOT, rejected=BOT), ["FT721"]),
    "pair of the user": (RANKED_TALK, "rm", talk("human", chosen=USER, rejected=BOT), ["FT736"]),
    "pair of a stranger": (RANKED_TALK, "rm", talk("human", chosen=USER | {"from": "x"}, rejected=BOT), ["FT711"]),
    "label": (KTO, "kto", {**ALPACA, "label": True}, []),
    "label that is no flag": (KTO, "kto", {**ALPACA, "label": None}, ["FT723"]),
    "labelled nothing": (KTO, "kto", {**ALPACA, "output": "", "label": True}, ["FT727"]),
    "unwanted null": (KTO, "kto", {**ALPACA, "output": None, "label": False}, ["FT712"]),
    "labelled row for sft": (KTO, "sft", {**ALPACA, "label": True}, ["FT737"]),
    "document": ({"columns": {"prompt": "text"}}, "pt", {"text": "a"}, []),
    "empty document": ({"columns": {"prompt": "text"}}, "pt", {"text": ""}, ["FT728"]),
    "conversation as document": (TALK, "pt", talk("human", "gpt", "human", "gpt"), ["FT735"]),
    "broken conversation as document": (TALK, "pt", talk("gpt"), ["FT711"]),
    "openai": (OPENAI, "sft", said(("user", "q"), ("assistant", "a")), []),
    "openai stranger": (OPENAI, "sft", said(("user", "q"), ("stranger", "a")), ["FT711"]),
    "openai tools in a row": (
        OPENAI,
        "sft",
        said(
            ("user", "q"),
            ("function", '{"name": "f", "arguments": {}}'),
            ("tool", "1"),
            ("tool", "2"),
            ("assistant", "a"),
        ),
        [],
    ),
    "openai tool says nothing": (OPENAI, "sft", said(("user", "q"), ("tool", None), ("assistant", "a")), ["FT711"]),
}
# A second row that is sound, so that each column is there and of its type.
SOUND: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (TOOLS, tools("")),
    (HISTORY, {**ALPACA, "history": []}),
    (KTO, {**ALPACA, "label": False}),
    (RANKED, {"instruction": "p", "chosen": "a", "rejected": "b"}),
    (RANKED_TALK, talk("human", chosen=BOT, rejected=BOT | {"value": "b"})),
    (OPENAI, said(("user", "p"), ("assistant", "a"))),
    (TALK, talk("human", "gpt")),
    ({}, ALPACA),
    ({"columns": {"prompt": "text"}}, {"text": "b"}),
]


def judged(folder: Path, rows: list[dict[str, Any]], entry: dict[str, Any], stage: str, **how: Any) -> Verdict:
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.jsonl", **entry}}))
    return judge(folder, Reading(stage=stage, trainer=stage, train=("d",), **how))


def found(verdict: Verdict) -> list[str]:
    return [finding.kind.code for finding in verdict.findings]


@pytest.mark.parametrize("name", ROWS)
def test_what_becomes_of_a_row(tmp_path: Path, name: str) -> None:
    entry, stage, row, codes = ROWS[name]
    sound = next(second for of, second in SOUND if of == entry)
    verdict = judged(tmp_path, [sound, row], entry, stage)
    of_the_set = {"FT715", "FT725"}  # no row is left; all labels are the same
    assert [code for code in found(verdict) if code not in of_the_set] == codes
    dropped = codes[:1] in (["FT720"], ["FT721"], ["FT722"], ["FT723"], ["FT724"], ["FT737"])
    kept = [1] if dropped or codes[:1] in (["FT707"], ["FT711"], ["FT712"], ["FT713"], ["FT714"]) else [1, 2]
    assert verdict.sets[0].kept_rows == ([] if stage == "sft" and entry == KTO else kept)


@pytest.mark.parametrize(
    ("entry", "stage", "row", "column"),
    [
        ({}, "sft", {"instruction": "q", "output": "a"}, "input"),
        ({}, "pt", {"text": "a"}, "instruction"),
        (TALK, "sft", {"messages": []}, "conversations"),
        (TALK, "sft", {"conversations": [{"role": "human", "value": "q"}]}, "conversations.[].from"),
        (KTO, "kto", ALPACA, "label"),
        (RANKED, "rm", {"instruction": "q", "chosen": "a"}, "rejected"),
    ],
)
def test_a_column_that_no_row_has_is_named(tmp_path: Path, entry, stage, row, column) -> None:  # type: ignore[no-untyped-def]
    verdict = judged(tmp_path, [row, row], entry, stage)
    assert set(found(verdict)) == {"FT708"}, "what follows from it is not said"
    assert any(f" {column}," in finding.text for finding in verdict.findings)


def test_a_columns_mapping_replaces_all_defaults(tmp_path: Path) -> None:
    assert found(judged(tmp_path, [ALPACA], {"formatting": "sharegpt", "columns": {"system": "s"}}, "sft")) == ["FT708"]


def test_a_dropped_row_before_others_ends_kto(tmp_path: Path) -> None:
    entry = {"formatting": "sharegpt", "columns": {"messages": "conversations", "kto_tag": "label"}}
    good, bad = talk("human", "gpt", label=True), talk("gpt", label=False)
    assert found(judged(tmp_path, [good, bad, good | {"label": False}], entry, "kto")) == ["FT720", "FT717"]
    assert found(judged(tmp_path, [bad, bad], entry, "kto")) == ["FT720", "FT715"]


def test_one_kind_of_label_is_told(tmp_path: Path) -> None:
    assert found(judged(tmp_path, [{**ALPACA, "label": True}] * 2, KTO, "kto")) == ["FT725"]


def test_the_first_thousand_rows_fix_the_types(tmp_path: Path) -> None:
    entry = {"columns": {"prompt": "instruction", "response": "output", "system": "system"}}
    without, with_one = {**ALPACA, "system": None}, {**ALPACA, "system": "s"}
    assert found(judged(tmp_path, [without] * 1000 + [with_one], entry, "sft")) == ["FT716"]
    assert found(judged(tmp_path, [without] * 999 + [with_one], entry, "sft")) == []
    assert found(judged(tmp_path, [with_one] + [without] * 1000 + [with_one], entry, "sft")) == []


def test_a_thousand_rows_that_are_dropped_end_the_training(tmp_path: Path) -> None:
    good, bad = talk("human", "gpt"), talk("gpt")
    assert found(judged(tmp_path, [good] * 1000 + [bad] * 10, TALK, "sft")) == ["FT720", "FT716"]
    assert found(judged(tmp_path, [good] * 1000 + [bad] * 10 + [good], TALK, "sft")) == ["FT720"]


def test_processes_must_agree(tmp_path: Path) -> None:
    rows = [{**ALPACA, "output": None if i < 2 else "a"} for i in range(8)]
    assert found(judged(tmp_path, rows, {}, "sft")) == ["FT722"]
    assert found(judged(tmp_path, rows, {}, "sft", workers=4)) == ["FT722", "FT716"]


def test_rows_beyond_max_samples_are_read_and_not_used(tmp_path: Path) -> None:
    verdict = judged(tmp_path, [ALPACA, {**ALPACA, "output": None}], {}, "sft", max_samples=1)
    assert found(verdict) == ["FT732"]
    assert verdict.sets[0].kept_rows == [1]


def test_duplicates_matter_where_something_is_evaluated(tmp_path: Path) -> None:
    assert found(judged(tmp_path, [ALPACA] * 2, {}, "sft")) == []
    assert found(judged(tmp_path, [ALPACA] * 2, {}, "sft", val_size=0.1)) == ["FT729"]


def test_data_of_another_stage_is_refused(tmp_path: Path) -> None:
    assert found(judged(tmp_path, [ALPACA], {"ranking": True}, "sft")) == ["FT702"]
    assert found(judged(tmp_path, [ALPACA], {}, "rm")) == ["FT702"]
