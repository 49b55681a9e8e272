"""The same job on several options, side by side: the fields of its objects that differ.

What ftgen writes about a rendering (`ftgen.dev/` labels and annotations, names made of content) is no effect
and left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftgen.changes import ABSENT, diff_fields
from ftgen.lower import Bundle, Object
from ftgen.text import tables

_OURS = "ftgen.dev/"
# Characters of a cell, and of what long cells have in common before they differ.
_WIDEST, _KEPT = 48, 12
_POD = re.compile(r"^spec\.tasks\[([^]]+)]\.template\.spec\.")


@dataclass(frozen=True, slots=True)
class Row:
    """A field that differs: its object, its path, and its value in each column; `ABSENT` where there is none."""

    object: str
    path: str
    values: tuple[Any, ...]


def rows(columns: Sequence[Bundle]) -> list[Row]:
    """The fields that differ between bundles, object by object in their order."""
    held = [{_title(manifest): manifest for manifest in bundle.objects} for bundle in columns]
    titles = dict.fromkeys(title for objects in held for title in objects)
    return [row for title in titles for row in _rows(title, [objects.get(title, {}) for objects in held])]


def _title(manifest: Object) -> str:
    kind, name = manifest["kind"], manifest["metadata"].get("name", "")
    return kind if kind == "Job" else f"{kind} {name}"


def _rows(title: str, objects: Sequence[Object]) -> Iterator[Row]:
    found = {
        (i, j): _differences(one, other) for i, one in enumerate(objects) for j, other in enumerate(objects) if i != j
    }
    first = dict.fromkeys(path for j in range(1, len(objects)) for path in found[0, j])
    for path in first:
        # Where one option lacks a whole mapping, another's field inside it is shown with the mapping.
        if not any(_holds(outer, path) for outer in first):
            yield Row(title, path, tuple(_cell(path, column, found, len(objects)) for column in range(len(objects))))


def _differences(one: Object, other: Object) -> dict[str, tuple[Any, Any]]:
    return {change.path: (change.old, change.new) for change in diff_fields(one, other) if _OURS not in change.path}


def _holds(outer: str, path: str) -> bool:
    return path != outer and path.startswith(outer) and path[len(outer)] in ".[:"


def _cell(path: str, column: int, found: Mapping[tuple[int, int], Mapping[str, tuple[Any, Any]]], count: int) -> Any:
    """A column's value: as some other column's difference tells it, else what the first column has."""
    told = (found[other, column][path][1] for other in range(count) if other != column and path in found[other, column])
    old = (found[0, other][path][0] for other in range(1, count) if path in found[0, other])
    return next(told, next(old, ABSENT))


# --- showing -------------------------------------------------------------------------------------------


def as_text(labels: Sequence[str], found: Sequence[Row]) -> str:
    """A table with a column for each option; texts too long for one are shortened."""
    if not found:
        return "nothing differs in effect\n"
    cells = [["  " + _POD.sub(r"\1: ", row.path), *_shown(row.values)] for row in found]
    widths = tables.widths([["", *labels], *cells])
    lines = [tables.line(["", *labels], widths)]
    for index, row in enumerate(found):
        if index == 0 or found[index - 1].object != row.object:
            lines.append(row.object)
        lines.append(tables.line(cells[index], widths))
    return "".join(f"{line}\n" for line in lines)


def _shown(values: Sequence[Any]) -> list[str]:
    """A row's cells; what long ones have in common at their beginning is left out."""
    texts = [_text(value) for value in values]
    present = [text for text, value in zip(texts, values, strict=True) if value is not ABSENT]
    same = _common(present) if len(present) > 1 and max(map(len, present)) > _WIDEST else 0
    skipped = max(0, same - _KEPT)
    told = [
        f"…{text[skipped:]}" if skipped and value is not ABSENT else text
        for text, value in zip(texts, values, strict=True)
    ]
    return [text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…" for text in told]


def _common(texts: Sequence[str]) -> int:
    """How many characters all texts begin with."""
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
    """The whole comparison; a value is missing where an option has none."""
    listed = [
        {
            "object": row.object,
            "path": row.path,
            "values": {label: value for label, value in zip(labels, row.values, strict=True) if value is not ABSENT},
        }
        for row in found
    ]
    return json.dumps({"columns": list(labels), "rows": listed}, indent=2, ensure_ascii=False) + "\n"
