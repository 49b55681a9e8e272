"""Conditions over configuration keys: comparisons, `and`, `or`, `not` and `in`, without running code.

    trainer.lr >= 2e-4 and hardware == 'ascend'

A dotted key stands for the configuration's value, the name of a group for its chosen option.  Python's parser
parses the text, but only the syntax nodes listed here are accepted.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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
_SYNTAX = "keys, values, comparisons, and, or, not, in"
_CONSTANTS = {"true": True, "false": False, "null": None}
_WORDS = {value: word for word, value in _CONSTANTS.items()}


class Condition(Struct, frozen=True):
    """Parsed condition.

    Attributes:
        text: condition as written.
        names: keys that it reads.
        compared: keys that it compares with a value, or with one of a list, each with that value.
    """

    text: str
    names: frozenset[str]
    compared: tuple[tuple[str, Any], ...]
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
        tree = ast.parse(text.strip(), mode="eval").body
        evaluate = _compiled(tree, names)
    except (SyntaxError, ValueError) as problem:
        raise _refused(text, f"is no condition: {getattr(problem, 'msg', problem)}") from None
    except (RecursionError, MemoryError):
        raise _refused(text[:40] + "…", "is nested too deeply") from None
    return Condition(text, frozenset(names), tuple(_compared(tree)), evaluate)


def _compared(tree: ast.expr) -> Iterator[tuple[str, Any]]:
    """Yield the keys that are compared with literals for equality, each with every value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
                if type(op) in _UNORDERED:
                    yield from _compared_sides(left, right, many=isinstance(op, ast.In | ast.NotIn))


def _compared_sides(left: ast.expr, right: ast.expr, *, many: bool) -> Iterator[tuple[str, Any]]:
    key, other = (left, right) if many or isinstance(left, ast.Name | ast.Attribute) else (right, left)
    if isinstance(key, ast.Name | ast.Attribute) and not isinstance(other, ast.Name | ast.Attribute):
        with suppress(ValueError):  # no literal, but a comparison in parentheses
            value = ast.literal_eval(other)
            values = value if many and isinstance(value, list | tuple) else [] if many else [value]
            yield from ((_dotted(key), each) for each in values)


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


def _equal(a: Any, b: Any) -> bool:
    for text, value in ((a, b), (b, a)):
        if _spells(text, value):
            word = _WORDS[value] if value is None or isinstance(value, bool) else value
            raise TypeError(f"it compares the text {text!r} with {word}, which is no text")
    return bool(a == b)


def _is_in(item: Any, many: Any) -> bool:
    # A text holds the parts of it, and a mapping its keys.
    return item in many or (isinstance(many, list | tuple) and any(_equal(item, each) for each in many))


def _spells(text: Any, value: Any) -> bool:
    """Return whether a text is written like such a value as this one is, which is no text: they are never equal."""
    if not isinstance(text, str):
        return False
    if value is None or isinstance(value, bool):
        return text.lower() in _CONSTANTS and type(_CONSTANTS[text.lower()]) is type(value)
    return isinstance(value, int | float) and _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_UNORDERED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.In: _is_in,
    ast.NotIn: lambda item, many: not _is_in(item, many),
}


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
