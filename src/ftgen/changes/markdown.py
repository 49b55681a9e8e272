"""Changes for a reviewer: the body of a pull request.

What is added with the parameters that make it and the cards that it asks for, then changes by what they cost.
Long lists are cut: a comment on GitHub holds 65,536 characters, and nobody reads the thousandth row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from ftgen import record
from ftgen.changes.compare import ABSENT, ChangeClass, FieldChange
from ftgen.changes.match import Change, Manifest, Status
from ftgen.changes.show import is_long, line_changes, printable, short, summary, title
from ftgen.rules.resources import is_extended
from ftgen.validation.manifest import NEWEST, Task, amount, mapping, read

_MOST = 100
"""Rows of a table, items of a list."""
_OURS = re.compile(r"metadata\.annotations\[ftgen\.dev/(?:overrides|config-digest|version|sweep)]")
"""Bookkeeping; what it says is told as parameters."""


def as_markdown(changes: Sequence[Change], *, stays: bool = False) -> str:
    """The body of a pull request.

    Args:
        changes: of every object.
        stays: whether the files of what is removed stay where they are, as in a tree they do.
    """
    gone = [change for change in changes if change.status is Status.REMOVED]
    sections = [
        f"**{summary(changes)}**",
        _asked(changes),
        _added([change for change in changes if change.status is Status.ADDED]),
        *(_changed(kind, changes) for kind in reversed(ChangeClass)),
        _section(
            "No longer rendered; the files stay" if stays else "Removed", [f"- {_code(title(it))}" for it in gone]
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(heading: str, items: Sequence[str], *before: str) -> str:
    if not items:
        return ""
    more = ["", f"… and {len(items) - _MOST} more"] if len(items) > _MOST else []
    return "\n".join([f"### {heading}", "", *before, *items[:_MOST], *more])


def _asked(changes: Sequence[Change]) -> str:
    """What the new objects ask for together, beside whatever runs already."""
    new = [
        change
        for change in changes
        if change.status is not Status.UNCHANGED and change.change_class is ChangeClass.NEW_RUN
    ]
    total = _summed(demand(change.manifest) for change in new)
    return f"New runs ask for {_cell(_amounts(total))} in all." if total else ""


def _added(changes: Sequence[Change]) -> str:
    given = [_parameters(change.manifest) for change in changes]
    common = [word for word in given[0] if all(word in words for words in given)] if len(given) > 1 else []
    rows = [
        _row(change, [word for word in words if word not in common])
        for change, words in zip(changes, given, strict=True)
    ]
    each = [f"Each with {_words(common)}.", ""] if common else []
    return _section("Added", rows, *each, "| object | parameters | asks for |", "|---|---|---|")


def _row(change: Change, words: Sequence[str]) -> str:
    return f"| {_code(title(change))} | {_words(words)} | {_cell(_amounts(demand(change.manifest)))} |"


def _words(words: Iterable[str]) -> str:
    return " ".join(map(_code, words))


def _parameters(manifest: Manifest) -> list[str]:
    """The overrides that a run was rendered from, as it says itself."""
    said = record.of(manifest)
    try:
        return list(record.overrides(said)) if record.OVERRIDES in said else []
    except ValueError:
        return [str(said[record.OVERRIDES])]


def demand(manifest: Manifest) -> dict[str, Fraction]:
    """The extended resources, cards above all, that an object's pods ask for together."""
    return _summed(map(_task_demand, read(manifest, NEWEST).tasks))


def _task_demand(task: Task) -> dict[str, Fraction]:
    limits = (mapping(mapping(c.body.get("resources")).get("limits")) for c in task.pod.main_containers)
    return _summed(
        {name: asked * task.replicas for name, value in one.items() if (asked := amount(value)) and _is_card(name)}
        for one in limits
    )


def _is_card(name: object) -> bool:
    return isinstance(name, str) and is_extended(name)


def _summed(parts: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for part in parts:
        for name, asked in part.items():
            total[name] = total.get(name, Fraction(0)) + asked
    return total


def _amounts(asked: Mapping[str, Fraction]) -> str:
    return ", ".join(f"{float(amount):g} {name}" for name, amount in asked.items())


def _changed(kind: ChangeClass, changes: Sequence[Change]) -> str:
    chosen = [change for change in changes if change.status is Status.CHANGED and change.change_class is kind]
    return _section(kind.value.capitalize(), ["\n".join(_item(change)) for change in chosen])


def _item(change: Change) -> Iterator[str]:
    yield f"- {_code(title(change))}"
    old, new = (_parameters(manifest or {}) for manifest in (change.old, change.new))
    come, gone = [word for word in new if word not in old], [word for word in old if word not in new]
    if come:
        yield f"  - now with {_words(come)}"
    if gone:
        yield f"  - no longer with {_words(gone)}"
    yield from (_field(field) for field in change.fields if not _OURS.fullmatch(field.path))


def _field(field: FieldChange) -> str:
    if is_long(field.old) and is_long(field.new):
        signs = [line[:1] for line in line_changes(field.old, field.new)]
        return f"  - {_code(field.path)}: +{signs.count('+')} -{signs.count('-')} lines"
    return f"  - {_code(field.path)}: {_value(field.old)} → {_value(field.new)}"


def _value(value: object) -> str:
    if value is ABSENT:
        return "*absent*"
    return "*text*" if is_long(value) else _code(short(value))


def _code(text: str) -> str:
    """A code span that no content can leave, also inside a table."""
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    inner = printable(text).replace("|", "\\|")
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|&])", r"\\\1", printable(text))
