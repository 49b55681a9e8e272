"""Failure, drain, a lost node, the budget.

The table of docs/training.md, under "What it survives".
"""

from __future__ import annotations

import pytest

from .facts import SIMULATED_NODES
from .jobs import FOREVER, SOON, Desk
from .programs import CONTROLLERS, SCHEDULER

pytestmark = [pytest.mark.cluster, pytest.mark.needs(CONTROLLERS, SCHEDULER, SIMULATED_NODES)]

GOES, STAYS = "storage=topolvm", "storage=nfs"
"""A workspace that goes with the pod, and one that stays."""


@pytest.mark.parametrize(
    ("storage", "nodes", "failure", "starts_again"),
    [
        (GOES, 1, {"exit": 1}, False),
        (STAYS, 1, {"exit": 1}, True),
        (GOES, 2, {"exit": 4}, True),
        (GOES, 1, {"exit": 137}, False),
        (STAYS, 1, {"exit": 137}, True),
        (GOES, 1, {"init": 1}, True),
        (STAYS, 1, {"init": 1}, True),
    ],
    ids=lambda value: str(value).removeprefix("storage="),
)
def test_a_failure_ends_the_job_or_starts_it_again(
    desk: Desk, storage: str, nodes: int, failure: dict[str, int], starts_again: bool
) -> None:
    desk.simulate({**SOON, **failure})
    job = desk.submit("hardware=cpu", storage, f"hardware.nodes={nodes}")
    ended = job.becomes("Failed", "Terminated")
    assert (ended, job.restarts > 0) == (("Failed", True) if starts_again else ("Terminated", False))


def test_the_budget_of_restarts_is_kept(desk: Desk) -> None:
    desk.simulate({**SOON, "exit": 1})
    job = desk.submit("hardware=cpu", STAYS, "job.restarts=1")
    job.becomes("Failed")
    # Volcano counts attempts: one and one again.
    assert job.restarts == 2


@pytest.mark.parametrize("storage", [GOES, STAYS], ids=["topolvm", "nfs"])
def test_a_drain_starts_the_job_again(desk: Desk, storage: str) -> None:
    desk.simulate(FOREVER)
    job = desk.submit("hardware=cpu", storage)
    (pod,) = job.running()
    desk.simulate(SOON)
    drain(desk, pod["spec"]["nodeName"], job.name)
    job.becomes("Completed")
    assert job.restarts == 1
    assert [again["metadata"]["uid"] for again in job.pods] != [pod["metadata"]["uid"]]


def drain(desk: Desk, node: str, job: str) -> None:
    """Evict the pods of one job from a node, as a drain of the whole node would."""
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s")
    try:
        desk.site.kubectl("drain", node, f"--pod-selector=volcano.sh/job-name={job}", *flags)
    finally:
        desk.site.kubectl("uncordon", node)


def test_one_of_two_nodes_drained_starts_both_again(desk: Desk) -> None:
    desk.simulate(FOREVER)
    job = desk.submit("hardware=cpu", STAYS, "hardware.nodes=2")
    first, second = job.running(2)
    desk.simulate(SOON)
    drain(desk, second["spec"]["nodeName"], job.name)
    job.becomes("Completed")
    assert {first["metadata"]["uid"], second["metadata"]["uid"]}.isdisjoint(p["metadata"]["uid"] for p in job.pods)


@pytest.mark.parametrize("storage", [GOES, STAYS], ids=["topolvm", "nfs"])
def test_a_lost_node_starts_the_job_again(desk: Desk, storage: str) -> None:
    desk.simulate(FOREVER)
    job = desk.submit("hardware=cpu", storage)
    (pod,) = job.running()
    desk.simulate(SOON)
    desk.site.kubectl("delete", "node", pod["spec"]["nodeName"])
    job.becomes("Completed", seconds=300)
    assert job.restarts == 1
