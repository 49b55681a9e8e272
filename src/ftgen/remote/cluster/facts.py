"""Snapshot of the objects of a cluster that jobs are weighed against, fit to be committed.

It holds what the rules of `ftgen.validation.rules.capacity` read and nothing else: no usage, no addresses, no
parameters, no conditions that pass.  The same cluster gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, Severity, error, note
from ftgen.remote.cluster.kubectl import DENIED, SHAPE, UNSERVED, Kubectl, KubectlFailed, failure, list_path, rejected
from ftgen.text import yamlio
from ftgen.text.shapes import entries, mapping, strings, text
from ftgen.validation.inventory import DEFAULT_CLASS, KINDS, PASSING_TAINTS, RELEASE

_HEADER = """\
# The releases, nodes, queues, quotas, limits and classes of a cluster, written by `ftgen facts`: jobs are weighed
# against them where cluster.facts.snapshot names this file.
"""
_NAMESPACED = ("ResourceQuota", "LimitRange")
_SPARED = (DENIED, UNSERVED)
"""Failures that leave out one kind; the others concern all of them."""
_VOLATILE_LABEL = ".timestamp"
"""End of the labels that node feature discovery writes anew at each start."""

Fields = dict[str, Any]


def take(kubectl: Kubectl, namespace: str = "") -> tuple[str, list[Diagnostic]]:
    """Return a snapshot as YAML, and a warning for each kind that the cluster does not show.

    Args:
        kubectl: connection to the cluster.
        namespace: namespace whose quotas and limit ranges are taken; if empty, those of all namespaces.

    Raises:
        Rejected: kubectl or the cluster cannot be used, or it shows no kind at all.
    """
    lists: list[Fields] = []
    left_out: list[Diagnostic] = []
    for (version, kind), resource in KINDS.items():
        try:
            found = _found(kubectl, version, resource, namespace if kind in _NAMESPACED else "")
        except Rejected as failed:
            left_out += _spared(failed)
        else:
            lists.append(_list(version, kind, namespace if kind in _NAMESPACED else "", found))
    if not lists:
        raise Rejected(left_out)
    found, unseen = releases(kubectl)
    return _HEADER + _dumped([*found, *lists]), [*(_left_out(each) for each in left_out), *unseen]


def releases(kubectl: Kubectl) -> tuple[list[Fields], list[Diagnostic]]:
    """Return a list of the releases of Kubernetes and of Volcano, and a note for each that cannot be seen.

    Volcano does not tell its own: it is the tag of the image of its controllers, where they run on the cluster.
    """
    found, unseen = [], []
    for product, path, version_in in (("Kubernetes", "/version", _git_version), ("Volcano", _CONTROLLERS, _image_tag)):
        try:
            version = version_in(kubectl.get(path))
        except KubectlFailed as problem:
            unseen += _unseen(product, [failure(problem, f"see the release of {product}", product)])
        else:
            found += [_release(product, version)] if version else []
            unseen += [] if version else _unseen(product, [_untold(product)])
    version, kind = RELEASE
    return [{"apiVersion": version, "kind": f"{kind}List", "items": found}] if found else [], unseen


def _untold(product: str) -> Diagnostic:
    how = "compare the release with the configuration by hand: cluster.kubernetes_version, cluster.volcano_version"
    return note(UNSERVED, f"nothing tells the release of {product}", product, help=how)


_CONTROLLERS = "/apis/apps/v1/deployments?labelSelector=app%3Dvolcano-controller"
_VERSION = re.compile(r"v?[0-9]{1,9}\.[0-9]{1,9}[0-9A-Za-z.+-]{0,60}")
_IMAGE = re.compile(rf"[^@]*:({_VERSION.pattern})(?:@.*)?")


def _git_version(answer: object) -> str:
    found = _VERSION.fullmatch(text(mapping(answer).get("gitVersion")))
    return found[0] if found else ""


def _image_tag(answer: object) -> str:
    pods = [
        mapping(mapping(mapping(each.get("spec")).get("template")).get("spec"))
        for _, each in entries(mapping(answer).get("items"))
    ]
    images = (_IMAGE.fullmatch(text(each.get("image"))) for pod in pods for _, each in entries(pod.get("containers")))
    return next((image[1] for image in images if image), "")


def _release(product: str, version: str) -> Fields:
    api_version, kind = RELEASE
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": product.lower()}, "version": version}


def _unseen(product: str, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return notes that a release is left out; raise where the cluster cannot be used."""
    spared = _spared(Rejected(list(found)))
    told = f"; it is left out, and cluster.{product.lower()}_version is compared with nothing"
    return [replace(each, headline=each.headline + told, severity=Severity.NOTE) for each in spared]


def _list(version: str, kind: str, namespace: str, found: Iterable[Fields]) -> Fields:
    """Return a list of one kind; where it holds the objects of one namespace only, its metadata says so."""
    of = {"metadata": {"namespace": namespace}} if namespace else {}
    return {"apiVersion": version, "kind": f"{kind}List", **of, "items": stripped(version, kind, found)}


def _found(kubectl: Kubectl, version: str, resource: str, namespace: str) -> list[Fields]:
    """Return the objects of one resource, in all namespaces if none is named."""
    try:
        return kubectl.items(list_path(version, resource, namespace), resource)
    except KubectlFailed as problem:
        raise rejected(problem, f"list {resource}", resource) from None


