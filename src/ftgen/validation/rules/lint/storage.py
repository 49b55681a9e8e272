"""Rules over claims, access modes and memory-backed volumes, by replicas, nodes and limits.

Sources: TopoLVM's and the CSI drivers' documentation, Kubernetes' access modes and volumes, Volcano's
createOrUpdateJobIO (one claim of `spec.volumes` for all pods).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Severity
from ftgen.emulation import controller
from ftgen.text.shapes import amount, mapping, strings, text
from ftgen.validation import Context, FactMissing, Finding, rule
from ftgen.validation.manifest import Container, Job, Pod, Task
from ftgen.validation.rules import CLAIM_LINT, LINT, PODS_LINT, twins
from ftgen.validation.rules.lint.cards import literal_variables, pod_count
from ftgen.validation.rules.lint.devices import card_count, vendors_of
from ftgen.validation.rules.lint.ranks import keeps_apart
from ftgen.validation.rules.lint.shell import has_match, shell_text

_NODE_LOCAL = frozenset(
    ("topolvm.io", "topolvm.cybozu.com", "rancher.io/local-path", "kubernetes.io/no-provisioner", "openebs.io/local")
)
_SETS_HOME = re.compile(r"\b(?:HF_HOME|HOME|XDG_CACHE_HOME)=")
_RBD = ".rbd.csi.ceph.com"
_SHM = "/dev/shm"  # noqa: S108 - where collectives look for shared memory
HOST_FILES = ("/dev", "/sys", "/proc", "/etc", "/usr/local/Ascend", "/usr/local/dcmi", "/usr/local/bin", "/lib")


class Claim(Struct, frozen=True):
    """A claim that a job uses and whose specification is known.

    Attributes:
        path: path of the inline specification, or of the claim's name.
        name: name of a claim that outlives the job; empty where the claim is made for the job or a pod.
        spec: specification of the claim.
        shared: whether all pods use the same volume.
        task: task whose pods mount it; None for volumes of the job itself.
    """

    path: str
    name: str
    spec: Mapping[str, Any]
    shared: bool
    task: Task | None = None

    @property
    def modes(self) -> list[str]:
        """Return its access modes."""
        return strings(self.spec.get("accessModes"))

    @property
    def storage_class(self) -> str:
        """Return the name of its storage class; empty for the cluster's default."""
        return text(self.spec.get("storageClassName"))

    @property
    def label(self) -> str:
        """Return its name for messages."""
        return self.name or f"the claim of class {self.storage_class or 'default'}"


def claims(job: Job, context: Context) -> Iterator[Claim]:
    """Yield the claims of a job whose specification is known: inline, or beside the manifest."""
    if job.manifest.get("kind") == "PersistentVolumeClaim":
        yield Claim("spec", text(mapping(job.manifest.get("metadata")).get("name")), job.spec, shared=False)
    for i, volume in job.volumes:
        name, path = text(volume.get("volumeClaimName")), f"spec.volumes[{i}]"
        if isinstance(volume.get("volumeClaim"), dict):
            yield Claim(f"{path}.volumeClaim", "", volume["volumeClaim"], shared=True)
        elif (spec := context.claim(name)) is not None:
            yield Claim(f"{path}.volumeClaimName", name, spec, shared=True)
    for task in job.tasks:
        for i, volume in task.pod.volumes:
            path = f"{task.pod.spec_path}.volumes[{i}]"
            template = mapping(mapping(volume.get("ephemeral")).get("volumeClaimTemplate"))
            if isinstance(template.get("spec"), dict):
                inner = f"{path}.ephemeral.volumeClaimTemplate.spec"
                yield Claim(inner, "", template["spec"], shared=False, task=task)
            name = text(mapping(volume.get("persistentVolumeClaim")).get("claimName"))
            if (spec := context.claim(name)) is not None:
                inner = f"{path}.persistentVolumeClaim.claimName"
                yield Claim(inner, name, spec, shared=True, task=task)


def _is_node_local(claim: Claim, context: Context) -> bool | None:
    """Return whether a claim's volume is bound to one node; None where the storage class is unknown."""
    try:
        return context.storage_class(claim.storage_class).provisioner in _NODE_LOCAL
    except FactMissing:
        return None


