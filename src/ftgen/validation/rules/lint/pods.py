"""Rules over the security, placement, images and size of pods, some by the facts of the cluster.

Sources: Kubernetes' pod security standards (k8s.io/pod-security-admission policy/check_*.go), Volcano's job
controller (pods are created after the job was accepted), etcd's and kubectl's size limits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import amount, entries, mapping, optional_integer, strings, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Container, Job, Pod
from ftgen.validation.rules import LINT, PODS_LINT
from ftgen.validation.rules.lint.devices import vendors_of
from ftgen.validation.rules.lint.standards import violations

_MILLIBYTES = re.compile(r"[0-9.]+m")
_LEAST_GRACE, _LONGEST_GRACE, _KUBELETS_GRACE = 60, 900, 30
_LARGE, _TOO_LARGE = 200 * 1024, 1_400_000
_REGISTRY = re.compile(r"[^/]*[.:][^/]*|localhost")
_PUBLIC = ("docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.k8s.io", "nvcr.io", "public.ecr.aws")


@rule("FT486", "pod-security-violation", denied=True, on=PODS_LINT, twins=("FT272",))
def pod_security(job: Job, context: Context) -> Iterator[Finding]:
    """A pod breaks the pod security standard of its namespace.

    Volcano accepts the job and its pods are refused afterwards: the job stays pending, with events only.

    Refused: `hostNetwork: true` under baseline, `runAsNonRoot` unset under restricted.
    Write: what the standard asks.
    """
    for pod in job.pods:
        level = context.security_level()
        if level == "privileged":
            return
        for path, phrase in violations(pod, level):
            yield Finding(f"{phrase} violates {level}: the object is accepted and its pods are refused", path, phrase)


@rule("FT487", "root-by-default", Severity.NOTE, on=PODS_LINT)
def root_by_default(job: Job, context: Context) -> Iterator[Finding]:
    """Nothing says which user a container runs as, so the image decides, mostly for root.

    Refused: no securityContext.
    Write: `securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000}` where the image allows it.
    """
    for pod in job.pods if context.pod_security in {"", "privileged"} else ():
        pod_context = mapping(pod.spec.get("securityContext"))
        without_user = [
            c for c in pod.containers if not _has_user({**pod_context, **mapping(c.body.get("securityContext"))})
        ]
        if without_user:
            headline = "the image decides which user runs, mostly root"
            yield Finding(headline, f"{pod.spec_path}.securityContext", "", "set runAsUser and runAsNonRoot")


def _has_user(context: dict[str, Any]) -> bool:
    return context.get("runAsNonRoot") is not None or context.get("runAsUser") is not None


@rule("FT488", "fresh-volume-of-root", Severity.WARNING, on=LINT)
def fresh_volume(job: Job) -> Iterator[Finding]:
    """A user other than root gets a new volume that belongs to root.

    Without fsGroup the kubelet leaves the volume's owner as the driver made it.

    Refused: `runAsNonRoot: true` without fsGroup, with an inline or ephemeral claim.
    Write: `fsGroup`, the group of the user.
    """
    inline = any(isinstance(v.get("volumeClaim"), dict) for _, v in job.volumes)
    for pod in job.pods:
        fresh = inline or any(isinstance(v.get("ephemeral"), dict) for _, v in pod.volumes)
        context = mapping(pod.spec.get("securityContext"))
        if fresh and context.get("runAsNonRoot") is True and context.get("fsGroup") is None:
            headline = "the new volume belongs to root, and the pod does not run as root"
            yield Finding(headline, f"{pod.spec_path}.securityContext.fsGroup", "", "set fsGroup")


@rule("FT390", "unpullable-image", on=PODS_LINT)
def unpullable_image(job: Job) -> Iterator[Finding]:
    """An image's name that no registry can be asked for.

    The API server takes any text; the kubelet refuses it (InvalidImageName), and the pod waits for ever.

    Refused: `registry.example.com/Team/Train:1.0`, `train: 1.0`.
    Write: lower case after the registry, a tag without blanks.
    """
    for container in job.containers:
        image = text(container.body.get("image"))
        if image and not kube.is_image_reference(image):
            headline = f"{image!r} is no image's name: no registry can be asked for it"
            yield Finding(headline, f"{container.path}.image", image, "write registry/path:tag, the path in lower case")


@rule("FT395", "word-that-starts-nothing", on=PODS_LINT)
def long_words(job: Job) -> Iterator[Finding]:
    """A variable or a word of a command is so long that Linux starts no program with it.

    A word of 128 KiB or more (MAX_ARG_STRLEN) ends the container with "argument list too long".  What `$(NAME)` stands
    for is not counted, as only the cluster knows it.

    Refused: a script of 140 KiB in `command`; a variable that names 10,000 hosts.
    Write: what is long into a ConfigMap, and mount it.
    """
    for container in job.containers:
        for path, word in _long_words(container):
            if (size := _least(word)) > kube.LONGEST_WORD:
                headline = f"a word of {size // 1024} KiB: Linux starts no program with one of 128 or more"
                yield Finding(headline, f"{container.path}.{path}", size, "mount it from a ConfigMap")


# A character takes up to four bytes, and the name of a variable up to two KiB of them.
_SHORT = kube.LONGEST_WORD // 4 - kube.LONGEST_WORD // 64


def _long_words(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the words of commands, and the variables with their names, that may be too long."""
    for key in ("command", "args"):
        words = container.body.get(key)
        for i, word in enumerate(words if isinstance(words, list) else ()):
            if isinstance(word, str) and len(word) > _SHORT:
                yield f"{key}[{i}]", word
    for i, variable in container.env:
        value = variable.get("value")
        if isinstance(value, str) and len(value) > _SHORT:
            yield f"env[{i}].value", f"{text(variable.get('name'))}={value}"


