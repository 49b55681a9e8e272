"""What was made of a specification last: the steps of a compile ask for the same again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from ftgen.spec import Spec

T = TypeVar("T")


def remembered(make: Callable[[Spec], T]) -> Callable[[Spec], T]:
    """A function of a specification that answers at once for the very object it was asked about last.

    Specifications are frozen and hold what has no hash, so that identity tells them apart; holding on to the
    last one keeps another from taking its place.  What is returned is shared: nobody writes to it.
    """
    last: tuple[Spec, T] | None = None

    @wraps(make)
    def asked(spec: Spec) -> T:
        nonlocal last
        known = last
        if known is None or known[0] is not spec:
            known = last = (spec, make(spec))
        return known[1]

    return asked
