"""Rule engine: rules, their scopes, their findings, and `validate`, the only loop over them.

A rule is a generator function under `@rule(code, name, on=SCOPE)`.  It reads its subject, and the context if it takes
one, and yields a `Finding` for each place that breaks it.  Its docstring is its page: the first line says what is
wrong, the next paragraph why and by whose code, `Refused:` gives an example and `Write:` a fix.  Its name reads well
after "allow ...".

Rules never raise, whatever JSON they get: schemas check shapes, and a value of the wrong shape counts as absent.  They
are pure functions of subject and context, and mutate neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from importlib import import_module
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Location, Severity, note
from ftgen.validation.context import Context, FactMissing
from ftgen.validation.inventory import SNAPSHOT

UNKNOWN_FACT = "FT499"


class Finding(Struct, frozen=True, eq=False):
    """Place that breaks a rule: the fields of a `Diagnostic` without the rule's code.

    `severity` overrides the rule's severity for a place that is worse or more harmless; `related` are positions of
    other objects that the finding is about.
    """

    headline: str
    subject: str
    value: object = ""
    help: str = ""
    severity: Severity | None = None
    related: tuple[Location, ...] = ()


class Undecided(Exception):  # noqa: N818 - a rule that cannot be judged, not a malfunction
    """End of a rule that read a refused value: the rule has no findings."""


class Incomplete(Struct, frozen=True, eq=False):
    """End of a rule that read an unstated fact: findings may be missing."""

    rule: str
    fact: str


Found = Diagnostic | Incomplete
"""Result of a rule: a finding as a diagnostic, or its early end."""
Question = tuple[Any, Context]
"""Subject of a rule, with its context."""


class Rule(Struct, frozen=True, eq=False):
    """Rule with its stable code.

    Attributes:
        code: `FT2xx` for conflicts within the configuration, `FT3xx` for what the cluster's admission refuses,
            `FT4xx` for what it admits but can never run, `FT6xx` for what its objects leave no room for.
        name: unique kebab-case name that reads well after "allow ...".
        severity: severity of its findings, unless a finding has its own.
        scopes: scopes of its subjects.
        denied: whether its errors are verdicts of an admission webhook, the API server or the program that is run;
            nothing comes of it then, so that no user can accept such an error.
        twins: codes of the equivalent rules over the configuration; to accept one of these is to accept this rule.
        page: docstring of the function.
        check: function that yields the findings in a subject.
        takes_context: whether the function takes the context as well.
        cel: expression over a VolcanoJob `object` that is true where the rule finds nothing; empty: none says the same.
    """

    code: str
    name: str
    severity: Severity
    scopes: tuple[Scope, ...]
    denied: bool
    twins: tuple[str, ...]
    page: str
    check: Callable[..., Iterator[Finding]]
    takes_context: bool
    cel: str = ""

    def __call__(self, question: Question) -> list[Found]:
        """Return the findings in a subject; keep those before an unstated fact."""
        subject, context = question
        found: list[Found] = []
        try:
            for finding in self.check(subject, context) if self.takes_context else self.check(subject):
                found.append(self._diagnostic(finding))  # noqa: PERF401 - see above
        except FactMissing as fact:
            found.append(Incomplete(self.name, str(fact)))
        except Undecided:
            return []
        return found

    def _diagnostic(self, finding: Finding) -> Diagnostic:
        severity = finding.severity or self.severity
        texts = (finding.headline, finding.subject, str(finding.value))
        return Diagnostic(self.code, severity, *texts, (), finding.help, finding.related)


class Scope:
    """Kind of subject with its rules, which run in the order of the modules and of their definition.

    Attributes:
        modules: names of the modules that define its rules.
        denies: whether its errors are verdicts of the cluster itself, unless a rule says otherwise.
        read: function that turns a subject with its context into the view that its rules read.
    """

    def __init__(
        self,
        *modules: str,
        read: Callable[[Any, Context], Any] = lambda subject, _: subject,
        denies: bool = False,
        rules: Iterable[Rule] = (),
    ) -> None:
        """Take the attributes, and rules that no module defines; by default, rules read the subject itself."""
        self.modules, self.denies, self.read = modules, denies, read
        self._own = tuple(rules)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Return its rules; import their modules at the first access."""
        modules = [import_module(name) for name in self.modules]
        found = (rule for module in modules for rule in vars(module).values() if self._owns(rule, module.__name__))
        return (*self._own, *found)

    def _owns(self, value: object, module: str) -> bool:
        return isinstance(value, Rule) and self in value.scopes and value.check.__module__ == module

    def view(self, question: Question) -> Question:
        """Return the question with the view that rules read in place of the subject."""
        subject, context = question
        return self.read(subject, context), context

    def ask(self, question: Question) -> list[Found]:
        """Return the findings of its rules, in their order."""
        view = self.view(question)
        return [each for rule in self.rules for each in rule(view)]


