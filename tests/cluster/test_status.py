"""Why a run does not train: each cause is provoked, and `ftgen status` names it; `ftgen logs` shows the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Said, ftgen, git, home, source

from .facts import SIMULATED_NODES
from .jobs import FOREVER, SOON, Desk, LiveJob
from .kubectl import Object, wait_for
from .programs import ADMISSION, CONTROLLERS, SCHEDULER

__all__ = ["ftgen", "git", "home", "source"]

pytestmark = [pytest.mark.cluster, pytest.mark.needs(ADMISSION, CONTROLLERS, SCHEDULER, SIMULATED_NODES)]

GAUDI = ("hardware=gaudi", "hardware.devices=8")
"""All cards of a node; two nodes have such cards, and no other check uses them."""
HANGS = "RuntimeError: [3] is setting up NCCL communicator: Connection reset by peer"


@dataclass
class Stage:
    """Where one cause is provoked.

    Attributes:
        desk: where jobs are submitted.
        at_end: what undoes changes to the cluster itself.
    """

    desk: Desk
    at_end: ExitStack = field(default_factory=ExitStack)

    def kubectl(self, *words: str, undo: tuple[str, ...] = ()) -> None:
        """Change the cluster; `undo` is run at the end."""
        if undo:
            self.at_end.callback(self.desk.site.kubectl.ask, *undo)
        self.desk.site.kubectl(*words)

    def create(self, api_version: str, kind: str, name: str, *, is_global: bool = False, **content: Any) -> None:
        """Create an object of the namespace, or of the cluster; that one is deleted at the end."""
        if is_global:
            group = api_version.partition("/")[0]
            self.at_end.callback(self.desk.site.kubectl.ask, "delete", f"{kind}.{group}".lower(), name, "--wait=false")
        self.desk.site.create(api_version, kind, name, "" if is_global else self.desk.namespace, **content)

    def queue(self, **spec: object) -> str:
        """Make a queue of the check's own, and return its name."""
        name = f"{self.desk.namespace}-queue"
        self.create("scheduling.volcano.sh/v1beta1", "Queue", name, is_global=True, spec={"weight": 1, **spec})
        open_state = ("get", "queues.scheduling.volcano.sh", name, "-o", "jsonpath={.status.state}")
        wait_for(f"{name} is open", lambda: self.desk.site.kubectl(*open_state) == ["Open"], seconds=20)
        return name

    def submit(self, *words: str, queue: str = "") -> LiveJob:
        """Submit a job that runs until it is told to end."""
        self.desk.simulate(FOREVER)
        return replace(self.desk, queue=queue).submit(*words)


Provoke = Callable[[Stage], LiveJob]


def _closed_queue(stage: Stage) -> LiveJob:
    queue = stage.queue()
    job = stage.submit("hardware=cpu", "+cluster.node_selector.shelf=none", queue=queue)
    target = {"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "Queue", "name": queue, "uid": _uid(stage, queue)}
    stage.create("bus.volcano.sh/v1alpha1", "Command", "close", action="CloseQueue", target=target)
    return job


def _uid(stage: Stage, queue: str) -> str:
    (uid,) = stage.desk.site.kubectl("get", "queues.scheduling.volcano.sh", queue, "-o", "jsonpath={.metadata.uid}")
    return uid


def _full_queue(stage: Stage) -> LiveJob:
    queue = stage.queue(capability={"habana.ai/gaudi": "8"})
    stage.submit(*GAUDI, "name=first", queue=queue).running()
    return stage.submit(*GAUDI, "name=second", queue=queue)


def _small_queue(stage: Stage) -> LiveJob:
    return stage.submit(*GAUDI, queue=stage.queue(capability={"habana.ai/gaudi": "4"}))


def _short_cards(stage: Stage) -> LiveJob:
    stage.submit(*GAUDI, "hardware.nodes=2", "storage=nfs", "name=first").running(2)
    return stage.submit(*GAUDI, "name=second")


def _waiting_gang(stage: Stage) -> LiveJob:
    stage.submit(*GAUDI, "name=first").running()
    return stage.submit(*GAUDI, "hardware.nodes=2", "storage=nfs", "name=second")


def _tainted(stage: Stage) -> LiveJob:
    for node in ("gaudi-0", "gaudi-1"):
        stage.kubectl("taint", "node", node, "repair=now:NoSchedule", undo=("taint", "node", node, "repair-"))
    return stage.submit(*GAUDI)


def _cordoned(stage: Stage) -> LiveJob:
    for node in ("gaudi-0", "gaudi-1"):
        stage.kubectl("cordon", node, undo=("uncordon", node))
    return stage.submit(*GAUDI)


def _no_provisioner(stage: Stage) -> LiveJob:
    name = f"{stage.desk.namespace}-class"
    stage.create("storage.k8s.io/v1", "StorageClass", name, is_global=True, provisioner="nobody.example.com")
    return stage.submit("hardware=cpu", "storage=topolvm", f"storage.storage_class={name}")


def _quota(stage: Stage) -> LiveJob:
    stage.create("v1", "ResourceQuota", "none", spec={"hard": {"pods": "0"}})
    return stage.submit("hardware=cpu")


def _restricted(stage: Stage) -> LiveJob:
    stage.kubectl("label", "namespace", stage.desk.namespace, "pod-security.kubernetes.io/enforce=restricted")
    return stage.submit("hardware=cpu")


def _webhook(stage: Stage) -> LiveJob:
    """Let a webhook that is not there judge the pods of the namespace."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": "pods.policy.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/judge"},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.desk.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    name, group = f"{stage.desk.namespace}-hook", "admissionregistration.k8s.io/v1"
    stage.create(group, "ValidatingWebhookConfiguration", name, is_global=True, webhooks=[hook])
    return stage.submit("hardware=cpu")


def _policy(stage: Stage) -> LiveJob:
    """Let a policy of the cluster's own refuse the pods of the namespace."""
    name, group = f"{stage.desk.namespace}-policy", "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "has(object.metadata.labels.team)", "message": "every pod names its team"}],
    }
    stage.create(group, "ValidatingAdmissionPolicy", name, is_global=True, spec=spec)
    selector = {"matchLabels": {"kubernetes.io/metadata.name": stage.desk.namespace}}
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    stage.create(group, "ValidatingAdmissionPolicyBinding", name, is_global=True, spec=binding)
    wait_for("the policy is in force", lambda: _refuses_a_pod(stage), seconds=30)
    return stage.submit("hardware=cpu")


