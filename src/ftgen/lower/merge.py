"""Patches of plain values: kustomize's strategic merge and RFC 6902.

Both are pure: the result may share parts with the inputs, and neither input is mutated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ftgen.schema import Node, Schema
from ftgen.text.paths import Steps

_DIRECTIVE = "$patch"
_DIRECTIVES = ("delete", "merge", "replace")


class PatchError(ValueError):
    """A patch that cannot be applied.

    Attributes:
        operation: the failing RFC 6902 operation or strategic-merge fragment.
        path: path in the patched object, e.g. `spec.tasks[name=train].replicas`; a pointer for RFC 6902.
    """

    def __init__(self, problem: str, operation: Any, path: str = "") -> None:
        """Set the message, and keep the part of the patch that cannot be applied."""
        super().__init__(problem)
        self.operation = operation
        self.path = path

    def below(self, parent: str) -> PatchError:
        """Prepend the parent's path to this error's path and return the error."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{parent}{joint}{self.path}"
        return self


# --- strategic merge -----------------------------------------------------------------------------------


def strategic_merge(base: Any, patch: Any, schema: Schema | Node | None) -> Any:
    """Merge a strategic-merge patch into `base`, as kustomize does.

    Mappings merge by key, and `null` deletes.  Lists merge by the key that the schema declares (the first
    if it has several): items keep their order, new ones are appended.  Any other list is replaced.
    `$patch: delete | replace | merge` works in mappings; `$patch: delete` in an item of a keyed list; and an
    item that is `$patch: delete | replace` alone applies to the whole keyed list.  If `schema` is `None`,
    every list is replaced.

    The merge refuses what kustomize would silently lose or leave in the output: items without a name or with
    the same name, and `$patch` where it has no meaning.

    Returns:
        The merged value, or `None` if the patch deletes all of `base`.

    Raises:
        PatchError: the patch and the base do not fit together, see above.
    """
    return _merged(base, patch, Node.of(schema) if isinstance(schema, dict) else schema)


def _merged(base: Any, patch: Any, node: Node | None) -> Any:
    if None not in (base, patch) and _shape(base) != _shape(patch):
        raise PatchError(f"there is a {_shape(base)}, and the patch has a {_shape(patch)}", patch)
    if isinstance(patch, dict):
        return _mapping(base or {}, patch, node)
    if isinstance(patch, list):
        return _list(base, patch, node)
    return patch


