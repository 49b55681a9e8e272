"""Kubernetes' text formats: quantities, names and the `$(VAR)` expansion.

Every function agrees with the API machinery, so that the cluster accepts what ftgen accepts and prints
quantities as ftgen does.  All are pure functions of text; those that a sweep repeats are memoised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

_NANO = Fraction(1, 10**9)
LONGEST_WORD = 2**17 - 1
"""Longest word of a command, or variable with its name, that Linux starts a program with, in bytes (MAX_ARG_STRLEN)."""
INT64_MAX = 2**63 - 1
"""Largest whole number of the Kubernetes API, where binary quantities are cut, and of most programs in a pod."""
_MOST_BINARY = Fraction(INT64_MAX)
_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_SUFFIXES = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_NAMES = {0: ""} | {power: suffix for suffix, power in _BINARY_SUFFIXES.items()}
_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?"
    r"(?:(?P<binary>[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]+)|(?P<decimal>[numkMGTPE]?))",
)
_LONGEST_QUANTITY = 128
_LARGEST_EXPONENT = 1000

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART_OF_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:0|(?:{_PART_OF_DURATION.pattern})+)")
_LONGEST_DURATION = 128

_DNS1123 = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS1123.pattern}(?:\.{_DNS1123.pattern})*")
_NAME = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DOMAIN = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_LABEL_LIMIT = 63
_SUBDOMAIN_LIMIT = 253

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\((?P<name>[^)]*)\)|(?P<wide>[^\x00-\x7f]))")
_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|(?P<wide>[^\x00-\x7f]))")
_EXPANDABLE = re.compile(r"\$\$+|\$\((?P<name>[^)]*)\)|\$(?=[^\x00-\x7f])")
_DOLLARS = re.compile(r"\$\$+|\$(?=[^\x00-\x7f])")

HASH_LENGTH = 8
_SHORTEST_SLUG = HASH_LENGTH + 2


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Fraction:
    """Return the exact amount of a resource quantity.

    Follows `resource.ParseQuantity` of k8s.io/apimachinery: an optional sign, decimal digits, and one of a
    binary suffix (`Ki` to `Ei`), a decimal suffix (`n` to `E`, `k` small) or an exponent (`e3`).  Fractions of
    a nano are rounded away from zero; binary amounts are capped at 2**63 - 1.  Unlike the parser, but like the
    pattern in the published schemas, this refuses a number without digits (`Mi`, `+`).

    Raises:
        ValueError: if the text is no quantity; the message gives examples.
    """
    return _parse(text)[0]


@lru_cache(maxsize=256)
def parse_duration(text: str) -> Fraction:
    """Return the nanoseconds of a duration such as `90s` or `1h30m`, as `time.ParseDuration` of Go reads it.

    There are no days and no blanks; a duration has 64 bits, some 292 years.

    Raises:
        ValueError: if the text is no duration; the message gives examples.
    """
    if len(text) > _LONGEST_DURATION or not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not a duration such as 90s, 5m or 1h30m")
    parts = _PART_OF_DURATION.findall(text)
    amount = sum((Fraction(f"0{number}") * _UNITS[unit] for number, unit in parts), Fraction())
    if amount > INT64_MAX:
        raise ValueError(f"{text[:60]!r} is longer than 292 years")
    return -amount if text.startswith("-") else amount


@lru_cache(maxsize=4096)
def gibibytes(text: str) -> float:
    """Return the amount of a quantity in GiB, at most 2**33: what is written as `1e999` is no more than `8Ei`.

    Raises:
        ValueError: as `parse_quantity`.
    """
    return float(min(parse_quantity(text), _MOST_BINARY) / 2**30)


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """Write a quantity as Kubernetes does: without a fraction, with the largest exact suffix.

    `1024Mi` is `1Gi`, `0.5` is `500m`, `1000m` is `1`.  The suffix family stays (binary, decimal, exponent),
    except that a binary amount below 1024 or with a fraction becomes decimal
    (`Quantity.CanonicalizeBytes` in k8s.io/apimachinery).

    Raises:
        ValueError: if the text is no quantity.
    """
    amount, family = _parse(text)
    if not amount:
        return "0"
    if family == "binary" and abs(amount) >= 1024 and amount.denominator == 1:  # noqa: PLR2004 - one Ki
        return _binary(amount.numerator)
    return _decimal(amount, family)


def _parse(text: str) -> tuple[Fraction, str]:
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST_QUANTITY else None
    if not match or not (match["whole"] or match["part"]):
        raise ValueError(f"{text[:60]!r} is not a quantity such as 16Gi, 500m, 2 or 1e3")
    digits = Fraction(int((match["whole"] or "") + (match["part"] or "")), 10 ** len(match["part"] or ""))
    amount, family = _scaled(digits, match)
    rounded = _NANO * -(-amount // _NANO)
    if family == "binary":
        rounded = min(rounded, _MOST_BINARY)
    return (-rounded if match["sign"] == "-" else rounded), family


def _scaled(number: Fraction, match: re.Match[str]) -> tuple[Fraction, str]:
    if match["binary"]:
        return number * 1024 ** _BINARY_SUFFIXES[match["binary"]], "binary"
    if match["exponent"]:
        exponent = int(match["exponent"])
        if exponent > _LARGEST_EXPONENT:
            raise ValueError(f"the exponent of {match[0][:60]!r} is out of range")
        return number * Fraction(10) ** max(exponent, -_LARGEST_EXPONENT), "exponent"
    return number * Fraction(10) ** _DECIMAL_SUFFIXES[match["decimal"]], "decimal"


def _binary(amount: int) -> str:
    power = 0
    while amount % 1024 == 0:
        amount //= 1024
        power += 1
    return f"{amount}{_BINARY_NAMES[power]}"


def _decimal(amount: Fraction, family: str) -> str:
    mantissa, exponent = int(amount / _NANO), -9
    while mantissa % 1000 == 0:
        mantissa //= 1000
        exponent += 3
    if family == "exponent" or exponent not in _DECIMAL_NAMES:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_NAMES[exponent]}"


@lru_cache(maxsize=4096)
def is_dns1123_label(text: str) -> bool:
    """Return whether a text is a DNS-1123 label: a container, volume or namespace name of at most 63 characters."""
    return len(text) <= _LABEL_LIMIT and bool(_DNS1123.fullmatch(text))


def is_dns1123_subdomain(text: str) -> bool:
    """Return whether a text is a DNS-1123 subdomain: most object names, at most 253 characters, dots allowed."""
    return len(text) <= _SUBDOMAIN_LIMIT and bool(_SUBDOMAIN.fullmatch(text))


def is_image_reference(text: str) -> bool:
    """Return whether the kubelet can parse an image name (github.com/distribution/reference); else InvalidImageName."""
    return bool(_IMAGE.fullmatch(text))


@lru_cache(maxsize=4096)
def is_qualified_name(text: str) -> bool:
    """Return whether a text is a qualified name: a label or annotation key or a resource name, `[domain/]name`."""
    prefix, slash, name = text.rpartition("/")
    if slash and not is_dns1123_subdomain(prefix):
        return False
    return len(name) <= _LABEL_LIMIT and bool(_NAME.fullmatch(name))


@lru_cache(maxsize=4096)
def is_label_value(text: str) -> bool:
    """Return whether a text may be a label's value; the empty string may."""
    return not text or (len(text) <= _LABEL_LIMIT and bool(_NAME.fullmatch(text)))


