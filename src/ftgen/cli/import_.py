"""`ftgen import FILE [OVERRIDES…]`, `ftgen import -- docker run …`: an experiment and its leftover overlay."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import pipeline, schema
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.config import catalog
from ftgen.config.compose import Composer, hydra_literal
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, Severity, require
from ftgen.interop import importing
from ftgen.interop.importing import DockerRun, ImportedConfig, ManifestJob, Options, Word
from ftgen.lower.overlay import UNRESTRICTED, Declaration, Patch
from ftgen.pipeline import Compiled, Workspace
from ftgen.spec import admit
from ftgen.text import yamlio
from ftgen.validation import UNKNOWN_FACT, check, codes_of
from ftgen.validation.options import CheckOptions

_RELEASES = ("cluster.volcano_version", "cluster.kubernetes_version")


def run(arguments: Arguments) -> int:
    """Print the experiment and its overlay, or write them below a folder and print the command that renders them."""
    if not arguments.overrides:
        raise Usage("import takes the file of a VolcanoJob, or a command line: ftgen import -- docker run …")
    name, files = converted(arguments)
    command = f"ftgen +experiment={name}"
    if arguments.flags.out == "-":
        sys.stdout.write("".join(f"# {path}\n{content.decode()}" for path, content in files.items()))
        output.print_status(f"write both files with -o . and render them with: {command}", arguments)
    else:
        writing.write(files, arguments.out(), arguments)
        output.print_status(f"render it with: {command}", arguments)
    return 0


def converted(arguments: Arguments, directory: Path = Path()) -> tuple[str, dict[str, bytes]]:
    """Return the name of the experiment that a job or a command line becomes, and its files; print the diagnostics.

    Args:
        arguments: the command line.
        directory: folder that holds the user's own `conf/` and `overlays/`, in which the experiment will be rendered.
    """
    words = arguments.overrides
    with _located_overrides(words, arguments, directory) as (composer, overrides):
        imported, documents, diagnostics = _imported(words, composer, overrides, arguments)
    output.print_diagnostics(
        output.apply_strict(diagnostics, arguments), arguments, to_stderr=arguments.flags.out == "-"
    )
    return imported.name, importing.files(imported, documents)


_Imported = tuple[ImportedConfig, Sequence[Any], Sequence[Diagnostic]]


def _imported(words: Sequence[str], composer: Composer, overrides: Sequence[str], arguments: Arguments) -> _Imported:
    available = options(arguments)
    chosen = [word.partition("=")[2] for word in overrides if word.partition("=")[0] == "hardware"]
    hardware = chosen[-1] if chosen and chosen[-1] in available("hardware") else ""
    others = [word for word in overrides if not (hardware and word.partition("=")[0] == "hardware")]
    user = _User(composer, available, others, hardware)
    if _is_command(words):
        return _from_words(words, user)
    return _from_file(words[0], user)


class _User(Struct, frozen=True):
    """The user's configuration and overrides.

    Attributes:
        composer: composer for the user's directory.
        options: the options of each group.
        overrides: overrides of the command line, without `hardware`.
        hardware: hardware option that the user chose; empty for none.
    """

    composer: Composer
    options: Options
    overrides: Sequence[str]
    hardware: str

    def compiled(self, imported: ImportedConfig, documents: Sequence[Any] = ()) -> Compiled:
        """Compile an imported configuration with its overlay, which is not written yet."""
        words = (*selection(imported), *self.overrides)
        workspace = _WithLeftover(self.composer, documents)
        composition = self.composer.compose(self.composer.parse(words))
        try:
            return pipeline.compile_composition(composition, words, workspace)
        except Rejected as rejected:
            raise Rejected([_without_unwritten(problem) for problem in rejected.diagnostics]) from None

    def check_options(self) -> CheckOptions:
        """Return the options of a check of a manifest: the cluster of the user's overrides.

        Raises:
            Rejected: if the overrides compose to no valid configuration.
        """
        resolved = pipeline.resolve(admit(self.composer.compose(self.composer.parse(self.overrides)).config))
        cluster = resolved.spec.cluster
        require([d for d in pipeline.validate_configuration(resolved) if d.subject in _RELEASES])
        own = schema.imported(self.composer.request.directory)
        return CheckOptions(
            cluster.volcano_version,
            cluster.kubernetes_version or "",
            facts=cluster.facts,
            pod_security=cluster.pod_security,
            imported=own,
        )


@contextmanager
def _located_overrides(
    words: Sequence[str], arguments: Arguments, directory: Path
) -> Iterator[tuple[Composer, list[str]]]:
    """Yield a composer and the overrides among the words; locate their errors on the command line."""
    before, overrides = (0, _before_command(words)) if _is_command(words) else (1, list(words[1:]))
    try:
        # What is imported is compared with what it would render to: its image stays as it is written.
        typed = replace(arguments, overrides=tuple(overrides))
        with request.open_composer(typed, directory=directory, pins={}) as composer:
            yield composer, overrides
    except Rejected as rejected:
        raise Rejected([_shifted(problem, before) for problem in rejected.diagnostics]) from None


def _shifted(found: Diagnostic, words: int) -> Diagnostic:
    """Shift a diagnostic's locations from the overrides to all words of the command line."""
    shifted = (
        replace(at, line=at.line + words) if at.file == COMMAND_LINE and at.line else at for at in found.locations
    )
    return found.at(*shifted)


