"""Reading texts that are like earlier ones gives what reading them alone gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftgen.diagnostics import Rejected
from ftgen.text.yamlio import ambiguous_scalars, documents
from ftgen.text.yamlio.similar import SimilarTexts

JOB = """\
# Generated
apiVersion: batch.volcano.sh/v1alpha1
metadata:
  name: run-s0
  annotations:
    digest: sha256:42f1
    overrides: '["trainer.args.seed=0"]'
    version: "0.1.0"
spec:
  minAvailable: 1
  tasks:
  - name: train
    args:
    - --seed
    - 1e-4
    - "on"
    env:
      - name: TRAIN_CONFIG
        value: |
          # lora
          seed: 0

            deep: é ü x
          lr: 0.1
      - name: CARD
        value: |-

          one
      - {name: A, value: b}
"""
ODD = """\
%YAML 1.1
--- # first
base: &base
  a: 1
  b: [1,
    two
    ]
copy: *base
more: &text words
again: *text
merged:
  <<: *base
  c: 2
inline:
  <<:
    a: 3
  d: 4
tagged: !!str 5
folded: >
  some
  text
indented: |2
   more
   and more
quoted: "a
  b"
plain: some
  words
? key
: value
? longer
: - y
  - z
-1: off
empty:
nothing: ~
tab:\tvalue
comment: value # why
---
---
- - nested
  - 0755
-
  own
- 'it''s'
- "a\\tb"
...
"""
KEPT = """\
keep: |+
  text

none: |-
  text
json: {"a": "b",
  "c": d}
last: value"""
TOKENS = [
    *("x", "run-s1", "1", "0", "-1", "1e-5", "0x", "08", "0o7", "on", "y", "null", "~", "<<", "=", "1:30", "1_000"),
    *(
        "a b",
        "a: b",
        "a:b",
        "a:",
        "a #b",
        "a#b",
        "#b",
        "- b",
        "-b",
        "-",
        "--",
        "---",
        "...",
        "--- a",
        "? b",
        "?b",
        ": b",
    ),
    *("'a'", "'it''s'", "'a", "a'", "''", '""', '"a"', '"a\\nb"', '"a\\', '"', "'a' b", '"a" # b', "'a: b'", '"# b"'),
    *(
        "|",
        "|-",
        "> ",
        ">",
        "| # c",
        "&a b",
        "*a",
        "*base",
        "!!str b",
        "!b",
        "!",
        "%b",
        "@b",
        "`b`",
        "[a]",
        "[",
        "]",
        "{a: b}",
    ),
    *(
        "{",
        "}",
        ",",
        "a, b",
        "a]",
        "é",
        "ü",
        "\t",
        "\tb",
        "b\t",
        "b ",
        " b",
        "  b",
        "",
        " ",
        "\r",
        "b\r",
        "\x85",
        "b\u2028c",
    ),
    *(
        "\ufeffb",
        "\x00",
        "\x1b",
        "\x7f",
        "\ud800",
        "😀",
        "b" * 1100,
        "a: " + "b" * 1100,
        "9" * 400,
        "b\nc",
        "b\n  c",
        "b\n\n",
    ),
]


def outcome(read: Any, text: str) -> Any:
    try:
        found = read(text, "job.yaml")
    except Rejected as rejected:
        return rejected.diagnostics
    return [(repr(each.value), each.places(), ambiguous_scalars(each), each.file) for each in found]


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """Return a text with some of its lines changed from some column on."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        starts = [0, len(line), *(at for at in range(1, len(line)) if line[at - 1] in " :-'\"")]
        start = draw(st.sampled_from(starts) | st.integers(0, len(line)))
        end = draw(st.just(len(line)) | st.integers(start, len(line)))
        lines[number] = line[:start] + draw(st.sampled_from(TOKENS)) + line[end:]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [JOB, ODD, KEPT])
def test_the_texts_that_are_edited_can_be_read(text: str) -> None:
    assert all(each.value for each in documents(text))


@pytest.mark.parametrize("base", [JOB, ODD, KEPT], ids=["job", "odd", "kept"])
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_a_text_like_another_reads_as_it_does_alone(base: str, data: st.DataObject) -> None:
    reading = SimilarTexts()
    for text in (base, data.draw(edited(base)), data.draw(edited(base)), base):
        assert outcome(reading.documents, text) == outcome(documents, text)


@settings(deadline=None, max_examples=400)
@given(old=st.sampled_from(TOKENS), new=st.sampled_from(TOKENS), place=st.sampled_from(["a: {}", "- {}", "a: |\n  {}"]))
@example(old="", new="b", place="a:{}\nc: d")
def test_a_value_reads_as_it_does_alone(old: str, new: str, place: str) -> None:
    reading = SimilarTexts()
    for text in (place.format(old), place.format(new)):
        assert outcome(reading.documents, text) == outcome(documents, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: run-s0", "name: run-s1"),
        ("digest: sha256:42f1", "digest: sha256:0c8b33"),
        ("'[\"trainer.args.seed=0\"]'", "'[]'"),
        ('"0.1.0"', '"0.2.0 é"'),
        ("- 1e-4", "- 0755"),
        ("minAvailable: 1", "minAvailable: text"),
        ("seed: 0", "'seed': [é"),
        ("# lora", "full"),
        ("lr: 0.1", "lr: 1e-4"),
        ("          one", "          two "),
    ],
)
def test_what_is_as_before_is_the_same_object(old: str, new: str) -> None:
    reading = SimilarTexts()
    (before,), (after,) = reading.documents(JOB), reading.documents(JOB.replace(old, new))
    assert outcome(reading.documents, JOB.replace(old, new)) == outcome(documents, JOB.replace(old, new))
    assert after.value != before.value
    shared = [key for key in ("metadata", "spec") if after.value[key] is before.value[key]]
    assert len(shared) == 1


def test_the_latest_layouts_are_kept() -> None:
    reading = SimilarTexts()
    (first,) = reading.documents("a: {}\nb: 1")
    for number in range(7):
        reading.documents(f"a: 1\nb{number}: 1")
    (again,) = reading.documents("a: {}\nb: 2")
    assert again.value["a"] is first.value["a"]
    for number in range(8):
        reading.documents(f"a: 1\nb{number}: 1")
    (again,) = reading.documents("a: {}\nb: 2")
    assert again.value["a"] is not first.value["a"]


def test_a_text_of_over_a_million_characters_is_read_anew() -> None:
    reading, text = SimilarTexts(), f"# {'x' * 600_000}\n# {'x' * 600_000}\na: b"
    for each in (text, f"{text}c"):
        assert outcome(reading.documents, each) == outcome(documents, each)
    value = "x" * 1_000_001
    reading.documents("a: b\nc: d")
    assert outcome(reading.documents, f"a: b\nc: {value}") == outcome(documents, f"a: b\nc: {value}")
