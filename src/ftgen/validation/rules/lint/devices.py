"""Resource names of accelerators: their vendors, and which of them count cards or shares of cards.

The names are those of the vendors' device plugins, of HAMi and of Volcano's deviceshare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ftgen.emulation.devices import counts_cards
from ftgen.text.shapes import amount, mapping
from ftgen.validation.manifest import Container, Pod
from ftgen.validation.rules.resources import is_extended

_VENDORS = {
    "nvidia.com": "NVIDIA",
    "volcano.sh": "NVIDIA",
    "tencent.com": "NVIDIA",
    "huawei.com": "Ascend",
    "amd.com": "AMD",
    "cambricon.com": "Cambricon",
    "hygon.com": "Hygon",
    "iluvatar.ai": "Iluvatar",
    "metax-tech.com": "MetaX",
    "mthreads.com": "Moore Threads",
    "enflame.com": "Enflame",
    "habana.ai": "Gaudi",
    "kunlunxin.com": "Kunlunxin",
    "birentech.com": "Biren",
    "vastaitech.com": "Vastai",
    "aws.amazon.com": "Neuron",
}
# Cards, and shares of them, among the names of vendors who also make network adapters: NVIDIA's Network Operator serves
# nvidia.com/hostdev, nvidia.com/mlnxnics and whatever else its resource lists say, AMD's amd.com/nic and amd.com/vnic.
_CARDS_OF = {
    "nvidia.com": re.compile(r"v?gpu.*|mig-.+"),
    "amd.com": re.compile(r"(?!v?nic\b).+"),
}
_FABRICS = ("rdma/", "openshift.io/", "mellanox.com/", "vpc.amazonaws.com/efa")
# Device plugins by the names they serve; names of two plugins exclude each other on one node.
_PLUGINS = (
    (re.compile(r"nvidia\.com/gpu(alloc|cores|mem|mem-percentage)"), "HAMi"),
    (re.compile(r"nvidia\.com/(gpu|gpu\.shared|mig-.+)"), "NVIDIA's device plugin"),
    (re.compile(r"volcano\.sh/v?gpu-.+"), "Volcano's deviceshare"),
    (re.compile(r"tencent\.com/vcuda-.+"), "gpu-manager"),
)
# HAMi's names. Upstream HAMi counts cards as nvidia.com/gpu, so that this name alone shows no plugin.
SHARES = ("nvidia.com/gpualloc", "nvidia.com/gpucores", "nvidia.com/gpumem", "nvidia.com/gpumem-percentage")
PARTS = SHARES[1:]


@lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """Return the vendor of an accelerator resource; empty for other resources."""
    domain, _, device = name.partition("/")
    cards = _CARDS_OF.get(domain)
    return _VENDORS.get(domain, "") if is_extended(name) and (cards is None or cards.fullmatch(device)) else ""


@lru_cache(maxsize=1024)
def is_network_adapter(name: str) -> bool:
    """Return whether a resource is a network adapter by which collectives bypass the network's sockets."""
    return name.startswith(_FABRICS) or (name.partition("/")[0] in _CARDS_OF and not vendor_of(name))


@lru_cache(maxsize=1024)
def device_plugin(name: str) -> str:
    """Return the device plugin that serves a resource of NVIDIA cards; empty for other resources."""
    return next((plugin for pattern, plugin in _PLUGINS if pattern.fullmatch(name)), "")


@lru_cache(maxsize=64)
def accelerators(container: Container) -> Mapping[str, tuple[str, object]]:
    """Return the accelerator resources of a container: name to its field (`limits`, else `requests`) and amount."""
    resources = mapping(container.body.get("resources"))
    amounts: dict[str, tuple[str, object]] = {}
    for field in ("requests", "limits"):
        for name, value in mapping(resources.get(field)).items():
            if vendor_of(name):
                amounts[name] = (field, value)
    return amounts


def whole_number(value: object) -> int:
    """Return a quantity as a whole number, cut off; 0 where it is no quantity."""
    parsed = amount(value)
    return int(parsed) if parsed is not None else 0


@lru_cache(maxsize=64)
def card_count(pod: Pod) -> int:
    """Return the number of cards that the main containers of a pod ask for."""
    return sum(
        whole_number(value)
        for c in pod.main_containers
        for name, (_, value) in accelerators(c).items()
        if counts_cards(name)
    )


@lru_cache(maxsize=64)
def vendors_of(pod: Pod) -> frozenset[str]:
    """Return the vendors whose accelerators a pod's main containers ask for."""
    return frozenset({vendor_of(name) for c in pod.main_containers for name in accelerators(c)})


def seen_cards(container: Container) -> int:
    """Return the number of cards that a process of a container sees: of MIG slices, CUDA shows it one."""
    counts = {name: whole_number(value) for name, (_, value) in accelerators(container).items() if counts_cards(name)}
    return sum(min(count, 1) if name.startswith("nvidia.com/mig-") else count for name, count in counts.items())


def shares_cards(pod: Pod) -> bool:
    """Return whether a pod asks for shares of NVIDIA cards."""
    names = {name for c in pod.main_containers for name in accelerators(c)}
    return bool(names & set(SHARES)) or any(device_plugin(n) == "Volcano's deviceshare" for n in names)
