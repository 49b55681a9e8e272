"""Rules over the specification: whether its values fit together, before any Kubernetes object exists."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from urllib.parse import urlsplit

from ftgen import lower, schema
from ftgen.diagnostics import Severity
from ftgen.lower import security
from ftgen.spec import Command, LlamaFactory, Spec, Volume
from ftgen.text import kube
from ftgen.trainers import image
from ftgen.validation import RULES, Finding, Rule, rule
from ftgen.validation.rules import NEEDS, SERVED, SPEC, twins


@rule("FT264", "unknown-release", on=SPEC, denied=True)
def _release(spec: Spec) -> Iterator[Finding]:
    """A release of Volcano or Kubernetes of which ftgen has no schemas and no admission rules.

    One between or after the known lines is judged by the nearest older line, whose schemas never allow a field that
    the cluster lacks; a note says so.  One before all of them is refused.

    Refused: `cluster.volcano_version=1.2`, `cluster.kubernetes_version=1.16`.
    Write: the cluster's release, such as `1.12.4` of Volcano and `1.34` of Kubernetes, or `newest`.
    """
    volcano, kubernetes = spec.cluster.volcano_version, spec.cluster.kubernetes_version or ""
    yield from _substituted("Volcano", "volcano_version", volcano, schema.release, schema.RELEASES)
    yield from _substituted(
        "Kubernetes", "kubernetes_version", kubernetes, schema.kubernetes_release, schema.KUBERNETES
    )


def _substituted(
    product: str, key: str, version: str, line_of: Callable[[str], str], lines: Iterable[str]
) -> Iterator[Finding]:
    known = f"known lines: {', '.join(lines)}, newest"
    try:
        told = schema.substitution(product, version, line_of(version))
    except ValueError as error:
        yield Finding(str(error), f"cluster.{key}", version, known)
    else:
        if told:
            yield Finding(told, f"cluster.{key}", version, known, Severity.NOTE)


@rule("FT250", "share-without-unit", on=SPEC)
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
            yield Finding(
                f"this hardware gives whole cards and no share of {key}", f"hardware.{key}", amount, "leave it null"
            )
        elif not _is_multiple(str(amount), resource.unit):
            unit = resource.unit if key == "memory" else f"{float(kube.parse_quantity(resource.unit)):g} percent"
            headline = f"{resource.name} counts in units of {unit}; {amount} is no whole number of them"
            yield Finding(headline, f"hardware.{key}", amount, f"choose a multiple of {unit}")


@rule("FT251", "more-cards-than-a-node-has", on=SPEC)
def _cards(spec: Spec) -> Iterator[Finding]:
    """More cards in one pod than a node has.

    A pod never spans nodes; such a job stays pending for ever.  Several shares of one pod lie on as many cards of one
    node (HAMi places each on a card of its own).  Where the number of cards of a node is unknown
    (`hardware.card.per_node`), more than eight, the number in most servers, get a warning, and more than sixteen, the
    most that any server has, are refused.

    Refused: `hardware.devices=16` on nodes of eight cards, `hardware=nvidia-vgpu hardware.devices=9`.
    Write: `hardware.nodes=2 hardware.devices=8`.
    """
    devices, per_node = spec.hardware.devices, spec.hardware.card.per_node or spec.cluster.facts.card.per_node
    if spec.hardware.cards is None or spec.hardware.card.slice:
        return
    most = per_node or _CARDS_OF_A_NODE
    if devices > most:
        nodes = -(-devices // most)
        of = "shares" if spec.hardware.shared else "cards"
        limit = f"a node has {most}" if per_node else f"a node has {most} as a rule: each lies on a card of its own"
        certain = per_node is not None or devices > _MOST_CARDS_OF_A_NODE
        alternative = "" if certain else ", or set hardware.card.per_node"
        help_ = f"write hardware.nodes={nodes} hardware.devices={most}{alternative}"
        severity = None if certain else Severity.WARNING
        yield Finding(f"{devices} {of} asked for one pod, but {limit}", "hardware.devices", devices, help_, severity)


# HGX, DGX and Atlas servers hold eight; DGX-2 and Atlas A3 sixteen.
_CARDS_OF_A_NODE = 8
_MOST_CARDS_OF_A_NODE = 16


@rule("FT252", "share-larger-than-the-card", on=SPEC)
def _share_size(spec: Spec) -> Iterator[Finding]:
    """A share that is larger than the card it is cut from, or that no card is cut into: the pod would stay pending.

    Refused: `hardware.memory=100Gi hardware.card.memory=80Gi`, a MIG profile of nine compute slices.
    Write: a share within the card.
    """
    share, card = spec.hardware.memory, spec.hardware.card.memory or spec.cluster.facts.card.memory
    if share and card and kube.parse_quantity(share) > kube.parse_quantity(card):
        yield Finding(
            f"a share of {share} does not fit a card of {card}", "hardware.memory", share, f"ask for {card} at most"
        )
    resource = spec.hardware.resources.count or ""
    profile = resource.removeprefix("nvidia.com/mig-")
    if profile != resource and not _MIG_PROFILE.match(profile):
        headline = f"there is no MIG profile {profile}"
        help_ = "choose one of `ftgen groups hardware/mig`"
        yield Finding(headline, "hardware.resources.count", resource, help_)


# NVIDIA's MIG guide: an instance has 1, 2, 3, 4 or 7 compute slices, and a name such as 1g.10gb or 1g.10gb.me.
_MIG_PROFILE = re.compile(r"[12347]g\.[1-9]\d{0,2}gb(\.me|\.gfx|\.all|-me)*$")


@rule("FT253", "image-without-git-lfs", on=SPEC)
def _without_git_lfs(spec: Spec) -> Iterator[Finding]:
    """An image without git-lfs, with which models and data sets are fetched and results are pushed.

    The init container ends with an error before anything is fetched.  LLaMA-Factory's own images hold git, and no
    git-lfs (docker/docker-cuda/Dockerfile.base of its repository).

    Refused: `hardware.image=hiyouga/llamafactory:0.9.5`.
    Write: an image with git-lfs, for which `ftgen image` writes the Dockerfile; where this one has it,
    `hardware.packages=[git-lfs,deepspeed,mlflow]`, everything that it holds.
    """
    packages = image.installed_packages(spec)
    fetched = [key for key in ("model.url", "dataset.url", "model.output_url") if _value_of(spec, key)]
    if packages is not None and "git-lfs" not in packages and fetched:
        headline = f"{spec.hardware.image} holds no git-lfs, which {fetched[0]} needs"
        help_ = "build an image with it (ftgen image), or name it in hardware.packages where it is there"
        yield Finding(headline, "hardware.image", spec.hardware.image, help_)


def _value_of(spec: Spec, key: str) -> str | None:
    section, _, name = key.partition(".")
    value: str | None = getattr(getattr(spec, section), name)
    return value


@rule("FT294", "image-of-another-build", on=SPEC)
def _another_build(spec: Spec) -> Iterator[Finding]:
    """An image of LLaMA-Factory's project that is built for other cards, or holds another release.

    torch built for one vendor finds no cards of another.  Arguments are checked for `trainer.version`, and other
    releases take other arguments.

    Refused: `hardware=ascend hardware.image=hiyouga/llamafactory:0.9.5`, `trainer.version=0.9.4` with that image.
    Write: the image for the card, such as `hiyouga/llamafactory:0.9.5-npu-a2`, and `trainer.version` by its tag.
    """
    built = image.upstream_image(spec.hardware.image)
    if built is None:
        return
    if spec.hardware.vendor not in {built.vendor, "cpu"}:
        headline = f"{spec.hardware.image} is built for {built.vendor}, and the cards are {spec.hardware.vendor}"
        help_ = f"choose an image for {spec.hardware.vendor}; `ftgen image` writes a Dockerfile"
        yield Finding(headline, "hardware.image", spec.hardware.image, help_)
    if isinstance(spec.trainer, LlamaFactory) and built.version and built.version != spec.trainer.version:
        headline = f"{spec.hardware.image} holds LLaMA-Factory {built.version}, and arguments are checked for "
        headline += spec.trainer.version
        help_ = f"write trainer.version={built.version}"
        yield Finding(headline, "trainer.version", spec.trainer.version, help_, Severity.WARNING)


@rule("FT254", "shared-mode-on-node-local-storage", on=SPEC)
def _mode(spec: Spec) -> Iterator[Finding]:
    """An access mode that node-local storage cannot serve.

    TopoLVM and local volumes refuse ReadWriteMany and ReadOnlyMany; the claim never binds and the job waits.

    Refused: `storage=topolvm storage.workspace.access_mode=ReadWriteMany`.
    Write: `ReadWriteOnce`, or `storage=nfs`.
    """
    for key, volume in _volumes(spec):
        if spec.storage.node_local and twins.serves_several_nodes(volume.access_mode):
            headline = f"node-local storage cannot serve {volume.access_mode}: the claim would never bind"
            yield Finding(
                headline, f"storage.{key}.access_mode", volume.access_mode, "write ReadWriteOnce, or storage=nfs"
            )


@rule("FT255", "one-node-claim-across-nodes", on=SPEC)
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


@rule("FT256", "shared-memory-beyond-the-limit", on=SPEC)
def _shm(spec: Spec) -> Iterator[Finding]:
    """Shared memory (/dev/shm) as large as the container's memory limit, or larger.

    A memory-backed emptyDir is charged to the container, which is killed when both together pass the limit.

    Refused: `storage.shm=16Gi` with a memory limit of 16Gi.
    Write: a smaller `storage.shm`, or more `hardware.per_card.memory.limit`.
    """
    size = lower.shared_memory(spec)
    limit = lower.resources(spec)["limits"]["memory"]
    if kube.parse_quantity(size) >= kube.parse_quantity(limit):
        headline = f"{size} of shared memory leave nothing of a memory limit of {limit}"
        yield Finding(headline, "storage.shm", size, "raise hardware.per_card.memory.limit or lower storage.shm")


@rule("FT257", "little-shared-memory-for-several-cards", Severity.WARNING, on=SPEC)
def _small_shm(spec: Spec) -> Iterator[Finding]:
    """Less shared memory than collectives between several cards need.

    NCCL's and HCCL's shared-memory transports and the data loaders' workers fail with bus errors; the
    platform's guide asks for 4Gi at least.

    Refused: `storage.shm=2Gi hardware.devices=4`.
    Write: `storage.shm=auto`.
    """
    size = lower.shared_memory(spec)
    if twins.is_shared_memory_too_small(kube.parse_quantity(size), spec.world_size):
        yield Finding(
            f"{size} of shared memory for {spec.world_size} cards; 4Gi is the least",
            "storage.shm",
            size,
            "write storage.shm=auto",
        )


@rule("FT258", "generated-name-under-a-reconciler", on=SPEC)
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
        yield Finding(
            headline, "delivery.generate_name", delivery.generate_name, "write delivery=kubectl, or generate_name=false"
        )
    if spec.job.ttl is not None:
        headline = f"{delivery.reconciler} would run the job again once Volcano has deleted it after {spec.job.ttl} s"
        yield Finding(headline, "job.ttl", spec.job.ttl, "write job.ttl=null, or delivery=kubectl")


@rule("FT259", "several-shared-cards", Severity.WARNING, on=SPEC)
def _slices(spec: Spec) -> Iterator[Finding]:
    """Collectives between slices of shared cards.

    NCCL failed on HAMi's virtual cards at its start before HAMi 2.9.0, and is fragile after; a throttled
    slice also makes every other rank wait.  MIG instances do not reach each other's memory, and one process
    sees one of them.

    Refused: `hardware=nvidia-vgpu hardware.devices=2`, `hardware=nvidia-mig hardware.nodes=2`.
    Write: `hardware=full-gpu`.
    """
    if spec.world_size == 1:
        return
    slices = f"{spec.world_size} slices of {'' if spec.hardware.card.slice else 'shared '}cards train together"
    remedy = "prefer hardware=full-gpu" if spec.hardware.vendor == "nvidia" else "prefer whole cards"
    if spec.hardware.card.slice:
        headline = f"{slices}; they do not reach each other's memory"
        yield Finding(headline, "hardware.devices", spec.world_size, remedy)
    elif spec.hardware.shared:
        reason = (
            twins.NCCL_FAILS_ON_SHARES
            if spec.hardware.vendor == "nvidia"
            else f"no word of {spec.hardware.vendor} says that they can"
        )
        yield Finding(f"{slices}; {reason}", "hardware.devices", spec.world_size, remedy)


@rule("FT260", "results-that-vanish", on=SPEC)
def _vanishing(spec: Spec) -> Iterator[Finding]:
    """A training whose result is neither pushed nor kept.

    A temporary workspace is deleted with its pod.

    Refused: `model.output_url=null storage.workspace.claim=null`.
    Write: `model.output_url=…`, or a claim that stays: `storage.workspace.claim=…`.
    """
    if spec.model.output_url is None and lower.is_temporary(spec, spec.storage.workspace):
        headline = "nothing is pushed and the workspace is temporary: the result would vanish with the pod"
        yield Finding(headline, "model.output_url", "null", "set model.output_url or storage.workspace.claim")


@rule("FT284", "unknown-accepted-code", on=SPEC)
def _accepted(spec: Spec) -> Iterator[Finding]:
    """A diagnostic is accepted that no rule gives, or that the cluster's admission or the trainer's loader gives.

    A misspelt code would accept nothing, and a retired one nothing any more.  What admission or the loader denies never
    trains, whatever is accepted here.

    Refused: `+allow.FT2562=…`, `+allow.FT312=…`, `+allow.FT708=…`.
    Write: the code as the diagnostic shows it; mend what is denied.
    """
    loaded = map(RULES.get, spec.accepted)
    if all(each is not None and not each.denied for each in loaded):
        return
    from ftgen.emulation.datasets.kinds import KINDS  # noqa: PLC0415 - as below
    from ftgen.validation.rules import all_rules  # noqa: PLC0415 - all rules, only where they are asked for

    rules = all_rules()
    known = {*rules, *_CODES_WITHOUT_RULE, *(kind.code for kind in KINDS)}
    denied = {code: _denier(rule) for code, rule in rules.items() if rule.denied}
    denied |= {kind.code: "the trainer's loader" for kind in KINDS if kind.severity is Severity.ERROR}
    for section, codes in (("cluster.allow", spec.cluster.allow), ("allow", spec.allow)):
        for code in codes:
            if code not in known:
                near = difflib.get_close_matches(code, sorted(known), 1)
                help_ = f"did you mean {near[0]}?" if near else f"remove {section}.{code}"
                yield Finding(f"there is no rule {code} to accept", f"{section}.{code}", code, help_)
            elif code in denied:
                headline = f"{code} is what {denied[code]} denies, and accepting it creates nothing"
                yield Finding(
                    headline, f"{section}.{code}", code, f"remove {section}.{code}, and mend what it tells of"
                )


def _denier(denied: Rule) -> str:
    return "the cluster's admission" if {NEEDS, SERVED}.isdisjoint(denied.scopes) else "the program itself"


@rule("FT262", "unverified-git-host", Severity.WARNING, on=SPEC)
def _tls(spec: Spec) -> Iterator[Finding]:
    """A git host whose certificate is not verified while a token is sent to it.

    A man in the middle can read the token and replace model and data.

    Refused: `cluster.git.tls_verify=false`.
    Write: `cluster.git.tls_verify=true`, with the host's CA in `cluster.git.ca_config_map`.
    """
    if not spec.cluster.git.tls_verify:
        headline = f"the certificate of {spec.cluster.git.url} is not verified"
        help_ = "put its CA into a ConfigMap, name it in cluster.git.ca_config_map and set cluster.git.tls_verify=true"
        yield Finding(headline, "cluster.git.tls_verify", "false", help_)


@rule("FT043", "login-for-another-host", Severity.WARNING, on=SPEC)
def _other_host(spec: Spec) -> Iterator[Finding]:
    """The git host's user and token are offered to another host.

    Whoever is asked for a model or a data set may ask for a login, and the scripts answer with the one that the
    cluster has (`offer_token`, conf/trainer/prepare.sh and train.sh); nor is a certificate verified there if the git
    host's is not.

    Refused: `model.url=https://models.example.org/qwen` beside `cluster.git.url=https://git.example.com`.
    Write: the URL of a copy on the git host; `cluster.git.url`, if the secret is the other host's; or
    `allow.FT043=…`, if it is meant for both.
    """
    known = _host_of(spec.cluster.git.url)
    urls = {"model.url": spec.model.url, "dataset.url": spec.dataset.url, "model.output_url": spec.model.output_url}
    for key, url in urls.items():
        host = _host_of(url or "")
        if host and known and host != known:
            headline = f"{spec.cluster.git.secret}, the login of {known}, is offered to {host}"
            help_ = "copy the repository to the git host, or say in cluster.git.url which host the secret opens"
            yield Finding(headline, key, url or "", help_)


def _host_of(url: str) -> str:
    """Return host and port of a URL that is asked over HTTP; empty for others, and for one that cannot be read."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port not in {None, _PORTS.get(parts.scheme)} else ""
    except ValueError:
        return ""
    return f"{parts.hostname or ''}{port}" if parts.scheme in _PORTS else ""


