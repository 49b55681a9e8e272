"""Hydra's override grammar: parsing, writing, and the values of sweeps."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import accumulate, islice
from math import ceil
from typing import Any, NamedTuple

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.grammar import grammar_functions
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString, RangeSweep, ValueType
from hydra.errors import HydraException, OverrideParseException

from ftgen.config.compose.problems import significant_line
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*|\$\{[A-Za-z0-9_.]+\}")
_SURROGATE = re.compile("[\ud800-\udfff]")  # Python's stand-in for a byte that is not UTF-8
_KEYWORDS = frozenset({"null", "true", "false", "nan", "inf"})


class Parser:
    """Parser of overrides that caches each text."""

    def __init__(self, repository: ConfigRepository) -> None:
        """Match a `glob()` against the options of this repository."""
        self._repository = repository
        self._parsed: dict[str, Override] = {}

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Parse overrides by Hydra's grammar and report all syntax errors together."""
        parsed, problems = [], []
        for position, text in enumerate(overrides, 1):
            if not text.isprintable() and _SURROGATE.search(text):
                headline = "an override is UTF-8 text, and this one is not"
                problems.append(error("FT010", headline, value=ascii(text)).at(Location(COMMAND_LINE, position)))
                continue
            try:
                parsed.append(self._parse(text))
            except HydraException as failure:
                location = Location(COMMAND_LINE, position)
                headline = f"cannot read the override {text!r}: {significant_line(failure)}"
                help_ = _quoting(text) if "=" in text else "an override is KEY=VALUE; `ftgen --help` lists the verbs"
                problems.append(error("FT010", headline, value=text, help=help_).at(location))
        if problems:
            raise Rejected(problems)
        return parsed

    def cache_parsed(self, sweep: Override, alternatives: Iterable[Alternative]) -> None:
        """Cache one parsed override for each value of a sweep, so that none has to be parsed from text.

        Skip a value whose text would parse as another value, such as the text of `str(1)`.
        """
        key = sweep.get_key_element()
        for value_text, value in alternatives:
            if _parses_as_itself(value):
                override_text = f"{key}={value_text}"
                override = replace(sweep, value_type=ValueType.ELEMENT, _value=value, input_line=override_text)
                self._parsed.setdefault(override_text, override)

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            parsed = read(text)
            if isinstance(parsed, ListExtension) and self._repository.group_exists(parsed.key_or_group):
                message = f"{parsed.key_or_group} is a group, whose options are chosen: {parsed.key_or_group}=[…]"
                raise OverrideParseException(override=text, message=message)
            # Hydra uses the loader only to list the options that a glob() matches.
            parsed.config_loader = self._repository  # type: ignore[assignment]
            self._parsed[text] = parsed
        return self._parsed[text]


def read(text: str) -> Override:
    """Parse one override by Hydra's grammar.

    Raises:
        HydraException: if it cannot be parsed, whatever the reason.
    """
    if _nesting(text) > _MAX_NESTING:
        raise OverrideParseException(override=text, message=f"it holds more than {_MAX_NESTING} levels")
    try:
        extending = _EXTENDING.fullmatch(text)
        return _extension(text, extending) if extending else _parser().parse_override(text)
    except (ValueError, RecursionError) as problem:  # a number of thousands of digits
        raise OverrideParseException(override=text, message=str(problem)) from None


@dataclass
class ListExtension(Override):
    """Override that appends its values to a list: `key=extend_list(a,b)`, as Hydra 1.4 has it."""

    def get_value_element_as_str(self, space_after_sep: bool = False) -> str:
        """Return the value as it is written, so that the points of a sweep extend the list, too."""
        return f"extend_list({super().get_value_element_as_str(space_after_sep)[1:-1]})"


_EXTENDING = re.compile(r"(?P<sign>\+\+|\+|~|)(?P<key>[^=+~]+)=\s*extend_list\s*\((?P<items>.*)\)\s*", re.DOTALL)


def _extension(text: str, written: re.Match[str]) -> Override:
    """Parse `key=extend_list(a,b)` as the list of its values; Hydra 1.3 does not know it, and 1.4 warns of it."""
    if written["sign"]:
        raise OverrideParseException(override=text, message=f"extend_list() goes without {written['sign']}")
    parsed = _parser().parse_override(f"{written['key']}=[{written['items']}]")
    if not isinstance(parsed.value(), list):
        raise OverrideParseException(override=text, message="extend_list() takes the values to append")
    return ListExtension(**{**vars(parsed), "input_line": text})


