"""Verdicts on one argument of a program whose surface is known: its name, the type of its value, and its choices.

The trainer's arguments and those of what serves are judged alike: unknown names are FT201, wrong types FT202, and
values that the program does not take FT203.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from ftgen.diagnostics import Diagnostic, error, in_quotes
from ftgen.trainers.surface import TYPE_NAMES, Argument, WrongType, cast

UNKNOWN, WRONG_TYPE, WRONG_VALUE = "FT201", "FT202", "FT203"


def problem_of(argument: Argument, value: object, subject: str) -> Diagnostic | None:
    """Return what is wrong with an argument's value, None if nothing is.

    Args:
        argument: what the program knows of it.
        value: value as the user typed it.
        subject: configuration key of the value.
    """
    try:
        typed = cast(argument, value)
    except WrongType:
        return _wrong_type(argument, value, subject)
    return wrong_choice(argument, typed, subject) or _out_of_bounds(argument, typed, subject)


def shown(name: str) -> str:
    """Return a name as a sentence shows it: in quotes if it reads like punctuation, such as `.`."""
    return name if name.replace("-", "_").isidentifier() else repr(name)


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the help for an unknown name: the nearest known one, if one is near."""
    nearest = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean {nearest[0]}?" if nearest else f"leave {name} out"


def wrong_choice(argument: Argument, value: Any, subject: str) -> Diagnostic | None:
    """Return the diagnostic of a value that is none of the argument's choices, None if it is one."""
    wrong = next(iter(_refused_values(argument, value)), None)
    if wrong is None:
        return None
    allowed = [str(choice) for choice in argument.choices or argument.words]
    nearest = difflib.get_close_matches(str(wrong), allowed, n=1)
    help_ = f"did you mean {nearest[0]}?" if nearest else f"choose among {', '.join(allowed)}"
    return error(WRONG_VALUE, f"{argument.name} has no choice {wrong!r}", subject, str(value), help_)


def _refused_values(argument: Argument, value: Any) -> Iterator[Any]:
    if argument.choices and value is not None and value not in argument.choices:
        yield value
    if argument.words and value is not None:
        yield from (word for word in (value.split() if isinstance(value, str) else value) if word not in argument.words)


def _wrong_type(argument: Argument, value: object, subject: str) -> Diagnostic:
    wanted = " or ".join(TYPE_NAMES[kind] for kind in sorted(argument.types - {"null"})) or "null"
    written = "" if argument.secret else repr(value)
    headline = f"{argument.name} is {wanted}, not {written or 'this'}"
    return error(WRONG_TYPE, headline, subject, written, _retype(argument, value))


def _retype(argument: Argument, value: object) -> str:
    if isinstance(value, str) and "bool" in argument.types:
        is_true = value.strip().lower() in {"true", "yes", "on", "1", "y"}
        return f"write {'true' if is_true else 'false'}, without quotes"
    if "str" in argument.types and not argument.secret:
        if isinstance(value, (int, float)):
            return in_quotes(value)
        if isinstance(value, list):
            text = ",".join(map(str, value))
            return f"write one text; where it names several, with commas between them: '{text}'"
    return f"leave it out for the default, {argument.default!r}" if argument.default_known else "leave it out"


def _out_of_bounds(argument: Argument, value: Any, subject: str) -> Diagnostic | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    broken = next((bound for bound in argument.bounds if not bound.holds(value)), None)
    if broken is None:
        return None
    headline = f"{argument.name} is {broken}, not {value!r}"
    return error(WRONG_VALUE, headline, subject, str(value), f"write a number {broken}")