@lru_cache(maxsize=4096)
def is_env_name(text: str) -> bool:
    """Return whether a text may name an environment variable under the strict rule.

    Newer clusters relax the rule for pods, but Volcano's job webhook validates the pod template with the
    strict one (`IsEnvVarName`), which also refuses `.` and names that begin with `..`.
    """
    return text != "." and not text.startswith("..") and bool(_ENV_NAME.fullmatch(text))


@lru_cache(maxsize=4096)
def slug(text: str, limit: int) -> str:
    """Make a DNS-1035 label of at most `limit` characters from any text.

    Letters become lower case, every run of other characters one dash (`Qwen2.5-7B` gives `qwen2-5-7b`), and a
    leading digit gets the prefix `x-`.  A slug over the limit is shortened and ends in eight hex digits of the
    text's SHA-256, as does a slug of a text without letters and digits.  Without that hash similar texts may
    have the same slug (`a.b` and `a-b` are both `a-b`).

    Raises:
        ValueError: if `limit` has no room for a letter, a dash and the hash.
    """
    if limit < _SHORTEST_SLUG:
        raise ValueError(f"a slug needs room for {_SHORTEST_SLUG} characters, not {limit}")
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not plain:
        return f"x-{digest(text)}"
    return _shortened(plain if plain[0].isalpha() else f"x-{plain}", text, limit)