@rule("FT474", "unserved-access-mode", on=(LINT, CLAIM_LINT), twins=("FT254",))
def unserved_mode(job: Job, context: Context) -> Iterator[Finding]:
    """A storage class cannot serve the access mode of a claim.

    TopoLVM and local volumes live on one node and refuse ReadWriteMany and ReadOnlyMany, a Ceph block device with
    a file system takes one writer; the claim never binds and the job waits in silence.

    Refused: `ReadWriteMany` on a class of topolvm.io.
    Write: `ReadWriteOnce`, or a class of shared storage.
    """
    for claim in claims(job, context):
        modes = [mode for mode in claim.modes if twins.serves_several_nodes(mode)]
        if not modes or claim.path.endswith(("claimName", "volumeClaimName")):
            continue
        provisioner = context.storage_class(claim.storage_class).provisioner
        block = provisioner.endswith(_RBD) and text(claim.spec.get("volumeMode")) != "Block"
        if provisioner in _NODE_LOCAL or block:
            headline = f"{claim.storage_class or 'the default class'} cannot serve {modes[0]}: the claim never binds"
            yield Finding(headline, f"{claim.path}.accessModes", modes[0], "write ReadWriteOnce, or use shared storage")


@rule("FT475", "claim-of-one-node-for-all", Severity.WARNING, on=LINT, twins=("FT255",))
def one_node_for_all(job: Job, context: Context) -> Iterator[Finding]:
    """A claim that attaches to one node is shared by all replicas.

    ReadWriteOnce is one node at a time. A volume of node-local storage draws every pod to its node: where the pods
    must be apart, or the node has too few cards, the gang never starts; a network volume is refused to the others.

    Refused: `spec.volumes[0].volumeClaim` with ReadWriteOnce and two replicas.
    Write: a ReadWriteMany claim, or an ephemeral volume for each pod.
    """
    total = pod_count(job)
    for claim in claims(job, context) if total > 1 else ():
        if not claim.shared or "ReadWriteOnce" not in claim.modes or any(map(twins.serves_several_nodes, claim.modes)):
            continue
        is_local = _is_node_local(claim, context)
        impossible = (
            is_local is False
            or any(keeps_apart(job, t, required=True) for t in job.tasks)
            or _more_cards_than_a_node(job, context)
        )
        headline = f"all {total} pods must run on the node of {claim.label}"
        headline += ", and cannot" if impossible else ""
        help_ = "use ReadWriteMany storage, or an ephemeral volume for each pod"
        yield Finding(headline, claim.path, "ReadWriteOnce", help_, Severity.ERROR if impossible else None)


def _more_cards_than_a_node(job: Job, context: Context) -> bool:
    cards = sum(card_count(task.pod) * task.replicas for task in job.tasks)
    per_node = context.card("per_node")
    return per_node is not None and cards > per_node


@rule("FT476", "claim-of-one-pod-for-all", on=LINT, twins=("FT255",))
def one_pod_for_all(job: Job, context: Context) -> Iterator[Finding]:
    """A ReadWriteOncePod claim is shared by several pods.

    The second pod is never scheduled.

    Refused: `ReadWriteOncePod` with two replicas.
    Write: `ReadWriteMany`.
    """
    for claim in claims(job, context) if pod_count(job) > 1 else ():
        if claim.shared and claim.modes == ["ReadWriteOncePod"]:
            headline = f"{claim.label} admits one pod, and there are {pod_count(job)}"
            yield Finding(headline, claim.path, "ReadWriteOncePod", "use ReadWriteMany")


@rule("FT477", "host-path-across-nodes", Severity.WARNING, on=LINT)
def host_path(job: Job) -> Iterator[Finding]:
    """Replicas read or write a path of their node.

    Each node has other files there, and what is written stays on that node.

    Refused: `hostPath: {path: /data/models}` in two replicas.
    Write: a claim.
    """
    for task in job.tasks:
        for i, volume in task.pod.volumes if task.replicas > 1 else ():
            path = text(mapping(volume.get("hostPath")).get("path"))
            if path and not path.startswith(HOST_FILES):
                subject = f"{task.pod.spec_path}.volumes[{i}].hostPath.path"
                yield Finding(f"each node has other files in {path}", subject, path, "use a claim")


