"""The page of each rule: its docstring, with whether it can be accepted.

`ftgen explain FT280` prints one, and `tools/rule_pages.py` writes them all into docs/rules; both read the docstrings,
so that there is no second copy of the text.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import NamedTuple

from ftgen.diagnostics import Severity
from ftgen.emulation.datasets.kinds import KINDS
from ftgen.validation.rules import all_rules

CODE = re.compile(r"FT[0-9]{3}")


class Family(NamedTuple):
    """The rules whose codes begin alike, or in one of some ways; one page."""

    prefix: str | tuple[str, ...]
    title: str
    about: str

    @property
    def file(self) -> str:
        """The page's name."""
        return f"{self.title.lower()}.md"


_SHAPE = ("FT777", "FT778", "FT779", "FT780", "FT781", "FT796", "FT797")
FAMILIES = (
    Family("FT0", "Choices", "Options and values that were chosen together and speak of different things."),
    Family("FT2", "Configuration", "What the user asked for, before any Kubernetes object exists."),
    Family(("FT3", "FT798"), "Admission", "What the cluster refuses: its admission, its nodes."),
    Family("FT4", "Lint", "What is admitted and still goes wrong."),
    Family("FT74", "Serving", "What is to serve the result of a run, before any Kubernetes object exists."),
    Family("FT75", "Trainers", "What a trainer needs of the configuration before anything is derived from it."),
    Family("FT76", "Images", "Whether an image holds the release that its arguments are checked for."),
    Family(_SHAPE, "Shape", "The shape of a job: a master and its workers, groups of nodes, the cluster's releases."),
    Family("FT77", "Tracking", "Where runs are reported to, before any Kubernetes object exists."),
    Family("FT78", "Policy", "What the rules of the site's own refuse; docs/policy.md says how they are written."),
    Family("FT6", "Capacity", "What the nodes, queues, quotas and classes of the cluster leave no room for."),
    Family("FT7", "Data", "What `ftgen data` finds in a data set; an error would end the training."),
)
_DENIERS: dict[str | tuple[str, ...], str] = {
    "FT7": "The trainer's loader",
    "FT75": "The program itself",
    _SHAPE: "The program itself",
    "FT78": "The site",
}


class Rule(NamedTuple):
    """A rule as its family's page shows it."""

    code: str
    name: str
    severity: str
    docstring: str
    denied: bool = False

    @property
    def family(self) -> Family:
        """The family whose codes begin as this one's."""
        return next(family for family in FAMILIES if self.code.startswith(family.prefix))

    @property
    def text(self) -> str:
        """What is wrong, why, an example and what to write instead."""
        return inspect.cleandoc(self.docstring)

    @property
    def acceptance(self) -> str:
        """How its findings are accepted, or why they cannot be."""
        if not self.denied:
            return f"Accepted by `allow.{self.code}=<reason>`, where it is no mistake."
        denier = _DENIERS.get(self.family.prefix, "The cluster's admission")
        return f"{denier} denies it, so that it cannot be accepted."


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule there is, by code."""
    found = [Rule(r.code, r.name, str(r.severity), r.page, r.denied) for r in all_rules().values()]
    found += [Rule(k.code, k.name, str(k.severity), k.page, k.severity is Severity.ERROR) for k in KINDS]
    return tuple(sorted(found))


def rule_of(code: str) -> Rule | None:
    """Return the rule of a code; None where a diagnostic of it is no rule's."""
    return next((rule for rule in rules() if rule.code == code), None)


def codes() -> tuple[str, ...]:
    """Return the codes of all rules, sorted."""
    return tuple(rule.code for rule in rules())
