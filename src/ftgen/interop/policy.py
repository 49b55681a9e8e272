"""Rules as admission policies of Kubernetes: a site's own over objects, and those of ftgen's that CEL can say.

The API server asks them of every object that is created or changed in the namespace of the chosen cluster, and of each
that is in no namespace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from ftgen import schema
from ftgen.diagnostics import Severity
from ftgen.lower import render
from ftgen.schema import served
from ftgen.text import yamlio
from ftgen.validation import Rule
from ftgen.validation.site import CONFIG, SiteRule

OLDEST = "1.30"
"""First release of Kubernetes that serves v1 of the policies."""
API_VERSION = "admissionregistration.k8s.io/v1"
_HEAD = "# Written by `ftgen export policy`. Change the rule and export again; edits here are not kept.\n"
_ACTIONS = {Severity.ERROR: ["Deny"], Severity.WARNING: ["Warn"], Severity.NOTE: ["Warn"]}


class Policy(Struct, frozen=True):
    """Rule in the terms of a policy.

    Attributes:
        name: name of the policy.
        kind: API version and kind of the objects that it is asked about.
        expression: CEL that is true where an object is accepted.
        message: what is said of a refused object.
        severity: an error denies, a warning warns.
        when: CEL that says which objects it is asked about; empty: all.
        message_expression: CEL that says what is wrong with values; empty: none.
    """

    name: str
    kind: schema.Kind
    expression: str
    message: str
    severity: Severity
    when: str = ""
    message_expression: str = ""


def of_site(rule: SiteRule) -> Policy | None:
    """Return the policy of a site's rule; None for one over the configuration, which no API server has."""
    if rule.kind == CONFIG:
        return None
    said = rule.texts.get("messageExpression", "")
    return Policy(
        rule.name,
        rule.kind,
        rule.texts["expression"],
        f"{rule.name}: {rule.texts['message']}",
        rule.severity,
        rule.texts.get("when", ""),
        f"{json.dumps(f'{rule.name}: ')} + ({said})" if said else "",
    )


def of_ftgen(rules: Iterable[Rule]) -> list[Policy]:
    """Return the policies of those of ftgen's rules that CEL can say."""
    return [_of_rule(rule) for rule in rules if rule.cel]


def _of_rule(rule: Rule) -> Policy:
    headline = " ".join(rule.page.partition("\n\n")[0].split())
    message = f"{rule.name}: {headline} ({rule.code})"
    return Policy(f"ftgen-{rule.name}", schema.VOLCANO_JOB, rule.cel.strip(), message, rule.severity)


def files(policies: Iterable[Policy], namespace: str) -> dict[str, bytes]:
    """Return one file for each object of the policies, which hold in a namespace."""
    return {render.file_name(o): _text(o) for policy in policies for o in objects(policy, namespace)}


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (_HEAD + yamlio.dump(render.ordered(dict(manifest)))).encode()


def objects(policy: Policy, namespace: str) -> list[dict[str, Any]]:
    """Return a policy, and what binds it to a namespace, with every field that the API server would fill in."""
    head = {"apiVersion": API_VERSION, "metadata": {"name": policy.name}}
    own = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    bound = {
        "policyName": policy.name,
        "validationActions": _ACTIONS[policy.severity],
        "matchResources": {"matchPolicy": "Equivalent", "namespaceSelector": own, "objectSelector": {}},
    }
    return [
        {**head, "kind": "ValidatingAdmissionPolicy", "spec": _spec(policy)},
        {**head, "kind": "ValidatingAdmissionPolicyBinding", "spec": bound},
    ]


def is_unbounded(kind: schema.Kind) -> bool:
    """Return whether a selector of namespaces leaves out no object of a kind: it never does one that is in none.

    A Namespace is selected by its own labels (pkg/admission/plugin/webhook/predicates/namespace of k8s.io/apiserver).
    """
    return served.is_cluster_scoped(*kind) and kind != ("v1", "Namespace")


def _spec(policy: Policy) -> dict[str, Any]:
    # An object that is being deleted must lose its finalizers, whatever a later rule says of it.
    conditions = {"not-being-deleted": "!has(object.metadata.deletionTimestamp)"}
    conditions |= {"when": policy.when} if policy.when else {}
    said = {"messageExpression": policy.message_expression} if policy.message_expression else {}
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": [_resources(*policy.kind)],
        },
        "matchConditions": [{"name": name, "expression": text} for name, text in conditions.items()],
        "validations": [
            {"expression": policy.expression, "message": policy.message, **said, "reason": "Invalid"},
        ],
    }


def _resources(api_version: str, kind: str) -> dict[str, Any]:
    group, _, version = api_version.rpartition("/")
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [plural(kind)],
        "scope": "*",
    }


def plural(kind: str) -> str:
    """Return the resource of a kind as Kubernetes guesses it (meta.UnsafeGuessKindToResource)."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith("s"):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
