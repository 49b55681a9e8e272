"""Formats of text that the API server judges in custom resources, by what its Go libraries take.

The API server knows those of `supportedVersionedFormats` (k8s.io/apiextensions-apiserver, pkg/apiserver/validation) and
ignores others.  The ones here are judged; where Go's own parser decides in ways of its own (uri, email, hostname),
anything passes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date

from ftgen.text import kube

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(
    r"[0-9]\s*((ns|us|µs|ms|s|m|h|hr|d|w|wk)(?![A-Za-zµ])|nano|micro|milli|sec|min|hour|day|week)", re.IGNORECASE
)
_MAC = re.compile(r"[0-9A-Fa-f]{2,4}([:.-][0-9A-Fa-f]{2,4})+")


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    try:
        # Go has a year 0, a leap year; Python has none.
        return match is not None and bool(date(int(match[1]) or 4, int(match[2]), int(match[3])))
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    day, _, time = text.lower().partition("t")
    match = _TIME.fullmatch(time)
    return _is_date(day) and match is not None and match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


def _is_duration(text: str) -> bool:
    """Whether Go's time.ParseDuration takes a text, or the forms of Scala (`1 day`) that strfmt takes too."""
    try:
        kube.parse_duration(text)
    except ValueError:
        return _DURATION.search(text) is not None
    return True


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_cidr(text: str) -> bool:
    address, slash, length = text.partition("/")
    most = 128 if ":" in address else 32
    return bool(slash) and _is_address(address) and bool(re.fullmatch("[0-9]{1,3}", length)) and int(length) <= most


def _is_uuid(version: str) -> Callable[[str], bool]:
    variant = "[0-9a-f]" if version in {"[0-9a-f]", "3"} else "[89ab]"
    form = rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?{variant}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
    pattern = re.compile(form, re.IGNORECASE)
    return lambda text: pattern.fullmatch(text) is not None


_UUID = "123e4567-e89b-42d3-a456-426614174000"
JUDGED: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "cidr": (_is_cidr, "10.0.0.0/8"),
    "date": (_is_date, "2026-01-31"),
    "date-time": (_is_date_time, "2026-01-31T12:00:00Z"),
    "datetime": (_is_date_time, "2026-01-31T12:00:00Z"),
    "duration": (_is_duration, "90s"),
    "ipv4": (lambda text: "." in text and _is_address(text), "10.0.0.1"),
    "ipv6": (lambda text: ":" in text and _is_address(text), "fd00::1"),
    "mac": (lambda text: _MAC.fullmatch(text) is not None, "00:00:5e:00:53:01"),
    "uuid": (_is_uuid("[0-9a-f]"), _UUID),
    "uuid3": (_is_uuid("3"), "6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    "uuid4": (_is_uuid("4"), _UUID),
    "uuid5": (_is_uuid("5"), "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
}
"""Whether a text has a format, and an example, by the format's name."""

_IGNORED = (
    *("email", "hostname", "idn-email", "idn-hostname", "iri", "iri-reference", "json-pointer", "regex"),
    *("relative-json-pointer", "time", "uri", "uri-reference", "uri-template"),
)
CHECKS: Mapping[str, Callable[[str], bool]] = {
    **dict.fromkeys(_IGNORED, lambda text: True),  # noqa: ARG005 - of the judge's form
    **{name: check for name, (check, _) in JUDGED.items()},
}
"""A judge of every format that JSON Schema itself would judge in a way of its own."""
