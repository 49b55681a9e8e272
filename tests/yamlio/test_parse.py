"""What `parse` and `read` accept, and how exactly they refuse the rest."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ftgen.diagnostics import Location, Rejected
from ftgen.text.yamlio import Mark, ambiguous_scalars, document, documents, parse, parse_all, parse_json, read, read_all
from ftgen.text.yamlio.scalars import Loader


def refusal(text):
    with pytest.raises(Rejected) as caught:
        parse(text, "job.yaml")
    (problem,) = caught.value.diagnostics
    assert problem.code == "FT001"
    return str(problem.locations[0]), problem.headline


def test_plain_values_follow_yaml_1_1():
    text = "a: yes\nb: 010\nc: 1.5\nd: ~\ne: '1'\nf: !!str 1\ng: [1, {h: 2}, 1.0e-4]\n"
    text += "i: 12:30\nj: 1_000\nk: 0x1F\n"
    assert parse(text, "job.yaml") == yaml.safe_load(text)


def test_a_number_needs_no_dot_before_its_exponent():
    assert parse("[1e-4, 2E3, -1_0e+2]", "job.yaml") == [1e-4, 2e3, -1e3]


def test_dates_stay_text():
    assert parse("a: 2026-01-01\nb: 2001-12-14t21:59:43.10-05:00", "job.yaml") == {
        "a": "2026-01-01",
        "b": "2001-12-14t21:59:43.10-05:00",
    }


@settings(deadline=None)
@given(
    text=st.text(alphabet="0123456789_.:eE+-xobn")
    | st.from_regex(r"[-+]?[0-9_]*\.?[0-9_]*[eE]?[-+]?[0-9]*", fullmatch=True)
)
def test_numbers_are_the_ones_that_omegaconf_reads(text):
    try:
        expected = OmegaConf.to_container(OmegaConf.create(f"- {text}\n"))
    except (ValueError, IndexError, yaml.YAMLError):
        return
    assert repr(parse(f"- {text}\n", "job.yaml")) == repr(expected)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- \n...\n"])
def test_nothing_at_all_is_none(text):
    assert parse(text, "job.yaml") is None
    assert parse_all(text, "job.yaml") == []


def test_a_stream_gives_its_documents_and_leaves_empty_ones_out():
    assert parse_all("---\na: 1\n---\n---\n# nothing\n---\n[]\n", "job.yaml") == [{"a": 1}, []]


def test_windows_line_ends_read_like_any_other():
    assert parse("a: 1\r\nb: |\r\n  x\r\n  y\r\n", "job.yaml") == {"a": 1, "b": "x\ny\n"}


def test_merge_keys_bring_in_what_is_not_given():
    text = "base: &b {a: 1, c: 2}\nother: &o {a: 9, d: 4}\nuse: {<<: [*b, *o], c: 3}\nlate: {c: 3, <<: *b}\n"
    assert parse(text, "job.yaml") == yaml.safe_load(text)
    assert parse(text, "job.yaml")["use"] == {"a": 1, "d": 4, "c": 3}


def test_aliases_are_copies():
    value = parse("a: &x [1]\nb: *x\n", "job.yaml")
    value["a"].append(2)
    assert value["b"] == [1]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: [1", "job.yaml:2:1", "did not find expected ',' or ']'"),
        ("a: b: c", "job.yaml:1:5", "mapping values are not allowed"),
        ("a:\n\tb: 1", "job.yaml:2:1", "a tab cannot indent YAML"),
        ("a: 1\nb: 2\na: 3", "job.yaml:3:1", "the key 'a' is already given on line 1"),
        ("a:\n  on: 1\n  yes: 2", "job.yaml:3:3", "the key True is already given on line 2"),
        ("<<: {a: 1}\n<<: {b: 1}", "job.yaml:2:1", "the key '<<' is already given"),
        ("a: *x", "job.yaml:1:4", "the alias *x has no anchor above it"),
        ("a: &x\n  b: *x", "job.yaml:2:6", "the alias *x stands inside what it names"),
        ("<<: 3", "job.yaml:1:5", "takes a mapping or a list of mappings"),
        ("<<: [1]", "job.yaml:1:5", "takes a mapping or a list of mappings"),
        ("? [1]\n: 2", "job.yaml:1:3", "a mapping key must be a single value"),
        ("a: 1\n---\nb: 2", "job.yaml:3:1", "2 YAML documents where one is expected"),
        (
            "a: !!python/name:os.system x",
            "job.yaml:1:4",
            "'x' cannot be read as tag:yaml.org,2002:python/name",
        ),
        ("a: !vault {b: 1}", "job.yaml:1:4", "the tag !vault is no plain value"),
        ("a: !!int x", "job.yaml:1:4", "'x' cannot be read as tag:yaml.org,2002:int"),
        ("a: !!bool 2", "job.yaml:1:4", "'2' cannot be read as tag:yaml.org,2002:bool"),
        ("a: 0x_", "job.yaml:1:4", "'0x_' cannot be read as a number"),
        ("a: " + "9" * 5000, "job.yaml:1:4", "cannot be read as a number"),
        ("\ufeffa: 1", "job.yaml:1:1", "byte order mark"),
        ("a: 1\nb: x\0", "job.yaml:2:5", "the character U+0000 cannot stand in YAML"),
        ("a: \x1b", "job.yaml:1:4", "the character U+001B cannot stand in YAML"),
        ("a: \ud800", "job.yaml:1:4", "the character U+D800 cannot stand in YAML"),
        ("a: 1\nb: " + "x" * 1_000_001, "job.yaml:2", "a line of 1000004 characters is no configuration"),
        ("[\n" * 200_000, "job.yaml:101:1", "more than 100 levels"),
        ("{a: " * 300, "job.yaml:1:401", "more than 100 levels"),
        (BOMB, "job.yaml:5:36", "the aliases of this YAML bring more than 100000 values"),
        ("%YAML 9.9\n---\na", "job.yaml:1:1", "incompatible YAML document"),
        ("[\n" + "[],[],\n" * 600_000 + "]", "job.yaml:500001:2", "this YAML has more than 2000000 parts: keys"),
        ("---\na\n" * 700_000, "job.yaml:1333334:1", "this YAML has more than 2000000 parts: keys"),
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_bad_yaml_is_refused_at_line_and_column(text, where, what):
    place, headline = refusal(text)
    assert (place, what) == (where, what if what in headline else headline)


@pytest.mark.parametrize("character", ["\r", "\x85", "\u2028", "\u2029", "\r\n", "\n"])
def test_lines_are_those_of_editors(character):
    text = f"a: 'x{character}  y'\nb: {{c: 1, ' d': 2}}\ne: !x 1\n"
    place, _ = refusal(text)
    ends = character.count("\n")
    assert place == f"job.yaml:{3 + ends}:4"
    marks = document(text.replace("!x ", "")).places()
    assert (marks["b", " d"].line, marks["b", " d"].column) == (2 + ends, 11)
    place, _ = refusal(f"a: 'x{character}  y'\nb: [\n")
    assert place == f"job.yaml:{3 + ends}:1"


def test_the_longest_line_may_stand_anywhere():
    for before in (0, 1, 499_999, 500_000, 500_001, 1_500_000):
        head = "#\n" + "# x\n" * (before // 4) + "#" * (before % 4) + "\n"
        assert document(f"{head}a: {'x' * 999_997}\nb: 1\n").value["b"] == 1
        place, headline = refusal(f"{head}a: {'x' * 999_998}\nb: 1\n")
        assert place == f"job.yaml:{head.count(chr(10)) + 1}"
        assert headline == "a line of 1000001 characters is no configuration"


@pytest.mark.parametrize("unit", ["a: 1\n", "- a\n", "- [? a, ? b]\n", "---\n- {a,b}\n", "- - - x\n", "- &a\n"])
@pytest.mark.parametrize("text", ["{}", "# \r\n{}"])
def test_as_many_parts_as_the_parser_finds_are_taken_and_one_more_is_not(unit, text):
    text = text.format(unit if unit.startswith("a") else unit * 9)
    most = sum(1 for _ in iter(Loader(text).get_event, None))
    assert documents(text, "job.yaml", most)
    with pytest.raises(Rejected, match=f"more than {most - 1} parts"):
        documents(text, "job.yaml", most - 1)


def test_a_json_text_may_have_as_many_parts():
    assert len(parse_json(f"[{'0,' * 1_000_000}0]")) == 1_000_001
    for text in (f"[{'[],' * 1_000_000}0]", f"[{'{},' * 1_000_000}0]".encode()):
        with pytest.raises(ValueError, match="this JSON holds more than 2000000 commas and brackets"):
            parse_json(text)


def test_nesting_that_the_scanner_itself_gives_up_on_is_called_the_same():
    place, headline = refusal("[" * 200_000)
    assert (place.rpartition(":")[0], headline) == ("job.yaml:1", "this YAML holds more than 100 levels")


@settings(deadline=None)
@given(text=st.text() | st.lists(st.sampled_from([*"ab:-[]{},&*!|>'\"#? \n\t%@0.<", "<<", "&a ", "*a "])).map("".join))
def test_any_text_is_a_value_or_a_diagnostic(text):
    try:
        value = parse(text, "job.yaml")
    except Rejected:
        place, _ = refusal(text)
        assert place.startswith("job.yaml")
    else:
        assert value is None or document(text).places()[()]


def test_positions_name_the_key_and_the_value_of_every_path():
    text = "a:\n  b: [1, {c: 2}]\n  'x/y':\n    deep\nl:\n- k: v\n- w\n"
    assert document(text).places() == {
        (): Mark(1, 1, 1, 1),
        ("a",): Mark(1, 1, 2, 3),
        ("a", "b"): Mark(2, 3, 2, 6),
        ("a", "b", 0): Mark(2, 7, 2, 7),
        ("a", "b", 1): Mark(2, 10, 2, 10),
        ("a", "b", 1, "c"): Mark(2, 11, 2, 14),
        ("a", "x/y"): Mark(3, 3, 4, 5),
        ("l",): Mark(5, 1, 6, 1),
        ("l", 0): Mark(6, 3, 6, 3),
        ("l", 0, "k"): Mark(6, 3, 6, 6),
        ("l", 1): Mark(7, 3, 7, 3),
    }


def test_positions_of_merged_and_aliased_values_are_where_they_were_written():
    places = document("base: &b\n  a: 1\nuse:\n  <<: *b\n  c: 2\nagain: *b\n").places()
    assert places["use", "a"].line == places["again", "a"].line == 2
    assert places["use", "c"].line == 5
    assert places["again",].line == 6


def test_positions_of_a_stream_go_by_document():
    one, two = (each.places() for each in documents("---\n---\na: 1\n---\nb: 2\n"))
    assert (one["a",].line, two["b",].line) == (3, 5)


def test_a_file_is_read_under_the_name_its_user_knows(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes("name: 模型\n".encode())
    assert read(path) == {"name": "模型"}
    path.write_text("a: 1\n---\nb: 2\n")
    assert read_all(path) == [{"a": 1}, {"b": 2}]
    with pytest.raises(Rejected) as caught:
        read(path, "conf/x.yaml")
    assert caught.value.diagnostics[0].locations == (Location("conf/x.yaml", 3, 1),)


def broken_files(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "file").write_text("")
    yield "none.yaml", "there is no file none.yaml", 0
    yield "folder.yaml", "folder.yaml cannot be read: Is a directory", 0
    yield "latin.yaml", "latin.yaml is not UTF-8 text", 2
    yield "loop.yaml", "loop.yaml cannot be read: Too many levels of symbolic links", 0
    yield "file/x.yaml", "file/x.yaml cannot be read: Not a directory", 0
    yield "a\0b", "a\0b cannot be read: embedded null byte", 0


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path):
    for name, headline, line in broken_files(tmp_path):
        with pytest.raises(Rejected) as caught:
            read(tmp_path / name, name)
        (problem,) = caught.value.diagnostics
        assert (problem.code, problem.headline) == ("FT002", headline)
        assert problem.locations == (Location(name, line),)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("0755", (493, 755)),
        ("on", (True, "on")),
        ("No", (False, "No")),
        ("12:30", (750, "12:30")),
        ("0o17", ("0o17", 15)),
        ("08", ("08", 8)),
        *(
            (same, None)
            for same in (
                "0",
                "1",
                "10Gi",
                "1e3",
                "0x1F",
                ".5",
                "true",
                "false",
                "null",
                "2026-01-01",
                "1_000",
                "-1",
                "a: 1",
            )
        ),
    ],
)
def test_what_the_two_versions_of_yaml_disagree_on(text, readings):
    found = ambiguous_scalars(document(f"- [{text}]\n- '{text}'\n- |\n  {text}\n", "x.yaml"))
    assert [(d.text, d.old, d.new) for d in found] == ([] if readings is None else [(text, *readings)])
    assert [str(d.location) for d in found] == (["x.yaml:1:4"] if readings else [])


def test_what_aliases_repeat_is_disputed_once():
    found = ambiguous_scalars(document("a: &a {on: 0755}\nb: *a\nc: {<<: *a}\n", "x.yaml"))
    assert [(d.text, d.location.line) for d in found] == [("on", 1), ("0755", 1)]


def test_the_nearest_place_is_found_through_lists_merges_and_odd_keys():
    text = "base: &b {x: 1, y: [2, {z: 3}]}\njob: {<<: *b, x: 4}\n1: {'<<': 5}\n"
    held = document(text, "x.yaml")
    for path, mark in held.places().items():
        assert held.nearest(path) == mark
    assert held.nearest(("job", "y", 7, "z")) == held.nearest(("job", "y"))
    assert held.nearest(("job", "<<", "x")) == held.nearest(("job",))
