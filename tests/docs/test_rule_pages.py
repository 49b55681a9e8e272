"""The rules' pages are what their docstrings say, and every hazard has its answer."""

import re

from tools import rule_pages as pages

from ftgen.text import yamlio


def test_pages_are_fresh(capsys):
    assert pages.main(["--check"]) == 0, capsys.readouterr().out


def test_every_page_says_what_is_refused_and_what_to_write():
    silent = [r.code for r in pages.rules() if not re.search(r"Refused:|Example:", r.text)]
    silent += [r.code for r in pages.rules() if not re.search(r"Write:|Instead:", r.text)]

    assert silent == []


def test_every_hazard_is_answered_by_rules_that_exist():
    rows = {hazard: said for part in yamlio.read(pages.TABLE).values() for hazard, said in part.items()}
    elsewhere = {"FT306", "FT513"}  # the schemas' own, the output tree's
    known = {r.code for r in pages.rules()} | elsewhere

    assert len(rows) == 148
    assert {code for said in rows.values() for code in pages.CODE.findall(said)} <= known
    assert all(said for said in rows.values())


def test_every_lint_rule_answers_a_hazard():
    from ftgen.validation.rules import LINT

    named = set(pages.CODE.findall(pages.TABLE.read_text(encoding="utf-8")))
    beyond_the_table = {"FT391", "FT392", "FT393", "FT394", "FT395", "FT396", "FT472", "FT498"}

    assert {r.code for r in LINT.rules} - named == beyond_the_table
