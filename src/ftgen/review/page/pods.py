"""What each pod will see: the pods of one job in full, and what other jobs of the same form have otherwise."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ftgen.review import preview
from ftgen.review.diff import Change, run_of
from ftgen.review.page.markup import NOTHING, Markup, join, short, tag
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled, scrolled_table, within
from ftgen.schema.version import Version

_BUDGET = 40_000  # characters
_LARGEST = 64  # pods of a task that are made
_SHOWN = 2  # pods side by side
_VALUES = 6
_KEYS = 500  # settings in a text, of more it is told as a whole
_LONGEST = 240  # characters of a value on one line
_LINES = 60
_SCRIPT = 6  # lines of a command, which with delivery=kubectl holds a whole script
_SETTING = re.compile(r"^[ -]*([\w./-]{1,60}): (.*)$", re.MULTILINE)
_DIFFERS = "\N{NOT EQUAL TO} "
_JOB, _RUN = "<job>", "<run>"
_WORKLOADS = ("Job", "Deployment")  # a kind of a foreign manifest may be no text
Object = Mapping[str, Any]
_Label = tuple[str, str, str]
"""Container, part and name of a line."""


class Form(Struct, frozen=True):
    """Jobs whose pods have the same lines: containers, variables, mounts.

    Attributes:
        first: the first of them, whose pods are shown.
        values: the lines of the first pod of each job, with `<job>` and `<run>` in place of its names.
    """

    first: Object
    values: list[Mapping[_Label, str]]


def section(changes: Sequence[Change], version: Version, say: Messages) -> Section | None:
    """Return what the pods of the new objects see under a release of Volcano; None where no object has pods."""
    objects = [dict(change.new) for change in changes if change.new is not None]
    around = [each for each in objects if each.get("kind") not in _WORKLOADS]
    forms = _forms([each for each in objects if each.get("kind") in _WORKLOADS], around, version)
    if not forms:
        return None

    def shown_form(form: Form) -> Markup:
        pods = preview.pods([*around, dict(form.first)], version, limit=_LARGEST)
        return _form(form, pods, alone=len(forms) == 1, say=say)

    shown, left = within(_BUDGET, forms, shown_form)
    more = tag("p", say("more", n=left, command="ftgen preview")) if left else ""
    return Section("pods", say("pods"), *shown, more)


def _forms(workloads: Sequence[Object], around: Sequence[Object], version: Version) -> list[Form]:
    forms: dict[tuple[_Label, ...], Form] = {}
    for manifest, (pod, *_) in preview.jobs([*around, *workloads], version, limit=1):
        lines = _lines(pod, run_of(manifest) or pod.job)
        forms.setdefault(tuple(lines), Form(manifest, [])).values.append(lines)
    return list(forms.values())


def _lines(pod: preview.Pod, run: str) -> dict[_Label, str]:
    return {
        (container, title, label): value.replace(pod.job, _JOB).replace(run, _RUN)
        for (container, title), lines in preview.sections(pod).items()
        for label, value in lines.items()
    }


def _form(form: Form, pods: Sequence[preview.Pod], *, alone: bool, say: Messages) -> Markup:
    shown = pods if len(pods) <= _SHOWN else (pods[0], pods[-1])
    number = preview.replicas(pods)
    others = tag("p", say("pods.others", n=number), class_="hint") if len(shown) < number else ""
    alike = len(form.values)
    parts = [_part(part, shown, say) for part in preview.compare(shown)]
    summary = tag(
        "summary", say("pods.of", job=short(pods[0].job)), f" ({say.count('jobs', alike)})" if alike > 1 else ""
    )
    return tag("details", summary, _differences(form, say) if alike > 1 else "", others, *parts, open=alone)


def _part(part: preview.Section, shown: Sequence[preview.Pod], say: Messages) -> Markup:
    """Return one part of the pods: a line that differs has a cell for each pod, and a sign; another has one cell."""
    where = " / ".join(filter(None, (part.container, say.term("pods", part.title))))
    caption = tag("caption", where)
    names = [tag("th", short(pod.name), scope="col") for pod in shown]
    head = tag("thead", tag("tr", tag("th", say("pods.what"), scope="col"), *names))
    return scrolled(tag("table", caption, head, tag("tbody", *(_row(row) for row in part.rows))), where)


def _row(row: preview.Row) -> Markup:
    if not row.differs:
        cell = tag("td", _value(row.label, row.values[0]), colspan=len(row.values) if len(row.values) > 1 else None)
        return tag("tr", tag("th", short(row.label), scope="row"), cell)
    cells = (tag("td", _value(row.label, value)) for value in row.values)
    return tag("tr", tag("th", _DIFFERS, short(row.label), scope="row"), *cells, class_="differs")


def _value(label: str, value: str | None) -> Markup:
    """Return a value, cut to what a reader takes in."""
    if not value:
        return tag("span", NOTHING)
    lines = value.rstrip("\n").split("\n")
    if len(lines) == 1:
        return tag("code", short(value, _LONGEST))
    most = _SCRIPT if label == "command" else _LINES
    cut = [*lines[:most], "…"] if len(lines) > most else lines
    return tag("pre", "\n".join(short(line, _LONGEST) for line in cut))


# what differs among jobs


def _differences(form: Form, say: Messages) -> Markup:
    """Return the lines that differ among the jobs, with the values that there are."""
    rows = [
        (label, values) for label in form.values[0] if len(values := Counter(each[label] for each in form.values)) > 1
    ]
    found = [(name, values) for label, every in rows for name, values in _inner(label, every)]
    caption = say("pods.differs", job=_JOB, run=_RUN)
    if not found:
        return tag("p", say("pods.same", job=_JOB, run=_RUN))
    columns = [
        Column(say("pods.what"), [tag("code", short(name, _LONGEST)) for name, _ in found]),
        Column(say("pods.values"), [_counted(name, values) for name, values in found]),
    ]
    return scrolled_table(caption, columns)


def _inner(label: _Label, values: Mapping[str, int]) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Yield the keys that differ inside of texts of `key: value` lines or of JSON; else the whole value."""
    container, _, name = label
    title = " / ".join(filter(None, (container, name)))
    inside = [(_settings(text), count) for text, count in values.items()]
    keys = dict.fromkeys(key for settings, _ in inside for key in settings)
    if not 0 < len(keys) <= _KEYS or not all(settings for settings, _ in inside):
        yield title, values
        return
    for key in keys:
        counts = Counter[str]()
        for settings, count in inside:
            counts[settings.get(key, NOTHING)] += count
        if len(counts) > 1:
            yield f"{title}: {key}", counts


def _settings(text: str) -> dict[str, str]:
    """Return the settings in a text: members of a JSON object, or lines `key: value`; none in any other text."""
    if text.startswith("{"):
        try:
            return {str(key): _as_text(value) for key, value in json.loads(text).items()}
        except (ValueError, RecursionError):
            return {}
    return dict(_SETTING.findall(text)) if "\n" in text else {}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counted(name: str, values: Mapping[str, int]) -> Markup:
    shown = list(values)[:_VALUES]
    cells = [_value(name.rpartition(": ")[2], value.replace("\n", " ")) for value in shown]
    return join([*cells, *([f"… ({len(values)})"] if len(values) > len(shown) else [])], ", ")
