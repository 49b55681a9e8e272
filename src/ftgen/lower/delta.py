"""Patches that turn one object into another: the inverse of `merge`.

`strategic` returns a strategic-merge patch, `operations` RFC 6902 operations.  A strategic-merge patch is easier to
read and still applies to a changed base, but it cannot express every difference, such as the order of a list that
merges by key.  Operations express the rest:

    merged = merge.strategic_merge(old, strategic(old, new, schema), schema)
    merge.json_patch(merged, operations(merged, new)) == new
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftgen.lower.merge import json_equal
from ftgen.schema import Node, Schema

Operation = dict[str, Any]
_DIRECTIVE = "$patch"


class _Same:
    """Type of `_SAME`, the patch of equal values, for which JSON has no value."""


_SAME = _Same()


def strategic(old: Mapping[str, Any], new: Mapping[str, Any], schema: Schema | Node | None) -> dict[str, Any]:
    """Return the strategic-merge patch that turns `old` into `new` as far as such a patch can.

    It replaces a nested mapping as a whole if that makes the patch shorter.

    Returns:
        The patch; empty if nothing differs.
    """
    return _fields(old, new, Node.of(schema) if isinstance(schema, dict) else schema)


def operations(old: Any, new: Any) -> list[Operation]:
    """Return the RFC 6902 operations that turn one JSON value exactly into another.

    They replace a list as a whole if its length differs or that is shorter.
    """
    return list(_operations("", old, new))


# --- strategic merge -----------------------------------------------------------------------------------


def _value(old: Any, new: Any, node: Node | None) -> Any:
    if json_equal(old, new):
        return _SAME
    if isinstance(old, dict) and isinstance(new, dict):
        return _mapping(old, new, node)
    if isinstance(old, list) and isinstance(new, list):
        return _list(old, new, node)
    # A strategic-merge patch cannot turn a mapping into a list: RFC 6902 operations do.
    return _SAME if any(isinstance(value, (dict, list)) for value in (old, new)) else new


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], node: Node | None) -> Any:
    patch = _fields(old, new, node)
    whole = {_DIRECTIVE: "replace", **new}
    return whole if _can_be_added(new, node) and _length(whole) < _length(patch) else patch or _SAME


def _fields(old: Mapping[str, Any], new: Mapping[str, Any], node: Node | None) -> dict[str, Any]:
    """Return the patch of a mapping's fields, `null` for each removed one."""
    removed = {name: None for name in old if name not in new}
    inner = {name: node and node.field(name) for name in new}
    changes = {n: _value(old[n], v, inner[n]) if n in old else _added(v, inner[n]) for n, v in new.items()}
    return {**removed, **{name: value for name, value in changes.items() if not isinstance(value, _Same)}}


def _list(old: list[Any], new: list[Any], node: Node | None) -> Any:
    key, item = (node.merge_key(), node.item()) if node else (None, None)
    if key is None:
        return new
    if not (_have_unique_keys(old, key) and _have_unique_keys(new, key)):
        return _SAME
    before, after = ({item[key]: item for item in items} for items in (old, new))
    removed = [{key: name, _DIRECTIVE: "delete"} for name in before if name not in after]
    changes = {name: _fields(before[name], one, item) for name, one in after.items() if name in before}
    changed = [{key: name, **fields} for name, fields in changes.items() if fields]
    added = [one for name, one in after.items() if name not in before and _can_be_added(one, item)]
    patch, whole = [*removed, *changed, *added], [{_DIRECTIVE: "replace"}, *new]
    return whole if _can_be_added(new, node) and _length(whole) < _length(patch) else patch or _SAME


def _added(value: Any, node: Node | None) -> Any:
    return value if _can_be_added(value, node) else _SAME


def _can_be_added(value: Any, node: Node | None) -> bool:
    """Return whether a patch can add the value: a merge refuses keyed lists whose items lack a unique key."""
    if isinstance(value, dict):
        return all(_can_be_added(one, node and node.field(name)) for name, one in value.items())
    if isinstance(value, list) and node:
        key = node.merge_key()
        return key is None or (_have_unique_keys(value, key) and all(_can_be_added(one, node.item()) for one in value))
    return True


def _have_unique_keys(items: Sequence[Any], key: str) -> bool:
    names = [item.get(key) for item in items if isinstance(item, dict)]
    return len(names) == len(items) == len(set(names)) and all(isinstance(name, (str, int)) for name in names)


def _length(patch: Any) -> int:
    return len(json.dumps(patch, ensure_ascii=False))


# --- RFC 6902 ------------------------------------------------------------------------------------------


def _operations(path: str, old: Any, new: Any) -> Iterator[Operation]:
    if json_equal(old, new):
        return
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            yield from _items(path, old, new)
        else:
            yield {"op": "replace", "path": path, "value": new}
        return
    for name in old:
        if name not in new:
            yield {"op": "remove", "path": _child(path, name)}
    for name, value in new.items():
        if name in old:
            yield from _operations(_child(path, name), old[name], value)
        else:
            yield {"op": "add", "path": _child(path, name), "value": value}


def _items(path: str, old: list[Any], new: list[Any]) -> Iterator[Operation]:
    """Yield operations item by item, or one for the whole list if that is shorter."""
    inner = [op for i, pair in enumerate(zip(old, new, strict=True)) for op in _operations(f"{path}/{i}", *pair)]
    whole = {"op": "replace", "path": path, "value": new}
    yield from inner if _length(inner) < _length([whole]) else [whole]


def _child(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
