"""Rows that are there twice, where one is trained on and the other evaluated."""

from __future__ import annotations

from ftgen.emulation.datasets.forms import Example
from ftgen.emulation.datasets.reading import Reading

MOST = 3_000_000
"""Rows that are compared; a hash of each is kept."""


class Duplicates:
    """Hashes of the rows that were seen."""

    def __init__(self, reading: Reading) -> None:
        """Compare rows only where there is an evaluation."""
        self._split = bool(reading.val_size) and not reading.evaluated
        self._wanted = self._split or bool(reading.evaluated)
        self._trained: set[int] = set()

    def seen(self, example: Example, *, evaluated: bool) -> str:
        """Remember a row, and return why it must not be there again; empty if it is new."""
        if not self._wanted:
            return ""
        key = _key(example)
        if key in self._trained:
            if evaluated:
                return "it is in the training's data, too"
            return "it is there twice, and val_size may put the two on either side" if self._split else ""
        if not evaluated and len(self._trained) < MOST:
            self._trained.add(key)
        return ""


def _key(example: Example) -> int:
    """Return a hash of the texts of all messages."""
    return hash(tuple(content for _, content in (*example.prompt, *example.response) if type(content) is str))
