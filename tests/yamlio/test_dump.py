"""What `dump` writes: kubectl's layout, and every scalar the same under YAML 1.1 and YAML 1.2."""

import math
from enum import StrEnum
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ftgen.text.yamlio import dump, parse, parse_all


def as_yaml_1_1(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def as_yaml_1_1_in_python(text: str) -> Any:
    return yaml.safe_load(text)


def as_yaml_1_2(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def as_ftgen(text: str) -> Any:
    return parse(text, "memory.yaml")


READERS = [as_yaml_1_1, as_yaml_1_1_in_python, as_yaml_1_2, as_ftgen]


def same(one: Any, other: Any) -> bool:
    """Equal in value, type, key order and the sign of zero, with NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def test_a_manifest_looks_as_kubectl_prints_it():
    manifest = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "metadata": {"name": "qwen3-0-6b", "labels": {}, "annotations": {"ftgen.dev/overrides": "a=[1,2] b"}},
        "spec": {
            "minAvailable": 2,
            "plugins": {"svc": [], "env": []},
            "tasks": [
                {
                    "name": "train",
                    "args": ["-c", "--lr=1e-4", "$(JOB_NAME)", "echo a\necho b\n"],
                    "env": [{"name": "ON", "value": "on"}, {"name": "NNODES", "value": "2"}],
                    "resources": {"limits": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}},
                    "matrix": [[1, 2], [{"deep": True}]],
                },
            ],
        },
    }
    assert dump(manifest) == dedent("""\
        apiVersion: batch.volcano.sh/v1alpha1
        metadata:
          name: qwen3-0-6b
          labels: {}
          annotations:
            ftgen.dev/overrides: a=[1,2] b
        spec:
          minAvailable: 2
          plugins:
            svc: []
            env: []
          tasks:
          - name: train
            args:
            - -c
            - --lr=1e-4
            - $(JOB_NAME)
            - |
              echo a
              echo b
            env:
            - name: "ON"
              value: "on"
            - name: NNODES
              value: "2"
            resources:
              limits:
                cpu: "4"
                memory: 16Gi
                nvidia.com/gpu: "1"
            matrix:
            - - 1
              - 2
            - - deep: true
        """)


AMBIGUOUS = [
    *("", " ", "  a", "a ", "a  b", "y", "Y", "n", "yes"),
    *("No", "ON", "off", "true", "False", "null", "Null", "~"),
    *("0", "-1", "+1", "1.5", ".5", "1e3", "1E-4", "1e400"),
    *("0x1F", "0o17", "0b101", "012", "08", "1_000", "1,000"),
    *("_", "_1", "-_", "._", "12:30", "190:20:30", "1:2", ".inf"),
    *("-.INF", ".nan", "NaN", "inf", "=", "<<", "-", "--"),
    *("2026-01-01", "2001-12-14t21:59:43.10-05:00"),
    *("2001-12-14 21:59:43", "---", "...", "--- a", "... b", "- a"),
    *("a: b", "a:", ":a", "a :b", "a #b", "#a", "a#b", "? a"),
    *("?", "!x", "&x", "*x", "%x", "@x", "`x", "|", ">", "'"),
    *('"', "it's", 'a"b', "\\", "\\n", "[a]", "{a}", "[", "}"),
    *(",", "a, b", "a,b", "a\tb", "\t", "\ta", "#", "&", "*"),
    *("\0", "\x07", "\x1b[0m", "\x7f", "\x80", "\x85", "a\x85b"),
    *("\xa0", "\u2028", "a\u2029b", "\ufeff", "\ufeffa"),
    *("\ufffe", "\uffff", "é", "模型", "😀", "a 😀 b", "\U0010ffff"),
    *("0xZZ", "1e", "e5", "1.2.3", "10.0.0.1", "16Gi"),
    *("500m", "0.6B", "-c", "--flag", "-1a", "http://x:80/y?z#w"),
    *("s3://b/k", "a=b", "${oc.env:HOME}", "$(A)", "%(a)s"),
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", AMBIGUOUS, ids=ascii)
def test_text_is_read_back_as_the_same_text_as_value_item_and_key(text, reader):
    for value in ({"k": text}, [text], {text: text}, text, [[text]], {"k": [{text: [text]}]}):
        assert same(reader(dump(value)), value)


BLOCKS = [
    *("a\nb", "a\nb\n", "a\nb\n\n", "a\n\n\n", "\na", "\n\na\n"),
    *("a\n\nb", "  a\nb", "a\n  b", "\n  a\nb", " \na", "\n \na"),
    *("a\n ", "a\n \n", "a \nb ", "a\n\tb", "\ta\nb", "\n\ta"),
    *("# a\nb", "- a\n- b", "a: b\nc: d\n", "---\na", "...\na"),
    *("|\na", "%YAML 1.1\n---\n", "é\n😀\n", '{"a":\n 1}'),
    *("a\\\nb", "\n", "\n\n", " \n ", "\t\n", "a\r\nb", "a\rb\n"),
    *("a\x85b\n", "a\u2028\n", "a\n\ufeffb", "a\n\0b"),
    *("#!/bin/bash\nset -euo pipefail\n", "a\n" + "x" * 3000 + "\n"),
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", BLOCKS, ids=ascii)
def test_text_of_several_lines_is_read_back_as_it_was(text, reader):
    for value in (
        {"k": text, "l": 1},
        [text, 1],
        text,
        {"a": {"b": [{"c": text, "d": [text]}, [text, text]]}},
    ):
        assert same(reader(dump(value)), value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb", "k: |-\n  a\n  b\n"),
        ("a\nb\n", "k: |\n  a\n  b\n"),
        ("a\n\nb\n\n", "k: |+\n  a\n\n  b\n\n"),
        ("  a\nb\n", "k: |2\n    a\n  b\n"),
        ("a\r\nb\r\n", 'k: "a\\r\\nb\\r\\n"\n'),
        ("\n", 'k: "\\n"\n'),
    ],
)
def test_a_literal_block_is_used_wherever_one_can_hold_the_text(text, written):
    assert dump({"k": text}) == written


def test_long_text_and_long_keys_are_not_folded():
    value = {"k": "word " * 500 + "end", "x" * 2000: [1], "y" * 1500: {"a": "b\nc"}, "z " * 1000 + "z": 1}
    assert all(same(reader(dump(value)), value) for reader in READERS)
    assert f"k: {value['k']}\n" in dump(value)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1e-4, "0.0001"),
        (1e-5, "1.0e-05"),
        (1.5e-7, "1.5e-07"),
        (1e16, "1.0e+16"),
        (1e22, "1.0e+22"),
        (-0.0, "-0.0"),
        (2.0, "2.0"),
        (math.inf, ".inf"),
        (-math.inf, "-.inf"),
        (math.nan, ".nan"),
        (10**30, "1" + "0" * 30),
        (-7, "-7"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
    ],
)
def test_what_is_no_text_is_plain_in_a_spelling_both_versions_read(number, written):
    assert dump(number) == f"{written}\n"
    assert all(same(reader(dump([number])), [number]) for reader in READERS)


class Vendor(StrEnum):
    NVIDIA = "nvidia"


def test_an_enumerated_text_is_its_value():
    assert dump({Vendor.NVIDIA: Vendor.NVIDIA}) == "nvidia: nvidia\n"


@pytest.mark.parametrize("value", [{1: "a"}, {None: "a"}, {"a": {True: 1}}, [("a",)], {"a": {1}}, b"a", object()])
def test_what_json_cannot_hold_is_a_bug_of_the_caller(value):
    with pytest.raises(TypeError, match=r"must be text|not a JSON value"):
        dump(value)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff\nb"])
def test_half_a_surrogate_pair_is_refused(text):
    with pytest.raises(ValueError, match="surrogate"):
        dump([text])


def test_shared_values_are_written_out_without_anchors():
    shared = {"a": ["x"]}
    assert dump([shared, shared]) == "- a:\n  - x\n- a:\n  - x\n"


def test_several_documents_make_one_stream():
    documents = [{"a": "x\n\n"}, {"b": [1]}, {"c": "--- \n"}]
    stream = "---\n".join(map(dump, documents))
    assert stream == "a: |+\n  x\n\n---\nb:\n- 1\n---\nc: |\n  --- \n"
    assert parse_all(stream, "memory.yaml") == documents


PIECES = st.sampled_from(
    [
        *"ay10-+.:_=~ #exo'\"|>!&*%@`{}[],?\\$",
        *("\n", "\t", "\r", "\x85", "\u2028", "\ufeff", "é", "😀", "\n\n", " \n"),
    ],
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.sampled_from(AMBIGUOUS) | st.text()
SCALARS = TEXTS | st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)


@settings(deadline=None)
@given(value=VALUES)
def test_every_value_reads_the_same_everywhere(value):
    written = dump(value)
    assert all(same(reader(written), value) for reader in READERS)
    assert "\r" not in written
    assert dump(value) == written
