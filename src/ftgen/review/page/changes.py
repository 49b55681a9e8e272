"""What a change does to each object: classes, and the fields that differ, objects with the same fields together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ftgen.review.diff import ABSENT, Change, FieldChange, Status
from ftgen.review.diff.markdown import is_own_annotation
from ftgen.review.diff.show import is_long, redacted_line_changes, redacted_value, short, title, word
from ftgen.review.page.markup import Markup, join, tag
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled_table, within

WORDS = ("new run", "added", "in-place", "metadata", "removed", "no-op", "unchanged")
"""Classes in the order in which they are shown: what needs a reviewer first."""
_BUDGET = 70_000  # characters of the fields that differ
_NAMED = 20
_LINES = 30
_OBJECTS = 60


class Group(Struct, frozen=True):
    """Objects of a class and a kind that differ in the same fields."""

    word: str
    kind: str
    changes: Sequence[Change]

    @property
    def fields(self) -> Sequence[FieldChange]:
        """Return the fields of the first object that a reviewer has to see."""
        return [field for field in self.changes[0].fields if not is_own_annotation(field.path)]


def section(changes: Sequence[Change], in_table: int, say: Messages, *, stays: bool) -> Section:
    """Return the classes with their numbers, then the fields that differ.

    Args:
        changes: the change of every object.
        in_table: number of added jobs that the table of jobs lists already.
        say: messages.
        stays: whether the files of removed objects stay in place, as they do in a tree.
    """
    counts = Counter(map(word, changes))
    if not changes:
        return Section("changes", say("changes"), tag("p", say("changes.none")))
    shown, left = within(_BUDGET, list(_groups(changes)), lambda group: _group(group, in_table, say))
    gone = tag("p", say("changes.stays")) if stays and counts["removed"] else ""
    more = tag("p", say("more", n=left, command="ftgen diff")) if left else ""
    return Section("changes", say("changes"), _classes(counts, say), gone, *shown, more)


def _classes(counts: Mapping[str, int], say: Messages) -> Markup:
    words = [each for each in WORDS if counts.get(each)]
    columns = [
        Column(say("changes.class"), [say.term("change", each) for each in words]),
        Column(say("changes.meaning"), [say.term("meaning", each) for each in words]),
        Column(say("changes.objects"), [counts[each] for each in words], number=True),
    ]
    return scrolled_table(say("changes.caption"), columns)


def _groups(changes: Sequence[Change]) -> Iterator[Group]:
    groups: dict[object, list[Change]] = {}
    for change in changes:
        if change.status is not Status.UNCHANGED:
            paths = tuple(field.path for field in change.fields if not is_own_annotation(field.path))
            key = WORDS.index(word(change)), str(change.manifest.get("kind", "")), paths
            groups.setdefault(key, []).append(change)
    for members in sorted(groups.values(), key=lambda each: WORDS.index(word(each[0]))):
        yield Group(word(members[0]), str(members[0].manifest.get("kind", "")), members)


def _group(group: Group, in_table: int, say: Messages) -> Markup:
    number = len(group.changes)
    head = title(group.changes[0]) if number == 1 else say("many", n=number, kind=group.kind)
    what = join([tag("span", say.term("change", group.word), class_="badge"), " ", tag("code", head)])
    if group.fields:
        return tag("details", tag("summary", what), *_fields(group, say), open=True)
    if number == 1:
        return tag("p", what, class_="object")
    if group.word == "added" and group.kind == "Job" and in_table >= number:
        where = tag("a", say("changes.in-table", jobs=say.count("jobs", number)), href="#jobs")
        return tag("p", what, " ", where, class_="object")
    return tag("details", tag("summary", what), _names(group, say), open=number <= _NAMED)


def _names(group: Group, say: Messages) -> Markup:
    shown, left = within(_BUDGET // 4, group.changes, lambda change: tag("li", tag("code", title(change))))
    return join([tag("ul", *shown), tag("p", say("more", n=left, command="ftgen diff")) if left else ""])


def _fields(group: Group, say: Messages) -> Iterator[Markup]:
    """Yield the fields with the same values in all objects, then a table of those that differ by object."""
    by_path = [{field.path: field for field in change.fields} for change in group.changes]
    values = {field.path: [each[field.path] for each in by_path] for field in group.fields}
    shared = [each[0] for each in values.values() if len({(short(f.old), short(f.new)) for f in each}) == 1]
    own = [path for path, each in values.items() if each[0] not in shared]
    if shared:
        yield _shared(shared, say)
    if own:
        yield from _own(group, {path: values[path] for path in own}, say)
    elif len(group.changes) > 1:
        yield _names(group, say)


def _shared(fields: Sequence[FieldChange], say: Messages) -> Markup:
    columns = [
        Column(say("changes.field"), [tag("code", field.path) for field in fields]),
        Column(say("changes.class"), [say.term("change", field.change_class.value) for field in fields]),
        Column(say("changes.before"), [_before(field, say) for field in fields]),
        Column(say("changes.after"), [_value(field, field.new, say) for field in fields]),
    ]
    return scrolled_table(say("changes.fields"), columns)


def _before(field: FieldChange, say: Messages) -> Markup:
    return lines(field) if is_long(field.old) and is_long(field.new) else _value(field, field.old, say)


def _value(field: FieldChange, value: object, say: Messages) -> Markup:
    """Return a value in a line."""
    if value is ABSENT:
        return tag("em", say("changes.absent"))
    return tag("code", short(redacted_value(field, value)))


def lines(field: FieldChange) -> Markup:
    """Return the lines of a text that differ, each with its sign, so that it is told without colour."""
    found = redacted_line_changes(field)
    names = {"+": "ins", "-": "del"}
    shown = [tag(names.get(line[:1], "span"), line[:200]) for line in found[:_LINES]]
    return tag("pre", join([*shown, *(["…"] if len(found) > _LINES else [])], "\n"), class_="lines")


def _own(group: Group, values: Mapping[str, Sequence[FieldChange]], say: Messages) -> Iterator[Markup]:
    shown = range(min(_OBJECTS, len(group.changes)))
    columns = [
        Column(say("changes.object"), [tag("code", title(group.changes[i])) for i in shown]),
        *(Column(path, [_arrow(fields[i], say) for i in shown]) for path, fields in values.items()),
    ]
    yield scrolled_table(say("changes.per-object"), columns)
    if len(shown) < len(group.changes):
        yield tag("p", say("more", n=len(group.changes) - len(shown), command="ftgen diff"))


def _arrow(field: FieldChange, say: Messages) -> Markup:
    if is_long(field.old) and is_long(field.new):
        return lines(field)
    return join([_value(field, field.old, say), " → ", _value(field, field.new, say)])
