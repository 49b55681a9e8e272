"""Each cause is named, as a real control plane showed it, and the one that must be mended first comes first."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from tests.status.clusters import altered, cause, only_run, recorded, state

import ftgen
from ftgen.output.tree import State
from ftgen.remote.cluster import ClusterState, Committed, Run, objects, why
from ftgen.remote.cluster.causes.cause import refusal, shown

ROOT = Path(__file__).parents[2]

PROVOKED = [
    ("q-missing", "queue-missing", "the queue ftst-missing does not exist"),
    ("q-closed", "queue-closed", "the queue ftst-closed is closing"),
    ("q-full2", "queue-full", "8 of 8 nvidia.com/gpu are in use, the run asks for 8"),
    ("q-small", "queue-too-small", "it may have 2 nvidia.com/gpu, the run asks for 4"),
    ("selector", "node-selector", "none of the 2 nodes with amd.com/gpu has the label zone=moon"),
    ("taint", "taint", "taints of the 2 nodes that would fit (amd.com/gpu:NoSchedule)"),
    ("large", "too-large", "no node that would fit has 3Ti memory; the largest has 2Ti"),
    ("many-cards", "too-many-cards", "no node has 16 amd.com/gpu; the largest has 8"),
    ("no-cards", "no-such-cards", "no node that would fit has example.com/gpu"),
    ("gang", "gang-waiting", "1 of 2 pods would find a node, then amd.com/gpu is short"),
    ("no-claim", "claim-missing", "the claim nope does not exist"),
    ("no-class", "claim-pending", "its storage class ftst-absent does not exist"),
    ("no-secret", "secret-missing", "the secret nope does not exist"),
    ("no-scripts", "configmap-missing", "the ConfigMap no-scripts-scripts-95e3db41 does not exist"),
    ("no-priority", "priority-class-missing", "the priority class nope does not exist"),
    ("quota", "quota", "the quota cards does not allow it (requested: requests.nvidia.com/gpu=1"),
    ("psa", "pod-security", "the namespace allows only restricted:latest pods"),
    ("fails", "failed", "container train ended with exit code 1"),
    ("initfails", "failed", "container prepare ended with exit code 1"),
    ("aborted", "aborted", "somebody aborted it"),
    ("terminated", "failed", "no failed pod is left, as after a drain"),
]


@pytest.mark.parametrize(("name", "kind", "words"), PROVOKED)
def test_a_provoked_cause_is_named(name: str, kind: str, words: str) -> None:
    found = cause(recorded(name))
    assert found is not None
    assert found.kind == kind
    assert words in found.what
    assert found.remedy


@pytest.mark.parametrize("name", ["runs", "done", "stray"])
def test_a_run_that_runs_or_ran_has_no_cause(name: str) -> None:
    assert cause(recorded(name)) is None


def test_cards_that_others_hold_are_counted() -> None:
    bodies = altered(recorded("gang"))
    other = next(pod for pod in bodies["placed"] if pod["metadata"]["name"].startswith("amd2-"))
    free = {"amd-0", "amd-1"} - {other["spec"]["nodeName"]}
    bodies["placed"].append({**other, "spec": {**other["spec"], "nodeName": free.pop()}})
    found = cause(bodies)
    assert found is not None
    assert found.kind == "cards-short"
    assert "amd.com/gpu is short: a pod needs 8 on one node, the freest of 2 nodes has 0 (0 free in all)" in found.what


def test_fewer_free_cards_are_offered() -> None:
    bodies = altered(recorded("many-cards"))
    other = next(pod for pod in bodies["placed"] if pod["metadata"]["name"].startswith("amd2-"))
    bodies["placed"] = [{**other, "spec": {**other["spec"], "nodeName": name}} for name in ("amd-0", "amd-1")]
    for node in bodies["nodes"]:
        if "amd.com/gpu" in node["status"]["allocatable"]:
            node["status"]["allocatable"]["amd.com/gpu"] = "17"
    found = cause(bodies)
    assert found is not None
    assert "the freest of 2 nodes has 9 (18 free in all)" in found.what
    assert found.remedy == "wait for a run to end, or ask for less (hardware.devices=9)"


def test_without_the_right_to_see_nodes_the_scheduler_is_quoted() -> None:
    found = cause(recorded("large"), nodes=None, placed=None)
    assert found is not None
    assert found.kind == "unschedulable"
    assert "48 Insufficient memory" in found.what


NOTHING_OF_THE_CLUSTER = {"queues": None, "nodes": None, "placed": None, "classes": None}


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("q-missing", "queue-full", "the queue ftst-missing is full: insufficient cpu, insufficient amd.com/gpu"),
        ("no-cards", "resources-short", "the cluster is full: overused example.com/gpu"),
        ("large", "unschedulable", "48 Insufficient memory"),
        ("no-class", "claim-pending", 'waits: storageclass.storage.k8s.io "ftst-absent" not found'),
        ("no-claim", "claim-missing", "the claim nope does not exist"),
    ],
)
def test_a_reader_of_one_namespace_is_told_too(name: str, kind: str, words: str) -> None:
    found = cause(recorded(name), **NOTHING_OF_THE_CLUSTER)
    assert found is not None
    assert found.kind == kind
    assert words in found.what


def test_what_volcano_says_of_every_gang_is_no_cause() -> None:
    found = cause(recorded("q-missing"), queues=None, events=[])
    assert found is not None
    assert found.kind == "not-placed-yet"


@pytest.mark.parametrize("change", [{"unschedulable": True}, {}])
def test_closed_nodes_are_named(change: dict[str, bool]) -> None:
    bodies = altered(recorded("gang"))
    for node in bodies["nodes"]:
        if node["metadata"]["name"].startswith("amd-"):
            node["spec"] |= change
            node["status"]["conditions"] = node["status"]["conditions"] if change else []
    found = cause(bodies)
    assert found is not None
    assert found.kind == "node-closed"
    assert "amd-0, amd-1" in found.what


def test_the_queue_comes_before_the_claim_and_the_claim_before_the_image() -> None:
    bodies = altered(recorded("no-claim"))
    pod = bodies["pods"][0]
    pod["spec"]["nodeName"] = "nvidia-0"
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "a/b:1"'}
    pod["status"]["containerStatuses"] = [{"name": "train", "state": {"waiting": waiting}}]
    kinds = []
    for step in ("queue", "claim", "image"):
        found = cause(bodies, queues=[] if step == "queue" else None)
        assert found is not None
        kinds.append(found.kind)
        if step == "claim":
            pod["spec"]["volumes"] = []
    assert kinds == ["queue-missing", "claim-missing", "image"]


def _waiting(reason: str, message: str) -> dict[str, list[dict[str, object]]]:
    bodies = altered(recorded("no-secret"))
    status = {"name": "train", "state": {"waiting": {"reason": reason, "message": message}}}
    bodies["pods"][0]["status"] |= {"containerStatuses": [status], "initContainerStatuses": []}
    return bodies


@pytest.mark.parametrize(
    ("reason", "message", "kind", "words"),
    [
        ("ErrImagePull", 'failed to pull and unpack image "r/x:1": not found', "image", "the image r/x:1 cannot"),
        ("ImagePullBackOff", 'Back-off pulling image "r/x:1"', "image", "the image r/x:1"),
        ("InvalidImageName", "Failed to apply default image tag", "image", "InvalidImageName"),
        ("ErrImageNeverPull", 'Container image "r/x:1" is not present with pull policy of Never', "image", "r/x:1"),
        ("CreateContainerConfigError", "couldn't find key T in Secret ns/git", "secret-missing", "has no key T"),
        ("CreateContainerConfigError", 'configmap "c" not found', "configmap-missing", "ConfigMap c does not exist"),
        ("CreateContainerError", "no such runtime", "container", "container train cannot start"),
        ("RunContainerError", "exec: no such file", "container", "exec: no such file"),
    ],
)  # fmt: skip
def test_what_a_kubelet_waits_for_is_named(reason: str, message: str, kind: str, words: str) -> None:
    found = cause(_waiting(reason, message))
    assert found is not None
    assert found.kind == kind
    assert words in found.what


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('MountVolume.SetUp failed for volume "git" : secret "gone" not found', "secret-missing"),
        ("Unable to attach or mount volumes: timed out waiting for the condition", "mount"),
    ],
)
def test_what_a_volume_waits_for_is_named(message: str, kind: str) -> None:
    bodies = altered(recorded("no-secret"))
    pod = bodies["pods"][0]
    pod["status"] |= {"containerStatuses": [], "initContainerStatuses": []}
    about = {"kind": "Pod", **{key: pod["metadata"][key] for key in ("namespace", "name")}}
    bodies["events"].append({"involvedObject": about, "reason": "FailedMount", "message": message})
    found = cause(bodies)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("spec", "said", "words"),
    [
        (
            {"storageClassName": "nfs-csi"},
            "",
            "nfs.csi.k8s.io (class nfs-csi) has made no volume: let an administrator",
        ),
        ({"storageClassName": "nfs-csi"}, "no space", "and says: no space"),
        ({"storageClassName": ""}, "", "waits for a volume that somebody makes (class none)"),
        ({}, "", "names no storage class, and the cluster has no default"),
        ({"storageClassName": "sc-topolvm", "node": "nvidia-0"}, "", "has made no volume on node nvidia-0"),
    ],
)
def test_a_pending_claim_is_explained(spec: dict[str, str], said: str, words: str) -> None:
    bodies = altered(recorded("no-class"))
    claim = bodies["persistentvolumeclaims"][0]
    claim["spec"] = {key: value for key, value in spec.items() if key != "node"}
    claim["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": spec.get("node", "")}
    bodies["events"] = []
    if said:
        about = {"kind": "PersistentVolumeClaim", **{k: claim["metadata"][k] for k in ("namespace", "name")}}
        bodies["events"] = [{"involvedObject": about, "reason": "ProvisioningFailed", "message": said}]
    assert words in str(cause(bodies))


def test_a_claim_that_waits_for_its_pod_is_no_cause() -> None:
    bodies = altered(recorded("no-class"))
    bodies["persistentvolumeclaims"][0]["spec"] = {"storageClassName": "sc-topolvm"}
    bodies["events"], bodies["nodes"] = [], []
    found = cause(bodies)
    assert found is not None
    assert found.kind == "no-such-cards"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("1 node(s) had volume node affinity conflict", "claim-elsewhere"),
        ("2 node(s) did not have enough free storage", "storage-full"),
    ],
)
def test_volumes_that_bind_a_pod_to_nodes_are_told(said: str, kind: str) -> None:
    bodies = altered(recorded("no-claim"))
    bodies["persistentvolumeclaims"] += [
        {"metadata": {"namespace": "ft-status", "name": "nope"}, "status": {"phase": "Bound"}}
    ]
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}]
    bodies["pods"][0]["status"]["conditions"] = conditions
    found = cause(bodies)
    assert found is not None
    assert found.kind == kind


def _ended(state: dict[str, object], **status: object) -> dict[str, list[dict[str, object]]]:
    bodies = altered(recorded("fails"))
    bodies["pods"][0]["status"] |= {"containerStatuses": [{"name": "train", "state": {"terminated": state}}], **status}
    return bodies


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, "failed", "used more memory than its limit"),
        ({"exitCode": 137, "reason": "Error"}, "killed", "was killed, perhaps for its memory"),
        ({"exitCode": 143, "reason": "Error"}, "killed", "was told to stop, as by a drain"),
        (
            {"exitCode": 1, "message": "prepare: model: error: x has no branch, tag or commit y"},
            "failed",
            "has no branch",
        ),
    ],
)
def test_an_end_is_explained(state: dict[str, object], kind: str, words: str) -> None:
    found = cause(_ended(state))
    assert found is not None
    assert found.kind == kind
    assert words in found.what


def test_an_eviction_is_told() -> None:
    found = cause(_ended({"exitCode": 137}, reason="Evicted", message="The node was low on resource: memory."))
    assert found is not None
    assert found.kind == "evicted"
    assert "ftgen rerun" in found.remedy


def test_the_log_says_more_than_the_exit_code() -> None:
    bodies = recorded("fails")
    key = only_run(state(bodies)).pods[0].key
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."
    log = f"Traceback …\n{error}\ntrain: training ended with exit code 1\n"
    found = cause(bodies, logs={key: log})
    assert found is not None
    assert "CUDA out of memory" in found.what
    assert "trainer.batch_size" in found.remedy


# committed, and never created


def _committed(seen: ClusterState, **fields: object) -> str:
    run = Committed(("team", "sft-1a2b3c4d"), "sft", "sft/job-sft-1a2b3c4d.yaml", State.ACTIVE)
    values = {name: fields.get(name, getattr(run, name)) for name in run.__slots__}
    found = why(Run(run.key, Committed(**values)), seen)
    return str(found)


def test_a_job_that_nobody_created_is_told() -> None:
    told = _committed(ClusterState())
    assert told.startswith("it is committed and was never created: ")
    assert "kubectl create -f sft/job-sft-1a2b3c4d.yaml" in told


def test_what_its_creation_needs_comes_first() -> None:
    assert "namespace team does not exist" in _committed(ClusterState(missing_namespaces=["team"]))
    assert "the queue q does not exist" in _committed(ClusterState(queues=[]), queue="q")
    closed = objects.queue({"metadata": {"name": "q"}, "status": {"state": "Closed"}})
    assert "the queue q is closed" in _committed(ClusterState(queues=[closed]), queue="q")


def test_the_reconciler_is_quoted() -> None:
    body = {
        "kind": "Application",
        "metadata": {"namespace": "argocd", "name": "sft"},
        "status": {
            "operationState": {
                "phase": "Failed",
                "message": "one or more objects failed to apply",
                "syncResult": {"resources": [{"name": "sft-1a2b3c4d", "status": "SyncFailed", "message": WEBHOOK}]},
            }
        },
    }
    paths = ("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/sft",)
    told = _committed(ClusterState(deliveries=[objects.delivery(body)]), deliveries=paths)
    assert told.startswith("the webhook validatejob.volcano.sh refuses it: job 'minAvailable' must not")
    flux = {"kind": "Kustomization", "metadata": {"name": "sft"}, "status": {"conditions": [FLUX]}}
    paths = ("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/sft",)
    told = _committed(ClusterState(deliveries=[objects.delivery(flux)]), deliveries=paths)
    assert told.startswith("the Kustomization sft says: path not found")


FLUX = {"type": "Ready", "status": "False", "message": "path not found"}
WEBHOOK = "admission webhook \"validatejob.volcano.sh\" denied the request: job 'minAvailable' must not be greater"


def test_archived_and_stopping_runs_want_nothing() -> None:
    assert _committed(ClusterState(), state=State.ARCHIVED) == "None"
    assert "`ftgen stop sft-1a2b3c4d` removes its file" in _committed(ClusterState(), state=State.STOPPING)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (WEBHOOK, "webhook"),
        ('Internal error occurred: failed calling webhook "mutatejob.volcano.sh": connection refused', "webhook"),
        ('unable to find job queue: queue.scheduling.volcano.sh "q" not found;', "queue-missing"),
        ('error looking up service account a/b: serviceaccount "b" not found', "service-account-missing"),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'teams' with binding 'all' denied request: no team",
            "policy",
        ),
        ('pods "x" is forbidden: failed quota: cards: must specify limits.cpu', "quota"),
    ],
)
def test_a_refusal_is_read(message: str, kind: str) -> None:
    found = refusal(message)
    assert found is not None
    assert found.kind == kind
    inside_go = refusal(
        f'err: &errors.StatusError{{Status:"Failure", Message:"{message.replace(chr(34), chr(92) + chr(34))}"}}'
    )
    assert inside_go == found


@pytest.mark.parametrize(
    ("asked", "most", "waits"),
    [
        ("requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=8", True),
        ("requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=0", False),
        ("pods=1,requests.memory=64Gi", "pods=50,requests.memory=32Gi", False),
        ("pods=?", "pods=0", True),
    ],
)
def test_nobody_waits_for_a_quota_that_never_holds_as_much(asked: str, most: str, waits: bool) -> None:
    found = refusal(f'pods "x" is forbidden: exceeded quota: q, requested: {asked}, used: pods=0, limited: {most}')
    assert found is not None
    assert ("wait for a run to end" in found.remedy) is waits


def test_a_text_that_is_no_refusal_is_none() -> None:
    assert refusal("the weather is fine") is None


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [("memory", 3 << 40, "3Ti"), ("cpu", Fraction(1, 2), "500m"), ("nvidia.com/gpu", 8, "8")],
)
def test_amounts_are_written_as_people_do(resource: str, amount: int, text: str) -> None:
    assert shown(resource, Fraction(amount)) == text


def test_the_page_names_every_kind_of_cause() -> None:
    folder = Path(ftgen.__file__).parent / "remote" / "cluster" / "causes"
    sources = "".join(file.read_text() for file in folder.glob("*.py"))
    kinds = {
        *re.findall(r"Cause\(\s*\"([a-z-]+)\"", sources),
        *re.findall(r"^ {8}\"([a-z-]+)\",$", sources, re.MULTILINE),
    }
    kinds |= {"cards-short", "resources-short", "secret-missing", "configmap-missing"}
    page = (ROOT / "docs" / "status.md").read_text()
    assert len(kinds) > 30
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in page] == []
