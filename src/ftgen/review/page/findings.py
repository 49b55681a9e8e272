"""Diagnostics of a page, with the rules that they speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.review.page.markup import Markup, join, short, tag
from ftgen.review.page.messages import Messages
from ftgen.review.page.tables import Column, Section, scrolled_table
from ftgen.validation.pages import Rule, rule_of

_LISTED = 100
_LONGEST = 600  # characters of a text
_GRAVITY = tuple(Severity)


def section(diagnostics: Sequence[Diagnostic], say: Messages) -> Section:
    """Return the diagnostics, the gravest first, and what their rules say; the page needs nothing from elsewhere."""
    if not diagnostics:
        return Section("findings", say("findings"), tag("p", say("findings.none")))
    found = sorted(dict.fromkeys(diagnostics), key=lambda each: _GRAVITY.index(each.severity))
    shown, caption = found[:_LISTED], say("findings.caption")
    rules = {code: rule for code in dict.fromkeys(each.code for each in shown) if (rule := rule_of(code))}
    body: list[object] = [scrolled_table(caption, _columns(shown, rules, say))]
    if len(shown) < len(found):
        body.append(tag("p", say("more", n=len(found) - len(shown), command="ftgen plan --format json")))
    if rules:
        summary = tag("summary", say("findings.rules"))
        note = tag("p", say("findings.read"), class_="hint")
        body.append(tag("details", summary, note, *(_explained(rule) for rule in rules.values())))
    return Section("findings", say("findings"), *body)


def _columns(shown: Sequence[Diagnostic], rules: Mapping[str, Rule], say: Messages) -> list[Column]:
    severities = [tag("span", say.term("severity", str(d.severity)), class_=str(d.severity)) for d in shown]
    return [
        Column(say("findings.code"), [_code(each.code, rules) for each in shown]),
        Column(say("findings.severity"), severities),
        Column(say("findings.text"), [_text(each) for each in shown]),
        Column(say("findings.place"), [_place(each) for each in shown]),
    ]


def _code(code: str, rules: Mapping[str, Rule]) -> Markup:
    return tag("a", code, href=f"#{code}") if code in rules else tag("span", code)


def _text(diagnostic: Diagnostic) -> Markup:
    help_ = tag("p", short(diagnostic.help, _LONGEST), class_="hint", lang="en") if diagnostic.help else ""
    return join([tag("p", short(diagnostic.headline, _LONGEST), lang="en"), help_])


def _place(diagnostic: Diagnostic) -> Markup:
    places = [str(place) for place in diagnostic.locations[:3]] or [diagnostic.subject]
    return join([tag("code", short(place, 160)) for place in places if place], tag("br"))


def _explained(rule: Rule) -> Markup:
    title = tag("h3", f"{rule.code} {rule.name}", id=rule.code, tabindex="-1", lang="en")
    return join([title, tag("pre", rule.text, lang="en")])
