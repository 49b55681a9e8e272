"""Positions in lines as editors and `cat -n` count them: a line feed ends one, and nothing else does.

YAML 1.1 ends a line at a carriage return alone, and at U+0085, U+2028 and U+2029, too, and so counts its parser.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

OTHER_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")


def counts_otherwise(text: str) -> bool:
    """Return whether the parser counts other lines in a text than editors do."""
    return (not text.isascii() or "\r" in text) and OTHER_BREAKS.search(text) is not None


class Recount:
    """Count of a text's lines, up to the last mark: marks follow each other, and a text may have millions of lines."""

    def __init__(self, text: str) -> None:
        """Stand at the start of the text."""
        self._text = text
        self._index = self._line = self._start = 0

    def mark(self, mark: yaml.Mark) -> yaml.Mark:
        """Return a parser's mark with line and column as editors count them."""
        index = mark.index
        first, last = sorted((self._index, index))
        passed = self._text.count("\n", first, last)
        if passed:
            self._line += passed if index == last else -passed
            self._start = self._text.rfind("\n", 0, index) + 1
        self._index = index
        return yaml.Mark(mark.name, index, self._line, index - self._start, "", 0)

    def event(self, event: Any) -> Any:
        """Return a parser's event with its marks counted so."""
        event.start_mark, event.end_mark = self.mark(event.start_mark), self.mark(event.end_mark)
        return event
