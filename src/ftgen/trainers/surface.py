"""The arguments that a release of a program accepts, the types of their values, and LLaMA-Factory's own surface.

`tools/derive_llamafactory.py` derives the data under `schemas/llamafactory/` from the wheels of the release and of
the transformers release that its image pins; `ftgen.trainers.vllm` reads vLLM's.
"""

from __future__ import annotations

import json
import math
import operator
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ftgen import runtime
from ftgen.text import kube

if TYPE_CHECKING:
    from collections.abc import Mapping

# Float-typed arguments in which 1 is a count and 1.0 a share of the whole: `split_dataset` hands `val_size` to
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


BOUNDS = {
    "minimum": (operator.ge, "at least"),
    "maximum": (operator.le, "at most"),
    "exclusiveMinimum": (operator.gt, "above"),
    "exclusiveMaximum": (operator.lt, "below"),
}
"""Limit by its name in JSON Schema: the comparison that holds it, and its words."""


class Bound(Struct, frozen=True):
    """Limit of a number; `kind` is its name in JSON Schema, such as `exclusiveMinimum`."""

    kind: str
    limit: float

    def holds(self, value: float) -> bool:
        """Return whether a number keeps to the limit."""
        return bool(BOUNDS[self.kind][0](value, self.limit))

    def __str__(self) -> str:
        return f"{BOUNDS[self.kind][1]} {self.limit if isinstance(self.limit, int) else format(self.limit, 'g')}"


class Argument(Struct, frozen=True):
    """One argument of a program.

    Attributes:
        name: name in the program's YAML.
        types: some of bool, int, float, str, list, dict, null.
        default: value that the program takes when the argument is left out.
        group: class of the program that it configures, such as model, data, training, finetuning or generating.
        commands: commands that accept it, such as `train` and `export`; empty: the program has one.
        choices: allowed values, or empty for any.
        words: allowed words of a space-separated text or a list, or empty for any.
        methods: fine-tuning methods that read it, or empty for all.
        stages: training stages that read it, or empty for all.
        secret: whether it holds a credential.
        transformers: whether transformers defines it, not LLaMA-Factory.
        pattern: texts that the program reads as a number, such as `8k`; empty: none.
        bounds: limits of its number.
        default_known: whether `default` is stated; else only the running program could say.
        json: whether its list is written as JSON text.
        bare: whether its switch cannot be turned off again: it has no `--no-` form.
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
    pattern: str = ""
    bounds: tuple[Bound, ...] = ()
    default_known: bool = True
    json: bool = False
    bare: bool = False


class Surface(Struct, frozen=True):
    """The arguments and names that one release accepts.

    Attributes:
        version: release of LLaMA-Factory.
        transformers: transformers release that its image pins.
        arguments: every argument, by name.
        elsewhere: names that only another transformers release knows -> that release.
        retired: names that an older release had -> (the last such release, today's name or None).
        reporters: trackers that `report_to` may name, besides all and none.
        templates: name of a chat template -> its flags, among `reasoning`, `efficient_eos`, `multimodal` (it takes
            images and the like) and `tools` (it writes tools in a format of its own).
        models: hub id of a chat model -> its template.
        unrunnable: training stage -> the package it needs and the release's own requirements exclude.
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
        """Return the major version of transformers, 4 or 5."""
        return int(self.transformers.split(".")[0])


@cache
def releases(program: str) -> tuple[str, ...]:
    """Return the releases of a program whose arguments are known, newest first."""
    found = [path.stem for path in (runtime.schemas_dir() / program).glob("[0-9]*.json")]
    return tuple(sorted(found, key=lambda release: [int(part) for part in release.split(".")], reverse=True))


def read(program: str, version: str) -> dict[str, Any]:
    """Read what was derived of a release of a program.

    Raises:
        KeyError: the release is not among `releases(program)`.
    """
    if version not in releases(program):
        raise KeyError(version)
    data: dict[str, Any] = json.loads((runtime.schemas_dir() / program / f"{version}.json").read_bytes())
    return {**data, "arguments": {name: _argument(name, entry) for name, entry in data["arguments"].items()}}


def versions() -> tuple[str, ...]:
    """Return the releases of LLaMA-Factory whose arguments are known, newest first."""
    return releases("llamafactory")


@cache
def surface(version: str) -> Surface:
    """Read the surface of a release.

    Raises:
        KeyError: the release is not among `versions()`.
    """
    data = read("llamafactory", version)
    return Surface(
        version=data["version"],
        transformers=data["transformers"],
        arguments=data["arguments"],
        elsewhere=data["elsewhere"],
        retired={name: (entry["last"], entry["now"]) for name, entry in data["retired"].items()},
        reporters=tuple(data["reporters"]),
        templates={name: frozenset(flags) for name, flags in data["templates"].items()},
        models=data["models"],
        unrunnable=data["unrunnable"],
    )


def template_of(version: str, model: str) -> str | None:
    """Return the chat template that a release assigns to a model; `model` is its hub id without the owner."""
    return _templates(version).get(model)


@cache
def _templates(version: str) -> Mapping[str, str]:
    return {hub.rpartition("/")[2]: template for hub, template in surface(version).models.items()}


def _argument(name: str, entry: dict[str, Any]) -> Argument:
    return Argument(
        name=name,
        types=frozenset(entry["type"]),
        default=entry.get("default"),
        group=entry["group"],
        commands=frozenset(entry.get("commands", ())),
        choices=tuple(entry.get("choices", ())),
        words=tuple(entry.get("words", ())),
        methods=tuple(entry.get("methods", ())),
        stages=tuple(entry.get("stages", ())),
        secret=entry.get("secret", False),
        transformers=entry.get("from") == "transformers",
        pattern=entry.get("pattern", ""),
        bounds=tuple(Bound(kind, entry[kind]) for kind in BOUNDS if kind in entry),
        default_known="default" in entry,
        json=entry.get("json", False),
        bare=entry.get("bare", False),
    )


def export_keys(release: Surface) -> frozenset[str]:
    """Return the arguments that `llamafactory-cli export` accepts; it refuses every training argument."""
    return frozenset(name for name, argument in release.arguments.items() if "export" in argument.commands)


class WrongType(Exception):  # noqa: N818 - a verdict on a value
    """A value that fits no type of its argument."""


def cast(argument: Argument, value: object) -> Any:
    """Return the value in the type that the program's YAML needs.

    `parse_dict` of transformers' HfArgumentParser assigns whatever the YAML holds: a quoted number would stay a text
    and fail hours later, so numbers in texts become numbers here.

    Raises:
        WrongType: no type of the argument fits.
    """
    if _KINDS.get(type(value)) in argument.types:
        return value
    if argument.pattern and isinstance(value, str) and re.fullmatch(argument.pattern, value):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise WrongType
    return _cast_number(argument, value)


_KINDS = {type(None): "null", bool: "bool", str: "str", list: "list", tuple: "list", dict: "dict"}


def _cast_number(argument: Argument, value: str | float) -> float:
    number = _number(value)
    if isinstance(number, int) and "int" in argument.types:
        return _whole(number)
    if type(number).__name__ in argument.types:
        return number
    if "float" in argument.types:
        return number if argument.name in COUNT_OR_RATIO else _finite(number)
    if "int" in argument.types and number == int(number):
        return _whole(int(number))
    raise WrongType


def _whole(number: int) -> int:
    if abs(number) > kube.INT64_MAX:
        raise WrongType
    return number


def _number(value: str | float) -> float:
    """Return the finite number that a YAML number or a text holds, an int where it is written as one.

    Raises:
        WrongType: the text is no finite number.
    """
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