def _quoting(text: str) -> str:
    """Suggest an override in which the words that Hydra's grammar refuses are quoted; return "" where that is no cure.

    Unquoted words hold no `=`, no brackets and no characters outside ASCII; keys cannot be quoted.
    """
    key, _, value = text.partition("=")
    if not key.isascii():
        return "a key is ASCII on the command line, and cannot be quoted: set this one in a file, such as an experiment"
    pieces = _PIECES.findall(value)
    if len(pieces) > _MOST_PIECES:
        return ""
    by_comma = f"[{_quoted_items(value[1:-1])}]" if value[:1] + value[-1:] == "[]" else _quoted_items(value)
    for quoted in ("".join(map(_quoted, pieces)), by_comma):
        if quoted != value and _parses(override := f"{key}={quoted}"):
            return f"quote these words, and all of it for the shell: {shlex.quote(override)}"
    return ""


def _quoted_items(text: str) -> str:
    words = _WORDS.findall(text)
    # A comma too many is not cured by quotes.
    return ",".join(map(_quoted, words)) if ",".join(words) == text else text


def _quoted(piece: str) -> str:
    """Quote a word if the grammar refuses it as it is; leave brackets, commas and the blanks around it alone."""
    word = piece.strip()
    if not word or len(word) > _LONGEST_WORD or word[0] in _STRUCTURE or _parses(f"k={word}"):
        return piece
    return piece.replace(word, QuotedString(word, Quote.double).with_quotes())


_QUOTE = r"'(?:\\.|[^'\\])*+'|\"(?:\\.|[^\"\\])*+\""
_STRUCTURE = "[]{}(),:"
# The words between brackets, commas and the colons of mappings; and those between commas alone.
_PIECES = re.compile(rf"[][{{}}(),]|:(?=\s)|(?:{_QUOTE}|(?!:\s)[^][{{}}(),])+", re.DOTALL)
_WORDS = re.compile(rf"(?:{_QUOTE}|[^,])+")
_MOST_PIECES = 200
_LONGEST_WORD = 1000


def _parses(text: str) -> bool:
    try:
        read(text)
    except HydraException:
        return False
    return True


@lru_cache(maxsize=1)
def _parser() -> OverridesParser:
    """Create the parser once: it inspects the signature of every function, and keeps no state between texts."""
    parser = OverridesParser.create()
    range_of_numbers, glob_of_names = _with(_number, grammar_functions.range), _with(_names, grammar_functions.glob)
    parser.functions.functions |= {"shuffle": _shuffle, "range": range_of_numbers, "glob": glob_of_names}
    return parser


def _shuffle(*items: Any, **named: Any) -> Any:
    """Shuffle a list into the same order on every run, as a sweep; Hydra's own order of one is random."""
    (one,) = items if len(items) == 1 else (named.get("list"),)
    return seeded_order(one, 0) if isinstance(one, list) else grammar_functions.shuffle(*items, **named)


