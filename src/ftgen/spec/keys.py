"""Keys of the configuration: which there are, and below which a user may add keys."""

from collections.abc import Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from ftgen.spec.config import Spec


def known_keys(path: Sequence[str]) -> list[str]:
    """The keys a section knows, by its path; empty for free mappings."""
    kinds: list[Any] = [Spec]
    for part in path:
        kinds = [inner for kind in kinds for inner in _held(kind, part)]
    return list(dict.fromkeys(name for kind in kinds if _is_section(kind) for name in kind.model_fields))


def knows(key: str) -> bool:
    """Whether the dotted key is one that some option may set."""
    *parents, last = key.split(".")
    return last in known_keys(parents)


@cache
def free_mappings() -> tuple[str, ...]:
    """Keys of mappings whose own keys are free (`trainer.args`, `cluster.labels`): set without a `+`."""
    return tuple(_free(Spec, ""))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _held(kind: Any, part: str) -> Iterator[Any]:
    """What can stand under a key of a section or of a free mapping."""
    if get_origin(kind) is dict:
        yield from _flattened(get_args(kind)[1])
    elif _is_section(kind) and (field := kind.model_fields.get(part)) is not None:
        yield from _flattened(field.annotation)


def _flattened(annotation: Any) -> Iterator[Any]:
    """The members of unions and annotated types, down to what can be a section or a mapping."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        for member in get_args(annotation):
            yield from _flattened(member)
    else:
        yield annotation


def _free(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        for annotation in _flattened(field.annotation):
            if get_origin(annotation) is dict:
                yield f"{prefix}{name}"
            elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _free(annotation, f"{prefix}{name}.")
