"""Keys of the configuration: those that exist, and the mappings whose own keys are free."""

from collections.abc import Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ftgen.spec.config import Spec


def knows(key: str) -> bool:
    """Return whether some option may set the dotted key."""
    *parents, last = key.split(".")
    return last in known_keys(parents)


def known_keys(path: Sequence[str]) -> list[str]:
    """Return the keys of the section at a path; none for a mapping whose keys are free."""
    types: list[Any] = [Spec]
    for part in path:
        types = [inner for outer in types for inner in _types_under(outer, part)]
    return list(dict.fromkeys(name for section in types if _is_section(section) for name in _fields(section)))


@cache
def free_mappings() -> tuple[str, ...]:
    """Return the mappings whose keys are free (`trainer.args`, `cluster.labels`): an override adds one without `+`."""
    return tuple(_free_mappings(Spec, ""))


def _free_mappings(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in _fields(section).items():
        for member in _members(field.annotation):
            if get_origin(member) is dict:
                yield f"{prefix}{name}"
            elif isinstance(member, type) and issubclass(member, BaseModel):
                yield from _free_mappings(member, f"{prefix}{name}.")


def _types_under(outer: Any, key: str) -> Iterator[Any]:
    """Yield the types of the value under a key of a section, or of a mapping whose keys are free."""
    if get_origin(outer) is dict:
        yield from _members(get_args(outer)[1])
    elif _is_section(outer) and (field := _fields(outer).get(key)) is not None:
        yield from _members(field.annotation)


def _fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union or annotated type, also of nested ones."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
