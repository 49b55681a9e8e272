"""What a level of the pod security standards forbids, as Kubernetes' own admission judges it.

`pod_security.jsonl` holds a pod that passes every level with one field changed in each line, and the verdict of
k8s.io/pod-security-admission v0.34.1 (policy.NewEvaluator, latest version).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftgen.validation import Context, validate
from ftgen.validation.rules import LINT

CASES = [json.loads(line) for line in Path(__file__).with_name("pod_security.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['level']} {case['name']}")
def test_a_pod_is_judged_as_admission_judges_it(case: dict[str, Any]) -> None:
    task = {"name": "train", "replicas": 1, "template": case["pod"]}
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "x"}}
    found = validate(LINT, {**job, "spec": {"tasks": [task]}}, Context(pod_security=case["level"]))
    assert ("FT486" not in {d.code for d in found}) == case["allowed"]
    # Where it stands is told by a path that the manifest has, or lacks one field of.
    assert all(d.subject.startswith("spec.tasks[0].template.") for d in found if d.code == "FT486")
