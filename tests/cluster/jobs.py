"""Jobs that a check submits: rendered, applied, and watched."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftgen import pipeline
from ftgen.config.compose import Composer

from .kubectl import Kubectl, wait_for
from .site import Site
from .trees import JOB, Tree

Rule = dict[str, Any]
SOON, FOREVER = {"seconds": 1}, {"seconds": -1}
"""What the containers of a simulated pod do: end well after a second, or run until they are told to end."""


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A job on the cluster."""

    kubectl: Kubectl
    namespace: str
    name: str

    @property
    def status(self) -> dict[str, Any]:
        """Its status; empty before the controller has looked at it."""
        found = self.kubectl.find(JOB, self.name, "--namespace", self.namespace) or {}
        status: dict[str, Any] = found.get("status", {})
        return status

    @property
    def phase(self) -> str:
        """Its phase."""
        phase: str = self.status.get("state", {}).get("phase", "")
        return phase

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        count: int = self.status.get("retryCount", 0)
        return count

    @property
    def pods(self) -> list[dict[str, Any]]:
        """Its pods, by name."""
        return self.kubectl.items("pods", "--namespace", self.namespace, f"--selector=volcano.sh/job-name={self.name}")

    def running(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many pods run, and return them."""
        return wait_for(f"{count} pods of {self.name} run", lambda: self._run(count), seconds=120)

    def _run(self, count: int) -> list[dict[str, Any]]:
        found = [pod for pod in self.pods if pod["status"].get("phase") == "Running"]
        return found if len(found) == count else []

    def becomes(self, *phases: str, seconds: float = 180) -> str:
        """Wait until the job is in one of the phases, and return it."""
        try:
            wait_for(f"{self.name} becomes {' or '.join(phases)}", lambda: self.phase in phases, seconds=seconds)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it is {self.phase}, {self._told()}") from None
        return self.phase

    def _told(self) -> str:
        """Say of its pods what tells a pod that waits for a node from one that Volcano's scheduler has forgotten."""
        states = ((pod["metadata"]["name"], pod["status"]) for pod in self.pods)
        return "; ".join(f"{name}: {s.get('phase')}, conditions {s.get('conditions', 'none')}" for name, s in states)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a check submits its jobs.

    Attributes:
        site: the suite's part of the cluster.
        composer: what composes the jobs.
        namespace: their namespace.
        queue: their queue; empty: the suite's.
    """

    site: Site
    composer: Composer
    namespace: str
    queue: str = ""

    def submit(self, *overrides: str) -> LiveJob:
        """Render a job, apply it, and return it."""
        words = [*overrides, f"cluster.namespace={self.namespace}", f"cluster.queue={self.queue or self.site.queue}"]
        compiled = pipeline.compile_job(self.composer, words)
        with tempfile.TemporaryDirectory() as folder:
            tree = Tree(self.site.kubectl, self.namespace, Path(folder))
            tree.write(compiled.files)
            tree.apply()
        return LiveJob(self.site.kubectl, self.namespace, compiled.bundle.job["metadata"]["name"])

    def simulate(self, *rules: Rule) -> None:
        """Say what becomes of pods from now on: the first rule whose pattern matches holds."""
        data = {"rules": json.dumps(_patterned(rules))}
        metadata = {"name": "simulation", "namespace": self.namespace}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.site.kubectl("apply", "-f", "-", objects=[config])


def _patterned(rules: Sequence[Rule]) -> list[Rule]:
    return [{"pod": ".*", **rule} for rule in rules]
