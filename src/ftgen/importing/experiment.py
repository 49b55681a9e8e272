"""The imported job as files: an option of the group `experiment`, and its overlay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ftgen import yamlio
from ftgen.diagnostics import Diagnostic, Rejected, Severity, note
from ftgen.importing.proposal import Proposal
from ftgen.rules import RULES

_INTERPOLATION = re.compile(r"(\\*)\$\{")


def files(proposal: Proposal, documents: Sequence[Any]) -> dict[str, bytes]:
    """`conf/experiment/<name>.yaml`, and `overlays/experiment/<name>/residual.yaml` where something remains."""
    conf = f"# @package _global_\n# Imported from {proposal.source}.\n{yamlio.dump(_content(proposal))}"
    written = {f"conf/experiment/{proposal.name}.yaml": conf}
    if documents:
        head = f"# What {proposal.source} has, and the choices of conf/experiment/{proposal.name}.yaml do not say.\n"
        text = head + "---\n".join(map(yamlio.dump, documents))
        written[f"overlays/experiment/{proposal.name}/residual.yaml"] = text
    return {path: text.encode() for path, text in written.items()}


_Result = TypeVar("_Result")


def settle(proposal: Proposal, compile_: Callable[[Proposal], _Result]) -> tuple[Proposal, _Result, list[Diagnostic]]:
    """The most of a proposal that compiles, what it compiles to, and what was left out.

    Raises:
        Rejected: when not even the defaults compile.
    """
    left_out: list[Diagnostic] = []
    while True:
        try:
            return proposal, compile_(proposal), left_out
        except Rejected as rejected:
            smaller, noticed = _smaller(proposal, rejected)
            if smaller == proposal:
                raise
            proposal, left_out = smaller, [*left_out, *noticed]


def _smaller(proposal: Proposal, rejected: Rejected) -> tuple[Proposal, list[Diagnostic]]:
    """The proposal without what was refused; what is refused of the job itself is accepted, and told."""
    noticed: list[Diagnostic] = []
    for problem in (each for each in rejected.diagnostics if each.severity is Severity.ERROR):
        fewer = proposal.without(problem.subject) if problem.subject else proposal
        if fewer != proposal:
            told = f"{problem.subject} is left to the overlay: {problem.headline}"
            noticed.append(note("FT542", told, problem.subject))
        elif _is_judgement(problem):
            fewer = proposal.allowing(problem.code)
            noticed.append(replace(problem, severity=Severity.WARNING))
        proposal = fewer
    return proposal, noticed


def _is_judgement(problem: Diagnostic) -> bool:
    """Whether it is a rule's verdict, which a configuration may accept: not a wrong shape, and no secret."""
    return problem.code in RULES and problem.code not in _NEVER


_NEVER = frozenset({"FT440", "FT441", "FT442"})
"""Secrets in a manifest."""


def _content(proposal: Proposal) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    if proposal.choices:
        nested["defaults"] = [{f"override /{group}": option} for group, option in proposal.choices.items()]
    for key, value in proposal.values.items():
        *parents, last = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = literal(value)
    return nested


def literal(value: Any) -> Any:
    """The value with `${` escaped: in a configuration it would be an interpolation of OmegaConf's."""
    if isinstance(value, str):
        return _INTERPOLATION.sub(lambda match: f"{match[1] * 2}\\${{", value)
    if isinstance(value, Mapping):
        return {key: literal(one) for key, one in value.items()}
    return [literal(one) for one in value] if isinstance(value, list) else value
