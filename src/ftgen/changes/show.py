"""Changes for people and programs: text for a terminal, JSON, Markdown for a pull request."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ftgen import kube
from ftgen.changes.compare import ABSENT, FieldChange, Kind
from ftgen.changes.match import Change, Manifest, Status

_SIGN = {Status.ADDED: "+", Status.REMOVED: "-", Status.CHANGED: "~"}
_COLOUR = {"+": "32", "-": "31", "~": "33"}
_LONGEST = 120
_DIFF_LINES = 30
_OVERRIDES = "ftgen.dev/overrides"


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
    return change.kind.value if change.status is Status.CHANGED else change.status.value


def title(change: Change) -> str:
    """`Job training/sft-1a2b3c4d`; with an arrow where the name changes."""
    after = _title(change.manifest)
    if change.old is None or change.new is None or _title(change.old) == after:
        return after
    return f"{_title(change.old)} -> {_name(change.new)}"


def _title(manifest: Manifest) -> str:
    namespace = (manifest.get("metadata") or {}).get("namespace")
    name = _name(manifest)
    return f"{manifest.get('kind', '')} {f'{namespace}/{name}' if namespace else name}"


def _name(manifest: Manifest) -> str:
    metadata = manifest.get("metadata") or {}
    return str(metadata.get("name") or f"{metadata.get('generateName', '')}*")


def _lines(change: Change) -> Iterator[str]:
    if change.status is Status.UNCHANGED:
        return
    cost = f"  ({change.kind})" if change.status is Status.CHANGED else ""
    yield f"{_SIGN[change.status]} {title(change)}{cost}"
    for field in change.fields:
        yield from _field_lines(field)


def _field_lines(field: FieldChange) -> Iterator[str]:
    cost = "" if field.kind is Kind.NEW_RUN else f"  ({field.kind})"
    if field.old is ABSENT:
        yield f"  + {field.path}: {_short(field.new)}{cost}"
    elif field.new is ABSENT:
        yield f"  - {field.path}: {_short(field.old)}{cost}"
    elif _is_long(field.old) and _is_long(field.new):
        yield f"  ~ {field.path}:{cost}"
        yield from (f"      {line}" for line in _text_diff(field.old, field.new))
    else:
        yield f"  ~ {field.path}: {_short(field.old)} -> {_short(field.new)}{cost}"


def _is_long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _text_diff(old: str, new: str) -> list[str]:
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:]
    more = [f"… and {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return [_printable(line) for line in lines[:_DIFF_LINES]] + more


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _printable(text: str) -> str:
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
    metadata = change.manifest.get("metadata") or {}
    return {
        "apiVersion": change.manifest.get("apiVersion", ""),
        "kind": change.manifest.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": _name(change.manifest),
        "was": _name(change.old) if change.old else None,
        "status": change.status.value,
        "class": change.kind.value,
        "fields": [_field_json(field) for field in change.fields],
    }


def _field_json(field: FieldChange) -> dict[str, Any]:
    values = {"old": field.old, "new": field.new}
    given = {key: value for key, value in values.items() if value is not ABSENT}
    return {"path": field.path, "class": field.kind.value, **given}


# Markdown


def as_markdown(changes: Sequence[Change]) -> str:
    """The body of a pull request: what is added and what it asks for, then changes by what they cost."""
    sections = [
        f"**{summary(changes)}**",
        _added([change for change in changes if change.status is Status.ADDED]),
        *(_changed(kind, changes) for kind in reversed(Kind)),
        _removed([change for change in changes if change.status is Status.REMOVED]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _added(changes: list[Change]) -> str:
    if not changes:
        return ""
    rows = [f"| {' | '.join(_row(change))} |" for change in changes]
    total = _summed(demand(change.manifest) for change in changes)
    asked = f"\n\nAsked for in all: {_cell(_amounts(total))}" if total else ""
    return "\n".join(["### Added", "", "| object | parameters | asks for |", "|---|---|---|", *rows]) + asked


def _row(change: Change) -> tuple[str, str, str]:
    asked = _cell(_amounts(demand(change.manifest)))
    return _code(title(change)), _parameters(change.manifest), asked


def _parameters(manifest: Manifest) -> str:
    text = ((manifest.get("metadata") or {}).get("annotations") or {}).get(_OVERRIDES, "[]")
    try:
        overrides = json.loads(text)
    except ValueError:
        overrides = [text]
    return " ".join(_code(str(override)) for override in overrides) if isinstance(overrides, list) else _code(text)


def demand(manifest: Manifest) -> dict[str, Fraction]:
    """The extended resources, cards above all, that an object's pods ask for together."""
    tasks = (manifest.get("spec") or {}).get("tasks")
    return _summed(_task_demand(task) for task in (tasks if isinstance(tasks, list) else []))


def _task_demand(task: Mapping[str, Any]) -> dict[str, Fraction]:
    pod = (task.get("template") or {}).get("spec") or {}
    limits = ((container.get("resources") or {}).get("limits") for container in pod.get("containers") or [])
    return _summed(
        {name: kube.parse_quantity(str(amount)) * int(task.get("replicas", 1))}
        for one in limits
        for name, amount in (one or {}).items()
        if "/" in name
    )


def _summed(parts: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Fraction(0)) + amount
    return total


def _amounts(asked: Mapping[str, Fraction]) -> str:
    return ", ".join(f"{float(amount):g} {name}" for name, amount in asked.items())


def _changed(kind: Kind, changes: Sequence[Change]) -> str:
    chosen = [change for change in changes if change.status is Status.CHANGED and change.kind is kind]
    if not chosen:
        return ""
    items = [f"- {_code(title(change))}\n{_field_items(change)}".rstrip() for change in chosen]
    return "\n".join([f"### {kind.value.capitalize()}", "", *items])


def _field_items(change: Change) -> str:
    return "\n".join(
        f"  - {_code(field.path)}: {_markdown_value(field.old)} → {_markdown_value(field.new)}"
        for field in change.fields
    )


def _markdown_value(value: object) -> str:
    if value is ABSENT:
        return "*absent*"
    return "*text*" if _is_long(value) else _code(_short(value))


def _removed(changes: list[Change]) -> str:
    items = [f"- {_code(title(change))}" for change in changes]
    return "\n".join(["### Removed", "", *items]) if items else ""


def _code(text: str) -> str:
    """A code span that no content can leave, also inside a table."""
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    inner = _printable(text).replace("|", "\\|")
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|&])", r"\\\1", _printable(text))
