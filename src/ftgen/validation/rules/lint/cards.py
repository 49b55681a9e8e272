"""Rules over quantities of accelerators, above all of NVIDIA's cards and shares of them.

Sources: HAMi's webhook and NVIDIA device code (pkg/scheduler/webhook.go, pkg/device/nvidia), Volcano's
deviceshare plugin, NVIDIA's device plugin and NCCL's documentation of its variables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.emulation.devices import counts_cards
from ftgen.text.paths import child
from ftgen.text.shapes import entries, mapping, strings, text
from ftgen.validation import Context, FactMissing, Finding, rule
from ftgen.validation.manifest import Container, Job, Pod, Task
from ftgen.validation.rules import LINT, PODS_LINT, twins
from ftgen.validation.rules.lint.devices import (
    PARTS,
    SHARES,
    accelerators,
    card_count,
    device_plugin,
    is_network_adapter,
    shares_cards,
    vendor_of,
    vendors_of,
    whole_number,
)

_LARGEST = 2**31 - 1
_BARE = re.compile(r"[1-9][0-9]*")
_UNSAID = "0"  # HAMi and deviceshare take no memory for all of a card's, and no cores for no bound
_SMALLEST_SHARE = 1024
_NPU_MEMORY = re.compile(r"huawei\.com/Ascend[0-9A-Z-]+-memory")
_HAMI = "hami-scheduler"
_STOCK = ("", "default-scheduler", _HAMI)
_HAMI_FIXED = (2, 9, 0)
_SET_BY_PLUGIN = re.compile(r"CUDA_DEVICE_(MEMORY_LIMIT|SM_LIMIT|MEMORY_SHARED_CACHE)\w*|NVIDIA_VISIBLE_DEVICES")
_PORTS = range(1024, 65536)
_TRUE = ("1", "true", "True", "TRUE")
_DIAGNOSTIC_VARIABLES = ("CUDA_DISABLE_CONTROL", "NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE", "NCCL_DEBUG")


def _path(container: Container, name: str) -> str:
    """Return the path of an accelerator's amount."""
    return child(f"{container.path}.resources.{accelerators(container)[name][0]}", name)


def _amount(container: Container, name: str) -> str | None:
    amount = accelerators(container).get(name)
    return None if amount is None else str(amount[1])


@lru_cache(maxsize=64)
def literal_variables(container: Container) -> Mapping[str, tuple[str, str]]:
    """Return the variables of a container with literal values: name to value and path of the variable."""
    return _Variables({text(v.get("name")): (v, f"{container.path}.env[{i}]") for i, v in container.env})


