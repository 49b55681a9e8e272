"""`ftgen data` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ftgen import api, cli
from ftgen.cli.completion import candidates

ROW = '{"instruction":"q","input":"","output":"a","system":""}\n'
DROPPED = '{"instruction":"r","input":"","output":null,"system":""}\n'
BROKEN = '{"instruction":"q"\n'
ONE = "trainer.args.preprocessing_num_workers=1"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.jsonl").write_text(ROW + ROW.replace("q", "p"))
    Path("dropped.jsonl").write_text(ROW + DROPPED)
    Path("broken.jsonl").write_text(ROW + BROKEN)


def test_rows_are_counted_and_measured(capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "good.jsonl"]) == 0
    assert capsys.readouterr() == (
        (
            "identity_alauda: 2 rows in 1 file, read as alpaca for sft\n"
            "  trained on  2\n"
            "  characters  rows\n"
            "  2-3         2     ########################################\n"
            "  longest 2, mean 2\n"
        ),
        "",
    )


def test_a_dropped_row_is_a_warning_and_strict_makes_it_an_error(capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "dropped.jsonl", ONE]) == 0
    assert capsys.readouterr().err == (
        f"dropped.jsonl:2: warning[FT722]: row 2 is dropped: its answer is no text\n  2 | {DROPPED}    | ^\n"
        "  help: the answer, or leave out the row\n"
    )
    assert cli.main(["data", "dropped.jsonl", ONE, "--strict"]) == 1
    assert cli.main(["data", "dropped.jsonl", ONE, "--strict", "+allow.FT722=known"]) == 0


def test_a_row_that_ends_the_training_is_an_error(capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "broken.jsonl"]) == 1
    assert "broken.jsonl:2: error[FT706]: row 2 ends the training" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_diagnostics_have_the_usual_forms(capsys, form: str) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "broken.jsonl", "--format", form]) == 1
    out, err = capsys.readouterr()
    assert "FT706" in out
    assert err == ""
    if form == "json":
        [found] = json.loads(out)
        assert found["locations"] == [{"file": "broken.jsonl", "line": 2, "column": 0}]


def test_the_verdict_as_json(capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", "dropped.jsonl", ONE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    [judged] = found["sets"]
    assert (judged["rows"], judged["trained"], judged["dropped"]) == (2, 1, 1)
    assert judged["characters"] == {"longest": 2, "total": 2, "buckets": [{"from": 2, "to": 3, "rows": 1}]}
    [finding] = found["findings"]
    assert (finding["code"], finding["count"], finding["rows"]) == ("FT722", 1, [{"row": 2, "line": 2}])


class _Tags(HTMLParser):
    """Tags that are open, and all that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser's
        self.seen.add(tag)
        if tag not in self.unclosed:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser's
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    unclosed = frozenset({"meta", "br", "thead", "tbody", "tr", "th", "td"})


def test_the_verdict_as_a_page_that_runs_nothing(capsys) -> None:  # type: ignore[no-untyped-def]
    Path("<script>.jsonl").write_text('{"conversations":[{"from":"<script>","value":"a"}]}\n' * 2)
    info = "dataset.info={file_name: a.jsonl, formatting: sharegpt}"
    assert cli.main(["data", "<script>.jsonl", info, "--format", "html"]) == 1
    out, err = capsys.readouterr()
    page = _Tags()
    page.feed(out)
    assert (page.open, err) == ([], "")
    assert "script" not in page.seen
    assert "&lt;script&gt;" in out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "data needs a PATH or URL"),
        (["trainer=sft-lora"], 2, "data needs a PATH or URL"),
        (["nowhere.jsonl"], 1, "FT700"),
        (["good.jsonl", "--revision", "main"], 2, "--revision is for a URL"),
        (["good.jsonl", "trainer=command", "trainer.command=[train]"], 1, "FT702"),
        (["good.jsonl", "trainer.args.cutoff_len=x"], 1, "FT202"),
        (["good.jsonl", "trainer=none"], 1, "<command line>:1: error[FT011]"),
        (["good.jsonl", "trainer=none"], 1, "  1 | trainer=none"),
        (["good.jsonl", "trainer.version='0.1'"], 1, "FT103"),
        (["good.jsonl", "--tokenizer", "nowhere"], 1, "FT700"),
        (["ext::sh -c id", "x=1"], 1, "FT"),
        (["file:///nowhere/at/all.git"], 1, "FT525"),
        (["file:///nowhere/at/all.git", "--revision", "-x"], 2, ""),
        (["file:///nowhere/at/all.git", "--revision=--upload-pack=id"], 1, "FT520"),
    ],
)
def test_what_cannot_be_judged(capsys, words, code, text) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["data", *words]) == code
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("stage: sft\n", 0, ""),
        ("{stage: dpo}", 1, "FT702"),
        ("{stage: pt}", 0, ""),
        ("cutoff_len: long", 1, "FT739"),
        ("dataset: [1]", 1, "FT739"),
        ("- a", 1, "FT739"),
        ("a: [", 1, "FT001"),
        ("max_samples: 1e400", 1, "FT739"),
        ("val_size: .nan", 0, ""),
        ("stage: 1", 1, "FT739"),
    ],
)
def test_arguments_of_the_trainers_own(capsys, text: str, code: int, told: str) -> None:  # type: ignore[no-untyped-def]
    Path("train.yaml").write_text(text)
    assert cli.main(["data", "good.jsonl", "--arguments", "train.yaml"]) == code
    assert told in capsys.readouterr().err
    assert cli.main(["data", "good.jsonl", "--arguments", "train.yaml", "trainer=sft-lora"]) == 2


def test_libraries_that_are_missing_are_named(capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    Path("rows.parquet").write_bytes(b"PAR1")
    Path("tokenizer.json").write_text("{}")
    assert cli.main(["data", "rows.parquet"]) == 0
    err = capsys.readouterr().err
    assert err.count("warning[FT738]") == 2
    assert err.count("pip install 'ftgen[data]'") == 2


def _git(*words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def test_a_repository_is_read_at_a_revision_and_named_by_its_own_paths(capsys, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "work"
    _git("init", "-q", "-b", "main", str(folder))
    (folder / ".gitattributes").write_text("*.jsonl filter=upper eol=crlf\n*.txt working-tree-encoding=UTF-16\n")
    (folder / "rows.jsonl").write_text(ROW + ROW.replace("q", "p"))
    (folder / "dataset_info.json").write_text('{"identity_alauda": {"file_name": "rows.jsonl"}}')
    for words in (["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1"]):
        _git("-C", str(folder), *words)
    (folder / "rows.jsonl").write_text(BROKEN)
    _git("-C", str(folder), "commit", "-qam", "two")
    url = folder.as_uri()
    assert cli.main(["data", url, "--revision", "v1"]) == 0
    capsys.readouterr()
    assert cli.main(["data", url, "--format", "json"]) == 1
    [found] = json.loads(capsys.readouterr().out)
    assert (found["code"], found["locations"][0]["file"]) == ("FT706", "rows.jsonl")


def test_programs_get_the_same_verdict() -> None:
    verdict = api.data("dropped.jsonl", [ONE])
    assert [found.kind.code for found in verdict.findings] == ["FT722"]
    assert verdict.sets[0].kept_rows == [1]


def test_words_are_completed_after_the_path() -> None:
    assert "trainer." not in candidates("ftgen data tr")
    assert "trainer." in candidates("ftgen data good.jsonl tr")
    assert "html" in candidates("ftgen data good.jsonl --format h")
