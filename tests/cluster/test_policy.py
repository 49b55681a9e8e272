"""Policies.

What `ftgen export policy` writes, asked of the API server: it denies what ftgen refuses, with the same message.  The
policies are bound to a namespace of the check's own; policies and bindings are cluster-wide, under the run's suffix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.rules import conftest as cases

from ftgen.diagnostics import Severity
from ftgen.interop import policy
from ftgen.interop.policy import Policy
from ftgen.validation import Context, validate
from ftgen.validation.rules import all_rules
from ftgen.validation.site import SiteRule, rules_of

from .kubectl import Answer, wait_for
from .site import SUITE, Site

pytestmark = pytest.mark.cluster

RULES = Path(__file__).with_name("rules") / "platform.yaml"
OWN = {rule.name: rule for rule in all_rules().values() if rule.cel}
SITE = {rule.name: rule for rule in rules_of([RULES]).rules}
Object = dict[str, Any]


@pytest.fixture(scope="module")
def place(site: Site) -> Iterator[str]:
    """A namespace with every policy bound to it."""
    namespace = site.namespace("policy")
    policies = [*filter(None, map(policy.of_site, SITE.values())), *policy.of_ftgen(OWN.values())]
    objects = [labelled(o, site) for each in policies for o in policy.objects(each, namespace)]
    site.kubectl("create", "-f", "-", objects=objects)
    try:
        wait_for(
            "the policies are asked", lambda: all(in_force(site, namespace, each) for each in policies), seconds=60
        )
        yield namespace
    finally:
        kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies"
        site.kubectl("delete", kinds, "--selector", f"{SUITE}={site.suffix}")
        site.remove(namespace)


def labelled(manifest: Object, site: Site) -> Object:
    return manifest | {"metadata": manifest["metadata"] | {"labels": site.labels}}


def in_force(site: Site, namespace: str, each: Policy) -> bool:
    """Return whether a policy refuses a sample that it must: it is compiled a while after it is created."""
    refused = next(sample for _, expected, sample in samples(each.name) if expected == "refused")
    return each.name in (answer := ask(site, namespace, refused)).err or each.name in answer.out


def samples(name: str) -> Iterator[tuple[str, str, Object]]:
    """Yield the samples of a policy: the rule's name, the verdict, and the object."""
    if own := SITE.get(name):
        api_version, kind = own.kind
        for expected, listed in own.samples.items():
            yield from (
                (name, expected, {"apiVersion": api_version, "kind": kind, **s})
                for s, _ in listed
                if isinstance(s, Mapping)
            )
        return
    rule = name.removeprefix("ftgen-")
    for expected, verdict in (("accepted", "accepts"), ("refused", "refuses")):
        listed = [case.values[0] for stage in STAGES for case in cases.cases(stage, verdict)]
        yield from ((name, expected, case.manifest) for case in listed if case.rule == rule)
    yield from ((name, expected, sample) for expected, sample in LINT.get(rule, ()))


STAGES = ("agreement",)
_BASE = cases.edited({})
_QUEUED = deepcopy(_BASE) | {"metadata": _BASE["metadata"] | {"labels": {"kueue.x-k8s.io/queue-name": "a"}}}
_RESEARCH = _QUEUED | {"spec": _QUEUED["spec"] | {"queue": "research"}}
LINT = {
    "two-queueing-systems": (
        ("accepted", _QUEUED | {"spec": _QUEUED["spec"] | {"queue": "default"}}),
        ("refused", _RESEARCH),
    )
}


def ask(site: Site, namespace: str, manifest: Object) -> Answer:
    """Ask the server whether it would create an object."""
    asked = manifest | {"metadata": {"name": "sample", **manifest.get("metadata", {}), "namespace": namespace}}
    return site.kubectl.ask("create", "--dry-run=server", "--validate=false", "-f", "-", objects=[asked])


def names() -> list[str]:
    return [*SITE, *(f"ftgen-{name}" for name in OWN)]


@pytest.mark.parametrize("name", names())
def test_the_server_says_what_ftgen_says(site: Site, place: str, name: str) -> None:
    seen = 0
    for _, expected, sample in samples(name):
        answer = ask(site, place, sample)
        said = answer.err + answer.out
        assert (name in said) is (expected == "refused"), f"{expected} {sample}: {said}"
        assert (expected == "refused") is bool(own := finding(name, sample))
        assert own in said
        denies = severity(name) is Severity.ERROR and expected == "refused"
        assert not denies or answer.code == 1, said
        seen += 1
    assert seen >= 2


def severity(name: str) -> Severity:
    return SITE[name].severity if name in SITE else OWN[name.removeprefix("ftgen-")].severity


def finding(name: str, sample: Object) -> str:
    """Return what ftgen says of a sample, as the policy says it; empty where it accepts it."""
    if own := SITE.get(name):
        return said_by_site(own, sample)
    rule = OWN[name.removeprefix("ftgen-")]
    (scope,) = rule.scopes
    codes = {d.code for d in validate(scope, sample, Context())}
    return policy.of_ftgen([rule])[0].message if rule.code in codes else ""


def said_by_site(own: SiteRule, sample: Object) -> str:
    refusal = own.refusal(own.read(sample))
    return f"{own.name}: {refusal}" if refusal else ""
