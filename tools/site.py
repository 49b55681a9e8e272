"""Build the site in .site/html from the pages of this repository, in English and, below zh/, in Chinese.

python -m tools.site           gathers the pages, writes the reference, and builds; a dead link or anchor fails
python -m tools.site --pages   stops before mkdocs
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools import reference

ROOT = Path(__file__).parents[1]
SITE = ROOT / ".site"
# Pages that lie beside docs/, by their place in the site.
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
CHINESE = {
    "Tutorial": "教程",
    "How-to": "操作指南",
    "Reference": "参考",
    "Rules": "规则",
    "Explanation": "原理",
    "Decisions": "设计决策",
}
FOLDER = {"en": "", "zh": "zh"}
TRANSLATED = re.compile(r"\.zh\.md$")
# What a browser loads by itself; a link is loaded by its reader.
REQUEST = re.compile(r"""(?:\bsrc=["']?|<link [^>]*href=["']?|url\(["']?|@import ["'])(?:https?:)?//""")
# The line that leads to the page in the other language; the site has a switch.
SWITCH = re.compile(r"^\[(?:English|中文)\]\(\S+\)\n\n", re.MULTILINE)
# A link's target: no address, and no anchor of the same page.
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


Pages = dict[str, str]
"""Path of each page's source below the repository -> its place in the site."""


def main(words: list[str]) -> int:
    """Gather the pages of both languages, and build each."""
    shutil.rmtree(SITE, ignore_errors=True)
    for language in FOLDER:
        for place, text in pages(language):
            file = SITE / language / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    if words != ["--pages"]:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        for language in FOLDER:
            _build(language)
        refuse_requests(SITE / "html")
    return 0


def pages(language: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each page; a page without a translation is the English one."""
    sources = _sources(language)
    for source, place in sources.items():
        text = SWITCH.sub("", (ROOT / source).read_text(encoding="utf-8"))
        yield place, relinked(_of_notebook(text) if source.endswith(".ipynb") else text, source, sources)
    yield from reference.pages().items()


def _sources(language: str) -> Pages:
    files = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.*")])
    found = [path.relative_to(ROOT).as_posix() for path in files]
    english = {source: _place(source) for source in found if not TRANSLATED.search(source)}
    translated = {place: source for source in found if TRANSLATED.search(source) for place in [_place(source)]}
    return {translated.get(place, source) if language == "zh" else source: place for source, place in english.items()}


def _place(source: str) -> str:
    """Return where a page lies in the site of its language."""
    untranslated = TRANSLATED.sub(".md", source)
    return BESIDE.get(untranslated, untranslated.removeprefix("docs/").replace(".ipynb", ".md"))


def relinked(text: str, source: str, sources: Pages) -> str:
    """Let links lead to places in the site; what lies outside it is linked where the repository has a page."""
    places = set(sources.values())
    here = posixpath.dirname(_place(source))
    repository = os.environ.get("SITE_REPOSITORY", "")

    def link(found: re.Match[str]) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        page = _place(f"{path}/README.md" if (ROOT / path).is_dir() else path)
        if page in places and (path in sources or not TRANSLATED.search(path)):
            return f"[{label}]({posixpath.relpath(page, here or '.')}{anchor})"
        if not (ROOT / path).exists():
            raise SystemExit(f"{source} links to {target}, which is not there")
        return f"[{label}]({repository}/blob/main/{path}{anchor})" if repository else label

    return LINK.sub(link, text)


def _of_notebook(text: str) -> str:
    """Write the cells of a notebook and their stored outputs as Markdown."""
    blocks: list[str] = []
    for cell in json.loads(text)["cells"]:
        content = "".join(cell["source"])
        blocks.append(content if cell["cell_type"] == "markdown" else f"```python\n{content}\n```")
        blocks += [_of_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(blocks) + "\n"


def _of_output(output: Mapping[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return f'<div class="output">{"".join(data["text/html"])}</div>'
    return f"```text\n{''.join(data.get('text/plain', output.get('text', ''))).rstrip()}\n```"


def _build(language: str) -> None:
    """Build the site of one language; the Chinese one has the navigation's titles and the theme in Chinese."""
    from mkdocs.commands.build import build  # noqa: PLC0415 - the pages are gathered without it
    from mkdocs.config import load_config  # noqa: PLC0415 - idem

    config = load_config(
        str(ROOT / "mkdocs.yml"),
        strict=True,
        docs_dir=str(SITE / language),
        site_dir=str(SITE / "html" / FOLDER[language]),
    )
    config["nav"] = _navigation(config["nav"], CHINESE if language == "zh" else {})
    config["theme"]["language"] = language
    for other in config["extra"]["alternate"]:
        other["link"] = posixpath.relpath(FOLDER[other["lang"]] or ".", FOLDER[language] or ".") + "/"
    build(config)


def refuse_requests(folder: Path) -> None:
    """End with an error where a page or a style sheet loads something from another host."""
    files = [*folder.rglob("*.html"), *folder.rglob("*.css")]
    if asking := [file.name for file in files if REQUEST.search(file.read_text(encoding="utf-8"))]:
        raise SystemExit(f"{asking[0]} asks another host")


def _navigation(entries: Any, titles: Mapping[str, str]) -> Any:
    """Translate the titles of a navigation; put the pages that have no place of their own where a pattern is."""
    placed = set(_places(entries))

    def resolved(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {titles.get(title, title): resolved(below) for title, below in entry.items()}
        if isinstance(entry, list):
            return [page for each in entry for page in (_unplaced(each, placed) if "*" in each else [resolved(each)])]
        return entry

    return resolved(entries)


def _places(entries: Any) -> Iterator[str]:
    """Yield the pages and patterns of a navigation."""
    if isinstance(entries, str):
        yield entries
    for each in entries.values() if isinstance(entries, dict) else entries if isinstance(entries, list) else ():
        yield from _places(each)


def _unplaced(pattern: str, placed: Collection[str]) -> list[str]:
    found = (path.relative_to(SITE / "en").as_posix() for path in (SITE / "en").glob(pattern))
    return sorted(page for page in found if page not in placed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