def _shape(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else "single value"


def _mapping(base: Mapping[str, Any], patch: Mapping[str, Any], node: Node | None) -> Any:
    directive = _directive(patch)
    if directive == "delete":
        return None
    merged = {} if directive == "replace" else dict(base)
    for name, value in patch.items():
        if name != _DIRECTIVE:
            _set(merged, name, _merged_at(name, merged.get(name), value, node and node.field(name)))
    return merged


def _merged_at(step: str, base: Any, patch: Any, node: Node | None) -> Any:
    try:
        return _merged(base, patch, node)
    except PatchError as problem:
        raise problem.below(step) from None


def _set(mapping: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        mapping.pop(name, None)
    else:
        mapping[name] = value


def _directive(patch: Mapping[str, Any]) -> str:
    directive = patch.get(_DIRECTIVE, "merge")
    if directive not in _DIRECTIVES:
        raise PatchError(f"{_DIRECTIVE}: {directive} is none of {', '.join(_DIRECTIVES)}", patch)
    return str(directive)


def _list(base: list[Any] | None, patch: list[Any], node: Node | None) -> Any:
    key, item = (node.merge_key(), node.item()) if node else (None, None)
    if key is None:
        return _unkeyed(patch)
    alone = [part for part in patch if isinstance(part, dict) and part.keys() == {_DIRECTIVE}]
    directives = {_directive(part) for part in alone}
    if alone and base is None:
        raise PatchError(f"{_DIRECTIVE} speaks for a list that is not there", alone[0])
    if "delete" in directives:
        return None
    by_key = _by_key([part for part in patch if part not in alone], key)
    return _keyed([] if base is None or "replace" in directives else base, by_key, key, item)


def _unkeyed(patch: list[Any]) -> list[Any]:
    for item in patch:
        if isinstance(item, dict) and _DIRECTIVE in item:
            raise PatchError(f"{_DIRECTIVE} has no meaning in a list without a merge key", item)
    return patch


def _by_key(patch: list[Any], key: str) -> dict[Any, dict[str, Any]]:
    """Map the items of a patch by their merge key; refuse items without one, duplicates and `$patch: replace`."""
    by_key: dict[Any, dict[str, Any]] = {}
    for item in patch:
        name = _key(item, key)
        if not isinstance(name, (str, int)):
            raise PatchError(f"an item of a list merged by {key} lacks its {key}", item)
        if name in by_key:
            raise PatchError(f"the patch has two items with {key} {name}", item)
        if item.get(_DIRECTIVE) == "replace":
            raise PatchError(f"{_DIRECTIVE}: replace cannot replace one item; delete it in a patch before", item)
        by_key[name] = item
    return by_key


def _keyed(base: list[Any], patch: Mapping[Any, Any], key: str, node: Node | None) -> list[Any]:
    names = [_key(item, key) for item in base]
    for name, item in patch.items():
        if names.count(name) > 1:
            raise PatchError(f"there are {names.count(name)} items with {key} {name} to patch", item)
    old = [
        _merged_at(f"[{key}={name}]", item, patch.get(name), node) if name in patch else item
        for name, item in zip(names, base, strict=True)
    ]
    new = [_merged_at(f"[{key}={name}]", None, item, node) for name, item in patch.items() if name not in names]
    return [item for item in (*old, *new) if item is not None]


def _key(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, dict) else None


# --- lists and deletions of a patch --------------------------------------------------------------------


class ListPatch(NamedTuple):
    """A list of a patch and the list of the base that it is merged into, or whose place it takes.

    Attributes:
        place: the keys and indices that lead to it in the patch.
        path: the same as text, items by name: `spec.tasks[name=train].policies`.
        base: the list of the base; empty if it has none.
        patch: the list of the patch.
        key: the merge key of the items; None: the patch's list replaces the base's.
    """

    place: Steps
    path: str
    base: list[Any]
    patch: list[Any]
    key: str | None


def list_patches(
    base: Any, patch: Any, schema: Schema | Node | None, place: Steps = (), path: str = ""
) -> Iterator[ListPatch]:
    """Yield each list of a patch with its base list; none below `$patch: replace`, which replaces on purpose.

    Parts of the wrong shape are skipped: `strategic_merge` refuses them.
    """
    node = Node.of(schema) if isinstance(schema, dict) else schema
    if isinstance(patch, dict) and patch.get(_DIRECTIVE) != "replace":
        for name, value in patch.items():
            below = base.get(name) if isinstance(base, dict) else None
            joint = f"{path}.{name}" if path else str(name)
            yield from list_patches(below, value, node and node.field(name), (*place, name), joint)
    elif isinstance(patch, list) and isinstance(base, list | None) and {_DIRECTIVE: "replace"} not in patch:
        key = node.merge_key() if node else None
        yield ListPatch(place, path, base or [], patch, key)
        if key:
            yield from _items(ListPatch(place, path, base or [], patch, key), node)


def _items(lists: ListPatch, node: Node | None) -> Iterator[ListPatch]:
    """Yield the lists within items that the base has, too; the lists of a new item replace nothing."""
    base = {name: item for item in lists.base if isinstance(name := _key(item, str(lists.key)), str | int)}
    for index, item in enumerate(lists.patch):
        name = _key(item, str(lists.key))
        if isinstance(name, (str, int)) and name in base:
            inner = f"{lists.path}[{lists.key}={name}]"
            yield from list_patches(base[name], item, node and node.item(), (*lists.place, index), inner)


class Deletion(NamedTuple):
    """A part of a strategic-merge patch that deletes: `null`, or `$patch: delete`.

    Attributes:
        place: the keys and indices that lead to it in the patch.
        path: the same as text, items by name.
        has_target: whether the base holds something to delete.
    """

    place: Steps
    path: str
    has_target: bool


def deletions(
    base: Any, patch: Any, schema: Schema | Node | None, place: Steps = (), path: str = ""
) -> Iterator[Deletion]:
    """Yield the deletions of a patch; parts of the wrong shape are skipped, as by `list_patches`."""
    node = Node.of(schema) if isinstance(schema, dict) else schema
    if patch is None or (isinstance(patch, dict) and patch.get(_DIRECTIVE) == "delete"):
        yield Deletion(place, path, base is not None)
    elif isinstance(patch, dict) and patch.get(_DIRECTIVE) != "replace":
        for name, value in patch.items():
            below = base.get(name) if isinstance(base, dict) else None
            yield from deletions(below, value, node and node.field(name), (*place, name), f"{path}.{name}")
    elif isinstance(patch, list) and isinstance(base, list | None) and node and (key := node.merge_key()):
        base_items = {name: item for item in base or () if isinstance(name := _key(item, key), str | int)}
        for index, item in enumerate(patch):
            name = _key(item, key)
            if isinstance(name, (str, int)):
                yield from deletions(base_items.get(name), item, node.item(), (*place, index), f"{path}[{key}={name}]")


def only_sets(patch: Any) -> bool:
    """Return whether a patch has neither lists nor deletions, so that it sets plain values and nothing else."""
    if isinstance(patch, dict):
        return _DIRECTIVE not in patch and all(map(only_sets, patch.values()))
    return patch is not None and not isinstance(patch, list)


def without_items(patch: Any, places: Collection[Steps], here: Steps = ()) -> Any:
    """Return the patch without the list items at these places."""
    if isinstance(patch, dict):
        return {name: without_items(value, places, (*here, name)) for name, value in patch.items()}
    if isinstance(patch, list):
        kept = ((index, item) for index, item in enumerate(patch) if (*here, index) not in places)
        return [without_items(item, places, (*here, index)) for index, item in kept]
    return patch


# --- RFC 6902 ------------------------------------------------------------------------------------------

Operation = Mapping[str, Any]


def json_patch(base: Any, operations: Sequence[Operation]) -> Any:
    """Apply the operations of an RFC 6902 patch to `base`, all of them or none.

    Raises:
        PatchError: an operation is malformed, its pointer finds nothing, or its test fails.
    """
    value = base
    for operation in operations:
        try:
            value = _applied(value, operation)
        except _OperationError as problem:
            raise PatchError(f"{_label(operation)}: {problem}", operation, _path(operation)) from None
    return value


_SETTING = ("add", "replace", "copy", "move")


def replaced_lists(
    base: Any, operations: Sequence[Operation], schema: Schema | Node | None, path: str = ""
) -> Iterator[ListPatch]:
    """Yield each list in whose place the operations of an RFC 6902 patch put another value, with its items then.

    None for what they remove, which they name, or insert into a list.  Operations that cannot be applied are skipped:
    `json_patch` refuses them.
    """
    node = Node.of(schema) if isinstance(schema, dict) else schema
    value = base
    for index, operation in enumerate(operations):
        before = value
        try:
            value = _applied(value, operation)
        except _OperationError:
            return
        pointer = _pointer(operation["path"])
        if operation["op"] in _SETTING and (found := _replaced_value(before, operation["op"], pointer, node, path)):
            old, named = found
            yield from _lists_below(old, _found(value, pointer), (index, "value"), named)


def _replaced_value(
    value: Any, op: str, pointer: tuple[str, ...], node: Node | None, path: str
) -> tuple[Any, str] | None:
    """Return the value in whose place an operation puts another, and its path, items by name; None if there is none."""
    inserts = op != "replace"
    for depth, step in enumerate(pointer, 1):
        if isinstance(value, list):
            if (inserts and depth == len(pointer)) or not step.isdigit() or int(step) >= len(value):
                return None
            value, path, node = value[int(step)], _item_path(value[int(step)], step, node, path), node and node.item()
        elif isinstance(value, dict) and step in value:
            value, path, node = value[step], f"{path}.{step}" if path else step, node and node.field(step)
        else:
            return None
    return value, path


def _item_path(item: Any, index: str, node: Node | None, path: str) -> str:
    key = node.merge_key() if node else None
    name = _key(item, key) if key else None
    return f"{path}[{key}={name}]" if isinstance(name, str | int) else f"{path}[{index}]"


def _lists_below(old: Any, new: Any, place: Steps, path: str) -> Iterator[ListPatch]:
    """Yield the lists of a value, and of its mappings, with what stands at their place in another value."""
    if isinstance(old, list):
        yield ListPatch(place, path, old, new if isinstance(new, list) else [], None)
    elif isinstance(old, dict):
        for name, value in old.items():
            below = new.get(name) if isinstance(new, dict) else None
            yield from _lists_below(value, below, (*place, name), f"{path}.{name}" if path else name)


class _OperationError(Exception):
    """A pointer that finds nothing, or a malformed operation; `json_patch` turns it into a `PatchError`."""


def _label(operation: Any) -> str:
    members: Mapping[str, Any] = operation if isinstance(operation, Mapping) else {}
    return " ".join(str(members[part]) for part in ("op", "path") if part in members) or "operation"


def _path(operation: Any) -> str:
    return str(operation.get("path", "")) if isinstance(operation, Mapping) else ""


def _applied(value: Any, operation: Operation) -> Any:
    name, path = _member(operation, "op"), _pointer(_member(operation, "path"))
    match name:
        case "add":
            return _added(value, path, _member(operation, "value"))
        case "remove":
            return _removed(value, path)
        case "replace":
            return _replaced(value, path, _member(operation, "value"))
        case "move":
            return _moved(value, _pointer(_member(operation, "from")), path)
        case "copy":
            return _added(value, path, _found(value, _pointer(_member(operation, "from"))))
        case "test":
            return _tested(value, path, _member(operation, "value"))
        case _:
            raise _OperationError(f"{name!r} is no operation of RFC 6902")


def _member(operation: Operation, name: str) -> Any:
    try:
        return operation[name]
    except (KeyError, TypeError, IndexError):
        raise _OperationError(f"{name!r} is missing") from None


def _pointer(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _OperationError(f"{text!r} is no JSON pointer; it must start with /")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _found(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value[_step(value, step)]
    return value


def _step(container: Any, step: str, *, beyond: bool = False) -> Any:
    """Return the key or index that a step of a pointer means; `beyond` allows the index after a list's end."""
    if isinstance(container, dict):
        if beyond or step in container:
            return step
        raise _OperationError(f"there is no {step!r}")
    if not isinstance(container, list):
        raise _OperationError(f"{step!r} is below a plain value")
    if beyond and step == "-":
        return len(container)
    return _index(step, len(container) + beyond)


def _index(step: str, limit: int) -> int:
    if not (step.isascii() and step.isdigit()) or (len(step) > 1 and step[0] == "0"):
        raise _OperationError(f"{step!r} is no index of a list")
    if int(step) >= limit:
        raise _OperationError(f"the list has no item {step}")
    return int(step)


def _changed(value: Any, path: tuple[str, ...], change: Any, *, beyond: bool = False) -> Any:
    """Copy the containers along `path`; `change` gets the copy of the last one and the key or index in it."""
    copy = value.copy() if isinstance(value, (dict, list)) else value
    step = _step(copy, path[0], beyond=beyond and len(path) == 1)
    if len(path) > 1:
        copy[step] = _changed(copy[step], path[1:], change, beyond=beyond)
    else:
        change(copy, step)
    return copy


def _added(value: Any, path: tuple[str, ...], new: Any) -> Any:
    def put(container: Any, step: Any) -> None:
        if isinstance(container, list):
            container.insert(step, new)
        else:
            container[step] = new

    return _changed(value, path, put, beyond=True) if path else new


def _removed(value: Any, path: tuple[str, ...]) -> Any:
    if not path:
        raise _OperationError("the whole object cannot be removed")
    return _changed(value, path, lambda container, step: container.pop(step))


def _replaced(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    return _changed(value, path, lambda container, step: container.__setitem__(step, new))


def _moved(value: Any, source: tuple[str, ...], path: tuple[str, ...]) -> Any:
    if path[: len(source)] == source and path != source:
        raise _OperationError("a value cannot move into itself")
    moving = _found(value, source)
    return value if path == source else _added(_removed(value, source), path, moving)


def _tested(value: Any, path: tuple[str, ...], expected: Any) -> Any:
    found = _found(value, path)
    if not json_equal(found, expected):
        raise _OperationError(f"it is {found!r}, not {expected!r}")
    return value


def json_equal(one: Any, other: Any) -> bool:
    """Compare JSON values: `true` is not 1, and the order of keys does not matter."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(json_equal(part, other[name]) for name, part in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
