"""Text tables: columns two spaces apart, each as wide as its widest cell."""

from __future__ import annotations

from collections.abc import Sequence

from ftgen.text.lines import visible


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, in characters."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write one row, without trailing spaces."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write the rows as aligned lines."""
    rows = [list(map(visible, row)) for row in rows]
    measured = widths(rows)
    return [line(row, measured) for row in rows]