def _refuses_a_pod(stage: Stage) -> bool:
    container = {"name": "c", "image": "none"}
    metadata = {"name": "probe", "namespace": stage.desk.namespace}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    return stage.desk.site.kubectl.ask("create", "--dry-run=server", "-f", "-", objects=[pod]).code != 0


def _ended(*, log: str = "", **rule: object) -> Provoke:
    """Return what submits a job whose container ends at once."""

    def provoke(stage: Stage) -> LiveJob:
        job = stage.submit("hardware=cpu", "job.on_failure=TerminateJob")
        stage.desk.simulate({**SOON, "log": log, **rule})
        return job

    return provoke


def _aborted(stage: Stage) -> LiveJob:
    job = stage.submit("hardware=cpu")
    job.running()
    found = stage.desk.site.kubectl.find("jobs.batch.volcano.sh", job.name, "--namespace", stage.desk.namespace) or {}
    target = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "name": job.name,
        "uid": found["metadata"]["uid"],
        "controller": True,
    }
    stage.create("bus.volcano.sh/v1alpha1", "Command", "abort", action="AbortJob", target=target)
    return job


def _submitted(*words: str) -> Provoke:
    return lambda stage: stage.submit(*words)


CAUSES: Mapping[str, tuple[Provoke, str, str]] = {
    "a closed queue": (_closed_queue, "queue-closed", "is clos"),
    "a full queue": (_full_queue, "queue-full", "8 of 8 habana.ai/gaudi are in use"),
    "a queue too small": (_small_queue, "queue-too-small", "may have 4 habana.ai/gaudi"),
    "no claim": (
        _submitted("hardware=cpu", "storage=claims", "storage.models.claim=absent", "storage.workspace.claim=work"),
        "claim-missing",
        "absent",
    ),
    "no class": (
        _submitted("hardware=cpu", "storage=topolvm", "storage.storage_class=absent"),
        "claim-pending",
        "its storage class absent does not exist",
    ),
    "no provisioner": (_no_provisioner, "claim-pending", "nobody.example.com"),
    "too many cards": (
        _submitted("hardware=gaudi", "hardware.devices=16", "hardware.card.per_node=16"),
        "too-many-cards",
        "the largest has 8",
    ),
    "no such cards": (
        _submitted("hardware=full-gpu", "hardware.resources.count=example.com/gpu"),
        "no-such-cards",
        "example.com/gpu",
    ),
    "no such label": (_submitted("hardware=cpu", "+cluster.node_selector.shelf=none"), "node-selector", "shelf"),
    "too much memory": (
        _submitted("hardware=cpu", "hardware.per_card.memory={request: 4Ti, limit: 4Ti}"),
        "too-large",
        "memory",
    ),
    "tainted nodes": (_tainted, "taint", "repair=now:NoSchedule"),
    "cordoned nodes": (_cordoned, "node-closed", "cordoned"),
    "short cards": (_short_cards, "cards-short", "habana.ai/gaudi is short"),
    "a waiting gang": (_waiting_gang, "gang-waiting", "1 of 2 pods"),
    "no secret": (_submitted("hardware=cpu", "cluster.git.secret=absent"), "secret-missing", "absent"),
    "no priority class": (
        _submitted("hardware=cpu", "cluster.priority_class=absent"),
        "priority-class-missing",
        "absent",
    ),
    "a quota": (_quota, "quota", "pods=0"),
    "a restricted namespace": (_restricted, "pod-security", "restricted"),
    "a silent webhook": (_webhook, "webhook", "pods.policy.example.com does not answer"),
    "a policy": (_policy, "policy", "every pod names its team"),
    "a fault of its own": (_ended(exit=1, log=f"step 1\n{HANGS}\n"), "failed", "rank"),
    "short memory of the card": (
        _ended(exit=1, log="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"),
        "failed",
        "memory",
    ),
    "a program that is killed": (_ended(exit=137), "killed", "137"),
    "a failing init container": (
        _ended(init=1, log="prepare: error: no such repository\n"),
        "failed",
        "no such repository",
    ),
    "an order to abort": (_aborted, "aborted", "abort"),
}


