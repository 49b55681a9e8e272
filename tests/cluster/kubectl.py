"""kubectl, run on the cluster that a kubeconfig names."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Object = Mapping[str, Any]
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with one kubeconfig; a call that fails fails the test."""

    kubeconfig: Path

    def ask(self, *words: str, objects: Iterable[Object] = ()) -> Answer:
        """Run a command, whatever its exit code, with objects on its standard input."""
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        done = subprocess.run(
            ["kubectl", *words], input=text, capture_output=True, text=True, check=False, env=env, timeout=600
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def __call__(self, *words: str, objects: Iterable[Object] = ()) -> list[str]:
        """Run a command that succeeds, and return the lines that it printed."""
        answer = self.ask(*words, objects=objects)
        assert answer.code == 0, f"kubectl {' '.join(words)}: {answer.err}"
        return answer.out.splitlines()

    def json(self, *words: str) -> Any:
        """Return what a command prints as JSON."""
        return json.loads("\n".join(self(*words, "-o", "json")))

    def items(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """Return the objects of a kind."""
        found: list[dict[str, Any]] = self.json("get", kind, *words)["items"]
        return found

    def find(self, kind: str, name: str, *words: str) -> dict[str, Any] | None:
        """Return an object, or nothing where there is none of that name."""
        answer = self.ask("get", kind, name, *words, "-o", "json", "--ignore-not-found")
        assert answer.code == 0, answer.err
        return json.loads(answer.out) if answer.out else None


def wait_until_none(look: Callable[[], Sized], *, seconds: float, pause: float = 2) -> None:
    """Look again until nothing is left; fail after a time, with what is left."""
    end = time.monotonic() + seconds
    while left := look():
        assert time.monotonic() < end, f"{len(left)} left after {seconds:g} s: {left}"
        time.sleep(pause)


def wait_for(what: str, look: Callable[[], Seen], *, seconds: float = 60, pause: float = 0.5) -> Seen:
    """Look again until there is something to see, and return it; fail after a time."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return seen
