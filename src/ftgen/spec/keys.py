"""Keys of the configuration: those that exist, and the mappings whose own keys are free."""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ftgen.spec.config import Spec
from ftgen.spec.types import OF_SECRET


def knows(key: str) -> bool:
    """Return whether some option may set the dotted key."""
    *parents, last = key.split(".")
    return last in known_keys(parents)


def known_keys(path: Sequence[str]) -> list[str]:
    """Return the keys of the section at a path; none for a mapping whose keys are free."""
    return list(dict.fromkeys(name for section in _sections(path) for name in _fields(section)))


def _sections(path: Sequence[str]) -> list[type[BaseModel]]:
    """Return the sections that a value at a path may be."""
    return [*filter(_is_section, _types_at(path))]


def _types_at(path: Sequence[str]) -> list[Any]:
    types: list[Any] = [Spec]
    for part in path:
        types = [inner for outer in types for inner in _types_under(outer, part)]
    return types


@lru_cache(maxsize=1024)
def refers(key: str) -> bool:
    """Return whether the dotted key takes nothing but a reference to a Secret, or a part of one.

    A value that is refused there is taken for the secret itself, which somebody wrote in place of its reference.
    """
    path = key.split(".")
    for end, part in enumerate(path):
        if any(_is_of_secret(section) or OF_SECRET in _marks(section, part) for section in _sections(path[:end])):
            return True
    types = _types_at(path)
    return any(map(_is_of_secret, types)) and str not in types


def refuses(key: str, value: Any) -> bool:
    """Return whether a value cannot be that of a key that `refers` is about."""
    if value is None or not refers(key):
        return False
    *parents, last = key.split(".")
    fields = [_fields(section)[last] for section in _sections(parents) if last in _fields(section)]
    return not any(_takes(field, value) for field in fields)


def _takes(field: FieldInfo, value: Any) -> bool:
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def reference_names() -> frozenset[str]:
    """Return the last names of the keys that `refers` is about: for a text that nobody can parse."""
    return frozenset(_reference_names(Spec))


def _reference_names(section: type[BaseModel]) -> Iterator[str]:
    for name, field in _fields(section).items():
        members = [*_members(field.annotation)]
        if OF_SECRET in _marks(section, name) or (any(map(_is_of_secret, members)) and str not in members):
            yield name
        for member in members:
            if _is_section(member):
                yield from _reference_names(member)


def _is_of_secret(annotation: Any) -> bool:
    """Return whether a section is a reference: all that it must be given names a Secret, or a key in one."""
    if not _is_section(annotation):
        return False
    required = [name for name, field in _fields(annotation).items() if field.is_required()]
    return bool(required) and all(OF_SECRET in _marks(annotation, name) for name in required)


def _marks(section: type[BaseModel], name: str) -> list[Any]:
    """Return the marks of a field's type, and of what it lists."""
    field = _fields(section).get(name)
    if field is None:
        return []
    listed = [mark for item in get_args(field.annotation) for mark in getattr(item, "__metadata__", ())]
    return [*field.metadata, *listed]


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
