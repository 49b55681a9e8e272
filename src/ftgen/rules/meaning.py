"""Does it fit together?  Rules over what the user asked for, before any Kubernetes object exists."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ftgen import kube, lower, schema
from ftgen.diagnostics import Diagnostic, Severity
from ftgen.rules import Finding, Rule, rule, run
from ftgen.spec import LlamaFactory, Spec, Volume


def judge(spec: Spec) -> list[Diagnostic]:
    """What the rules of this module find."""
    return run(_RULES, spec)


@rule("FT250", "share-without-unit")
def _share(spec: Spec) -> Iterator[Finding]:
    """A share of a card that its device plugin cannot count.

    Device plugins count memory and compute in fixed units (HAMi in MiB and percent, others in blocks of 256
    or 512 MiB); Kubernetes refuses fractions of an extended resource.

    Refused: `hardware=full-gpu hardware.memory=8Gi`, or `hardware.memory=1500Ki` where the unit is 1Mi.
    Write: a multiple of the unit, or a hardware option that shares cards.
    """
    hardware = spec.hardware
    for key, amount, resource in (
        ("memory", hardware.memory, hardware.resources.memory),
        ("cores", hardware.cores, hardware.resources.cores),
    ):
        if amount is None:
            continue
        if resource is None:
            yield Finding(f"this hardware gives whole cards and no share of {key}", f"hardware.{key}", amount, "leave it null")
        elif not _whole(str(amount), resource.unit):
            headline = f"{resource.name} counts in units of {resource.unit}; {amount} is no whole number of them"
            yield Finding(headline, f"hardware.{key}", amount, f"choose a multiple of {resource.unit}")


@rule("FT251", "more-cards-than-a-node-has")
def _cards(spec: Spec) -> Iterator[Finding]:
    """More cards in one pod than a node has.

    A pod never spans nodes; such a job stays pending for ever.

    Refused: `hardware.devices=16` on nodes of eight cards.
    Write: `hardware.nodes=2 hardware.devices=8`.
    """
    asked, there = spec.hardware.devices, spec.hardware.card.per_node
    if there is not None and asked > there:
        nodes = -(-asked // there)
        help_ = f"write hardware.nodes={nodes} hardware.devices={there}"
        yield Finding(f"{asked} cards asked for one pod, but a node has {there}", "hardware.devices", asked, help_)


@rule("FT252", "share-larger-than-the-card")
def _share_size(spec: Spec) -> Iterator[Finding]:
    """A memory share larger than the card it is cut from: the pod would stay pending.

    Refused: `hardware.memory=100Gi hardware.card.memory=80Gi`.
    Write: a share within the card.
    """
    share, card = spec.hardware.memory, spec.hardware.card.memory
    if share and card and kube.parse_quantity(share) > kube.parse_quantity(card):
        yield Finding(f"a share of {share} does not fit a card of {card}", "hardware.memory", share, f"ask for {card} at most")


@rule("FT254", "shared-mode-on-node-local-storage")
def _mode(spec: Spec) -> Iterator[Finding]:
    """An access mode that node-local storage cannot serve.

    TopoLVM and local volumes refuse ReadWriteMany and ReadOnlyMany; the claim never binds and the job waits.

    Refused: `storage=topolvm storage.workspace.access_mode=ReadWriteMany`.
    Write: `ReadWriteOnce`, or `storage=nfs`.
    """
    for key, volume in _volumes(spec):
        if spec.storage.node_local and volume.access_mode in {"ReadWriteMany", "ReadOnlyMany"}:
            headline = f"node-local storage cannot serve {volume.access_mode}: the claim would never bind"
            yield Finding(headline, f"storage.{key}.access_mode", volume.access_mode, "write ReadWriteOnce, or storage=nfs")


@rule("FT255", "one-node-claim-across-nodes")
def _across(spec: Spec) -> Iterator[Finding]:
    """A claim of one node, or of one pod, shared by the pods of several nodes.

    ReadWriteOnce attaches to one node: the pods elsewhere never start, and the gang never runs.

    Refused: `storage=nfs hardware.nodes=2 storage.workspace.access_mode=ReadWriteOnce`.
    Write: `ReadWriteMany`, or no claim, so that each pod has its own.
    """
    if spec.hardware.nodes == 1 or spec.storage.node_local:
        return
    for key, volume in _volumes(spec):
        if volume.claim and volume.access_mode in {"ReadWriteOnce", "ReadWriteOncePod"}:
            headline = f"{volume.claim} is {volume.access_mode}, but {spec.hardware.nodes} nodes share it"
            yield Finding(headline, f"storage.{key}.access_mode", volume.access_mode, "write ReadWriteMany")


@rule("FT256", "shared-memory-beyond-the-limit")
def _shm(spec: Spec) -> Iterator[Finding]:
    """/dev/shm as large as the container's memory limit, or larger.

    A memory-backed emptyDir is charged to the container, which is killed when both together pass the limit.

    Refused: `storage.shm=16Gi` with a memory limit of 16Gi.
    Write: a smaller `storage.shm`, or more `hardware.per_card.memory.limit`.
    """
    size = lower.shared_memory(spec)
    limit = lower.resources(spec)["limits"]["memory"]
    if kube.parse_quantity(size) >= kube.parse_quantity(limit):
        headline = f"{size} of shared memory leave nothing of a memory limit of {limit}"
        yield Finding(headline, "storage.shm", size, "raise hardware.per_card.memory.limit or lower storage.shm")


@rule("FT257", "little-shared-memory-for-several-cards", Severity.WARNING)
def _small_shm(spec: Spec) -> Iterator[Finding]:
    """Less shared memory than collectives between several cards need.

    NCCL's and HCCL's shared-memory transports and the data loaders' workers fail with bus errors; the
    platform's guide asks for 4Gi at least.

    Refused: `storage.shm=2Gi hardware.devices=4`.
    Write: `storage.shm=auto`.
    """
    size = lower.shared_memory(spec)
    if spec.world_size > 1 and kube.parse_quantity(size) < 4 * 2**30:
        yield Finding(f"{size} of shared memory for {spec.world_size} cards; 4Gi is the least", "storage.shm", size, "write storage.shm=auto")


@rule("FT258", "generated-name-under-a-reconciler")
def _generated(spec: Spec) -> Iterator[Finding]:
    """A name made by the API server, or an expiry, in a manifest that a reconciler applies.

    `kubectl apply`, kustomize, Argo CD and Flux refuse `generateName`; and a job that Volcano deletes when
    its time is up is missing from the cluster, so the reconciler creates it again: the training runs twice.

    Refused: `delivery=argocd delivery.generate_name=true`, `delivery=flux job.ttl=3600`.
    Write: `delivery=kubectl`.
    """
    delivery = spec.delivery
    if delivery.reconciler == "kubectl":
        return
    if delivery.generate_name:
        headline = f"{delivery.reconciler} cannot apply a generated name"
        yield Finding(headline, "delivery.generate_name", delivery.generate_name, "write delivery=kubectl, or generate_name=false")
    if spec.job.ttl is not None:
        headline = f"{delivery.reconciler} would run the job again once Volcano has deleted it after {spec.job.ttl} s"
        yield Finding(headline, "job.ttl", spec.job.ttl, "write job.ttl=null, or delivery=kubectl")


@rule("FT259", "several-shared-cards", Severity.WARNING)
def _slices(spec: Spec) -> Iterator[Finding]:
    """Collectives between slices of shared cards.

    NCCL failed on HAMi's virtual cards at its start before HAMi 2.9.0, and is fragile after; a throttled
    slice also makes every other rank wait.

    Refused: `hardware=nvidia-vgpu hardware.devices=2`.
    Write: `hardware=full-gpu`.
    """
    shared = spec.hardware.memory is not None or spec.hardware.cores is not None
    if shared and spec.world_size > 1:
        headline = f"{spec.world_size} slices of shared cards train together; NCCL fails on them before HAMi 2.9.0"
        yield Finding(headline, "hardware.devices", spec.world_size, "prefer hardware=full-gpu")


@rule("FT260", "results-that-vanish")
def _vanishing(spec: Spec) -> Iterator[Finding]:
    """A training whose result is neither pushed nor kept.

    A temporary workspace is deleted with its pod.

    Refused: `model.output_url=null storage.workspace.claim=null`.
    Write: `model.output_url=…`, or a claim that stays: `storage.workspace.claim=…`.
    """
    if spec.model.output_url is None and lower.is_temporary(spec, spec.storage.workspace):
        headline = "nothing is pushed and the workspace is temporary: the result would vanish with the pod"
        yield Finding(headline, "model.output_url", "null", "set model.output_url or storage.workspace.claim")


@rule("FT261", "workspace-too-small", Severity.WARNING)
def _room(spec: Spec) -> Iterator[Finding]:
    """A workspace that cannot hold what the training leaves.

    The merged model lies there twice while git-lfs pushes it; full training adds checkpoints with their
    optimizer's state, about 14 bytes a parameter.

    Refused: `model=qwen3-8b` in the default workspace of 5Gi.
    Write: `storage.workspace.size=…`.
    """
    if not isinstance(spec.trainer, LlamaFactory):
        return
    full = spec.trainer.args.get("finetuning_type") == "full"
    written = spec.model.parameters * (4 + (14 if full else 0)) + 2**29
    size = kube.parse_quantity(spec.storage.workspace.size)
    if size < written:
        wanted = f"{-(-written // 2**30)}Gi"
        headline = f"a workspace of {spec.storage.workspace.size} is short of the {wanted} that {spec.model.name} needs"
        yield Finding(headline, "storage.workspace.size", spec.storage.workspace.size, f"write storage.workspace.size={wanted}")


@rule("FT262", "unverified-git-host", Severity.WARNING)
def _tls(spec: Spec) -> Iterator[Finding]:
    """A git host whose certificate is not verified while a token is sent to it.

    Whoever sits between can read the token and replace model and data.

    Refused: `cluster.git.tls_verify=false`.
    Write: `cluster.git.tls_verify=true`, with the host's CA in `cluster.git.ca_config_map`.
    """
    if not spec.cluster.git.tls_verify:
        headline = f"the certificate of {spec.cluster.git.url} is not verified"
        help_ = "put its CA into a ConfigMap, name it in cluster.git.ca_config_map and set cluster.git.tls_verify=true"
        yield Finding(headline, "cluster.git.tls_verify", "false", help_)


@rule("FT263", "created-claim-without-a-name")
def _unnamed(spec: Spec) -> Iterator[Finding]:
    """A claim to be created, but without a name.

    Refused: `storage.workspace.create=true` without `storage.workspace.claim`.
    Write: `storage.workspace.claim=…`, or `create: false` for a temporary one.
    """
    for key, volume in _volumes(spec):
        if volume.create and volume.claim is None:
            yield Finding("a claim that is created needs a name", f"storage.{key}.claim", "null", f"set storage.{key}.claim")


@rule("FT264", "unknown-volcano-release")
def _release(spec: Spec) -> Iterator[Finding]:
    """A Volcano release of which ftgen has no schema and no admission rules.

    Refused: `cluster.volcano_version=1.2`.
    Write: the cluster's release, such as `1.12.4`, or `newest`.
    """
    try:
        schema.release(spec.cluster.volcano_version)
    except ValueError as problem:
        known = ", ".join(schema.RELEASES)
        yield Finding(str(problem), "cluster.volcano_version", spec.cluster.volcano_version, f"known lines: {known}, newest")


_RULES: tuple[Rule, ...] = (
    _release,
    _share,
    _cards,
    _share_size,
    _mode,
    _across,
    _shm,
    _small_shm,
    _generated,
    _slices,
    _vanishing,
    _room,
    _tls,
    _unnamed,
)


def _volumes(spec: Spec) -> tuple[tuple[str, Volume], tuple[str, Volume]]:
    return ("workspace", spec.storage.workspace), ("models", spec.storage.models)


def _whole(amount: str, unit: str) -> bool:
    ratio: Fraction = kube.parse_quantity(amount) / kube.parse_quantity(unit)
    return ratio.denominator == 1 and ratio > 0