_PORTS = {"http": 80, "https": 443}


@rule("FT263", "created-claim-without-a-name", on=SPEC)
def _unnamed(spec: Spec) -> Iterator[Finding]:
    """A claim to be created, but without a name.

    Refused: `storage.workspace.create=true` without `storage.workspace.claim`.
    Write: `storage.workspace.claim=…`, or `create: false` for a temporary one.
    """
    for key, volume in _volumes(spec):
        if volume.create and volume.claim is None:
            yield Finding(
                "a claim that is created needs a name", f"storage.{key}.claim", "null", f"set storage.{key}.claim"
            )


@rule("FT265", "ungranted-card-count", on=SPEC)
def _count(spec: Spec) -> Iterator[Finding]:
    """A number of cards that the vendor's scheduler does not grant to one pod.

    MindCluster's Volcano plugin grants whole rings and halves of them, a Kunlunxin node 1, 2, 4 or 8 cards; the
    numbers are `hardware.resources.allowed_counts`.  Any other leaves the pod pending.

    Refused: `hardware=ascend-910a hardware.devices=3`.
    Write: `hardware.devices=4`.
    """
    devices, granted = spec.hardware.devices, spec.hardware.resources.allowed_counts
    if granted and devices not in granted:
        headline = f"{devices} cards are not granted to one pod, only {_listed(granted)}"
        nearest = min(granted, key=lambda count: (abs(count - devices), -count))
        yield Finding(headline, "hardware.devices", devices, f"write hardware.devices={nearest}")


