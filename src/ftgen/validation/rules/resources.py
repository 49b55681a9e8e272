"""Requests and limits as core validation checks them (validateResourceRequirements in k8s.io/kubernetes)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import amount, amounts, entries, mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job, Pod
from ftgen.validation.rules import ADMISSION, PODS

_NATIVE_NAMES = frozenset(("cpu", "memory", "ephemeral-storage"))
_HUGE_PAGES = "hugepages-"
_NATIVE_DOMAIN = "kubernetes.io/"
_QUOTA_PREFIX = "requests."


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """Return whether a name is that of an extended resource, such as a device plugin's `nvidia.com/gpu`.

    It is `domain/name` outside `kubernetes.io`, and still a qualified name with the quota's `requests.` in front.
    """
    outside = "/" in name and _NATIVE_DOMAIN not in name and not name.startswith(_QUOTA_PREFIX)
    return outside and kube.is_qualified_name(_QUOTA_PREFIX + name)


@lru_cache(maxsize=1024)
def _is_resource(name: str) -> bool:
    if not kube.is_qualified_name(name):
        return False
    if "/" not in name:
        return name in _NATIVE_NAMES or name.startswith(_HUGE_PAGES)
    return _NATIVE_DOMAIN in name or is_extended(name)


def _resources_of(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and body of every container's resources."""
    for container in job.containers:
        resources = container.body.get("resources")
        if isinstance(resources, dict):
            yield f"{container.path}.resources", resources


@rule("FT354", "unknown-resource", on=PODS)
def unknown_resource(job: Job) -> Iterator[Finding]:
    """A container asks for something that is no resource's name.

    cpu, memory, ephemeral-storage, hugepages-<size>, or the `domain/name` of a device plugin.

    Refused: `limits: {gpu: 1}`.
    Write: `limits: {nvidia.com/gpu: 1}`.
    """
    for path, resources in _resources_of(job):
        for kind in ("limits", "requests"):
            for name in mapping(resources.get(kind)):
                if not _is_resource(name):
                    yield Finding(
                        f"{name!r} is no resource",
                        child(f"{path}.{kind}", name),
                        name,
                        "use cpu, memory, ephemeral-storage or a device plugin's domain/name",
                    )


@rule("FT355", "impossible-amount", on=PODS)
def impossible_amount(job: Job) -> Iterator[Finding]:
    """An amount is no quantity, negative, or a fraction of something that cannot be divided.

    Extended resources come in whole numbers; huge pages in multiples of their size.

    Refused: `nvidia.com/gpu: "0.5"`.
    Write: `nvidia.com/gpu: "1"`, or the vendor's resource for a share of a card.
    """
    for path, resources in _resources_of(job):
        for kind in ("limits", "requests"):
            for name, value in mapping(resources.get(kind)).items():
                if value is not None and (problem := _amount_problem(name, value)):
                    yield Finding(f"{name} {problem}", child(f"{path}.{kind}", name), value)


def _amount_problem(name: str, value: object) -> str:
    parsed = amount(value)
    if parsed is None:
        return f"{str(value)[:60]!r} is no quantity"
    if parsed < 0:
        return "must not be negative"
    if parsed.denominator != 1 and is_extended(name):
        return f"{value} must be a whole number"
    whole_pages = not name.startswith(_HUGE_PAGES) or _is_multiple_of_page(name, parsed)
    return "" if whole_pages else f"{value} is no multiple of the page size"


