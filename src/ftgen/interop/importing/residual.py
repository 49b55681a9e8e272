"""The overlay for everything that the chosen options do not express, so that the job renders exactly as imported."""

from __future__ import annotations

from typing import Any

from ftgen import schema
from ftgen.lower import Object, delta, merge

_KIND = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job"}


def leftover_overlay(job: Object, target: Object, volcano_version: str) -> list[Any]:
    """Return the overlay's documents: a strategic-merge patch, and JSON 6902 operations for what it cannot express.

    An operation on `/metadata/name` names the job, because a name that an overlay sets is kept.

    Args:
        job: job that the choices render to.
        target: imported job.
        volcano_version: release of Volcano whose schema gives the merge keys of lists.
    """
    rules = schema.find(_KIND["apiVersion"], _KIND["kind"], volcano_version)
    base, unnamed = _without_name(job), _without_name(target)
    patch = delta.strategic(_with_unequal_annotations(base), unnamed, rules)
    merged = merge.strategic_merge(base, patch, rules)
    name = target["metadata"].get("name")
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


def _without_name(job: Object) -> Object:
    return {**job, "metadata": {key: value for key, value in job["metadata"].items() if key != "name"}}


def _with_unequal_annotations(job: Object) -> Object:
    """Make annotations of ftgen equal to no other value: another command line will render the imported job."""
    present = job["metadata"].get("annotations", {})
    annotations = {key: object() if key.startswith("ftgen.dev/") else value for key, value in present.items()}
    return {**job, "metadata": {**job["metadata"], "annotations": annotations}}