class _Variables(Mapping[str, tuple[str, str]]):
    """Mapping that reads a variable's value on access only, so that a rule depends on no other variable."""

    def __init__(self, found: dict[str, tuple[dict[str, Any], str]]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> tuple[str, str]:
        variable, path = self._found[name]
        return text(variable.get("value")), path

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def pod_count(job: Job) -> int:
    """Return the number of pods of the job."""
    return sum(task.replicas for task in job.tasks)


@rule("FT400", "card-in-an-init-container", Severity.WARNING, on=PODS_LINT)
def card_in_init(job: Job) -> Iterator[Finding]:
    """An init container asks for a card.

    The pod's request is the larger of its init and main containers, so the card is held from the first
    download on, and a download needs none.

    Refused: `initContainers[0].resources.limits: {nvidia.com/gpu: "1"}`.
    Write: cpu and memory only.
    """
    for pod in job.pods:
        for container in pod.init_containers:
            for name in accelerators(container):
                headline = f"the init container {container.name!r} reserves {name}; downloads need no card"
                yield Finding(headline, _path(container, name), name, "remove it from the init container")


@rule("FT401", "mixed-device-plugins", on=PODS_LINT)
def mixed_plugins(job: Job) -> Iterator[Finding]:
    """One pod asks two device plugins for cards.

    A node has one vendor's cards and one plugin for them: HAMi replaces NVIDIA's, and dynamic resource claims
    must not drive a card that a plugin drives.

    Refused: `nvidia.com/gpualloc` beside `nvidia.com/gpu`.
    Write: the names of one plugin.
    """
    for pod in job.pods:
        owners: dict[str, str] = {}
        for container in pod.main_containers:
            for name in accelerators(container):
                owner = _owner(name, pod)
                other = next((n for n, o in owners.items() if o != owner), "")
                if other:
                    headline = f"{other} and {name} belong to different device plugins"
                    yield Finding(headline, _path(container, name), name, f"keep {other} or {name}")
                    return
                owners[name] = owner
        if entries(pod.spec.get("resourceClaims")) and "NVIDIA" in vendors_of(pod):
            headline = "a resource claim and a device plugin's resources cannot drive one card"
            yield Finding(
                headline, f"{pod.spec_path}.resourceClaims", "", "choose the claim or the nvidia.com resource"
            )


def _owner(name: str, pod: Pod) -> str:
    """Return the plugin of a resource; nvidia.com/gpu beside shares but without gpualloc is HAMi's count of cards."""
    names = {n for c in pod.main_containers for n in accelerators(c)}
    upstream = name == "nvidia.com/gpu" and names & set(PARTS) and SHARES[0] not in names
    return "HAMi" if upstream else device_plugin(name) or vendor_of(name)


@rule("FT402", "no-cards", Severity.WARNING, on=LINT)
def no_cards(job: Job) -> Iterator[Finding]:
    """A count of cards is zero.

    The pod gets no card, and the training fails or runs on the processor.

    Refused: `nvidia.com/gpu: "0"`.
    Write: a count, or no such resource.
    """
    for container in job.containers:
        for name, (_field, value) in accelerators(container).items():
            if counts_cards(name) and whole_number(value) == 0:
                headline = f"{name} is {value}: the pod gets no card"
                yield Finding(headline, _path(container, name), value, "write 1 or more")


@rule("FT403", "pod-wider-than-a-node", on=LINT, twins=("FT251",))
def wider_than_a_node(job: Job, context: Context) -> Iterator[Finding]:
    """A pod asks for more cards than a node has.

    A pod never spans nodes; it stays pending for ever.

    Refused: 16 cards in a pod where nodes have 8.
    Write: two replicas of 8.
    """
    if context.knows_nodes and context.card("per_node") is None:
        return  # no-node-with-room asks each node
    for task in job.tasks:
        cards = card_count(task.pod)
        if cards and cards > (per_node := context.cards_per_node()):
            headline = f"a pod of {task.name!r} asks for {cards} cards, but nodes have {per_node}"
            yield Finding(headline, f"{task.pod.spec_path}.containers", cards, f"use replicas of {per_node} cards")


@rule("FT404", "bad-share", on=PODS_LINT)
def bad_share(job: Job) -> Iterator[Finding]:
    """A share of a card is out of range, has a unit, or is given twice.

    gpucores is percent of one card. gpumem and Ascend's memory are whole MiB: HAMi reads a suffix as bytes,
    overflows 32 bits and drops the value. A percentage of the memory is ignored beside gpumem. For NVIDIA's cards 0
    sets no bound, in HAMi (GenerateResourceRequests) and in Volcano's deviceshare (resourcereqs) alike.

    Refused: `nvidia.com/gpumem: 8Gi`, `nvidia.com/gpucores: "150"`.
    Write: `nvidia.com/gpumem: "8192"`, `nvidia.com/gpucores: "50"`.
    """
    for container in job.containers:
        names = accelerators(container)
        for name, (_field, value) in names.items():
            problem, help_ = _share_problem(name, str(value))
            if problem:
                yield Finding(f"{name} {problem}", _path(container, name), value, help_)
        if _says_memory(container) and "nvidia.com/gpumem-percentage" in names:
            path = _path(container, "nvidia.com/gpumem-percentage")
            yield Finding("gpumem-percentage is ignored where gpumem is given", path, "", f"remove {path}")


def _says_memory(container: Container) -> bool:
    return _amount(container, "nvidia.com/gpumem") not in {None, _UNSAID}


def _share_problem(name: str, value: str) -> tuple[str, str]:
    of_nvidia = name in {"nvidia.com/gpumem", "volcano.sh/vgpu-memory"}
    if name in {"nvidia.com/gpucores", "volcano.sh/vgpu-cores"}:
        fits = value == _UNSAID or (bool(_BARE.fullmatch(value)) and int(value) <= 100)  # noqa: PLR2004 - percent
        return ("", "") if fits else (f"is percent of one card; {value} is outside 0 to 100", "write 1 to 100")
    if of_nvidia or _NPU_MEMORY.fullmatch(name):
        if of_nvidia and value == _UNSAID:
            return "", ""
        if _BARE.fullmatch(value) and int(value) <= _LARGEST:
            return "", ""
        return f"is a bare number of MiB, not {value}", f"write {_in_mib(value)}"
    return "", ""


def _in_mib(value: str) -> str:
    size = whole_number(value)
    return f'"{size // 2**20}"' if size >= 2**20 else "a whole number of MiB"


@rule("FT405", "share-beyond-its-card", on=PODS_LINT, twins=("FT252",))
def share_beyond_card(job: Job, context: Context) -> Iterator[Finding]:
    """A memory share is larger than the card it is cut from.

    The pod would stay pending.

    Refused: `nvidia.com/gpumem: "100000"` on cards of 81920 MiB.
    Write: at most the card's memory.
    """
    for container in job.containers:
        value = _amount(container, "nvidia.com/gpumem")
        if value is not None and _BARE.fullmatch(value):
            memory = context.card("memory")
            if memory is None:
                raise FactMissing("cluster.facts.card.memory")
            card_memory = whole_number(memory) // 2**20
            if int(value) > card_memory:
                headline = f"gpumem {value} MiB exceeds a card of {card_memory} MiB: the pod would stay pending"
                yield Finding(headline, _path(container, "nvidia.com/gpumem"), value, f'write "{card_memory}" at most')


@rule("FT406", "share-without-a-count", on=PODS_LINT)
def share_without_count(job: Job) -> Iterator[Finding]:
    """Memory or compute of a card is asked for, but no number of cards.

    The platform's default decides how many cards there are, and admission cannot count them.

    Refused: `nvidia.com/gpumem: "8192"` alone, `volcano.sh/vgpu-memory` alone.
    Write: `nvidia.com/gpualloc: "1"`, `volcano.sh/vgpu-number: "1"` beside it.
    """
    for container in job.containers:
        names = accelerators(container)
        parts = [name for name in PARTS if name in names]
        if parts and not {"nvidia.com/gpualloc", "nvidia.com/gpu"} & names.keys():
            headline = f"{parts[0]} without nvidia.com/gpualloc leaves the number of cards to the platform"
            help_ = 'add nvidia.com/gpualloc: "1"'
            yield Finding(headline, _path(container, parts[0]), parts[0], help_, Severity.WARNING)
        if "volcano.sh/vgpu-memory" in names and "volcano.sh/vgpu-number" not in names:
            path = _path(container, "volcano.sh/vgpu-memory")
            yield Finding("deviceshare needs volcano.sh/vgpu-number", path, "", 'add volcano.sh/vgpu-number: "1"')


@rule("FT407", "loose-share", Severity.WARNING, on=PODS_LINT)
def loose_share(job: Job) -> Iterator[Finding]:
    """A share of cards does not say how much of each, or is too small, or is a whole card in other words.

    Without gpumem a pod takes all memory of each card; without gpucores it gets the platform's default, 20 on
    Alauda Container Platform, or the whole card on plain HAMi. A CUDA context alone takes half a GiB; gpucores 100
    makes HAMi give the card to nobody else.

    Refused: `nvidia.com/gpualloc: "1"` alone, `nvidia.com/gpumem: "512"`, `nvidia.com/gpucores: "100"`.
    Write: gpucores and gpumem beside the count, or `nvidia.com/gpu`.
    """
    for container in job.containers:
        names = accelerators(container)
        if "nvidia.com/gpualloc" in names:
            yield from _missing_shares(container, names.keys())
        memory, cores = _amount(container, "nvidia.com/gpumem"), _amount(container, "nvidia.com/gpucores")
        if memory and _BARE.fullmatch(memory) and int(memory) < _SMALLEST_SHARE:
            headline = f"gpumem {memory} MiB does not hold a CUDA context and a model"
            yield Finding(headline, _path(container, "nvidia.com/gpumem"), memory, f"write {_SMALLEST_SHARE} or more")
        if cores == "100":
            path = _path(container, "nvidia.com/gpucores")
            help_ = "ask for a whole card: nvidia.com/gpu"
            yield Finding("gpucores 100 makes the card exclusive", path, cores, help_, Severity.NOTE)


def _missing_shares(container: Container, names: Collection[str]) -> Iterator[Finding]:
    path = _path(container, "nvidia.com/gpualloc")
    if not _says_memory(container) and "nvidia.com/gpumem-percentage" not in names:
        yield Finding("without gpumem the pod takes all memory of each card", path, "", "add nvidia.com/gpumem")
    if "nvidia.com/gpucores" not in names:
        headline = "without gpucores the platform's default decides how much of each card computes"
        yield Finding(headline, path, "", "add nvidia.com/gpucores")


@rule("FT409", "collectives-on-shared-cards", Severity.WARNING, on=LINT, twins=("FT259",))
def collectives_on_shares(job: Job, context: Context) -> Iterator[Finding]:
    """Several slices of shared cards train together.

    NCCL crashes on HAMi's virtual cards before HAMi 2.9.0, is fragile after, and the most throttled slice
    makes all others wait.

    Refused: `nvidia.com/gpualloc: "2"`, or one of it in two replicas.
    Write: whole cards.
    """
    for task in job.tasks:
        world = card_count(task.pod) * pod_count(job)
        if shares_cards(task.pod) and world > 1:
            fails = _is_before_fix(context.facts.hami_version)
            headline = f"{world} slices of shared cards train together; "
            headline += twins.NCCL_FAILS_ON_SHARES if fails else "NCCL is fragile on them"
            path = f"{task.pod.spec_path}.containers"
            yield Finding(headline, path, world, "use whole cards", Severity.ERROR if fails else None)


def _is_before_fix(version: str | None) -> bool:
    numbers = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version or "")
    return bool(numbers) and tuple(int(n or 0) for n in numbers.groups()) < _HAMI_FIXED if numbers else False