def _spared(failed: Rejected) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a kind that can be left out; raise those of a cluster that cannot be used."""
    if any(d.code not in _SPARED for d in failed.diagnostics):
        raise failed
    return failed.diagnostics


def _left_out(found: Diagnostic) -> Diagnostic:
    headline = f"{found.headline}; they are left out, and nothing is weighed against them"
    return replace(found, headline=headline, severity=Severity.WARNING)


def _dumped(lists: Iterable[Fields]) -> str:
    try:
        return "".join(f"---\n{yamlio.dump(each)}" for each in lists)
    except ValueError as problem:
        headline = f"the API server's answer cannot be written: {problem}"
        raise Rejected(
            [error(SHAPE, headline, "kubectl", help="look for the object with `kubectl get -o json`")]
        ) from None


def stripped(version: str, kind: str, objects: Iterable[Fields]) -> list[Fields]:
    """Return objects of one kind with what is weighed of them, by namespace and name."""
    named = [(_name(each), each) for each in objects]
    ordered = sorted(((name, each) for name, each in named if name[1]), key=lambda pair: pair[0])
    return [_stripped(version, kind, name, each) for name, each in ordered]


def _name(body: Fields) -> tuple[str, str]:
    metadata = mapping(body.get("metadata"))
    return text(metadata.get("namespace")), text(metadata.get("name"))


def _stripped(version: str, kind: str, name: tuple[str, str], body: Fields) -> Fields:
    metadata = {"name": name[1], **({"namespace": name[0]} if name[0] else {})}
    own = _WEIGHED[kind](body)
    return {"apiVersion": version, "kind": kind, "metadata": metadata | own.pop("metadata", {}), **own}


def _node(body: Fields) -> Fields:
    labels = _texts(mapping(body.get("metadata")).get("labels"))
    spec, taints = mapping(body.get("spec")), [_kept(t, "key", "value", "effect") for t in _lasting_taints(body)]
    cordoned = {"unschedulable": True} if spec.get("unschedulable") is True else {}
    return _without_empty(
        {
            "metadata": _without_empty(
                {"labels": {k: v for k, v in labels.items() if not k.endswith(_VOLATILE_LABEL)}}
            ),
            "spec": _without_empty({"taints": taints}) | cordoned,
            "status": {"allocatable": _quantities(mapping(body.get("status")).get("allocatable"))},
        }
    )


def _lasting_taints(body: Fields) -> list[Fields]:
    taints = [taint for _, taint in entries(mapping(body.get("spec")).get("taints"))]
    lasting = [taint for taint in taints if not text(taint.get("key")).startswith(PASSING_TAINTS)]
    return sorted(lasting, key=lambda taint: [text(taint.get(key)) for key in ("key", "effect", "value")])


def _quota(body: Fields) -> Fields:
    spec = mapping(body.get("spec"))
    scopes = sorted(strings(spec.get("scopes")))
    selector = [
        _kept(each, "scopeName", "operator") | _without_empty({"values": sorted(strings(each.get("values")))})
        for _, each in entries(mapping(spec.get("scopeSelector")).get("matchExpressions"))
    ]
    own = {"scopes": scopes, "scopeSelector": _without_empty({"matchExpressions": selector})}
    return {"spec": {"hard": _quantities(spec.get("hard")), **_without_empty(own)}}


def _limit_range(body: Fields) -> Fields:
    fields = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")
    limits = [
        _kept(item, "type") | _without_empty({field: _quantities(item.get(field)) for field in fields})
        for _, item in entries(mapping(body.get("spec")).get("limits"))
    ]
    return {"spec": {"limits": limits}}


def _priority_class(body: Fields) -> Fields:
    value = body.get("value")
    is_default = {"globalDefault": True} if body.get("globalDefault") is True else {}
    return {"value": value if isinstance(value, int) else 0, **is_default}


def _queue(body: Fields) -> Fields:
    spec = mapping(body.get("spec"))
    capability = _without_empty({"capability": _quantities(spec.get("capability"))})
    status = _kept(mapping(body.get("status")), "state")
    return {"spec": _kept(spec, "parent") | capability, **_without_empty({"status": status})}


def _storage_class(body: Fields) -> Fields:
    annotations = _kept(mapping(mapping(body.get("metadata")).get("annotations")), DEFAULT_CLASS)
    own = _kept(body, "provisioner", "volumeBindingMode")
    return {"metadata": _without_empty({"annotations": annotations}), **own}


_WEIGHED: Mapping[str, Callable[[Fields], Fields]] = {
    "Node": _node,
    "ResourceQuota": _quota,
    "LimitRange": _limit_range,
    "PriorityClass": _priority_class,
    "Queue": _queue,
    "StorageClass": _storage_class,
}


def _kept(body: Fields, *keys: str) -> Fields:
    """Return the fields that are texts."""
    return {key: body[key] for key in keys if text(body.get(key))}


def _texts(value: object) -> dict[str, str]:
    return {key: value for key, value in sorted(mapping(value).items()) if isinstance(value, str)}


def _quantities(value: object) -> Fields:
    """Return the quantities of a resource list, sorted: texts, or the numbers of a hand-written object."""
    return {
        key: value
        for key, value in sorted(mapping(value).items())
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
    }


def _without_empty(fields: Fields) -> Fields:
    return {key: value for key, value in fields.items() if value}
