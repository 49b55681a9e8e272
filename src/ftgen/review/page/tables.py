"""Tables and sections of a page, as a screen reader wants them: captions, scopes, names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from ftgen.review.page.markup import Markup, join, tag

Item = TypeVar("Item")


class Column(Struct, frozen=True):
    """Column of a table.

    Attributes:
        name: its heading.
        cells: texts or elements, one a row.
        number: whether its cells are numbers; such columns are the last.
        kind: what the style or the script has to know it by.
        about: the full name, where the heading is short.
        classes: class of each cell; may be empty.
    """

    name: str
    cells: Sequence[object]
    number: bool = False
    kind: str = ""
    about: str = ""
    classes: Sequence[str] = ()


class Section:
    """Part of a page with a heading, which the list of contents names."""

    def __init__(self, key: str, title: str, *body: object) -> None:
        """Take the key, which is the anchor, the heading and the content."""
        self.key, self.title, self.body = key, title, body

    def __html__(self) -> Markup:
        """Return the element."""
        heading = tag("h2", self.title, id=f"{self.key}-title")
        return tag("section", heading, *self.body, id=self.key, aria_labelledby=f"{self.key}-title")


def table(caption: object, columns: Sequence[Column], **attributes: object) -> Markup:
    """Return a table whose first column names the rows, and whose last columns are the numbers.

    The style aligns numbers by the position of their first column (`r4`), as a class of each cell would make a page
    of a thousand jobs a tenth larger.
    """
    head = tag("tr", *(_heading(column) for column in columns))
    makers = [_cells(column, "th" if position == 0 else "td") for position, column in enumerate(columns)]
    rows = (Markup(f"<tr>{''.join(make(i) for make in makers)}") for i in range(len(columns[0].cells)))
    numbers = next((position for position, column in enumerate(columns, 1) if column.number), None)
    class_ = f"r{numbers}" if numbers else None
    body = tag("tbody", join(rows, "\n"))
    return tag("table", tag("caption", caption), tag("thead", head), body, class_=class_, **attributes)


def _heading(column: Column) -> Markup:
    full = column.about if column.about != column.name else ""
    return tag("th", column.name, scope="col", data_kind=column.kind or None, title=full or None)


def _cells(column: Column, name: str) -> Callable[[int], Markup]:
    """Return a maker of the column's cells, by row."""
    scope = "row" if name == "th" else None

    def cell(row: int) -> Markup:
        own = column.classes[row] if column.classes else ""
        return tag(name, column.cells[row], scope=scope, class_=own or None)

    return cell


def scrolled(content: Markup, name: str) -> Markup:
    """Return a wide element in a box that scrolls by itself, and by the keyboard."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def scrolled_table(caption: str, columns: Sequence[Column]) -> Markup:
    """Return a table in a box that scrolls by itself, named by its caption."""
    return scrolled(table(caption, columns), caption)


def within(budget: int, items: Sequence[Item], make: Callable[[Item], Markup]) -> tuple[list[Markup], int]:
    """Return elements of as many items as a number of characters allows, at least one, and how many are left out."""
    shown: list[Markup] = []
    for item in items:
        element = make(item)
        budget -= len(element)
        if budget < 0 and shown:
            break
        shown.append(element)
    return shown, len(items) - len(shown)
