"""Pages for the tests: written by the command line, and read as a tree of elements."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from ftgen import cli

SMALL = ("-m", "name=ablation", "model=qwen3-0.6b,qwen3-8b", "trainer.lr=1e-4,2e-4")
THOUSAND = (
    "-m",
    "name=ablation",
    "model=qwen3-0.6b,qwen3-8b",
    "trainer.lr=1e-4,2e-4,3e-4,4e-4,5e-4",
    "trainer.args.lora_rank=8,16,32,64",
    "trainer.args.lora_alpha=16,32,64,128,256",
    "trainer.cutoff_len=1024,2048,4096,8192,1500",
)
HOSTILE = "</script></style><img src=x onerror=alert(1)>\u202egnp.\u2028 \"'&"
"""A value that would leave its element, its attribute, or the direction in which one reads, and run."""
_VOID = frozenset({"meta", "input", "br", "link"})
_OPTIONAL = frozenset({"td", "th", "tr", "li", "dt", "dd", "option", "thead", "tbody"})
_RAW = ("script", "style")


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def all(self, name: str = "") -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                if not name or child.name == name:
                    yield child
                yield from child.all(name)

    def by_id(self, key: str) -> Element:
        (found,) = (each for each in self.all() if each.attributes.get("id") == key)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class _Reader(HTMLParser):
    """Reads HTML strictly: every element is closed, but those that HTML lets close themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _OPTIONAL:
            while self.at.name in _OPTIONAL and not _holds(self.at.name, tag):
                self._close()
        element = Element(tag, dict(attrs), self.at)
        self.at.children.append(element)
        if tag not in _VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, dict(attrs), self.at))

    def handle_endtag(self, tag: str) -> None:
        while self.at.name in _OPTIONAL and self.at.name != tag:
            self._close()
        assert self.at.name == tag, f"</{tag}> ends <{self.at.name}>"
        self._close()

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def _close(self) -> None:
        assert self.at.parent is not None
        self.at = self.at.parent


def _holds(outer: str, inner: str) -> bool:
    return (outer, inner) in {("thead", "tr"), ("tbody", "tr"), ("tr", "td"), ("tr", "th")}


def read(text: str) -> Element:
    """Return the page as a tree."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.at.name
    return reader.root


def written(*words: str, code: int = 0) -> str:
    """Return the page that a command line writes."""
    assert cli.main([*words, "--quiet", "--page", "page.html"]) == code
    return Path("page.html").read_text(encoding="utf-8")


def rows(page: Element, table: str) -> list[list[str]]:
    """Return the texts of a table's body."""
    (body,) = page.by_id(table).all("tbody")
    return [cells(row) for row in body.all("tr")]


def cells(row: Element) -> list[str]:
    """Return the texts of a row."""
    return [cell.text.strip() for cell in row.all() if cell.name in {"th", "td"}]


def section(page: Element, key: str) -> Element:
    """Return a section by its anchor."""
    return page.by_id(key)


def policy(page: Element) -> str:
    """Return the policy of a page."""
    (found,) = (each for each in page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    return str(found.attributes["content"])


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def outside(text: str) -> list[str]:
    """Return what would load something: addresses in attributes that fetch, and in styles."""
    return re.findall(r"""(?:src|srcset|data|poster|action|background)\s*=|@import|url\(|https?://(?=[^<]*>)""", text)
