"""Defaults that the cluster writes into a VolcanoJob when it is applied.

Two writers: the CRD's structural defaults, applied again on every write, and Volcano's mutating webhook, on
CREATE only (pkg/webhooks/admission/jobs/mutate/mutate_job.go).  A manifest that leaves them nothing to
write can be applied twice; any other cannot, because a second apply removes what the webhook wrote inside
`spec.tasks` and the update is refused.
"""

from __future__ import annotations

from typing import Any

from ftgen.schema.version import Version, has_optional_partitions
from ftgen.text.shapes import integer, mapping, optional_integer, text
from ftgen.validation.manifest import NEWEST

AMOUNT_MAPS = frozenset(("limits", "requests", "overhead", "capacity"))
"""Fields that map resources to quantities."""
AMOUNTS = frozenset(("sizeLimit", "divisor"))
"""Fields that are quantities."""
_RETRIES = 3
_NEEDS_SERVICE = ("tensorflow", "mpi", "pytorch")


def mutate(job: dict[str, Any], *, volcano_version: Version = NEWEST) -> dict[str, Any]:
    """Return the job as it is stored: CRD defaults first, then Volcano's mutating webhook.

    Sets every value that admission would set; `mutate(mutate(job)) == mutate(job)`.  Objects that needed no
    value are shared with the input, which is never changed.  Null counts as absent, as it does for the API
    server.  The scheduler name is the webhook's usual first one, `volcano`.
    """
    job = with_crd_defaults(job, volcano_version=volcano_version)
    spec = job.get("spec")
    if not isinstance(spec, dict):
        return job
    tasks = spec.get("tasks")
    if isinstance(tasks, list):
        tasks = [_task(i, task, volcano_version) if isinstance(task, dict) else task for i, task in enumerate(tasks)]
        spec = _set(spec, tasks=tasks)
    return _set(job, spec=_webhook(spec, volcano_version))


def with_quantities_as_text(job: dict[str, Any], *, volcano_version: Version = NEWEST) -> dict[str, Any]:
    """Return the job with fractions among its tasks' quantities as text, where the webhook writes the tasks.

    Where it fills one value in, it writes all tasks anew from Go's structs: a limit of 1.5 CPUs is `1500m` before the
    schema, which takes no fraction, is asked.
    """
    written, stored = (
        mapping(each(job, volcano_version=volcano_version).get("spec")).get("tasks")
        for each in (with_crd_defaults, mutate)
    )
    return job if written == stored else _set(job, spec=_set(job["spec"], tasks=_as_text(job["spec"]["tasks"])))


