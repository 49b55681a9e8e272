"""Changes as Markdown for a reviewer: the body of a pull request.

It lists added objects with their parameters and the devices that they request, then changed objects by the class of
their change.  Long lists are cut: a comment on GitHub holds 65,536 characters, and nobody reads the thousandth row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from ftgen.diagnostics import credentials
from ftgen.lower import record
from ftgen.review.diff.fields import ABSENT, ChangeClass, FieldChange
from ftgen.review.diff.match import Change, Manifest, Status
from ftgen.review.diff.show import is_long, line_changes, printable, redacted, short, summary, title
from ftgen.text.shapes import amount, mapping
from ftgen.validation.manifest import NEWEST, Task, read_job
from ftgen.validation.rules.resources import is_extended

_LIMIT = 100
"""Limit of rows in a table and of items in a list."""
_OWN_ANNOTATIONS = re.compile(r"metadata\.annotations\[ftgen\.dev/(?:overrides|config-digest|version|sweep)]")
"""Annotations that ftgen writes for itself; the parameters show their content."""


def as_markdown(changes: Sequence[Change], *, stays: bool = False) -> str:
    """Write the body of a pull request.

    Args:
        changes: the change of every object.
        stays: whether the files of removed objects stay in place, as they do in a tree.
    """
    removed = [change for change in changes if change.status is Status.REMOVED]
    sections = [
        f"**{summary(changes)}**",
        _device_total(changes),
        _added([change for change in changes if change.status is Status.ADDED]),
        *(_changed(change_class, changes) for change_class in reversed(ChangeClass)),
        _section(
            "No longer rendered; the files stay" if stays else "Removed",
            [f"- {_code(title(change))}" for change in removed],
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(heading: str, items: Sequence[str], *before: str) -> str:
    if not items:
        return ""
    more = ["", f"… and {len(items) - _LIMIT} more"] if len(items) > _LIMIT else []
    return "\n".join([f"### {heading}", "", *before, *items[:_LIMIT], *more])


def _device_total(changes: Sequence[Change]) -> str:
    """Write the sum of the devices that all new runs request."""
    new = [
        change
        for change in changes
        if change.status is not Status.UNCHANGED and change.change_class is ChangeClass.NEW_RUN
    ]
    total = _summed(_requested_devices(change.manifest) for change in new)
    return f"New runs ask for {_cell(_amounts(total))} in all." if total else ""


def _added(changes: Sequence[Change]) -> str:
    parameters = [_parameters(change.manifest) for change in changes]
    common = (
        [word for word in parameters[0] if all(word in words for words in parameters)] if len(parameters) > 1 else []
    )
    rows = [
        _row(change, [word for word in words if word not in common])
        for change, words in zip(changes, parameters, strict=True)
    ]
    preface = [f"Each with {_words(common)}.", ""] if common else []
    return _section("Added", rows, *preface, "| object | parameters | asks for |", "|---|---|---|")


def _row(change: Change, words: Sequence[str]) -> str:
    return f"| {_code(title(change))} | {_words(words)} | {_cell(_amounts(_requested_devices(change.manifest)))} |"


def _words(words: Sequence[str]) -> str:
    return " ".join(map(_code, credentials.redact_words(words)))


def _parameters(manifest: Manifest) -> list[str]:
    """Return the overrides that a run was rendered from, as its annotations record them."""
    annotations = record.annotations_of(manifest)
    try:
        return list(record.overrides(annotations)) if record.OVERRIDES in annotations else []
    except ValueError:
        return [str(annotations[record.OVERRIDES])]


def _requested_devices(manifest: Manifest) -> dict[str, Fraction]:
    """Sum the extended resources, mostly accelerator cards, that an object's pods request."""
    return _summed(map(_task_devices, read_job(manifest, NEWEST).tasks))


def _task_devices(task: Task) -> dict[str, Fraction]:
    limits = (mapping(mapping(c.body.get("resources")).get("limits")) for c in task.pod.main_containers)
    return _summed(
        {name: count * task.replicas for name, value in one.items() if (count := amount(value)) and _is_device(name)}
        for one in limits
    )


def _is_device(name: object) -> bool:
    return isinstance(name, str) and is_extended(name)


def _summed(parts: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, Fraction(0)) + count
    return total


def _amounts(devices: Mapping[str, Fraction]) -> str:
    return ", ".join(f"{float(amount):g} {name}" for name, amount in devices.items())


def _changed(change_class: ChangeClass, changes: Sequence[Change]) -> str:
    chosen = [change for change in changes if change.status is Status.CHANGED and change.change_class is change_class]
    return _section(change_class.value.capitalize(), ["\n".join(_item(change)) for change in chosen])


def _item(change: Change) -> Iterator[str]:
    yield f"- {_code(title(change))}"
    old, new = (_parameters(manifest or {}) for manifest in (change.old, change.new))
    added, removed = [word for word in new if word not in old], [word for word in old if word not in new]
    if added:
        yield f"  - now with {_words(added)}"
    if removed:
        yield f"  - no longer with {_words(removed)}"
    yield from (_field(field) for field in change.fields if not is_own_annotation(field.path))


def is_own_annotation(path: str) -> bool:
    """Return whether a field is an annotation of ftgen's own, whose content is shown otherwise."""
    return _OWN_ANNOTATIONS.fullmatch(path) is not None


def _field(field: FieldChange) -> str:
    if is_long(field.old) and is_long(field.new):
        signs = [line[:1] for line in line_changes(field.old, field.new)]
        return f"  - {_code(field.path)}: +{signs.count('+')} -{signs.count('-')} lines"
    field = redacted(field)
    return f"  - {_code(field.path)}: {_value(field.old)} → {_value(field.new)}"


def _value(value: object) -> str:
    if value is ABSENT:
        return "*absent*"
    return "*text*" if is_long(value) else _code(short(value))


def _code(text: str) -> str:
    """Write a code span that its content cannot close, also inside a table."""
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    inner = printable(text).replace("|", "\\|")
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]|&])", r"\\\1", printable(text))
