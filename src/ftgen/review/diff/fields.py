"""Comparison of two versions of an object, field by field.

The rules of Volcano's admission decide the class of a VolcanoJob's change as a whole.  This module finds every field
that differs and classifies it: an update may change `spec.minAvailable`, `spec.priorityClassName`, and `replicas` and
`minAvailable` of the tasks (validate/admit_job.go).  Of the other kinds that ftgen writes, an update may change what
Kubernetes' validation (ValidateJobSpecUpdate and its like) does not hold immutable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Rejected
from ftgen.text import kube, yamlio
from ftgen.text.shapes import mapping
from ftgen.validation.rules.change import change_class


class ChangeClass(StrEnum):
    """Effect of a change on the live object, smallest first."""

    NO_OP = "no-op"
    """No effect: the cluster treats both versions alike."""
    METADATA = "metadata"
    """Labels or annotations of the object; a running training continues."""
    IN_PLACE = "in-place"
    """An update that the API server accepts for the live object."""
    NEW_RUN = "new run"
    """A change of immutable fields, which needs a new object."""


class Absent(Enum):
    """Type of `ABSENT`, the value of a missing field."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class FieldChange(Struct, frozen=True):
    """A field that differs: its path, old and new value, and the class of its change.

    `path` identifies list items by index from zero, or by name: `spec.tasks[train].replicas`.  A `:` leads into
    YAML text inside a field: `…env[TRAIN_CONFIG].value:learning_rate`.  `secrets` are those of both objects: what is
    shown of the field may repeat one.
    """

    path: str
    old: Any
    new: Any
    change_class: ChangeClass
    secrets: frozenset[str] = frozenset()