def _from_file(file: str, user: _User) -> _Imported:
    text = yamlio.read_stdin() if file == "-" else yamlio.read_text(Path(file))
    name = "standard input" if file == "-" else Path(file).name
    if _is_command([text]):
        return _from_script(text, name if file == "-" else file, user)
    source = importing.read_manifest(text, name if file == "-" else file)
    try:
        return _from_manifest(source, name, user)
    except _JobRejected as job:
        raise Rejected([source.located(problem) for problem in job.rejected.diagnostics]) from None


class _JobRejected(Exception):  # noqa: N818 - a verdict, not a malfunction
    """Rejection of the imported job itself, not of the user's overrides."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected
        super().__init__(str(rejected))


@contextmanager
def _job_rejections() -> Iterator[None]:
    try:
        yield
    except Rejected as rejected:
        raise _JobRejected(rejected) from None


def _from_manifest(source: ManifestJob, name: str, user: _User) -> _Imported:
    check_options = user.check_options()
    with _job_rejections():
        checked = check.check_object(source.job, check_options, check.context_of(check_options))
        require([d for d in checked if d.severity is Severity.ERROR and not importing.is_acceptable(d)])
        imported = importing.from_manifest(source.job, name, user.options, user.hardware)
    subset, plain, dropped = importing.compile_subset(imported, user.compiled)
    documents = importing.leftover_overlay(plain.bundle.job, source.job, plain.spec.cluster.volcano_version)
    # Compile again with the overlay: allow and report the errors of the imported job as it is.
    with _job_rejections():
        config, compiled, allowed = importing.compile_allowing_errors(subset, lambda one: user.compiled(one, documents))
    reported = _without_repeats(checked, [*allowed, *compiled.diagnostics])
    diagnostics = [*source.others, *(source.located(problem) for problem in (*dropped, *reported))]
    return config.without_defaults(_defaults(config, user.composer)), documents, diagnostics


def _without_repeats(checked: Sequence[Diagnostic], rendered: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the file's diagnostics, errors as warnings, and those of rendering whose code is not among them."""
    codes = {code for d in checked for code in codes_of(d.code)}
    warnings = [replace(d, severity=Severity.WARNING) if d.severity is Severity.ERROR else d for d in checked]
    return [
        *(d for d in warnings if d.code != UNKNOWN_FACT),
        *(d for d in rendered if d.code not in codes),
    ]


def _before_command(words: Sequence[str]) -> list[str]:
    """Return the overrides before a command line that the shell has split, without environment variables."""
    before = words[: _program(words)]
    if len(before) == len(words):
        return []
    return [word for word in before if "=" in word and not re.match(r"[A-Z_0-9]+=", word)]


def _program(words: Sequence[str]) -> int:
    """Return the position of docker among the words; their number if they are one text."""
    return next((i for i, word in enumerate(words) if word.rpartition("/")[2] in importing.PROGRAMS), len(words))


