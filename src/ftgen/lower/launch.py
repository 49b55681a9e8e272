"""How the container that trains is started: by the trainer's script, and on several nodes by what finds their ranks.

`launch.sh` runs before the trainer's script and gives the pods of two tasks one order.  `mpi.sh` and `ray.sh` run where
the trainer's script would run the command, and start it on the master once the workers can be reached.
"""

from __future__ import annotations

from ftgen.lower.objects import TASK, Object
from ftgen.lower.scripts import SCRIPTS, command, is_mounted
from ftgen.lower.variables import variables
from ftgen.spec import Command, Spec
from ftgen.trainers import command as program

SSH_KEYS, SSH_PORT = "/etc/ftgen/ssh", 2222
"""Where the ssh plugin mounts the keys of a job, and the port at which its workers listen."""


def training_command(spec: Spec, script: str) -> list[str]:
    """Return the command of the container that trains; `script` is the text of the trainer's script."""
    if not spec.hardware.has_master:
        return command(spec, spec.trainer.script, script)
    return ["/bin/bash", f"{SCRIPTS}/launch.sh", f"{SCRIPTS}/{spec.trainer.script}"]


def training_arguments(spec: Spec) -> list[str]:
    """Return the arguments of the script that trains: the words of a command, after what starts it."""
    trainer = spec.trainer
    if not isinstance(trainer, Command):
        return []
    starter = [] if trainer.launcher == "pytorch" else ["/bin/bash", f"{SCRIPTS}/{trainer.launcher}.sh"]
    words = [*starter, *(program.escape(word) for word in program.words(trainer))]
    # After the text of a script, the first argument is the name that the script goes by.
    return words if is_mounted(spec) else [TASK, *words]


def launch_variables(spec: Spec) -> list[Object]:
    """Return the variables of `launch.sh` and `mpi.sh`: the pod's task, by its label, and where its keys lie."""
    label = {"fieldRef": {"fieldPath": "metadata.labels['volcano.sh/task-spec']"}}
    role = [{"name": "TASK_NAME", "valueFrom": label}] if spec.hardware.has_master else []
    ssh = variables(SSH_KEYS=SSH_KEYS, SSH_PORT=str(SSH_PORT)) if role and spec.trainer.launcher == "mpi" else []
    return [*role, *ssh]