def _stored(value: object) -> Fraction | None:
    """Return the amount as defaulting leaves it in a pod: rounded up to thousandths."""
    exact = amount(value)
    return exact if exact is None or 1000 % exact.denominator == 0 else Fraction(-(-exact * 1000 // 1), 1000)


def _is_multiple_of_page(name: str, size: Fraction) -> bool:
    page = amount(name.removeprefix(_HUGE_PAGES))
    return page is not None and page > 0 and page.denominator == 1 and -(-size // 1) % page == 0


@rule("FT356", "request-over-limit", on=PODS)
def request_over_limit(job: Job) -> Iterator[Finding]:
    """A request exceeds its limit, or an extended resource's differs from it.

    Extended resources and huge pages cannot be overcommitted: a request needs an equal limit. A limit alone
    is fine: the request is then the same.

    Refused: `requests: {nvidia.com/gpu: 1}` with `limits: {nvidia.com/gpu: 2}`, or without that limit.
    Write: the same number in both.
    """
    for path, resources in _resources_of(job):
        limits = mapping(resources.get("limits"))
        for name, value in mapping(resources.get("requests")).items():
            request, limit = _stored(value), _stored(limits.get(name))
            is_native = "/" not in name or _NATIVE_DOMAIN in name
            where = child(f"{path}.requests", name)
            if request is None:
                continue
            if not (is_native and not name.startswith(_HUGE_PAGES)) and request != limit:
                yield Finding(
                    f"{name} requests {value} but its limit is {limits.get(name, 'missing')}",
                    where,
                    value,
                    f"set {child(f'{path}.limits', name)} to {value}",
                )
            elif limit is not None and request > limit:
                yield Finding(f"{name} requests {value}, more than its limit {limits[name]}", where, value)


@rule("FT357", "lonely-huge-pages", on=PODS)
def lonely_huge_pages(job: Job) -> Iterator[Finding]:
    """A container asks for huge pages but for neither CPU nor memory.

    Refused: `limits: {hugepages-2Mi: 1Gi}` alone.
    Write: `memory` beside it.
    """
    for path, resources in _resources_of(job):
        names = {*mapping(resources.get("limits")), *mapping(resources.get("requests"))}
        if not names & {"cpu", "memory"} and any(name.startswith(_HUGE_PAGES) for name in names):
            yield Finding("huge pages need cpu or memory beside them", path)


@rule("FT352", "bad-resize-policy", on=ADMISSION)
def bad_resize_policy(job: Job) -> Iterator[Finding]:
    """A container's `resizePolicy` is one that Volcano's job webhook refuses.

    cpu and memory can be resized, each by NotRequired or RestartContainer; by NotRequired alone in a pod that restarts
    nothing, and not at all in init containers, since the webhook validates without feature options.

    Refused: `resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]` with `restartPolicy: Never`.
    Write: `restartPolicy: NotRequired` there.
    """
    for pod in job.pods:
        known = ("NotRequired",) if pod.spec.get("restartPolicy") == "Never" else ("NotRequired", "RestartContainer")
        for container in pod.containers:
            path, policies = f"{container.path}.resizePolicy", entries(container.body.get("resizePolicy"))
            named: set[str] = set()
            if container.init and policies:
                yield Finding("an init container has no resizePolicy", path, help=f"remove {path}")
            for i, policy in () if container.init else policies:
                name = text(policy.get("resourceName"))
                if name not in _CPU_AND_MEMORY or name in named:
                    headline = f"{name!r} is resized twice" if name in named else f"{name!r} cannot be resized"
                    yield Finding(headline, f"{path}[{i}].resourceName", name, "name cpu and memory, each once")
                named.add(name)
                if (choice := text(policy.get("restartPolicy"))) not in known:
                    headline = f"{name} cannot be resized by {choice!r} in this pod"
                    help_ = f"set {path}[{i}].restartPolicy to {' or '.join(known)}"
                    yield Finding(headline, f"{path}[{i}].restartPolicy", choice, help_)


_CPU_AND_MEMORY = ("cpu", "memory")


@rule("FT376", "impossible-pod-resources", on=ADMISSION)
def impossible_pod_resources(job: Job) -> Iterator[Finding]:
    """The resources of a whole pod are such as only containers have, or less than its containers ask for.

    From 1.15 Volcano's job webhook validates them: cpu, memory and huge pages, requests of no less than those of the
    containers together, limits of no less than each container's (validatePodResources).

    Refused: `resources: {limits: {memory: 8Gi}}` beside `containers`, one of which has `limits: {memory: 16Gi}`.
    Write: `resources: {limits: {memory: 16Gi}}`, or leave it to the containers.
    """
    for pod in job.pods if job.version >= (1, 15, 0) else ():
        path, resources = f"{pod.spec_path}.resources", mapping(pod.spec.get("resources"))
        for kind in ("limits", "requests") if resources else ():
            needed = _needed(pod, kind)
            for name, value in mapping(resources.get(kind)).items():
                stated, least = amount(value), needed.get(name)
                if name not in _CPU_AND_MEMORY and not name.startswith(_HUGE_PAGES):
                    yield Finding(f"a whole pod has no {name}", child(f"{path}.{kind}", name), value, _OF_CONTAINERS)
                elif stated is not None and least is not None and stated < least:
                    headline = f"the containers have {kind} of more {name} than the pod's {value}"
                    yield Finding(headline, child(f"{path}.{kind}", name), value, "raise it, or remove it")


_OF_CONTAINERS = "move it to the container that uses it"


def _needed(pod: Pod, kind: str) -> dict[str, Fraction]:
    """Return what main containers ask of their pod: the sum of their requests, the largest of their limits."""
    stated = [amounts(mapping(container.body.get("resources")).get(kind)) for container in pod.main_containers]
    names = dict.fromkeys(name for each in stated for name in each)
    of_name = {name: [each[name] for each in stated if name in each] for name in names}
    return {name: sum(each, Fraction()) if kind == "requests" else max(each) for name, each in of_name.items()}


@rule("FT358", "unknown-claim", on=PODS)
def unknown_claim(job: Job) -> Iterator[Finding]:
    """A dynamic resource claim is malformed, or a container names one the pod does not have.

    Every entry of `template.spec.resourceClaims` has a DNS label as its name and either a resourceClaimName
    or a resourceClaimTemplateName; a container's `resources.claims` names such entries, each once.

    Refused: `resources: {claims: [{name: gpu}]}` without `resourceClaims`.
    Write: `resourceClaims: [{name: gpu, resourceClaimTemplateName: one-gpu}]` in the pod's spec.
    """
    for pod in job.pods:
        claims = entries(pod.spec.get("resourceClaims"))
        for i, claim in claims:
            yield from _claim_problems(claim, f"{pod.spec_path}.resourceClaims[{i}]")
        names = {text(claim.get("name")) for _, claim in claims} - {""}
        for container in pod.containers:
            used: set[tuple[str, str]] = set()
            for i, claim in entries(mapping(container.body.get("resources")).get("claims")):
                key = (text(claim.get("name")), text(claim.get("request")))
                if key[0] not in names or key in used:
                    problem = "is named twice" if key in used else "is no claim of this pod"
                    yield Finding(f"{key[0]!r} {problem}", f"{container.path}.resources.claims[{i}].name", key[0])
                used.add(key)


def _claim_problems(claim: dict[str, Any], path: str) -> Iterator[Finding]:
    if not kube.is_dns1123_label(text(claim.get("name"))):
        yield Finding(f"{text(claim.get('name'))!r} is no claim's name", f"{path}.name")
    keys = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(key) is not None]
    if len(keys) != 1:
        yield Finding("a claim is named by resourceClaimName or by resourceClaimTemplateName", path)
    for key in keys:
        if not kube.is_dns1123_subdomain(text(claim[key])):
            yield Finding(f"{text(claim[key])!r} is no DNS name", f"{path}.{key}", text(claim[key]))
