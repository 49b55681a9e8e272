"""The argument surface of one LLaMA-Factory release, and the values its arguments can hold.

The data under `schemas/llamafactory/` is derived from the release's wheel and that of the transformers
release its image pins, by `tools/derive_llamafactory.py`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ftgen import project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Float-typed arguments where 1 is a count and 1.0 a share of the whole: `split_dataset` hands `val_size` to
# datasets.train_test_split, and transformers reads steps below 1 as a ratio.
COUNT_OR_RATIO = frozenset({"val_size", "save_steps", "eval_steps", "logging_steps", "warmup_steps"})

TYPE_NAMES = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "null": "null",
    "str": "a text",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument.

    Attributes:
        name: as in the trainer's YAML.
        types: some of bool, int, float, str, list, dict, null.
        default: what the trainer takes when it is left out.
        group: model, data, training, finetuning or generating.
        commands: `train`, `export` or both.
        choices: the only values, or empty for any.
        words: the only words of a space-separated text or a list, or empty for any.
        methods: the fine-tuning methods that read it, or empty for all.
        stages: the stages that read it, or empty for all.
        secret: whether it holds a credential.
        transformers: whether transformers defines it, not LLaMA-Factory.
    """

    name: str
    types: frozenset[str]
    default: Any
    group: str
    commands: frozenset[str]
    choices: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    secret: bool = False
    transformers: bool = False


@dataclass(frozen=True, slots=True)
class Surface:
    """What one release accepts.

    Attributes:
        version: LLaMA-Factory's.
        transformers: the transformers release beside it.
        arguments: every argument by name.
        elsewhere: names only another transformers release knows -> that release.
        retired: names an older release had -> (that release, today's name or None).
        reporters: what `report_to` may name, besides all and none.
        templates: name -> flags, of `reasoning` and `efficient_eos`.
        models: hub id -> template of the chat models the release knows.
        unrunnable: stage -> the requirement that the package's own requirements exclude.
    """

    version: str
    transformers: str
    arguments: Mapping[str, Argument]
    elsewhere: Mapping[str, str]
    retired: Mapping[str, tuple[str, str | None]]
    reporters: tuple[str, ...]
    templates: Mapping[str, frozenset[str]]
    models: Mapping[str, str]
    unrunnable: Mapping[str, str]

    @property
    def transformers_major(self) -> int:
        """4 or 5."""
        return int(self.transformers.split(".")[0])


def _folder() -> Path:
    return project.schemas_dir() / "llamafactory"


@cache
def versions() -> tuple[str, ...]:
    """The releases whose surface is known, newest first."""
    found = [path.stem for path in _folder().glob("[0-9]*.json")]
    return tuple(sorted(found, key=lambda text: [int(part) for part in text.split(".")], reverse=True))


@cache
def surface(version: str) -> Surface:
    """The surface of a release.

    Raises:
        KeyError: the release is not among `versions()`.
    """
    if version not in versions():
        raise KeyError(version)
    data = json.loads((_folder() / f"{version}.json").read_bytes())
    return Surface(
        version=data["version"],
        transformers=data["transformers"],
        arguments={name: _argument(name, entry) for name, entry in data["arguments"].items()},
        elsewhere=data["elsewhere"],
        retired={name: (entry["last"], entry["now"]) for name, entry in data["retired"].items()},
        reporters=tuple(data["reporters"]),
        templates={name: frozenset(flags) for name, flags in data["templates"].items()},
        models=data["models"],
        unrunnable=data["unrunnable"],
    )


def template_of(version: str, model: str) -> str | None:
    """The template that a release knows a model by; the model by its name without its owner's."""
    return _templates(version).get(model)


@cache
def _templates(version: str) -> Mapping[str, str]:
    return {hub.rpartition("/")[2]: template for hub, template in surface(version).models.items()}


def _argument(name: str, entry: dict[str, Any]) -> Argument:
    return Argument(
        name=name,
        types=frozenset(entry["type"]),
        default=entry["default"],
        group=entry["group"],
        commands=frozenset(entry["commands"]),
        choices=tuple(entry.get("choices", ())),
        words=tuple(entry.get("words", ())),
        methods=tuple(entry.get("methods", ())),
        stages=tuple(entry.get("stages", ())),
        secret=entry.get("secret", False),
        transformers=entry.get("from") == "transformers",
    )


def export_keys(of: Surface) -> frozenset[str]:
    """The arguments `llamafactory-cli export` accepts; it refuses every training argument."""
    return frozenset(name for name, argument in of.arguments.items() if "export" in argument.commands)


class WrongType(Exception):  # noqa: N818 - a verdict on a value
    """The value is of no type the argument has."""


def cast(argument: Argument, value: object) -> Any:
    """The value in the type the trainer's YAML needs.

    `parse_dict` of transformers' HfArgumentParser assigns whatever the YAML holds, so a quoted number stays a
    text and fails hours later; numbers in texts become numbers here.

    Raises:
        WrongType: no type of the argument fits.
    """
    if _KINDS.get(type(value)) in argument.types:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongType
    return _cast_number(argument, value)


_KINDS = {type(None): "null", bool: "bool", str: "str", list: "list", tuple: "list", dict: "dict"}


def _cast_number(argument: Argument, value: str | float) -> float:
    number = _number(value)
    if type(number).__name__ in argument.types:
        return number
    if "float" in argument.types:
        return number if argument.name in COUNT_OR_RATIO else _finite(number)
    if "int" in argument.types and number == int(number):
        return int(number)
    raise WrongType


def _number(value: str | float) -> float:
    """The finite number that a YAML number or a text holds, an int where it is written as one."""
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _finite(value)
    try:
        return int(value)
    except ValueError:
        return _finite(value)


def _finite(value: str | float) -> float:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise WrongType from None
    if not math.isfinite(number):
        raise WrongType
    return number
