"""Rules over Ascend NPUs: card counts, runtime, rank tables and the variables of HCCL.

Sources: MindCluster's scheduler plugin and documentation (component/ascend-for-volcano, docs of YAML
configuration), HAMi's Ascend device code, the CANN reference of HCCL variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.text.paths import child
from ftgen.text.shapes import mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Job, Pod, Task
from ftgen.validation.rules import LINT, PODS_LINT
from ftgen.validation.rules.lint.cards import literal_variables, pod_count
from ftgen.validation.rules.lint.devices import accelerators, vendors_of, whole_number

_CARD_COUNTS = {
    "910a": {1, 2, 4, 8},
    "910a-half": {1, 2, 4},
    "300t": {1, 2},
    "910b-8": set(range(1, 9)),
    "910b-16": {*range(1, 9), 10, 12, 14, 16},
    "a3": {1, *range(2, 17, 2)},
}
_WHOLE_A3 = 16
_WHOLE_NPU = ("huawei.com/Ascend910", "huawei.com/npu")
_STATIC = re.compile(r"huawei\.com/Ascend[0-9]+[A-Z]?-[0-9]+c\..+")
_MEMORY = re.compile(r"(huawei\.com/Ascend[0-9A-Z]+(?:-1)?)-memory")
# HAMi's names; huawei.com/npu-core is no share of HAMi's but MindCluster's slice of a 310P, in requests and limits.
_CORES = re.compile(r"huawei\.com/Ascend[0-9A-Z]+(?:-1)?-core")
_TEMPLATES = {
    "910A": (2184, 4369, 8738, 17476),
    "310P": (3072, 6144, 12288),
    "910B4": (8192, 16384),
    "910B2": (8192, 16384, 32768),
    "910B3": (16384, 32768),
    "910B4-1": (16384, 32768),
    "910C": (16384, 32768),
}
_DRIVER = "/usr/local/Ascend/driver"
_RANKS_CONFIG = "rings-config-"
_RING = "ring-controller.atlas"
_RING_LABELS = {
    "910a": "ascend-910",
    "910a-half": "ascend-910",
    "300t": "ascend-910",
    "910b-8": "ascend-910b",
    "910b-16": "ascend-910b",
    "a3": "ascend-910b",
}
_RANGES = {"HCCL_CONNECT_TIMEOUT": (120, 7200), "HCCL_IF_BASE_PORT": (1024, 65520)}
_CHIP_IN_TAG = re.compile(r"(?<![a-z0-9])(910b|a3)(?![a-z0-9])", re.IGNORECASE)
_ARCH_IN_NAME = re.compile(r"(?<![a-z0-9])(arm64|aarch64|amd64|x86_64)(?![a-z0-9])", re.IGNORECASE)
_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64", "huawei-arm": "arm64", "huawei-x86": "amd64"}


def _npu_tasks(job: Job) -> list[Task]:
    return [task for task in job.tasks if "Ascend" in vendors_of(task.pod)]


def _whole_npus(pod: Pod) -> int:
    return sum(whole_number(v) for c in pod.main_containers for n, (_, v) in accelerators(c).items() if n in _WHOLE_NPU)


def _resource_path(pod: Pod) -> str:
    """Return the path of the pod's first NPU amount."""
    for container in pod.main_containers:
        for name, (field, _) in accelerators(container).items():
            return child(f"{container.path}.resources.{field}", name)
    return f"{pod.spec_path}.containers"


@rule("FT446", "cards-that-form-no-ring", on=LINT, twins=("FT265", "FT270"))
def no_ring(job: Job, context: Context) -> Iterator[Finding]:
    """A pod asks for a number of NPUs that its server's rings do not give.

    MindCluster's scheduler plugin places cards by their rings: 910A servers give 1, 2, 4 or 8, A3 servers pairs.
    Without the plugin any number is granted, and HCCL may fail on an odd ring.

    Refused: three cards of a 910A server, seven of an A3.
    Write: a number that the server gives.
    """
    for task in _npu_tasks(job):
        npus = _whole_npus(task.pod)
        if not npus:
            continue
        form = context.fact("ascend_form")
        if npus not in _CARD_COUNTS[form]:
            allowed = ", ".join(map(str, sorted(_CARD_COUNTS[form])))
            headline = f"{npus} NPUs asked for a pod; {form} servers give {allowed}"
            severity = None if context.facts.mindcluster_plugin else Severity.WARNING
            yield Finding(headline, _resource_path(task.pod), npus, f"ask for one of {allowed}", severity)
        elif form == "a3" and pod_count(job) > 1 and npus != _WHOLE_A3:
            headline = "distributed jobs on A3 use whole nodes"
            yield Finding(headline, _resource_path(task.pod), npus, "ask for 16 in each pod", Severity.WARNING)


