"""`ftgen lock [OVERRIDES]`: ask what branches and tags stand for, and write the answers to `pins.yaml`.

Renders read that file.  Nothing is written where one reference cannot be resolved.

* FT766: a repository is a path of the pod, so that its revision is left as it is.
* FT784, FT785: see `ftgen.remote.locking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import pipeline
from ftgen.cli import many, output, progress, report, request
from ftgen.cli.arguments import Arguments, Usage, is_override
from ftgen.config import pins
from ftgen.config.compose import Composer, Composition, Moving
from ftgen.config.pins import PinFile, Pins, Reference
from ftgen.diagnostics import Diagnostic, credentials, error, require, warning
from ftgen.output import tree
from ftgen.remote import locking
from ftgen.remote.locking import Answer, Registries, Unresolved
from ftgen.remote.locking.repository import is_in_pod
from ftgen.spec import admit
from ftgen.text import files
from ftgen.validation import unreported
from ftgen.validation.moving import moving
from ftgen.validation.rules import secrets


class Asked(Struct, frozen=True):
    """Reference to ask about, where it was found first.

    Attributes:
        moving: the reference, and the key or path that holds it.
        overrides: command line of the job that holds it.
    """

    moving: Moving
    overrides: tuple[str, ...]


class Change(Struct, frozen=True):
    """New pin of a reference; `old` is the one before, empty for none."""

    asked: Asked
    old: str
    new: str

    @property
    def kind(self) -> str:
        """Return what becomes of the pin."""
        return "unchanged" if self.old == self.new else "updated" if self.old else "added"


def run(arguments: Arguments) -> int:
    """Resolve the references and write the file; with --check return 1 if that would change it."""
    if named := [word for word in arguments.overrides if not is_override(word)]:
        shown = report.redacted_override(named[0])
        raise Usage(f"lock takes overrides, and {shown!r} is none; `--upgrade-only` names what to ask about again")
    with request.open_composer(arguments) as composer:
        file, path = composer.pin_file, _path(composer)
    kept = _kept(file.pins, arguments)
    with request.open_composer(arguments, pins=kept) as composer:
        asked = _collected(composer, arguments)
        changes, problems = _resolved(asked, file.pins, composer, arguments)
    output.print_diagnostics(output.apply_strict(problems, arguments), arguments)
    return _conclude(changes, file, path, arguments)


def _path(composer: Composer) -> Path:
    """Return the file to write: in the first folder of the search path that is the user's own."""
    wanted = composer.request
    named = [*wanted.config_dirs, *([wanted.config_path] if wanted.config_path else [])]
    return (named[0] if named else files.unnamed_folder(wanted.directory / "conf")) / pins.FILE


def _kept(recorded: Pins, arguments: Arguments) -> Pins:
    """Return the pins that are not asked about again."""
    flags = arguments.flags
    patterns = ["*"] if flags.upgrade else flags.upgrade_only
    if lost := [p for p in flags.upgrade_only if not any(fnmatchcase(ref.name, p) for ref in recorded)]:
        raise Usage(
            f"no pin is of {lost[0]!r}: name a repository's URL or an image as {pins.FILE} has it; * is anything"
        )
    return {ref: pin for ref, pin in recorded.items() if not any(fnmatchcase(ref.name, p) for p in patterns)}


def _collected(composer: Composer, arguments: Arguments) -> list[Asked]:
    """Return the movable references of the job or the sweep, each once; to warn of the rest is a render's business.

    Raises:
        Rejected: the configuration does not compile.
    """
    if request.is_sweep(arguments, composer):
        batch = many.expanded(arguments, composer)
        asked = [Asked(each, job.identity.overrides) for job in batch for each in job.moving]
        return _unique(asked)
    composition = composer.compose(composer.parse(arguments.overrides))
    if composition.config.get("serving") is not None:
        # The run that is to be served is not named: its configuration says what serves it.
        return [Asked(each, arguments.overrides) for each in _of_service(composition)]
    return [Asked(each, arguments.overrides) for each in pipeline.compile_job(composer, arguments.overrides).moving]


def _of_service(composition: Composition) -> tuple[Moving, ...]:
    """Return the movable references of a configuration that serves, of which nothing but the secrets was judged.

    Raises:
        Rejected: a reference, or what the environment gives, holds a secret, which the file of pins would repeat.
    """
    spec = admit(composition.config)
    references = moving(composition.config, composition.choices)
    written = {"references": [each.reference._asdict() for each in references]}
    found = secrets.attribute_to_keys(secrets.scan(written), composition.config)
    require([*pipeline.validate_environment(composition, spec), *unreported(found, spec.accepted)])
    return references


def _unique(asked: Iterable[Asked]) -> list[Asked]:
    found = dict[Reference, Asked]()
    for each in asked:
        found.setdefault(each.moving.reference, each)
    return list(found.values())


