"""Rules over the shape of a job: a master and its workers, groups of nodes, and how near to each other they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ftgen import schema
from ftgen.spec import Spec
from ftgen.validation import Finding, rule
from ftgen.validation.rules import NEEDS, SPEC

_FLAT = "write hardware.topology=flat"


@rule("FT777", "launcher-without-a-master", on=NEEDS)
def _launcher(spec: Spec) -> Iterator[Finding]:
    """A command that runs on one node and reaches the others, on nodes that are all alike.

    mpirun and a Ray cluster start on one pod, the master, and the end of its command is the end of the job.

    Refused: `trainer.launcher=mpi hardware.nodes=2`.
    Write: `hardware.topology=master-worker` beside it.
    """
    launcher, hardware = spec.trainer.launcher, spec.hardware
    if launcher != "pytorch" and hardware.nodes > 1 and not hardware.has_master:
        headline = f"{launcher} starts on a master and reaches the other nodes from there, and no pod is a master"
        yield Finding(headline, "trainer.launcher", launcher, "write hardware.topology=master-worker")


@rule("FT778", "master-without-volcano", on=NEEDS)
def _plain(spec: Spec) -> Iterator[Finding]:
    """A master and workers in a Job of Kubernetes' own, all of whose pods are equal.

    Refused: `target=job hardware.topology=master-worker hardware.nodes=2`.
    Write: `hardware.topology=flat`, or `target=vcjob`.
    """
    if spec.target == "job" and spec.hardware.has_master:
        headline = "a Job of Kubernetes has pods of one kind, and no master among them"
        yield Finding(headline, "hardware.topology", spec.hardware.topology, f"{_FLAT}, or target=vcjob")


@rule("FT779", "inline-scripts-that-call-others", on=NEEDS)
def _inline(spec: Spec) -> Iterator[Finding]:
    """Scripts inside the job, where one of them starts another.

    A container's command holds the text of one script.  A master and its workers, mpi and ray take further ones, which
    lie in the ConfigMap.

    Refused: `job.scripts=inline trainer.launcher=ray`.
    Write: `job.scripts=configmap`, or `auto`.
    """
    _, _, *further = spec.scripts
    if further and spec.job.scripts == "inline":
        headline = f"{' and '.join(further)} must lie beside {spec.trainer.script}, which inline scripts do not"
        yield Finding(headline, "job.scripts", spec.job.scripts, "write job.scripts=configmap")


@rule("FT780", "field-of-a-later-release", on=SPEC)
def _release(spec: Spec) -> Iterator[Finding]:
    """A setting that the cluster's release of Volcano has no field for, so that it would be dropped.

    Refused: `hardware.partition={size: 2}` on Volcano 1.12.
    Write: `cluster.volcano_version=1.14.0` once the cluster has it; until then leave it out.
    """
    version = spec.cluster.volcano_version
    try:
        line = schema.release(version)
    except ValueError:  # no release, which FT264 tells
        return
    for key, value, path in _settings(spec):
        if value is not None and not _has_field(line, path):
            first = next(each for each in schema.RELEASES if _has_field(each, path))
            headline = f"{key} needs Volcano {first}, and the cluster has {version}"
            yield Finding(headline, key, help=f"leave it out until cluster.volcano_version is {first} or later")


def _settings(spec: Spec) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """Yield keys of the configuration with their values and the fields of a job that they become."""
    near, groups = spec.cluster.network_topology, spec.hardware.partition
    yield "cluster.network_topology.highest_tier_name", near and near.highest_tier_name, (*_TOPOLOGY, "highestTierName")
    yield "hardware.partition", groups, ("tasks", "partitionPolicy")


_TOPOLOGY = ("networkTopology",)


@cache
def _has_field(line: str, path: tuple[str, ...]) -> bool:
    """Return whether a release line has a field of a job's spec; a path leads through lists without an index."""
    found = schema.find(*schema.VOLCANO_JOB, line)
    node = schema.Node.of(found).field("spec") if found else None
    for name in path:
        node = node and (node.item() or node).field(name)
    return node is not None


@rule("FT796", "uneven-groups", on=NEEDS)
def _groups(spec: Spec) -> Iterator[Finding]:
    """Groups of nodes that the nodes do not fill: Volcano divides the pods of one task into equal groups.

    Refused: `hardware.nodes=6 hardware.partition={size: 4}`, and any groups with `hardware.topology=master-worker`.
    Write: `hardware.nodes=8`, or groups of 3.
    """
    hardware = spec.hardware
    if hardware.partition is None:
        return
    size = hardware.partition.size
    if hardware.has_master:
        headline = "groups divide the pods of one task, and the master is a task of its own"
        yield Finding(headline, "hardware.partition", help=f"{_FLAT}, or leave hardware.partition null")
    elif hardware.nodes % size:
        nodes = hardware.nodes + size - hardware.nodes % size
        headline = f"{hardware.nodes} nodes do not make groups of {size}"
        yield Finding(headline, "hardware.partition.size", size, f"write hardware.nodes={nodes}, or another size")


@rule("FT797", "two-names-of-a-tier", on=NEEDS)
def _tiers(spec: Spec) -> Iterator[Finding]:
    """The widest tier of HyperNodes by its number and by its name, of which Volcano takes one.

    Refused: `cluster.network_topology={highest_tier: 1, highest_tier_name: leaf}`.
    Write: one of them.
    """
    groups = spec.hardware.partition
    for key, near in (
        ("cluster.network_topology", spec.cluster.network_topology),
        ("hardware.partition.network_topology", groups and groups.network_topology),
    ):
        if near and near.highest_tier is not None and near.highest_tier_name is not None:
            headline = "highest_tier and highest_tier_name exclude each other"
            yield Finding(headline, f"{key}.highest_tier_name", near.highest_tier_name, "remove one of them")
