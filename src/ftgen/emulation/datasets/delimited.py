"""Rows of a CSV file, with the types that pandas gives to its columns (datasets' csv builder).

A column is of numbers or flags if all of its values in ten thousand rows are; empty cells and words such as `NA` are
null in any column.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.rows import LARGEST_ROW, TABLE_ENDS, Broken, Read

_END = "\0end of the file"
"""Last line that the parser is given: within a quote that nobody closed it is no row of its own."""
CHUNK = 10_000
"""Rows that the builder reads at a time (`chunksize`)."""
_NULLS = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>")
) | frozenset(("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"))
_NUMBER = re.compile(
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity)\s*", re.IGNORECASE
)
_CARRIAGE_RETURN = re.compile(r"(?<=\r)(?!\n|\Z)")
_FLAGS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def csv_rows(file: BinaryIO) -> Iterator[Read]:
    """Yield the rows of a CSV file whose first line names the columns."""
    before = csv.field_size_limit(LARGEST_ROW)
    reader = csv.reader(_lines(file))
    try:
        header = next(filter(None, reader), None)
        header = None if header == [_END] else header
        chunk: list[tuple[int, list[str]]] = []
        for cells in reader:
            if not cells or cells == [_END]:
                continue
            if cells[-1].endswith(_END):
                yield reader.line_num, Broken(kinds.SYNTAX, "a quote of it is open at the end of the file")
                return
            if header is None or len(cells) > len(header):
                yield reader.line_num, Broken(kinds.SYNTAX, f"it has {len(cells)} cells, and the first line fewer")
                return
            chunk.append((reader.line_num, cells))
            if len(chunk) == CHUNK:
                yield from _typed(header, chunk)
                chunk = []
        if header and chunk:
            yield from _typed(header, chunk)
    except (csv.Error, ValueError) as error:
        kind = kinds.ENCODING if isinstance(error, UnicodeDecodeError) else kinds.SYNTAX
        yield reader.line_num + 1, Broken(kind, f"the file cannot be read from here on: {error}")
    finally:
        csv.field_size_limit(before)


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file.

    Raises:
        ValueError: one is too large, or no UTF-8.
    """
    encoding = "utf-8-sig"
    while raw := file.readline(LARGEST_ROW + 1):
        if len(raw) > LARGEST_ROW:
            raise ValueError("a line is too large")
        # pandas' reader ends a line at a carriage return alone, too.
        for text in _CARRIAGE_RETURN.split(raw.decode(encoding)):
            yield text if text.endswith(("\n", "\r")) else f"{text}\n"
        encoding = "utf-8"
    yield _END


def _typed(header: list[str], chunk: list[tuple[int, list[str]]]) -> Iterator[Read]:
    """Yield rows with the values that the types of their columns give, and the end of a part."""
    width = len(header)
    padded = [(line, cells + [""] * (width - len(cells))) for line, cells in chunk]
    convert = [_conversion([cells[place] for _, cells in padded]) for place in range(width)]
    for line, cells in padded:
        yield line, {name: to(cell) for name, to, cell in zip(header, convert, cells, strict=True)}
    yield chunk[-1][0], TABLE_ENDS


def _conversion(column: list[str]) -> Callable[[str], Any]:
    present = [cell for cell in column if cell not in _NULLS]
    if all(cell in _FLAGS for cell in present):
        return _FLAGS.get
    if all(map(_NUMBER.fullmatch, present)):
        return lambda cell: None if cell in _NULLS else float(cell)
    return lambda cell: None if cell in _NULLS else cell
