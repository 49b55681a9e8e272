"""One engine for all rules: what a rule is, what it may know, and the loop that asks."""

from ftgen.validation.context import Context, FactMissing, Queue
from ftgen.validation.engine import (
    RULES,
    UNKNOWN_FACT,
    Call,
    Finding,
    Found,
    Question,
    Rule,
    Scope,
    Undecided,
    codes_of,
    rule,
    unreported,
    validate,
)

__all__ = [
    "RULES",
    "UNKNOWN_FACT",
    "Call",
    "Context",
    "FactMissing",
    "Finding",
    "Found",
    "Question",
    "Queue",
    "Rule",
    "Scope",
    "Undecided",
    "codes_of",
    "rule",
    "unreported",
    "validate",
]
