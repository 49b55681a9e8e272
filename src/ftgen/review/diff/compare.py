"""Comparison of one job across several options, side by side: the fields of its objects that differ.

It leaves out `ftgen.dev/` labels and annotations and generated names, as they describe the rendering only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ftgen.lower import Bundle, Object
from ftgen.review.diff import ABSENT, diff_fields
from ftgen.text import jsontext, tables

_OWN_PREFIX = "ftgen.dev/"
# Characters of a cell, and of a common prefix that long cells keep.
_CELL_WIDTH, _KEPT_PREFIX = 48, 12
_POD = re.compile(r"^spec\.tasks\[([^]]+)]\.template\.spec\.")


class Row(Struct, frozen=True):
    """A field that differs: its object, its path, and its value in each column, `ABSENT` if a column lacks it."""

    object: str
    path: str
    values: tuple[Any, ...]


def rows(columns: Sequence[Bundle]) -> list[Row]:
    """Return the fields that differ between bundles, in the order of their objects."""
    by_title = [{_title(manifest): manifest for manifest in bundle.objects} for bundle in columns]
    titles = dict.fromkeys(title for objects in by_title for title in objects)
    return [row for title in titles for row in _rows(title, [objects.get(title, {}) for objects in by_title])]


def _title(manifest: Object) -> str:
    kind, name = manifest["kind"], manifest["metadata"].get("name", "")
    return kind if kind == "Job" else f"{kind} {name}"


def _rows(title: str, objects: Sequence[Object]) -> Iterator[Row]:
    found = {
        (i, j): _differences(one, other) for i, one in enumerate(objects) for j, other in enumerate(objects) if i != j
    }
    first = dict.fromkeys(path for j in range(1, len(objects)) for path in found[0, j])
    for path in first:
        # If one option lacks a whole mapping, the mapping's row covers the rows of its fields.
        if not any(_contains(outer, path) for outer in first):
            yield Row(title, path, tuple(_cell(path, column, found, len(objects)) for column in range(len(objects))))


def _differences(one: Object, other: Object) -> dict[str, tuple[Any, Any]]:
    return {
        change.path: (change.old, change.new) for change in diff_fields(one, other) if _OWN_PREFIX not in change.path
    }


def _contains(outer: str, path: str) -> bool:
    return path != outer and path.startswith(outer) and path[len(outer)] in ".[:"


def _cell(path: str, column: int, found: Mapping[tuple[int, int], Mapping[str, tuple[Any, Any]]], count: int) -> Any:
    """Return a column's value from its difference to another column; if it has none, it equals the first column's."""
    new = (found[other, column][path][1] for other in range(count) if other != column and path in found[other, column])
    old = (found[0, other][path][0] for other in range(1, count) if path in found[0, other])
    return next(new, next(old, ABSENT))


# --- output --------------------------------------------------------------------------------------------


def as_text(labels: Sequence[str], found: Sequence[Row]) -> str:
    """Write a table with a column for each option; long values are shortened."""
    if not found:
        return "nothing differs in effect\n"
    cells = [["  " + _POD.sub(r"\1: ", row.path), *_cells(row.values)] for row in found]
    widths = tables.widths([["", *labels], *cells])
    lines = [tables.line(["", *labels], widths)]
    for index, row in enumerate(found):
        if index == 0 or found[index - 1].object != row.object:
            lines.append(row.object)
        lines.append(tables.line(cells[index], widths))
    return "".join(f"{line}\n" for line in lines)


def _cells(values: Sequence[Any]) -> list[str]:
    """Return a row's cells; long ones lose most of their common prefix."""
    texts = [_text(value) for value in values]
    present = [text for text, value in zip(texts, values, strict=True) if value is not ABSENT]
    prefix = _common_prefix(present) if len(present) > 1 and max(map(len, present)) > _CELL_WIDTH else 0
    skipped = max(0, prefix - _KEPT_PREFIX)
    cells = [
        f"…{text[skipped:]}" if skipped and value is not ABSENT else text
        for text, value in zip(texts, values, strict=True)
    ]
    return [text if len(text) <= _CELL_WIDTH else f"{text[: _CELL_WIDTH - 1]}…" for text in cells]


def _common_prefix(texts: Sequence[str]) -> int:
    """Return the length of the texts' common prefix."""
    return next(
        (i for i, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1), min(map(len, texts))
    )


def _text(value: Any) -> str:
    if value is ABSENT:
        return "-"
    if isinstance(value, dict) and value.keys() == {"name", "value"}:
        return str(value["value"])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\n", "⏎")


def as_json(labels: Sequence[str], found: Sequence[Row]) -> str:
    """Write the whole comparison as JSON; a column without the field has no value."""
    listed = [
        {
            "object": row.object,
            "path": row.path,
            "values": {label: value for label, value in zip(labels, row.values, strict=True) if value is not ABSENT},
        }
        for row in found
    ]
    return jsontext.document({"columns": list(labels), "rows": listed}) + "\n"
