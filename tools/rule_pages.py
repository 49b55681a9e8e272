"""Write docs/rules from the rules' own docstrings, or check that it is what they say.

python -m tools.rule_pages          writes docs/rules
python -m tools.rule_pages --check  exits 1 and names the pages that differ
"""

from __future__ import annotations

import inspect
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ftgen.datasets.kinds import KINDS
from ftgen.diagnostics import Severity
from ftgen.text import yamlio
from ftgen.validation.rules import all_rules

FOLDER = Path(__file__).parents[1] / "docs" / "rules"
TABLE = Path(__file__).parent / "hazards.yaml"
CODE = re.compile(r"FT[0-9]{3}")
GENERATED = "Generated from the rules' docstrings by `tools/rule_pages.py`."
LABEL = re.compile(r"\n+(Refused|Write|Why|Example|Instead):")
LABELS = {"Refused": "Refused", "Write": "Write", "Why": "Why", "Example": "Refused", "Instead": "Write"}


class Family(NamedTuple):
    """The rules whose codes begin alike; one page."""

    prefix: str
    title: str
    about: str

    @property
    def file(self) -> str:
        """The page's name."""
        return f"{self.title.lower()}.md"


FAMILIES = (
    Family("FT0", "Choices", "Options and values that were chosen together and speak of different things."),
    Family("FT2", "Configuration", "What the user asked for, before any Kubernetes object exists."),
    Family("FT3", "Admission", "What the cluster refuses: its admission, its nodes."),
    Family("FT4", "Lint", "What is admitted and still goes wrong."),
    Family("FT74", "Serving", "What is to serve the result of a run, before any Kubernetes object exists."),
    Family("FT75", "Trainers", "What a trainer needs of the configuration before anything is derived from it."),
    Family("FT76", "Images", "Whether an image holds the release that its arguments are checked for."),
    Family("FT77", "Tracking", "Where runs are reported to, before any Kubernetes object exists."),
    Family("FT6", "Capacity", "What the nodes, queues, quotas and classes of the cluster leave no room for."),
    Family("FT7", "Data", "What `ftgen data` finds in a data set; an error would end the training."),
)


class Rule(NamedTuple):
    """A rule as its family's page shows it."""

    code: str
    name: str
    severity: str
    text: str
    denied: bool = False

    @property
    def family(self) -> Family:
        """The family whose codes begin as this one's."""
        return next(family for family in FAMILIES if self.code.startswith(family.prefix))

    @property
    def link(self) -> str:
        """The code, leading to where it is explained."""
        return f"[{self.code}]({self.family.file}#{self.code})"


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule there is, by code."""
    found = [Rule(r.code, r.name, str(r.severity), r.page, r.denied) for r in all_rules().values()]
    found += [Rule(k.code, k.name, str(k.severity), k.page, k.severity is Severity.ERROR) for k in KINDS]
    return tuple(sorted(found))


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
    text = LABEL.sub(lambda found: f"\n\n**{LABELS[found[1]]}:**", inspect.cleandoc(rule.text))
    head = f'<a id="{rule.code}"></a>\n\n## {rule.code} {rule.name}\n\n{rule.severity.capitalize()}.\n\n'
    accepted = f"Accepted by `allow.{rule.code}=<reason>`, where it is no mistake."
    deniers = {"FT7": "The trainer's loader", "FT75": "The program itself"}
    who = deniers.get(rule.family.prefix, "The cluster's admission")
    denied = f"{who} denies it, so that it cannot be accepted."
    return f"{head}{text}\n\n{denied if rule.denied else accepted}\n"


def index() -> str:
    """List the rules by family, one a line."""
    lines = ["# Rules", "", GENERATED, ""]
    for family in FAMILIES:
        lines += [f"## {family.title}", "", family.about, "", "| code | name | severity | |", "|---|---|---|---|"]
        for rule in (r for r in rules() if r.family is family):
            first = inspect.cleandoc(rule.text).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| {rule.link} | {rule.name} | {rule.severity} | {first} |")
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
    return next((rule.link for rule in rules() if rule.code == code[0]), code[0])


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
