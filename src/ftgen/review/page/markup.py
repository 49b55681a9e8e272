"""HTML elements whose texts are escaped by construction.

Names and values come from configurations, manifests and repositories, and may hold anything.  Only `tag`, `join` and
`escape` make `Markup`, so that what is not `Markup` is escaped wherever it is put.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

from ftgen.diagnostics import credentials
from ftgen.text.lines import shortened

# Controls, line separators, marks and overrides of direction, the byte order mark, and lone surrogates, which no
# encoding writes: a reader must see them rather than what they do.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_BARE = re.compile(r"[A-Za-z0-9_.#-]+")
# HTML closes these where the next one, or the end of their parent, follows.
_CLOSE_THEMSELVES = frozenset({"td", "th", "tr", "li", "dt", "dd", "option", "thead", "tbody"})
NOTHING = "—"
"""What stands in a cell that has nothing to say."""
_EMPTY = frozenset({"meta", "input", "path", "use", "link", "br"})


class Markup(str):
    """HTML, which is not escaped again."""

    __slots__ = ()


def escape(value: object) -> Markup:
    r"""Return a text as HTML; write characters that nobody sees by their number."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    if not text.isprintable():
        text = _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return Markup(html.escape(text))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """Join texts and elements."""
    return Markup(escape(separator).join(map(escape, parts)))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: the element's name.
        content: texts, which are escaped, and elements.
        attributes: values by name; a `_` in a name stands for a `-` and is dropped at the end (`class_`); None and
            False leave the attribute out, True writes it without a value.
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{head}>" if name in {"meta", "input", "link", "br"} else f"<{name}{head} />")
    end = "" if name in _CLOSE_THEMSELVES else f"</{name}>"
    return Markup(f"<{name}{head}>{''.join(map(escape, content))}{end}")


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = escape(value)
    return f" {name}={text}" if _BARE.fullmatch(text) else f' {name}="{text}"'


def masked(name: str, text: str) -> str:
    """Mask the secrets in a value under a name, as a manifest of others may hold some; a page is shown around."""
    return str(credentials.redact_value(text, name))


def short(value: object, most: int = 80) -> str:
    """Shorten a text in its middle, as both ends are significant."""
    return shortened(str(value), most)
