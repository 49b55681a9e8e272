"""One loop asks every rule: in which order, with what, and what becomes of a rule that cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftgen.diagnostics import Severity
from ftgen.validation import (
    RULES,
    UNKNOWN_FACT,
    Context,
    FactMissing,
    Finding,
    Scope,
    Undecided,
    codes_of,
    rule,
    unreported,
    validate,
)
from ftgen.validation.rules import ADMISSION, LINT, SPEC, all_rules

HERE = Scope(__name__, read=lambda subject, _: [*subject, "read"])
ELSEWHERE = Scope(__name__, denies=True)


@rule("TEST1", "test-items", Severity.WARNING, on=(HERE, ELSEWHERE))
def items(subject: list[str]) -> Iterator[Finding]:
    """Whatever there is."""
    for each in subject:
        yield Finding(f"there is {each}", "items", each, severity=Severity.NOTE if each == "a" else None)


@rule("TEST2", "test-fact", on=HERE, twins=("TEST1",))
def fact(subject: list[str], context: Context) -> Iterator[Finding]:
    """One item, and a fact."""
    yield Finding(f"{len(subject)} items", "items")
    yield Finding(f"{context.cards_per_node()} cards", "cards")


@rule("TEST3", "test-refused", on=HERE)
def refused(subject: list[str]) -> Iterator[Finding]:
    """Something, until a refused value is read."""
    yield Finding("something", "items")
    raise Undecided(subject[0])


@rule("TEST4", "test-other-fact", on=ELSEWHERE)
def other(_: list[str]) -> Iterator[Finding]:
    """A fact alone."""
    raise FactMissing("cluster.facts.card.per_node")
    yield


OWN = [RULES.pop(each.code) for each in (items, fact, refused, other)]
"""Known to the tests of this module alone: others look at all rules there are."""


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in OWN:
        monkeypatch.setitem(RULES, each.code, each)


def test_a_scope_asks_its_own_rules_in_the_order_of_their_definition() -> None:
    assert [each.code for each in HERE.rules] == ["TEST1", "TEST2", "TEST3"]
    assert [each.code for each in ELSEWHERE.rules] == ["TEST1", "TEST4"]


def test_a_lacking_fact_ends_a_rule_and_is_told_with_it_and_a_refused_value_takes_it_back() -> None:
    found = validate(HERE, ["a"])

    assert [(d.code, str(d.severity), d.headline) for d in found] == [
        ("TEST1", "note", "there is a"),
        ("TEST1", "warning", "there is read"),
        ("TEST2", "error", "2 items"),
        (UNKNOWN_FACT, "note", "cluster.facts.card.per_node is not stated, so test-fact could not be judged"),
    ]


def test_without_notes_neither_notes_nor_lacking_facts_are_told() -> None:
    assert [d.headline for d in validate(HERE, ["a"], notes=False)] == ["there is read", "2 items"]


def test_reuse_enters_as_a_call() -> None:
    assert validate(HERE, ["a"], call=lambda scope, question: scope.ask(question)[:1])[0].headline == "there is a"


def test_a_scope_that_denies_makes_errors_the_clusters_own_verdict() -> None:
    assert [RULES[code].denied for code in ("TEST1", "TEST2", "TEST4")] == [False, False, True]


def test_a_twin_is_reported_with_its_rule() -> None:
    assert codes_of("TEST2") == ("TEST2", "TEST1")
    assert [d.code for d in unreported(validate(HERE, []), {"TEST1"})] == [UNKNOWN_FACT]


@pytest.mark.parametrize(("code", "name"), [("TEST1", "test-new"), ("TEST9", "test-items")])
def test_codes_and_names_are_taken_once(code: str, name: str) -> None:
    with pytest.raises(ValueError, match="two rules are called"):
        rule(code, name, on=HERE)(refused.check)


def test_every_rule_is_asked_by_a_scope_that_it_names() -> None:
    for each in all_rules().values():
        assert all(each in scope.rules for scope in each.scopes), each.code


def test_the_order_of_rules_is_that_of_the_modules() -> None:
    for scope in (SPEC, ADMISSION, LINT):
        homes = [each.check.__module__ for each in scope.rules]
        assert list(dict.fromkeys(homes)) == [name for name in scope.modules if name in homes]
