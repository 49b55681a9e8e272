"""Environment variables that job plugins append to what a container sets itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftgen.rules import Finding, rule
from ftgen.rules.job import Container, Job, Task, text

_INDEX = ("VK_TASK_INDEX", "VC_TASK_INDEX")
_TORCH = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


@rule("FT427", "overwritten-variable")
def overwritten_variable(job: Job) -> Iterator[Finding]:
    """A container sets a variable that a plugin sets after it.

    Plugins append to the container's env, and the last of two equal names wins: the svc plugin's
    VC_<TASK>_HOSTS and VC_<TASK>_NUM, env's VC_TASK_INDEX, pytorch's MASTER_ADDR, MASTER_PORT, WORLD_SIZE and
    RANK, tensorflow's TF_CONFIG, mpi's MPI_HOST.

    Refused: `env: [{name: VC_TASK_INDEX, value: "0"}]` with `plugins: {env: []}`.
    Write: a name of your own, or no plugin.
    """
    everywhere, main = _plugin_variables(job)
    for container in job.containers if everywhere or main else ():
        added = everywhere if container.init else everywhere | main
        for i, variable in container.env:
            name = variable.get("name")
            if isinstance(name, str) and name in added:
                yield Finding(
                    f"the variable {name} is overwritten by a job plugin",
                    f"{container.path}.env[{i}].name",
                    name,
                    "remove it or use another name",
                )


def _plugin_variables(job: Job) -> tuple[set[str], set[str]]:
    """The variables plugins add to every container, and to main containers only."""
    everywhere: set[str] = set()
    main: set[str] = set()
    if "svc" in job.plugins:
        everywhere |= {f"VC_{_shouted(task)}_{what}" for task in job.tasks for what in ("HOSTS", "NUM")}
    everywhere |= set(_INDEX) if "env" in job.plugins else set()
    everywhere |= {"MPI_HOST"} if "mpi" in job.plugins else set()
    main |= set(_TORCH) if "pytorch" in job.plugins else set()
    main |= {"TF_CONFIG"} if "tensorflow" in job.plugins else set()
    return everywhere, main


def _shouted(task: Task) -> str:
    return task.name.replace("-", "_").upper()


@rule("FT428", "unexpanded-variable")
def unexpanded_variable(job: Job) -> Iterator[Finding]:
    """A variable refers to one that a plugin defines after it.

    Kubernetes expands `$(NAME)` in an env value only from variables earlier in the list, and plugins append
    theirs, so the text stays as it is. In command and args, and as `${NAME}` in the shell, it works.

    Refused: `{name: NODE_RANK, value: $(VC_TASK_INDEX)}`.
    Write: `NODE_RANK="${VC_TASK_INDEX}"` in the script.
    """
    everywhere, main = _plugin_variables(job)
    added = everywhere | main
    for container in job.containers:
        for i, name in _references(container):
            if name in added or name.startswith(("VC_", "VK_")):
                yield Finding(
                    f"$({name}) is not yet defined here and stays as it is",
                    f"{container.path}.env[{i}].value",
                    f"$({name})",
                    f"read ${{{name}}} in the script instead",
                )


def _references(container: Container) -> Iterator[tuple[int, str]]:
    """References in env values to names that no earlier variable of the container defines."""
    for at, (i, variable) in enumerate(container.env):
        value = variable.get("value")
        if isinstance(value, str) and "$(" in value:
            earlier = {text(before.get("name")) for _, before in container.env[:at]}
            yield from ((i, name) for name in _REFERENCE.findall(value) if name and name not in earlier)


RULES_OF_VARIABLES = (overwritten_variable, unexpanded_variable)
