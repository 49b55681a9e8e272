"""Lowering of a specification to Kubernetes objects, plain dicts that read like their YAML.

Each function makes one object or part of one.  The objects hold every default of Volcano's admission, and quantities
are canonical, so that a second apply changes nothing (Volcano's job webhook fills in tasks only on creation and refuses
the difference on update).  The job has no name yet: `naming` derives it from the content.
"""

from __future__ import annotations

from ftgen.lower.devices import resources
from ftgen.lower.environment import SCRIPT_VARIABLES, script_variable_key
from ftgen.lower.job import job
from ftgen.lower.objects import MASTER, TASK, WORKER, Bundle, Identity, Inputs, Object
from ftgen.lower.plain_job import plain
from ftgen.lower.scripts import config_map, is_mounted
from ftgen.lower.storage import claims, fetches, is_temporary, shared_memory
from ftgen.lower.tracking import LONGEST_TAG, pushes_tracking_files

__all__ = [
    "LONGEST_TAG",
    "MASTER",
    "SCRIPT_VARIABLES",
    "TASK",
    "WORKER",
    "Bundle",
    "Identity",
    "Inputs",
    "Object",
    "fetches",
    "is_temporary",
    "lower",
    "plain",
    "pushes_tracking_files",
    "resources",
    "script_variable_key",
    "shared_memory",
]


def lower(inputs: Inputs) -> Bundle:
    """Return the objects of one run: the job, and the objects that must exist before it."""
    spec = inputs.spec
    mounted = config_map(spec, inputs.identity.folder, inputs.scripts) if is_mounted(spec) else None
    return Bundle(job(inputs, mounted), (*claims(spec), *((mounted,) if mounted else ())))
