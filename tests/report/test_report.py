"""Diagnostics as people and tools read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from ftgen import cli
from ftgen.cli.arguments import FORMS
from ftgen.cli.report import render
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, error, note, warning

SARIF = Draft4Validator(json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.json").read_text(encoding="utf-8")))
HERE = Location(COMMAND_LINE, 1, 9)


def caret(text: str) -> int:
    """How many terminal columns stand before the caret, and before the text it points at."""
    return text.splitlines()[2].index("^")


def test_text_shows_the_line_the_caret_and_the_cure() -> None:
    found = error("FT102", "trainer.lr must be a number", "trainer.lr", "abc", "write a number").at(
        Location(COMMAND_LINE, 2, 12)
    )
    assert render([found], "text", arguments=("a=1", "trainer.lr=abc")) == (
        "<command line>:2:12: error[FT102]: trainer.lr must be a number\n"
        "  2 | trainer.lr=abc\n"
        "    |            ^\n"
        "  help: write a number\n"
    )


def test_text_reads_the_line_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one: 1\n\ttwo: 2\n", encoding="utf-8")
    lines = render([error("FT001", "bad").at(Location(str(file), 2, 2))], "text").splitlines()
    assert lines == [f"{file}:2:2: error[FT001]: bad", "  2 |  two: 2", "    |  ^"]


def test_without_a_place_the_subject_leads() -> None:
    assert render([note("FT017", "told", "name")], "text") == "name: note[FT017]: told\n"
    assert render([note("FT017", "told")], "text") == "note[FT017]: told\n"


def test_a_file_that_is_gone_has_no_excerpt() -> None:
    assert (
        render([error("FT001", "bad").at(Location("no/such.yaml", 3, 1))], "text")
        == "no/such.yaml:3:1: error[FT001]: bad\n"
    )


def test_further_places_and_lines_of_help_are_indented() -> None:
    found = error("FT014", "x", help="one\ntwo").at(Location("a.yaml", 1), Location("b.yaml", 2, 3))
    assert render([found], "text").splitlines()[1:] == ["  also: b.yaml:2:3", "  help: one", "        two"]


def test_the_caret_counts_wide_characters_as_two_columns() -> None:
    text = render([error("FT001", "x").at(HERE)], "text", arguments=("名=模型, é=x",))
    line, mark = text.splitlines()[1:3]
    assert line == "  1 | 名=模型, é=x"
    assert mark == "    | " + " " * (2 + 1 + 4 + 1 + 1 + 1 + 1) + "^"


def test_a_combining_accent_takes_no_column() -> None:
    text = render([error("FT001", "x").at(Location(COMMAND_LINE, 1, 3))], "text", arguments=("e\u0301x",))
    assert caret(text) == len("    | ") + 1


def test_a_long_line_is_clipped_around_the_caret() -> None:
    line = "a" * 500 + "HERE" + "b" * 500
    shown, mark = render(
        [error("FT001", "x").at(Location(COMMAND_LINE, 1, 501))], "text", arguments=(line,)
    ).splitlines()[1:3]
    assert len(shown) <= 132
    assert shown[mark.index("^") :].startswith("HERE")
    assert shown.count("…") == 2


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Mn", "Me", "Mc", "Zl", "Zp")), min_size=1),
    st.integers(1, 400),
)
def test_the_caret_is_never_beyond_the_line(line: str, column: int) -> None:
    rows = render([error("FT001", "x").at(Location(COMMAND_LINE, 1, column))], "text", arguments=(line,)).splitlines()
    if len(rows) == 3:
        assert len(rows[2]) <= 2 * len(rows[1]) + 1
        assert rows[2].endswith("^")


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = render([error("FT010", "bad \x1b[2J").at(HERE)], "text", arguments=("a\x1b]0;x\x07",))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_an_absurdly_long_value_is_shortened() -> None:
    assert len(render([error("FT010", "a" * 1_000_000)], "text")) < 2000


def test_colours_are_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[1;31merror[FT010]\x1b[0m" in render([error("FT010", "x")], "text", colour=True)
    assert "\x1b[1;33m" in render([warning("FT010", "x")], "text", colour=True)
    assert cli.main(["nonsense"]) == 1
    assert "\x1b" not in capsys.readouterr().err


def many(count: int) -> list[Diagnostic]:
    return [error("FT203", f"job {i} does not fit", f"job{i}").at(Location("conf/x.yaml", 3)) for i in range(count)]


def test_more_than_twenty_of_one_cause_are_folded() -> None:
    text = render([*many(21), error("FT204", "another")], "text")
    assert text.count("error[FT203]") == 1
    assert "  and 20 more of the same cause\n" in text
    assert text.endswith("error[FT204]: another\n")


def test_up_to_twenty_are_all_shown() -> None:
    assert render(many(20), "text").count("error[FT203]") == 20


def test_tools_are_told_everything() -> None:
    assert len(json.loads(render(many(30), "json"))) == 30
    assert render(many(30), "github").count("::error ") == 30
    assert len(json.loads(render(many(30), "sarif"))["runs"][0]["results"]) == 30


def test_json_is_one_array_of_the_documented_keys() -> None:
    found = error("FT102", "x", "trainer.lr", "abc", "y").at(Location("a.yaml", 3, 4))
    assert json.loads(render([found], "json")) == [
        {
            "code": "FT102",
            "severity": "error",
            "headline": "x",
            "subject": "trainer.lr",
            "value": "abc",
            "locations": [{"file": "a.yaml", "line": 3, "column": 4}],
            "help": "y",
        }
    ]
    assert json.loads(render([], "json")) == []


def test_github_escapes_what_its_runner_unescapes() -> None:
    found = warning("FT1", "100% of\nit", help="a, b").at(Location("a,b:c.yaml", 2, 3), Location("d.yaml"))
    assert render([found], "github") == "::warning file=a%2Cb%3Ac.yaml,line=2,col=3,title=FT1::100%25 of%0Ait%0Aa, b\n"


def test_github_has_no_file_for_an_override() -> None:
    assert render([note("FT1", "x").at(Location(COMMAND_LINE, 1))], "github") == "::notice title=FT1::x\n"


def test_sarif_has_the_structure_of_version_2_1_0() -> None:
    found = [
        error("FT102", "x", "trainer.lr", help="y").at(
            Location("conf/my model.yaml", 3, 4), Location("/abs/b.yaml", 5)
        ),
        note("FT017", "z", "name").at(Location(COMMAND_LINE, 1)),
        warning("FT262", "w"),
        error("FT102", "v").at(Location("whole.yaml")),
    ]
    log = json.loads(render(found, "sarif"))
    assert list(SARIF.iter_errors(log)) == list(SARIF.iter_errors(json.loads(render([], "sarif")))) == []
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["FT102", "FT017", "FT262"]
    for result, given_ in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == given_.code
        assert result["level"] in {"error", "warning", "note", "none"}
        assert result["message"]["text"]
        for place in (*result["locations"], *result.get("relatedLocations", ())):
            assert place.keys() <= {"physicalLocation", "logicalLocations"}
            _is_physical(place.get("physicalLocation", {"artifactLocation": {"uri": "a"}}))
    first = run["results"][0]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "conf/my%20model.yaml"
    assert first["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "trainer.lr"}]
    assert first["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///abs/b.yaml"
    assert "region" not in run["results"][3]["locations"][0]["physicalLocation"]


def _is_physical(place: dict[str, dict[str, object]]) -> None:
    """`uri` is a URI reference; lines and columns begin at 1."""
    uri = str(place["artifactLocation"]["uri"])
    assert re.fullmatch(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", uri), uri
    assert unquote(uri)
    region = place.get("region", {})
    assert region.keys() <= {"startLine", "startColumn"}
    assert all(isinstance(n, int) and n >= 1 for n in region.values())


@pytest.mark.parametrize("form", FORMS)
@given(headline=st.text(), help_=st.text(), file=st.text(min_size=1), line=st.integers(0, 9), column=st.integers(0, 9))
def test_every_format_takes_every_text(form: str, headline: str, help_: str, file: str, line: int, column: int) -> None:
    """Lone surrogates too: that is how bytes of an argument that are no UTF-8 reach Python."""
    place = Location(file.replace("\0", "") + "\udcff", line, column)
    found = error("FT010", headline + "\udcff", help=help_).at(place)
    rendered = render([found], form).encode("utf-8")
    if form in {"json", "sarif"}:
        plain = json.loads(rendered)
        assert form == "json" or SARIF.is_valid(plain)


@given(st.lists(st.sampled_from([*many(3), error("FT1", "x"), note("FT2", "y", "z")]), max_size=60))
def test_folding_loses_no_cause(found: list[Diagnostic]) -> None:
    text = render(found, "text")
    more = sum(int(n) for n in re.findall(r"and (\d+) more", text))
    assert len(re.findall(r"(?:error|note)\[", text)) + more == len(found)
