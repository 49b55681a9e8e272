"""Services as the API server validates them (kubernetes pkg/apis/core/validation, ValidateServiceCreate)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import OBJECT
from ftgen.validation.rules.containers import LARGEST_PORT, PORT_NAME, PROTOCOLS
from ftgen.validation.rules.names import takes_digits

_Problem = tuple[str, str]
"""Path of a field below the checked object, and the message."""


@rule("FT387", "bad-service", on=OBJECT)
def bad_service(manifest: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """A Service has a name that is no host's, or ports that cannot be told apart.

    Its name is a DNS label of 63 characters that begins with a letter; a digit may begin it from Kubernetes 1.36
    (RelaxedServiceNameValidation). Every port has a name where there are several, no two the same one, and no two have
    number and protocol in common (validateService in pkg/apis/core/validation of Kubernetes). A Service without ports
    has no address of its own, or stands for another name.

    Refused: `ports: [{port: 80}, {port: 81}]`.
    Write: `ports: [{name: http, port: 80}, {name: metrics, port: 81}]`.
    """
    if (manifest.get("apiVersion"), manifest.get("kind")) != ("v1", "Service"):
        return
    name, spec = text(mapping(manifest.get("metadata")).get("name")), mapping(manifest.get("spec"))
    is_label = kube.is_dns1123_label(name) and (not name[0].isdecimal() or takes_digits(context.kubernetes_version))
    # FT336 refuses what no object can be called.
    if kube.is_dns1123_subdomain(name) and not is_label:
        help_ = "begin with a letter, and use at most 63 letters, digits and dashes"
        yield Finding(f"a Service cannot be called {name!r}", "metadata.name", name, help_)
    ports = entries(spec.get("ports"))
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield Finding("a Service with an address has a port", "spec.ports", help="set spec.ports, or clusterIP: None")
    names: set[str] = set()
    taken: set[tuple[str, int]] = set()
    for i, port in ports:
        called, key = text(port.get("name")), (text(port.get("protocol")) or "TCP", integer(port.get("port")))
        if called in names or (not called and len(ports) > 1):
            problem = "another port has the name" if called else "each of several ports needs a name"
            yield Finding(problem, f"spec.ports[{i}].name", called, "name each port once")
        if key in taken:
            yield Finding(f"port {key[1]} is there twice by {key[0]}", f"spec.ports[{i}]", key[1], "remove one of them")
        for field, message in _port_problems(port):
            yield Finding(message, f"spec.ports[{i}].{field}", port.get(field, ""))
        names |= {called} - {""}
        taken.add(key)


def _port_problems(port: dict[str, Any]) -> Iterator[_Problem]:
    name, number, target = text(port.get("name")), integer(port.get("port")), port.get("targetPort")
    if name and not kube.is_dns1123_label(name):
        yield "name", f"{name!r} is no DNS label"
    if not 1 <= number <= LARGEST_PORT:
        yield "port", f"a port is 1 to {LARGEST_PORT}"
    if text(port.get("protocol")) not in ("", *PROTOCOLS):
        yield "protocol", f"a protocol is one of {', '.join(PROTOCOLS)}"
    is_port = isinstance(target, str) and PORT_NAME.fullmatch(target)
    # 0 stands for the port itself.
    if target not in (None, "", 0) and not is_port and not 1 <= integer(target) <= LARGEST_PORT:
        yield "targetPort", "a targetPort is a number, or the name of a container's port"