@rule("FT447", "blocks-that-do-not-tile", on=LINT)
def bad_blocks(job: Job) -> Iterator[Finding]:
    """The `sp-block` of a super pod does not divide the job's NPUs.

    In one pod it equals what the pod asks for; in a distributed job it is a multiple of one pod's and divides the
    total. It excludes tor-affinity.

    Refused: `sp-block: "24"` with two pods of 16.
    Write: `sp-block: "16"` or `"32"`.
    """
    notes = mapping(mapping(job.manifest.get("metadata")).get("annotations"))
    labels = mapping(mapping(job.manifest.get("metadata")).get("labels"))
    block, tasks = text(notes.get("sp-block")), _npu_tasks(job)
    if not block or not tasks:
        return
    per_pod, total = _whole_npus(tasks[0].pod), sum(_whole_npus(t.pod) * t.replicas for t in tasks)
    size = int(block) if block.isascii() and block.isdigit() else 0
    tiles = size == per_pod if pod_count(job) == 1 else size and per_pod and size % per_pod == 0 and total % size == 0
    if not tiles:
        path = child("metadata.annotations", "sp-block")
        yield Finding(f"sp-block {block} does not tile {total} NPUs", path, block, f"write {per_pod}")
    elif text(labels.get("tor-affinity")) not in {"", "null"}:
        yield Finding("sp-block excludes tor-affinity", child("metadata.labels", "tor-affinity"), "", "remove one")


@rule("FT448", "taken-for-a-910a", on=LINT)
def assumed_910a(job: Job, context: Context) -> Iterator[Finding]:
    """MindCluster takes a job without accelerator-type for one of 910A cards.

    It is then judged by 910A's rings (1, 2, 4, 8), whatever the nodes have.

    Refused: `huawei.com/Ascend910: "6"` without a nodeSelector `accelerator-type`.
    Write: `nodeSelector: {accelerator-type: module-910b-8}`, or the annotation `huawei.com/schedule_policy`.
    """
    for task in _npu_tasks(job):
        has_type = "accelerator-type" in mapping(task.pod.spec.get("nodeSelector"))
        notes = mapping(mapping(job.manifest.get("metadata")).get("annotations"))
        has_type = has_type or "huawei.com/schedule_policy" in {
            **notes,
            **mapping(task.pod.metadata.get("annotations")),
        }
        if has_type or not _whole_npus(task.pod) or not context.fact("mindcluster_plugin"):
            continue
        if context.fact("ascend_form") != "910a":
            headline = "without accelerator-type the scheduler assumes 910A cards"
            path = f"{task.pod.spec_path}.nodeSelector"
            yield Finding(headline, path, "", "add accelerator-type, such as module-910b-8")


@rule("FT449", "partial-npu", on=LINT)
def partial_npu(job: Job) -> Iterator[Finding]:
    """A part of an NPU is asked for more than once, or in a mode that ignores it.

    A virtual NPU is exactly one for one pod; a share of memory goes with one card; a share of cores counts only
    where the annotation huawei.com/vnpu-mode is hami-core; memory is rounded up to the next template.

    Refused: `huawei.com/Ascend910-6c.1cpu.16g: "2"`, `huawei.com/Ascend910B4: "2"` with `-memory`.
    Write: one of it, or whole cards.
    """
    for task in _npu_tasks(job):
        notes = mapping(task.pod.metadata.get("annotations"))
        for container in task.pod.main_containers:
            names = accelerators(container)
            for name, (field, value) in names.items():
                path = child(f"{container.path}.resources.{field}", name)
                if _STATIC.fullmatch(name) and (whole_number(value) != 1 or pod_count(job) > 1):
                    yield Finding("a virtual NPU is exactly one, for one pod", path, value, "use whole cards")
                if _CORES.fullmatch(name) and text(notes.get("huawei.com/vnpu-mode")) != "hami-core":
                    headline = f"{name} counts only in hami-core mode"
                    yield Finding(headline, path, value, "annotate the pod with huawei.com/vnpu-mode: hami-core")
                yield from _memory_share(name, value, names, path)


