"""Job plugins that Volcano's job webhook refuses."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.emulation.plugins import available, parse_flags
from ftgen.text.shapes import strings
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import ADMISSION


@rule("FT323", "unknown-plugin", on=ADMISSION)
def unknown_plugin(job: Job) -> Iterator[Finding]:
    """The job asks for a plugin this Volcano does not have.

    Volcano's job webhook looks every key of `spec.plugins` up, by its exact name: ssh, env, svc, tensorflow,
    mpi, pytorch; hcclrank from 1.12.3; ray from 1.13.

    Refused: `plugins: {SVC: []}`.
    Write: `plugins: {svc: []}`.
    """
    plugins = available(job.version)
    for name in job.plugins:
        if name not in plugins:
            yield Finding(
                f"Volcano {'.'.join(map(str, job.version))} has no job plugin {name!r}",
                f"spec.plugins.{name}",
                name,
                f"use one of {', '.join(plugins)}",
            )


@rule("FT324", "mpi-without-master", on=ADMISSION)
def mpi_without_master(job: Job) -> Iterator[Finding]:
    """The mpi plugin's master task does not exist; up to 1.14 the worker task must exist too.

    Volcano's job webhook looks for the tasks named by `--master` and `--worker` (default master, worker).

    Refused: `plugins: {mpi: []}` with one task `train`.
    Write: `plugins: {mpi: ["--master=train", "--worker=train"]}`, or name the tasks master and worker.
    """
    if "mpi" not in job.plugins or not job.tasks:
        return
    values = parse_flags("mpi", tuple(strings(job.plugins["mpi"])), job.version).values
    for role in ("master", "worker") if job.version < (1, 15, 0) else ("master",):
        name = values.get(role, role)
        if all(task.name != name for task in job.tasks):
            yield Finding(
                f"the mpi plugin's {role} task {name!r} does not exist",
                "spec.plugins.mpi",
                name,
                f"add --{role}=<task> to spec.plugins.mpi",
            )