def _from_words(words: Sequence[str], user: _User) -> _Imported:
    start = _program(words)
    if start == len(words):
        return _from_script(" ".join(words), COMMAND_LINE, user)
    located = [Word(word, Location(COMMAND_LINE, number)) for number, word in enumerate(words, 1)]
    return _from_run(importing.parse_docker_run(located[start:]), (), user)


def _from_script(text: str, file: str, user: _User) -> _Imported:
    run, notes = importing.read_command(text, file)
    return _from_run(run, notes, user)


def _from_run(run: DockerRun, notes: Sequence[Diagnostic], user: _User) -> _Imported:
    user.check_options()  # errors of the overrides come before those of the command line
    result = importing.from_docker_run(run, user.options, user.hardware)
    try:
        config, compiled, allowed = importing.compile_allowing_errors(
            result.config, lambda one: user.compiled(one, result.documents)
        )
    except Rejected as rejected:
        unprivileged, warnings = result.without(rejected.diagnostics)
        if not warnings:
            raise Rejected([result.located(problem) for problem in rejected.diagnostics]) from None
        return _from_run(unprivileged, [*notes, *warnings], user)
    located = map(result.located, dict.fromkeys((*allowed, *compiled.diagnostics)))
    diagnostics = [*notes, *result.diagnostics, *dict.fromkeys(located)]
    return config.without_defaults(_defaults(config, user.composer)), result.documents, diagnostics


class _Unwritten(Patch, frozen=True):
    """A document of an overlay that is not written yet."""

    def at(self, path: tuple[str | int, ...] = ()) -> Location:
        """Return the file to be written; a path in it has no line yet."""
        del path
        return Location(str(self.file))


def _without_unwritten(found: Diagnostic) -> Diagnostic:
    """Remove locations in the file that is not written yet, so that the diagnostic is located in the source."""
    return found.at(*(at for at in found.locations if at.file != str(_UNWRITTEN)))


_UNWRITTEN = Path("residual.yaml")


class _WithLeftover(Workspace):
    """A workspace with the overlay that the import is about to write."""

    def __init__(self, composer: Composer, documents: Sequence[Any]) -> None:
        super().__init__(composer)
        scope = Declaration.of(UNRESTRICTED)
        self._unwritten = [
            _Unwritten(_UNWRITTEN, document, "experiment", "imported", index, scope)
            for index, document in enumerate(documents)
        ]

    def patches(self, choices: Mapping[str, str], packs: tuple[str, ...] = ()) -> list[Patch]:
        return [*super().patches(choices, packs), *self._unwritten]

    def conflicts(self, patches: list[Patch], volcano_version: str) -> list[Diagnostic]:
        """Find conflicts of the other patches; this overlay overrides them by design."""
        return super().conflicts([patch for patch in patches if patch not in self._unwritten], volcano_version)


def _defaults(imported: ImportedConfig, composer: Composer) -> Mapping[str, Any]:
    """Compose the choices alone."""
    chosen = [f"{group}={option}" for group, option in imported.choices.items() if option != _COMMAND]
    config = composer.compose(composer.parse(chosen)).config
    # Keep all values of trainer=command, which does not compile with its defaults.
    return {**config, "trainer": {}} if _COMMAND in imported.choices.values() else config


_COMMAND = "command"


def _is_command(words: Sequence[str]) -> bool:
    """Return whether the words are a command line, split by the shell or one text, and no file."""
    return importing.is_command(" ".join(words))


def selection(imported: ImportedConfig) -> list[str]:
    """Return an imported configuration as overrides."""
    chosen = [f"{group}={option}" for group, option in imported.choices.items()]
    return [*chosen, *(f"{key}={hydra_literal(importing.literal(value))}" for key, value in imported.values.items())]


def options(arguments: Arguments) -> Options:
    """Return a function from a group to its options' content, on the search path of the flags."""
    places = arguments.search_path()

    @cache
    def of(group: str) -> Mapping[str, Mapping[str, Any]]:
        return catalog.contents(places, group)

    return of
