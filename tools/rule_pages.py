"""Write docs/rules from the rules' own docstrings, or check that it is what they say.

python -m tools.rule_pages          writes docs/rules
python -m tools.rule_pages --check  exits 1 and names the pages that differ
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ftgen.text import yamlio
from ftgen.validation.pages import CODE, FAMILIES, Family, Rule, rules

FOLDER = Path(__file__).parents[1] / "docs" / "rules"
TABLE = Path(__file__).parent / "hazards.yaml"
GENERATED = "Generated from the rules' docstrings by `tools/rule_pages.py`."
LABEL = re.compile(r"\n+(Refused|Write|Why|Example|Instead):")
LABELS = {"Refused": "Refused", "Write": "Write", "Why": "Why", "Example": "Refused", "Instead": "Write"}


def link(rule: Rule) -> str:
    """Return the code of a rule, leading to where it is explained."""
    return f"[{rule.code}]({rule.family.file}#{rule.code})"


def pages() -> dict[str, str]:
    """Write every page; its name below docs/rules leads to its text."""
    families = {family.file: page(family) for family in FAMILIES}
    return {"README.md": index(), "coverage.md": coverage(), **families}


def page(family: Family) -> str:
    """Write the page of a family, with an anchor for each of its rules."""
    sections = (section(rule) for rule in rules() if rule.family is family)
    return "\n".join([f"# {family.title}\n\n{family.about} {GENERATED}\n", *sections])


def section(rule: Rule) -> str:
    """Explain a rule; the anchor is its code, which never changes."""
    text = LABEL.sub(lambda found: f"\n\n**{LABELS[found[1]]}:**", rule.text)
    head = f'<a id="{rule.code}"></a>\n\n## {rule.code} {rule.name}\n\n{rule.severity.capitalize()}.\n\n'
    return f"{head}{text}\n\n{rule.acceptance}\n"


def index() -> str:
    """List the rules by family, one a line."""
    lines = ["# Rules", "", GENERATED, ""]
    for family in FAMILIES:
        lines += [f"## {family.title}", "", family.about, "", "| code | name | severity | |", "|---|---|---|---|"]
        for rule in (r for r in rules() if r.family is family):
            first = rule.text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| {link(rule)} | {rule.name} | {rule.severity} | {first} |")
        lines.append("")
    return "\n".join(lines)


def coverage() -> str:
    """Which rule answers each hazard of the list of hazards."""
    lines = [
        "# Hazards and the rules that answer them",
        "",
        "Generated from `tools/hazards.yaml`. A hazard without a code says why nothing in a manifest shows it.",
        "",
        "| hazard | answered by |",
        "|---|---|",
    ]
    for section, rows in yamlio.read(TABLE).items():
        lines.append(f"| **{section}** | |")
        lines += [f"| {hazard} | {CODE.sub(_link, answer)} |" for hazard, answer in rows.items()]
    return "\n".join(lines) + "\n"


def _link(code: re.Match[str]) -> str:
    return next((link(rule) for rule in rules() if rule.code == code[0]), code[0])


def main(words: list[str]) -> int:
    """Write the pages, or name those that are out of date."""
    wanted = pages()
    if words == ["--check"]:
        there = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
        stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        for name in stale:
            print(f"docs/rules/{name} is not what the rules say; run python -m tools.rule_pages")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.md"):
        file.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
