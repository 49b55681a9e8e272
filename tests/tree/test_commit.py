"""The commit of the configuration in a manifest."""

from __future__ import annotations

import pytest

from ftgen.output.tree.commit import with_commit, with_commit_of
from ftgen.text import yamlio

A, B = "a" * 40, "1" * 40
JOB = b"""\
kind: Job
metadata:
  name: sft
  annotations:
    ftgen.dev/version: "0.1.0"
    ftgen.dev/config-digest: sha256:00
spec:
  script: |
    ftgen.dev/config-digest: sha256:00
"""


def commit_of(content: bytes) -> str | None:
    return yamlio.parse(content.decode(), "job")["metadata"]["annotations"].get("ftgen.dev/config-commit")


def test_a_new_manifest_records_it_once() -> None:
    recorded = with_commit(JOB, None, A)

    assert commit_of(recorded) == A
    assert recorded.count(b"config-commit") == 1
    # Digits alone stay text.
    assert commit_of(with_commit(JOB, None, B)) == B
    assert with_commit(JOB, None, "") == JOB


@pytest.mark.parametrize("commit", ["", A, B])
@pytest.mark.parametrize("old", [JOB, with_commit(JOB, None, A)])
def test_a_manifest_that_stays_keeps_what_it_records(old: bytes, commit: str) -> None:
    assert with_commit(JOB, old, commit) == old


def test_a_manifest_that_changes_records_the_new_one() -> None:
    old, new = with_commit(JOB, None, A), JOB.replace(b"sha256:00", b"sha256:01")

    assert commit_of(with_commit(new, old, B)) == B
    # Of a checkout with changes no commit is known, and the old one would be wrong.
    assert commit_of(with_commit(new, old, "")) is None
    assert commit_of(with_commit_of(new, old)) == A


def test_what_records_no_configuration_records_no_commit() -> None:
    claim = b"kind: PersistentVolumeClaim\nmetadata:\n  name: models\n"
    assert with_commit(claim, None, A) == claim
