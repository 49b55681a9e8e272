"""What Volcano does to a job when a pod ends: the first policy that matches, as its controller picks it."""

from __future__ import annotations

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request

TEMPORARY, KEPT = ("storage=topolvm",), ("storage=nfs",)
DRAINED, LOST_NODE, OWN_FAULT, OUT_OF_MEMORY, SOME_NODE = 143, 0, 1, 137, 4


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def action(composer: Composer, code: int, *words: str) -> str:
    """Return the action for a failed pod, as `applyPolicies` of Volcano's job controller finds it."""
    policies = pipeline.compile_job(composer, words).bundle.job["spec"]["policies"]
    found = next(p for p in policies if p.get("event") == "PodFailed" or (code and p.get("exitCode") == code))
    return str(found["action"])


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (TEMPORARY, DRAINED, "RestartJob"),
        (TEMPORARY, LOST_NODE, "RestartJob"),
        (TEMPORARY, OWN_FAULT, "TerminateJob"),
        (TEMPORARY, OUT_OF_MEMORY, "TerminateJob"),
        ((*TEMPORARY, "hardware.nodes=2"), SOME_NODE, "RestartJob"),
        ((*TEMPORARY, "hardware.nodes=2"), OWN_FAULT, "TerminateJob"),
        (KEPT, DRAINED, "RestartJob"),
        (KEPT, OWN_FAULT, "RestartJob"),
        ((*TEMPORARY, "job.restarts=0"), DRAINED, "TerminateJob"),
        ((*KEPT, "job.on_failure=TerminateJob"), DRAINED, "RestartJob"),
        ((*KEPT, "job.on_failure=TerminateJob"), LOST_NODE, "TerminateJob"),
        ((*KEPT, "job.on_failure=AbortJob", "job.restarts=0"), DRAINED, "AbortJob"),
        ((*TEMPORARY, "job.on_failure=RestartJob"), OWN_FAULT, "RestartJob"),
    ],
)
def test_a_failed_pod_meets_the_policy_that_its_exit_code_asks_for(
    composer: Composer, words: tuple[str, ...], code: int, expected: str
) -> None:
    assert action(composer, code, *words) == expected


@pytest.mark.parametrize("words", [TEMPORARY, KEPT])
def test_a_job_of_the_defaults_has_no_policy_that_never_acts(composer: Composer, words: tuple[str, ...]) -> None:
    policies = pipeline.compile_job(composer, words).bundle.job["spec"]["policies"]
    assert len({str(policy) for policy in policies}) == len(policies)
    assert policies[-1]["event"] == "PodFailed"


@pytest.mark.parametrize(
    ("image", "policy", "written"),
    [
        ("a.example/x:1.0", "IfNotPresent", False),
        ("a.example/x:1.0", "Always", True),
        ("a.example:5000/x:latest", "IfNotPresent", True),
        ("a.example:5000/x:latest", "Always", False),
        (f"a.example/x@sha256:{'0' * 64}", "IfNotPresent", False),
    ],
)
def test_a_pull_policy_is_written_where_kubernetes_would_choose_another(
    composer: Composer, image: str, policy: str, written: bool
) -> None:
    words = [f'hardware.image="{image}"', f"cluster.image_pull_policy={policy}"]
    pod = pipeline.compile_job(composer, words).bundle.job["spec"]["tasks"][0]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container.get("imagePullPolicy") == (policy if written else None)
