"""What the choices do not say: the overlay that makes the rendered job exactly the imported one."""

from __future__ import annotations

from typing import Any

from ftgen import delta, merge, schema
from ftgen.lower import Object

_KIND = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job"}


def leftover_overlay(job: Object, wanted: Object, volcano_version: str) -> list[Any]:
    """The documents of the overlay: a strategic-merge patch, and the JSON 6902 operations for what it cannot say.

    An operation on `/metadata/name` names the job: a name that an overlay gave is kept.

    Args:
        job: what the choices render to.
        wanted: what it shall be.
        volcano_version: release of Volcano whose schema says how lists merge.
    """
    rules = schema.find(_KIND["apiVersion"], _KIND["kind"], volcano_version)
    base, unnamed = _nameless(job), _nameless(wanted)
    patch = delta.strategic(_forgetful(base), unnamed, rules)
    merged = merge.strategic_merge(base, patch, rules)
    name = wanted["metadata"].get("name")
    merged = merged if "metadata" in merged else {**merged, "metadata": {}}
    operations = delta.operations(merged, {**unnamed, "metadata": unnamed.get("metadata", {})})
    named = [{"op": "add", "path": "/metadata/name", "value": name}] if name else []
    strategic = [_document(patch)] if patch else []
    return [*strategic, *([[*operations, *named]] if operations or named else [])]


def _document(patch: Object) -> Object:
    return {
        **_KIND,
        "metadata": {"name": "any", **patch.get("metadata", {})},
        **{k: v for k, v in patch.items() if k != "metadata"},
    }


def _nameless(job: Object) -> Object:
    return {**job, "metadata": {key: value for key, value in job["metadata"].items() if key != "name"}}


def _forgetful(job: Object) -> Object:
    """The job with the annotations that tell how it was rendered unlike any: another command line renders it."""
    told = job["metadata"].get("annotations", {})
    annotations = {key: object() if key.startswith("ftgen.dev/") else value for key, value in told.items()}
    return {**job, "metadata": {**job["metadata"], "annotations": annotations}}
