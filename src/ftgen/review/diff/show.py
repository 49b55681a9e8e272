"""Changes as text for a terminal, and as JSON."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from ftgen.diagnostics import credentials
from ftgen.review.diff.fields import ABSENT, ChangeClass, FieldChange
from ftgen.review.diff.match import Change, Manifest, Status
from ftgen.text import jsontext
from ftgen.text.lines import one_line
from ftgen.text.shapes import mapping

_SIGN = {Status.ADDED: "+", Status.REMOVED: "-", Status.CHANGED: "~"}
_COLOUR = {"+": "32", "-": "31", "~": "33"}
_LONGEST = 120  # characters of a value
_DIFF_LINES = 30


def as_text(changes: Sequence[Change], *, colour: bool = False) -> str:
    """Write one paragraph for each object that differs, its fields indented below it, and a line of totals."""
    lines = [one_line(line) for change in changes for line in _lines(change)]
    painted = [_painted(line) for line in lines] if colour else lines
    return "\n".join([*painted, summary(changes)]) + "\n"


def summary(changes: Sequence[Change]) -> str:
    """Write the totals in one line: `2 added, 1 in-place, 7 unchanged`."""
    counts = Counter(word(change) for change in changes)
    totals = [f"{counts[word]} {word}" for word in _WORDS if counts[word]]
    return ", ".join(totals) or "nothing to compare"


_WORDS = ("added", "new run", "in-place", "metadata", "removed", "no-op", "unchanged")


def word(change: Change) -> str:
    """Return what becomes of an object in a word: its class if it changed, else its status."""
    return change.change_class.value if change.status is Status.CHANGED else change.status.value


def title(change: Change) -> str:
    """Write kind and name, as `Job training/sft-1a2b3c4d`, with an arrow if the name changes."""
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
    suffix = f"  ({change.change_class})" if change.status is Status.CHANGED else ""
    yield f"{_SIGN[change.status]} {title(change)}{suffix}"
    for field in change.fields:
        yield from _field_lines(field)


def redacted(field: FieldChange) -> FieldChange:
    """Return a change without secrets: logs and pull requests keep what is shown of it."""
    return replace(field, old=redacted_value(field, field.old), new=redacted_value(field, field.new))


def redacted_value(field: FieldChange, value: object) -> object:
    """Return a field's value without secrets; a variable's name, which tells one, stands before its `.value`."""
    name = re.split(r"[.:\[\]]", field.path.removesuffix(".value").rstrip("]"))[-1]
    return value if value is ABSENT else credentials.redact_value(value, name, field.secrets)


def _field_lines(field: FieldChange) -> Iterator[str]:
    suffix = "" if field.change_class is ChangeClass.NEW_RUN else f"  ({field.change_class})"
    if is_long(field.old) and is_long(field.new):
        yield f"  ~ {field.path}:{suffix}"
        yield from (f"      {line}" for line in _text_diff(field))
        return
    field = redacted(field)
    if field.old is ABSENT:
        yield f"  + {field.path}: {short(field.new)}{suffix}"
    elif field.new is ABSENT:
        yield f"  - {field.path}: {short(field.old)}{suffix}"
    else:
        yield f"  ~ {field.path}: {short(field.old)} -> {short(field.new)}{suffix}"


def is_long(value: object) -> bool:
    """Whether a value is text of several lines."""
    return isinstance(value, str) and "\n" in value


def line_changes(old: str, new: str) -> list[str]:
    """Return the lines that differ, as a unified diff without its header."""
    return list(difflib.unified_diff(old.split("\n"), new.split("\n"), n=1, lineterm=""))[2:]


def redacted_line_changes(field: FieldChange) -> list[str]:
    """Return the lines of a long text that differ, without secrets."""
    # A secret may have several lines, so that the whole text is redacted; no line moves.
    texts = ((text.split("\n"), str(redacted_value(field, text)).split("\n")) for text in (field.old, field.new))
    shown = {line: kept for text in texts for line, kept in zip(*text, strict=True)}
    return [line[:1] + shown.get(line[1:], line[1:]) for line in line_changes(field.old, field.new)]


def _text_diff(field: FieldChange) -> list[str]:
    lines = redacted_line_changes(field)
    more = [f"… and {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return [printable(line) for line in lines[:_DIFF_LINES]] + more


def short(value: object) -> str:
    """Write a value on one line of at most 120 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def printable(text: str) -> str:
    """Replace control and bidirectional characters, with which a manifest could control the reader's terminal."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "\ufffd", text)


def _painted(line: str) -> str:
    sign = line.strip()[:1]
    return f"\x1b[{_COLOUR[sign]}m{line}\x1b[0m" if sign in _COLOUR else line


# JSON


def as_json(changes: Iterable[Change]) -> str:
    """Write a JSON array with one object for each change; an absent `old` or `new` of a field is omitted."""
    return jsontext.document([_json(change) for change in changes]) + "\n"


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
        "fields": [_field_json(redacted(field)) for field in change.fields],
    }


def _field_json(field: FieldChange) -> dict[str, Any]:
    values = {"old": field.old, "new": field.new}
    present = {key: value for key, value in values.items() if value is not ABSENT}
    return {"path": field.path, "class": field.change_class.value, **present}
