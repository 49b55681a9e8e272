"""`ftgen import FILE [OVERRIDES…]`, `ftgen import -- docker run …`: an experiment and the overlay that remains."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ftgen import catalog, check, contract, importing, pipeline, yamlio
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.compose import Composer, spelled
from ftgen.diagnostics import Diagnostic, Severity, require
from ftgen.importing import Options, Proposal
from ftgen.lower import Object
from ftgen.overlay import Patch
from ftgen.pipeline import Beside, Compiled
from ftgen.rules import secrets


def run(arguments: Arguments) -> int:
    """Print the experiment and its overlay, or write them below a folder and tell the command that renders them."""
    words = arguments.overrides
    if not words:
        raise Usage("import takes the file of a VolcanoJob, or a command line: ftgen import -- docker run …")
    told = replace(arguments, overrides=())
    with request.located(told) as composer:
        proposal, documents, noticed = (
            _docker(words, composer, told) if _is_command(words) else _file(words, composer, told)
        )
    output.tell(output.judged(noticed, told), told, beside=arguments.flags.out == "-")
    files = importing.files(proposal, documents)
    render_it = f"ftgen +experiment={proposal.name}"
    if arguments.flags.out == "-":
        sys.stdout.write("".join(f"# {path}\n{content.decode()}" for path, content in files.items()))
        output.say(f"write both files with -o . and render them with: {render_it}", told)
    else:
        writing.write(files, Path(arguments.flags.out), told)
        output.say(f"render it with: {render_it}", told)
    return 0


_Imported = tuple[Proposal, Sequence[Any], Sequence[Diagnostic]]


def _file(words: Sequence[str], composer: Composer, arguments: Arguments) -> _Imported:
    file, *overrides = words
    text = yamlio.read_stdin() if file == "-" else yamlio.read_text(Path(file))
    name = "standard input" if file == "-" else Path(file).name
    if _is_command([text]):
        return _docker([text], composer, arguments)
    job, others = importing.wanted(yamlio.parse_all(text, file), name)
    require(_refused(job, text, file, composer.compose(composer.parse(overrides)).config))
    proposal = importing.propose(job, name, options(arguments))

    settled, plain, left_out = importing.settle(proposal, lambda one: _compiled(one, composer, overrides))
    documents = importing.residual(plain.bundle.job, job, plain.spec.cluster.volcano_version)
    # The same again with the overlay: what the checks say of the imported job as it is, is accepted and told.
    accepted, _, told = importing.settle(settled, lambda one: _compiled(one, composer, overrides, documents))
    return accepted.beyond(_defaults(accepted, composer)), documents, [*others, *left_out, *told]


def _refused(job: Object, text: str, file: str, config: Mapping[str, Any]) -> list[Diagnostic]:
    """What no experiment could take over: fields that the cluster would drop, and secrets; each where it stands."""
    version = str(config["cluster"]["volcano_version"])
    found = [*contract.conform(job, volcano_version=version), *secrets.scan(job)]
    told = check.check(text, file, check.Terms(volcano_version=version)).diagnostics if found else ()
    placed = {(d.code, d.subject): d for d in told}
    return [placed.get((d.code, d.subject), d) for d in found if d.severity is Severity.ERROR]


def _compiled(
    proposal: Proposal, composer: Composer, overrides: Sequence[str] = (), documents: Sequence[Any] = ()
) -> Compiled:
    words = (*selection(proposal), *overrides)
    beside = _Residual(composer.request.directory, documents)
    return pipeline.compile_composition(composer, composer.compose(composer.parse(words)), words, beside=beside)


class _Residual(Beside):
    """What lies beside the configuration, and the overlay that is about to."""

    def __init__(self, directory: Path, documents: Sequence[Any]) -> None:
        super().__init__(directory)
        self._residual = [Patch(Path("residual.yaml"), d, "experiment", "imported", i) for i, d in enumerate(documents)]

    def patches(self, choices: Mapping[str, str], packs: tuple[str, ...] = ()) -> list[Patch]:
        return [*super().patches(choices, packs), *self._residual]

    def conflicts(self, patches: list[Patch], volcano_version: str) -> list[Diagnostic]:
        """The overlay has the last word by design."""
        return super().conflicts([patch for patch in patches if patch not in self._residual], volcano_version)


def _docker(words: Sequence[str], composer: Composer, arguments: Arguments) -> _Imported:
    proposal, documents, noticed = importing.command_line(words, options(arguments))
    settled, _, left_out = importing.settle(proposal, lambda one: _compiled(one, composer, documents=documents))
    return settled.beyond(_defaults(settled, composer)), documents, [*noticed, *left_out]


def _defaults(proposal: Proposal, composer: Composer) -> Mapping[str, Any]:
    """What the choices alone compose to."""
    chosen = [f"{group}={option}" for group, option in proposal.choices.items() if option != _COMMAND]
    config = composer.compose(composer.parse(chosen)).config
    # An option that cannot do without a value has no defaults worth leaving out.
    return {**config, "trainer": {}} if _COMMAND in proposal.choices.values() else config


_COMMAND = "command"


def _is_command(words: Sequence[str]) -> bool:
    """Whether it is a command line, split by the shell or one text, and no file."""
    return importing.is_command(" ".join(words))


def selection(proposal: Proposal) -> list[str]:
    """The proposal as overrides."""
    chosen = [f"{group}={option}" for group, option in proposal.choices.items()]
    return [*chosen, *(f"{key}={spelled(importing.literal(value))}" for key, value in proposal.values.items())]


def options(arguments: Arguments) -> Options:
    """The options of each group with their content, as the flags say where to look."""
    places = arguments.places()

    @cache
    def of(group: str) -> Mapping[str, Mapping[str, Any]]:
        return {option: catalog.content(places, group, option) for option in catalog.options(places, group)}

    return of
