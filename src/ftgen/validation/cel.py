"""CEL as the API server evaluates it in admission policies; the only module that imports a CEL library.

The library is Google's own evaluator.  It checks types when it compiles, bounds the iterations of an evaluation, the
nesting and the length of an expression, and matches regular expressions in linear time, so that an expression from a
clone can neither hang nor crash ftgen.  Declared are the functions that the API server has as well: the standard ones,
those of strings, optional values, and Kubernetes' own for quantities and lists (k8s.io/apiserver/pkg/cel/library).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from ftgen.text import kube

_STRINGS = 2
"""Version of the functions of strings that the API server has since Kubernetes 1.29."""
_POSITION = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_STATUS = re.compile(r"\b[A-Z_]+: |\s*\[[A-Z_]+\]$")
_TYPES = {bool: cel.Type.BOOL, str: cel.Type.STRING}
_ANY = cel.Type.DYN
_GLOBAL = frozenset({"quantity", "isQuantity", "sign"})
_AMOUNT = re.compile(r"-?[0-9]{1,300}(?:/[0-9]{1,300})?")


class Problem(Exception):  # noqa: N818 - a verdict on an expression, not a malfunction
    """Reason why an expression does not compile or has no value; `line` and `column` count from 1 within its text."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        """Keep the message with its position."""
        super().__init__(message)
        self.line, self.column = line, column


class Expression:
    """Compiled expression over one variable."""

    def __init__(self, text: str, variable: str, result: type) -> None:
        """Compile a text.

        Args:
            text: the expression.
            variable: name of its variable, a value without a declared type.
            result: bool or str, the type of its value; as in the API server, a value of unknown type is refused.

        Raises:
            Problem: the text is no expression, or one of another type.
        """
        self._variable, self._result = variable, result
        try:
            self._compiled = _environment(variable).compile(text)
        except (RuntimeError, UnicodeEncodeError) as problem:
            raise _located(str(problem)) from None
        if (found := self._compiled.return_type()) != _TYPES[result]:
            wanted = _TYPES[result].name().lower()
            raise Problem(f"its value is of the type {found.name().lower()}, and {wanted} is needed")

    def value(self, subject: Any) -> Any:
        """Return the value for a subject, made of plain mappings, lists and scalars.

        Raises:
            Problem: the evaluation fails, as at a key that does not exist.
        """
        try:
            found = self._compiled.eval(data={self._variable: subject})
        except (RuntimeError, UnicodeEncodeError) as problem:
            raise Problem(_plain(str(problem))) from None
        value = found.plain_value()
        # An error of the evaluation is a value, too, whose plain value is its text.
        if found.type() == cel.Type.ERROR:
            raise Problem(_plain(str(value)))
        return value


@cache
def _environment(variable: str) -> cel.Env:
    extensions = [ext_strings.ExtStrings(_STRINGS), ext_optional.ExtOptional(), _kubernetes()]
    return cel.NewEnv(variables={variable: _ANY}, extensions=extensions)


def _located(text: str) -> Problem:
    found = _POSITION.search(text)
    if not found:
        return Problem(_plain(text))
    line, column, message = found.groups()
    return Problem(message.replace(" (in container '')", ""), max(1, int(line)), max(1, int(column)))


def _plain(text: str) -> str:
    """Return an error's text without the library's status codes."""
    return _STATUS.sub("", text.partition("\n")[0]).strip()


# --- Kubernetes' own functions -------------------------------------------------------------------------


def _function(name: str, result: cel.Type, implementation: Callable[..., Any], *parameters: cel.Type) -> Any:
    """Declare a function; all but a few are called on their first parameter."""
    overload = cel.Overload(f"ftgen_{name}", result, [*parameters], name not in _GLOBAL, implementation)
    return cel.FunctionDecl(name, [overload])


@cache
def _kubernetes() -> cel.CelExtension:
    """Return the functions of quantities and lists; a quantity is its exact amount, as text."""
    items, truth, number = cel.Type.List(_ANY), cel.Type.BOOL, cel.Type.INT
    functions = [
        _function("quantity", _ANY, _quantity, cel.Type.STRING),
        _function("isQuantity", truth, _is_quantity, cel.Type.STRING),
        _function("isGreaterThan", truth, lambda a, b: _amount(a) > _amount(b), _ANY, _ANY),
        _function("isLessThan", truth, lambda a, b: _amount(a) < _amount(b), _ANY, _ANY),
        _function("compareTo", number, _compared, _ANY, _ANY),
        _function("add", _ANY, lambda a, b: str(_amount(a) + _amount(b)), _ANY, _ANY),
        _function("sub", _ANY, lambda a, b: str(_amount(a) - _amount(b)), _ANY, _ANY),
        _function("sign", number, lambda a: _compared(a, "0"), _ANY),
        _function("isInteger", truth, lambda a: _amount(a).denominator == 1, _ANY),
        _function("asInteger", number, _whole, _ANY),
        _function("asApproximateFloat", cel.Type.DOUBLE, lambda a: float(_amount(a)), _ANY),
        _function("sum", _ANY, sum, items),
        _function("min", _ANY, min, items),
        _function("max", _ANY, max, items),
        _function("isSorted", truth, _is_sorted, items),
    ]
    return cel.CelExtension("kubernetes", functions)


def _quantity(text: str) -> str:
    return str(kube.parse_quantity(text))


def _is_quantity(text: str) -> bool:
    try:
        kube.parse_quantity(text)
    except ValueError:
        return False
    return True


def _amount(text: Any) -> Fraction:
    """Return the amount of a quantity; the text may be any other, as `1e999999999`, which would take hours."""
    if type(text) is int:  # as in quantity('1').add(2)
        return Fraction(text)
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(f"{str(text)[:40]!r} is no quantity: write quantity(…)")
    return Fraction(text)


def _compared(amount: str, other: str) -> int:
    difference = _amount(amount) - _amount(other)
    return (difference > 0) - (difference < 0)


def _whole(amount: str) -> int:
    if _amount(amount).denominator != 1:
        raise ValueError(f"{amount} is no integer")
    return int(_amount(amount))


def _is_sorted(items: Iterable[Any]) -> bool:
    listed = [*items]
    return listed == sorted(listed)
