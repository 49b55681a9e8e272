"""Class of a change to a VolcanoJob: the same run, an edit that the cluster accepts, or a new run.

Two jobs are compared as Volcano's webhook compares them on UPDATE (validateJobUpdate in
validate/admit_job.go, by `apiequality.Semantic.DeepEqual`): quantities and durations by amount, empty lists
and maps like absent ones, zero values like absent ones where Go cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ftgen.schema.version import Version
from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import amount, entries, integer, mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import NEWEST, Job
from ftgen.validation.rules import UPDATE
from ftgen.validation.rules.defaults import AMOUNT_MAPS, AMOUNTS, mutate

ChangeClass = Literal["no-op", "metadata", "in-place", "new run"]
"""Class of a change, the least first; `change_class` defines each."""

_DURATIONS = frozenset(("timeout", "runningEstimate"))
_MAPS = frozenset(("labels", "annotations", "nodeSelector", "matchLabels", "plugins", "volumeAttributes"))
_PLAIN_STRUCTS = frozenset((*AMOUNT_MAPS, *_MAPS, "metadata", "spec", "template", "resources"))
_POINTERS = frozenset(
    (
        "activeDeadlineSeconds",
        "allowPrivilegeEscalation",
        "apiGroup",
        "automountServiceAccountToken",
        "defaultMode",
        "enableServiceLinks",
        "exitCode",
        "expirationSeconds",
        "fsGroup",
        "highestTierAllowed",
        "hostUsers",
        "hostnameOverride",
        "localhostProfile",
        "minDomains",
        "minSuccess",
        "mode",
        "optional",
        "priority",
        "privileged",
        "readOnlyRootFilesystem",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "runtimeClassName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "storageClassName",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "ttlSecondsAfterFinished",
    )
)
_SERVER_OWNED = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_IDENTITY = ("name", "generateName", "namespace")
_MUTABLE = ("minAvailable", "priorityClassName")
_MUTABLE_IN_TASKS = ("replicas", "minAvailable")


def change_class(old: dict[str, Any], new: dict[str, Any], *, volcano_version: Version = NEWEST) -> ChangeClass:
    """Return the class of the change from the job `old` to the job `new`.

    `no-op`: they mean the same. `metadata`: only labels, annotations and the like differ, which the job
    controller ignores. `in-place`: counts or the priority class differ, which a running job accepts. `new run`:
    anything else differs, the name included; Volcano holds it immutable. Both are compared as admission would
    store them; fields that the API server owns (uid, status, ...) do not count.
    """
    before, after = mutate(old, volcano_version=volcano_version), mutate(new, volcano_version=volcano_version)
    if _immutable_fields(before) != _immutable_fields(after):
        return "new run"
    if _mutable_fields(before) != _mutable_fields(after):
        return "in-place"
    return "no-op" if _normalised_metadata(before) == _normalised_metadata(after) else "metadata"


@rule("FT334", "other-number-of-tasks", on=UPDATE)
def task_count(after: Job, context: Context) -> Iterator[Finding]:
    """An update adds or removes tasks.

    Volcano's job webhook fixes the number of tasks when the job is created.

    Refused: adding a task `evaluate` to a job that runs.
    Write: a job of another name.
    """
    before = context.before
    if before is not None and len(before.tasks) != len(after.tasks):
        yield Finding(
            f"the job has {len(before.tasks)} tasks and cannot be changed to {len(after.tasks)}",
            "spec.tasks",
            len(after.tasks),
            "create a job of another name",
        )


@rule("FT335", "changed-run", on=UPDATE)
def immutable_field(after: Job, context: Context) -> Iterator[Finding]:
    """An update changes what Volcano holds immutable.

    Only spec.minAvailable, spec.priorityClassName and the tasks' replicas and minAvailable may change, beside
    metadata; the generated names of inline claims do not count.

    Refused: another image.
    Write: a job of another name; a run is never changed into another run.
    """
    before = context.before
    if before is None or len(before.tasks) != len(after.tasks):
        return
    old, new = _immutable_spec(before.spec), _immutable_spec(after.spec)
    if old != new:
        for path in _differences(old, new, "spec"):
            yield Finding(f"{path} cannot change once the job exists", path, help="create a job of another name")


def _immutable_fields(job: dict[str, Any]) -> tuple[Any, ...]:
    metadata = mapping(job.get("metadata"))
    return (
        job.get("apiVersion"),
        job.get("kind"),
        [metadata.get(key) for key in _IDENTITY],
        _immutable_spec(mapping(job.get("spec"))),
    )


def _mutable_fields(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of the fields that may change while the job runs."""
    spec = mapping(job.get("spec"))
    tasks = [[integer(task.get(key)) for key in _MUTABLE_IN_TASKS] for _, task in entries(spec.get("tasks"))]
    return integer(spec.get("minAvailable")), text(spec.get("priorityClassName")), tasks


def _normalised_metadata(job: dict[str, Any]) -> Any:
    metadata = mapping(job.get("metadata"))
    return _normalised({key: value for key, value in metadata.items() if key not in _SERVER_OWNED}, "metadata")


def _immutable_spec(spec: dict[str, Any]) -> Any:
    """Return the normalised spec without the fields that may change while the job runs."""
    fixed = {key: value for key, value in spec.items() if key not in _MUTABLE}
    for key, strip in (("tasks", _without_counts), ("volumes", _without_generated_name)):
        if isinstance(spec.get(key), list):
            fixed[key] = [strip(item) if isinstance(item, dict) else item for item in spec[key]]
    return _normalised(fixed)


def _without_counts(task: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in task.items() if key not in _MUTABLE_IN_TASKS}


def _without_generated_name(volume: dict[str, Any]) -> dict[str, Any]:
    if volume.get("volumeClaim") is None:
        return volume
    return {key: value for key, value in volume.items() if key != "volumeClaimName"}


def _normalised(value: Any, key: str = "") -> Any:
    """Return a value in which all that the webhook holds equal is written equally; only for comparing."""
    if isinstance(value, dict):
        if key in AMOUNT_MAPS:
            return {k: _parsed_amount(v) for k, v in value.items()}
        if key in _MAPS:
            return {k: _normalised(v) for k, v in value.items() if v is not None}
        items = ((k, _normalised(v, k)) for k, v in value.items())
        return {k: v for k, v in items if not _is_zero_value(k, v)}
    if isinstance(value, list):
        return [_normalised(item) for item in value]
    if key in AMOUNTS:
        return _parsed_amount(value)
    return _nanoseconds(value) if key in _DURATIONS else value


def _is_zero_value(key: str, value: Any) -> bool:
    """Return whether Go's decoder makes the same of this value as of an absent one."""
    if value is None or value == []:
        return True
    if value == {}:
        return key in _PLAIN_STRUCTS
    return not value and key not in _POINTERS and (key != "sizeLimit")


def _parsed_amount(value: Any) -> Any:
    parsed = amount(value)
    return value if parsed is None else parsed


def _nanoseconds(value: Any) -> Any:
    try:
        return kube.parse_duration(text(value))
    except ValueError:
        return value


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """Yield the paths at which the two values differ, as deep as both have them."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            if old.get(key) != new.get(key):
                yield from _differences(old.get(key), new.get(key), child(path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                yield from _differences(before, after, f"{path}[{i}]")
    else:
        yield path
