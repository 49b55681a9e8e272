"""Two nodes: hosts, ranks, all or none.

They know each other's names and their own rank, and neither starts without the other.
"""

from __future__ import annotations

from typing import Any

import pytest

from ftgen.text import kube

from .jobs import Desk
from .kubectl import Kubectl, wait_for
from .programs import CONTROLLERS, SCHEDULER

pytestmark = [pytest.mark.cluster, pytest.mark.needs(CONTROLLERS, SCHEDULER)]

SETTLED = 10
"""Seconds after which a gang that is not placed will not be; the scheduler looks every second."""


def test_two_nodes_know_their_hosts_and_ranks(desk: Desk) -> None:
    job = desk.submit("hardware=cpu", "storage=nfs", "hardware.nodes=2")
    pods = wait_for("two pods", lambda: job.pods if len(job.pods) == 2 else [], seconds=60)
    hosts = [f"{job.name}-train-{rank}.{job.name}" for rank in range(2)]
    assert [f"{pod['spec']['hostname']}.{pod['spec']['subdomain']}" for pod in pods] == hosts
    for rank, pod in enumerate(pods):
        variables = environment(desk, pod)
        assert variables["VC_TASK_INDEX"] == str(rank)
        assert variables["VC_TRAIN_HOSTS"].split(",") == hosts
        assert variables["NNODES"] == "2"


def environment(desk: Desk, pod: dict[str, Any]) -> dict[str, str]:
    """Return the variables of the training container, those from ConfigMaps resolved."""
    return {e["name"]: value(desk, e) for e in pod["spec"]["containers"][0]["env"]}


def value(desk: Desk, variable: dict[str, Any]) -> str:
    reference = variable.get("valueFrom", {}).get("configMapKeyRef")
    if reference is None:
        return str(variable.get("value", ""))
    found = desk.site.kubectl.find("configmap", reference["name"], "--namespace", desk.namespace)
    assert found is not None
    return str(found["data"][reference["key"]])


def test_the_names_are_found_before_the_pods_are_ready(desk: Desk) -> None:
    job = desk.submit("hardware=cpu", "storage=nfs", "hardware.nodes=2")
    find = desk.site.kubectl.find
    service = wait_for("the service", lambda: find("service", job.name, "--namespace", desk.namespace))
    assert service is not None
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"]["volcano.sh/job-name"] == job.name


def test_a_gang_with_too_few_nodes_starts_nothing(desk: Desk) -> None:
    node, cores = largest(desk.site.kubectl)
    # Two pods of more than half of the node each, and nowhere else to go.
    words = ("hardware=cpu", "storage=emptydir", f"+cluster.node_selector={{kubernetes.io/hostname: {node}}}")
    share = max(int(cores * 0.6), 1)
    cpu = f"hardware.per_card.cpu={{request: '{share}', limit: '{share}'}}"
    gang = desk.submit(*words, cpu, "hardware.nodes=2", "name=gang")
    alone = desk.submit(*words, cpu, "name=alone")
    wait_for("the job of one pod is placed", lambda: placed(alone.pods) == 1, seconds=60)
    with pytest.raises(AssertionError, match="not within"):
        wait_for("a pod of the gang is placed", lambda: placed(gang.pods) > 0, seconds=SETTLED)


def placed(pods: list[dict[str, Any]]) -> int:
    return sum("nodeName" in pod["spec"] for pod in pods)


def largest(kubectl: Kubectl) -> tuple[str, int]:
    """Return the untainted node with the most cores of those that `hardware=cpu` is for, and their number."""
    nodes = [n for n in kubectl.items("nodes", "--selector=kubernetes.io/arch=amd64") if not n["spec"].get("taints")]
    if not nodes:
        pytest.skip("needs a node of amd64 without taints")
    cores = {n["metadata"]["labels"]["kubernetes.io/hostname"]: n["status"]["allocatable"]["cpu"] for n in nodes}
    counted = {name: int(kube.parse_quantity(amount)) for name, amount in cores.items()}
    return max(counted.items(), key=lambda each: each[1])