def _with(convert: Callable[[Any], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of Hydra's grammar that converts its arguments first."""
    return lambda *items, **named: function(*map(convert, items), **{key: convert(item) for key, item in named.items()})


def _number(value: Any) -> Any:
    """Return a number of a range: true and false are those that Hydra counts them as, 1 and 0."""
    return int(value) if isinstance(value, bool) else value


def _names(pattern: Any) -> Any:
    """Return a pattern of a glob; Hydra compares with the items of a list as they were parsed: they must be names."""
    if not isinstance(pattern, list):
        return pattern
    names = [name.text if isinstance(name, QuotedString) else name for name in pattern]
    if others := [name for name in names if not isinstance(name, str)]:
        raise TypeError(f"glob() takes names, in which * and ? stand for others, and not {others[0]!r}")
    return names


def seeded_order(items: Sequence[Any], seed: int) -> list[Any]:
    """Return the items in a pseudo-random order that depends on the seed alone, not on the machine."""

    def rank(item: Any) -> bytes:
        return hashlib.sha256(f"{seed}\0{item}".encode("utf-8", "surrogatepass")).digest()

    return sorted(items, key=rank)


_MAX_NESTING = 50
"""Maximum nesting: more than anybody writes, and within the stack of Hydra's parser and OmegaConf."""


def _nesting(text: str) -> int:
    """Return the nesting depth of the brackets outside of quotes."""
    return max(
        accumulate(1 if bracket in "[{(" else -1 for bracket in _BRACKET.findall(_QUOTED.sub("", text))), default=0
    )


_QUOTED = re.compile(r"'(?:\\.|[^'\\])*+'|\"(?:\\.|[^\"\\])*+\"", re.DOTALL)
_BRACKET = re.compile(r"[][{}()]")


Alternative = tuple[str, Any]
"""Value of a sweep: the text that Hydra's sweeper writes, and the parsed value."""


class Alternatives(NamedTuple):
    """Values of a sweep.

    Attributes:
        values: the values in order; none of a range that is too long to be walked.
        length: how many there are.
        shuffled: whether Hydra would shuffle them.
    """

    values: list[Alternative]
    length: int
    shuffled: bool


def alternatives(override: Override, most: int) -> Alternatives:
    """Enumerate the values of a sweep.

    Args:
        override: a sweep.
        most: maximum number of values to enumerate, as a range may be practically endless.

    Raises:
        Rejected: for an `interval()`, which only an optimiser can sample, and a range that never ends.
    """
    sweep: Any = override.value()
    shuffled = getattr(sweep, "shuffle", False)
    if isinstance(sweep, RangeSweep) and (length := _range_length(sweep)) > most:
        return Alternatives([], length, shuffled)
    try:
        in_order = replace(override, _value=replace(sweep, shuffle=False)) if shuffled else override
        pairs = zip(in_order.sweep_string_iterator(), in_order.sweep_iterator(), strict=True)
        values = list(islice(pairs, most + 1) if isinstance(sweep, RangeSweep) else pairs)
        return Alternatives(values, len(values), shuffled)
    except (HydraException, ValueError, ArithmeticError) as failure:
        text, key = str(override.input_line), override.key_or_group
        if override.is_interval_sweep():
            hint = f"write {key}=range(…) or {key}=choice(…)"
            raise Rejected(
                [error("FT030", f"{text}: only an optimiser can walk an interval()", key, text, hint)]
            ) from None
        # Decimal tells its errors apart by class, and has no words for them.
        reason = "nan is no number" if isinstance(failure, InvalidOperation) else significant_line(failure)
        raise Rejected([error("FT030", f"{text} cannot be enumerated: {reason}", key, text)]) from None


def _range_length(sweep: RangeSweep) -> int:
    """Return the number of values of a range without walking it; 0 for a range that ends nowhere."""
    start, stop, step = (Decimal(str(number)) for number in (sweep.start, sweep.stop, sweep.step))
    return max(0, ceil((stop - start) / step)) if step and all(map(Decimal.is_finite, (start, stop, step))) else 0


def _parses_as_itself(value: Any) -> bool:
    """Return whether a value's text surely parses as the same value; False for mappings and unusual texts."""
    if isinstance(value, list):
        return all(map(_parses_as_itself, value))
    if isinstance(value, str):
        return bool(_WORD.fullmatch(value)) and value.lower() not in _KEYWORDS
    return value is None or isinstance(value, (bool, int, float, QuotedString))


def hydra_literal(value: Any) -> str:
    """Write a plain value in Hydra's grammar, quoting text that would parse as another value."""
    return str(Override._get_value_element_as_str(_quotable(value)))  # noqa: SLF001 - Hydra's own spelling


def _quotable(value: Any) -> Any:
    if isinstance(value, str):
        return value if _parses_as_itself(value) else QuotedString(value, Quote.single)
    if isinstance(value, list):
        return [_quotable(item) for item in value]
    if isinstance(value, dict):
        return {key: _quotable(item) for key, item in value.items()}
    return value


def is_assignment(override: Override) -> bool:
    """Return whether an override is KEY=VALUE or GROUP=OPTION: with no sign before it and no package."""
    return override.type is OverrideType.CHANGE and override.package is None


def is_about_hydra(text: str) -> bool:
    """Return whether an override sets a key or group of Hydra's own node, by Hydra's own criterion."""
    return text.lstrip("~+").startswith(("hydra.", "hydra/"))


def is_hydras(override: Override) -> bool:
    """Return whether an override chooses one of Hydra's own plugins."""
    return str(override.key_or_group).startswith("hydra/")


def refuse_sweeps(overrides: Sequence[Override], *, expands: bool = True) -> None:
    """Refuse sweeps without --multirun, with Hydra's three remedies; the first is none where nothing expands them.

    Raises:
        Rejected: FT016, for each sweep.
    """
    swept = [(position, o) for position, o in enumerate(overrides, 1) if o.is_sweep_override()]
    if swept:
        raise Rejected([_ambiguous(o, expands=expands).at(Location(COMMAND_LINE, position)) for position, o in swept])


def _ambiguous(override: Override, *, expands: bool) -> Diagnostic:
    text = str(override.input_line)
    key, _, value = text.partition("=")
    quoted = QuotedString(value, Quote.double).with_quotes()
    first = "to sweep over it, add --multirun (-m)" if expands else "here it takes one value"
    help_ = (
        f"{first}; to use it as a list, write {shlex.quote(f'{key}=[{value}]')}; "
        f"to use it as text, write {shlex.quote(f'{key}={quoted}')}"
    )
    return error("FT016", f"{text} is a sweep, or an ambiguous value", override.key_or_group, text, help_)
