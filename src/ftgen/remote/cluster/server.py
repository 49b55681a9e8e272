"""Server dry run: what the API server, with its webhooks, says of manifests; nothing is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Rejected
from ftgen.remote.cluster.causes.cause import refusal
from ftgen.remote.cluster.kubectl import DENIED, FAILED, UNSERVED, Kubectl, KubectlFailed, failure
from ftgen.schema import conform
from ftgen.text.lines import printable
from ftgen.text.shapes import mapping
from ftgen.validation import RULES
from ftgen.validation.rules import ADMISSION, CLAIM, OBJECT

REFUSED, DIFFERENCE, WARNED = "FT577", "FT578", "FT579"
_LONGEST = 2000
_DRY_RUN = ("--dry-run=server", "--validate=strict", "-o", "name", "-f", "-")


class Answer(Struct, frozen=True):
    """What the API server says of one object: why it refuses, or nothing; and its warnings."""

    refusal: str = ""
    warnings: tuple[str, ...] = ()


_CLEAN = Answer()


def ask(kubectl: Kubectl, manifests: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Return the API server's answers.

    All are asked at once.  Its words do not tell which of several objects they are about, so where it objects it is
    asked about each half again: one request for a tree without faults, a few for each fault.

    Raises:
        Rejected: FT57x, when it cannot be asked.
    """
    answer = _answer(kubectl, manifests)
    if answer == _CLEAN or len(manifests) == 1:
        return [answer] * len(manifests)
    half = len(manifests) // 2
    return ask(kubectl, manifests[:half]) + ask(kubectl, manifests[half:])


def _answer(kubectl: Kubectl, manifests: Sequence[Mapping[str, Any]]) -> Answer:
    """Return one answer for some objects; those without a name can only be created."""
    verb = "apply" if all(mapping(each.get("metadata")).get("name") for each in manifests) else "create"
    # One after the other: what comes in a List is judged by kubectl itself, and more narrowly.
    stream = "\n".join(map(json.dumps, manifests))
    try:
        _, said = kubectl.run_with_warnings(verb, *_DRY_RUN, stdin=stream.encode())
    except KubectlFailed as problem:
        return Answer(_refusal(problem))
    return Answer(warnings=tuple(_warnings(said)))


def _refusal(problem: KubectlFailed) -> str:
    """Return the server's words without kubectl's frame.

    Raises:
        Rejected: the server was not asked, or did not get so far as to look at the object.
    """
    found = failure(problem, "create the objects, not even as a dry run", "kubectl")
    said = printable(problem.message, 4 * _LONGEST)
    about_object = found.code in {FAILED, UNSERVED} or (found.code == DENIED and _is_about_object(said))
    if not about_object:
        raise Rejected([found])
    return printable(_FRAME.sub("", said.rpartition('"STDIN": ')[2]), _LONGEST)


_FRAME = re.compile(r"^(?:Error from server \(\w+\): |Error from server: |error: )(?:error when creating \"STDIN\": )?")
_POLICY = re.compile(
    r"admission webhook|failed calling webhook|exceeded quota|violates PodSecurity|ValidatingAdmissionPolicy"
    r"|failed quota"
)


def _is_about_object(said: str) -> bool:
    """Return whether a server that forbids an object means the object, and not the user."""
    return bool(_POLICY.search(said))


def _warnings(said: str) -> list[str]:
    """Return the server's warnings, without kubectl's own about the annotation that only `kubectl apply` keeps."""
    found = (line.removeprefix("Warning: ") for line in said.splitlines() if line.startswith("Warning: "))
    return [printable(line) for line in found if "last-applied-configuration" not in line]


_FIELD = re.compile(r"(?:^|[\s:])((?:spec|metadata|data)(?:\.[A-Za-z][A-Za-z0-9]*(?:\[[^\]\s]+\])?)+)")


def field(said: str) -> str:
    """Return the path of the field that the server's words name first; empty where they name none."""
    found = _FIELD.search(said)
    return found[1] if found else ""


# What depends on other objects of the cluster, or on its own policies, and no file tells.
_OF_THE_CLUSTER = {
    "queue-missing",
    "queue-closed",
    "quota",
    "namespace-missing",
    "priority-class-missing",
    "service-account-missing",
}
_UPDATE = re.compile(r"may not change|immutable|already exists|updates to .* are forbidden", re.IGNORECASE)
_FOREIGN_HOOK = re.compile(
    r"admission webhook \"(?![a-z.]*volcano\.sh\")|failed calling webhook|ValidatingAdmissionPolicy"
)


def is_foreseeable(said: str) -> bool:
    """Return whether the refusal follows from the object and the releases of Kubernetes and Volcano alone."""
    cause = refusal(said)
    if cause is not None and cause.kind in _OF_THE_CLUSTER:
        return False
    return not _UPDATE.search(said) and not _FOREIGN_HOOK.search(said) and "no matches for kind" not in said


def is_unjudged(said: str) -> bool:
    """Return whether nobody refuses the object, but a webhook that is to judge it does not answer."""
    return "failed calling webhook" in said


def claims_refusal(code: str) -> bool:
    """Return whether an error of ours says that the API server or Volcano's webhook refuses the object itself."""
    rule = RULES.get(code)
    scopes = {OBJECT, CLAIM, ADMISSION}
    return code in conform.CODES or (rule is not None and rule.denied and not scopes.isdisjoint(rule.scopes))
