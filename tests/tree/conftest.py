"""Runs to render and trees to look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ftgen.tree import Run

JOB = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  name: {name}
  namespace: training
  annotations:
    ftgen.dev/note: {note}
spec:
  minAvailable: 1
  queue: q-{h8}
  tasks:
    - name: train
      template:
        metadata:
          name: not-the-job
"""

CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: models
  namespace: training
spec:
  resources:
    requests:
      storage: {size}
"""


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """`make_run(folder, hash)`: a run of one job, and a claim when it is given a size."""

    def make(folder: str = "sft", h8: str = "1a2b3c4d", label: str = "", note: str = "first", claim: str = "") -> Run:
        name = "-".join(part for part in (folder, label, h8) if part)
        files = {f"{folder}/job-{name}.yaml": JOB.format(name=name, note=note, h8=h8).encode()}
        if claim:
            files[f"{folder}/persistentvolumeclaim-models.yaml"] = CLAIM.format(size=claim).encode()
        return Run(folder, name, f"{folder}/{label}", files)

    return make


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, with its content; links as what they point to."""

    def take(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    return take
