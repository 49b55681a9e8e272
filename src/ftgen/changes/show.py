"""Changes for people and programs: text for a terminal, and JSON."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ftgen.changes.compare import ABSENT, ChangeClass, FieldChange
from ftgen.changes.match import Change, Manifest, Status
from ftgen.validation.manifest import mapping

_SIGN = {Status.ADDED: "+", Status.REMOVED: "-", Status.CHANGED: "~"}
_COLOUR = {"+": "32", "-": "31", "~": "33"}
_LONGEST = 120
_DIFF_LINES = 30


def as_text(changes: Sequence[Change], *, colour: bool = False) -> str:
    """One paragraph an object that differs, its fields indented below it, and a line of totals."""
    lines = [line for change in changes for line in _lines(change)]
    painted = [_painted(line) for line in lines] if colour else lines
    return "\n".join([*painted, summary(changes)]) + "\n"


def summary(changes: Sequence[Change]) -> str:
    """The totals in one line: `2 added, 1 in-place, 7 unchanged`."""
    counts = Counter(_word(change) for change in changes)
    told = [f"{counts[word]} {word}" for word in _WORDS if counts[word]]
    return ", ".join(told) or "nothing to compare"


_WORDS = ("added", "new run", "in-place", "metadata", "removed", "no-op", "unchanged")


def _word(change: Change) -> str:
    return change.change_class.value if change.status is Status.CHANGED else change.status.value


def title(change: Change) -> str:
    """`Job training/sft-1a2b3c4d`; with an arrow where the name changes."""
    after = _title(change.manifest)
    if change.old is None or change.new is None or _title(change.old) == after:
        return after
    return f"{_title(change.old)} -> {_name(change.new)}"


def _title(manifest: Manifest) -> str:
    namespace = mapping(manifest.get("metadata")).get("namespace")
    name = _name(manifest)
    return f"{manifest.get('kind', '')} {f'{namespace}/{name}' if namespace else name}"


def _name(manifest: Manifest) -> str:
    metadata = mapping(manifest.get("metadata"))
    return str(metadata.get("name") or f"{metadata.get('generateName', '')}*")


def _lines(change: Change) -> Iterator[str]:
    if change.status is Status.UNCHANGED:
        return
    cost = f"  ({change.change_class})" if change.status is Status.CHANGED else ""
    yield f"{_SIGN[change.status]} {title(change)}{cost}"
    for field in change.fields:
        yield from _field_lines(field)


def _field_lines(field: FieldChange) -> Iterator[str]:
    cost = "" if field.change_class is ChangeClass.NEW_RUN else f"  ({field.change_class})"
    if field.old is ABSENT:
        yield f"  + {field.path}: {short(field.new)}{cost}"
    elif field.new is ABSENT:
        yield f"  - {field.path}: {short(field.old)}{cost}"
    elif is_long(field.old) and is_long(field.new):
        yield f"  ~ {field.path}:{cost}"
        yield from (f"      {line}" for line in _text_diff(field.old, field.new))
    else:
        yield f"  ~ {field.path}: {short(field.old)} -> {short(field.new)}{cost}"


def is_long(value: object) -> bool:
    """Whether a value is several lines of text."""
    return isinstance(value, str) and "\n" in value


def line_changes(old: str, new: str) -> list[str]:
    """The lines that differ, as a unified difference without its head."""
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:]


def _text_diff(old: str, new: str) -> list[str]:
    lines = line_changes(old, new)
    more = [f"… and {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return [printable(line) for line in lines[:_DIFF_LINES]] + more


def short(value: object) -> str:
    """A value on one line that is not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def printable(text: str) -> str:
    """Nothing in a manifest may steer the reader's terminal."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "\ufffd", text)


def _painted(line: str) -> str:
    sign = line.strip()[:1]
    return f"\x1b[{_COLOUR[sign]}m{line}\x1b[0m" if sign in _COLOUR else line


# JSON


def as_json(changes: Iterable[Change]) -> str:
    """An array with one object a change; `old` or `new` of a field is left out where it is absent."""
    return json.dumps([_json(change) for change in changes], indent=2, ensure_ascii=False) + "\n"


def _json(change: Change) -> dict[str, Any]:
    metadata = mapping(change.manifest.get("metadata"))
    return {
        "apiVersion": change.manifest.get("apiVersion", ""),
        "kind": change.manifest.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": _name(change.manifest),
        "was": _name(change.old) if change.old else None,
        "status": change.status.value,
        "class": change.change_class.value,
        "fields": [_field_json(field) for field in change.fields],
    }


def _field_json(field: FieldChange) -> dict[str, Any]:
    values = {"old": field.old, "new": field.new}
    given = {key: value for key, value in values.items() if value is not ABSENT}
    return {"path": field.path, "class": field.change_class.value, **given}
