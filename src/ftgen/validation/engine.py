"""The one way in which rules are asked: a rule, the scope it stands in, what it finds, and the loop.

A rule is a generator function under `@rule(code, name, on=SCOPE)`: it looks at its subject, and at the context where
it takes one, and yields a `Finding` for each place that breaks it.  Its docstring is its page: the first line says
what is wrong, the next paragraph why and by whose code, `Refused:` shows it and `Write:` mends it.  Names read well
after "allow ...".

Rules never raise, whatever JSON they are given: shapes are the schema's business, and what has the wrong shape counts
as absent here.  They are functions of what they are given, and change nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from ftgen.diagnostics import Diagnostic, Severity, note
from ftgen.validation.context import Context, FactMissing

UNKNOWN_FACT = "FT499"


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One place that breaks a rule: what a `Diagnostic` says, without the rule's own code.

    `severity` is given where this place is worse or more harmless than the rule says.
    """

    headline: str
    subject: str
    value: object = ""
    help: str = ""
    severity: Severity | None = None


class Undecided(Exception):  # noqa: N818 - a rule that cannot be judged, not a malfunction
    """A rule read a value that was already refused, so that it has nothing to add."""


@dataclass(frozen=True, slots=True, eq=False)
class Unjudged:
    """A rule that could not be judged to its end, because nobody has stated a fact."""

    rule: str
    fact: str


Found = Diagnostic | Unjudged
Question = tuple[Any, Context]
"""A subject with its context."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule: its stable code, its kebab-case name, how bad a finding is, and the function that finds.

    Attributes:
        code: `FT2xx` for what does not fit together in the configuration, `FT3xx` for what the cluster's
            admission refuses, `FT4xx` for what it admits in vain.
        name: unique, kebab-case, reads well after "allow ...".
        severity: of every finding that does not say otherwise.
        scopes: what it is asked about.
        denied: whether a finding that is an error is the verdict of an admission webhook or the API server: the object,
            or its pods, are never created, so that nobody can accept it.
        twins: codes of the rules that ask the same of the configuration: who accepts them accepts this one.
        page: the function's docstring.
        check: yields the findings in a subject, by the context where it takes one.
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

    def __call__(self, question: Question) -> list[Found]:
        """Return what the rule finds; what was found before a fact was missing stays."""
        subject, context = question
        found: list[Found] = []
        try:
            for each in self.check(subject, context) if self.takes_context else self.check(subject):
                found.append(self._diagnostic(each))  # noqa: PERF401 - see above
        except FactMissing as fact:
            found.append(Unjudged(self.name, str(fact)))
        except Undecided:
            return []
        return found

    def _diagnostic(self, found: Finding) -> Diagnostic:
        severity = found.severity or self.severity
        return Diagnostic(self.code, severity, found.headline, found.subject, str(found.value), (), found.help)


class Scope:
    """What rules are asked about, and the order in which they are asked.

    Attributes:
        modules: those that define its rules, which are asked in the order of the modules and of their definition.
        denies: whether its errors are the cluster's own verdict, unless a rule says otherwise.
    """

    def __init__(
        self, *modules: str, read: Callable[[Any, Context], Any] = lambda subject, _: subject, denies: bool = False
    ) -> None:
        """Name the modules, and how rules read a subject."""
        self.modules, self.denies = modules, denies
        self._read = read

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Return its rules; the modules are imported when they are first needed."""
        homes = [import_module(name) for name in self.modules]
        return tuple(each for home in homes for each in vars(home).values() if self._holds(each, home.__name__))

    def _holds(self, value: object, home: str) -> bool:
        return isinstance(value, Rule) and self in value.scopes and value.check.__module__ == home

    def view(self, question: Question) -> Question:
        """Return the question as the rules are given it."""
        subject, context = question
        return self._read(subject, context), context

    def ask(self, question: Question) -> list[Found]:
        """Return all that its rules find, in their order."""
        view = self.view(question)
        return [each for rule in self.rules for each in rule(view)]


RULES: dict[str, Rule] = {}
"""Every rule that was defined so far, by its code."""
_NAMES: set[str] = set()


def rule(
    code: str,
    name: str,
    severity: Severity = Severity.ERROR,
    *,
    on: Scope | tuple[Scope, ...],
    denied: bool | None = None,
    twins: tuple[str, ...] = (),
) -> Callable[[Callable[..., Iterator[Finding]]], Rule]:
    """Make a generator function a rule of one scope or several.

    The function takes the subject, or the subject and the context.

    Raises:
        ValueError: the code or the name is taken.
    """
    scopes = on if isinstance(on, tuple) else (on,)

    def register(check: Callable[..., Iterator[Finding]]) -> Rule:
        if code in RULES or name in _NAMES:
            raise ValueError(f"two rules are called {code} or {name}")
        _NAMES.add(name)
        denies = severity is Severity.ERROR and any(scope.denies for scope in scopes) if denied is None else denied
        takes_context = check.__code__.co_argcount > 1
        RULES[code] = Rule(code, name, severity, scopes, denies, twins, check.__doc__ or "", check, takes_context)
        return RULES[code]

    return register


NOTHING_KNOWN = Context()
Call = Callable[[Scope, Question], list[Found]]
"""How a scope is asked; whoever asks about many subjects in turn may know a shorter way."""


def validate(
    scope: Scope,
    subject: object,
    context: Context = NOTHING_KNOWN,
    call: Call = Scope.ask,
    *,
    notes: bool = True,
) -> list[Diagnostic]:
    """Return what the rules of a scope find in a subject.

    With `notes`, what is no more than a note is told, and a note for each fact that some rules lacked.
    """
    found = call(scope, (subject, context))
    told = [each for each in found if isinstance(each, Diagnostic)]
    if not notes:
        return [each for each in told if each.severity is not Severity.NOTE]
    return told if len(told) == len(found) else [*told, *_lacking(found)]


def _lacking(found: Iterable[Found]) -> Iterator[Diagnostic]:
    """Tell each fact that was lacking once, with the rules that could not be judged without it."""
    rules: dict[str, list[str]] = {}
    for each in found:
        if isinstance(each, Unjudged):
            rules.setdefault(each.fact, []).append(each.rule)
    for fact, names in rules.items():
        headline = f"{fact} is not stated, so {', '.join(names)} could not be judged"
        yield note(UNKNOWN_FACT, headline, fact, "", f"state {fact} in conf/cluster/<name>.yaml")


def unreported(diagnostics: Iterable[Diagnostic], codes: Collection[str]) -> list[Diagnostic]:
    """Drop the diagnostics whose code, or whose twin's, was reported or accepted already."""
    return [each for each in diagnostics if not any(code in codes for code in codes_of(each.code))]


def codes_of(code: str) -> tuple[str, ...]:
    """Return the code with those of the rules that ask the same of the configuration."""
    return (code, *(RULES[code].twins if code in RULES else ()))