_ORDER = tuple(ChangeClass)
_VOLCANO_JOB = "batch.volcano.sh/Job"
_JOB = "batch/Job"
_CLAIM = "/PersistentVolumeClaim"
_ANY_OF_SPEC = re.compile(r"spec\..*")
_CONTENT = re.compile(r"(data|binaryData|stringData|immutable)\b.*")
_OF_JOB = (
    "parallelism|backoffLimit|activeDeadlineSeconds|ttlSecondsAfterFinished|suspend|manualSelector|maxFailedIndexes"
    "|podReplacementPolicy"
)
_IN_PLACE = {
    _VOLCANO_JOB: re.compile(r"spec\.(minAvailable|priorityClassName)|spec\.tasks\[[^]]*]\.(replicas|minAvailable)"),
    _JOB: re.compile(rf"spec\.({_OF_JOB})"),
    _CLAIM: re.compile(r"spec\.resources\.requests\.storage"),
    # All but the volume itself: its source, its mode, and the nodes that have it.
    "/PersistentVolume": re.compile(
        r"spec\.(capacity|accessModes|persistentVolumeReclaimPolicy|claimRef|mountOptions|storageClassName)\b.*"
    ),
    "/ConfigMap": _CONTENT,
    "/Secret": _CONTENT,
    # What serves rolls to a new revision in place.
    "apps/Deployment": re.compile(r"spec\.(?!selector\b).*"),
    "/Service": re.compile(r"spec\.(?!clusterIPs?\b).*"),
    "serving.kserve.io/InferenceService": _ANY_OF_SPEC,
    # Their controllers follow whatever their specification says.
    "scheduling.volcano.sh/Queue": _ANY_OF_SPEC,
    "argoproj.io/AppProject": _ANY_OF_SPEC,
    "argoproj.io/Application": _ANY_OF_SPEC,
    "argoproj.io/ApplicationSet": _ANY_OF_SPEC,
    "kustomize.toolkit.fluxcd.io/Kustomization": _ANY_OF_SPEC,
    "admissionregistration.k8s.io/ValidatingAdmissionPolicy": _ANY_OF_SPEC,
    "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": _ANY_OF_SPEC,
}
"""Mutable fields by group and kind; all other fields count as immutable."""
_OF_SCALED_JOB = re.compile(rf"spec\.(completions|{_OF_JOB})")
"""Mutable fields of a Job whose pods are numbered: it grows and shrinks with its parallelism."""
_QUANTITY = re.compile(
    r"[^:]*\.(limits|requests|capacity|capability|deserved|guarantee\.resource|hard)[.[][^:]+"
    r"|[^:]*\.(sizeLimit|storage)"
)
_KEYS = ("name", "mountPath", "containerPort", "key", "topologyKey", "event")
"""Fields that identify the items of a list, tried in this order."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def classify(old: Mapping[str, Any], new: Mapping[str, Any]) -> ChangeClass:
    """Return the class of the change from one object to the other, regardless of their names."""
    before, after = _without_name(old), _without_name(new)
    if _group_kind(new) == _VOLCANO_JOB:
        return ChangeClass(change_class(before, after))
    return highest(change.change_class for change in _classified(before, after))


def highest(classes: Iterable[ChangeClass]) -> ChangeClass:
    """Return the highest of several classes, `no-op` if there is none."""
    return max(classes, key=_ORDER.index, default=ChangeClass.NO_OP)


def diff_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[FieldChange]:
    """Return every field that differs, except names and status, in the order of the new object."""
    before, after = _masked(_without_name(old), _without_name(new))
    limit = _ORDER.index(classify(old, new))
    return [
        change if _ORDER.index(change.change_class) <= limit else replace(change, change_class=ChangeClass.NO_OP)
        for change in _classified(before, after)
    ]


def _classified(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[FieldChange]:
    kind, allowed = _group_kind(new), _mutable_fields(old, new)
    return [
        FieldChange(path, before, after, _field_class(kind, allowed, path, before, after))
        for path, before, after in _mapping("", old, new)
    ]


def _mutable_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> re.Pattern[str] | None:
    """Return the fields that an update from one object to the other may change, beside its metadata."""
    kind = _group_kind(new)
    if kind == _JOB and _is_scaled(mapping(new.get("spec"))):
        return _OF_SCALED_JOB
    allowed = _IN_PLACE.get(kind)
    return None if allowed is _CONTENT and old.get("immutable") is True else allowed


def _is_scaled(spec: Mapping[str, Any]) -> bool:
    """Whether a Job may have another number of completions (validateCompletions in batch/validation)."""
    return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")


def _without_name(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata = manifest.get("metadata")
    if isinstance(metadata, Mapping):
        metadata = {key: value for key, value in metadata.items() if key not in {"name", "generateName"}}
    return {**{k: v for k, v in manifest.items() if k != "status"}, "metadata": metadata}


_DATA = ("data", "stringData")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _masked(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mask what two versions of a Secret hold, as `kubectl diff` does: a reader sees which keys differ."""
    if _group_kind(new) != "/Secret":
        return old, new
    return _of_secret(old, new, "before"), _of_secret(new, old, "after")


def _of_secret(manifest: dict[str, Any], other: dict[str, Any], which: str) -> dict[str, Any]:
    held = {key: _masks(value, other.get(key), which) for key, value in manifest.items() if key in _DATA}
    notes = [mapping(mapping(each.get("metadata")).get("annotations")) for each in (manifest, other)]
    if _APPLIED not in notes[0]:
        return {**manifest, **held}
    applied = _mask(notes[0][_APPLIED], notes[1].get(_APPLIED), which)
    return {**manifest, **held, "metadata": {**manifest["metadata"], "annotations": {**notes[0], _APPLIED: applied}}}


def _masks(value: Any, other: Any, which: str) -> Any:
    if not isinstance(value, Mapping):
        return _mask(value, other, which)
    return {key: _mask(part, mapping(other).get(key), which) for key, part in value.items()}


def _mask(value: Any, other: Any, which: str) -> str | None:
    if value is None:
        return None
    return "***" if other is None or value == other else f"*** ({which})"


def _group_kind(manifest: Mapping[str, Any]) -> str:
    group, slash, _version = str(manifest.get("apiVersion", "")).rpartition("/")
    return f"{group if slash else ''}/{manifest.get('kind', '')}"


