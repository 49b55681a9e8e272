"""Write docs/rules from the rules' own docstrings, or check that it is what they say.

python tests/docs/rule_pages.py          writes docs/rules
python tests/docs/rule_pages.py --check  exits 1 and names the pages that differ
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import NamedTuple

from ftgen import yamlio
from ftgen.rules import every

FOLDER = Path(__file__).parents[2] / "docs" / "rules"
TABLE = Path(__file__).parent / "coverage.yaml"
CODE = re.compile(r"FT[0-9]{3}")
LABEL = re.compile(r"\n+(Refused|Write|Why|Example|Instead):")
LAYERS = {
    "FT0": ("Choices", "options and values that were chosen together and speak of different things"),
    "FT2": ("Meaning", "what the user asked for, before any Kubernetes object exists"),
    "FT3": ("Contract", "what the cluster refuses: its admission, its nodes"),
    "FT4": ("Agreement and lint", "what is admitted and still goes wrong"),
}
LABELS = {"Refused": "Refused", "Write": "Write", "Why": "Why", "Example": "Refused", "Instead": "Write"}


class Page(NamedTuple):
    code: str
    name: str
    severity: str
    text: str
    denied: bool = False


def rules() -> list[Page]:
    """Every rule there is, by code."""
    return sorted(Page(r.code, r.name, str(r.severity), r.page, r.denied) for r in every().values())


def pages() -> dict[str, str]:
    """Path below docs/rules -> text."""
    found = {f"{rule.code}.md": page(rule) for rule in rules()}
    return {"README.md": index(rules()), "coverage.md": coverage(), **found}


def page(rule: Page) -> str:
    text = LABEL.sub(lambda found: f"\n\n**{LABELS[found[1]]}:**", inspect.cleandoc(rule.text))
    head = f"# {rule.code} {rule.name}\n\n{rule.severity.capitalize()}.\n\n"
    accepted = f"Accepted by `allow.{rule.code}=<reason>`, where it is no mistake."
    denied = "The cluster's admission denies it, so that it cannot be accepted."
    return f"{head}{text}\n\n{denied if rule.denied else accepted}\n"


def index(found: list[Page]) -> str:
    lines = ["# Rules", "", "Generated from the rules' docstrings by `tests/docs/rule_pages.py`.", ""]
    for prefix, (title, about) in LAYERS.items():
        lines += [f"## {title}", "", f"{about.capitalize()}.", "", "| code | name | severity | |", "|---|---|---|---|"]
        for rule in (r for r in found if r.code.startswith(prefix)):
            first = inspect.cleandoc(rule.text).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity} | {first} |")
        lines.append("")
    return "\n".join(lines)


def coverage() -> str:
    """Which rule answers each hazard of the list of hazards."""
    lines = [
        "# Hazards and the rules that answer them",
        "",
        "Generated from `tests/docs/coverage.yaml`. A hazard without a code says why nothing in a manifest shows it.",
        "",
        "| hazard | answered by |",
        "|---|---|",
    ]
    for section, rows in yamlio.read(TABLE).items():
        lines.append(f"| **{section}** | |")
        lines += [f"| {hazard} | {CODE.sub(_link, answer)} |" for hazard, answer in rows.items()]
    return "\n".join(lines) + "\n"


def _link(code: re.Match[str]) -> str:
    return f"[{code[0]}]({code[0]}.md)" if code[0] in {rule.code for rule in rules()} else code[0]


def main(words: list[str]) -> int:
    wanted = pages()
    if words == ["--check"]:
        there = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
        stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        for name in stale:
            print(f"docs/rules/{name} is not what the rules say; run python tests/docs/rule_pages.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.md"):
        file.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
