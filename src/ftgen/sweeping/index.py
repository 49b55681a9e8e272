"""What a job asks for as a row, and the index of a sweep: every job with what sets it apart.

The index is JSON text under a name without `.yaml` or `.json`: Argo CD and Flux parse every such file below
an application's path as a manifest.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ftgen import kube
from ftgen.fit import Estimate
from ftgen.lower import Bundle, Identity, Object
from ftgen.rules import memory
from ftgen.spec import Spec

_FORMAT = 1
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Row:
    """One job in numbers.

    Attributes:
        job: its name; with a dash at the end where the API server completes it.
        identity: its name without the content hash.
        file: path of its manifest in the output tree.
        swept: swept key to this job's value, as text.
        choices: group to the option chosen.
        queue: the Volcano queue.
        pods: how many.
        devices: cards of all pods.
        card_gib: memory of these cards (of its shares of them), in GiB; None where the cluster decides.
        storage: claim to its size in GiB; temporary claims are told by the pod's volume.
        requests: what the job's pods request together, by resource.
        fit: estimated and available memory of the fullest card in GiB, and the verdict; None where it is unknown.
        terms: what fills that card, in GiB by name.
    """

    job: str
    identity: str
    file: str
    swept: Mapping[str, str]
    choices: Mapping[str, str]
    queue: str
    pods: int
    devices: int
    card_gib: float | None
    storage: Mapping[str, float]
    requests: Mapping[str, Fraction]
    fit: Mapping[str, Any] | None
    terms: Mapping[str, float]


def row(spec: Spec, identity: Identity, bundle: Bundle, files: Iterable[str], estimate: Estimate | None) -> Row:
    """Describe a compiled job in numbers."""
    metadata = bundle.job["metadata"]
    share = spec.hardware.memory or spec.hardware.card.memory
    return Row(
        job=str(metadata.get("name") or metadata["generateName"]),
        identity=identity.stem,
        file=next(path for path in files if path.rpartition("/")[2].startswith("job-")),
        swept=identity.swept,
        choices=identity.choices,
        queue=str(bundle.job["spec"].get("queue", "")),
        pods=sum(replicas for replicas, _ in _pods(bundle.job)),
        devices=spec.world_size,
        card_gib=_gib(spec.world_size * kube.parse_quantity(share)) if share else None,
        storage=dict(_storage(bundle)),
        requests=_requests(bundle.job),
        fit=memory.fit(spec, estimate),
        terms=memory.terms(estimate),
    )


def _storage(bundle: Bundle) -> Iterable[tuple[str, float]]:
    """Claims that come with the job; a temporary claim exists once for every pod."""
    for claim in bundle.companions:
        if claim["kind"] != "PersistentVolumeClaim":
            continue
        yield claim["metadata"]["name"], _claimed(claim["spec"])
    for replicas, pod in _pods(bundle.job):
        for volume in pod.get("volumes", []):
            if template := volume.get("ephemeral", {}).get("volumeClaimTemplate"):
                yield f"*/{volume['name']}", replicas * _claimed(template["spec"])


def _pods(job: Object) -> Iterator[tuple[int, Object]]:
    """How many of which pod: the tasks of a VolcanoJob, or the template of a plain Job."""
    spec = job["spec"]
    if "tasks" not in spec:
        yield int(spec.get("parallelism", 1)), spec["template"]["spec"]
    for task in spec.get("tasks", ()):
        yield int(task.get("replicas", 1)), task["template"]["spec"]


def _claimed(spec: Object) -> float:
    return _gib(kube.parse_quantity(str(spec["resources"]["requests"]["storage"])))


def _gib(amount: Fraction) -> float:
    gib = round(float(amount / _GIB), 2)
    return int(gib) if gib == int(gib) else gib


def _requests(job: Object) -> dict[str, Fraction]:
    """What Volcano counts against a queue: the requests of every pod's containers."""
    total: dict[str, Fraction] = {}
    for replicas, pod in _pods(job):
        for container in pod["containers"]:
            for name, amount in container.get("resources", {}).get("requests", {}).items():
                total[name] = total.get(name, Fraction(0)) + replicas * kube.parse_quantity(str(amount))
    return total


@dataclass(frozen=True, slots=True)
class Totals:
    """What all jobs ask for together.

    Attributes:
        jobs: how many.
        pods: of all of them.
        devices: cards, were all to run at once.
        card_gib: their memory in GiB, as far as it is known.
        storage_gib: claims in GiB; one that several jobs share counts once.
    """

    jobs: int
    pods: int
    devices: int
    card_gib: float
    storage_gib: float


def totals(rows: Sequence[Row]) -> Totals:
    """The sum of the rows."""
    shared = {claim: size for row in rows for claim, size in row.storage.items() if not claim.startswith("*/")}
    own = sum(size for row in rows for claim, size in row.storage.items() if claim.startswith("*/"))
    return Totals(
        jobs=len(rows),
        pods=sum(row.pods for row in rows),
        devices=sum(row.devices for row in rows),
        card_gib=round(sum(row.card_gib or 0 for row in rows), 2),
        storage_gib=round(own + sum(shared.values()), 2),
    )


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON values."""
    return {
        "job": row.job,
        "file": row.file,
        "swept": dict(row.swept),
        "queue": row.queue,
        "pods": row.pods,
        "devices": row.devices,
        "card_gib": row.card_gib,
        "storage_gib": round(sum(row.storage.values()), 2),
    }


def dump(folder: str, rows: Sequence[Row]) -> bytes:
    """The index as JSON text, one job a line, so that its git diff reads like a list."""
    lines = ",\n".join(json.dumps(plain(row), ensure_ascii=False) for row in rows)
    head = f'"version": {_FORMAT},\n"sweep": {json.dumps(folder)}'
    return f'{{\n{head},\n"jobs": [\n{lines}\n]\n}}\n'.encode()


def dump_csv(rows: Sequence[Row]) -> bytes:
    """The index as a table: one column for every swept key."""
    keys = sorted({key for row in rows for key in row.swept})
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["job", "file", *keys, "queue", "pods", "devices", "card_gib", "storage_gib"])
    for row in rows:
        numbers = plain(row)
        tail = [numbers[name] for name in ("queue", "pods", "devices", "card_gib", "storage_gib")]
        writer.writerow([row.job, row.file, *(_safe(row.swept.get(key, "")) for key in keys), *tail])
    return text.getvalue().encode()


def _safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "@"} else text