@rule("FT266", "rounded-up-share", Severity.NOTE, on=SPEC)
def _template(spec: Spec) -> Iterator[Finding]:
    """A memory share between two templates: the larger one is given.

    HAMi cuts Ascend, Kunlunxin and Moore Threads cards in fixed templates (`hardware.resources.memory.templates`),
    and the manifest asks for the one that is given; above the largest the pod gets the whole card.

    Refused: `hardware=ascend-vnpu-hami hardware.memory=10Gi`.
    Write: `hardware.memory=16Gi`.
    """
    share, resource = spec.hardware.memory, spec.hardware.resources.memory
    if share is None or resource is None or not resource.templates:
        return
    wanted = kube.parse_quantity(share) / kube.parse_quantity(resource.unit)
    if wanted not in resource.templates:
        larger = min((size for size in resource.templates if size > wanted), default=None)
        granted = f"{larger} times {resource.unit}" if larger else "the whole card"
        yield Finding(
            f"a share of {share} is rounded up to {granted}",
            "hardware.memory",
            share,
            f"templates are {_listed(resource.templates)}",
        )


@rule("FT267", "several-shares", on=SPEC)
def _several(spec: Spec) -> Iterator[Finding]:
    """Several shares of cards for one pod, where the device plugin gives one.

    HAMi refuses a part of a card's memory with a count above one for Ascend, Cambricon, Hygon and Moore Threads;
    several time slices of NVIDIA's plugin give no more compute than one.

    Refused: `hardware=ascend-vnpu-hami hardware.devices=2`.
    Write: `hardware.devices=1`, or whole cards: `hardware.memory=null hardware.cores=null`.
    """
    hardware = spec.hardware
    if (
        hardware.resources.share_with_multi is False
        and hardware.devices > 1
        and (hardware.shared or hardware.card.slice)
    ):
        headline = f"{hardware.devices} shares of cards cannot be given to one pod by {hardware.cards}"
        yield Finding(headline, "hardware.devices", hardware.devices, "write hardware.devices=1, or choose whole cards")


