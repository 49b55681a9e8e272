"""`ftgen export kustomize [OVERRIDES…]`: the same job as a kustomization."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ftgen import kustomize, lower, pipeline
from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.compose import Composer
from ftgen.diagnostics import Rejected, error
from ftgen.lower import Inputs
from ftgen.pipeline import Compiled, Workspace
from ftgen.trainers import llamafactory

KUSTOMIZE = "kustomize"


def run(arguments: Arguments) -> int:
    """Compile the job as a render would, then write it for kustomize; nothing is written when anything is wrong."""
    if arguments.overrides[:1] != (KUSTOMIZE,) or arguments.flags.out == "-":
        raise Usage("export takes a form, and there is one: ftgen export kustomize [OVERRIDES] [-o DIR]")
    if arguments.flags.multirun:
        raise Usage("export takes one job: name a point of the sweep, and leave out --multirun")
    told = replace(arguments, overrides=arguments.overrides[1:])
    try:
        return _export(told)
    except Rejected as rejected:
        return output.reject(rejected, told)


def _export(arguments: Arguments) -> int:
    with request.located(arguments) as composer:
        job = pipeline.compile_job(composer, arguments.overrides)
        noticed = request.locate(composer, arguments, job.diagnostics)
        files = exported(composer, job)
    output.tell(output.judged(noticed, arguments), arguments)
    writing.write(files, Path(arguments.flags.out), arguments)
    return 0


def exported(composer: Composer, job: Compiled) -> dict[str, bytes]:
    """The kustomization of a compiled job.

    Raises:
        Rejected: when it is no VolcanoJob, which overlays are patches of, or has no name.
    """
    spec = job.spec
    if spec.target != "vcjob":
        told = "overlays are patches of a VolcanoJob, and this target is none"
        raise Rejected([error("FT540", told, "target", spec.target, "choose target=vcjob")])
    scripts = composer.scripts(spec.trainer.prepare_script, spec.trainer.script)
    base = lower.lower(Inputs(spec, llamafactory.configurations(spec), job.identity, scripts))
    patches = Workspace(composer).patches(job.identity.choices, spec.overlays)
    return kustomize.kustomization_files(base, patches, job.name, spec.cluster.volcano_version)
