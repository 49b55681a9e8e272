"""Validation of the trainer's arguments: names, types and choices, then the rules.

transformers reads LLaMA-Factory's YAML without types or choices (`parse_dict` of its HfArgumentParser), so that an
error shows up late or never.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ftgen.diagnostics import Diagnostic, error
from ftgen.trainers.arguments import coerced
from ftgen.trainers.surface import Surface, surface
from ftgen.validation import Call, Scope, validate
from ftgen.validation.arguments import UNKNOWN, problem_of, shown, suggestion
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING, TrainingFacts, subject

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPES = {"train": TRAINING, "export": EXPORT}


def check_arguments(
    args: Mapping[str, object], release: Surface, facts: TrainingFacts, command: str = "train", call: Call = Scope.ask
) -> list[Diagnostic]:
    """Return the diagnostics of a command's arguments.

    Args:
        args: arguments as the trainer will read them, including the model's path and the data set.
        release: arguments that the release accepts.
        facts: facts that the rules need from outside the arguments.
        command: `train` or `export`; decides which names are accepted, and the subjects of diagnostics
            (`trainer.args.*` or `trainer.export.*`).
        call: runs the rules of a scope.

    Returns:
        Unknown names (FT201), wrong types (FT202) and values that are no choice (FT203) first; then the findings of
        the rules.  A rule that would read a refused value is skipped.
    """
    checked = {name: _checked(name, value, release, command) for name, value in args.items()}
    problems = [problem for problem, _ in checked.values() if problem is not None]
    refused = frozenset(name for name, (problem, _) in checked.items() if problem is not None)
    given = {name: typed for name, (_, typed) in checked.items() if name not in refused}
    return [*problems, *validate(_SCOPES[command], (given, release.version, facts, refused), call=call)]


def _checked(name: str, value: object, release: Surface, command: str) -> tuple[Diagnostic | None, Any]:
    """Return the diagnostic of one argument, or None, and its value in the type that the trainer expects."""
    # The cache would take -0.0 for 0.0.
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and value):
        return _checked_once(name, value, release.version, command)
    return _own_problem(name, value, release, command), coerced(release.arguments.get(name), value)


@lru_cache(maxsize=4096, typed=True)
def _checked_once(name: str, value: str | float | None, version: str, command: str) -> tuple[Diagnostic | None, Any]:
    release = surface(version)
    return _own_problem(name, value, release, command), coerced(release.arguments.get(name), value)


def _own_problem(name: str, value: object, release: Surface, command: str) -> Diagnostic | None:
    argument = release.arguments.get(name)
    if argument is None or command not in argument.commands:
        return _unknown(name, release, command)
    return problem_of(argument, value, subject(name, command))


def _unknown(name: str, release: Surface, command: str) -> Diagnostic:
    headline, help_ = unknown_argument(name, release, command)
    return error(UNKNOWN, headline, subject(name, command), "", help_)


def unknown_argument(name: str, release: Surface, command: str) -> tuple[str, str]:
    """Return what there is to say of a name that is no argument of a command, and the help."""
    if name in release.arguments:
        return f"{name} is no argument of {command}", f"leave {name} out: it belongs to trainer.args"
    last, now = release.retired.get(name, ("", None))
    if now:
        return f"{name} was dropped after {last}", f"write {now}"
    if name in release.elsewhere:
        reason = f"transformers {release.elsewhere[name]} knows it, the image has {release.transformers}"
        return f"{name} is no argument of this image: {reason}", f"leave {name} out"
    if last:
        return f"{name} was dropped after {last}", f"leave {name} out"
    names = [known for known, argument in release.arguments.items() if command in argument.commands]
    return f"LLaMA-Factory {release.version} has no argument {shown(name)}", suggestion(name, names)
