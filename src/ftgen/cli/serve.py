"""`ftgen serve RUN|FILE [OVERRIDES]`: write what serves the result of a run, or commit it beside the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ftgen import pipeline
from ftgen.cli import output, progress, reading, repository, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected
from ftgen.output.tree import Run, WriteOptions
from ftgen.pipeline import Workspace
from ftgen.pipeline.serving import CompiledService, TrainedRun, compile_service, trained_run
from ftgen.provenance.foreign import refuse_outside
from ftgen.provenance.service import service_source
from ftgen.remote import gitops
from ftgen.text import yamlio
from ftgen.text.tables import table


def run(arguments: Arguments) -> int:
    """Compile the service, then write, print or commit it; with --fit or --json only say what it would be."""
    if arguments.flags.multirun:
        raise Usage("serve is for one run at a time; -m is for trainings")
    name, asked = _split(arguments)
    trained = _trained(name, arguments)
    service, runs = _compiled(trained, name, asked, arguments)
    if arguments.flags.fit or arguments.flags.json:
        output.print_diagnostics(output.apply_strict(service.diagnostics, arguments), arguments, to_stderr=True)
        _show(service, arguments)
    elif arguments.flags.repo is not None:
        _publish(service, runs, arguments)
    elif arguments.flags.out == "-":
        writing.print_runs(runs, service.diagnostics, arguments)
    else:
        writing.write_runs(runs, service.diagnostics, arguments)
        output.print_status(summary(service), arguments)
    return 0


def _split(arguments: Arguments) -> tuple[str, tuple[str, ...]]:
    """Return the run or file, and the overrides."""
    name, *others = repository.names(arguments)
    if others:
        raise Usage("serve takes one run, or its file: `ftgen serve sft-1a2b3c4d serving=kserve`")
    return name, tuple(word for word in arguments.overrides if word != name)


def _compiled(
    trained: TrainedRun, name: str, asked: tuple[str, ...], arguments: Arguments
) -> tuple[CompiledService, list[Run]]:
    destination = repository.target(arguments)
    source = repository.git_source(destination) if destination else None
    words: tuple[str, ...] = (*trained.overrides, *asked)
    try:
        with request.open_composer(replace(arguments, overrides=words)) as composer:
            refuse_outside(composer, trained.overrides)
            words = trained.words(composer, asked)
            # A model that the run trained on is served at the commit that it was trained on, wherever the file is now.
            pins = {**composer.pin_file.pins, **trained.pins}
        located = replace(arguments, overrides=words)
        traced = partial(service_source, trained)
        with request.open_composer(located, traced, pins=pins, typed=asked) as composer:
            service = compile_service(composer, trained, words, Workspace(composer))
            runs = [service.run, *pipeline.deliver([service], source)]
            noticed = request.add_locations(composer, located, service.diagnostics, traced)
    except Rejected as rejected:
        recorded = len(words) - len(asked)
        raise Rejected(_as_typed(rejected.diagnostics, recorded, name, arguments)) from None
    noticed = [*_as_typed(noticed, len(words) - len(asked), name, arguments)]
    return replace(service, diagnostics=tuple(noticed)), runs


def _as_typed(
    diagnostics: Iterable[Diagnostic], recorded: int, name: str, arguments: Arguments
) -> Iterator[Diagnostic]:
    """Locate words where they were typed; the first `recorded` words came with the run, and are located at its name."""
    typed = [position for position, word in enumerate(arguments.overrides, 1) if word != name]
    places = [arguments.overrides.index(name) + 1] * recorded + typed

    def moved(place: Location) -> Location:
        return replace(place, line=places[place.line - 1]) if place.file == COMMAND_LINE and place.line else place

    for diagnostic in diagnostics:
        yield replace(diagnostic, locations=tuple(map(moved, diagnostic.locations)))


# finding the run


def _trained(name: str, arguments: Arguments) -> TrainedRun:
    """Return the run of a file, or the run of the tree that has this name, identity or label.

    Raises:
        Rejected: FT527, there is none, or several; other FT5xx, the tree cannot be read.
    """
    if name.endswith((".yaml", ".yml")) or name == "-":
        return trained_run(yamlio.parse(yamlio.read_text(Path(name)), name), name)
    with reading.open_tree(arguments) as (store, lock):
        path = gitops.file_of(lock, name)
        content = store.read(path) or b""
        return trained_run(yamlio.parse(content.decode("utf-8", "replace"), path), path)


# writing


def _publish(service: CompiledService, runs: list[Run], arguments: Arguments) -> None:
    flags, target = arguments.flags, repository.target(arguments)
    assert target is not None  # noqa: S101 - --repo is given
    output.print_diagnostics(output.apply_strict(service.diagnostics, arguments), arguments)
    with progress.steps(arguments) as step:
        done = gitops.publish(
            target,
            runs,
            repository.provenance(runs),
            options=WriteOptions(adopt=flags.adopt, overwrite=flags.overwrite),
            push=flags.push,
            allow_dirty=flags.allow_dirty,
            approve=lambda outcome: output.apply_strict(outcome.diagnostics, arguments),
            progress=step,
        )
    output.print_diagnostics(done.diagnostics, arguments)
    repository.print_changes(done.outcome, arguments)
    output.print_status(done.summary, arguments)
    output.print_status(summary(service), arguments)


# showing


def _show(service: CompiledService, arguments: Arguments) -> None:
    if arguments.flags.json:
        print(json.dumps(document(service), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        output.print_text([summary(service), *_fit_lines(service)])


def _fit_lines(service: CompiledService) -> Iterator[str]:
    """Yield the memory of each card in GiB, and the longest context."""
    if (needs := service.fit) is None:
        yield "the model's shape is unknown, so nothing can be said of its memory"
        return
    yield from table([("GiB", "OF EACH CARD"), *((f"{term.gib:.2f}", term.name) for term in needs.terms)])
    of = "the card's memory is unknown" if needs.usable_gib is None else f"of {needs.usable_gib:.2f} that vLLM takes"
    yield f"{needs.gib:.2f} together, {of}"
    if needs.largest_context is not None:
        yield f"longest context that fits: {needs.largest_context} tokens"


def document(service: CompiledService) -> dict[str, Any]:
    """Return a service as JSON values: what it serves, its files and address, and the memory in GiB."""
    needs = service.fit
    return {
        "name": service.name,
        "run": service.result.run,
        "url": service.result.url,
        "revision": service.result.revision,
        "adapter_rank": service.result.adapter_rank,
        "address": address(service),
        "files": sorted(service.files),
        "fit": needs
        and {
            "terms": {term.name: round(term.gib, 2) for term in needs.terms},
            "needed_gib": round(needs.gib, 2),
            "usable_gib": needs.usable_gib and round(needs.usable_gib, 2),
            "largest_context": needs.largest_context,
        },
    }


def summary(service: CompiledService) -> str:
    """Return a service in one line: what it serves, on what, and where it answers."""
    serving, hardware = service.serving, service.spec.hardware
    cards = f"{hardware.devices} × {hardware.cards}" if hardware.cards else "no cards"  # noqa: RUF001 - the sign for times
    pods = "1 replica" if serving.replicas == 1 else f"{serving.replicas} replicas"
    return f"{service.name}: {service.result.run or service.result.revision}, {pods}, {cards}, {address(service)}"


def address(service: CompiledService) -> str:
    """Return the address in the cluster; KServe's service of the predictor has a name of its own."""
    end = "-predictor" if service.serving.kind == "kserve" else ""
    return f"http://{service.name}{end}.{service.spec.cluster.namespace}/v1"
