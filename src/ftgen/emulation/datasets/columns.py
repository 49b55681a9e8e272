"""Types of the columns of a table, inferred from its rows as LLaMA-Factory's reader infers them.

The reader (datasets' json builder on pyarrow and pandas) makes a table of the rows: a key holds values of one type, or
null.  pyarrow takes texts that all look like dates for dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any


class Type(Enum):
    """Type of a column; the value is how a message names it."""

    NULL = "null"
    FLAG = "true or false"
    NUMBER = "a number"
    TEXT = "a text"
    LIST = "a list"
    MAPPING = "a mapping"
    OTHER = "another value"
    """A value that JSON has not, as of Parquet."""


class Conflict(Exception):  # noqa: N818 - a fact about the data, not a malfunction
    """A value that has another type than the same column had before."""

    def __init__(self, path: Sequence[str], before: Type, now: Type) -> None:
        """Keep where it is, and both types."""
        super().__init__()
        self.path, self.before, self.now = ".".join(path), before, now


_DATE = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[ T](?:[01][0-9]|2[0-3])(?::[0-5][0-9](?::[0-5][0-9])?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""What pyarrow reads as a timestamp of whole seconds (ISO 8601)."""
_SHORTEST_DATE, _LONGEST_DATE = 10, 25
_SCALARS = {bool: Type.FLAG, int: Type.NUMBER, float: Type.NUMBER}


class Column:
    """Type of one column, as far as its values have shown it.

    Attributes:
        type: see `Type`.
        dates: whether it holds texts that all look like dates.
        item: type of the items of a list.
        fields: types of the fields of a mapping.
    """

    __slots__ = ("dates", "fields", "item", "type")

    def __init__(self) -> None:
        """Begin without values: the column is null."""
        self.type = Type.NULL
        self.dates = False
        self.item: Column | None = None
        self.fields: dict[str, Column] = {}

    def observe(self, value: Any) -> None:
        """Take a value into account.

        Raises:
            Conflict: it has another type than the values before.
        """
        if value is None:
            return
        kind = type(value)
        if kind is str:
            if self.type is Type.TEXT:
                self.dates = self.dates and _is_date(value)
                return
            self._become(Type.TEXT)
            self.dates = _is_date(value)
        elif kind is dict:
            if self.type is not Type.MAPPING:
                self._become(Type.MAPPING)
            self._observe_fields(value)
        elif kind is list:
            if self.type is not Type.LIST:
                self._become(Type.LIST)
            self._observe_items(value)
        elif self.type is not (scalar := _SCALARS.get(kind, Type.OTHER)):
            self._become(scalar)

    def _become(self, kind: Type) -> None:
        if self.type is not Type.NULL:
            raise Conflict((), self.type, kind)
        self.type = kind

    def _observe_fields(self, value: dict[str, Any]) -> None:
        fields = self.fields
        for name, inner in value.items():
            try:
                field = fields[name]
            except KeyError:
                field = fields[name] = Column()
            try:
                field.observe(inner)
            except Conflict as conflict:
                raise _within(name, conflict) from None

    def _observe_items(self, value: list[Any]) -> None:
        if not value:
            return
        if self.item is None:
            self.item = Column()
        observe = self.item.observe
        try:
            for inner in value:
                observe(inner)
        except Conflict as conflict:
            raise _within("[]", conflict) from None

    def at(self, path: Sequence[str]) -> Column | None:
        """Return the column at a path of field names, `[]` for the items of a list; None where no value had it."""
        here: Column | None = self
        for name in path:
            if here is None:
                return None
            here = here.item if name == "[]" else here.fields.get(name)
        return here

    def refusals(self, later: Column, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Yield path and reason for each column of a later part that this first part's types have no place for."""
        where = ".".join(path)
        if later.type is Type.NULL:
            return
        if self.type is Type.NULL:
            yield where, f"the first part has only null there, and a later one {later.type.value}"
        elif self.type is not later.type:
            if not (self.type is Type.TEXT and later.type in {Type.NUMBER, Type.FLAG}):
                yield where, f"{self.type.value} in the first part, and {later.type.value} in a later one"
        elif self.dates and not later.dates:
            yield where, "all texts of the first part look like dates, and those of a later one do not"
        elif later.type is Type.LIST and later.item is not None:
            yield from (self.item or Column()).refusals(later.item, (*path, "[]"))
        elif later.type is Type.MAPPING:
            for name, field in later.fields.items():
                if name not in self.fields:
                    yield ".".join((*path, name)), "the first part has no such key"
                else:
                    yield from self.fields[name].refusals(field, (*path, name))


def _within(name: str, conflict: Conflict) -> Conflict:
    path = (name, conflict.path) if conflict.path else (name,)
    return Conflict(path, conflict.before, conflict.now)


def _is_date(text: str) -> bool:
    return _SHORTEST_DATE <= len(text) <= _LONGEST_DATE and text[0].isdigit() and _DATE.fullmatch(text) is not None
