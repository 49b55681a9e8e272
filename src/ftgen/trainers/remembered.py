"""What was made of a specification last: the steps of a compile ask for the same again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ftgen.spec import Spec

T = TypeVar("T")


def remembered(make: Callable[[Spec], T]) -> Callable[[Spec], T]:
    """A function of a specification that answers at once for what it was asked about last.

    It may read what `_deciding` lists, and nothing else: a specification whose sizes were settled trains as it did
    before.  What is returned is shared: nobody writes to it.
    """
    last: tuple[tuple[Any, ...], T] | None = None

    @wraps(make)
    def asked(spec: Spec) -> T:
        nonlocal last
        known, deciding = last, _deciding(spec)
        if known is None or not all(map(_is_same, known[0], deciding)):
            known = last = (deciding, make(spec))
        return known[1]

    return asked


def _deciding(spec: Spec) -> tuple[Any, ...]:
    hardware = spec.hardware
    sections = (spec.trainer, spec.model, spec.dataset, spec.tracking, hardware.card)
    return (*sections, hardware.vendor, hardware.nodes, hardware.devices, spec.storage.models.path)


def _is_same(one: Any, other: Any) -> bool:
    """Sections are frozen and hold what has no hash, so that identity tells them apart."""
    return one is other or (isinstance(one, str | int) and type(one) is type(other) and one == other)