@rule("FT432", "share-unseen-by-hami", Severity.WARNING, on=LINT)
def unseen_by_hami(job: Job, context: Context) -> Iterator[Finding]:
    """Shares of cards in a pod that another scheduler than HAMi's places.

    Stock HAMi's webhook ignores pods of a foreign scheduler, and its device plugin wants the annotations of its
    own; Volcano counts gpumem and gpucores as resources that no node has. Some platforms join the two.

    Refused: `nvidia.com/gpumem` with `schedulerName: volcano`, where nobody has verified that it works.
    Write: `cluster.facts.vgpu_on_volcano=true` where it does; `volcano.sh/vgpu-memory` or whole cards elsewhere.
    """
    for task in job.tasks:
        pod_scheduler = text(task.pod.spec.get("schedulerName"))
        scheduler = pod_scheduler or text(job.spec.get("schedulerName")) or "volcano"
        names = {name for c in task.pod.main_containers for name in accelerators(c)}
        works = context.facts.vgpu_on_volcano
        if names & set(SHARES) and scheduler not in _STOCK and not works:
            path = f"{task.pod.spec_path}.schedulerName" if pod_scheduler else "spec.schedulerName"
            if works is False:
                headline = f"HAMi ignores pods of the scheduler {scheduler}: the shares are never placed"
                yield Finding(headline, path, scheduler, "use whole cards or volcano.sh/vgpu-memory", Severity.ERROR)
            else:
                headline = f"shared cards under the scheduler {scheduler} are unverified on this cluster"
                yield Finding(
                    headline, path, scheduler, "run one such pod, then set cluster.facts.vgpu_on_volcano=true"
                )