@lru_cache(maxsize=4096)
def label_value(text: str) -> str:
    """Make a label value of at most 63 characters from any text: illegal characters become dashes.

    `Qwen/Qwen3-0.6B` gives `Qwen-Qwen3-0.6B`.  It is shortened like `slug`; the empty text stays empty.
    """
    plain = re.sub(r"[^-A-Za-z0-9_.]+", "-", text).strip("-_.")
    return _shortened(plain, text, _LABEL_LIMIT) if plain or not text else digest(text)


def _shortened(plain: str, text: str, limit: int) -> str:
    if len(plain) <= limit:
        return plain
    return f"{plain[: limit - HASH_LENGTH - 1].rstrip('-_.')}-{digest(text)}"


def digest(text: str) -> str:
    """Hash a text to the hexadecimal digits that make names unique."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LENGTH]


def expand(text: str, env: Mapping[str, str]) -> str:
    """Expand a command, argument or environment value as the kubelet does for a container.

    As in third_party/forked/golang/expansion of Kubernetes: `$(NAME)` up to the first closing parenthesis is
    replaced if `env` has the name and otherwise stays, including any dollars in it; `$$` is one dollar; an
    unclosed `$(` and any other dollar are plain text.  The kubelet works on bytes: a dollar before a character
    outside ASCII destroys that character.
    """

    def replaced(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["wide"]:
            return _broken(match["wide"])
        return env.get(match["name"], match[0])

    closed, rest = _closed_apart(text)
    return _REFERENCE.sub(replaced, closed) + _DOLLAR.sub(replaced, rest)


def references(text: str) -> list[str]:
    """Return the names of the variables that `expand` would look up, in their order."""
    closed, _ = _closed_apart(text)
    return [match["name"] for match in _REFERENCE.finditer(closed) if match["name"] is not None]


def _closed_apart(text: str) -> tuple[str, str]:
    """Return a text up to its last closing parenthesis, and the rest, in which no reference has an end.

    There each opening parenthesis would be followed to the end of the text in vain: the square of its length.
    """
    end = text.rfind(")") + 1
    return text[:end], text[end:]


def _broken(character: str) -> str:
    first, *rest = character.encode("utf-8", "surrogatepass")
    return f"${chr(first)}" + "\ufffd" * len(rest)


@lru_cache(maxsize=256)
def escape_dollars(text: str, kept: tuple[str, ...] = ()) -> str:
    """Escape a text so that `expand` returns it unchanged, whatever legal names the environment holds.

    Double only the dollars that Kubernetes would interpret: runs of two and more, `$(NAME)` if NAME could
    be a variable, and a dollar before a character outside ASCII.  `$(date +%s)`, `${HOME}` and `$1` stay.
    References to the variables `kept` stay too, for Kubernetes to replace.
    """

    def doubled(match: re.Match[str]) -> str:
        name = match.groupdict().get("name")
        if name is None:
            return match[0] * 2
        return f"${match[0]}" if is_env_name(name) and name not in kept else match[0]

    closed, rest = _closed_apart(text)
    return _EXPANDABLE.sub(doubled, closed) + _DOLLARS.sub(doubled, rest)