@rule("FT478", "several-node-local-claims", Severity.WARNING, on=LINT, twins=("FT279",))
def several_local(job: Job, context: Context) -> Iterator[Finding]:
    """A pod mounts several claims that each live on one node.

    Claims that were bound at different times may lie on different nodes, and then no node takes the pod.

    Refused: two existing TopoLVM claims in one pod.
    Write: one claim, or shared storage for one of them.
    """
    for task in job.tasks:
        named = [c for c in claims(job, context) if c.name and c.task in (None, task)]
        local = list(dict.fromkeys(c.name for c in named if _is_node_local(c, context)))
        if len(local) > 1:
            headline = f"the claims {' and '.join(local)} may lie on different nodes"
            yield Finding(headline, f"{task.pod.spec_path}.volumes", ", ".join(local), "keep both on one claim")


@rule("FT479", "claim-out-of-reach", on=LINT)
def out_of_reach(job: Job, context: Context) -> Iterator[Finding]:
    """A pod waits for a claim that it never gets, or mounts a read-only one for writing.

    A class with WaitForFirstConsumer binds when the scheduler places a pod, and nodeName skips the scheduler. KServe
    makes the claim `<cache>-<node group>` of a LocalModelCache only where an InferenceService uses it, and removes it
    after. An ephemeral volume's claim is called `<pod>-<volume>`; where another claim has that name, Kubernetes
    refuses to take it. A claim with ReadOnlyMany alone, as that over a node's cached models, serves every pod of the
    node: a mount that may write lets one pod damage it for all.

    Refused: `nodeName: gpu-1` with a TopoLVM claim, `claimName: qwen3-gpu` of the cache `qwen3` on the group `gpu`.
    Write: `nodeSelector: {kubernetes.io/hostname: gpu-1}`, a claim of your own, `readOnly: true`.
    """
    yield from _name_collision(job, context)
    yield from _written_read_only(job, context)
    missing: list[str] = []
    for check in (_without_scheduler, _managed_by_kserve):
        try:
            yield from check(job, context)
        except FactMissing as fact:
            # Keep the text only: the exception holds its traceback, which holds this frame and so the whole manifest.
            missing.append(str(fact))
    if missing:
        raise FactMissing(missing[0])


def _without_scheduler(job: Job, context: Context) -> Iterator[Finding]:
    for task in job.tasks:
        node = text(task.pod.spec.get("nodeName"))
        for claim in claims(job, context) if node else ():
            binds_late = context.storage_class(claim.storage_class).binding == "WaitForFirstConsumer"
            if binds_late and claim.task in (None, task):
                headline = f"{claim.label} waits for a scheduler that nodeName skips"
                yield Finding(headline, f"{task.pod.spec_path}.nodeName", node, "use nodeSelector")


def _name_collision(job: Job, context: Context) -> Iterator[Finding]:
    ephemeral = [(t, i, v) for t in job.tasks for i, v in t.pod.volumes if isinstance(v.get("ephemeral"), dict)]
    for task, i, volume in ephemeral:
        for name in _own_claims(job, task, text(volume.get("name")), context):
            headline = f"the pod's own claim would be called {name}, and there is one of that name"
            yield Finding(headline, f"{task.pod.spec_path}.volumes[{i}].name", name, "give the volume another name")


def _own_claims(job: Job, task: Task, volume: str, context: Context) -> Iterator[str]:
    """Yield the claims that are called as the one of a pod would be; the claims are few, replicas any number."""
    for name, _ in context.claims:
        number = name.removesuffix(f"-{volume}").rpartition("-")[2]
        index = int(number) if number.isdecimal() else task.replicas
        if index < task.replicas and name == f"{controller.pod_name(job.name, task.name, index)}-{volume}":
            yield name


