"""Runs to render, as small as they can be and still a job that Volcano admits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ftgen.output.tree import Run

JOB = """\
# Generated
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  name: {name}
  namespace: training
  labels:
    ftgen.dev/run: {run}
  annotations:
    argocd.argoproj.io/sync-options: Prune=false,Delete=false
    argocd.argoproj.io/compare-options: IgnoreExtraneous
    ftgen.dev/note: {note}
spec:
  schedulerName: volcano
  queue: {queue}
  minAvailable: {available}
  maxRetry: 1
  tasks:
  - name: train
    replicas: 2
    minAvailable: 2
    maxRetry: 3
    template:
      spec:
        restartPolicy: Never
        containers:
        - name: train
          image: train:1
        volumes:
        - name: models
          persistentVolumeClaim:
            claimName: models
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

    def make(
        folder: str = "sft",
        h8: str = "1a2b3c4d",
        label: str = "",
        note: str = "first",
        available: int = 2,
        claim: str = "",
    ) -> Run:
        stem = "-".join(part for part in (folder, label) if part)
        name = f"{stem}-{h8}"
        job = JOB.format(name=name, run=stem, note=note, queue=f"q-{h8}", available=available)
        files = {f"{folder}/job-{name}.yaml": job.encode()}
        if claim:
            files[f"{folder}/persistentvolumeclaim-models.yaml"] = CLAIM.format(size=claim).encode()
        return Run(folder, name, f"{folder}/{label}", files)

    return make