@rule("FT433", "refused-by-hami", denied=True, on=LINT)
def refused_by_hami(job: Job) -> Iterator[Finding]:
    """HAMi's webhook denies pods that ask for its cards and have a privileged container, or are bound to a node.

    It judges the pods of HAMi's scheduler, whole cards and shares alike (pkg/scheduler/webhook.go); shares of NVIDIA
    cards are HAMi's under any scheduler. The device plugin gives a container its cards without privileges.

    Refused: `securityContext: {privileged: true}` or `nodeName: gpu-1` with `nvidia.com/gpumem`.
    Write: neither; a nodeSelector chooses nodes.
    """
    for task in job.tasks:
        pod = task.pod
        scheduler = text(pod.spec.get("schedulerName")) or text(job.spec.get("schedulerName"))
        names = {name for container in pod.containers for name in accelerators(container)}
        if not (names & set(SHARES) or (names and scheduler == _HAMI)):
            continue
        if text(pod.spec.get("nodeName")):
            headline = "HAMi denies pods that nodeName binds"
            yield Finding(headline, f"{pod.spec_path}.nodeName", pod.spec["nodeName"], "use nodeSelector")
        for container in pod.containers:
            if mapping(container.body.get("securityContext")).get("privileged") is True:
                path = f"{container.path}.securityContext.privileged"
                headline = "HAMi denies privileged containers in pods with its cards"
                yield Finding(headline, path, "true", f"remove {path}")


