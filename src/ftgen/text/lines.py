"""Text of other programs on one line of ours."""

from __future__ import annotations

import re

_LONGEST = 500
# Controls, and what reverses the direction of text, is of no width, or ends a line for some terminals.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return a text on one line without control characters; cut off what is longer than a reader reads."""
    line = _UNPRINTABLE.sub(" ", text[: 4 * longest]).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def visible(text: str) -> str:
    """Write control characters and others that nobody sees by their numbers, so that no input controls a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def one_line(text: str) -> str:
    """Write a text of others as `visible` does, and ends of lines as well: a second line could pass for one of ours.

    A log of GitHub Actions, for instance, takes a line that begins with `::error` for a finding.
    """
    return visible(text).replace("\n", "\\x0a")


def shortened(text: str, size: int) -> str:
    """Shorten a text in its middle, as both ends are significant, of a job's name for instance."""
    return text if len(text) <= size else f"{text[: size // 2]}…{text[len(text) - size + size // 2 + 1 :]}"
