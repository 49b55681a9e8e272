"""Taking over what others wrote: a VolcanoJob or a `docker run` command line becomes choices and an overlay.

`manifest` and `docker` read, `Proposal` is what they understood, `residual` is what the choices do not say,
and `experiment` writes both as files that render to the same object.
"""

from ftgen.importing.docker import command_line, is_command
from ftgen.importing.experiment import files, literal, settle
from ftgen.importing.manifest import propose, wanted
from ftgen.importing.proposal import Options, Proposal
from ftgen.importing.residual import residual

__all__ = [
    "Options",
    "Proposal",
    "command_line",
    "files",
    "is_command",
    "literal",
    "propose",
    "residual",
    "settle",
    "wanted",
]
