"""Files of an imported job: an option of the group `experiment`, and its overlay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, Severity, note
from ftgen.interop import sections
from ftgen.interop.importing.proposal import ImportedConfig
from ftgen.lower import overlay
from ftgen.text import yamlio
from ftgen.validation import RULES
from ftgen.validation.rules import SECRETS
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING

_INTERPOLATION = re.compile(r"(?<!\\)(\\*)\$\{")


def files(imported: ImportedConfig, documents: Sequence[Any]) -> dict[str, bytes]:
    """Return `conf/experiment/<name>.yaml`, and `overlays/experiment/<name>/` with the documents if there are any."""
    conf = f"# @package _global_\n# Imported from {imported.source}.\n{yamlio.dump(_content(imported))}"
    written = {f"conf/experiment/{imported.name}.yaml": conf}
    if documents:
        head = f"# What {imported.source} has, and the choices of conf/experiment/{imported.name}.yaml do not say.\n"
        text = head + "---\n".join(map(yamlio.dump, documents))
        written[f"overlays/experiment/{imported.name}/residual.yaml"] = text
        comment = "# The job is as it was imported: its overlay adds and replaces what it has.\n"
        written[f"overlays/experiment/{imported.name}/overlay.yaml"] = comment + yamlio.dump(overlay.UNRESTRICTED)
    return {path: text.encode() for path, text in written.items()}


_Result = TypeVar("_Result")


def compile_subset(
    imported: ImportedConfig, compile_: Callable[[ImportedConfig], _Result]
) -> tuple[ImportedConfig, _Result, list[Diagnostic]]:
    """Drop rejected options and values until the rest compiles; return the rest, its result and a note for each drop.

    Raises:
        Rejected: if not even the defaults compile.
    """
    notes: list[Diagnostic] = []
    while True:
        try:
            return imported.without_allowances(), compile_(imported), notes
        except Rejected as rejected:
            smaller = _smaller(imported, rejected, notes)
            if smaller == imported:
                raise
            imported = smaller


def _smaller(imported: ImportedConfig, rejected: Rejected, notes: list[Diagnostic]) -> ImportedConfig:
    """Drop what errors are about, or allow them: without the overlay, the job is not yet the imported one."""
    smaller = imported
    for problem in _errors(rejected):
        fewer = smaller.without(problem.subject) if problem.subject else smaller
        if fewer != smaller:
            headline = f"{problem.subject} is left to the overlay: {problem.headline}"
            notes.append(note("FT542", headline, problem.subject))
        elif is_acceptable(problem):
            fewer = smaller.allowing(problem.code)
        smaller = fewer
    return imported.without_last_value() if smaller == imported else smaller


def compile_allowing_errors(
    imported: ImportedConfig, compile_: Callable[[ImportedConfig], _Result]
) -> tuple[ImportedConfig, _Result, list[Diagnostic]]:
    """Allow errors until the configuration compiles; return it, its result and the allowed errors as warnings.

    Raises:
        Rejected: with errors that no configuration may allow: a wrong shape, a secret, a denial by admission.
    """
    allowed: list[Diagnostic] = []
    while True:
        try:
            return imported, compile_(imported), allowed
        except Rejected as rejected:
            refused = [problem for problem in _errors(rejected) if not is_acceptable(problem)]
            if refused:
                raise Rejected(refused) from None
            allowed += [replace(problem, severity=Severity.WARNING) for problem in _errors(rejected)]
            larger = imported
            for problem in _errors(rejected):
                larger = larger.allowing(problem.code)
            if larger == imported:
                raise
            imported = larger


def _errors(rejected: Rejected) -> list[Diagnostic]:
    return [problem for problem in rejected.diagnostics if problem.severity is Severity.ERROR]


def is_acceptable(problem: Diagnostic) -> bool:
    """Return whether a configuration may allow an error: it is a rule's, no denial by admission, and no secret."""
    rule = RULES.get(problem.code)
    return rule is not None and not rule.denied and problem.code != "FT284" and _NEVER.isdisjoint(rule.scopes)


_NEVER = frozenset((SECRETS, TRAINING, EXPORT))
"""Scopes whose errors an import never allows: secrets in a manifest, and arguments that the trainer refuses."""


def _content(imported: ImportedConfig) -> dict[str, Any]:
    chosen = [{f"override /{group}": option} for group, option in imported.choices.items()]
    values = sections.nested({key: literal(value) for key, value in imported.values.items()})
    return {**({"defaults": chosen} if chosen else {}), **values}


def literal(value: Any) -> Any:
    """Escape `${` in a value, which OmegaConf would interpolate in a configuration."""
    if isinstance(value, str):
        return _INTERPOLATION.sub(lambda match: f"{match[1] * 2}\\${{", value)
    if isinstance(value, Mapping):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value