def _field_class(kind: str, allowed: re.Pattern[str] | None, path: str, old: Any, new: Any) -> ChangeClass:
    if _is_same_quantity(path, old, new):
        return ChangeClass.NO_OP
    if path.startswith("metadata"):
        return ChangeClass.METADATA
    return (
        ChangeClass.IN_PLACE
        if allowed and allowed.fullmatch(path) and not _shrinks(kind, old, new)
        else ChangeClass.NEW_RUN
    )


def _shrinks(kind: str, old: Any, new: Any) -> bool:
    """Whether a claim would become smaller; it may only grow (core validation of the claim's update)."""
    if kind != _CLAIM or not all(_is_amount(value) for value in (old, new)):
        return False
    try:
        return kube.parse_quantity(str(new)) < kube.parse_quantity(str(old))
    except ValueError:
        return False


def _is_same_quantity(path: str, old: Any, new: Any) -> bool:
    if not _QUANTITY.fullmatch(path) or not all(_is_amount(value) for value in (old, new)):
        return False
    try:
        return kube.parse_quantity(str(old)) == kube.parse_quantity(str(new))
    except ValueError:
        return False


def _is_amount(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


# comparison

_Difference = tuple[str, Any, Any]


def _value(path: str, old: Any, new: Any) -> Iterator[_Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list(path, old, new)
    elif isinstance(old, str) and isinstance(new, str):
        yield from _text(path, old, new)
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _mapping(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[_Difference]:
    for key in [*new, *(key for key in old if key not in new)]:
        before, after = _value_at(old, key), _value_at(new, key)
        if before is not after:
            yield from _value(_child(path, str(key)), before, after)


def _value_at(mapping: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key; null counts as absent, as Kubernetes drops it."""
    value = mapping.get(key)
    return ABSENT if value is None else value


def _child(path: str, key: str) -> str:
    if not path:
        return key
    return f"{path}.{key}" if _PLAIN.fullmatch(key) else f"{path}[{key}]"


def _list(path: str, old: list[Any], new: list[Any]) -> Iterator[_Difference]:
    name = _identifying_key(old, new)
    if name is None:
        yield from _by_position(path, old, new)
        return
    before, after = ({str(item[name]): item for item in items} for items in (old, new))
    for label in [*after, *(label for label in before if label not in after)]:
        yield from _value(f"{path}[{label}]", before.get(label, ABSENT), after.get(label, ABSENT))
    kept = [[label for label in one if label in other] for one, other in ((before, after), (after, before))]
    if kept[0] != kept[1]:
        yield path, kept[0], kept[1]


def _by_position(path: str, old: list[Any], new: list[Any]) -> Iterator[_Difference]:
    # A command holds its script as one long text among short words: as an item of its own, its diff is readable.
    scripted = len(old) == len(new) and any(isinstance(item, str) and "\n" in item for item in [*old, *new])
    if not scripted and not all(isinstance(item, Mapping) for item in [*old, *new]):
        if old != new:
            yield path, old, new
        return
    for index in range(max(len(old), len(new))):
        before, after = (items[index] if index < len(items) else ABSENT for items in (old, new))
        yield from _value(f"{path}[{index}]", before, after)


def _identifying_key(old: Sequence[Any], new: Sequence[Any]) -> str | None:
    items = [*old, *new]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    return next((key for key in _KEYS if _identifies(key, old) and _identifies(key, new)), None)


def _identifies(key: str, items: Sequence[Mapping[str, Any]]) -> bool:
    labels = [str(item[key]) for item in items if key in item]
    return len(set(labels)) == len(items)


def _text(path: str, old: str, new: str) -> Iterator[_Difference]:
    if old == new:
        return
    inner = list(_mapping("", *parsed)) if (parsed := _as_yaml(old, new)) else []
    if not inner:
        yield path, old, new
    for inside, before, after in inner:
        yield f"{path}:{inside}", before, after


def _as_yaml(old: str, new: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Parse both texts; None unless each is a YAML mapping of several lines."""
    if "\n" not in old or "\n" not in new:
        return None
    try:
        parsed = yamlio.parse(old, ""), yamlio.parse(new, "")
    except Rejected:
        return None
    return parsed if all(isinstance(value, Mapping) for value in parsed) else None