@rule("FT268", "scheduled-outside-volcano", Severity.WARNING, on=SPEC)
def _outside(spec: Spec) -> Iterator[Finding]:
    """Pods that another scheduler than the job's places.

    HAMi gives its shared cards only to pods of its own scheduler.  Volcano's controller still creates the pods,
    but they start one by one: no gang, no order of the queue.

    Refused: `hardware=nvidia-vgpu-hami`.
    Write: `hardware=nvidia-vgpu-volcano` where Volcano's own plugin is installed.
    """
    scheduler = spec.hardware.scheduler
    if scheduler is not None and scheduler != spec.cluster.scheduler:
        headline = f"the pods are placed by {scheduler}, not by {spec.cluster.scheduler}: neither gang nor queue holds"
        yield Finding(
            headline, "hardware.scheduler", scheduler, "accept it with a reason in allow, or share cards by Volcano"
        )


@rule("FT269", "unconfirmed-option", Severity.NOTE, on=SPEC)
def _unsure(spec: Spec) -> Iterator[Finding]:
    """A hardware option some of whose facts could not be confirmed; it says which.

    Refused: `hardware=ascend-a3`.
    Write: check the fact on your cluster, then `hardware.unsure=null`.
    """
    if spec.hardware.unsure:
        yield Finding(
            spec.hardware.unsure, "hardware.unsure", "", "check it on your cluster, then write hardware.unsure=null"
        )


