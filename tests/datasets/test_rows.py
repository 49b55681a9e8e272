"""What LLaMA-Factory's readers take and refuse; each case was seen with pyarrow and pandas, by `tests/trainers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen.diagnostics import Severity
from ftgen.emulation.datasets import rows
from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.reading import Reading

TEXT = {"columns": {"prompt": "text"}}
PRETRAIN = Reading(stage="pt", trainer="pt", train=("d",))


def judged(folder: Path, content: bytes, name: str = "d.jsonl", entry: dict[str, Any] = TEXT, **how: Any) -> Verdict:
    (folder / name).write_bytes(content)
    (folder / "dataset_info.json").write_text(json.dumps({"d": {"file_name": name, **entry}}))
    return judge(folder, Reading(**{"stage": "pt", "trainer": "pt", "train": ("d",), **how}))


def errors(verdict: Verdict) -> list[str]:
    return [d.code for d in verdict.diagnostics if d.severity is Severity.ERROR]


TAKEN = {
    "lines": (b'{"text":"a"}\n{"text":"b"}\n', 2),
    "no last line break": (b'{"text":"a"}\n{"text":"b"}', 2),
    "mark before lines": (b'\xef\xbb\xbf{"text":"a"}\n', 1),
    "blank lines": (b'\n \n{"text":"a"}\n\n', 1),
    "carriage returns": (b'{"text":"a"}\r\n{"text":"b"}\r\n', 2),
    "two on a line": (b'{"text":"a"} {"text":"b"}{"text":"c"}\n', 3),
    "over several lines": (b'{\n "text":\n "a"\n}\n{"text":"b"}', 2),
    "null in a row's place": (b'{"text":"a"}\nnull\n', 2),
    "no number": (b'{"text":"a","n":NaN}\n', 1),
    "large number": (b'{"text":"a","n":123456789012345678901234567890}\n', 1),
    "surrogate pair": (b'{"text":"\\ud83d\\ude00"}\n', 1),
    "array": (b' [{"text":"a"},\n{"text":"b"}]\n', 2),
    "array with a tab in a text": (b'[{"text":"a\tb"}]', 1),
    "array with a key twice": (b'[{"text":"a","text":"b"}]', 1),
    "array with a last comma in an object": (b'[{"text":"a",},{"text":"b"}]', 2),
    "array with half a pair": (b'[{"text":"a\\ud800"}]', 1),
}
REFUSED = {
    "empty": (b"", "FT715"),
    "space": (b"\n\n", "FT715"),
    "empty array": (b"[]", "FT715"),
    "last comma": (b'{"text":"a",}\n', "FT706"),
    "comma after a row": (b'{"text":"a"},\n{"text":"b"}\n', "FT706"),
    "cut off": (b'{"text":"a"}\n{"text":"b', "FT706"),
    "cut off after a value": (b'{"text":"a"}\n{"text":"b"', "FT706"),
    "single quotes": (b"{'text':'a'}\n", "FT706"),
    "null in an array": (b'[{"text":"a"}, null]', "FT707"),
    "words": (b'{"text":"a"}\nhello\n', "FT706"),
    "tab in a text": (b'{"text":"a\tb"}\n', "FT706"),
    "key twice": (b'{"text":"a","text":"b"}\n', "FT706"),
    "half a pair": (b'{"text":"a\\ud800"}\n', "FT706"),
    "comment": (b'// rows\n{"text":"a"}\n', "FT706"),
    "deep": (b'{"text":' + b"[" * 100_000 + b"\n", "FT706"),
    "number": (b'{"text":"a"}\n1\n', "FT707"),
    "list": (b'{"text":"a"}\n["b"]\n', "FT707"),
    "other type": (b'{"text":"a"}\n{"text":1}\n', "FT707"),
    "other type within": (b'{"text":"a","x":[{"y":1}]}\n{"text":"a","x":[{"y":"1"}]}\n', "FT707"),
    "not UTF-8": (b'{"text":"a\xff"}\n', "FT705"),
    "UTF-16": ('{"text":"a"}\n'.encode("utf-16"), "FT706"),
    "dates": (b'{"text":"2024-05-01"}\n{"text":null}\n', "FT710"),
    "array after a mark": (b'\xef\xbb\xbf[{"text":"a"}]', "FT705"),
    "array that does not end": (b'[{"text":"a"},', "FT706"),
    "array with a last comma": (b'[{"text":"a"},]', "FT706"),
    "two arrays": (b'[{"text":"a"}]\n[{"text":"b"}]', "FT706"),
    "array with a large number": (b'[{"text":"a","n":123456789012345678901234567890}]', "FT706"),
    "array with the other half of a pair": (b'[{"text":"a\\udc00"}]', "FT706"),
    "array of texts and objects": (b'[{"text":"a"},"b"]', "FT707"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_rows_that_the_reader_takes(tmp_path: Path, name: str) -> None:
    content, count = TAKEN[name]
    verdict = judged(tmp_path, content)
    assert errors(verdict) == []
    assert len(verdict.sets[0].fates) == count


@pytest.mark.parametrize("name", REFUSED)
def test_rows_that_end_the_reading(tmp_path: Path, name: str) -> None:
    content, code = REFUSED[name]
    assert code in errors(judged(tmp_path, content))


def test_texts_that_look_like_dates_are_texts_in_an_array(tmp_path: Path) -> None:
    assert errors(judged(tmp_path, b'[{"text":"2024-05-01"}]')) == []


def test_a_bad_byte_beyond_max_samples_is_never_looked_at(tmp_path: Path) -> None:
    content = b'{"text":"a"}\n{"text":"\xff"}\n'
    assert errors(judged(tmp_path, content, max_samples=1)) == []
    assert errors(judged(tmp_path, content, max_samples=2)) == ["FT705"]


def test_broken_json_beyond_max_samples_ends_the_reading(tmp_path: Path) -> None:
    assert errors(judged(tmp_path, b'{"text":"a"}\n{"text":\n', max_samples=1)) == ["FT706"]


def test_an_object_over_several_lines_is_cut_in_a_large_file(tmp_path: Path) -> None:
    content = b'{"text":\n"a"}\n' * (rows.ONE_BLOCK // 14 + 1)
    assert "FT706" in errors(judged(tmp_path, content))


def test_a_key_that_comes_after_the_first_part_is_refused(tmp_path: Path) -> None:
    line = b'{"text":"%s"}\n' % (b"a" * 1000)
    content = line * (rows.PART // len(line) + 2) + b'{"text":"b","more":"c"}\n'
    assert errors(judged(tmp_path, content)) == ["FT709"]
    assert errors(judged(tmp_path, content.replace(b'"}', b'","more":null}', 1))) == ["FT709"], "null has no type"
    assert errors(judged(tmp_path, content.replace(b'"}', b'","more":""}', 1))) == []


def test_a_row_that_is_too_large_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    verdict = judged(tmp_path, b'{"text":"' + b"a" * rows.LARGEST_ROW + b'"}\n{"text":"b"}\n')
    assert errors(verdict) == ["FT700"]
    assert len(verdict.sets[0].fates) == 2


def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    array = b'[\n{"text":"a"},\n\n{"text":""}\n]'
    for content, name in ((array, "d.json"), (b'{"text":"a"}\n\n\n{"text":""}\n', "d.jsonl")):
        [found] = judged(tmp_path, content, name).findings
        assert (found.kind.code, found.rows) == ("FT728", [(2, 4)])


def test_each_line_of_a_text_is_a_row(tmp_path: Path) -> None:
    verdict = judged(tmp_path, b"a\n\nb\r\nc\rd\n", "d.txt")
    assert len(verdict.sets[0].fates) == 5
    assert errors(judged(tmp_path, b"a\n\xff\n", "d.txt")) == ["FT705"]


ALPACA = {"columns": {"prompt": "text", "query": "more"}}


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"text,more\na,\nb,x\n", []),
        (b"\xef\xbb\xbftext,more\r\na,b\r\n", []),
        (b'text,more\n"a\nb",NA\n\nc\n', []),
        (b"text,more\na,1\n", ["FT711"]),
        (b"text,more\na,1\nb,x\n", []),
        (b"text,more\na,True\n", ["FT711"]),
        (b"text,more\na,b,c\n", ["FT706"]),
        (b'text,more\na,"b\n', ["FT706"]),
        (b"text,more\na,\xff\n", ["FT705"]),
        (b"text\na\n", ["FT708"]),
        (b"\n\r\ntext,more\na,b\n", []),
        (b"text,more\ra,b\rc,d\r", []),
        (b'text,more\ra,"b\rc"\r', []),
        (b"text,more\n", ["FT715"]),
        (b"", ["FT715"]),
    ],
)
def test_csv_has_the_types_that_pandas_gives(tmp_path: Path, content: bytes, codes: list[str]) -> None:
    assert errors(judged(tmp_path, content, "d.csv", ALPACA)) == codes


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["2024-01-01", "\ud800"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["from", "value", "role", "content", "a", ""]), inner, max_size=4),
    ),
    max_leaves=12,
)
KEYS = ["instruction", "input", "output", "conversations", "system", "tools", "history", "chosen", "rejected", "label"]
COLUMNS = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "messages": "conversations",
    "kto_tag": "label",
    **{name: name for name in ("system", "tools", "history", "chosen", "rejected")},
}


@settings(max_examples=300, deadline=None)
@given(
    table=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), max_size=4),
    form=st.sampled_from(["alpaca", "sharegpt", "openai"]),
    stage=st.sampled_from(["pt", "sft", "rm", "kto", "ppo"]),
    array=st.booleans(),
)
def test_no_row_makes_the_judge_raise(tmp_path_factory, table, form, stage, array) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("rows")
    lines = [json.dumps(row) for row in table]
    content = f"[{','.join(lines)}]" if array else "\n".join(lines)
    entry = {"formatting": form, "ranking": stage == "rm", "columns": COLUMNS}
    judged(folder, content.encode(), entry=entry, stage=stage, val_size=0.1, workers=3)


@settings(max_examples=300, deadline=None)
@given(content=st.one_of(st.binary(max_size=80), st.text('[]{}:,"\\ud8a1 \n\tnulltrue', max_size=60).map(str.encode)))
def test_no_bytes_make_the_reader_raise(tmp_path_factory, content) -> None:  # type: ignore[no-untyped-def]
    judged(tmp_path_factory.mktemp("bytes"), content)


@settings(max_examples=100, deadline=None)
@given(
    table=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=4), max_size=6),
    indent=st.sampled_from([None, 1]),
)
def test_an_array_is_read_as_pythons_json_reads_it(tmp_path_factory, table, indent) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path_factory.mktemp("array") / "d.json"
    file.write_text(json.dumps(table, indent=indent).replace("Infinity", "1").replace("-1", "1").replace("NaN", "2"))
    with file.open("rb") as stream:
        read = [row for _, row in rows.json_rows(stream, 1) if not isinstance(row, rows.End)]
    whole = json.loads(file.read_text().replace("\\ud800", ""))
    assert [row for row in read if isinstance(row, rows.Broken)] or read == whole
