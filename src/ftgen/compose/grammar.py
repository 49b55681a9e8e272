"""Overrides as text: Hydra's grammar, read and written, and how an override of its own node is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, islice
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.errors import HydraException, OverrideParseException

from ftgen.compose.problems import last_line
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*|\$\{[A-Za-z0-9_.]+\}")
_SURROGATE = re.compile("[\ud800-\udfff]")  # what stands for a byte that is no UTF-8
_READ_OTHERWISE = frozenset({"null", "true", "false", "nan", "inf"})


class Parser:
    """Reads overrides, each once, however often it is asked."""

    def __init__(self, repository: ConfigRepository) -> None:
        """Overrides whose `glob()` matches the options of this repository."""
        self._repository = repository
        self._parsed: dict[str, Override] = {}

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """The overrides as Hydra's grammar understands them; all that do not parse are reported together."""
        parsed, problems = [], []
        for position, text in enumerate(overrides, 1):
            if not text.isprintable() and _SURROGATE.search(text):
                told = "an override is UTF-8 text, and this one is not"
                problems.append(error("FT010", told, value=ascii(text)).at(Location(COMMAND_LINE, position)))
                continue
            try:
                parsed.append(self._parse(text))
            except HydraException as failure:
                place = Location(COMMAND_LINE, position)
                told = f"cannot read the override {text!r}: {last_line(failure)}"
                help_ = "" if "=" in text else "an override is KEY=VALUE; `ftgen --help` lists the verbs"
                problems.append(error("FT010", told, value=text, help=help_).at(place))
        if problems:
            raise Rejected(problems)
        return parsed

    def remember(self, sweep: Override, alternatives: Iterable[Alternative]) -> None:
        """Know a sweep's overrides, one for each of its values, without reading the words of each.

        Left out is a value whose words would be read as another one, such as the text of `str(1)`.
        """
        key = sweep.get_key_element()
        for words, value in alternatives:
            if _reads_as_itself(value):
                text = f"{key}={words}"
                one = replace(sweep, value_type=ValueType.ELEMENT, _value=value, input_line=text)
                self._parsed.setdefault(text, one)

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            parsed = read(text)
            # The options that a glob() matches; of a loader, Hydra asks nothing else here.
            parsed.config_loader = self._repository  # type: ignore[assignment]
            self._parsed[text] = parsed
        return self._parsed[text]


def read(text: str) -> Override:
    """An override by Hydra's grammar.

    Raises:
        HydraException: it cannot be read, whatever the reason.
    """
    if _levels(text) > _DEEPEST:
        raise OverrideParseException(override=text, message=f"it holds more than {_DEEPEST} levels")
    try:
        return _parser().parse_override(text)
    except (ValueError, RecursionError) as problem:  # a number of thousands of digits
        raise OverrideParseException(override=text, message=str(problem)) from None


@lru_cache(maxsize=1)
def _parser() -> OverridesParser:
    """Make the parser once: it inspects the signature of every function, and keeps nothing between texts."""
    return OverridesParser.create()


_DEEPEST = 50
"""As many levels as nobody writes, and as neither Hydra's parser nor OmegaConf runs out of stack with."""


def _levels(text: str) -> int:
    """How deep the brackets outside of quotes go at most."""
    return max(accumulate(1 if each in "[{(" else -1 for each in _BRACKET.findall(_QUOTED.sub("", text))), default=0)


_QUOTED = re.compile(r"'(?:\\.|[^'\\])*+'|\"(?:\\.|[^\"\\])*+\"", re.DOTALL)
_BRACKET = re.compile(r"[][{}()]")


Alternative = tuple[str, Any]
"""A value of a sweep: in the words of Hydra's sweeper, and as the grammar has it."""


def alternatives(override: Override, most: int) -> tuple[list[Alternative], bool]:
    """A sweep's values in order, and whether Hydra would shuffle them.

    Args:
        override: a sweep.
        most: where to stop; a range may be without end for all practical purposes.

    Raises:
        Rejected: for an `interval()`, which only an optimiser can walk, and a range that never ends.
    """
    sweep: Any = override.value()
    shuffled = getattr(sweep, "shuffle", False)
    try:
        in_order = replace(override, _value=replace(sweep, shuffle=False)) if shuffled else override
        pairs = zip(in_order.sweep_string_iterator(), in_order.sweep_iterator(), strict=True)
        return list(islice(pairs, most)), shuffled
    except (HydraException, ValueError, ArithmeticError) as failure:
        text, key = str(override.input_line), override.key_or_group
        if override.is_interval_sweep():
            hint = f"write {key}=range(…) or {key}=choice(…)"
            raise Rejected(
                [error("FT030", f"{text}: only an optimiser can walk an interval()", key, text, hint)]
            ) from None
        raise Rejected([error("FT030", f"{text} cannot be enumerated: {last_line(failure)}", key, text)]) from None


def _reads_as_itself(value: Any) -> bool:
    """Whether the words of a value are read as the same value; of a mapping's or an odd text's that is not known."""
    if isinstance(value, list):
        return all(map(_reads_as_itself, value))
    if isinstance(value, str):
        return bool(_WORD.fullmatch(value)) and value.lower() not in _READ_OTHERWISE
    return value is None or isinstance(value, bool | int | float | QuotedString)


def spelled(value: Any) -> str:
    """A plain value in the words of Hydra's grammar: text that would read as anything else is quoted."""
    return str(Override._get_value_element_as_str(_quotable(value)))  # noqa: SLF001 - Hydra's own spelling


def _quotable(value: Any) -> Any:
    if isinstance(value, str):
        return value if _reads_as_itself(value) else QuotedString(value, Quote.single)
    if isinstance(value, list):
        return [_quotable(item) for item in value]
    if isinstance(value, dict):
        return {key: _quotable(item) for key, item in value.items()}
    return value


def is_about_hydra(text: str) -> bool:
    """Whether an override is of Hydra's own node, as Hydra tells them apart."""
    return text.lstrip("~+").startswith(("hydra.", "hydra/"))


def is_hydras(override: Override) -> bool:
    """Whether it chooses one of Hydra's own plugins."""
    return str(override.key_or_group).startswith("hydra/")


def refuse_sweeps(overrides: Sequence[Override]) -> None:
    """Hydra's three ways out of a sweep that nobody asked to expand."""
    swept = [(position, o) for position, o in enumerate(overrides, 1) if o.is_sweep_override()]
    if swept:
        raise Rejected([_ambiguous(o).at(Location(COMMAND_LINE, position)) for position, o in swept])


def _ambiguous(override: Override) -> Diagnostic:
    text = str(override.input_line)
    key, _, value = text.partition("=")
    ways = (
        f"to sweep over it, add --multirun (-m); to use it as a list, write {key}=[{value}]; "
        f"to use it as text, quote it: {key}=\\'{value}\\'"
    )
    return error("FT016", f"{text} is a sweep, or an ambiguous value", override.key_or_group, text, ways)
