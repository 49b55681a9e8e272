"""Names of jobs and folders; a job's name has a hash of its immutable content.

Volcano refuses any update of a job but of its replica counts and priority (validate/admit_job.go), so a changed job is
a new job and needs a new name.  The name is the run's stem and eight hex digits of a hash over the immutable part of
the job's spec.  Of a Job of Kubernetes' own the hash covers all of it; it has a name of its own, as it replaces no
VolcanoJob.
"""

from __future__ import annotations

import json
from typing import Any

from ftgen.lower import MASTER, TASK, WORKER, Bundle, Identity, Object
from ftgen.spec import Command, Spec
from ftgen.text import kube

# A pod's name is <job>-<task>-<index>, a DNS label.
_POD_NAME_LIMIT = 63
# A repeated run has the name <name>-r2 to <name>-r99.
_REPEATED = len("-r99")
# The API server makes a name unique with five random characters.
_GENERATED = 5


def assign_name(bundle: Bundle, spec: Spec, identity: Identity) -> Bundle:
    """Return the bundle with its job named: by content, or with a prefix for the API server to complete."""
    metadata = bundle.job.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    limit = name_limit(spec) - len("-")
    if spec.delivery.generate_name:
        name = {"generateName": f"{stem(identity, limit - _GENERATED)}-"}
    else:
        name = {
            "name": f"{stem(identity, limit - kube.HASH_LENGTH - _REPEATED)}-{content_hash(bundle.job, spec.target)}"
        }
    return Bundle({**bundle.job, "metadata": {**name, **metadata}}, bundle.companions)


def stem(identity: Identity, limit: int) -> str:
    """Return the run's stem as a DNS label; a hash replaces the end of a longer one, so that it stays unique."""
    return kube.slug(identity.stem, limit)


def name_limit(spec: Spec) -> int:
    """Return the largest length of a job's name with which its pods' names, <job>-<task>-<index>, are valid."""
    tasks = (MASTER, WORKER) if spec.hardware.has_master else (TASK,)
    return _POD_NAME_LIMIT - max(map(len, tasks)) - 2 - len(str(spec.hardware.nodes - 1))


def content_hash(job: Object, target: str) -> str:
    """Return a hash of the immutable part of a job's spec, in hexadecimal digits, for the kind that it will have."""
    covered = immutable(job) if target == "vcjob" else {"target": target, "spec": job.get("spec")}
    return kube.digest(_canonical(covered))


# `json.dumps` makes an encoder for each call that differs from its defaults.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def immutable(job: Object) -> dict[str, Any]:
    """Return the job's spec without the four fields that an update may change.

    An overlay may have removed or replaced anything; the schema refuses that later.
    """
    whole = job.get("spec")
    spec = {k: v for k, v in (whole if isinstance(whole, dict) else {}).items() if k not in _MUTABLE}
    if isinstance(spec.get("tasks"), list):
        spec["tasks"] = [_without_counts(task) for task in spec["tasks"]]
    return spec


_MUTABLE = frozenset({"minAvailable", "priorityClassName"})
_COUNTS = frozenset({"replicas", "minAvailable"})


def _without_counts(task: Any) -> Any:
    return {key: value for key, value in task.items() if key not in _COUNTS} if isinstance(task, dict) else task


def folder(spec: Spec, swept: frozenset[str] = frozenset()) -> str:
    """Return the folder of a run, the base of its name: the user's, or what trains and what it trains or reads.

    That is `sft-qwen3-0-6b`, or `yolo-coco8` where there is no base model.

    Args:
        spec: specification.
        swept: groups and keys that a sweep varies; they are in the labels, so the folder leaves them out.
    """
    # A group that is no section of the specification, such as an experiment, may set any of its keys.
    left_out = {*swept, *_NAMING} if swept - _SECTIONS - {key for key in swept if "." in key} else swept
    trainer = spec.trainer
    parts = {
        "trainer.name": trainer.name if isinstance(trainer, Command) else None,
        "trainer.args.stage": None if isinstance(trainer, Command) else str(trainer.args.get("stage", "llamafactory")),
        "model.name": spec.model.name,
        "dataset.name": None if spec.model.name or _covers(left_out, "model.name") else spec.dataset.name,
    }
    words = [part for key, part in parts.items() if part and not _covers(left_out, key)]
    name = None if _covers(left_out, "name") else spec.name
    return folder_of(name or "-".join(words) or "sweep")


def folder_of(name: str) -> str:
    """Return the folder of a run or a sweep for a name."""
    return kube.slug(name, _POD_NAME_LIMIT)


_SECTIONS = frozenset(Spec.model_fields)
_NAMING = frozenset({"name", "trainer", "model", "dataset"})


def _covers(keys: frozenset[str] | set[str], key: str) -> bool:
    """Return whether one of the keys is the key itself or a section around it."""
    return any(f"{key}.".startswith(f"{other.partition('@')[0]}.") for other in keys)
