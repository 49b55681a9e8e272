"""Check and normalise the arguments of the trainer: the door to this package.

LLaMA-Factory's YAML is read without types or choices (`parse_dict` of transformers' HfArgumentParser), so
what is wrong there shows up late or never; everything that can be known is checked here instead.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ftgen.diagnostics import Diagnostic, Severity, error
from ftgen.trainers.setting import EXPORT, TRAINING, TrainingFacts, subject
from ftgen.trainers.surface import (
    TYPE_NAMES,
    Argument,
    Surface,
    WrongType,
    cast,
    export_keys,
    surface,
    template_of,
    versions,
)
from ftgen.validation import Call, Scope, validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Surface",
    "TrainingFacts",
    "check",
    "export_keys",
    "normalise",
    "surface",
    "template_of",
    "versions",
]


_SCOPES = {"train": TRAINING, "export": EXPORT}


def check(
    args: Mapping[str, object], of: Surface, facts: TrainingFacts, command: str = "train", call: Call = Scope.ask
) -> list[Diagnostic]:
    """Everything wrong with the arguments of a command.

    Args:
        args: the arguments as the trainer will read them, the model's path and the data set included.
        of: the release.
        facts: what the rules need from elsewhere.
        command: `train` or `export`; decides the names that are accepted and the subjects
            (`trainer.args.*` or `trainer.export.*`).
        call: how the rules are asked.

    Returns:
        Unknown names (FT201), wrong types (FT202) and values that are no choice (FT203) first; then what the
        rules find.  A rule that would read a refused value is not judged.
    """
    seen = {name: _seen(name, value, of, command) for name, value in args.items()}
    problems = [problem for problem, _ in seen.values() if problem is not None]
    refused = frozenset(name for name, (problem, _) in seen.items() if problem is not None)
    given = {name: plain for name, (_, plain) in seen.items() if name not in refused}
    return [*problems, *validate(_SCOPES[command], (given, of.version, facts, refused), call=call)]


def _seen(name: str, value: object, of: Surface, command: str) -> tuple[Diagnostic | None, Any]:
    """What is wrong with an argument by itself, and its value as the trainer wants it."""
    if isinstance(value, str | int | None):
        return _seen_before(name, value, of.version, command)
    return _own_problem(name, value, of, command), _cast(of.arguments.get(name), value)


@lru_cache(maxsize=4096, typed=True)
def _seen_before(name: str, value: str | int | None, release: str, command: str) -> tuple[Diagnostic | None, Any]:
    of = surface(release)
    return _own_problem(name, value, of, command), _cast(of.arguments.get(name), value)


def normalise(args: Mapping[str, object], of: Surface) -> dict[str, Any]:
    """The arguments in the types the trainer's YAML needs, without those that are null.

    `1e-4` as a text becomes a number and 3 becomes 3.0 where the trainer wants a float.  What cannot be cast
    is left as it is: `check` refuses it.
    """
    plain = {name: _cast(of.arguments.get(name), value) for name, value in args.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _cast(argument: Argument | None, value: object) -> Any:
    try:
        return cast(argument, value) if argument else value
    except WrongType:
        return value


def _own_problem(name: str, value: object, of: Surface, command: str) -> Diagnostic | None:
    argument = of.arguments.get(name)
    if argument is None or command not in argument.commands:
        return _unknown(name, of, command)
    try:
        plain = cast(argument, value)
    except WrongType:
        return _wrong_type(argument, value, command)
    return _wrong_choice(argument, plain, command)


def _unknown(name: str, of: Surface, command: str) -> Diagnostic:
    headline, help_ = _explain(name, of, command)
    return error("FT201", headline, subject(name, command), "", help_)


def _explain(name: str, of: Surface, command: str) -> tuple[str, str]:
    if name in of.arguments:
        return f"{name} is no argument of {command}", f"leave {name} out: it belongs to trainer.args"
    last, now = of.retired.get(name, ("", None))
    if now:
        return f"{name} was dropped after {last}", f"write {now}"
    if name in of.elsewhere:
        reason = f"transformers {of.elsewhere[name]} knows it, the image has {of.transformers}"
        return f"{name} is no argument of this image: {reason}", f"leave {name} out"
    if last:
        return f"{name} was dropped after {last}", f"leave {name} out"
    return f"LLaMA-Factory {of.version} has no argument {name}", _nearest(name, of, command)


def _nearest(name: str, of: Surface, command: str) -> str:
    names = [known for known, argument in of.arguments.items() if command in argument.commands]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"leave {name} out"


def _wrong_type(argument: Argument, value: object, command: str) -> Diagnostic:
    wanted = " or ".join(TYPE_NAMES[kind] for kind in sorted(argument.types - {"null"})) or "null"
    shown = "" if argument.secret else repr(value)
    headline = f"{argument.name} is {wanted}, not {shown or 'this'}"
    return error("FT202", headline, subject(argument.name, command), shown, _retype(argument, value))


def _retype(argument: Argument, value: object) -> str:
    if isinstance(value, str) and "bool" in argument.types:
        on = value.strip().lower() in {"true", "yes", "on", "1", "y"}
        return f"write {'true' if on else 'false'}, without quotes"
    if isinstance(value, int | float) and "str" in argument.types and not argument.secret:
        return f"quote it: '{value}'"
    return f"leave it out for the default, {argument.default!r}"


def _wrong_choice(argument: Argument, value: Any, command: str) -> Diagnostic | None:
    wrong = next(iter(_strangers(argument, value)), None)
    if wrong is None:
        return None
    allowed = argument.choices or argument.words
    near = difflib.get_close_matches(str(wrong), [str(choice) for choice in allowed], n=1)
    listed = ", ".join(str(choice) for choice in allowed)
    help_ = f"did you mean {near[0]}?" if near else f"choose among {listed}"
    headline = f"{argument.name} has no choice {wrong!r}"
    return Diagnostic("FT203", Severity.ERROR, headline, subject(argument.name, command), str(value), (), help_)


def _strangers(argument: Argument, value: Any) -> Iterator[Any]:
    if argument.choices and value is not None and value not in argument.choices:
        yield value
    if argument.words and value is not None:
        yield from (word for word in (value.split() if isinstance(value, str) else value) if word not in argument.words)
