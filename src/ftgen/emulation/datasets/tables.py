"""Opening of a data file by its type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.delimited import csv_rows
from ftgen.emulation.datasets.kinds import Kind
from ftgen.emulation.datasets.rows import TABLE_ENDS, Read, json_rows, text_rows
from ftgen.emulation.datasets.source import DataSet
from ftgen.text import files

_ROWS = 1000


class Unread(Exception):  # noqa: N818 - an expected outcome, not a malfunction
    """File that is not read here."""

    def __init__(self, kind: Kind, text: str) -> None:
        """Keep the kind, and why."""
        super().__init__(text)
        self.kind = kind


@contextmanager
def opened(path: Path, found: DataSet) -> Iterator[Iterator[Read]]:
    """Open a file of a data set and yield its rows.

    Raises:
        OSError: see `files.read`.
        Unread: ftgen does not read the type, or a library for it is missing.
    """
    if found.form == "parquet":
        with files.streamed(path, within=found.root) as file:
            yield _parquet(path, file)
        return
    if found.form == "arrow":
        raise Unread(kinds.UNJUDGED, "files of the type arrow are not read here; the trainer reads them")
    with files.streamed(path, within=found.root) as file:
        match found.form:
            case "json":
                yield json_rows(file, path.stat().st_size)
            case "csv":
                yield csv_rows(file)
            case _:
                yield text_rows(file)


def _parquet(path: Path, file: object) -> Iterator[Read]:
    """Yield the rows of a Parquet file, which has types of its own."""
    try:
        parquet = import_module("pyarrow.parquet")
        problem = import_module("pyarrow").ArrowException
    except ImportError:
        text = "Parquet is read with the library pyarrow, which is not installed"
        raise Unread(kinds.LIBRARY, text) from None
    try:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=_ROWS):
            yield from ((0, row) for row in batch.to_pylist())
    except (problem, OSError, ValueError) as error:
        raise Unread(kinds.UNREADABLE, f"{path.name} is no Parquet file that can be read: {error}") from None
    yield 0, TABLE_ENDS
