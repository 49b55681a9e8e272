"""Policies.

What `ftgen export policy` writes, asked of the API server: it denies what ftgen refuses, with the same message.  The
policies are bound to a namespace of the check's own; policies and bindings are cluster-wide, under the run's suffix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.rules import conftest as cases

from ftgen.diagnostics import Severity
from ftgen.interop import policy
from ftgen.interop.policy import Policy
from ftgen.schema.conform import conform
from ftgen.validation import Context, validate
from ftgen.validation.rules import all_rules
from ftgen.validation.site import SiteRule, rules_of

from .kubectl import wait_for
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
    named = [replace(each, name=f"ftgen-{site.suffix}-{each.name}") for each in policies]
    try:
        objects = [labelled(o, site) for each in named for o in policy.objects(each, namespace)]
        site.kubectl("create", "-f", "-", objects=objects)
        wait_for("the policies hold", lambda: all(in_force(site, namespace, each) for each in policies), seconds=60)
        yield namespace
    finally:
        kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies"
        site.kubectl("delete", kinds, "--selector", f"{SUITE}={site.suffix}")
        site.remove(namespace)


def labelled(manifest: Object, site: Site) -> Object:
    return manifest | {"metadata": manifest["metadata"] | {"labels": site.labels}}


def in_force(site: Site, namespace: str, each: Policy) -> bool:
    """Return whether a policy refuses a sample that it must: it is compiled a while after it is created."""
    refused = next(sample for expected, sample in samples(each.name) if expected == "refused")
    return each.name in ask(site, namespace, refused)[1]


def samples(name: str) -> Iterator[tuple[str, Object]]:
    """Yield the samples of a policy: the verdict and the object."""
    if own := SITE.get(name):
        head = dict(zip(("apiVersion", "kind"), own.kind, strict=True))
        listed = ((expected, sample) for expected, each in own.samples.items() for sample, _ in each)
        yield from ((expected, head | dict(sample)) for expected, sample in listed if isinstance(sample, Mapping))
        return
    rule = name.removeprefix("ftgen-")
    for expected, verdict in (("accepted", "accepts"), ("refused", "refuses")):
        found = (case.values[0] for case in cases.cases("agreement", verdict))
        own_cases = (case.manifest for case in found if case.rule == rule)
        # What the server's own schema refuses does not come to a policy.
        yield from ((expected, each) for each in own_cases if not conform(each, volcano_version="newest"))
    yield from LINT.get(rule, ())


def _in_queue(queue: str) -> Object:
    job = cases.edited({})
    labels = {"kueue.x-k8s.io/queue-name": "a"}
    return job | {"metadata": job["metadata"] | {"labels": labels}, "spec": job["spec"] | {"queue": queue}}


LINT = {"two-queueing-systems": (("accepted", _in_queue("default")), ("refused", _in_queue("research")))}


def ask(site: Site, namespace: str, manifest: Object) -> tuple[int, str]:
    """Ask the server whether it would create an object; return the exit code, and what was said."""
    asked = manifest | {"metadata": {"name": "sample", **manifest.get("metadata", {}), "namespace": namespace}}
    answer = site.kubectl.ask("create", "--dry-run=server", "--validate=false", "-f", "-", objects=[asked])
    return answer.code, answer.err + answer.out


def names() -> list[str]:
    return [*SITE, *(f"ftgen-{name}" for name in OWN)]


@pytest.mark.parametrize("name", names())
def test_the_server_says_what_ftgen_says(site: Site, place: str, name: str) -> None:
    asked = [*samples(name)]
    assert {expected for expected, _ in asked} == {"accepted", "refused"}
    for expected, sample in asked:
        code, said = ask(site, place, sample)
        own = finding(name, sample)
        assert (name in said, bool(own)) == (expected == "refused",) * 2, f"{expected} {sample}: {said}"
        assert own in said
        # Where Volcano's webhook runs it may deny a sample of its own accord, as for a queue that does not exist.
        denied = expected == "refused" and severity(name) is Severity.ERROR
        assert (f"denied request: {own}" in said) == denied, said
        assert code == int(denied or "admission webhook" in said), said


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


def test_what_cannot_be_evaluated_is_denied_by_both(site: Site, place: str) -> None:
    _, sample = next(samples("an-owned-job"))
    bare = sample | {"metadata": {"name": "owned"}}
    code, said = ask(site, place, bare)
    assert (code, "an-owned-job" in said, "no such key: labels" in said) == (1, True, True), said
    assert "cannot be evaluated" in finding("an-owned-job", bare)
