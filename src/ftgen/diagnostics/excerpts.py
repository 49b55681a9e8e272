"""Lines of a text as a diagnostic shows them: all that follows a secret's name is covered, however it is written.

`credentials` finds the secrets of a text by the ways in which people write them.  In a text that is broken, or that is
written in yet another way, it may miss one.  So a line that is shown is covered from a secret's name on, and as a whole
where it lies under one: what is shown may be too little, but never too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ftgen.diagnostics.credentials import is_secret_name

Named = Callable[[str], bool]
"""Test whether what is called so is secret."""

_NAME = re.compile(
    r"""(?<![\w$./-])(?P<name>-{0,2}[A-Za-z_][\w./-]*)(?P<quote>\\?["']?)\]?"""
    r"""(?P<is>[ \t]*(?:[:=]+|,[ \t]*(?:["']?value["']?[ \t]*:)?)|(?=[ \t]))[ \t]*"""
)
"""A word that may name what stands behind it, and what is between the two."""
_IN_NAME = re.compile(r"""["']?name["']?[ \t]*:[ \t]*(?:&\w+[ \t]+)?["']?$""")
"""What stands before the name of an environment variable."""
_REFERENCE = re.compile(
    r"""(?:["']?(?:valueFrom|secretKeyRef)["']?[ \t]*:[ \t]*|\{[ \t]*["']?secretKeyRef["']?[ \t]*:[ \t]*){0,2}"""
    r"""\{[ \t]*(?:["']?(?:secret|name|key|optional)["']?[ \t]*:[ \t]*["']?(?:[a-z0-9.-]+|[A-Z_]+)["']?"""
    r"""[ \t]*(?:,[ \t]*|(?=\}))){2,3}\}+"""
)
"""Reference to a Secret, as configurations and manifests write it."""
_NOTHING = re.compile(
    r"""(?P<quote>\\?["']?)(?:null|~|true|false|none|None|\{\}|\[\]|\$\([A-Z_]\w*\)|\$\{?[A-Z_]+\}?"""
    r"""|\$\{(?:oc\.env:[A-Z_]+|[a-z_]+(?:\.[a-z_]+)+)\}|-?\d{1,3}|<[a-z ]+>|)(?P=quote)[ \t]*"""
)
"""Value that is no secret beyond doubt: none, a switch, a count, or what is filled in later."""
_END = re.compile(r"""[}\])]*[ \t]*,?[ \t]*(?:\#.*)?$""")
_NEXT = re.compile(r"""[}\])]*[ \t]*,[ \t]*["']?[A-Za-z_][\w.-]*["']?[ \t]*:[ \t]""")


def _is_nothing(line: str, start: int, *, is_flow: bool) -> bool:
    """Return whether the value at an index is none, up to the end of the line, or to the next key of a flow mapping."""
    value = _NOTHING.match(line, start)
    return value is not None and _ends(line, value.end(), is_flow=is_flow and value.end() > start)


def _ends(line: str, at: int, *, is_flow: bool = True) -> bool:
    """Return whether a value ends at an index: with the line, or before the next key of a flow mapping."""
    return _END.match(line, at) is not None or (is_flow and _NEXT.match(line, at) is not None)


def secret_from(lines: Sequence[str], index: int, is_named: Named = is_secret_name) -> int:
    """Return the index in a line from which on it may be secret, by a name in it or around it; its length without any.

    Args:
        lines: the line with those around it.
        index: its index among them.
        is_named: returns whether what is called so is secret.
    """
    line = lines[index]
    start = _value_under(line, is_named) if _is_under(lines, index, is_named) else len(line)
    return min(start, named_value(line, is_named))


def covered_from(line: str, start: int) -> str:
    """Return a line with `*` for all characters from an index on."""
    return line[:start] + "*" * len(line[start:])


def named_value(line: str, is_named: Named = is_secret_name) -> int:
    """Return the index of the first value in a line that a secret's name stands before; its length without any."""
    at = 0
    while found := _NAME.search(line, at):
        at = found.end()
        is_variable = _IN_NAME.search(line, max(0, found.start() - _BEFORE), found.start()) is not None
        if not is_named(found["name"].lstrip("-")) or not _names_value(found, is_variable=is_variable):
            continue
        if reference := _REFERENCE.match(line, at) or _handed_on(found["name"]).match(line, at):
            at = reference.end()
            continue
        is_flow = "{" in line[: found.start()] and not is_variable
        if not _is_nothing(line, at, is_flow=is_flow) and not _names_object(found, line):
            return at
    return len(line)


def _handed_on(name: str) -> re.Pattern[str]:
    """Return the pattern of a variable's own value: `-e HF_TOKEN=$HF_TOKEN`."""
    return re.compile(rf"""(?P<quote>["']?)\$\{{?{re.escape(name)}\}}?(?P=quote)(?=[ \t]|$)""")


_BEFORE = 40
"""Length of the longest text before a variable's name that is looked at."""


def words_of(secret: str) -> set[str]:
    """Return the words in what is covered, to be recognised in messages that repeat a part of it."""
    parts = {secret.strip(), *_BRACKETS.split(secret), *re.split(r"\W+", secret)}
    # The label of a point of a sweep begins a long value with as many small letters, digits and dashes.
    parts |= {re.sub("[^a-z0-9]+", "-", part.lower()).strip("-")[:_LABEL].strip("-") for part in parts}
    keys = {found["key"] for found in _KEY.finditer(secret)}
    parts -= {part for part in parts if len(part) < _SHORTEST or part.lower() in _SYNTAX}
    return {part for part in parts - keys if not (part.isupper() and is_secret_name(part))}


_SHORTEST = 4
_LABEL = 24
_BRACKETS = re.compile(r"""[\s\[\]{}()'",:=\\$]+""")
_KEY = re.compile(r"""[{,][ \t]*["']?(?P<key>[A-Za-z_]+)["']?[ \t]*:""")
_SYNTAX = frozenset(
    [
        *("bool", "choice", "extend_list", "float", "glob", "interval", "json_str", "range", "shuffle", "sort"),
        *("false", "key", "name", "none", "null", "optional", "password", "secret", "secretkeyref", "token", "true"),
        *("value", "valuefrom"),
    ]
)
"""Words of references, of Hydra's grammar and of messages, which no secret is."""


def _names_value(found: re.Match[str], *, is_variable: bool) -> bool:
    """Return whether a value follows a name: not in `key: token, optional: true`, but in `name: TOKEN, value: x`.

    A comma is behind the name of an option in a list, and before a default as well.
    """
    is_word = (
        bool(found["quote"]) or found["name"].startswith("-") or found.string.endswith("oc.env:", 0, found.start())
    )
    return not found["is"].lstrip().startswith(",") or is_variable or is_word


def _names_object(found: re.Match[str], line: str) -> bool:
    """Return whether a key of the configuration names a Secret, or a key in one, as it must."""
    is_key = found["name"].endswith("_key") and not is_secret_name(found["name"])
    value = _OBJECT.match(line, found.end())
    return (is_key or _OF_SECRET.search(found["name"]) is not None) and value is not None and _ends(line, value.end())


_OF_SECRET = re.compile(r"(?:^|\.|_)secrets?$")
_OBJECT = re.compile(r"""(?P<quote>["']?)(?:[a-z]+|[a-z][a-z0-9.]*-[a-z0-9.-]*[a-z0-9])(?P=quote)(?![\w.-])[ \t]*""")


def _is_under(lines: Sequence[str], index: int, is_named: Named) -> bool:
    """Return whether a line of YAML is a part of what a secret's name stands for.

    That is the key above it, or the name of a variable in the same item of a list; a line may be in between.
    """
    line, above = lines[index], [*reversed(lines[:index])]
    return _is_variables(line, above, lines[index + 1 :], is_named) or _is_below_key(line, above, is_named)


def _is_variables(line: str, above: Sequence[str], below: Sequence[str], is_named: Named) -> bool:
    """Return whether a line is in an item of a list with a secret's name as its `name`."""
    column, is_first = _column(line)
    for other in above if not is_first else ():
        at, is_item = _column(other)
        if at <= column:
            column = at
            if _is_name(other, is_named):
                return True
            if is_item:
                break
    is_flow = line[column:].startswith("{")
    for other in below:
        at, is_item = _column(other)
        if at < column or (is_item and at <= column):
            return False
        if (is_flow or at == column) and _is_name(other, is_named):
            return True
    return False


def _is_below_key(line: str, above: Sequence[str], is_named: Named) -> bool:
    """Return whether a line is below a secret's key, however deep."""
    column, is_first = _column(line)
    # The items of a list may begin in the column of its key.
    column = column - 1 if is_first else column
    for other in above:
        at, is_item = _column(other)
        if at < column:
            if _is_key(other, is_named):
                return True
            column = at - 1 if is_item else at
    return False


def _is_key(line: str, is_named: Named) -> bool:
    """Return whether a line has a secret's name as a key: `HF_TOKEN:`."""
    keys = (found["name"].lstrip("-") for found in _NAME.finditer(line) if {":", "="} & {*found["is"]})
    return any(map(is_named, keys))


def _column(line: str) -> tuple[int, bool]:
    """Return the column in which the content of a line begins, and whether it begins an item; far right without any."""
    found = _INDENT.match(line)
    return (found.end(), "-" in found[0]) if found else (_NOWHERE, False)


_INDENT = re.compile(r"[ \t]*(?:[-?][ \t]+)*(?=[^\s#])")
_NOWHERE = 1 << 30


def _is_name(line: str, is_named: Named) -> bool:
    """Return whether a line gives an item a secret's name: `name: HF_TOKEN`."""
    return any(is_named(found["name"]) for found in _NAMED.finditer(line))


_NAMED = re.compile(r"""(?<![\w-])["']?name["']?[ \t]*:[ \t]*(?:&\w+[ \t]+)?["']?(?P<name>[A-Za-z_][\w./-]*)""")


def _value_under(line: str, is_named: Named) -> int:
    """Return the index of the value in a line under a secret's name; its length where that is no more than a name."""
    found = _ENTRY.match(line)
    start = found.end() if found else 0
    if not line[start:].strip() or _REFERENCE.match(line, start) or _is_nothing(line, start, is_flow=False):
        return len(line)
    key = found["key"] if found else ""
    value = line[start:].strip().strip("'\"")
    is_name = is_named(value) or re.fullmatch(r"[a-z0-9][a-z0-9.-]*|[A-Z_][A-Z0-9_]*|\d+", value)
    return len(line) if key in _OF_REFERENCE and is_name else start


_ENTRY = re.compile(r"""[ \t]*(?:[-?:+][ \t]+)*(?:["']?(?P<key>[A-Za-z_][\w./-]*)["']?[ \t]*:(?:[ \t]+|$))?""")
_OF_REFERENCE = frozenset({"name", "key", "secret", "secretName", "optional", "path", "defaultMode", "type", "kind"})
"""Keys beside or in a reference to a Secret, whose values are names."""
