"""What a cluster is: its releases, the programs that run on it, and whether its nodes are simulated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .kubectl import Kubectl

SIMULATED = "ftgen.dev/simulated"
"""Label of nodes whose kubelet `make cluster` imitates."""
SIMULATED_NODES = "simulated nodes"
"""What a check needs that ends pods on command, or takes a node away."""
RELEASE = "ftgen.dev/volcano-release"
"""Annotation of Volcano's namespace where no image tells the release, because its programs run outside of pods."""

GROUPS = {
    "Volcano": ("batch.volcano.sh", "scheduling.volcano.sh"),
    "Argo CD": ("argoproj.io",),
    "Flux": ("kustomize.toolkit.fluxcd.io",),
    "KServe": ("serving.kserve.io",),
}
"""API groups by which a product is found."""
_IMAGES = {"Volcano": "volcano", "Argo CD": "argocd", "Flux": "kustomize-controller", "KServe": "kserve"}
_TAG = re.compile(r"v?\d+\.\d+(\.\d+)?[^@]*$")


@dataclass(frozen=True, slots=True)
class Facts:
    """The cluster as it was found before the suite made anything.

    Attributes:
        kubernetes: the server's release.
        products: release by product, `release unknown` where no image tells it; none where its API groups are missing.
        nodes: how many there are.
        simulated: whether all of them are simulated.
    """

    kubernetes: str
    products: Mapping[str, str | None]
    nodes: int
    simulated: bool


def look(kubectl: Kubectl) -> Facts:
    """Ask a cluster what it is."""
    version = kubectl.json("version")["serverVersion"]["gitVersion"]
    served = {line.rpartition("/")[0] for line in kubectl("api-versions")}
    images = list(_images(kubectl))
    nodes = kubectl.items("nodes")
    products = {
        name: _release(kubectl, name, images) if set(groups) <= served else None for name, groups in GROUPS.items()
    }
    simulated = bool(nodes) and all(node["metadata"].get("labels", {}).get(SIMULATED) == "true" for node in nodes)
    return Facts(version, products, len(nodes), simulated)


def _images(kubectl: Kubectl) -> Iterator[str]:
    for workload in kubectl.items("deployments,statefulsets", "-A"):
        yield from (container["image"] for container in workload["spec"]["template"]["spec"]["containers"])


def _release(kubectl: Kubectl, product: str, images: list[str]) -> str:
    tags = (_TAG.search(image.rpartition(":")[2]) for image in images if _IMAGES[product] in image)
    told = next((tag[0] for tag in tags if tag), None)
    return told or (_annotated(kubectl) if product == "Volcano" else None) or "release unknown"


def _annotated(kubectl: Kubectl) -> str | None:
    namespace: dict[str, Any] = kubectl.find("namespace", "volcano-system") or {"metadata": {}}
    found: str | None = namespace["metadata"].get("annotations", {}).get(RELEASE)
    return found