@rule("FT270", "partial-nodes", Severity.WARNING, on=SPEC)
def _partial(spec: Spec) -> Iterator[Finding]:
    """A job of several nodes whose number of cards in a pod is not an advised one.

    Collectives between nodes run over the links of whole servers (`hardware.resources.advised_counts`).

    Refused: `hardware=ascend-a3 hardware.nodes=2 hardware.devices=4`.
    Write: `hardware.devices=16`.
    """
    devices, advised = spec.hardware.devices, spec.hardware.resources.advised_counts
    if spec.hardware.nodes > 1 and advised and devices not in advised:
        headline = (
            f"{devices} cards in each of {spec.hardware.nodes} pods; jobs of several nodes take {_listed(advised)}"
        )
        yield Finding(headline, "hardware.devices", devices, f"write hardware.devices={advised[-1]}")


@rule("FT271", "release-too-old", on=SPEC)
def _release_of_cards(spec: Spec) -> Iterator[Finding]:
    """Cards that the cluster's Volcano or Kubernetes cannot give out yet.

    Claims of devices are written as `resource.k8s.io/v1`, which Kubernetes serves from 1.34 on.

    Refused: `hardware=nvidia-dra` on Volcano 1.12, or where `cluster.kubernetes_version` is older than 1.34.
    Write: `cluster.volcano_version=1.14` once the cluster has it, or another hardware option.
    """
    cluster, claimed = spec.cluster, spec.hardware.resources.device_class
    for product, key, version, needed in (
        ("Volcano", "volcano_version", cluster.volcano_version, spec.hardware.needs_volcano),
        ("Kubernetes", "kubernetes_version", cluster.kubernetes_version, "1.34" if claimed else None),
    ):
        if needed and version not in {None, "newest"} and _numbers(version or "") < _numbers(needed):
            headline = f"these cards need {product} {needed}, and the cluster has {version}"
            yield Finding(headline, f"cluster.{key}", version, "choose another hardware option")