@rule("FT434", "variable-of-the-device-plugin", on=LINT)
def plugins_variable(job: Job, context: Context) -> Iterator[Finding]:
    """A container sets a variable that the device plugin sets.

    HAMi's plugin writes the limits of a share and NVIDIA_VISIBLE_DEVICES. ASCEND_VISIBLE_DEVICES from the pod's
    annotation is empty unless MindCluster's scheduler plugin wrote that annotation, and then hides every card.

    Refused: `{name: NVIDIA_VISIBLE_DEVICES, value: all}` with `nvidia.com/gpumem`.
    Write: nothing; the plugin does.
    """
    for pod in job.pods:
        npu = "Ascend" in vendors_of(pod) and not _is_for_mindcluster(job, pod, context)
        shared = shares_cards(pod)
        for container in pod.main_containers:
            variables = literal_variables(container)
            for name in variables:
                if (shared and _SET_BY_PLUGIN.fullmatch(name)) or (npu and name == "ASCEND_VISIBLE_DEVICES"):
                    headline = f"{name} overrides what the device plugin sets"
                    yield Finding(headline, f"{variables[name][1]}.name", name, "remove it")


def _is_for_mindcluster(job: Job, pod: Pod, context: Context) -> bool:
    """Return whether MindCluster's plugin schedules the pod; without that fact, whether it has labels for it."""
    if context.facts.mindcluster_plugin is not None:
        return context.facts.mindcluster_plugin
    metadata = mapping(job.manifest.get("metadata"))
    notes = {
        **mapping(metadata.get("labels")),
        **mapping(metadata.get("annotations")),
        **mapping(pod.spec.get("nodeSelector")),
    }
    return bool({"ring-controller.atlas", "huawei.com/schedule_policy", "accelerator-type"} & notes.keys())


@rule("FT435", "left-over-setting", Severity.WARNING, on=LINT)
def left_over(job: Job) -> Iterator[Finding]:
    """A setting for diagnosis is left on.

    CUDA_DISABLE_CONTROL lets a pod exceed its share of a card, at its neighbours' expense. NCCL's TRACE writes a
    line for every operation; without peer-to-peer and shared memory whole cards talk through the network.

    Refused: `{name: CUDA_DISABLE_CONTROL, value: "true"}`, `{name: NCCL_P2P_DISABLE, value: "1"}`.
    Write: no such variable.
    """
    for pod in job.pods:
        shared = shares_cards(pod)
        for container in pod.containers:
            variables = literal_variables(container)
            for name in (variable for variable in variables if variable in _DIAGNOSTIC_VARIABLES):
                value, path = variables[name]
                unlimited = name == "CUDA_DISABLE_CONTROL" and value.lower() == "true"
                slow = name in {"NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE"} and value in _TRUE and not shared
                if unlimited or slow or (name == "NCCL_DEBUG" and value == "TRACE"):
                    effect = "unlimits a shared card" if unlimited else "is for diagnosis, not for training"
                    yield Finding(f"{name}={value} {effect}", f"{path}.value", value, f"remove {path}")


@rule("FT436", "several-slices", Severity.WARNING, on=LINT, twins=("FT267",))
def several_slices(job: Job, context: Context) -> Iterator[Finding]:
    """Several MIG slices or time slices for one training, or a slice that the cards do not have.

    A process sees one MIG slice, and slices share no peer memory; two time slices of a card compute no more than
    one, and the plugin may refuse them.

    Refused: `nvidia.com/mig-1g.10gb: "2"`, `nvidia.com/gpu.shared: "2"`.
    Write: one larger slice, or whole cards.
    """
    for container in job.containers:
        for name, (_, value) in accelerators(container).items():
            path = _path(container, name)
            if name == "nvidia.com/gpu.shared" and whole_number(value) > 1:
                headline = "more than one time slice gives no more compute and may be refused"
                yield Finding(headline, path, value, 'write "1"', Severity.ERROR)
            if name.startswith("nvidia.com/mig-") and whole_number(value) * pod_count(job) > 1:
                headline = "MIG slices share no peer memory: collectives between them are slow or fail"
                yield Finding(headline, path, value, "use one larger slice")
            profiles = context.facts.mig_profiles
            if name.startswith("nvidia.com/mig-") and profiles is not None and name[15:] not in profiles:
                headline = f"the cards have no MIG profile {name[15:]}"
                yield Finding(headline, path, name, f"use one of {', '.join(profiles)}", Severity.ERROR)


