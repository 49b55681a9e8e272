"""Names made of content: what Volcano holds immutable decides who a job is.

Volcano refuses any update of a job but of its replica counts and priority (validate/admit_job.go), so a
changed job is a new job and needs a new name.  The name is the run's stem and eight hex digits of a hash
over the immutable part of the specification.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ftgen import kube, yamlio
from ftgen.lower import TASK, Bundle, Identity, Object
from ftgen.recall import Form, Path, at, fill
from ftgen.spec import Spec

# A pod is called <job>-<task>-<index>, and its name is a DNS label.
_POD_NAME_LIMIT = 63
# A run that is repeated is called <name>-r2 to <name>-r99.
_REPEATED = len("-r99")
# The API server makes a name unique with five characters of its own.
_GENERATED = 5


def christen(bundle: Bundle, spec: Spec, identity: Identity) -> Bundle:
    """The bundle with its job named: by content, or by a prefix where the API server completes the name."""
    metadata = bundle.job.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if spec.delivery.generate_name:
        name = {"generateName": f"{stem(identity, budget(spec) - 1 - _GENERATED)}-"}
    else:
        name = {"name": f"{stem(identity, budget(spec) - 1 - kube.HASH_LENGTH - _REPEATED)}-{content_hash(bundle.job)}"}
    return Bundle({**bundle.job, "metadata": {**name, **metadata}}, bundle.companions)


def stem(identity: Identity, limit: int) -> str:
    """The run's stem as a DNS label; too long a one is shortened with a hash, never cut silently."""
    return kube.slug(identity.stem, limit)


def budget(spec: Spec) -> int:
    """How long a job's name may be, so that its pods' names fit: <job>-<task>-<index>."""
    return _POD_NAME_LIMIT - len(TASK) - 2 - len(str(spec.hardware.nodes - 1))


def content_hash(job: Object) -> str:
    """Eight hex digits over what Volcano holds immutable of a job."""
    return hashlib.sha256(fill(_CONTENT, job)).hexdigest()[: kube.HASH_LENGTH]


def _content(job: Object) -> bytes:
    return canonical(immutable(job)).encode()


def cut(text: Callable[[Any], bytes]) -> Callable[[Any, frozenset[Path]], Callable[[Any], bytes]]:
    """How to cut the JSON text of a value, or of a part of it: only what stands at some places is written anew."""

    def cutter(value: Any, changed: frozenset[Path]) -> Callable[[Any], bytes]:
        places = sorted(changed, key=str)
        marked, marks = yamlio.blanked(value, places, text(value).decode("utf-8", "surrogatepass"))
        known = {mark.encode(): place for mark, place in zip(marks, places, strict=True)}
        parts = re.split(b"|".join(b'"(%b)"' % mark for mark in known) or b"$^", text(marked))
        pieces = [known.get(part, part) for part in parts if part]
        return lambda other: b"".join([p if isinstance(p, bytes) else _scalar(at(other, p)) for p in pieces])

    return cutter


def _scalar(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


def canonical(value: Any) -> str:
    """JSON without spaces, keys sorted; what is long is the same in many jobs, and is written once."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        return f"{{{','.join([_member(key, value[key]) for key in sorted(value)])}}}"
    if isinstance(value, list):
        return f"[{','.join([canonical(item) for item in value])}]"
    return json.dumps(value)


def _member(key: str, value: Any) -> str:
    return _text_member(key, value) if isinstance(value, str) else f"{_quoted(key)}:{canonical(value)}"


@lru_cache(maxsize=4096)
def _text_member(key: str, text: str) -> str:
    return f"{_quoted(key)}:{_quoted(text)}"


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_CONTENT = Form(_content, cut(_content))


def immutable(job: Object) -> dict[str, Any]:
    """The specification without the four fields that an update may change.

    An overlay may have taken anything away, or put something else there; the schema says so later.
    """
    held = job.get("spec")
    spec = {k: v for k, v in (held if isinstance(held, dict) else {}).items() if k not in _MUTABLE}
    if isinstance(spec.get("tasks"), list):
        spec["tasks"] = [_without_counts(task) for task in spec["tasks"]]
    return spec


_MUTABLE = frozenset({"minAvailable", "priorityClassName"})
_COUNTS = frozenset({"replicas", "minAvailable"})


def _without_counts(task: Any) -> Any:
    return {key: value for key, value in task.items() if key not in _COUNTS} if isinstance(task, dict) else task


def folder(spec: Spec, swept: frozenset[str] = frozenset()) -> str:
    """The folder of a run and the base of its name: as the user says, or stage and model: `sft-qwen3-0-6b`.

    Args:
        spec: the job.
        swept: groups and keys that a sweep varies; its labels tell them, so that the folder does not.
    """
    # What is no section of a job, such as an experiment, may set any of its keys.
    unsaid = {*swept, *_NAMING} if swept - _SECTIONS - {key for key in swept if "." in key} else swept
    stage = str(getattr(spec.trainer, "args", {}).get("stage", spec.trainer.framework))
    parts = {"trainer.args.stage": stage, "model.name": spec.model.name}
    told = [part for key, part in parts.items() if not _covers(unsaid, key)]
    name = None if _covers(unsaid, "name") else spec.name
    return folder_of(name or "-".join(told) or "sweep")


def folder_of(name: str) -> str:
    """A name as the folder of a run or a sweep."""
    return kube.slug(name, _POD_NAME_LIMIT)


_SECTIONS = frozenset(Spec.model_fields)
_NAMING = frozenset({"name", "trainer", "model"})


def _covers(keys: frozenset[str] | set[str], key: str) -> bool:
    """Whether one of the keys is the key or a section it lies in."""
    return any(f"{key}.".startswith(f"{other.partition('@')[0]}.") for other in keys)
