"""Sharing of equal parts: two values hold the same objects wherever they are equal.

Identity then tells what values have in common, and whoever walks one after the other skips those parts.  This is right
as long as nobody changes a value.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

Once = Callable[..., Any]
"""Caller of a pure function with a part and further arguments: `anew`, or one that knows its results for known parts.

Nobody may change the part or the result.  The function depends on the further arguments only by their values.
"""


def anew(function: Callable[..., Any], part: Any, *arguments: Any) -> Any:
    """Call the function."""
    return function(part, *arguments)


def share(new: Any, old: Any) -> Any:
    """Return a value equal to `new` that holds the parts of `old` wherever both have the same at the same place.

    The same is what is written alike: 1 is not `true`, 0.0 is not -0.0, and the order of keys matters.
    """
    kind = type(new)
    if new is old or kind is not type(old):
        return new
    if kind is dict:
        return _share_mapping(new, old)
    if kind is list or kind is tuple:
        return _share_list(new, old)
    return old if new == old and (kind is not float or repr(new) == repr(old)) else new


def copy(value: Any) -> Any:
    """Return an equal value that shares no mapping or list, so that it may be changed."""
    if isinstance(value, dict):
        return {key: copy(part) for key, part in value.items()}
    return type(value)(map(copy, value)) if isinstance(value, (list, tuple)) else value


def _share_mapping(new: dict[Any, Any], old: dict[Any, Any]) -> dict[Any, Any]:
    parts = {}
    for key, part in new.items():
        other = old.get(key)
        # Most parts are the same objects, or equal texts: a call for each of them would take as long as all else.
        if part is other or other is None:
            parts[key] = part
        elif type(part) is str:
            parts[key] = other if part == other and type(other) is str else part
        else:
            parts[key] = share(part, other)
    is_same = len(parts) == len(old) and all(map(is_, parts.values(), old.values())) and [*parts] == [*old]
    return old if is_same else parts


def _share_list(new: Any, old: Any) -> Any:
    parts = [share(part, other) for part, other in zip(new, old, strict=False)]
    if len(new) == len(old) and all(map(is_, parts, old)):
        return old
    return type(new)([*parts, *new[len(parts) :]])
