"""A pod to run a container script in: its own PATH, HOME, volume and environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

CONF = Path(__file__).parents[2] / "conf"
_GROUPS = dict.fromkeys(("prepare", "train", "launch", "mpi", "ray"), "trainer") | {"serve": "serving"}
SCRIPTS = {name: CONF / group / f"{name}.sh" for name, group in _GROUPS.items()}
"""The scripts of containers, by name."""

STEP = """if [ -n "${DIE_AT:-}" ] && [[ "$*" != *"config --file"* ]]; then
  n=1
  until (set -o noclobber; : >"$STUB_HOME/step-$n") 2>/dev/null; do n=$((n + 1)); done
  if [ "$n" -ge "$DIE_AT" ]; then : >"$STUB_HOME/here"; exec sleep 60; fi
fi
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended: its exit code and its log."""

    code: int
    log: str


@dataclass
class Pod:
    """Folders and environment of a container; several may share one volume."""

    home: Path
    volume: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def calls(self) -> list[str]:
        """What the stub programs were called with, in order."""
        log = self.home / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def program(self, name: str, text: str) -> None:
        """Puts a bash program first on PATH; it notes its name and arguments."""
        self.bin.mkdir(parents=True, exist_ok=True)
        path = self.bin / name
        path.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >>"$STUB_HOME/calls"\n{text}\n')
        path.chmod(0o755)

    def start(self, script: str | Path, *words: str, **env: str) -> subprocess.Popen[str]:
        """The script as the kubelet starts it, in a session of its own: by its name inline, by its path as a file."""
        for folder in (self.home / "root", self.home / "tmp", self.volume, self.bin):
            folder.mkdir(parents=True, exist_ok=True)
        base = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home / "root"),
            "TMPDIR": str(self.home / "tmp"),
            "STUB_HOME": str(self.home),
            "HOSTNAME": self.home.name,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        inline = isinstance(script, str)
        command = ["-c", SCRIPTS[script].read_text(), script] if inline else [script]
        return subprocess.Popen(
            ["/bin/bash", *command, *words],
            env=base | self.env | env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def stop_at_steps(self, *programs: str) -> None:
        """Makes every call of these programs a numbered step; see ``dies_at``. Settings of git are none."""
        for name in programs:
            stub, real = self.bin / name, self.bin / f"real-{name}"
            if stub.exists():
                stub.rename(real)
            self.bin.mkdir(parents=True, exist_ok=True)
            stub.write_text(f'#!/bin/bash\n{STEP}exec {real if real.exists() else shutil.which(name)} "$@"\n')
            stub.chmod(0o755)

    def dies_at(self, step: int, script: str, **env: str) -> bool:
        """Runs the script on a node that dies at a step; whether it came that far."""
        here = self.home / "here"
        for path in (here, *self.home.glob("step-*")):
            path.unlink(missing_ok=True)
        container = self.start(script, DIE_AT=str(step), **env)
        if await_file(here, container):
            kill(container)
            return True
        assert end(container).code == 0
        return False

    def run(self, script: str | Path, *words: str, **env: str) -> Ended:
        return end(self.start(script, *words, **env))


def end(container: subprocess.Popen[str]) -> Ended:
    """Waits for a container."""
    log, _ = container.communicate()
    return Ended(container.returncode, log)


def kill(container: subprocess.Popen[str]) -> None:
    """What a dying node does: every process of the container ends at once."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            session = int(entry.read_text().rpartition(")")[2].split()[3])
            if session == container.pid:
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue
    container.communicate()


def await_file(path: Path, container: subprocess.Popen[str]) -> bool:
    """Whether the file appeared before the container ended."""
    while container.poll() is None:
        if path.exists():
            return True
        time.sleep(0.01)
    return path.exists()
