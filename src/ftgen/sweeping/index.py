"""Index of a sweep: one row for each job, with its swept values and its resources.

The index is JSON text in a file without `.yaml` or `.json`: Argo CD and Flux parse every such file below
an application's path as a manifest.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.emulation.estimate.job import fit_summary, term_summary
from ftgen.lower import Bundle, Object
from ftgen.output.tree import is_job_file
from ftgen.pipeline import Compiled
from ftgen.text import kube

_FORMAT = 1
_GIB = 2**30


class Row(Struct, frozen=True):
    """Row of the index: one job and its resources.

    Attributes:
        job: name of the job; it ends in a dash if the API server completes it.
        identity: name without the content hash.
        file: path of its manifest in the output tree.
        swept: value of the job by swept key, as text.
        choices: chosen option by group.
        queue: Volcano queue.
        pods: number of pods.
        devices: number of cards of all pods.
        card_gib: memory of these cards (of its shares of them), in GiB; None if the cluster decides.
        storage: size in GiB by claim; a temporary claim is named after the pod's volume (`*/VOLUME`).
        requests: sum of the requests of the job's pods, by resource.
        fit: estimated and available memory of the fullest card in GiB, and the verdict; None if unknown.
        terms: parts of the memory estimate of that card in GiB, by name.
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

    @property
    def storage_gib(self) -> float:
        """Return the size of all claims in GiB."""
        return sum(self.storage.values())


def row(job: Compiled) -> Row:
    """Return the row of a compiled job."""
    spec, identity, manifest = job.spec, job.identity, job.bundle.job
    share = spec.hardware.memory or spec.hardware.card.memory
    return Row(
        job=str(manifest["metadata"].get("name") or manifest["metadata"]["generateName"]),
        identity=identity.stem,
        file=next(path for path in job.files if is_job_file(path)),
        swept=identity.swept,
        choices=identity.choices,
        queue=str(manifest["spec"].get("queue", "")),
        pods=sum(replicas for replicas, _ in _pods(manifest)),
        devices=spec.world_size,
        card_gib=_gib(spec.world_size * kube.parse_quantity(share)) if share else None,
        storage=dict(_storage(job.bundle)),
        requests=_requests(manifest),
        fit=fit_summary(spec, job.estimate),
        terms=term_summary(job.estimate),
    )


def _storage(bundle: Bundle) -> Iterable[tuple[str, float]]:
    """Yield name and GiB of the job's own claims; a temporary claim counts once for every pod."""
    for claim in bundle.companions:
        if claim["kind"] != "PersistentVolumeClaim":
            continue
        yield claim["metadata"]["name"], _claim_gib(claim["spec"])
    for replicas, pod in _pods(bundle.job):
        for volume in pod.get("volumes", []):
            if template := volume.get("ephemeral", {}).get("volumeClaimTemplate"):
                yield f"*/{volume['name']}", replicas * _claim_gib(template["spec"])


def _pods(job: Object) -> Iterator[tuple[int, Object]]:
    """Yield replicas and pod spec: of each task of a VolcanoJob, or of the template of a plain Job."""
    spec = job["spec"]
    if "tasks" not in spec:
        yield int(spec.get("parallelism", 1)), spec["template"]["spec"]
    for task in spec.get("tasks", ()):
        yield int(task.get("replicas", 1)), task["template"]["spec"]


def _claim_gib(spec: Object) -> float:
    return _gib(kube.parse_quantity(str(spec["resources"]["requests"]["storage"])))


@lru_cache(maxsize=1024)
def _gib(amount: Fraction) -> float:
    gib = round(float(amount / _GIB), 2)
    return int(gib) if gib == int(gib) else gib


def _requests(job: Object) -> dict[str, Fraction]:
    """Sum the requests of every pod's containers, which Volcano counts against a queue."""
    total: dict[str, Fraction] = {}
    for replicas, pod in _pods(job):
        for container in pod["containers"]:
            for name, amount in container.get("resources", {}).get("requests", {}).items():
                requested = _times(replicas, str(amount))
                total[name] = total[name] + requested if name in total else requested
    return total


@lru_cache(maxsize=1024)
def _times(number: int, quantity: str) -> Fraction:
    return number * kube.parse_quantity(quantity)


class Totals(Struct, frozen=True):
    """Resources of all jobs of a sweep together.

    Attributes:
        jobs: number of jobs.
        pods: number of their pods.
        devices: number of cards if all jobs run at once.
        card_gib: memory of the cards in GiB, as far as it is known.
        storage_gib: size of the claims in GiB; a claim that several jobs share counts once.
    """

    jobs: int
    pods: int
    devices: int
    card_gib: float
    storage_gib: float


def totals(rows: Sequence[Row]) -> Totals:
    """Sum the rows."""
    shared = {claim: size for row in rows for claim, size in row.storage.items() if not claim.startswith("*/")}
    own = sum(size for row in rows for claim, size in row.storage.items() if claim.startswith("*/"))
    return Totals(
        jobs=len(rows),
        pods=sum(row.pods for row in rows),
        devices=sum(row.devices for row in rows),
        card_gib=round(sum(row.card_gib or 0 for row in rows), 2),
        storage_gib=round(own + sum(shared.values()), 2),
    )


def as_json(row: Row) -> dict[str, Any]:
    """Convert a row to JSON values."""
    return {
        "job": row.job,
        "file": row.file,
        "swept": dict(row.swept),
        "queue": row.queue,
        "pods": row.pods,
        "devices": row.devices,
        "card_gib": row.card_gib,
        "storage_gib": round(row.storage_gib, 2),
    }


def under_names(rows: Iterable[Row], names: Mapping[str, str]) -> list[Row]:
    """Return the rows with the names that a tree keeps for jobs that were rendered under others."""
    return [_under_name(row, names[row.job]) if row.job in names else row for row in rows]


def _under_name(row: Row, name: str) -> Row:
    return replace(row, job=name, file=row.file.replace(row.job, name))


def dump(folder: str, rows: Sequence[Row]) -> bytes:
    """Write the index as JSON text, one job a line, so that a git diff shows one line a job."""
    lines = ",\n".join(json.dumps(as_json(row), ensure_ascii=False) for row in rows)
    head = f'"version": {_FORMAT},\n"sweep": {json.dumps(folder)}'
    return f'{{\n{head},\n"jobs": [\n{lines}\n]\n}}\n'.encode()


def dump_csv(rows: Sequence[Row]) -> bytes:
    """Write the index as CSV, with one column for every swept key."""
    keys = sorted({key for row in rows for key in row.swept})
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["job", "file", *keys, "queue", "pods", "devices", "card_gib", "storage_gib"])
    for row in rows:
        values = as_json(row)
        resources = [values[name] for name in ("queue", "pods", "devices", "card_gib", "storage_gib")]
        writer.writerow([row.job, row.file, *(_no_formula(row.swept.get(key, "")) for key in keys), *resources])
    return text.getvalue().encode()


def _no_formula(text: str) -> str:
    """Quote a cell that spreadsheets would evaluate as a formula."""
    return f"'{text}" if text[:1] in {"=", "@"} else text


def shared_choices(rows: Sequence[Row]) -> dict[str, str]:
    """Return the options that all jobs have chosen, by group; options within an option are left out."""
    first = {group: option for group, option in rows[0].choices.items() if "/" not in group} if rows else {}
    return {group: option for group, option in first.items() if all(row.choices.get(group) == option for row in rows)}