def _named_claims(job: Job) -> Iterator[tuple[str, str, Task | None, Mapping[str, Any]]]:
    """Yield the claims that a job names: name, path of the name, task that mounts it (None: all), and volume."""
    for i, volume in job.volumes:
        yield text(volume.get("volumeClaimName")), f"spec.volumes[{i}].volumeClaimName", None, volume
    for task in job.tasks:
        for i, volume in task.pod.volumes:
            name = text(mapping(volume.get("persistentVolumeClaim")).get("claimName"))
            yield name, f"{task.pod.spec_path}.volumes[{i}].persistentVolumeClaim.claimName", task, volume


def _managed_by_kserve(job: Job, context: Context) -> Iterator[Finding]:
    for name, path, _, _ in _named_claims(job):
        if not name or context.claim(name) is not None:
            continue
        caches: Mapping[str, tuple[str, ...]] = context.fact("model_caches")
        if any(name == f"{cache}-{group}" for cache, groups in caches.items() for group in groups):
            headline = f"{name} exists only while an InferenceService uses the cached model"
            yield Finding(headline, path, name, "make a claim of your own over the cache's folder: storage=model-cache")


def _written_read_only(job: Job, context: Context) -> Iterator[Finding]:
    for name, path, task, volume in _named_claims(job):
        mounted_read_only = mapping(volume.get("persistentVolumeClaim")).get("readOnly") is True
        if mounted_read_only or strings((context.claim(name) or {}).get("accessModes")) != ["ReadOnlyMany"]:
            continue
        mounts = (
            [m for c in task.pod.containers for _, m in c.mounts if m.get("name") == volume.get("name")] if task else []
        )
        if not task or any(mount.get("readOnly") is not True for mount in mounts):
            yield Finding(f"{name} is only to be read, and is mounted for writing", path, name, "set readOnly: true")


@rule("FT396", "unknown-medium", on=PODS_LINT)
def unknown_medium(job: Job) -> Iterator[Finding]:
    """An emptyDir on a medium that the kubelet does not know.

    The API server takes any text; the kubelet fails the mount (unknown storage medium), and the pod waits for ever.

    Refused: `emptyDir: {medium: memory}`.
    Write: `emptyDir: {medium: Memory}`; the others are HugePages and HugePages-<size>.
    """
    for pod in job.pods:
        for i, volume in pod.volumes:
            medium = text(mapping(volume.get("emptyDir")).get("medium"))
            if medium not in ("", "Memory", "HugePages") and not _is_huge_page(medium):
                path = f"{pod.spec_path}.volumes[{i}].emptyDir.medium"
                yield Finding(f"there is no medium {medium!r}: the mount fails", path, medium, _MEDIA)


_MEDIA = "write Memory, HugePages or HugePages-2Mi, or remove it for the node's disk"


def _is_huge_page(medium: str) -> bool:
    size = amount(medium.removeprefix("HugePages-")) if medium.startswith("HugePages-") else None
    return size is not None and size > 0


@rule("FT481", "memory-for-shared-memory", Severity.WARNING, on=PODS_LINT, twins=("FT256",))
def memory_for_shm(job: Job) -> Iterator[Finding]:
    """A memory-backed volume takes most of the memory limit, or has no bound.

    Its content is charged to the containers that write it; beyond the limit they are killed. Without sizeLimit
    it may grow to half of the node.

    Refused: `sizeLimit: 16Gi` with `limits: {memory: 16Gi}`.
    Write: at most half of the limit.
    """
    for pod in job.pods:
        limit = _memory_limit(pod)
        for i, volume in pod.volumes:
            empty = mapping(volume.get("emptyDir"))
            path, size = f"{pod.spec_path}.volumes[{i}].emptyDir", amount(empty.get("sizeLimit"))
            if empty.get("medium") != "Memory":
                continue
            if size is None:
                headline = "a memory-backed volume without a bound"
                yield Finding(headline, f"{path}.sizeLimit", "", "set sizeLimit")
            elif limit is not None and size * 2 > limit:
                exceeds = size > limit
                headline = f"{empty['sizeLimit']} of shared memory {'exceed' if exceeds else 'leave little of'} "
                headline += f"a memory limit of {float(limit / 2**30):g}Gi"
                yield Finding(headline, f"{path}.sizeLimit", empty["sizeLimit"], "raise limits.memory")


