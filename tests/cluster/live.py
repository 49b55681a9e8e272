"""What the server made of an object that ftgen rendered, field by field."""

from __future__ import annotations

from typing import Any

from ftgen.review.diff import ABSENT, diff_fields

from .kubectl import Object

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SERVERS = {"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "finalizers"}
_CONTROLLERS = {"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", _APPLIED}
_PROVISIONERS = ("volume.kubernetes.io/", "volume.beta.kubernetes.io/")


def differences(rendered: Object, live: Object) -> list[str]:
    """Return what the server added to a job, changed or lost; other kinds it may complete."""
    found = diff_fields(rendered, own(live))
    is_job = rendered["apiVersion"].startswith("batch.volcano.sh/")
    title = f"{rendered['kind']} {rendered['metadata'].get('name')}"
    return [
        f"{title}: {each.path}: {_text(each.old)} became {_text(each.new)}"
        for each in found
        if is_job or each.old is not ABSENT
    ]


def own(live: Object) -> dict[str, Any]:
    """Return a live object without what the server and its controllers note in its metadata."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVERS}
    noted = metadata.pop("annotations", {})
    kept = {key: value for key, value in noted.items() if key not in _CONTROLLERS and not key.startswith(_PROVISIONERS)}
    return {**live, "metadata": metadata | ({"annotations": kept} if kept else {})}


def _text(value: object) -> str:
    return "nothing" if value is ABSENT else repr(value)