def _memory_share(name: str, value: object, names: Mapping[str, tuple[str, object]], path: str) -> Iterator[Finding]:
    shared = _MEMORY.fullmatch(name)
    if not shared:
        return
    if whole_number(names.get(shared[1], ("", 1))[1]) > 1:
        yield Finding("a share of memory goes with one card only", path, value, f"ask for one {shared[1]}")
    templates = _TEMPLATES.get(shared[1].removeprefix("huawei.com/Ascend"), ())
    rounded = next((size for size in templates if size >= whole_number(value)), 0)
    if rounded and rounded != whole_number(value):
        yield Finding(f"{value} MiB is rounded up to {rounded}", path, value, f'write "{rounded}"', Severity.NOTE)


@rule("FT483", "npu-without-its-driver", on=PODS_LINT)
def no_driver(job: Job, context: Context) -> Iterator[Finding]:
    """A pod with NPUs gets the driver's libraries from nowhere, or from two places.

    Ascend's runtime injects devices and driver: by the runtime class `ascend`, or as the node's default. Without it
    the driver is mounted from the host.

    Refused: `huawei.com/Ascend910: "1"` with neither runtimeClassName nor a host path.
    Write: `runtimeClassName: ascend`.
    """
    for task in _npu_tasks(job):
        pod = task.pod
        mounted = [i for i, v in pod.volumes if _host_path(v).startswith(_DRIVER)]
        runtime = text(pod.spec.get("runtimeClassName"))
        if not runtime and not mounted and not context.fact("ascend_default_runtime"):
            headline = "neither a runtime class nor a mount brings Ascend's driver into the pod"
            yield Finding(headline, f"{pod.spec_path}.runtimeClassName", "", "set runtimeClassName: ascend")
        if runtime == "ascend" and mounted:
            headline, path = "the runtime class mounts the driver already", f"{pod.spec_path}.volumes[{mounted[0]}]"
            yield Finding(headline, path, _DRIVER, "remove the host path", Severity.WARNING)


def _host_path(volume: dict[str, Any]) -> str:
    return text(mapping(volume.get("hostPath")).get("path"))


@rule("FT437", "rank-table-of-another-job", on=LINT)
def rank_table(job: Job, context: Context) -> Iterator[Finding]:
    """A rank table is not this job's, or stands beside a rendezvous.

    The ConfigMap is `rings-config-<job name>`, so a generated name has none; the label ring-controller.atlas is the
    same on the job, its pods and that ConfigMap. torchrun needs no rank table, and HCCL takes one of the two.

    Refused: a volume `rings-config-train` in a job with generateName.
    Write: MASTER_ADDR and torchrun, without RANK_TABLE_FILE.
    """
    job_label = _ring_label(job)
    for task in _npu_tasks(job):
        for i, volume in task.pod.volumes:
            name = text(mapping(volume.get("configMap")).get("name"))
            if name.startswith(_RANKS_CONFIG) and name != f"{_RANKS_CONFIG}{job.name}":
                path = f"{task.pod.spec_path}.volumes[{i}].configMap.name"
                headline = f"the rank table of this job is {_RANKS_CONFIG}<its name>, not {name}"
                yield Finding(headline, path, name, "name the job and its rank table alike")
        label = text(mapping(task.pod.metadata.get("labels")).get(_RING))
        path = child(f"{task.pod.path}.metadata.labels", _RING)
        if label != job_label and (label or job_label):
            headline = f"the pod's label {_RING} is {label or 'missing'}, the job's is {job_label or 'missing'}"
            yield Finding(headline, path, label, "make them equal")
        elif label and context.facts.ascend_form and label != _RING_LABELS[context.facts.ascend_form]:
            right = _RING_LABELS[context.facts.ascend_form]
            yield Finding(f"{label} is no label of {context.facts.ascend_form} servers", path, label, f"write {right}")
        yield from _both_rendezvous(task.pod)


