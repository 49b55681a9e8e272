"""Cause: its kind, its sentence and its remedy; and the words of a refusal, which all have one form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from msgspec import Struct

from ftgen.diagnostics import credentials
from ftgen.text import kube
from ftgen.text.lines import printable
from ftgen.text.shapes import amounts


class Cause(Struct, frozen=True):
    """Why a run does not train.

    Attributes:
        kind: name of the kind of cause, for programs.
        what: what is in the way.
        remedy: what to do about it, as an instruction.
    """

    kind: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def redacted(cause: Cause) -> Cause:
    """Return a cause without the secrets that controllers, registries and nodes repeat in their messages."""
    return Cause(cause.kind, credentials.redact(cause.what), credentials.redact(cause.remedy))


def shown(resource: str, amount: Fraction) -> str:
    """Return an amount of a resource as people write it."""
    if resource in {"memory", "ephemeral-storage"} or resource.startswith("hugepages-"):
        return kube.canonical_quantity(f"{max(int(amount), 0) >> 20}Mi")
    return kube.canonical_quantity(f"{max(int(amount * 1000), 0)}m")


def _is_beyond(asked: str, most: str) -> bool:
    """Return whether a quota of some amounts (`a=1,b=2Gi`) could never hold others, however empty it is."""
    limits = _amounts(most)
    return any(amount > limits.get(resource, amount) for resource, amount in _amounts(asked).items())


def _amounts(listed: str) -> dict[str, Fraction]:
    return amounts(dict(pair.split("=", 1) for pair in listed.rstrip(".; ").split(",") if "=" in pair))


_Reading = tuple[re.Pattern[str], str, Callable[[re.Match[str]], tuple[str, str]]]

_REFUSALS: Sequence[_Reading] = (
    (
        re.compile(r"exceeded quota: (?P<quota>[^,\s]+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<most>.+)"),
        "quota",
        lambda m: (
            f"the quota {m['quota']} does not allow it (requested: {m['asked']}; used: {m['used']}; limited: {m['most']})",
            f"{'' if _is_beyond(m['asked'], m['most']) else 'wait for a run to end, '}ask for less, or let an administrator raise it (`kubectl describe quota {m['quota']}`)",
        ),
    ),
    (
        re.compile(r"failed quota: (?P<quota>[^,\s:]+): must specify (?P<what>.+)"),
        "quota",
        lambda m: (f"the quota {m['quota']} wants every pod to say {m['what']}", "set it under hardware"),
    ),
    (
        re.compile(r"violates PodSecurity \"(?P<level>[^\"]+)\": (?P<what>.+)"),
        "pod-security",
        lambda m: (f"the namespace allows only {m['level']} pods: {m['what']}", "set cluster.pod_security, and publish it as a new run"),
    ),
    (
        re.compile(r"unable to find job queue: .*?\"?(?P<queue>[a-z0-9.-]+)\"? not found"),
        "queue-missing",
        lambda m: (f"the queue {m['queue']} does not exist", "create it, or set cluster.queue to one of `kubectl get queues`"),
    ),
    (
        re.compile(r"can only submit job to queue with state `?Open`?, queue `?(?P<queue>[a-z0-9.-]+?)`? status is `?(?P<state>\w+)"),
        "queue-closed",
        lambda m: (f"the queue {m['queue']} is {m['state'].lower()}", f"open it (`vcctl queue operate -n {m['queue']} -a open`), or set cluster.queue to another"),
    ),
    (
        re.compile(r"admission webhook \"(?P<hook>[^\"]+)\" denied the request: (?P<what>.+)"),
        "webhook",
        lambda m: (f"the webhook {m['hook']} refuses it: {m['what']}", "mend that, and publish it as a new run; `ftgen check --server FILE` asks again"),
    ),
    (
        re.compile(r"failed calling webhook \"(?P<hook>[^\"]+)\": (?P<what>.+)"),
        "webhook",
        lambda m: (f"the webhook {m['hook']} does not answer: {m['what']}", "let an administrator look at the program behind it"),
    ),
    (
        re.compile(r"ValidatingAdmissionPolicy '(?P<policy>[^']+)' with binding '[^']+' denied request: (?P<what>.+)"),
        "policy",
        lambda m: (f"the policy {m['policy']} refuses it: {m['what']}", "mend that, and publish it as a new run; `ftgen check --server FILE` asks again"),
    ),
    (
        re.compile(r"no PriorityClass with name (?P<name>[^\s]+) was found"),
        "priority-class-missing",
        lambda m: (f"the priority class {m['name']} does not exist", "create it, or set cluster.priority_class to one of `kubectl get priorityclasses`"),
    ),
    (
        re.compile(r"serviceaccount \"(?P<name>[^\"]+)\" not found"),
        "service-account-missing",
        lambda m: (f"the service account {m['name']} does not exist", "create it"),
    ),
    (
        re.compile(r"namespaces? \"(?P<name>[^\"]+)\" not found"),
        "namespace-missing",
        lambda m: (f"the namespace {m['name']} does not exist", f"`kubectl create namespace {m['name']}`, or set cluster.namespace"),
    ),
)  # fmt: skip


# Volcano prints the error as a Go value, in which the message is a quoted string.
_GO_MESSAGE = re.compile(r'Message:"(?P<said>(?:[^"\\]|\\.)*)(?:"|$)')
_LONGEST = 300


def words(message: str) -> str:
    """Return the API server's own words from an error that holds them, as long as a sentence may be.

    They hold no secret: of what is cut, nobody could tell any more that it is one.
    """
    found = _GO_MESSAGE.search(message)
    return printable(credentials.redact(re.sub(r"\\(.)", r"\1", found["said"]) if found else message), _LONGEST)


def refusal(message: str) -> Cause | None:
    """Return what the API server's words of refusal mean; None where they are no refusal."""
    said = words(message)
    for pattern, kind, sentence in _REFUSALS:
        if found := pattern.search(said):
            return Cause(kind, *sentence(found))
    return None
