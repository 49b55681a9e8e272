"""Which pod and which container of a run matter: of a Kubernetes Job, which keeps failed pods, and beside sidecars."""

from __future__ import annotations

from typing import Any

import pytest
from tests.status.clusters import FakeKubectl, altered, recorded
from tests.status.test_status import run

from ftgen.output.tree import State
from ftgen.remote.cluster import ClusterState, Committed, join, objects

FAILED = {"terminated": {"exitCode": 1, "reason": "Error"}}
RUNNING: dict[str, Any] = {"running": {}}
DONE = {"terminated": {"exitCode": 0}}


def job(**status: int) -> dict[str, Any]:
    names = {"name": "a", "namespace": "n"}
    return {"metadata": names, "spec": {"parallelism": 1, "backoffLimit": 2}, "status": status}


def pod(name: str, phase: str, hour: int, index: int | None = None, **states: Any) -> dict[str, Any]:
    labels = {"job-name": "a"} | ({} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)})
    names = {"name": name, "namespace": "n", "creationTimestamp": f"2026-01-01T{hour:02}:00:00Z", "labels": labels}
    shown = [{"name": each, "state": state} for each, state in sorted(states.items())]
    return {
        "metadata": names,
        "spec": {"containers": [{"name": each} for each in states]},
        "status": {"phase": phase, "containerStatuses": shown},
    }


def only(body: dict[str, Any], *pods: dict[str, Any]) -> Any:
    (found,) = join([], ClusterState([objects.plain_job(body)], [*map(objects.pod, pods)]), has_tree=False)
    return found


def test_the_pod_that_runs_matters_and_not_the_one_that_it_replaces() -> None:
    found = only(job(active=1, ready=1, failed=1), pod("z", "Failed", 1, train=FAILED), pod("a", "Running", 2))
    assert found.decisive_pod.key == ("n", "a")
    assert found.job.restarts == 1


def test_of_an_ended_job_the_last_pod_matters() -> None:
    pods = [pod(name, "Failed", hour, train=FAILED) for name, hour in (("b", 1), ("c", 3), ("a", 2))]
    found = only(job(failed=3), *pods)
    assert found.decisive_pod.key == ("n", "c")
    assert found.job.restarts == 2


def test_a_rank_that_failed_matters_until_it_is_replaced() -> None:
    first, second = pod("r0", "Running", 1, 0, train=RUNNING), pod("r1", "Failed", 1, 1, train=FAILED)
    body = job(active=1, failed=1)
    body["spec"]["parallelism"] = 2
    assert only(body, first, second).decisive_pod.key == ("n", "r1")
    assert only(body, first, second, pod("r1b", "Running", 2, 1, train=RUNNING)).decisive_pod.key == ("n", "r0")


@pytest.mark.parametrize(
    ("states", "speaker"),
    [
        ({"train": RUNNING, "vault-agent": RUNNING}, "train"),
        ({"istio-proxy": RUNNING, "train": RUNNING}, "train"),
        ({"train": RUNNING, "vault-agent": FAILED}, "train"),
        ({"train": FAILED, "a-sidecar": FAILED}, "train"),
        ({"train": DONE, "vault-agent": FAILED}, "vault-agent"),
        ({"mine": RUNNING, "sidecar": RUNNING, "another": RUNNING}, "mine"),
        ({}, ""),
    ],
)
def test_the_container_that_trains_speaks(states: dict[str, Any], speaker: str) -> None:
    assert objects.pod(pod("a", "Running", 1, **states)).speaker == speaker


def test_a_pod_without_a_started_container_is_there(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = altered(recorded("no-secret"))
    waits = [{"name": "train", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    bodies["pods"][0]["status"] |= {"phase": "Pending", "containerStatuses": waits, "initContainerStatuses": []}
    bodies["events"] = []
    kubectl.serve(bodies)
    _, err = run(["logs", bodies["jobs"][0]["metadata"]["name"]], capsys, code=1)
    assert "has started no container (ContainerCreating)" in err


@pytest.mark.parametrize("name", ["a", ""])
def test_a_volcano_job_is_no_job_of_kubernetes_with_its_name(name: str) -> None:
    body = {"metadata": {"name": "a", "namespace": "n", "labels": {"ftgen.dev/run": "a"}}, "spec": {"queue": "q"}}
    plain = Committed(("n", name), "a", "a/job-a.yaml", State.ACTIVE, is_volcano=False)
    first, second = join([plain], ClusterState([objects.volcano_job(body)]))
    assert (first.committed, first.job, second.is_stray) == (plain, None, True)
    (found,) = join([plain], ClusterState([objects.plain_job(body)]))
    assert found.job is not None
