"""`ftgen import FILE [OVERRIDES…]`, `ftgen import -- docker run …`: an experiment and the overlay that remains."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ftgen import catalog, check, importing, pipeline, schema, yamlio
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.compose import Composer, hydra_literal
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, Severity, require
from ftgen.importing import DockerRun, ImportedConfig, ManifestJob, Options, Word
from ftgen.overlay import UNRESTRICTED, Declaration, Patch
from ftgen.pipeline import Compiled, Workspace
from ftgen.spec import admit
from ftgen.terms import CheckOptions
from ftgen.validation import UNKNOWN_FACT, codes_of


def run(arguments: Arguments) -> int:
    """Print the experiment and its overlay, or write them below a folder and tell the command that renders them."""
    words = arguments.overrides
    if not words:
        raise Usage("import takes the file of a VolcanoJob, or a command line: ftgen import -- docker run …")
    with _blamed(words, arguments) as (composer, overrides):
        imported, documents, noticed = _imported(words, composer, overrides, arguments)
    told = arguments
    output.tell(output.judged(noticed, told), told, beside=arguments.flags.out == "-")
    files = importing.files(imported, documents)
    render_it = f"ftgen +experiment={imported.name}"
    if arguments.flags.out == "-":
        sys.stdout.write("".join(f"# {path}\n{content.decode()}" for path, content in files.items()))
        output.say(f"write both files with -o . and render them with: {render_it}", told)
    else:
        writing.write(files, Path(arguments.flags.out), told)
        output.say(f"render it with: {render_it}", told)
    return 0


_Imported = tuple[ImportedConfig, Sequence[Any], Sequence[Diagnostic]]


def _imported(words: Sequence[str], composer: Composer, overrides: Sequence[str], arguments: Arguments) -> _Imported:
    known = options(arguments)
    chosen = [word.partition("=")[2] for word in overrides if word.partition("=")[0] == "hardware"]
    hardware = chosen[-1] if chosen and chosen[-1] in known("hardware") else ""
    others = [word for word in overrides if not (hardware and word.partition("=")[0] == "hardware")]
    whose = _Whose(composer, known, others, hardware)
    if _is_command(words):
        return _from_words(words, whose)
    return _file(words[0], whose)


@dataclass(frozen=True, slots=True)
class _Whose:
    """For whom something is imported.

    Attributes:
        composer: composes for the user's directory.
        options: the options of each group.
        overrides: what the user says beside it.
        hardware: the option of the cards, where the user chose it.
    """

    composer: Composer
    options: Options
    overrides: Sequence[str]
    hardware: str

    def compiled(self, imported: ImportedConfig, documents: Sequence[Any] = ()) -> Compiled:
        """What a proposal with its overlay compiles to."""
        words = (*selection(imported), *self.overrides)
        workspace = _WithResidual(self.composer, documents)
        composition = self.composer.compose(self.composer.parse(words))
        try:
            return pipeline.compile_composition(composition, words, workspace)
        except Rejected as rejected:
            raise Rejected([_placeless(each) for each in rejected.diagnostics]) from None

    def terms(self) -> CheckOptions:
        """What a manifest is judged by: the cluster of the user's overrides.

        Raises:
            Rejected: when the overrides make no configuration.
        """
        resolved = pipeline.resolve(admit(self.composer.compose(self.composer.parse(self.overrides)).config))
        cluster = resolved.spec.cluster
        require([d for d in pipeline.validate_configuration(resolved) if d.subject == "cluster.volcano_version"])
        own = schema.imported(self.composer.request.directory)
        return CheckOptions(
            cluster.volcano_version, facts=cluster.facts, pod_security=cluster.pod_security, imported=own
        )


@contextmanager
def _blamed(words: Sequence[str], arguments: Arguments) -> Iterator[tuple[Composer, list[str]]]:
    """A composer, and the overrides among the words, whose mistakes are told at their place on the command line."""
    before, overrides = (0, _before_command(words)) if _is_command(words) else (1, list(words[1:]))
    told = replace(arguments, overrides=tuple(overrides))
    try:
        with request.located(told) as composer:
            yield composer, overrides
    except Rejected as rejected:
        raise Rejected([_moved(each, before) for each in rejected.diagnostics]) from None


def _moved(found: Diagnostic, places: int) -> Diagnostic:
    """A diagnostic about the overrides alone, counted among all words of the command line."""
    moved = (
        replace(at, line=at.line + places) if at.file == COMMAND_LINE and at.line else at for at in found.locations
    )
    return found.at(*moved)


def _file(file: str, whose: _Whose) -> _Imported:
    text = yamlio.read_stdin() if file == "-" else yamlio.read_text(Path(file))
    name = "standard input" if file == "-" else Path(file).name
    if _is_command([text]):
        return _docker(text, name if file == "-" else file, whose)
    wanted = importing.read_manifest(text, name if file == "-" else file)
    try:
        return _manifest(wanted, name, whose)
    except _Judged as judged:
        raise Rejected([wanted.located(each) for each in judged.rejected.diagnostics]) from None


class _Judged(Exception):  # noqa: N818 - a verdict, not a malfunction
    """The imported job itself was rejected, not the configuration beside it."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected
        super().__init__(str(rejected))


@contextmanager
def _judging() -> Iterator[None]:
    try:
        yield
    except Rejected as rejected:
        raise _Judged(rejected) from None


