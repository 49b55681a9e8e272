"""Probes and life-cycle hooks as core validation checks them (validateProbe, validateHandler)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen.text.shapes import entries, integer, mapping, optional_integer, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job
from ftgen.validation.rules import PODS
from ftgen.validation.rules.containers import LARGEST_PORT, PORT_NAME

_HEADER = re.compile(r"[-A-Za-z0-9]+")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_DEFAULT_GRACE = 30


@rule("FT359", "sidecar-fields-in-init-container", on=PODS)
def init_container_fields(job: Job) -> Iterator[Finding]:
    """An init container has probes or life-cycle hooks, or a container has a restart policy.

    Only an init container with `restartPolicy: Always`, a sidecar, may have probes and hooks; without
    feature options, main containers may not have a restartPolicy at all.

    Refused: an init container with a readinessProbe.
    Write: `restartPolicy: Always` on it, or no probe.
    """
    for container in job.containers:
        policy = container.body.get("restartPolicy")
        if policy is not None and not (container.init and policy == "Always"):
            path = f"{container.path}.restartPolicy"
            yield Finding("only init containers may have a restartPolicy, Always", path, policy, f"remove {path}")
        for field in (*_PROBES, "lifecycle") if container.init and policy != "Always" else ():
            if container.body.get(field) is not None:
                yield Finding(f"an init container cannot have a {field}", f"{container.path}.{field}")


@rule("FT360", "bad-probe", on=PODS)
def bad_probe(job: Job) -> Iterator[Finding]:
    """A probe or life-cycle hook has no handler, several, or an impossible one.

    Exactly one handler; counts not below 0; liveness and startup probes succeed at the first success; ports
    are 1 to 65535 or names; a sleep ends within the grace period.

    Refused: `readinessProbe: {periodSeconds: 5}`.
    Write: `readinessProbe: {periodSeconds: 5, tcpSocket: {port: 8080}}`.
    """
    for pod in job.pods:
        grace = optional_integer(pod.spec.get("terminationGracePeriodSeconds"))
        for container in pod.containers:
            for path, handler, is_probe in _handlers(container):
                for message in _handler_problems(handler, _DEFAULT_GRACE if grace is None else grace):
                    yield Finding(message, path)
                for field, message in _probe_problems(handler, path.rpartition(".")[2]) if is_probe else ():
                    yield Finding(message, f"{path}.{field}", integer(handler.get(field)))


def _handlers(container: Container) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the path and body of each probe and hook, and whether it is a probe."""
    for field in _PROBES:
        if isinstance(container.body.get(field), dict):
            yield f"{container.path}.{field}", container.body[field], True
    hooks = mapping(container.body.get("lifecycle"))
    for field in ("postStart", "preStop"):
        if isinstance(hooks.get(field), dict):
            yield f"{container.path}.lifecycle.{field}", hooks[field], False


def _handler_problems(handler: dict[str, Any], grace: int) -> Iterator[str]:
    kinds = [k for k in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if isinstance(handler.get(k), dict)]
    if len(kinds) != 1:
        yield f"exactly one handler is needed, not {' and '.join(kinds) or 'none'}"
    for kind in kinds:
        body = handler[kind]
        if kind == "exec" and not body.get("command"):
            yield "exec needs a command"
        if kind in ("httpGet", "tcpSocket", "grpc") and not _is_port(body.get("port")):
            yield f"{body.get('port')!r} is no port"
        if kind == "httpGet" and (text(body.get("scheme")) or "HTTP") not in ("HTTP", "HTTPS"):
            yield f"there is no scheme {body['scheme']!r}"
        headers = entries(body.get("httpHeaders")) if kind == "httpGet" else []
        if not all(_HEADER.fullmatch(text(header.get("name"))) for _, header in headers):
            yield "a header's name has letters, digits and dashes"
        if kind == "sleep" and not 1 <= integer(body.get("seconds")) <= grace:
            yield f"sleep must be 1 to {grace} seconds"


def _is_port(port: object) -> bool:
    if isinstance(port, str):
        return bool(PORT_NAME.fullmatch(port))
    return 1 <= integer(port) <= LARGEST_PORT


def _probe_problems(probe: dict[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    for field in _PROBE_COUNTS:
        if integer(probe.get(field)) < 0:
            yield field, f"{field} must not be negative"
    grace = optional_integer(probe.get("terminationGracePeriodSeconds"))
    if grace is not None and (grace <= 0 or kind == "readinessProbe"):
        yield "terminationGracePeriodSeconds", "a probe's grace period is positive, and no readiness probe's"
    if kind != "readinessProbe" and integer(probe.get("successThreshold")) not in (0, 1):
        yield "successThreshold", f"a {kind} has the successThreshold 1"
