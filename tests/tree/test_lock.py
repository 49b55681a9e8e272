"""The ownership index: what it says, and that nothing dangerous can be read from it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.diagnostics import Rejected
from ftgen.output.tree import AssignedName, Entry, Lock, State, assigned_name, dump_lock, object_of, parse_lock
from ftgen.output.tree.lock import path_problem

ENTRY = Entry("ab" * 32, "v1 ConfigMap training/a", "sft/", "sft-1a2b3c4d", State.ARCHIVED)
LOCK = Lock(
    {"sft/b.yaml": ENTRY, "sft/a.yaml": ENTRY, "sft/ü.yaml": ENTRY},
    {"sft/": AssignedName("sft-1a2b3c4d", 1)},
    frozenset({"sft-00000000"}),
)


def test_an_index_reads_back_as_it_was_written():
    assert parse_lock(dump_lock(LOCK)) == LOCK


def test_an_empty_index_reads_back():
    assert parse_lock(dump_lock(Lock())) == Lock()


def test_a_key_that_is_there_twice_is_found_among_many():
    entry = '{"sha256": "", "object": "", "run": "", "name": "", "state": "active"}'
    rows = ",".join(f'"k{number}": {entry}' for number in [*range(100_000), 99_999])
    with pytest.raises(Rejected) as rejected:
        parse_lock(f'{{"version": 1, "files": {{{rows}}}, "runs": {{}}}}'.encode())
    assert "'k99999' twice" in rejected.value.diagnostics[0].headline


def test_a_job_without_a_name_has_not_ended():
    assert parse_lock(dump_lock(Lock(ended=frozenset({"", "a"})))).ended == {"a"}


def test_an_index_has_one_file_a_line_in_path_order():
    lines = dump_lock(LOCK).decode().splitlines()
    files = [line for line in lines if ".yaml" in line]
    assert [line.split('"')[1] for line in files] == ["sft/a.yaml", "sft/b.yaml", "sft/ü.yaml"]


def test_an_issued_name_is_found_by_what_the_user_asked_for():
    assert assigned_name(LOCK, "sft/") == "sft-1a2b3c4d"
    assert assigned_name(LOCK, "sft/other") is None


def with_entry(**fields):
    entry = {"sha256": "", "object": "", "run": "", "name": "", "state": "active", **fields}
    return json.dumps({"version": 1, "files": {"a": entry}, "runs": {}}).encode()


NO_INTEGERS = (b"true", b"1.0", b"1.5", b'"1"', b"null", b"[1]", b"NaN", b"1e999", b"-Infinity", b"9" * 5000)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"<<<<<<< ours\n",
        b'{"version": 1}',
        b'{"version": 1, "files": {"a": {}}, "runs": {}}',
        b'{"version": 1, "files": {"a": 1}, "runs": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": 1, "files": {}, "runs": {}, "ended": [5]}',
        b'{"version": 1, "files": {}, "runs": {}, "ended": "text"}',
        b'{"version": 1, "files": {}, "runs": {}, "ended": {"a": 1}}',
        b'{"version": 1, "files": {}, "runs": {}, "more": 1}',
        b'{"version": 1, "files": [], "runs": {}}',
        b'{"version": 1, "files": {}, "runs": {}, "files": {}}',
        b'{"version": 1, "files": {}, "runs": {"a": {"name": "a", "hash": 1}, "a": {"name": "b", "hash": 1}}}',
        b'{"version": 1, "files": {}, "runs": {"a": {"name": []}}}',
        *(b'{"version": 1, "files": {}, "runs": {"a": {"name": "a", "hash": %b}}}' % bad for bad in NO_INTEGERS),
        *(b'{"version": %b, "files": {}, "runs": {}}' % bad for bad in NO_INTEGERS),
        b'{"version": 1, "files": {}, "runs": {"\\ud800": {"name": "a", "hash": 1}}}',
        b'{"version": 1, "files": {"a": ' + b"[" * 100_000,
        b'{"version": 1, "files": {"__proto__": {}}, "runs": {}}',
        *(with_entry(**{key: value}) for key in ("sha256", "object", "run", "name") for value in (None, 5, [])),
    ],
)
def test_what_is_no_index_is_refused(text):
    with pytest.raises(Rejected, match="not an ownership index") as rejected:
        parse_lock(text)
    assert rejected.value.diagnostics[0].code == "FT509"


ROW = b'{"sha256": "", "object": "", "run": "", "name": "", "state": "active"}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'"files": {}, "runs": {}, "judged": {"a": [%s[]]}' % (b"[]," * 600_000), "more than 1000000 commas"),
        (b'"files": {%s}, "runs": {}' % b",".join(b'"a%d": {}' % n for n in range(200_000)), "files.a0.sha256: Field"),
        (b'"files": {}, "runs": {"b": {"name": "a", "hash": -1}, "c": 5}', "runs.b.hash: Input should be greater"),
        (b'"files": {}, "runs": {}, %s' % b",".join(b'"a%d": 1' % n for n in range(200_000)), "200000 entries of an"),
        (b'"files": {"a": {}, "a": %s}, "runs": {}' % ROW, "a row that is there twice has another shape"),
    ],
    ids=["judged", "files", "runs", "more", "twice"],
)
def test_a_large_index_of_another_shape_is_refused_at_its_first_fault(text, reason):
    with pytest.raises(Rejected, match=re.escape(reason)):
        parse_lock(b'{"version": 1, %s}' % text)


def test_an_index_of_ten_thousand_files_is_read():
    lock = Lock({f"job-{number}.yaml": ENTRY for number in range(10_000)})
    assert parse_lock(dump_lock(lock)) == lock


def test_an_index_of_a_later_format_is_refused():
    with pytest.raises(Rejected, match="of format 2"):
        parse_lock(b'{"version": 2, "files": {}, "runs": {}}')


def test_an_index_that_names_a_path_outside_its_tree_is_refused():
    text = dump_lock(Lock({"../../etc/passwd": ENTRY}))
    with pytest.raises(Rejected, match="outside its tree"):
        parse_lock(text)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "a\nb",
        "a\x00b",
        "a\\b",
        "-rf",
        "a/--x",
        ".git/config",
        "a/.GIT/hooks/x",
        "ftgen.lock",
        ".ftgen-stage/1",
        "x" * 256,
        "\ud800",
        "a\u2028b",
        "a/GIT~1/hooks",
        ".g\u200cit/config",
        "a\u202elmay.b",
        "/".join("x" * 4000),
    ],
)
def test_unsafe_paths_are_told(path):
    assert path_problem(path)


@pytest.mark.parametrize("path", ["sft/job-a.yaml", "sft/..a", "ü/模型.yaml", "a b/c", ".gitignore.d/x"])
def test_ordinary_paths_are_fine(path):
    assert path_problem(path) == ""


def test_an_object_is_told_from_its_own_metadata_only():
    text = (
        b"# comment\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels:\n    name: no\n  name: 'cm'\n"
        b"data:\n  name: other\n  namespace: other\n"
    )
    assert object_of(text) == "v1 ConfigMap /cm"


def test_a_file_without_an_object_has_none():
    assert object_of(b"resources: []\n") == ""


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_any_identity_survives_the_index(names):
    lock = Lock(runs={key: AssignedName(name) for key, name in names.items()})
    assert parse_lock(dump_lock(lock)) == lock
    assert json.loads(dump_lock(lock))["version"] == 1


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["__proto__", ".git"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_an_index_with_anything_in_it_is_read_or_refused(data):
    raw = json.loads(dump_lock(LOCK))
    place = raw
    while data.draw(st.booleans()) and isinstance(place[key := data.draw(st.sampled_from(sorted(place)))], dict):
        place = place[key]
        if not place:
            return
    place[data.draw(st.sampled_from(sorted(place)) | st.text(max_size=3))] = data.draw(JUNK)
    codes = []
    try:
        read = parse_lock(json.dumps(raw).encode())
    except Rejected as rejected:
        codes = [diagnostic.code for diagnostic in rejected.diagnostics]
    else:
        assert parse_lock(dump_lock(read)) == read
    assert codes in ([], ["FT509"])