@pytest.fixture
def stage(desk: Desk) -> Iterator[Stage]:
    made = Stage(desk)
    with made.at_end:
        yield made


@pytest.fixture
def why(ftgen: Callable[..., Said], stage: Stage, tmp_path: Path) -> Callable[[LiveJob], dict[str, str]]:
    """`why(job)`: what status says of it; empty where nothing is in its way."""

    def ask(job: LiveJob) -> dict[str, str]:
        said = ftgen(*_status(job, stage), cwd=tmp_path)
        assert said.code == 0, said.err
        (run,) = (each for each in json.loads(said.out)["runs"] if each["name"] == job.name)
        return run["why"] or {}

    return ask


def _status(job: LiveJob, stage: Stage) -> tuple[str, ...]:
    where = ("--namespace", job.namespace, "--kubeconfig", str(stage.desk.site.kubectl.kubeconfig))
    return ("status", job.name, "--json", *where)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_named(cause: str, stage: Stage, why: Callable[[LiveJob], dict[str, str]]) -> None:
    provoke, kind, words = CAUSES[cause]
    job, said = provoke(stage), {}

    def is_named() -> bool:
        said.update(why(job))
        return said.get("kind") == kind and words in f"{said['what']}: {said['remedy']}"

    try:
        wait_for(kind, is_named, seconds=90, pause=2)
    except AssertionError:
        raise AssertionError(f"not {kind} with {words!r}, but {said}") from None


def test_a_run_that_trains_has_no_cause(stage: Stage, why: Callable[[LiveJob], dict[str, str]]) -> None:
    job = stage.submit("hardware=cpu")
    job.running()
    assert why(job) == {}


def test_what_was_never_created_and_what_git_lacks(
    ftgen: Callable[..., Said], stage: Stage, tmp_path: Path, why: Callable[[LiveJob], dict[str, str]]
) -> None:
    stray = stage.submit("hardware=cpu", "name=stray")
    stray.running()
    words = (f"cluster.namespace={stage.desk.namespace}", f"cluster.queue={stage.desk.site.queue}")
    for name, extra in {"here": (), "nowhere": ("cluster.queue=absent",)}.items():
        assert ftgen("hardware=cpu", *words, *extra, f"name={name}", "-o", "tree", cwd=tmp_path).code == 0
    kubeconfig = ("--kubeconfig", str(stage.desk.site.kubectl.kubeconfig))
    said = ftgen("status", "-o", "tree", "--json", *kubeconfig, cwd=tmp_path)
    kinds = {run["identity"] or run["name"]: (run["why"] or {}).get("kind") for run in json.loads(said.out)["runs"]}
    assert sorted(map(str, kinds.values())) == ["never-created", "not-in-git", "queue-missing"]


def test_logs_are_those_of_the_pod(ftgen: Callable[..., Said], stage: Stage, tmp_path: Path) -> None:
    job = _ended(exit=1, log=f"step 1\n{HANGS}\n")(stage)
    job.becomes("Terminated", "Failed", "Aborted")
    where = ("--namespace", job.namespace, "--kubeconfig", str(stage.desk.site.kubectl.kubeconfig))
    said = ftgen("logs", job.name, *where, cwd=tmp_path)
    assert (said.code, said.out) == (0, f"step 1\n{HANGS}\n")
