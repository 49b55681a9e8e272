"""The rules a run and its VolcanoJob are judged by, and the registry their pages are generated from.

A rule is one generator function under `@rule(code, name)`: it looks at its subject and yields a `Finding` for
each place that breaks it.  Its docstring is its page: the first line says what is wrong, the next paragraph
why and by whose code, `Refused:` shows it and `Write:` mends it.  Names read well after "allow ...".

Rules never raise, whatever JSON they are given: shapes are the schema's business, and what has the wrong
shape counts as absent here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.recall import Panel


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks a rule: what a `Diagnostic` says, without the rule's own code.

    `severity` is given where this place is worse or more harmless than the rule says.
    """

    headline: str
    subject: str
    value: object = ""
    help: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its stable code, its kebab-case name, how bad a finding is, and the function that finds.

    Attributes:
        code: `FT2xx` for what does not fit together in the configuration, `FT3xx` for what the cluster's
            admission refuses, `FT4xx` for what it admits in vain.
        name: unique, kebab-case, reads well after "allow ...".
        severity: of every finding that does not say otherwise.
        denied: whether a finding that is an error is the verdict of an admission webhook or the API server: the object,
            or its pods, are never created, so that nobody can accept it.
        page: the function's docstring.
        check: yields the findings; what it is given is fixed by the stage that runs it.
    """

    code: str
    name: str
    severity: Severity
    denied: bool
    page: str
    check: Callable[..., Iterator[Finding]]


RULES: dict[str, Rule] = {}
"""Every rule by its code, in the order of definition; complete once this package's modules are imported."""
_NAMES: set[str] = set()


def rule(
    code: str,
    name: str,
    severity: Severity = Severity.ERROR,
    *,
    denied: bool | None = None,
) -> Callable[[Callable[..., Iterator[Finding]]], Rule]:
    """Make a generator function a registered `Rule`; errors of FT3xx are denied by definition.

    Raises:
        ValueError: the code or the name is taken.
    """

    def register(check: Callable[..., Iterator[Finding]]) -> Rule:
        if code in RULES or name in _NAMES:
            raise ValueError(f"two rules are called {code} or {name}")
        _NAMES.add(name)
        by_definition = code.startswith("FT3") and severity is Severity.ERROR
        refuses = by_definition if denied is None else denied
        RULES[code] = Rule(code, name, severity, refuses, check.__doc__ or "", check)
        return RULES[code]

    return register


def run(rules: Iterable[Rule], *subject: object) -> list[Diagnostic]:
    """What the rules find in the subject, in the order of the rules."""
    return [diagnosed(r, f) for r in rules for f in r.check(*subject)]


def find(each: Rule, *subject: object) -> list[Diagnostic]:
    """What one rule finds in the subject."""
    return run((each,), *subject)


def panel(
    rules: Iterable[Rule], view: Callable[[Any], tuple[Any, ...]], finder: Callable[..., list[Any]] = find
) -> Panel:
    """Rules as questions that can be recalled: each is asked with what `view` makes of the subject."""
    return Panel(view, tuple(partial(_asked, finder, each) for each in rules))


def _asked(finder: Callable[..., list[Any]], each: Rule, view: tuple[Any, ...]) -> list[Any]:
    return finder(each, *view)


def diagnosed(broken: Rule, finding: Finding) -> Diagnostic:
    """What a rule found, as a diagnostic."""
    severity = finding.severity or broken.severity
    return Diagnostic(broken.code, severity, finding.headline, finding.subject, str(finding.value), (), finding.help)
