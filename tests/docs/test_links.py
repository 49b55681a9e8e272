"""Links between pages lead to files and to rules that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target, rule in re.findall(r"\]\((?!https?:)([^)#]+)#?(FT\d{3})?", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
            assert not rule or f'<a id="{rule}">' in _text(page.parent / target), f"{page.name} links to {rule}"


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")
