"""Match of pods and nodes by labels and taints, as the scheduler's filters decide it.

Sources: nodeaffinity of k8s.io/component-helpers (operators of node selectors), ToleratesTaint of k8s.io/api.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


def meets(operator: str, value: str | None, values: Sequence[str]) -> bool | None:
    """Return whether a label meets a requirement; None for an operator that is not known.

    Args:
        operator: operator of the requirement.
        value: value of the label; None where the node has none.
        values: values of the requirement; `Gt` and `Lt` compare whole numbers.
    """
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(value, values, operator)
        case _:
            return None


def _compares(value: str | None, bounds: Sequence[str], operator: str) -> bool:
    try:
        number, bound = int(value or ""), int(bounds[0])
    except (ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound


class Taint(NamedTuple):
    """Taint of a node."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class Toleration(NamedTuple):
    """Toleration of a pod; an empty key or effect stands for every one."""

    key: str
    operator: str
    value: str
    effect: str

    def accepts(self, taint: Taint) -> bool:
        """Return whether a pod with it may go to a node with the taint."""
        return (
            self.effect in ("", taint.effect)
            and self.key in ("", taint.key)
            and (self.operator not in ("", "Equal") or self.value == taint.value)
        )
