"""Queues as Volcano's webhook checks them (pkg/webhooks/admission/queues/validate, validateQueue), by its release.

Not what takes the cluster's other queues to judge: whether the parent exists, and has room for its children.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.schema.version import Version
from ftgen.text.paths import child
from ftgen.text.shapes import amount, mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import QUEUE
from ftgen.validation.rules.resources import is_extended

_PATHS = {"capability": "spec.capability", "deserved": "spec.deserved", "guarantee": "spec.guarantee.resource"}
_BOUNDS = {"deserved": ("capability",), "guarantee": ("deserved", "capability")}
"""Amounts by those that they may not exceed."""
_NATIVE = ("cpu", "memory", "pods", "ephemeral-storage")
_COMPARED, _WHOLE, _BY_RESOURCE = (1, 13, 0), (1, 14, 0), (1, 14, 2)
"""Releases since which amounts are compared, each is one that a resource can have, and what no bound states is free."""

_Lists = Mapping[str, Mapping[str, Any]]


@rule("FT386", "contradictory-queue", on=QUEUE)
def contradictory_queue(queue: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """A Queue guarantees more than it deserves, deserves more than its capability, or is its own parent.

    Volcano's webhook compares these amounts since 1.13 (validateResourceOfQueue, since 1.14.2
    validateResourceQuantityOfQueue, in pkg/webhooks/admission/queues/validate). Since 1.14 it refuses negative ones and
    fractions of a card, and what is guaranteed must be deserved, too. Volcano 1.12 takes such a queue, which cannot
    have both.

    Refused: `capability: {nvidia.com/gpu: 4}` with `deserved: {nvidia.com/gpu: 8}`.
    Write: `deserved: {nvidia.com/gpu: 4}`, and a guarantee of no more than that.
    """
    name, spec = text(mapping(queue.get("metadata")).get("name")), mapping(queue.get("spec"))
    if name and name != "root" and spec.get("parent") == name:
        yield Finding("a queue cannot be its own parent", "spec.parent", name, "name another, or root")
    lists = {
        "capability": mapping(spec.get("capability")),
        "deserved": mapping(spec.get("deserved")),
        "guarantee": mapping(mapping(spec.get("guarantee")).get("resource")),
    }
    if context.version >= _WHOLE:
        yield from _odd_amounts(lists)
    yield from _excesses(lists, context.version)


def _odd_amounts(lists: _Lists) -> Iterator[Finding]:
    for kind, listed in lists.items():
        for name, value in listed.items():
            stated = amount(value)
            if stated is not None and (stated < 0 or (stated.denominator != 1 and is_extended(name))):
                problem = "must not be negative" if stated < 0 else f"{value} must be a whole number"
                yield Finding(f"{name} {problem}", child(_PATHS[kind], name), value)


def _excesses(lists: _Lists, version: Version) -> Iterator[Finding]:
    """Yield each amount that exceeds one of its bounds: a warning where only a later release refuses it."""
    severity, remark = (None, "") if version >= _COMPARED else (Severity.WARNING, ", which Volcano 1.13 refuses")
    for kind, bounds in _BOUNDS.items():
        for name, value in lists[kind].items():
            stated = amount(value)
            exceeded = [each for each in bounds if stated is not None and stated > _bound(lists, each, name, version)]
            if exceeded:
                most = lists[exceeded[0]].get(name, "none")
                headline = f"{kind} has {value} of {name}, and {exceeded[0]} has {most}{remark}"
                help_ = f"let {exceeded[0]} have as much, or {kind} less"
                yield Finding(headline, child(_PATHS[kind], name), value, help_, severity)


def _bound(lists: _Lists, kind: str, name: str, version: Version) -> Fraction | float:
    """Return the most of a resource that the webhook takes beside a list of amounts."""
    stated = amount(lists[kind].get(name))
    if stated is not None:
        return stated
    is_needed = kind == "deserved" and version >= _WHOLE
    if version >= _BY_RESOURCE:
        return 0 if is_needed else math.inf
    is_compared = version >= _COMPARED and (name in _NATIVE or is_extended(name))
    return 0 if is_compared and (is_needed or lists[kind]) else math.inf