# --- answers -------------------------------------------------------------------------------------------


def _resolved(
    asked: Sequence[Asked], recorded: Pins, composer: Composer, arguments: Arguments
) -> tuple[list[Change], list[Diagnostic]]:
    """Ask about the references; return the new pins, and diagnostics about those that nobody answers."""
    in_pod = {each.moving.reference for each in asked if _is_in_pod(each.moving.reference)}
    outcomes = dict(
        _answers([each.moving.reference for each in asked if each.moving.reference not in in_pod], arguments)
    )
    changes, problems = list[Change](), list[tuple[Asked, Diagnostic]]()
    for each in asked:
        match outcomes.get(each.moving.reference):
            case Answer(pin, doubt, help_):
                changes.append(Change(each, recorded.get(each.moving.reference, ""), pin))
                problems += [(each, warning("FT785", doubt, help=help_))] if doubt else []
            case Unresolved() as problem:
                headline = f"{each.moving.reference} cannot be resolved: {problem.reason}"
                problems.append((each, error("FT784", headline, help=problem.help)))
            case _:
                headline = f"{each.moving.reference} is a path of the pod, which nobody here can ask"
                problems.append((each, warning("FT766", headline, help="write the whole commit as its revision")))
    return changes, [_located(asked, problem, composer, arguments) for asked, problem in problems]


def _is_in_pod(reference: Reference) -> bool:
    return reference.kind == "git" and is_in_pod(reference.name)


def _answers(references: Sequence[Reference], arguments: Arguments) -> Iterator[tuple[Reference, Answer | Unresolved]]:
    meter = progress.Meter("asking", "references", arguments, len(references))
    try:
        registries = Registries(insecure=frozenset(arguments.flags.insecure_registry))
        for done, outcome in enumerate(locking.resolved(references, registries), 1):
            meter(done)
            yield outcome
    finally:
        meter.end()


def _located(asked: Asked, problem: Diagnostic, composer: Composer, arguments: Arguments) -> Diagnostic:
    """Locate a diagnostic where the job that holds the reference says it."""
    subject = replace(problem, subject=asked.moving.subject, value=_value(asked.moving.reference))
    (located,) = request.add_locations(composer, replace(arguments, overrides=asked.overrides), [subject])
    return located


def _value(reference: Reference) -> str:
    return reference.revision if reference.kind == "git" else reference.name


# --- what is written and printed -----------------------------------------------------------------------


def _conclude(changes: Sequence[Change], file: PinFile, path: Path, arguments: Arguments) -> int:
    real = [change for change in changes if change.old != change.new]
    shown, is_check = files.displayed(path, Path()), arguments.flags.check
    if real and not is_check:
        # Read again: the answers took their time, and another process may have added its own meanwhile.
        with request.open_composer(arguments) as composer:
            recorded = composer.pin_file.pins
        merged = {**recorded, **{change.asked.moving.reference: change.new for change in real}}
        content = pins.file_text(merged).encode()
        tree.apply(tree.plan_copy(path.parent, {path.name: content}, overwrite=True))
    for change in real:
        shown_reference = _shown(change.asked.moving.reference)
        output.print_status(f"{change.kind:>9}  {shown_reference}  {_short(change)}", arguments)
    output.print_status(_summary(real, len(file.pins), shown, is_check=is_check), arguments)
    if arguments.flags.json:
        output.print_document(document(changes, shown), arguments)
    return int(bool(real and is_check))


def _summary(real: Sequence[Change], before: int, shown: str, *, is_check: bool) -> str:
    added = sum(not change.old for change in real)
    if not real:
        return f"{shown} has a pin for everything that could move" if before else "nothing could move"
    counts = ", ".join(f"{n} {what}" for n, what in ((added, "added"), (len(real) - added, "updated")) if n)
    return f"{shown}: {counts}{', nothing was written' if is_check else ''}"


_DIGITS = 12


def _short(change: Change) -> str:
    new, old = (text.removeprefix("sha256:")[:_DIGITS] for text in (change.new, change.old))
    return f"{old} → {new}" if old else new


def document(changes: Sequence[Change], path: str) -> Mapping[str, Any]:
    """Return the answers as JSON values."""
    return {"file": path, "references": [_plain(change) for change in changes]}


def _plain(change: Change) -> dict[str, Any]:
    reference = _shown(change.asked.moving.reference)
    return {
        "kind": reference.kind,
        "name": reference.name,
        "revision": reference.revision or None,
        "subject": change.asked.moving.subject,
        "change": change.kind,
        "old": change.old or None,
        "new": change.new,
    }


def _shown(reference: Reference) -> Reference:
    """Return a reference as it is printed, without a secret that the configuration accepts."""
    return reference._replace(
        name=str(credentials.redact_value(reference.name)), revision=str(credentials.redact_value(reference.revision))
    )