def _as_text(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {
            name: str(part)
            if isinstance(part, float) and (key in AMOUNT_MAPS or name in AMOUNTS)
            else _as_text(part, name)
            for name, part in value.items()
        }
    return [_as_text(item) for item in value] if isinstance(value, list) else value


def with_crd_defaults(job: dict[str, Any], *, volcano_version: Version = NEWEST) -> dict[str, Any]:
    """Return the job with the CRD's structural defaults, as they are applied on CREATE and on UPDATE.

    Also drops plugins that are null, as the API server does.  Leaves out defaults that admission refuses at
    once (an empty Secret name) and those of volume kinds that no VolcanoJob of today uses.
    """
    spec = job.get("spec")
    if not isinstance(spec, dict):
        return job
    spec = _default_missing(spec, queue="default", maxRetry=_RETRIES)
    if isinstance(spec.get("networkTopology"), dict):
        spec = _set(spec, networkTopology=_topology(spec["networkTopology"], volcano_version))
    if isinstance(spec.get("plugins"), dict):
        spec = _set(spec, plugins={k: v for k, v in spec["plugins"].items() if v is not None})
    if isinstance(spec.get("tasks"), list):
        spec = _set(spec, tasks=[_structural_task(task, volcano_version) for task in spec["tasks"]])
    return _set(job, spec=spec)


def _webhook(spec: dict[str, Any], version: Version) -> dict[str, Any]:
    spec = _default_zero_values(spec, queue="default", schedulerName="volcano", maxRetry=_RETRIES)
    if isinstance(spec.get("plugins"), dict):
        spec = _set(spec, plugins=with_needed_plugins(spec["plugins"], version))
    if integer(spec.get("minAvailable")):
        return spec
    tasks = spec.get("tasks")
    return _set(spec, minAvailable=sum(map(_gang_size, tasks)) if isinstance(tasks, list) else 0)


def _gang_size(task: object) -> int:
    body = mapping(task)
    smallest = optional_integer(body.get("minAvailable"))
    return integer(body.get("replicas")) if smallest is None else smallest


def with_needed_plugins(plugins: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return the plugins with those that the webhook adds: svc for distributed frameworks, ssh for mpi."""
    needs_service = any(name in plugins for name in _NEEDS_SERVICE) or (version >= (1, 13, 0) and "ray" in plugins)
    added: dict[str, Any] = {"svc": []} if needs_service and "svc" not in plugins else {}
    if "mpi" in plugins and "ssh" not in plugins:
        added["ssh"] = []
    return {**plugins, **added} if added else plugins


def _task(index: int, task: dict[str, Any], version: Version) -> dict[str, Any]:
    task = _default_zero_values(task, name=f"default{index}", maxRetry=_RETRIES)
    if optional_integer(task.get("minAvailable")) is None:
        task = _set(task, minAvailable=_default_gang_size(task, version))
    pod = mapping(mapping(task.get("template")).get("spec"))
    if pod.get("hostNetwork") is True and not text(pod.get("dnsPolicy")):
        pod = _set(pod, dnsPolicy="ClusterFirstWithHostNet")
        task = _set(task, template=_set(task["template"], spec=pod))
    return task


def _default_gang_size(task: dict[str, Any], version: Version) -> int:
    """Return the default minAvailable: the pods of minPartitions (since 1.14.3, 1.15.1: where set), else replicas."""
    partition = task.get("partitionPolicy")
    if isinstance(partition, dict) and version >= (1, 14, 0):
        smallest = integer(partition.get("minPartitions"))
        if smallest or not has_optional_partitions(version):
            return smallest * integer(partition.get("partitionSize"))
    return integer(task.get("replicas"))


def _topology(topology: dict[str, Any], version: Version) -> dict[str, Any]:
    """Set mode `hard`, and in 1.12 and 1.13 the first tier, wherever the object exists."""
    tier = {"highestTierAllowed": 1} if version < (1, 14, 0) else {}
    return _default_missing(topology, mode="hard", **tier)


def _structural_task(task: Any, version: Version) -> Any:
    if not isinstance(task, dict):
        return task
    partition = task.get("partitionPolicy")
    if isinstance(partition, dict) and version >= (1, 14, 0):
        partition = _default_missing(partition, minPartitions=0)
        if isinstance(partition.get("networkTopology"), dict):
            partition = _set(partition, networkTopology=_topology(partition["networkTopology"], version))
        task = _set(task, partitionPolicy=partition)
    pod = mapping(task.get("template")).get("spec")
    if isinstance(pod, dict):
        task = _set(task, template=_set(task["template"], spec=_pod(pod)))
    return task


def _pod(pod: dict[str, Any]) -> dict[str, Any]:
    for kind in ("containers", "initContainers"):
        if isinstance(pod.get(kind), list):
            pod = _set(pod, **{kind: [_container(c) for c in pod[kind]]})
    if isinstance(pod.get("imagePullSecrets"), list):
        secrets = [_default_missing(s, name="") if isinstance(s, dict) else s for s in pod["imagePullSecrets"]]
        pod = _set(pod, imagePullSecrets=secrets)
    return pod


def _container(container: Any) -> Any:
    if not isinstance(container, dict):
        return container
    if isinstance(container.get("ports"), list):
        ports = [_default_missing(p, protocol="TCP") if isinstance(p, dict) else p for p in container["ports"]]
        container = _set(container, ports=ports)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict) and isinstance(probe.get("grpc"), dict):
            container = _set(container, **{name: _set(probe, grpc=_default_missing(probe["grpc"], service=""))})
    return container


def _default_missing(body: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return the object with defaults for the keys that are absent or null."""
    return _set(body, **{key: value for key, value in defaults.items() if body.get(key) is None})


def _default_zero_values(body: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return the object with defaults for the keys that are unset in Go: absent, empty or 0."""
    unset = {k: v for k, v in defaults.items() if not (integer if isinstance(v, int) else text)(body.get(k))}
    return _set(body, **unset)


def _set(body: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the object with these values; the same object where it has them already."""
    changed = {k: v for k, v in values.items() if body.get(k) is not v and (k not in body or body[k] != v)}
    return {**body, **changed} if changed else body
