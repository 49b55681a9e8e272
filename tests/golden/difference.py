"""A manifest written as its difference from another: hunks that name where they stand instead of counting lines.

A line more in the base shifts every line number after it, and would rewrite every difference. So a hunk is told by
the keys around it, and found by its own lines: it belongs where they first occur after the hunk before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import count

# Lines shown around a change; more where fewer occur earlier as well.
CONTEXT = 2
HUNK = "@@ "


def difference(base: str, text: str) -> str:
    """Write what turns the base into the text, with the least context from which `applied` gives the text again."""
    candidates = (_written(base.split("\n"), text.split("\n"), context) for context in count(CONTEXT))
    return next(found for found in candidates if applied(base, found) == text)


def applied(base: str, found: str) -> str:
    """Return the text that a difference was made of."""
    before, after, position = base.split("\n"), [], 0
    for hunk in _hunks(found):
        old = [line[1:] for line in hunk if not line.startswith("+")]
        start = _place(before, old, position)
        after += before[position:start]
        after += [line[1:] for line in hunk if not line.startswith("-")]
        position = start + len(old)
    return "\n".join([*after, *before[position:]])


def _written(before: list[str], after: list[str], context: int) -> str:
    hunks = SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context)
    return "".join(f"{line}\n" for hunk in hunks for line in _hunk(before, after, hunk))


def _hunk(before: list[str], after: list[str], opcodes: list[tuple[str, int, int, int, int]]) -> Iterator[str]:
    yield f"{HUNK}{_enclosing(before, opcodes[0][1])}".rstrip()
    for kind, old, old_end, new, new_end in opcodes:
        if kind == "equal":
            yield from (f" {line}" for line in before[old:old_end])
        else:
            yield from (f"-{line}" for line in before[old:old_end])
            yield from (f"+{line}" for line in after[new:new_end])


def _hunks(found: str) -> Iterator[list[str]]:
    hunk: list[str] = []
    for line in found.split("\n")[:-1]:
        if line.startswith(HUNK.strip()):
            if hunk:
                yield hunk
            hunk = []
        else:
            hunk.append(line)
    if hunk:
        yield hunk


def _place(before: list[str], old: list[str], position: int) -> int:
    """Find where a hunk's lines first occur; a base that was changed alone may hold them no longer."""
    for start in range(position, len(before) - len(old) + 1):
        if before[start : start + len(old)] == old:
            return start
    raise ValueError("the manifest that this is a difference from has no such lines:\n" + "\n".join(old))


def _enclosing(lines: list[str], at: int) -> str:
    """Name the keys and list items around a line, the outermost first."""
    inner, found = lines[at], []
    for line in reversed(lines[:at]):
        if line.strip() and _encloses(line, inner):
            found.append(line.strip().removesuffix(":"))
            inner = line
    return " / ".join(reversed(found))


def _encloses(outer: str, inner: str) -> bool:
    """Tell a parent by its indentation; a list's items stand as deep as their key."""
    deeper = _indentation(inner) - _indentation(outer)
    return deeper > 0 or (deeper == 0 and _is_item(inner) and not _is_item(outer))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_item(line: str) -> bool:
    return line.lstrip().startswith("- ")
