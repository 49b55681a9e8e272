import pytest

from ftgen.text.kube import parse_duration

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("+0", 0),
        ("00h", 0),
        ("90s", 90 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("90m0s", 5400 * SECOND),
        ("-1.5h", -5400 * SECOND),
        (".5s", SECOND // 2),
        ("5.s", 5 * SECOND),
        ("1ms", 10**6),
        ("1m1s", 61 * SECOND),
        ("1µs", 10**3),
        ("1μs", 10**3),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_durations_are_read_as_go_does(text, amount):
    assert parse_duration(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1d",
        "5 m",
        "1",
        "1h1",
        "-",
        "--5m",
        "5M",
        "1h-5m",
        ".s",
        "5 minutes",
        "2562047h47m16.854775808s",
        "1" * 5000,
    ],
)
def test_what_go_cannot_read_is_refused(text):
    with pytest.raises(ValueError, match=r"duration|years"):
        parse_duration(text)
