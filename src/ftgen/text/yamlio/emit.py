"""YAML emitter: the same bytes everywhere, and every scalar reads the same under YAML 1.1 and 1.2."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ftgen.text.sharing import Once, anew
from ftgen.text.yamlio.scalars import PLAIN, is_ambiguous

_LONGEST_KEY = 1000  # an implicit key must end within 1024 characters (YAML 1.2.2, section 7.4.3)
_UNPRINTABLE = "\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff"
_UNPRINTABLE_CHARACTER = re.compile(f"[{_UNPRINTABLE}]")
_TO_ESCAPE = re.compile(f'[{_UNPRINTABLE}\t\n\\\\"]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_ASCII = re.compile(r"[ -~]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump(value: Any, once: Once = anew) -> str:
    """Write a JSON-like value as one YAML document without a `---` line.

    The style is kubectl's block style: two spaces, sequences at their key's column, keys in the given order,
    no anchors, no folding, LF.  Text of several lines becomes a literal block unless its characters forbid it.

    Args:
        value: the value.
        once: calls the functions that write mappings and lists.

    Raises:
        TypeError: if a value is no JSON value, or a key is no text; a bug in the caller.
        ValueError: if a text has half a surrogate pair, which UTF-8 cannot encode.
    """
    write = _part(value)
    text: str = once(write, value, 0, "", once) if write else f"{_leaf(value, 2)}\n"
    return text


def _part(value: Any) -> Callable[..., str] | None:
    """Return the function that writes a mapping or a list; None for a plain value, or an empty one."""
    if isinstance(value, dict) and value:
        return _mapping
    return _sequence if isinstance(value, list) and value else None


def _mapping(mapping: dict[str, Any], indent: int, first: str, once: Once) -> str:
    """Return the lines of a mapping, of which the first begins with `first`."""
    out: list[str] = []
    lead, pad = first, " " * indent
    for key, value in mapping.items():
        if isinstance(value, str):
            out += lead, _text_entry(key, value, indent)
        else:
            out += f"{lead}{_key(key, pad)}", _entry(value, indent, once)
        lead = pad
    return "".join(out)


@lru_cache(maxsize=4096)
def _text_entry(key: object, text: str, indent: int) -> str:
    return f"{_key(key, ' ' * indent)} {_leaf(text, indent + 2)}\n"


def _entry(value: Any, indent: int, once: Once) -> str:
    """Return what follows a key and its colon."""
    write = _part(value)
    if write is None:
        return f" {_leaf(value, indent + 2)}\n"
    below = indent + 2 if write is _mapping else indent
    return f"\n{once(write, value, below, ' ' * below, once)}"


def _sequence(items: list[Any], indent: int, first: str, once: Once) -> str:
    """Return the lines of a list, of which the first begins with `first`."""
    out: list[str] = []
    lead, pad = f"{first}- ", f"{' ' * indent}- "
    for item in items:
        write = _part(item)
        out.append(once(write, item, indent + 2, lead, once) if write else f"{lead}{_leaf(item, indent + 2)}\n")
        lead = pad
    return "".join(out)


def _key(key: object, pad: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a mapping key must be text, not {key!r}")
    text = _line(key)
    return f"{text}:" if len(text) <= _LONGEST_KEY else f"? {text}\n{pad}:"


def _leaf(value: object, indent: int) -> str:
    if isinstance(value, str):
        return _block(value, indent) if "\n" in value else _line(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (dict, list)):
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"not a JSON value: {value!r}")


def _float(value: float) -> str:
    text = float.__repr__(value)
    if text in {"nan", "inf", "-inf"}:
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, exponent, power = text.partition("e")  # YAML 1.1 wants a dot before the exponent
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else text


@lru_cache(maxsize=16384)
def _line(text: str) -> str:
    return str(text) if _is_plain(text) else _quoted(text)


def _is_plain(text: str) -> bool:
    return bool(PLAIN.fullmatch(text)) and not is_ambiguous(text)


def _quoted(text: str) -> str:
    if _SURROGATE.search(text):
        raise ValueError(f"half a surrogate pair in {text[:60]!r}")
    if "'" not in text and ('"' in text or "\\" in text) and _ASCII.fullmatch(text):
        return f"'{text}'"  # embedded JSON stays readable
    return f'"{_TO_ESCAPE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _ESCAPES.get(match[0]) or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}")  # noqa: PLR2004


@lru_cache(maxsize=4096)
def _block(text: str, indent: int) -> str:
    body = text.rstrip("\n")
    if not body.strip() or _UNPRINTABLE_CHARACTER.search(text) or _SURROGATE.search(text):
        return _quoted(text)
    head, pad = _block_header(text, body), " " * indent
    lines = (f"{pad}{line}" if line else "" for line in body.split("\n"))
    return "\n".join((head, *lines)) + "\n" * max(0, len(text) - len(body) - 1)


def _block_header(text: str, body: str) -> str:
    indicator = "2" if body.lstrip("\n")[0] in " \t" else ""
    chomping = ("-", "", "+")[min(len(text) - len(body), 2)]
    return f"|{indicator}{chomping}"