def _memory_limit(pod: Pod) -> Fraction | None:
    """Return the sum of the memory limits of a pod's main containers; None where one has none."""
    stated = [mapping(mapping(c.body.get("resources")).get("limits")) for c in pod.main_containers]
    limits = [amount(limit.get("memory")) for limit in stated]
    amounts = [limit for limit in limits if limit is not None]
    return sum(amounts, Fraction()) if amounts and len(amounts) == len(limits) else None


@rule("FT482", "small-shared-memory", Severity.WARNING, on=LINT, twins=("FT257",))
def small_shm(job: Job) -> Iterator[Finding]:
    """Several cards train together with little or no /dev/shm.

    Container runtimes give 64 MiB; NCCL's shared-memory transport and the data loaders' workers need 4Gi at least
    and fail with bus errors.

    Refused: two cards with `sizeLimit: 2Gi` at /dev/shm.
    Write: `emptyDir: {medium: Memory, sizeLimit: 4Gi}` or more.
    """
    for task in job.tasks:
        total = card_count(task.pod) * pod_count(job)
        for container in task.pod.main_containers if total > 1 else ():
            volume = _shm_volume(task.pod, container)
            size = amount(volume[1].get("sizeLimit")) if volume else Fraction()
            if size is not None and twins.is_shared_memory_too_small(size, total):
                headline = f"{total} cards train together with {_size_text(volume)} at /dev/shm; 4Gi is the least"
                subject = f"{volume[0]}.sizeLimit" if volume else f"{container.path}.volumeMounts"
                yield Finding(headline, subject, "", "mount an emptyDir of medium Memory and 4Gi at /dev/shm")


def _size_text(volume: tuple[str, dict[str, Any]] | None) -> str:
    return str(volume[1]["sizeLimit"]) if volume else "nothing"


def _shm_volume(pod: Pod, container: Container) -> tuple[str, dict[str, Any]] | None:
    names = [text(m.get("name")) for _, m in container.mounts if text(m.get("mountPath")).rstrip("/") == _SHM]
    for i, volume in pod.volumes:
        if text(volume.get("name")) in names:
            return f"{pod.spec_path}.volumes[{i}].emptyDir", mapping(volume.get("emptyDir"))
    return None


@rule("FT484", "group-that-cannot-change", Severity.WARNING, on=PODS_LINT)
def squashed_group(job: Job, context: Context) -> Iterator[Finding]:
    """An fsGroup on an export that maps root to nobody.

    The kubelet changes the group of every file as root, and such an NFS server refuses.

    Refused: `securityContext: {fsGroup: 1000}` with a claim of a class with root_squash.
    Write: the export's own user and group.
    """
    for task in job.tasks:
        group = mapping(task.pod.spec.get("securityContext")).get("fsGroup")
        for claim in claims(job, context) if group is not None else ():
            if context.storage_class(claim.storage_class).root_squash and claim.task in (None, task):
                headline = f"the server of {claim.label} refuses to change groups"
                path = f"{task.pod.spec_path}.securityContext.fsGroup"
                yield Finding(headline, path, group, "run as the export's user, or set mountPermissions on the class")


@rule("FT485", "home-that-cannot-be-written", Severity.WARNING, on=LINT)
def unwritable_home(job: Job) -> Iterator[Finding]:
    """A training without a writable home.

    Hugging Face's and Triton's caches go to the home directory, which another user than root, or a read-only root
    file system, cannot write.

    Refused: `runAsNonRoot: true` without HF_HOME or HOME.
    Write: `{name: HF_HOME, value: /mnt/workspace/.cache}`.
    """
    for pod in job.pods:
        pod_context = mapping(pod.spec.get("securityContext"))
        for container in pod.main_containers if vendors_of(pod) else ():
            own_context = mapping(container.body.get("securityContext"))
            restricted = (
                own_context.get("readOnlyRootFilesystem") is True
                or {**pod_context, **own_context}.get("runAsNonRoot") is True
            )
            homes = {"HF_HOME", "HOME", "XDG_CACHE_HOME"} & literal_variables(container).keys()
            if restricted and not homes and not has_match(_SETS_HOME, shell_text(container).code):
                headline = "the trainer's caches have no writable home"
                yield Finding(headline, f"{container.path}.env", "", "set HF_HOME to a path on a volume")
