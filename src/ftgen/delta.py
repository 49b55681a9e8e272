"""What turns one object into another: the inverse of `merge`.

`strategic` finds the strategic-merge patch, `operations` the RFC 6902 operations.  A strategic-merge patch reads
better and survives a change of its base, but it cannot say everything: the order of a list that is merged by
key, for one.  What it leaves is for the operations:

    merged = merge.strategic_merge(old, strategic(old, new, schema), schema)
    merge.json_patch(merged, operations(merged, new)) == new
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftgen.merge import json_equal
from ftgen.schema import Node, Schema

Operation = dict[str, Any]
_DIRECTIVE = "$patch"


class _Same:
    """The patch of two values that do not differ; no JSON value means that."""


_SAME = _Same()


def strategic(old: Mapping[str, Any], new: Mapping[str, Any], schema: Schema | Node | None) -> dict[str, Any]:
    """The strategic-merge patch that brings one mapping as near to another as such a patch can.

    Mappings inside that have little in common are replaced as a whole where that is shorter.

    Returns:
        The patch; empty where nothing differs.
    """
    return _fields(old, new, Node.of(schema) if isinstance(schema, dict) else schema)


def operations(old: Any, new: Any) -> list[Operation]:
    """The RFC 6902 operations that make one JSON value exactly another; lists that differ are replaced whole."""
    return list(_operations("", old, new))


# --- strategic merge -----------------------------------------------------------------------------------


def _value(old: Any, new: Any, node: Node | None) -> Any:
    if json_equal(old, new):
        return _SAME
    if isinstance(old, dict) and isinstance(new, dict):
        return _mapping(old, new, node)
    if isinstance(old, list) and isinstance(new, list):
        return _list(old, new, node)
    # No patch turns a mapping into a list: what is of another shape is left to the operations.
    return _SAME if any(isinstance(value, dict | list) for value in (old, new)) else new


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], node: Node | None) -> Any:
    patch = _fields(old, new, node)
    whole = {_DIRECTIVE: "replace", **new}
    return whole if _sayable(new, node) and _length(whole) < _length(patch) else patch or _SAME


def _fields(old: Mapping[str, Any], new: Mapping[str, Any], node: Node | None) -> dict[str, Any]:
    """The fields of a mapping that differ; `null` for what is gone."""
    gone = {name: None for name in old if name not in new}
    inner = {name: node and node.field(name) for name in new}
    changes = {n: _value(old[n], v, inner[n]) if n in old else _added(v, inner[n]) for n, v in new.items()}
    return {**gone, **{name: value for name, value in changes.items() if not isinstance(value, _Same)}}


def _list(old: list[Any], new: list[Any], node: Node | None) -> Any:
    key, item = (node.merge_key(), node.item()) if node else (None, None)
    if key is None:
        return new
    if not (_named(old, key) and _named(new, key)):
        return _SAME
    before, after = ({item[key]: item for item in items} for items in (old, new))
    gone = [{key: name, _DIRECTIVE: "delete"} for name in before if name not in after]
    changes = {name: _fields(before[name], one, item) for name, one in after.items() if name in before}
    changed = [{key: name, **fields} for name, fields in changes.items() if fields]
    added = [one for name, one in after.items() if name not in before and _sayable(one, item)]
    patch, whole = [*gone, *changed, *added], [{_DIRECTIVE: "replace"}, *new]
    return whole if _sayable(new, node) and _length(whole) < _length(patch) else patch or _SAME


def _added(value: Any, node: Node | None) -> Any:
    return value if _sayable(value, node) else _SAME


def _sayable(value: Any, node: Node | None) -> bool:
    """Whether a patch can bring the value in: it refuses keyed lists whose items are not told apart."""
    if isinstance(value, dict):
        return all(_sayable(one, node and node.field(name)) for name, one in value.items())
    if isinstance(value, list) and node:
        key = node.merge_key()
        return key is None or (_named(value, key) and all(_sayable(one, node.item()) for one in value))
    return True


def _named(items: Sequence[Any], key: str) -> bool:
    names = [item.get(key) for item in items if isinstance(item, dict)]
    return len(names) == len(items) == len(set(names)) and all(isinstance(name, str | int) for name in names)


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
            yield {"op": "remove", "path": _below(path, name)}
    for name, value in new.items():
        if name in old:
            yield from _operations(_below(path, name), old[name], value)
        else:
            yield {"op": "add", "path": _below(path, name), "value": value}


def _items(path: str, old: list[Any], new: list[Any]) -> Iterator[Operation]:
    """Item by item where each is still the same thing, else the list as a whole."""
    inner = [op for i, pair in enumerate(zip(old, new, strict=True)) for op in _operations(f"{path}/{i}", *pair)]
    whole = {"op": "replace", "path": path, "value": new}
    yield from inner if _length(inner) < _length([whole]) else [whole]


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
