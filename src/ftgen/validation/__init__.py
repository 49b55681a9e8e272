"""Engine of all rules: the rule, the context that it may read, and the loop that runs the rules."""

from ftgen.validation.context import Context, FactMissing
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
    is_among,
    rule,
    unreported,
    validate,
)
from ftgen.validation.inventory import Queue

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
    "is_among",
    "rule",
    "unreported",
    "validate",
]