@rule("FT272", "forbidden-by-pod-security", on=SPEC)
def _forbidden(spec: Spec) -> Iterator[Finding]:
    """A setting that the namespace's pod security level forbids.

    The level is judged when pods are created: Volcano accepts the job, and it waits for ever.  baseline forbids
    the node's network, its folders, and capabilities such as IPC_LOCK, which RDMA needs; restricted forbids root, too
    (k8s.io/pod-security-admission).

    job.security=restricted asks for a job that fits the restricted level whatever the namespace enforces. With auto
    such a setting, or one of an overlay, is a note: the job is rendered without the fields of that level.

    Refused: `cluster.pod_security=baseline network.host=true`.
    Write: leave it out, or use a namespace of another level.
    """
    level = security.level(spec)
    for key, value in security.obstacles(spec).items():
        what, cure = _FORBIDDEN[key.rsplit(".", 1)[1]], f"write {key}={_OFF[key.rsplit('.', 1)[1]]}"
        if level == "restricted" or (level == "baseline" and key != "hardware.needs_root"):
            yield Finding(f"the {level} level forbids {what}", key, value, cure)
        elif spec.job.security == "auto":
            headline = f"pods keep root and their capabilities, as the restricted level forbids {what}"
            yield Finding(headline, key, value, f"{cure}, or job.security=none", Severity.NOTE)


_FORBIDDEN = {
    "host": "the node's own network",
    "rdma_resource": "the capability IPC_LOCK, which RDMA needs",
    "host_path": "folders of the node",
    "needs_root": "root, which the image or the device files of these cards need",
}
_OFF = {"host": "false", "rdma_resource": "null", "host_path": "null", "needs_root": "false"}


