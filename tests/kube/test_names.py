"""Names follow k8s.io/apimachinery's validation; slugs are made to pass it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen.text.kube import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_env_name,
    is_image_reference,
    is_label_value,
    is_qualified_name,
    label_value,
    slug,
)

# What a job that becomes a host name is called.
DNS_1035 = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
L63, L64 = "a" * 63, "a" * 64


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (is_dns1123_label, ["a", "1a", L63], ["", "a-", "A", "a.b", L64, "a\n"]),
        (is_dns1123_subdomain, ["a", "1.b", "a" * 253], ["", "a..b", ".a", "a.", "A", "a" * 254, "a_b"]),
        (
            is_qualified_name,
            ["a", "A_b.c", "nvidia.com/gpu", "huawei.com/Ascend910", f"a/{L63}"],
            ["", "/a", "a/", "a/b/c", "A.com/x", "_a", L64, "a b"],
        ),
        (is_label_value, ["", "a", "A_b.c-D", L63], ["-a", "a-", "a/b", L64, "a\n"]),
        (is_env_name, ["A", "_a", "a.b-c", "-x", ".a"], ["", "1A", "A B", "A=B", "é", ".", "..a", "A\n"]),
        (
            is_image_reference,
            ["a", "a:1", "a/b_c/d--e:V1.0", "host:5000/a", "Reg.io/a", f"a@sha256:{0:064}", f"a:1@sha256:{'f' * 64}"],
            ["", "A", "a b", "a:", "a:-1", "a/", "/a", "http://a", "a:1:2", "host:x/a", "a/B", "a@sha256:0", "a\n"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_a_name_is_legal_exactly_where_kubernetes_says_so(rule, good, bad):
    assert [name for name in good if not rule(name)] == []
    assert [name for name in bad if rule(name)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Qwen2.5-7B", "qwen2-5-7b"),
        ("7b-chat", "x-7b-chat"),
        ("wy_sft  dataset/", "wy-sft-dataset"),
        ("a.b", "a-b"),
    ],
)
def test_a_slug_is_the_readable_label(text, expected):
    assert slug(text, 50) == expected


def test_a_slug_over_the_limit_is_shortened_and_stays_distinct():
    one, other = slug("model-" * 10 + "a", 30), slug("model-" * 10 + "b", 30)
    assert one.startswith("model-model-model-mod")
    assert len(one) <= 30
    assert one != other


def test_a_text_without_a_usable_character_is_known_by_its_hash():
    assert slug("模型", 20) != slug("数据", 20)
    assert DNS_1035.fullmatch(slug("", 10))


def test_a_limit_without_room_for_the_hash_is_refused():
    with pytest.raises(ValueError, match="needs room for 10"):
        slug("name", 9)


@settings(deadline=None)
@given(text=st.text(), limit=st.integers(10, 63))
def test_every_slug_is_a_dns_label_within_the_limit(text, limit):
    made = slug(text, limit)
    assert DNS_1035.fullmatch(made)
    assert len(made) <= limit
    assert slug(made, limit) == made


@settings(deadline=None)
@given(text=st.text())
def test_every_label_value_is_legal_and_legal_text_stays(text):
    made = label_value(text)
    assert is_label_value(made)
    assert not is_label_value(text) or made == text
    assert bool(made) == bool(text)


def test_a_label_value_keeps_what_a_label_can_hold():
    assert label_value("Qwen/Qwen3-0.6B") == "Qwen-Qwen3-0.6B"
    assert label_value("x" * 70) != label_value("x" * 71)
