"""Import of a VolcanoJob or a `docker run` command line: convert it to options, values and an overlay.

`manifest` and `docker` read the source into an `ImportedConfig`, `leftover_overlay` patches what its options cannot
express, and `experiment` writes both as files that render to the same object.  `shell` and `flags` parse a command
line, `literals` finds what a script sets in it, `cards` detects the vendor and number of its cards, `mounts` reads its
mounts, `environment` its variables, and `container` converts the other options to a pod patch.
"""

from ftgen.interop.importing.docker import DockerImport, from_docker_run, is_command, read_command
from ftgen.interop.importing.experiment import compile_allowing_errors, compile_subset, files, is_acceptable, literal
from ftgen.interop.importing.flags import PROGRAMS, DockerRun, parse_docker_run
from ftgen.interop.importing.manifest import ManifestJob, from_manifest, read_manifest
from ftgen.interop.importing.proposal import ImportedConfig, Options
from ftgen.interop.importing.residual import leftover_overlay
from ftgen.interop.importing.shell import Word

__all__ = [
    "PROGRAMS",
    "DockerImport",
    "DockerRun",
    "ImportedConfig",
    "ManifestJob",
    "Options",
    "Word",
    "compile_allowing_errors",
    "compile_subset",
    "files",
    "from_docker_run",
    "from_manifest",
    "is_acceptable",
    "is_command",
    "leftover_overlay",
    "literal",
    "parse_docker_run",
    "read_command",
    "read_manifest",
]