@rule("FT438", "rdma-without-memlock", Severity.WARNING, on=LINT)
def rdma_without_memlock(job: Job) -> Iterator[Finding]:
    """An RDMA device is asked for without the right to lock memory.

    Registering memory with the adapter locks it; without IPC_LOCK that takes an unlimited memlock on the node.

    Refused: `rdma/hca: "1"` without `capabilities: {add: [IPC_LOCK]}`.
    Write: the capability.
    """
    for container in job.containers:
        limits = mapping(mapping(container.body.get("resources")).get("limits"))
        devices = [name for name in limits if name.startswith("rdma/")]
        context = mapping(container.body.get("securityContext"))
        added = strings(mapping(context.get("capabilities")).get("add"))
        if devices and "IPC_LOCK" not in added and context.get("privileged") is not True:
            path = child(f"{container.path}.resources.limits", devices[0])
            help_ = f"add IPC_LOCK to {container.path}.securityContext.capabilities.add"
            yield Finding(f"{devices[0]} needs IPC_LOCK, or an unlimited memlock on the node", path, "", help_)


@rule("FT439", "nccl-over-sockets", Severity.NOTE, on=LINT)
def over_sockets(job: Job) -> Iterator[Finding]:
    """Several nodes train without an RDMA device.

    NCCL falls back to TCP on an interface that it chooses.

    Refused: two replicas without an `rdma/…` resource or another of a network adapter, such as `nvidia.com/hostdev`.
    Write: `NCCL_SOCKET_IFNAME`, or the cluster's RDMA resource.
    """
    for task in job.tasks if pod_count(job) > 1 else ():
        if "NVIDIA" not in vendors_of(task.pod) or not task.pod.main_containers:
            continue
        main = task.pod.main_containers[0]
        limits = mapping(mapping(main.body.get("resources")).get("limits"))
        chosen = {"NCCL_IB_DISABLE", "NCCL_SOCKET_IFNAME"} & literal_variables(main).keys()
        if not chosen and not any(map(is_network_adapter, limits)):
            headline = "no RDMA device is asked for: NCCL uses sockets on an interface of its choice"
            yield Finding(headline, f"{main.path}.env", "", "set NCCL_SOCKET_IFNAME")


@rule("FT444", "unusable-master-port", on=LINT)
def bad_master_port(job: Job) -> Iterator[Finding]:
    """MASTER_PORT is no port that a training can listen on.

    Refused: `{name: MASTER_PORT, value: "80"}`.
    Write: a port from 1024 to 65535.
    """
    for container in job.containers:
        value, path = literal_variables(container).get("MASTER_PORT", ("", ""))
        if value.isascii() and value.isdigit() and int(value[:9]) not in _PORTS:
            yield Finding(f"MASTER_PORT {value} is outside 1024 to 65535", f"{path}.value", value, 'write "29500"')


@rule("FT445", "unequal-ranks", Severity.WARNING, on=LINT)
def unequal_ranks(job: Job) -> Iterator[Finding]:
    """The tasks of a distributed training have different cards.

    A collective waits for its slowest rank, and ranks with less memory fail first.

    Refused: `master` with 8 cards beside `worker` with 4.
    Write: the same accelerators in every task.
    """
    amounts_of = [(task, _amounts(task)) for task in job.tasks]
    first = next(((task, amounts) for task, amounts in amounts_of if amounts), None)
    for task, amounts in amounts_of:
        if first and amounts and amounts != first[1]:
            headline = f"{task.name!r} has other cards than {first[0].name!r}: the slowest rank decides"
            yield Finding(headline, f"{task.pod.spec_path}.containers", "", "give every rank the same")


def _amounts(task: Task) -> list[tuple[str, str]]:
    return sorted((name, str(v)) for c in task.pod.main_containers for name, (_, v) in accelerators(c).items())
