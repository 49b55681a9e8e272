"""Security contexts as core validation checks them: contradictions, not what a policy forbids.

Volcano's webhook allows privileged containers; the namespace's pod security standard admits or refuses the
pod only when it is created.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.text.shapes import entries, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job, Pod
from ftgen.validation.rules import PODS
from ftgen.validation.rules.fields import has_parent_step

_LARGEST_ID = 2**31 - 1
_LONGEST_SYSCTL = 253
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_CHOICES = {
    "fsGroupChangePolicy": ("OnRootMismatch", "Always"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("Recursive", "MountOption"),
    "procMount": ("Default", "Unmasked"),
}
_HOST_SYSCTLS = {
    "hostNetwork": ("net.",),
    "hostIPC": ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."),
}
_SYSCTL = re.compile(r"[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?(?:[./][a-z0-9](?:[-_a-z0-9]*[a-z0-9])?)*")

_Problem = tuple[str, str]
"""Path of a field below the security context, and the message."""


@rule("FT362", "contradictory-security", on=PODS)
def contradictory_security(job: Job) -> Iterator[Finding]:
    """A security context is out of range or contradicts itself.

    User and group ids are 0 to 2147483647, and with runAsNonRoot not 0; a privileged container cannot forbid
    privilege escalation; a Localhost profile is named and no other is; policies have their known values.

    Refused: `{privileged: true, allowPrivilegeEscalation: false}`.
    Write: one of them.
    """
    for pod in job.pods:
        context = pod.spec.get("securityContext")
        if isinstance(context, dict):
            for field, message in (*_shared_problems(context), *_sysctl_problems(context, pod.spec)):
                yield Finding(message, f"{pod.spec_path}.securityContext.{field}")
        for container in pod.containers:
            context = container.body.get("securityContext")
            if isinstance(context, dict):
                unmasked = context.get("procMount") == "Unmasked" and pod.spec.get("hostUsers") is not False
                for field, message in (*_shared_problems(context), *_escalation_problems(context, unmasked=unmasked)):
                    yield Finding(message, f"{container.path}.securityContext.{field}")
        yield from _contradictory_root(pod)


def _contradictory_root(pod: Pod) -> Iterator[Finding]:
    """Yield containers with both runAsUser 0 and runAsNonRoot; the kubelet creates none of them."""
    of_pod = mapping(pod.spec.get("securityContext"))
    for container in pod.containers:
        own = mapping(container.body.get("securityContext"))
        if {**of_pod, **own}.get("runAsNonRoot") is True and {**of_pod, **own}.get("runAsUser") == 0:
            path = container.path if "runAsUser" in own else pod.spec_path
            headline = f"runAsNonRoot forbids user 0, so the container {container.name!r} is never created"
            yield Finding(headline, f"{path}.securityContext.runAsUser", 0, "name another user, or remove runAsNonRoot")
            if path == pod.spec_path:
                return


def _shared_problems(context: dict[str, Any]) -> Iterator[_Problem]:
    ids = [(field, context.get(field)) for field in ("runAsUser", "runAsGroup", "fsGroup")]
    groups = context.get("supplementalGroups")
    ids += [("supplementalGroups", group) for group in groups] if isinstance(groups, list) else []
    for field, value in ids:
        number = optional_integer(value)
        if number is not None and not 0 <= number <= _LARGEST_ID:
            yield field, f"{number} is no user or group id"
    for field, known in _CHOICES.items():
        if context.get(field) is not None and context[field] not in known:
            yield field, f"{field} is {' or '.join(known)}"
    for field in ("seccompProfile", "appArmorProfile"):
        if isinstance(context.get(field), dict):
            yield from _profile_problems(context[field], field)


def _profile_problems(profile: dict[str, Any], field: str) -> Iterator[_Problem]:
    kind, local = text(profile.get("type")), profile.get("localhostProfile")
    if kind not in _PROFILES:
        yield f"{field}.type", f"a profile's type is one of {', '.join(_PROFILES)}"
    elif (kind == "Localhost") != (local is not None):
        yield f"{field}.localhostProfile", "a Localhost profile is named, and no other is"
    elif kind == "Localhost":
        name = text(local)
        if field == "seccompProfile" and (name.startswith("/") or has_parent_step(name)):
            yield f"{field}.localhostProfile", "a seccomp profile's path is relative"
        if field == "appArmorProfile" and (not name or name != name.strip()):
            yield f"{field}.localhostProfile", "an AppArmor profile has a name without spaces around it"


def _escalation_problems(context: dict[str, Any], *, unmasked: bool) -> Iterator[_Problem]:
    if unmasked:
        yield "procMount", "procMount Unmasked needs hostUsers: false"
    if context.get("allowPrivilegeEscalation") is False:
        added = strings(mapping(context.get("capabilities")).get("add"))
        if context.get("privileged") is True or "CAP_SYS_ADMIN" in added:
            yield "allowPrivilegeEscalation", "privileged and CAP_SYS_ADMIN need privilege escalation"


def _sysctl_problems(context: dict[str, Any], spec: dict[str, Any]) -> Iterator[_Problem]:
    seen: set[str] = set()
    for i, setting in entries(context.get("sysctls")):
        name = text(setting.get("name"))
        if len(name) > _LONGEST_SYSCTL or not _SYSCTL.fullmatch(name) or name in seen:
            yield f"sysctls[{i}].name", f"{name!r} is taken or no kernel parameter"
        seen.add(name)
        for field, prefixes in _HOST_SYSCTLS.items():
            if spec.get(field) is True and name.replace("/", ".").startswith(prefixes):
                yield f"sysctls[{i}].name", f"{name} cannot be set with {field}"
