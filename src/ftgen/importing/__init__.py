"""Taking over what others wrote: a VolcanoJob or a `docker run` command line becomes choices and an overlay.

`manifest` and `docker` read, `ImportedConfig` is what they understood, `leftover_overlay` is what the choices do not say,
and `experiment` writes both as files that render to the same object.  `shell` and `flags` take a command line apart,
`cards` tells whose cards a container is shown, and `container` what else its pod needs.
"""

from ftgen.importing.docker import Taken, is_command, read, taken
from ftgen.importing.experiment import accept, files, is_acceptable, literal, settle
from ftgen.importing.flags import PROGRAMS, Run, parsed
from ftgen.importing.manifest import Wanted, propose, wanted
from ftgen.importing.proposal import ImportedConfig, Options
from ftgen.importing.residual import leftover_overlay
from ftgen.importing.shell import Word

__all__ = [
    "PROGRAMS",
    "ImportedConfig",
    "Options",
    "Run",
    "Taken",
    "Wanted",
    "Word",
    "accept",
    "files",
    "is_acceptable",
    "is_command",
    "leftover_overlay",
    "literal",
    "parsed",
    "propose",
    "read",
    "settle",
    "taken",
    "wanted",
]