RULES: dict[str, Rule] = {}
"""Rules of all modules imported so far, by code."""
_NAMES: set[str] = set()


def rule(
    code: str,
    name: str,
    severity: Severity = Severity.ERROR,
    *,
    on: Scope | tuple[Scope, ...],
    denied: bool | None = None,
    twins: tuple[str, ...] = (),
    cel: str = "",
) -> Callable[[Callable[..., Iterator[Finding]]], Rule]:
    """Register a generator function as a rule of one scope or several.

    The function takes the subject, or the subject and the context.

    Raises:
        ValueError: another rule has the code or the name.
    """
    scopes = on if isinstance(on, tuple) else (on,)

    def register(check: Callable[..., Iterator[Finding]]) -> Rule:
        if code in RULES or name in _NAMES:
            raise ValueError(f"two rules are called {code} or {name}")
        _NAMES.add(name)
        denies = severity is Severity.ERROR and any(scope.denies for scope in scopes) if denied is None else denied
        takes_context = check.__code__.co_argcount > 1
        page = check.__doc__ or ""
        RULES[code] = Rule(code, name, severity, scopes, denies, twins, page, check, takes_context, cel)
        return RULES[code]

    return register


NOTHING_KNOWN = Context()
Call = Callable[[Scope, Question], list[Found]]
"""Function that runs the rules of a scope: `Scope.ask`, or one that reuses the findings in earlier subjects."""


def validate(
    scope: Scope,
    subject: object,
    context: Context = NOTHING_KNOWN,
    call: Call = Scope.ask,
    *,
    notes: bool = True,
) -> list[Diagnostic]:
    """Return the findings of a scope's rules in a subject.

    Args:
        scope: scope of the rules.
        subject: subject that the scope names.
        context: facts beside the subject.
        call: runs the rules of a scope.
        notes: whether to return notes as well, among them one for each unstated fact that rules read.
    """
    found = call(scope, (subject, context))
    diagnostics = [each for each in found if isinstance(each, Diagnostic)]
    if not notes:
        return [d for d in diagnostics if d.severity is not Severity.NOTE]
    return diagnostics if len(diagnostics) == len(found) else [*diagnostics, *_unstated_facts(found)]


def _unstated_facts(found: Iterable[Found]) -> Iterator[Diagnostic]:
    """Yield one note for each unstated fact, with the names of the rules that it ended."""
    rules: dict[str, list[str]] = {}
    for each in found:
        if isinstance(each, Incomplete):
            rules.setdefault(each.fact, []).append(each.rule)
    for fact, names in rules.items():
        headline = f"{fact} is not stated, so {', '.join(names)} could not be judged"
        saved = fact.startswith(SNAPSHOT)
        help_ = _SAVE_IT if saved else f"state {fact} in conf/cluster/<name>.yaml"
        yield note(UNKNOWN_FACT, headline, fact, "", help_)


_SAVE_IT = f"save them with `ftgen facts -o FILE`, and name the FILE by {SNAPSHOT} or beside the manifests"


def unreported(diagnostics: Iterable[Diagnostic], codes: Collection[str]) -> list[Diagnostic]:
    """Drop the diagnostics whose code, or a twin's, is among the codes: already reported, or accepted."""
    return [d for d in diagnostics if not is_among(d.code, codes)]


def is_among(code: str, codes: Collection[str]) -> bool:
    """Return whether a code, or one of a twin, is among the codes."""
    return bool(codes) and any(each in codes for each in codes_of(code))


def codes_of(code: str) -> tuple[str, ...]:
    """Return the code with the codes of its twins, the equivalent rules over the configuration."""
    return (code, *(RULES[code].twins if code in RULES else ()))
