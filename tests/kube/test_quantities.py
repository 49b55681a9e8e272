"""Quantities read and print as k8s.io/apimachinery's resource.Quantity does."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen.text.kube import canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("4", 4),
        ("+4", 4),
        ("-4", -4),
        ("007", 7),
        ("1.", 1),
        (".5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("250u", Fraction(250, 10**6)),
        ("3n", Fraction(3, 10**9)),
        ("1k", 1000),
        ("2M", 2 * 10**6),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("25e-1", Fraction(5, 2)),
        ("1Ki", 1024),
        ("16Gi", 16 * 2**30),
        ("0.5Mi", 2**19),
        ("-1Ti", -(2**40)),
    ],
)
def test_a_quantity_is_an_exact_amount(text, amount):
    assert parse_quantity(text) == amount


def test_what_is_finer_than_nano_rounds_away_from_zero():
    assert parse_quantity("0.1n") == Fraction(1, 10**9)
    assert parse_quantity("-0.1n") == -Fraction(1, 10**9)
    assert parse_quantity("1e-400") == Fraction(1, 10**9)


def test_a_binary_amount_is_capped_where_kubernetes_caps_it():
    assert parse_quantity("8Ei") == 2**63 - 1
    assert parse_quantity("-9Ei") == -(2**63 - 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1 ", " 1", "GB", "16GB", "1K", "1gi", "1mi", "1i", "1.1.1", "--1", "1e", "1e1.5", "0x10"),
        *("Mi", "+", ".", "1_000", "1,5", "٣", "1e2000", "1" * 200),
    ],
)
def test_other_text_is_refused_with_an_example_of_a_quantity(text):
    with pytest.raises(ValueError, match=r"is not a quantity such as 16Gi|out of range"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1024Mi", "1Gi"),
        ("3072Mi", "3Gi"),
        ("1500Mi", "1500Mi"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("512", "512"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("0.5Ki", "512"),
        ("0.1Gi", "107374182400m"),
        ("100000Ki", "100000Ki"),
        ("1000000", "1M"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("5e0", "5"),
        ("15e-1", "1500e-3"),
        ("0Gi", "0"),
        ("-0", "0"),
        ("+1024Ki", "1Mi"),
        ("1000E", "1e21"),
    ],
)
def test_the_canonical_form_is_what_the_api_server_prints(text, printed):
    assert canonical_quantity(text) == printed


SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "e3", "e-2", "E+5"]


@settings(deadline=None)
@given(number=st.decimals(-(10**7), 10**7, places=6), suffix=st.sampled_from(SUFFIXES))
def test_the_canonical_form_is_the_same_amount_and_stays_canonical(number, suffix):
    text = f"{number:f}{suffix}"
    printed = canonical_quantity(text)
    assert parse_quantity(printed) == parse_quantity(text)
    assert canonical_quantity(printed) == printed
