"""The imported job as files: an option of the group `experiment`, and its overlay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ftgen import overlay, yamlio
from ftgen.diagnostics import Diagnostic, Rejected, Severity, note
from ftgen.importing.proposal import ImportedConfig
from ftgen.rules import SECRETS
from ftgen.trainers.setting import EXPORT, TRAINING
from ftgen.validation import RULES

_INTERPOLATION = re.compile(r"(\\*)\$\{")


def files(imported: ImportedConfig, documents: Sequence[Any]) -> dict[str, bytes]:
    """`conf/experiment/<name>.yaml`, and `overlays/experiment/<name>/residual.yaml` where something remains."""
    conf = f"# @package _global_\n# Imported from {imported.source}.\n{yamlio.dump(_content(imported))}"
    written = {f"conf/experiment/{imported.name}.yaml": conf}
    if documents:
        head = f"# What {imported.source} has, and the choices of conf/experiment/{imported.name}.yaml do not say.\n"
        text = head + "---\n".join(map(yamlio.dump, documents))
        written[f"overlays/experiment/{imported.name}/residual.yaml"] = text
        meant = "# The job is as it was imported: its overlay adds and replaces what it has.\n"
        written[f"overlays/experiment/{imported.name}/overlay.yaml"] = meant + yamlio.dump(overlay.UNRESTRICTED)
    return {path: text.encode() for path, text in written.items()}


_Result = TypeVar("_Result")


def compile_subset(
    imported: ImportedConfig, compile_: Callable[[ImportedConfig], _Result]
) -> tuple[ImportedConfig, _Result, list[Diagnostic]]:
    """The most of a proposal that compiles, what it compiles to, and what was left to the overlay.

    Raises:
        Rejected: when not even the defaults compile.
    """
    left: list[Diagnostic] = []
    while True:
        try:
            return imported.without_allowances(), compile_(imported), left
        except Rejected as rejected:
            smaller = _smaller(imported, rejected, left)
            if smaller == imported:
                raise
            imported = smaller


def _smaller(imported: ImportedConfig, rejected: Rejected, left: list[Diagnostic]) -> ImportedConfig:
    """The proposal without what was refused; a verdict on the job of the choices alone is none on the imported one."""
    smaller = imported
    for problem in _errors(rejected):
        fewer = smaller.without(problem.subject) if problem.subject else smaller
        if fewer != smaller:
            told = f"{problem.subject} is left to the overlay: {problem.headline}"
            left.append(note("FT542", told, problem.subject))
        elif is_acceptable(problem):
            fewer = smaller.allowing(problem.code)
        smaller = fewer
    return imported.without_last_value() if smaller == imported else smaller


def compile_allowing_errors(
    imported: ImportedConfig, compile_: Callable[[ImportedConfig], _Result]
) -> tuple[ImportedConfig, _Result, list[Diagnostic]]:
    """The whole proposal with every verdict accepted that it can be, what it compiles to, and those verdicts.

    Raises:
        Rejected: with what nobody can accept: a wrong shape, a secret, what the cluster's admission denies.
    """
    accepted: list[Diagnostic] = []
    while True:
        try:
            return imported, compile_(imported), accepted
        except Rejected as rejected:
            refused = [problem for problem in _errors(rejected) if not is_acceptable(problem)]
            if refused:
                raise Rejected(refused) from None
            accepted += [replace(problem, severity=Severity.WARNING) for problem in _errors(rejected)]
            larger = imported
            for problem in _errors(rejected):
                larger = larger.allowing(problem.code)
            if larger == imported:
                raise
            imported = larger


def _errors(rejected: Rejected) -> list[Diagnostic]:
    return [each for each in rejected.diagnostics if each.severity is Severity.ERROR]


def is_acceptable(problem: Diagnostic) -> bool:
    """Whether a configuration may accept it with a reason: a rule's verdict, by nobody's admission, and no secret."""
    broken = RULES.get(problem.code)
    return broken is not None and not broken.denied and problem.code != "FT284" and _NEVER.isdisjoint(broken.scopes)


_NEVER = frozenset((SECRETS, TRAINING, EXPORT))
"""Scopes of what nobody accepts in passing: secrets in a manifest, and arguments that the trainer itself refuses."""


def _content(imported: ImportedConfig) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    if imported.choices:
        nested["defaults"] = [{f"override /{group}": option} for group, option in imported.choices.items()]
    for key, value in imported.values.items():
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
