"""Conditions over configuration keys: comparisons, `and`, `or`, `not` and `in`, without running code.

    trainer.lr >= 2e-4 and hardware == 'ascend'

A dotted key stands for the configuration's value, the name of a group for its chosen option.  Python's parser
parses the text, but only the syntax nodes listed here are accepted.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Rejected, error

Lookup = Callable[[str], Any]
Term = Callable[[Lookup], Any]
_LONGEST = 2000
_ORDERED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNORDERED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda item, many: item in many,
    ast.NotIn: lambda item, many: item not in many,
}
_SYNTAX = "keys, values, comparisons, and, or, not, in"
_CONSTANTS = {"true": True, "false": False, "null": None}


class Condition(Struct, frozen=True):
    """Parsed condition.

    Attributes:
        text: condition as written.
        names: keys that it reads.
    """

    text: str
    names: frozenset[str]
    _evaluate: Term

    def holds(self, lookup: Lookup) -> bool:
        """Return whether it is true for the values that `lookup` returns.

        Raises:
            Rejected: FT032, if two values cannot be compared.
        """
        try:
            return bool(self._evaluate(lookup))
        except TypeError as problem:
            raise _refused(self.text, f"cannot be evaluated: {problem}") from None


def parse(text: str) -> Condition:
    """Parse a condition.

    Raises:
        Rejected: FT032, if it is no condition.
    """
    if len(text) > _LONGEST:
        raise _refused(text[:40] + "…", f"is longer than {_LONGEST} characters")
    names: set[str] = set()
    try:
        evaluate = _compiled(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, ValueError) as problem:
        raise _refused(text, f"is no condition: {getattr(problem, 'msg', problem)}") from None
    except (RecursionError, MemoryError):
        raise _refused(text[:40] + "…", "is nested too deeply") from None
    return Condition(text, frozenset(names), evaluate)


def _compiled(node: ast.expr, names: set[str]) -> Term:
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _key_or_constant(_dotted(node), names)
    if isinstance(node, ast.BoolOp):
        return _boolean(node.op, [_compiled(value, names) for value in node.values])
    if isinstance(node, ast.Compare):
        return _comparison_chain([_compiled(side, names) for side in (node.left, *node.comparators)], node.ops)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        negated = _compiled(node.operand, names)
        return lambda look: not negated(look)
    return _literal(node)


def _literal(node: ast.expr) -> Term:
    """Evaluate a literal: a number, a text or a list of them, without keys and calls."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{ast.unparse(node)!r} is not among {_SYNTAX}") from None
    if not isinstance(value, str | int | float | list | tuple | None):
        raise ValueError(f"{ast.unparse(node)!r} is not among {_SYNTAX}")  # noqa: TRY004 - about the text, not a type
    return lambda _: value


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise ValueError(f"{ast.unparse(node)!r} is no key")


def _key_or_constant(key: str, names: set[str]) -> Term:
    if key in _CONSTANTS:
        return lambda _: _CONSTANTS[key]
    names.add(key)
    return lambda look: look(key)


def _boolean(op: ast.boolop, parts: list[Term]) -> Term:
    every = all if isinstance(op, ast.And) else any
    return lambda look: every(part(look) for part in parts)


def _comparison_chain(sides: list[Term], ops: list[ast.cmpop]) -> Term:
    tests = [_comparison(op) for op in ops]

    def compare(look: Lookup) -> bool:
        values = [side(look) for side in sides]
        return all(test(a, b) for test, a, b in zip(tests, values, values[1:], strict=False))

    return compare


def _comparison(op: ast.cmpop) -> Callable[[Any, Any], bool]:
    if type(op) in _UNORDERED:
        return _UNORDERED[type(op)]
    if type(op) not in _ORDERED:
        raise ValueError("compare with ==, !=, <, <=, >, >=, in or not in")
    ordered = _ORDERED[type(op)]
    # None is neither above nor below any value.
    return lambda a, b: a is not None and b is not None and ordered(a, b)


def _refused(text: str, why: str) -> Rejected:
    how = "write comparisons of keys, such as trainer.lr > 1e-4 and hardware == 'ascend'"
    return Rejected([error("FT032", f"the condition {text!r} {why}", "sweep", text, how)])


def names(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the keys that the conditions read."""
    return frozenset(name for condition in conditions for name in condition.names)