@rule("FT273", "volume-with-two-sources", on=SPEC)
def _sources(spec: Spec) -> Iterator[Finding]:
    """A volume with two sources.

    A volume is a claim, a folder of the node (`host_path`) or an empty folder (`empty_dir`); `nfs` is the server to
    which a created claim is bound.

    Refused: `storage=hostpath storage.models.claim=models`.
    Write: one of them.
    """
    for key, volume in _volumes(spec):
        sources = [name for name in ("claim", "host_path", "empty_dir") if getattr(volume, name)]
        if len(sources) > 1:
            yield Finding(
                f"storage.{key} is {' and '.join(sources)} at once",
                f"storage.{key}.{sources[1]}",
                "",
                f"keep one of {', '.join(sources)}",
            )
        if volume.nfs and not (volume.claim and volume.create):
            headline = f"storage.{key}.nfs is where a created claim is bound to, and none is created"
            yield Finding(
                headline,
                f"storage.{key}.nfs",
                volume.nfs.server,
                f"set storage.{key}.claim and storage.{key}.create=true",
            )


@rule("FT274", "files-of-each-node", Severity.WARNING, on=SPEC)
def _each_node(spec: Spec) -> Iterator[Finding]:
    """Folders of the node for a job of several nodes: each node sees other files under the same path.

    Models are fetched on every node, and checkpoints of several nodes lie apart: a job that is restarted on
    other nodes finds none, or old ones.

    Refused: `storage=hostpath hardware.nodes=2`.
    Write: `storage=nfs`.
    """
    for key, volume in _volumes(spec):
        if volume.host_path and spec.hardware.nodes > 1:
            headline = f"{volume.host_path} is another folder on each of {spec.hardware.nodes} nodes"
            yield Finding(
                headline,
                f"storage.{key}.host_path",
                volume.host_path,
                "choose storage that nodes share, such as storage=nfs",
            )


@rule("FT276", "claim-that-one-node-holds", on=SPEC)
def _one_node(spec: Spec) -> Iterator[Finding]:
    """A claim of node-local storage, named for a job of several nodes.

    Its volume lies on one node and the pods elsewhere cannot mount it, so each pod gets a temporary volume of its
    own instead.  For models and data that costs a download on every node; a workspace that was to stay would be
    lost with its pods, and is refused.

    Refused: `storage=topolvm storage.workspace.claim=work hardware.nodes=2`.
    Write: `storage=nfs`, or `storage.workspace.claim=null`.
    """
    if spec.hardware.nodes == 1 or not spec.storage.node_local:
        return
    for key, volume in _volumes(spec):
        if volume.claim:
            headline = f"{volume.claim} lies on one node, and the job has {spec.hardware.nodes}"
            null = f"write storage.{key}.claim=null"
            if key == "models":
                headline += "; each pod fetches models and data onto a temporary volume of its own"
                yield Finding(headline, f"storage.{key}.claim", volume.claim, f"{null} to say so", Severity.NOTE)
            else:
                yield Finding(headline, f"storage.{key}.claim", volume.claim, f"choose storage=nfs, or {null}")


@rule("FT275", "unknown-network-setting", on=SPEC)
def _setting(spec: Spec) -> Iterator[Finding]:
    """A setting of the network for which the vendor's library of collectives has no variable.

    `hardware.collectives` names the variables: NCCL has no timeout for connections, HCCL no adapters.

    Refused: `hardware=full-gpu network.connect_timeout=600`.
    Write: leave it null, or name the variable in `hardware.collectives`.
    """
    for setting in ("interface", "adapters", "gid_index", "connect_timeout", "log_level"):
        value = getattr(spec.network, setting)
        if value is not None and getattr(spec.hardware.collectives, setting) is None:
            headline = f"the collectives of {spec.hardware.vendor} have no setting for {setting}"
            yield Finding(
                headline,
                f"network.{setting}",
                value,
                f"write network.{setting}=null, or set hardware.collectives.{setting}",
            )


@rule("FT277", "cards-chosen-by-variable", on=SPEC)
def _chosen(spec: Spec) -> Iterator[Finding]:
    """A variable of the user's own that chooses cards.

    The scheduler chooses the cards of a pod, and the device plugin and the vendor's runtime show it those and no
    others.  A list of the user's hides them, or reaches for a neighbour's (`hardware.visible.variables`).

    Refused: `hardware=full-gpu +hardware.env.CUDA_VISIBLE_DEVICES=0`.
    Write: nothing; `hardware.devices` is the number of cards.
    """
    for name in spec.hardware.visible.variables:
        if name in spec.hardware.env:
            headline = f"{name} chooses cards, which the device plugin does"
            value = spec.hardware.env[name]
            yield Finding(headline, f"hardware.env.{name}", value, "remove it; hardware.devices is the number of cards")


