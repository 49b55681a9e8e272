"""How many parts a text may have: keys, values, and ends of mappings and lists.

A part takes a few bytes of a text, several hundred of memory, and as long as a line: a text of few megabytes may hold
more of them than a machine has room for, so that the size in bytes bounds nothing.
"""

from __future__ import annotations

MOST = 2_000_000
"""Most parts of a text: those of four thousand jobs or pods in one stream."""
MOST_OF_SOURCE = 20_000
"""Most parts of a configuration file or overlay: OmegaConf takes as long for one as a parser for twenty."""


MOST_OF_INDEX = 1_000_000
"""Most parts of a tree's index: those of a hundred and sixty thousand files."""


def refuse_json(text: str | bytes, most: int = MOST) -> None:
    """Refuse a JSON text that may have too many parts, before it is parsed.

    What separates and opens parts is counted wherever it stands, in texts, too: that is quick, and never too little.

    Raises:
        ValueError: it may have more than `most` parts.
    """
    marks = (b",", b"[", b"{") if isinstance(text, bytes) else (",", "[", "{")
    if sum(map(text.count, marks)) > most:  # type: ignore[arg-type]  # both are texts, or both bytes
        raise ValueError(f"this JSON holds more than {most} commas and brackets")
