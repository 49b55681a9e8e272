"""`ftgen export kustomize [OVERRIDES…]`: a job as a kustomization."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ftgen import lower, pipeline
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected, error
from ftgen.interop import kustomize
from ftgen.lower import Inputs
from ftgen.pipeline import Compiled, Workspace
from ftgen.trainers import llamafactory

KUSTOMIZE = "kustomize"


def run(arguments: Arguments) -> int:
    """Compile the job as for a render and write it as a kustomization; write nothing if there is an error."""
    if arguments.overrides[:1] != (KUSTOMIZE,) or arguments.flags.out == "-":
        raise Usage("export takes a form, and there is one: ftgen export kustomize [OVERRIDES] [-o DIR]")
    if arguments.flags.multirun:
        raise Usage("export takes one job: name a point of the sweep, and leave out --multirun")
    of_job = replace(arguments, overrides=arguments.overrides[1:])
    try:
        return _export(of_job)
    except Rejected as rejected:
        return output.reject(rejected, of_job)


def _export(arguments: Arguments) -> int:
    with request.open_composer(arguments) as composer:
        job = pipeline.compile_job(composer, arguments.overrides)
        diagnostics = request.add_locations(composer, arguments, job.diagnostics)
        files = kustomization(composer, job)
    output.print_diagnostics(output.apply_strict(diagnostics, arguments), arguments)
    writing.write(files, Path(arguments.flags.out), arguments)
    return 0


def kustomization(composer: Composer, job: Compiled) -> dict[str, bytes]:
    """Return the files of a compiled job's kustomization.

    Raises:
        Rejected: FT540, if it is no VolcanoJob, which overlays patch, or has no name.
    """
    spec = job.spec
    if spec.target != "vcjob":
        headline = "overlays are patches of a VolcanoJob, and this target is none"
        raise Rejected([error("FT540", headline, "target", spec.target, "choose target=vcjob")])
    scripts = composer.scripts(*spec.scripts)
    base = lower.lower(Inputs(spec, llamafactory.configurations(spec), job.identity, scripts))
    patches = Workspace(composer).patches(job.identity.choices, spec.overlays)
    return kustomize.kustomization_files(base, patches, job.name, spec.cluster.volcano_version)