def _ring_label(job: Job) -> str:
    return text(mapping(mapping(job.manifest.get("metadata")).get("labels")).get(_RING))


def _both_rendezvous(pod: Pod) -> Iterator[Finding]:
    for container in pod.main_containers:
        names = literal_variables(container)
        if "RANK_TABLE_FILE" in names and {"MASTER_ADDR", "RANK", "WORLD_SIZE"} & names.keys():
            headline, path = "RANK_TABLE_FILE stands beside a rendezvous by address", names["RANK_TABLE_FILE"][1]
            yield Finding(headline, path, "", "choose one of the two", Severity.WARNING)


@rule("FT497", "misplaced-hccl-setting", on=LINT)
def hccl_settings(job: Job) -> Iterator[Finding]:
    """A variable of HCCL is out of range, or goes with another kind of network.

    HCCL_CONNECT_TIMEOUT is 120 to 7200 seconds, HCCL_IF_BASE_PORT 1024 to 65520. HCCL_IF_IP is the node's address
    and therefore wrong on the pods' network; on the host's network HCCL must be told which to use.

    Refused: `{name: HCCL_CONNECT_TIMEOUT, value: "60"}`.
    Write: `"1800"`.
    """
    for task in _npu_tasks(job):
        on_host_network = task.pod.spec.get("hostNetwork") is True
        for container in task.pod.main_containers:
            names = literal_variables(container)
            for name, (least, most) in _RANGES.items():
                value, path = names.get(name, ("", ""))
                if value.isascii() and value.isdigit() and not least <= int(value[:9]) <= most:
                    yield Finding(f"{name} {value} is outside {least} to {most}", f"{path}.value", value)
            if "HCCL_IF_IP" in names and not on_host_network:
                path = names["HCCL_IF_IP"][1]
                yield Finding("HCCL_IF_IP goes with hostNetwork", path, "", "remove it", Severity.WARNING)
            if on_host_network and pod_count(job) > 1 and not {"HCCL_IF_IP", "HCCL_SOCKET_IFNAME"} & names.keys():
                headline, help_ = (
                    "on the host's network HCCL is not told its address",
                    "set HCCL_IF_IP to status.hostIP",
                )
                yield Finding(headline, f"{container.path}.env", "", help_, Severity.WARNING)


@rule("FT408", "image-for-other-nodes", on=LINT)
def other_image(job: Job, context: Context) -> Iterator[Finding]:
    """An image's name says another chip or architecture than its nodes have.

    LLaMA-Factory's Ascend images are built for 910b or for a3, and CANN images for one processor architecture.

    Refused: `…-a3-ubuntu22.04` on 910B servers, `…-arm64:v1` with `kubernetes.io/arch: amd64`.
    Write: the image of the nodes.
    """
    for task in job.tasks:
        selector = mapping(task.pod.spec.get("nodeSelector"))
        node_architecture = _architecture(text(selector.get("kubernetes.io/arch")) or text(selector.get("host-arch")))
        npu, form = "Ascend" in vendors_of(task.pod), context.facts.ascend_form
        for container in task.pod.containers:
            image = text(container.body.get("image")).rpartition("/")[2]
            chip, arch = _CHIP_IN_TAG.search(image), _ARCH_IN_NAME.search(image)
            other_chip = npu and chip and form and not form.startswith(chip[1].lower())
            if other_chip and chip:
                headline = f"the image is built for {chip[1]}, the nodes are {form}"
                yield Finding(headline, f"{container.path}.image", image)
            built = _architecture(arch[1].lower()) if arch else ""
            if built and node_architecture and built != node_architecture:
                yield Finding(f"an image for {built} on nodes of {node_architecture}", f"{container.path}.image", image)
        if npu and not node_architecture and len(context.facts.architectures or ()) > 1:
            headline, path = "nodes of two architectures and no selector for one", f"{task.pod.spec_path}.nodeSelector"
            yield Finding(headline, path, "", "add kubernetes.io/arch", Severity.WARNING)


def _architecture(name: str) -> str:
    return _ARCHITECTURES.get(name, name)