@rule("FT042", "variable-of-the-scripts", on=SPEC)
def _script_variable(spec: Spec) -> Iterator[Finding]:
    """A variable of the user's own by which the job's scripts are told what the configuration says elsewhere.

    `train.sh`, `prepare.sh`, `launch.sh`, `ray.sh` and `mpi.sh` know the configuration by variables alone.  One that is
    set beside it has the last word or none: two nodes of which there is one, another command than `trainer.command`,
    another place than the volume of the workspace.  The estimate, the checks and the objects go by the configuration.

    Refused: `hardware.env.NNODES=2`, `trainer.env.OUTPUT_DIR=/out`.
    Write: the key that the help names, such as `hardware.nodes=2`; for a program of your own that reads such a
    variable, `trainer.command: [env, OUTPUT_DIR=/out, PROGRAM, …]`.
    """
    environments = {"hardware.env": spec.hardware.env}
    if isinstance(spec.trainer, Command):
        environments["trainer.env"] = spec.trainer.env
    for section, environment in environments.items():
        for name, value in environment.items():
            key = lower.script_variable_key(name, spec)
            if key is not None:
                headline = f"the job's scripts read {name}, which {key or 'the job itself'} says"
                yield Finding(headline, f"{section}.{name}", value, _instead_of_variable(spec, name, key))


def _instead_of_variable(spec: Spec, name: str, key: str) -> str:
    instead = f"set {key} instead" if key else "leave it out"
    own = f"; for the command alone write trainer.command: [env, {name}=VALUE, PROGRAM, …]"
    return instead + (own if isinstance(spec.trainer, Command) else "")


@rule("FT278", "read-only-volume-that-is-written", on=SPEC)
def _read_only(spec: Spec) -> Iterator[Finding]:
    """A volume that is to be read only, and that the job writes to.

    Checkpoints and results go to the workspace, and what is fetched goes to the models volume.

    Refused: `storage=nfs storage.workspace.access_mode=ReadOnlyMany`.
    Write: `ReadWriteMany`; or, where models and data lie there already, `model.url=null dataset.url=null`.
    """
    fetched = [key for key in ("model", "dataset") if getattr(spec, key).url]
    written = {"workspace": "checkpoints and results", "models": " and ".join(fetched) if fetched else ""}
    for key, volume in _volumes(spec):
        if volume.access_mode == "ReadOnlyMany" and written[key]:
            headline = f"{written[key]} would be written to a volume that is ReadOnlyMany"
            help_ = "write ReadWriteMany" + (", or model.url=null dataset.url=null" if key == "models" else "")
            yield Finding(headline, f"storage.{key}.access_mode", volume.access_mode, help_)


@rule("FT279", "claims-of-two-nodes", Severity.WARNING, on=SPEC)
def _two_nodes(spec: Spec) -> Iterator[Finding]:
    """Two existing claims of node-local storage in one pod.

    Each lies on the node where it was first used.  Where these are two nodes, no node takes the pod, and the job
    waits for ever; a claim that a notebook without cards used first may even lie on a node that has none.

    Refused: `storage=topolvm storage.workspace.claim=work storage.models.claim=models`.
    Write: one claim for both, or `storage=nfs`.
    """
    names = [volume.claim for _, volume in _volumes(spec) if volume.claim and not volume.create]
    if spec.storage.node_local and spec.hardware.nodes == 1 and len(set(names)) > 1:
        headline = f"the claims {' and '.join(names)} each lie on one node, and it may not be the same"
        yield Finding(headline, "storage.workspace.claim", names[0], "keep both on one claim, or choose storage=nfs")


# Codes of diagnostics that no rule gives: YAML versions (check), environment variables (pipeline) and overlays.
_CODES_WITHOUT_RULE = ("FT004", "FT017", "FT023", "FT027", "FT028")


def _listed(numbers: Iterable[int]) -> str:
    *first, last = (str(number) for number in numbers)
    return f"{', '.join(first)} or {last}" if first else last


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:2])


def _volumes(spec: Spec) -> tuple[tuple[str, Volume], ...]:
    workspace = ("workspace", spec.storage.workspace)
    return (workspace, ("models", spec.storage.models)) if lower.fetches(spec) else (workspace,)


def _is_multiple(amount: str, unit: str) -> bool:
    ratio: Fraction = kube.parse_quantity(amount) / kube.parse_quantity(unit)
    return ratio.denominator == 1 and ratio > 0