def _manifest(wanted: ManifestJob, name: str, whose: _Whose) -> _Imported:
    terms = whose.terms()
    with _judging():
        found = check.check_object(wanted.job, terms, check.context_of(terms))
        require([d for d in found if d.severity is Severity.ERROR and not importing.is_acceptable(d)])
        imported = importing.from_manifest(wanted.job, name, whose.options, whose.hardware)
    settled, plain, left_out = importing.compile_subset(imported, whose.compiled)
    documents = importing.leftover_overlay(plain.bundle.job, wanted.job, plain.spec.cluster.volcano_version)
    # The same again with the overlay: what the checks say of the imported job as it is, is accepted and told.
    with _judging():
        accepted, compiled, verdicts = importing.compile_allowing_errors(
            settled, lambda one: whose.compiled(one, documents)
        )
    told = _together(found, [*verdicts, *compiled.diagnostics])
    noticed = [*wanted.others, *(wanted.located(each) for each in (*left_out, *told))]
    return accepted.without_defaults(_defaults(accepted, whose.composer)), documents, noticed


def _together(judged: Sequence[Diagnostic], rendered: Sequence[Diagnostic]) -> list[Diagnostic]:
    """What `check` says of the file, as warnings, and what rendering says beyond it; each code by one of them."""
    said = {code for d in judged for code in codes_of(d.code)}
    checked = [replace(d, severity=Severity.WARNING) if d.severity is Severity.ERROR else d for d in judged]
    return [
        *(d for d in checked if d.code != UNKNOWN_FACT),
        *(d for d in rendered if d.code not in said),
    ]


def _before_command(words: Sequence[str]) -> list[str]:
    """The overrides before a command line that the shell has split; variables of its environment are none."""
    own = words[: _program(words)]
    return [word for word in own if "=" in word and not re.match(r"[A-Z_0-9]+=", word)] if len(own) < len(words) else []


def _program(words: Sequence[str]) -> int:
    """The position of docker among the words; their number where they are one text."""
    return next((i for i, word in enumerate(words) if word.rpartition("/")[2] in importing.PROGRAMS), len(words))


def _from_words(words: Sequence[str], whose: _Whose) -> _Imported:
    begins = _program(words)
    if begins == len(words):
        return _docker(" ".join(words), COMMAND_LINE, whose)
    placed = [Word(word, Location(COMMAND_LINE, place)) for place, word in enumerate(words, 1)]
    return _run(importing.parse_docker_run(placed[begins:]), (), whose)


def _docker(text: str, file: str, whose: _Whose) -> _Imported:
    run, beyond = importing.read_command(text, file)
    return _run(run, beyond, whose)


def _run(run: DockerRun, beyond: Sequence[Diagnostic], whose: _Whose) -> _Imported:
    whose.terms()  # a mistake in the overrides is told before one of the command line
    taken = importing.from_docker_run(run, whose.options, whose.hardware)
    try:
        accepted, compiled, verdicts = importing.compile_allowing_errors(
            taken.config, lambda one: whose.compiled(one, taken.documents)
        )
    except Rejected as rejected:
        smaller, told = taken.without(rejected.diagnostics)
        if not told:
            raise Rejected([taken.located(each) for each in rejected.diagnostics]) from None
        return _run(smaller, [*beyond, *told], whose)
    found = map(taken.located, dict.fromkeys((*verdicts, *compiled.diagnostics)))
    noticed = [*beyond, *taken.diagnostics, *dict.fromkeys(found)]
    return accepted.without_defaults(_defaults(accepted, whose.composer)), taken.documents, noticed


class _Unwritten(Patch):
    """A document of an overlay that is about to be written: it stands nowhere yet."""

    def at(self, path: tuple[str | int, ...] = ()) -> Location:
        """The file that it will stand in."""
        del path
        return Location(str(self.file))


def _placeless(found: Diagnostic) -> Diagnostic:
    """A diagnostic without places in a file that is not written yet: what was imported has the place."""
    return found.at(*(at for at in found.locations if at.file != str(_RESIDUAL)))


_RESIDUAL = Path("residual.yaml")


class _WithResidual(Workspace):
    """A workspace with the overlay that the import is about to write."""

    def __init__(self, composer: Composer, documents: Sequence[Any]) -> None:
        super().__init__(composer)
        meant = Declaration.of(UNRESTRICTED)
        self._residual = [_Unwritten(_RESIDUAL, d, "experiment", "imported", i, meant) for i, d in enumerate(documents)]

    def patches(self, choices: Mapping[str, str], packs: tuple[str, ...] = ()) -> list[Patch]:
        return [*super().patches(choices, packs), *self._residual]

    def conflicts(self, patches: list[Patch], volcano_version: str) -> list[Diagnostic]:
        """The overlay has the last word by design."""
        return super().conflicts([patch for patch in patches if patch not in self._residual], volcano_version)


def _defaults(imported: ImportedConfig, composer: Composer) -> Mapping[str, Any]:
    """What the choices alone compose to."""
    chosen = [f"{group}={option}" for group, option in imported.choices.items() if option != _COMMAND]
    config = composer.compose(composer.parse(chosen)).config
    # An option that cannot do without a value has no defaults worth leaving out.
    return {**config, "trainer": {}} if _COMMAND in imported.choices.values() else config


_COMMAND = "command"


def _is_command(words: Sequence[str]) -> bool:
    """Whether it is a command line, split by the shell or one text, and no file."""
    return importing.is_command(" ".join(words))


def selection(imported: ImportedConfig) -> list[str]:
    """The proposal as overrides."""
    chosen = [f"{group}={option}" for group, option in imported.choices.items()]
    return [*chosen, *(f"{key}={hydra_literal(importing.literal(value))}" for key, value in imported.values.items())]


def options(arguments: Arguments) -> Options:
    """The options of each group with their content, as the flags say where to look."""
    places = arguments.places()

    @cache
    def of(group: str) -> Mapping[str, Mapping[str, Any]]:
        return {option: catalog.content(places, group, option) for option in catalog.options(places, group)}

    return of
