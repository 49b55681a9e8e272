"""Placement of pods: tolerations, affinity and spreading, as core validation checks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import PODS

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_LARGEST_WEIGHT = 100

_Problem = tuple[str, str]
"""Path of a field below the checked object, and the message."""


@rule("FT366", "bad-toleration", on=PODS)
def bad_toleration(job: Job) -> Iterator[Finding]:
    """A toleration contradicts itself.

    Without a key it needs the operator Exists; Exists excludes a value; tolerationSeconds needs the effect
    NoExecute; the effect is NoSchedule, PreferNoSchedule, NoExecute or none.

    Refused: `{key: nvidia.com/gpu, operator: Exists, value: "true"}`.
    Write: `{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}`.
    """
    for pod in job.pods:
        for i, toleration in entries(pod.spec.get("tolerations")):
            for field, message in _toleration_problems(toleration):
                yield Finding(message, f"{pod.spec_path}.tolerations[{i}].{field}", text(toleration.get(field)))


def _toleration_problems(toleration: dict[str, Any]) -> Iterator[_Problem]:
    key, value = text(toleration.get("key")), text(toleration.get("value"))
    operator, effect = text(toleration.get("operator")), text(toleration.get("effect"))
    if key and not kube.is_qualified_name(key):
        yield "key", f"{key!r} is no taint's key"
    if not key and operator != "Exists":
        yield "operator", "a toleration without a key needs the operator Exists"
    if operator not in ("", "Equal", "Exists"):
        yield "operator", f"there is no operator {operator!r}"
    if operator == "Exists" and value:
        yield "value", "the operator Exists excludes a value"
    if operator in ("", "Equal") and not kube.is_label_value(value):
        yield "value", f"{value!r} is no taint's value"
    if effect and effect not in _EFFECTS:
        yield "effect", f"there is no effect {effect!r}"
    if optional_integer(toleration.get("tolerationSeconds")) is not None and effect != "NoExecute":
        yield "effect", "tolerationSeconds needs the effect NoExecute"


@rule("FT367", "bad-node-affinity", on=PODS)
def bad_node_affinity(job: Job) -> Iterator[Finding]:
    """A node affinity term could match nothing or is malformed.

    A requirement is `{key, operator, values}`: In and NotIn need values, Exists and DoesNotExist exclude
    them, Gt and Lt take one; weights are 1 to 100; required affinity has at least one term.

    Refused: `{key: gpu-model, operator: In}`.
    Write: `{key: gpu-model, operator: In, values: [h200]}`.
    """
    for pod in job.pods:
        affinity = mapping(mapping(pod.spec.get("affinity")).get("nodeAffinity"))
        for path, message in _node_affinity_problems(affinity):
            yield Finding(message, f"{pod.spec_path}.affinity.nodeAffinity.{path}")


def _node_affinity_problems(affinity: dict[str, Any]) -> Iterator[_Problem]:
    if isinstance(affinity.get(_REQUIRED), dict):
        terms = entries(affinity[_REQUIRED].get("nodeSelectorTerms"))
        if not terms:
            yield f"{_REQUIRED}.nodeSelectorTerms", "required affinity needs a term"
        for i, term in terms:
            yield from _node_term_problems(term, f"{_REQUIRED}.nodeSelectorTerms[{i}]", strict=True)
    for i, weighted in entries(affinity.get(_PREFERRED)):
        if not 1 <= integer(weighted.get("weight")) <= _LARGEST_WEIGHT:
            yield f"{_PREFERRED}[{i}].weight", "a weight is 1 to 100"
        yield from _node_term_problems(
            mapping(weighted.get("preference")), f"{_PREFERRED}[{i}].preference", strict=False
        )


def _node_term_problems(term: dict[str, Any], path: str, *, strict: bool) -> Iterator[_Problem]:
    for i, requirement in entries(term.get("matchExpressions")):
        yield from _requirement_problems(requirement, f"{path}.matchExpressions[{i}]", node=True, strict=strict)
    for i, requirement in entries(term.get("matchFields")):
        values = strings(requirement.get("values"))
        fits = requirement.get("operator") in ("In", "NotIn") and len(values) == 1
        if not fits or requirement.get("key") != "metadata.name" or not all(map(kube.is_dns1123_subdomain, values)):
            yield f"{path}.matchFields[{i}]", "a field term is metadata.name In or NotIn one node's name"


def _requirement_problems(
    requirement: dict[str, Any], path: str, *, node: bool = False, strict: bool = True
) -> Iterator[_Problem]:
    operator, values = text(requirement.get("operator")), strings(requirement.get("values"))
    if not kube.is_qualified_name(text(requirement.get("key"))):
        yield f"{path}.key", f"{text(requirement.get('key'))!r} is no label key"
    if operator in ("In", "NotIn"):
        if not values:
            yield f"{path}.values", f"{operator} needs values"
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield f"{path}.values", f"{operator} excludes values"
    elif not node or operator not in ("Gt", "Lt"):
        yield f"{path}.operator", f"there is no operator {operator!r}"
    elif len(values) != 1:
        yield f"{path}.values", f"{operator} takes one value"
    if strict and not all(map(kube.is_label_value, values)):
        yield f"{path}.values", "a value is no label's"


@rule("FT368", "bad-pod-affinity", on=PODS)
def bad_pod_affinity(job: Job) -> Iterator[Finding]:
    """A pod affinity or anti-affinity term is incomplete or malformed.

    A term needs a topologyKey; selectors follow label syntax; weights are 1 to 100; matchLabelKeys need a
    labelSelector that does not name the same keys.

    Refused: `{labelSelector: {matchLabels: {app: train}}}` without topologyKey.
    Write: `topologyKey: kubernetes.io/hostname` beside it.
    """
    for pod in job.pods:
        affinity = mapping(pod.spec.get("affinity"))
        for kind in ("podAffinity", "podAntiAffinity") if affinity else ():
            for path, message in _pod_affinity_problems(mapping(affinity.get(kind))):
                yield Finding(message, f"{pod.spec_path}.affinity.{kind}.{path}")


def _pod_affinity_problems(affinity: dict[str, Any]) -> Iterator[_Problem]:
    for i, term in entries(affinity.get(_REQUIRED)):
        yield from _pod_term_problems(term, f"{_REQUIRED}[{i}]")
    for i, weighted in entries(affinity.get(_PREFERRED)):
        if not 1 <= integer(weighted.get("weight")) <= _LARGEST_WEIGHT:
            yield f"{_PREFERRED}[{i}].weight", "a weight is 1 to 100"
        yield from _pod_term_problems(mapping(weighted.get("podAffinityTerm")), f"{_PREFERRED}[{i}].podAffinityTerm")


def _pod_term_problems(term: dict[str, Any], path: str) -> Iterator[_Problem]:
    topology = text(term.get("topologyKey"))
    if not kube.is_qualified_name(topology):
        yield (
            f"{path}.topologyKey",
            f"{topology!r} is no topology key" if topology else "a term needs a topologyKey",
        )
    for field in ("labelSelector", "namespaceSelector"):
        yield from selector_problems(term.get(field), f"{path}.{field}")
    if not all(map(kube.is_dns1123_label, strings(term.get("namespaces")))):
        yield f"{path}.namespaces", "a namespace's name is a DNS label"
    matched, mismatched = strings(term.get("matchLabelKeys")), strings(term.get("mismatchLabelKeys"))
    if (matched or mismatched) and not isinstance(term.get("labelSelector"), dict):
        yield f"{path}.matchLabelKeys", "label keys need a labelSelector"
    if set(matched) & set(mismatched) or not all(map(kube.is_qualified_name, matched + mismatched)):
        yield f"{path}.matchLabelKeys", "label keys are distinct label names"


def selector_problems(selector: object, path: str) -> Iterator[_Problem]:
    """Yield what is malformed in a label selector: the path of a field, and the message."""
    for key, value in mapping(mapping(selector).get("matchLabels")).items():
        if not kube.is_qualified_name(key) or not kube.is_label_value(text(value)):
            yield f"{path}.matchLabels", f"{key}={value} is no label"
    for i, requirement in entries(mapping(selector).get("matchExpressions")):
        yield from _requirement_problems(requirement, f"{path}.matchExpressions[{i}]")


@rule("FT369", "bad-spreading", on=PODS)
def bad_spreading(job: Job) -> Iterator[Finding]:
    """A topology spread constraint is incomplete or contradicts itself.

    It needs a maxSkew of at least 1, a topologyKey and whenUnsatisfiable DoNotSchedule or ScheduleAnyway;
    minDomains goes with DoNotSchedule only.

    Refused: `{maxSkew: 0, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}`.
    Write: `maxSkew: 1`.
    """
    for pod in job.pods:
        for i, constraint in entries(pod.spec.get("topologySpreadConstraints")):
            for field, message in _spread_problems(constraint):
                yield Finding(message, f"{pod.spec_path}.topologySpreadConstraints[{i}].{field}")


def _spread_problems(constraint: dict[str, Any]) -> Iterator[_Problem]:
    action, domains = text(constraint.get("whenUnsatisfiable")), optional_integer(constraint.get("minDomains"))
    if integer(constraint.get("maxSkew")) < 1:
        yield "maxSkew", "maxSkew is at least 1"
    if not text(constraint.get("topologyKey")):
        yield "topologyKey", "a constraint needs a topologyKey"
    if action not in ("DoNotSchedule", "ScheduleAnyway"):
        yield "whenUnsatisfiable", "whenUnsatisfiable is DoNotSchedule or ScheduleAnyway"
    if domains is not None and (domains < 1 or action != "DoNotSchedule"):
        yield "minDomains", "minDomains is at least 1 and needs DoNotSchedule"
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if constraint.get(field) not in (None, "Honor", "Ignore"):
            yield field, f"{field} is Honor or Ignore"
    yield from selector_problems(constraint.get("labelSelector"), "labelSelector")
    keys = strings(constraint.get("matchLabelKeys"))
    selector = mapping(constraint.get("labelSelector"))
    selected_keys = {*mapping(selector.get("matchLabels"))}
    selected_keys |= {text(requirement.get("key")) for _, requirement in entries(selector.get("matchExpressions"))}
    needs_selector = bool(keys) and not isinstance(constraint.get("labelSelector"), dict)
    if needs_selector or selected_keys & set(keys) or not all(map(kube.is_qualified_name, keys)):
        yield (
            "matchLabelKeys",
            "matchLabelKeys are label names that the labelSelector beside them does not have",
        )
