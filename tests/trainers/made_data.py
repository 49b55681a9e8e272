"""Data sets made at random: forms by stages by faults, small enough to load hundreds of them."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any, NamedTuple

SHAREGPT = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
OPENAI = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function",
    "system_tag": "system",
}
ODD: list[Any] = [None, 5, 0, 1.5, True, False, [], ["x"], {}, {"a": "b"}, "", "2024-01-01", "x"]
TOOL = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
TOOLS: list[Any] = ["", None, "[]", json.dumps([TOOL])] * 20
TOOLS += ["x", "5", '["a"]', [{"name": "f"}], '{"name":"f"}', '""', "null"]
CALLS = ['{"name":"f","arguments":{}}'] * 20 + ['[{"name":"f","arguments":{"a":1}}]', "x", '{"name":"f"}', "[5]", "[]"]
HISTORIES: list[Any] = [[["a"]], [["a", None]], "abc", [["a", "b", "c"]], ["ab"], [{"u": "q", "v": "a"}]]
TEMPLATES = ["default", "default", "qwen3", "qwen", "llama3", "empty", "llama2", "chatml"]
Row = dict[str, Any]


class Made(NamedTuple):
    """A data set: its files by name, and how it is read."""

    stage: str
    files: dict[str, bytes]
    arguments: dict[str, Any]


class Maker:
    """Maker of one data set."""

    def __init__(self, seed: int, stage: str | None = None, first: int = 0) -> None:
        self.r = random.Random(seed)
        self.first = first
        self.stage = stage or self.r.choice(["sft", "sft", "sft", "pt", "dpo", "kto", "ppo"])
        forms = ["alpaca", "alpaca", "sharegpt", "sharegpt", "openai"]
        self.form = "alpaca" if self.stage == "pt" and self.one_in(1.5) else self.r.choice(forms)
        self.ranking = (self.stage == "dpo") != self.one_in(30)
        self.tags = OPENAI if self.form == "openai" else SHAREGPT
        # Each of a thousand and more rows is written as one of the first batches, so what is late shows.
        self.many = self.one_in(25) and not first
        self.columns = self.named()
        self.rows = [self.row(i) for i in range(self.r.choice([1003, 2004]) if self.many else self.r.randint(1, 20))]

    def one_in(self, number: float) -> bool:
        return self.r.random() < 1 / number

    def named(self) -> dict[str, str]:
        alpaca = {"prompt": "instruction"}
        if not (self.stage == "pt" and self.one_in(1.5)):
            alpaca |= {"query": "input"} if self.ranking else {"query": "input", "response": "output"}
        columns = alpaca if self.form == "alpaca" else {"messages": "conversations"}
        columns |= {"chosen": "chosen", "rejected": "rejected"} if self.ranking else {}
        more = [name for name in ("system", "tools", "history") if self.one_in(7)] + ["images"] * self.one_in(20)
        columns |= {name: name for name in more if name != "history" or self.form == "alpaca"}
        return columns | ({"kto_tag": "label"} if self.stage == "kto" and not self.one_in(20) else {})

    def row(self, i: int) -> Row:
        talk = self.form != "alpaca"
        row = {"conversations": self.talk(i)} if talk else self.alpaca(i)
        if self.ranking:
            row |= {name: self.said("assistant_tag", name) if talk else name for name in ("chosen", "rejected")}
        extra = {
            "kto_tag": lambda: self.one_in(2),
            "system": lambda: self.r.choice(["sys", "", None]),
            "tools": lambda: self.r.choice(TOOLS),
            "history": lambda: self.r.choice([[], [["q", "a"]], [["q", "a"], ["q2", "a2"]], None]),
            "images": lambda: self.r.choice([[], None, [], ["a.png"]]),
        }
        return row | {column: extra[role]() for role, column in self.columns.items() if role in extra}

    def text(self, i: int) -> str:
        mark = f"row{self.first + i}x"
        return self.r.choice([mark, f"{mark} hello", f"{mark}\nline two é"])

    def alpaca(self, i: int) -> Row:
        row = {"instruction": self.text(i), "input": self.r.choice(["", "more"])}
        return row if self.ranking else row | {"output": self.r.choice(["yes", "no", "maybe", ""])}

    def said(self, tag: str, content: Any) -> Row:
        return {self.tags["role_tag"]: self.tags[tag], self.tags["content_tag"]: content}

    def talk(self, i: int) -> list[Row]:
        messages = [self.said("system_tag", "be kind")] * self.one_in(5)
        for turn in range(self.r.choice([1, 1, 2, 3])):
            messages.append(self.said("user_tag", "again" if turn else self.text(i)))
            if self.one_in(10):
                messages += [self.said("function_tag", self.r.choice(CALLS)), self.said("observation_tag", "result")]
            messages.append(self.said("assistant_tag", self.r.choice(["yes", "no", ""])))
        return messages[:-1] if self.ranking else messages

    # faults

    def spoil(self) -> None:
        for _ in range(self.r.choice([0, 0, 0, 1, 1, 1, 2])):
            row = self.r.choice(self.rows)
            if row:
                spoil = self.r.choice([self.spoil_value, self.spoil_column, *[self.spoil_form] * 4])
                spoil(row, self.r.choice(list(row)))

    def spoil_value(self, row: Row, key: str) -> None:
        match self.r.randrange(5):
            case 0:
                row[key] = None
            case 1:
                row.pop(key)
            case 2:
                row["unused"] = self.r.choice(ODD)
            case _:
                row[key] = self.r.choice(ODD)

    def spoil_column(self, _: Row, key: str) -> None:
        value, kind, share = self.r.choice(ODD), self.r.randrange(6), self.r.choice([0.1, 0.5])
        begin = self.r.randrange(len(self.rows))
        for i, row in enumerate(self.rows):
            match kind:
                case 0:
                    row.pop(key, None)
                case 1:
                    row["renamed"] = row.pop(key, None)
                case 2:
                    row[key] = value
                case 3 if i >= begin:
                    row[key] = None
                case 4 if i < begin:
                    row[key] = None
                case 5 if self.r.random() < share:
                    row[key] = None

    def spoil_form(self, row: Row, _: str) -> None:
        messages = row.get("conversations")
        if messages and isinstance(messages, list):
            self.spoil_messages(row, messages, self.r.randrange(len(messages)))
        elif "history" in row:
            row["history"] = self.r.choice(HISTORIES)
        elif "label" in row:
            row["label"] = self.r.choice([None, 1, "true"])
        elif "output" in row:
            row["output"] = None
        elif "chosen" in row:
            row[self.r.choice(["chosen", "rejected"])] = None

    def spoil_messages(self, row: Row, messages: list[Any], at: int) -> None:
        role, content = self.tags["role_tag"], self.tags["content_tag"]
        if not isinstance(messages[at], dict):
            return
        match self.r.randrange(11):
            case 0 | 1 | 2:
                messages.insert(at, dict(messages[at]))
            case 3 | 4 | 8 | 9:
                del messages[at]
            case 10:
                messages[at][role] = self.r.choice([*list(self.tags.values())[2:], "stranger", None])
            case 5:
                messages[at][content] = self.r.choice([None, "", "", "", 5, ["x"]])
            case 6:
                messages[at].pop(self.r.choice([role, content]), None)
            case _ if isinstance(row.get("chosen"), dict):
                row["chosen"][self.r.choice([role, content])] = self.r.choice([self.tags["user_tag"], None, "stranger"])
            case _ if self.form == "openai":
                arguments = self.r.choice(["{}", {"a": 1}])
                messages[at]["tool_calls"] = [{"type": "function", "function": {"name": "f", "arguments": arguments}}]

    # files

    def entry(self, name: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"file_name": name}
        if self.form != "alpaca" or self.one_in(2):
            entry["formatting"] = self.form
        if self.ranking or self.one_in(10):
            entry["ranking"] = self.ranking
        if self.form == "openai":
            entry["tags"] = OPENAI
        elif self.form == "sharegpt" and self.one_in(6):
            entry["tags"] = {
                k: v for k, v in SHAREGPT.items() if k in {"role_tag", "content_tag"} or not self.one_in(8)
            }
        by_default = ({"prompt": "instruction", "query": "input", "response": "output"}, {"messages": "conversations"})
        if self.columns not in by_default or self.one_in(2):
            entry["columns"] = self.columns
        return entry

    def made(self, *, sound: bool = False) -> Made:
        if not sound:
            self.spoil()
        array, few = self.one_in(4), not self.many
        ascii_only = self.one_in(2)
        lines = [json.dumps(row, ensure_ascii=ascii_only).encode() for row in self.rows]
        body = b"[\n" + b",\n".join(lines) + b"\n]" if array else b"\n".join(lines) + b"\n" * (not self.one_in(5))
        name = "d.json" if array or self.one_in(5) else "d.jsonl"
        if few and self.one_in(4):
            body = self.spoil_bytes(body, array=array)
        arguments: dict[str, Any] = {"template": self.r.choice(TEMPLATES)}
        if self.one_in(5):
            arguments["max_samples"] = self.r.choice([1, 3, 100])
        if few and self.one_in(6):
            arguments["preprocessing_num_workers"] = self.r.choice([2, 4])
        if self.form == "alpaca" and self.one_in(5) and not {"tools", "history", "images"} & self.columns.keys():
            name, body = "d.csv", self.delimited()
        info = json.dumps({"d": self.entry(name)}).encode()
        return Made(self.stage, {name: body, "dataset_info.json": info}, arguments)

    def delimited(self) -> bytes:
        """The rows as CSV, with the cells of odd values as they come."""
        header = list(dict.fromkeys(key for row in self.rows for key in row)) or ["instruction"]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([row.get(key, "") for key in header] for row in self.rows)
        text = out.getvalue()
        spoilt = [text + "a,b,c,d,e,f,g\n", text.replace("\n", "\r\n"), "\ufeff" + text, text + '"open', text + "a\n"]
        return (self.r.choice(spoilt) if self.one_in(4) else text).encode()

    def spoil_bytes(self, body: bytes, *, array: bool) -> bytes:
        cut = self.r.randrange(len(body) // 2, len(body))
        spoilt = [
            b"\xef\xbb\xbf" + body,
            body[:cut],
            body.replace(b"}", b",}", 1),
            body.replace(b"row", b"row\xff", 1),
            body.replace(b"row", b"row\t", 1),
            body.replace(b"row", b"row\\ud800", 1),
            body.replace(b"\n", b"\r\n"),
            body.replace(b"\n", b"\n\n"),
            b"",
            body.replace(b'"', b"'", 2),
            body.replace(b"{", b'{"twice":1,"twice":2,', 1),
            body + b"\nhello",
            body.replace(b"row", b"\\u0000row", 1),
            body.replace(b"{", b'{"big":123456789012345678901234567890,"nan":NaN,', 1),
        ]
        if not array:
            spoilt += [
                b"\n".join(json.dumps(row, indent=1).encode() for row in self.rows),
                body + b"null\n",
                body.replace(b"}\n{", b"} {", 1),
                json.dumps({"data": self.rows}).encode(),
            ]
        return self.r.choice(spoilt)


SECOND = 10_000
"""The first mark of the rows of a second data set."""


def made(seed: int) -> Made:
    """Make a data set, or two that are read as one; the same seed makes the same ones."""
    maker = Maker(seed)
    one = maker.made()
    if maker.many or not maker.one_in(4):
        return one
    other = Maker(seed + SECOND, maker.stage, SECOND).made(sound=maker.one_in(2))
    files = {**one.files, **{f"e{name}": content for name, content in other.files.items()}}
    info = {**json.loads(files["dataset_info.json"]), "e": json.loads(files.pop("edataset_info.json"))["d"]}
    info["e"]["file_name"] = f"e{info['e']['file_name']}"
    arguments = {**one.arguments, "dataset": "d,e"}
    if maker.one_in(3):
        arguments["mix_strategy"] = maker.r.choice(["interleave_under", "interleave_over", "interleave_once"])
    return Made(one.stage, {**files, "dataset_info.json": json.dumps(info).encode()}, arguments)