def _least(word: str) -> int:
    """Return the bytes of a word without its references."""
    return len(kube.expand(word, dict.fromkeys(kube.references(word), "")).encode("utf-8", "replace"))


@rule("FT489", "unpinned-image", Severity.WARNING, on=PODS_LINT)
def unpinned_image(job: Job) -> Iterator[Finding]:
    """An image has no tag, or the tag latest.

    What runs then depends on the day; a restarted pod may get another image than its peers.

    Refused: `registry.example.com/train`, `…/train:latest`.
    Write: a release's tag, or a digest.
    """
    for container in job.containers:
        image = text(container.body.get("image"))
        tag = image.rpartition("/")[2].partition(":")[2]
        if kube.is_image_reference(image) and "@" not in image and tag in {"", "latest"}:
            headline = f"the image {image} is not pinned"
            yield Finding(headline, f"{container.path}.image", image, "write a release's tag or a digest")


@rule("FT490", "odd-quantity", on=PODS_LINT)
def odd_quantity(job: Job) -> Iterator[Finding]:
    """A quantity means something else than it looks like.

    `m` is a thousandth, so 128m of memory is an eighth of a byte. A quantity that is not in its canonical form is
    rewritten by the API server in pods, and shows as a difference; that of a device is a bare number for its plugin.

    Refused: `memory: 128m`.
    Write: `memory: 128Mi`; `1Gi` for `1024Mi`.
    """
    for container in job.containers:
        for field, name, value in _quantities(container):
            path = child(f"{container.path}.resources.{field}", name)
            if name in {"memory", "ephemeral-storage"} and _MILLIBYTES.fullmatch(value):
                headline = f"{value} of {name} are thousandths of a byte"
                yield Finding(headline, path, value, f"write {value}i".replace("mi", "Mi"))
            elif ("/" in name and value.isdigit()) or amount(value) is None:
                continue
            elif (canonical := kube.canonical_quantity(value)) != value:
                yield Finding(f"{value} is {canonical}", path, value, f'write "{canonical}"', Severity.NOTE)


def _quantities(container: Container) -> Iterator[tuple[str, str, str]]:
    resources = mapping(container.body.get("resources"))
    for field in ("requests", "limits"):
        for name, value in mapping(resources.get(field)).items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                yield field, name, str(value)


@rule("FT491", "short-grace", Severity.NOTE, on=LINT)
def short_grace(job: Job) -> Iterator[Finding]:
    """A training has less than a minute to save its state, or more than its fault handling waits.

    Kubernetes gives 30 seconds between SIGTERM and SIGKILL where nothing is said. MindCluster's graceful fault
    handling gives pods their grace period and kills them at 900 seconds. ftgen's train.sh ends the training by itself
    before the time of `GRACE_PERIOD` (60) is over, whatever the pod says: with less in the pod the kubelet kills it
    first, and it counts as one that took too much memory; with more, time to save is lost.

    Refused: no terminationGracePeriodSeconds; 1200 with the label `fault-scheduling: grace`; 30 by an overlay.
    Write: `terminationGracePeriodSeconds: 60` or more; 360 with that label; `job.grace_period=30`, which sets both.
    """
    labels = mapping(mapping(job.manifest.get("metadata")).get("labels"))
    graceful = text(labels.get("fault-scheduling")) == "grace"
    for pod in job.pods if any(vendors_of(p) for p in job.pods) else ():
        stated = optional_integer(pod.spec.get("terminationGracePeriodSeconds"))
        seconds, path = _KUBELETS_GRACE if stated is None else stated, f"{pod.spec_path}.terminationGracePeriodSeconds"
        if graceful and (stated is None or not 0 < stated < _LONGEST_GRACE):
            headline = f"fault-scheduling: grace needs a grace period below {_LONGEST_GRACE} seconds"
            yield Finding(headline, path, seconds, "write 360", Severity.WARNING)
        elif seconds < _LEAST_GRACE:
            yield Finding(f"{seconds} s to save the state of a training", path, seconds, "write 60 or more")
    for pod in job.pods:
        yield from _other_grace(pod)


