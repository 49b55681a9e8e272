"""The vocabulary of the configuration: what the packaged schema says of a key.

The file `schemas/config.json` is read, for completion has no time to have pydantic make it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeGuard

from msgspec import Struct

from ftgen import runtime
from ftgen.text.kube import INT64_MAX
from ftgen.trainers.surface import BOUNDS, TYPE_NAMES, Argument, Bound

Node = Mapping[str, Any]
"""Schema of a section or of a value."""
Current = Callable[[str], Any]
"""Returns the value that a dotted key has at present; of several kinds of a section, it tells which one is meant."""

UNIT = "x-unit"
"""Keyword that says what a value counts; JSON Schema has none, and lets readers pass over it."""
_PYTHON = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "array": "list", "object": "dict"}


class Documentation(Struct, frozen=True):
    """What a key, or an argument of a program, means and takes.

    Attributes:
        meaning: a sentence; empty for an argument, which its program documents.
        type: types of its value and their limits, in words.
        unit: what the value counts, such as seconds or tokens; empty where it counts nothing.
        choices: the only values that it takes; none: any of its type.
        default: value where nothing sets it.
        has_default: whether there is one.
        without_default: what to say where there is none.
        notes: what else is to be known of it, a sentence each.
    """

    meaning: str
    type: str
    unit: str = ""
    choices: tuple[Any, ...] = ()
    default: Any = None
    has_default: bool = False
    without_default: str = "none: it has to be set"
    notes: tuple[str, ...] = ()


@cache
def whole() -> Node:
    """Return the schema of a whole configuration."""
    loaded: dict[str, Any] = json.loads((runtime.schemas_dir() / "config.json").read_bytes())
    return loaded


def node(key: str, current: Current) -> Node | None:
    """Return the schema of the section or value at a dotted key; None where the specification has no such key."""
    found: Node | None = whole()
    walked: list[str] = []
    for name in key.split(".") if key else ():
        if found is None:
            return None
        walked.append(name)
        found = inside(".".join(walked), found, name, current)
    return found


def inside(key: str, parent: Node | None, name: str, current: Current) -> Node | None:
    """Return the schema below a name of a section; `key` is the dotted key of the name."""
    field = (parent or {}).get("properties", {}).get(name)
    return _section(field, key, current) if field is not None else None


def _section(field: Node, key: str, current: Current) -> Node:
    """Return a field's schema, or the section it refers to: of several kinds, the kind that is chosen at present."""
    if "discriminator" in field:
        discriminator = field["discriminator"]
        kind = current(f"{key}.{discriminator['propertyName']}")
        return _referred(discriminator["mapping"].get(kind) or next(iter(discriminator["mapping"].values())))
    return next((_referred(each["$ref"]) for each in alternatives(field) if "$ref" in each), field)


def _referred(reference: str) -> Node:
    found: Node = whole()["$defs"][reference.rpartition("/")[2]]
    return found


def alternatives(field: Node) -> Sequence[Node]:
    """Return the schemas of which a value meets one."""
    found: Sequence[Node] = field.get("anyOf") or field.get("oneOf") or [field]
    return found


# --- what is told of a key ------------------------------------------------------------------------------


def of_key(key: str, current: Current) -> Documentation | None:
    """Return what the specification says of a key, a mapping's own keys included; None where it has no such key."""
    parent, _, name = key.rpartition(".")
    section = node(parent, current)
    field = (section or {}).get("properties", {}).get(name)
    if field is None:
        return _of_free_key(parent, current)
    required = name in (section or {}).get("required", ())
    return _documentation(field, required=required)


def _of_free_key(parent: str, current: Current) -> Documentation | None:
    """Return what is said of the values of a mapping whose keys are free, such as `cluster.labels`."""
    above, _, name = parent.rpartition(".")
    field = (node(above, current) or {}).get("properties", {}).get(name, {}) if parent else {}
    values = next(
        (each["additionalProperties"] for each in alternatives(field) if "additionalProperties" in each), None
    )
    return _documentation({"description": field["description"], **values}, required=True) if _is_node(values) else None


def _is_node(values: object) -> TypeGuard[Node]:
    return isinstance(values, dict)


def _documentation(field: Node, *, required: bool) -> Documentation:
    kinds = [kind for each in alternatives(field) for kind in _kinds(each)]
    return Documentation(
        meaning=field.get("description", ""),
        type=" or ".join(dict.fromkeys(kinds)) or "any value",
        unit=field.get(UNIT, ""),
        choices=tuple(choice for each in alternatives(field) for choice in choices(each)),
        default=field.get("default"),
        has_default=not required,
    )


def choices(field: Node) -> Sequence[Any]:
    """Return the values that a schema lists, if it lists any."""
    return [field["const"]] if "const" in field else field.get("enum", ())


def _kinds(field: Node) -> Iterator[str]:
    """Yield the types of a schema in words, with the limits of a number."""
    if "$ref" in field:
        yield "a section"
    named = field.get("type", ())
    for kind in [named] if isinstance(named, str) else named:
        # That a number has 64 bits at most tells a user nothing.
        limits = [str(Bound(name, field[name])) for name in BOUNDS if field.get(name, INT64_MAX) != INT64_MAX]
        yield ", ".join([TYPE_NAMES[_PYTHON.get(kind, kind)], *limits])


def of_argument(argument: Argument) -> Documentation:
    """Return what a release of a program says of one of its arguments."""
    types = " or ".join(TYPE_NAMES[kind] for kind in sorted(argument.types - {"null"}))
    null = ["or null"] if types and "null" in argument.types else []
    return Documentation(
        meaning="",
        type=" ".join([", ".join([types or "null", *map(str, argument.bounds)]), *null]),
        choices=argument.choices or argument.words,
        default=argument.default,
        has_default=argument.default_known,
        without_default="known to the running program only",
        notes=tuple(_notes(argument)),
    )


def _notes(argument: Argument) -> Iterator[str]:
    if argument.words:
        yield "Takes several of the choices, as a list or with spaces between them."
    if argument.stages:
        yield f"Read in the stages {', '.join(argument.stages)}."
    if argument.methods:
        yield f"Read by the fine-tuning methods {', '.join(argument.methods)}."
    if argument.secret:
        yield "Holds a credential: take it from a Secret by a variable of the environment."
