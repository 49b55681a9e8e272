"""The health check is run as Argo CD runs it: Lua 5.1, the object as `obj`, no library."""

from __future__ import annotations

import pytest
from lupa import lua51

from ftgen import pipeline
from ftgen.output.delivery import GitSource
from ftgen.output.tree import DELIVERY
from ftgen.text import yamlio

PHASES = {
    "Pending": "Progressing",
    "Running": "Progressing",
    "Restarting": "Progressing",
    "Completing": "Progressing",
    "Aborting": "Progressing",
    "Terminating": "Progressing",
    "Completed": "Healthy",
    "Failed": "Degraded",
    "Terminated": "Degraded",
    # A job that was aborted can be resumed.
    "Aborted": "Suspended",
}
"""Every JobPhase of volcano.sh/apis, pkg/apis/batch/v1alpha1."""


@pytest.fixture(scope="module")
def script(composer):
    job = pipeline.compile_job(composer, ["delivery.application=true"])
    runs = pipeline.deliver([job], GitSource("https://git.example.com/t.git", "refs/heads/main", ""))
    texts = {path: text for run in runs for path, text in run.files.items()}
    fragment = yamlio.parse(texts[f"{DELIVERY}/configmap-argocd-cm.yaml"].decode(), "")
    return fragment["data"]["resource.customizations.health.batch.volcano.sh_Job"]


@pytest.fixture
def health(script):
    """`health(status)`: what Argo CD makes of a VolcanoJob in that state; None: it has no status yet."""

    def judge(status):
        lua = lua51.LuaRuntime(unpack_returned_tuples=True)
        manifest = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "a"}}
        run = lua.eval("function(text, object) return setfenv(assert(loadstring(text)), {obj = object})() end")
        found = run(script, lua.table_from(manifest | ({} if status is None else {"status": status}), recursive=True))
        return found["status"], found["message"]

    return judge


@pytest.mark.parametrize(("phase", "expected"), PHASES.items())
def test_every_phase_has_its_health(health, phase, expected):
    state = {"phase": phase, "lastTransitionTime": "2026-01-02T03:04:05Z"}
    assert health({"state": state, "minAvailable": 1, "running": 1}) == (expected, phase)
    assert health({"state": state | {"message": "", "reason": ""}}) == (expected, phase)


@pytest.mark.parametrize("status", [None, {}, {"state": {}}, {"conditions": [{"status": "Pending"}]}])
def test_a_job_that_volcano_has_not_seen_yet_is_on_its_way(health, status):
    assert health(status) == ("Progressing", "not started")


def test_what_volcano_says_is_shown(health):
    state = {"phase": "Failed", "message": "pod a-0 failed with exit code 1", "reason": "PodFailed"}
    assert health({"state": state}) == ("Degraded", "Failed: pod a-0 failed with exit code 1")


def test_a_phase_of_a_later_volcano_is_no_verdict(health):
    assert health({"state": {"phase": "Hibernating"}})[0] == "Progressing"