def _other_grace(pod: Pod) -> Iterator[Finding]:
    """Find a grace period that is not the one by which train.sh ends a training."""
    stated = optional_integer(pod.spec.get("terminationGracePeriodSeconds"))
    seconds = _KUBELETS_GRACE if stated is None else stated
    for container in pod.main_containers:
        words = (*strings(container.body.get("command")), *strings(container.body.get("args")))
        if any(word.endswith("/train.sh") or "GRACE_PERIOD:-" in word for word in words):
            found = next((entry for _, entry in container.env if entry.get("name") == "GRACE_PERIOD"), {"value": "60"})
            if found.get("value", str(seconds)) != str(seconds):
                headline = f"train.sh ends the training as if {found['value']} s were given, and the pod has {seconds}"
                help_ = f"write job.grace_period={seconds} instead, or set GRACE_PERIOD to {seconds}"
                place = f"{pod.spec_path}.terminationGracePeriodSeconds"
                yield Finding(headline, place, seconds, help_, Severity.WARNING)


@rule("FT492", "unknown-runtime-class", on=PODS_LINT)
def unknown_runtime(job: Job, context: Context) -> Iterator[Finding]:
    """The runtime class does not exist on the cluster.

    The pods are refused after the job was accepted.

    Refused: `runtimeClassName: nvidia` where there is none.
    Write: one that exists, or none.
    """
    for pod in job.pods:
        name = text(pod.spec.get("runtimeClassName"))
        if name and name not in context.fact("runtime_classes"):
            headline = f"there is no runtime class {name}: the pods would be refused"
            known = ", ".join(context.fact("runtime_classes")) or "none"
            yield Finding(headline, f"{pod.spec_path}.runtimeClassName", name, f"the cluster has {known}")


@rule("FT493", "untolerated-taint", Severity.WARNING, on=PODS_LINT)
def untolerated(job: Job, context: Context) -> Iterator[Finding]:
    """The nodes with cards have a taint that the pod does not tolerate.

    Refused: a pod with cards and no toleration where nodes are tainted `nvidia.com/gpu`.
    Write: `tolerations: [{key: nvidia.com/gpu, operator: Exists}]`.
    """
    if context.knows_nodes and context.facts.taints is None:
        return  # no-node-that-is-tolerated asks each node
    for pod in job.pods:
        if not vendors_of(pod):
            continue
        tolerated = [t for _, t in entries(pod.spec.get("tolerations"))]
        for taint in context.fact("taints"):
            everything = any(t.get("operator") == "Exists" and not t.get("key") for t in tolerated)
            if not everything and all(t.get("key") != taint for t in tolerated):
                headline = f"pods cannot be placed on nodes with the taint {taint}"
                yield Finding(headline, f"{pod.spec_path}.tolerations", taint, f"tolerate {taint}")


@rule("FT494", "unopened-registry", Severity.WARNING, on=PODS_LINT)
def unopened_registry(job: Job, context: Context) -> Iterator[Finding]:
    """An image lies in a private registry and the pod brings no credentials.

    Refused: `registry.example.com/train:1` without imagePullSecrets, where nodes have no credentials of their own.
    Write: `imagePullSecrets`, or `cluster.facts.node_pull_credentials=true`.
    """
    for pod in job.pods if not context.facts.node_pull_credentials else ():
        private = [c for c in pod.containers if _is_private(text(c.body.get("image")))]
        account = text(pod.spec.get("serviceAccountName"))
        if private and not entries(pod.spec.get("imagePullSecrets")) and account in {"", "default"}:
            host = private[0].body["image"].partition("/")[0]
            headline = f"the pod brings no credentials for {host}"
            help_ = "name imagePullSecrets, or set cluster.facts.node_pull_credentials=true"
            yield Finding(headline, f"{pod.spec_path}.imagePullSecrets", host, help_)


def _is_private(image: str) -> bool:
    host, slash, _ = image.partition("/")
    return bool(slash) and bool(_REGISTRY.fullmatch(host)) and host not in _PUBLIC


@rule("FT495", "large-manifest", Severity.WARNING, on=LINT)
def large_manifest(job: Job) -> Iterator[Finding]:
    """The manifest is too large to be applied, or soon will be.

    Client-side apply stores the whole object in an annotation of at most 256 KiB; etcd takes 1.5 MiB.

    Refused: 300 KiB of scripts and settings.
    Write: a ConfigMap for what is large, or server-side apply.
    """
    if _text_size(job) < _LARGE // 2:
        return
    size = len(json.dumps(job.manifest, separators=(",", ":"), default=str))
    if size > _LARGE:
        headline = f"the manifest has {size // 1024} KiB; "
        headline += "etcd refuses it" if size > _TOO_LARGE else "client-side apply takes 256"
        severity = Severity.ERROR if size > _TOO_LARGE else None
        yield Finding(headline, "", size, "put what is large into a ConfigMap", severity)


def _text_size(job: Job) -> int:
    """Return the number of characters of scripts and variables; nothing else in a manifest can be large."""
    words = [word for c in job.containers for key in ("command", "args") for word in strings(c.body.get(key))]
    return sum(map(len, words)) + sum(len(text(v.get("value"))) for c in job.containers for _, v in c.env)
