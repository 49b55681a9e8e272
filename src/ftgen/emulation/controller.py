"""The pods that controllers create: those of a VolcanoJob with its plugins, of an indexed Job, of a workload.

Sources: createJobPod (pkg/controllers/job/job_controller_util.go) and OnPodCreate of each plugin
(pkg/controllers/job/plugins) of Volcano; pkg/controller/job of Kubernetes.  What a controller makes of random
characters is a run of `x` here.  All are pure functions; the pods share the parts of the job that stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.emulation import plugins
from ftgen.schema.version import Version
from ftgen.text.shapes import entries, integer, mapping, optional_integer, strings, text

Object = dict[str, Any]

HOSTS_FOLDER = "/etc/volcano"
"""Where the svc plugin mounts a file of host names for each task (ConfigMapMountPath)."""
KEYS_FOLDER = "/root/.ssh"
"""Where the ssh plugin mounts its keys, unless `--ssh-key-file-path` says otherwise."""
INDEX_VARIABLES = ("VK_TASK_INDEX", "VC_TASK_INDEX")
"""Variables of the env plugin."""
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
"""Label and annotation of a pod of an indexed Job."""
_KEY_FILES = ("id_rsa", "id_rsa.pub", "authorized_keys", "config")
_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
# Volcano and Kubernetes make names unique by so many characters.
_OF_VOLUMES, _OF_PODS = "x" * 12, "x" * 5


def pod_name(job: str, task: str, index: int) -> str:
    """Return the name of a task's pod (MakePodName)."""
    return f"{job}-{task}-{index}"


def variable_stem(task: str) -> str:
    """Return how a task is called in the svc plugin's variables: `gpu-worker` is `GPU_WORKER`."""
    return task.replace("-", "_").upper()


def hosts(job: str, task: Mapping[str, Any]) -> list[str]:
    """Return the host names of a task that the svc plugin publishes (GenerateHosts).

    A template that sets its own hostname has one, which its pods share.
    """
    pod = mapping(mapping(task.get("template")).get("spec"))
    domain, own = text(pod.get("subdomain")) or job, text(pod.get("hostname"))
    if own:
        return [f"{own}.{domain}"] if integer(task.get("replicas")) else []
    count, name = integer(task.get("replicas")), text(task.get("name"))
    fitting = _fitting(f"{pod_name(job, name, count)}.{domain}")
    return [f"{pod_name(job, name, i)}.{domain}" for i in range(min(count, fitting))]


def _fitting(longest: str) -> int:
    """Return how many host names fit into a ConfigMap: where there are more, the controller creates no pod."""
    return 2**20 // len(longest)


def first_host(job: str, task: Mapping[str, Any]) -> str:
    """Return the host name of a task's first pod, whether or not it has one."""
    return hosts(job, {**task, "replicas": 1})[0]


# plugins


class Member(Struct, frozen=True):
    """A pod to be, as a plugin sees it.

    Attributes:
        job: name of its job.
        tasks: tasks of the job.
        task: its own task.
        index: its index in the task.
        flags: arguments of the plugin, by flag.
    """

    job: str
    tasks: Sequence[Object]
    task: Object
    index: int
    flags: Mapping[str, str]

    def number(self, flag: str, default: int) -> int:
        """Return the value of an `int` flag."""
        return plugins.as_number(self.flags[flag]) if flag in self.flags else default

    def named(self, flag: str) -> Object | None:
        """Return the task that a flag of the plugin names; by default the flag's own name."""
        return next((task for task in self.tasks if text(task.get("name")) == self.role(flag)), None)

    def role(self, flag: str) -> str:
        """Return the name of a task that a flag of the plugin gives."""
        return self.flags.get(flag, flag)

    def plays(self, flag: str) -> bool:
        """Return whether the pod is one of the task that a flag names."""
        return text(self.task.get("name")) == self.role(flag)


class Added(Struct, frozen=True):
    """Variables that a plugin appends to the containers of a pod.

    Attributes:
        names: the variables' names.
        init: whether init containers get them, too.
        make: makes the variables; apart from the names, since the names of most do not depend on the job's.
    """

    names: tuple[str, ...]
    init: bool
    make: Callable[[], list[Object]]


def _of_svc(pod: Member) -> Added | None:
    if pod.flags.get("inject-hosts-env", "true").lower() in {"0", "f", "false"}:
        return None
    stems = [variable_stem(text(task.get("name"))) for task in pod.tasks]
    names = tuple(f"VC_{stem}_{what}" for stem in stems for what in ("HOSTS", "NUM"))
    config_map = f"{pod.job}-svc"

    def make() -> list[Object]:
        return [{"name": n, "valueFrom": {"configMapKeyRef": {"name": config_map, "key": n}}} for n in names]

    return Added(names, True, make)


def _of_env(pod: Member) -> Added:
    return Added(INDEX_VARIABLES, True, lambda: [{"name": name, "value": str(pod.index)} for name in INDEX_VARIABLES])


def _of_pytorch(pod: Member) -> Added | None:
    master = pod.named("master")
    if master is None:
        return None
    has_rank = pod.plays("worker") or pod.plays("master")
    names = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", *(("RANK",) if has_rank else ()))

    def make() -> list[Object]:
        roles = {pod.role("master"), pod.role("worker")}
        world = sum(integer(task.get("replicas")) for task in pod.tasks if text(task.get("name")) in roles)
        rank = pod.index + 1 if pod.plays("worker") else 0
        values = (first_host(pod.job, master), str(pod.number("port", 23456)), str(world), str(rank))
        return [{"name": name, "value": value} for name, value in zip(names, values, strict=False)]

    return Added(names, False, make)


def _of_mpi(pod: Member) -> Added | None:
    workers = pod.named("worker")
    if workers is None or not pod.plays("master"):
        return None
    return Added(("MPI_HOST",), True, lambda: [{"name": "MPI_HOST", "value": ",".join(hosts(pod.job, workers))}])


_TENSORFLOW_ROLES = ("ps", "worker", "chief", "evaluator")


def _of_tensorflow(pod: Member) -> Added | None:
    if len(pod.tasks) == 1 and integer(pod.tasks[0].get("replicas")) == 1:
        return None
    return Added(("TF_CONFIG",), False, lambda: [{"name": "TF_CONFIG", "value": _tensorflow_cluster(pod)}])


def _tensorflow_cluster(pod: Member) -> str:
    port = pod.number("port", 2222)
    cluster = {}
    for role in _TENSORFLOW_ROLES:
        if (task := pod.named(role)) is not None and (names := _tensorflow_hosts(pod.job, task)):
            cluster[role] = [f"{name}:{port}" for name in names]
    own = next((role for role in ("chief", "worker", "ps", "evaluator") if pod.plays(role)), text(pod.task.get("name")))
    value = {"cluster": cluster, "task": {"type": own, "index": pod.index}}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _tensorflow_hosts(job: str, task: Object) -> list[str]:
    """Return a name for each replica, even where a hostname of the template's own makes them the same."""
    found = hosts(job, task)
    shared = bool(text(mapping(mapping(task.get("template")).get("spec")).get("hostname")))
    return found * min(integer(task.get("replicas")), _fitting(found[0])) if shared and found else found


_VARIABLES: Mapping[str, Callable[[Member], Added | None]] = {
    "svc": _of_svc,
    "env": _of_env,
    "pytorch": _of_pytorch,
    "mpi": _of_mpi,
    "tensorflow": _of_tensorflow,
}


def added_variables(wanted: Mapping[str, Any], member: Member, version: Version) -> Iterator[Added]:
    """Yield the variables that the plugins of a job append to the containers of a pod.

    Args:
        wanted: `spec.plugins`.
        member: the pod; the flags of each plugin take the place of its own.
        version: Volcano version.
    """
    for name, flags in _flags_of(wanted, version):
        if name in _VARIABLES and (added := _VARIABLES[name](replace(member, flags=flags))) is not None:
            yield added


def mounts_of_plugins(wanted: Mapping[str, Any], version: Version) -> dict[str, str]:
    """Return the paths that plugins mount their files at, in init containers too, with the plugin of each."""
    flags = dict(_flags_of(wanted, version))
    found = {HOSTS_FOLDER: "svc"} if "svc" in flags else {}
    return {**found, **({flags["ssh"].get("ssh-key-file-path", KEYS_FOLDER): "ssh"} if "ssh" in flags else {})}


def _flags_of(wanted: Mapping[str, Any], version: Version) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the plugins of a job that run, with their flags; the API server drops those without an argument list."""
    for name, arguments in wanted.items():
        if isinstance(arguments, list) and name in plugins.available(version):
            yield name, plugins.parse_flags(name, tuple(strings(arguments)), version).values


# VolcanoJob


def job_of_cron_job(cron_job: Object) -> Object:
    """Return the VolcanoJob that a CronJob of Volcano creates at some time.

    The minutes since 1970 end its name, eight digits until 2160.  Source: getJobFromTemplate
    (pkg/controllers/cronjob/cronjob_controller_util.go).
    """
    metadata, template = mapping(cron_job.get("metadata")), mapping(mapping(cron_job.get("spec")).get("jobTemplate"))
    own = {key: value for key, value in mapping(template.get("metadata")).items() if key in {"labels", "annotations"}}
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": f"{text(metadata.get('name'))}-{'x' * 8}", **_namespace(cron_job), **own},
        "spec": template.get("spec"),
    }


def volcano_pods(job: Object, version: Version, limit: int) -> Iterator[Object]:
    """Yield the pods of a VolcanoJob as its controller creates them, task by task, up to `limit` of each task.

    Args:
        job: VolcanoJob with the defaults of admission, and with a name.
        version: Volcano version.
        limit: largest number of pods of a task.
    """
    tasks = [task for _, task in entries(mapping(job.get("spec")).get("tasks"))]
    for task in tasks:
        for index in range(min(integer(task.get("replicas")), limit)):
            yield _volcano_pod(job, tasks, task, index, version)


def _volcano_pod(job: Object, tasks: Sequence[Object], task: Object, index: int, version: Version) -> Object:
    metadata, spec = mapping(job.get("metadata")), mapping(job.get("spec"))
    name, template = text(metadata.get("name")), mapping(task.get("template"))
    own = mapping(template.get("spec"))
    pod = {
        **own,
        **_filled_in(own, "schedulerName", spec.get("schedulerName")),
        **_filled_in(own, "priorityClassName", spec.get("priorityClassName")),
    }
    pod = _with_job_volumes(pod, name, spec)
    member = Member(name, tasks, task, index, {})
    pod = _with_plugins(pod, member, mapping(spec.get("plugins")), version)
    found = {
        "name": pod_name(name, text(task.get("name")), index),
        **_namespace(job),
        "labels": {**mapping(mapping(template.get("metadata")).get("labels")), **_volcano_labels(job, task, index)},
        "annotations": {
            **mapping(mapping(template.get("metadata")).get("annotations")),
            **_volcano_annotations(job, task, index),
        },
    }
    if HOSTS_FOLDER in mounts_of_plugins(mapping(spec.get("plugins")), version):
        pod |= {"hostname": text(own.get("hostname")) or found["name"], "subdomain": text(own.get("subdomain")) or name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": found, "spec": pod}


def _filled_in(pod: Object, key: str, value: Any) -> Object:
    """Return a field of the job that a pod takes over where it has none of its own."""
    return {key: value} if value and not pod.get(key) else {}


def _volcano_labels(job: Object, task: Object, index: int) -> dict[str, str]:
    partition = task.get("partitionPolicy")
    size = integer(mapping(partition).get("partitionSize"))
    part = {"volcano.sh/partition-id": str(index // size if size > 0 else 0)} if isinstance(partition, dict) else {}
    return {
        "volcano.sh/task-index": str(index),
        "volcano.sh/job-name": text(mapping(job.get("metadata")).get("name")),
        "volcano.sh/task-spec": text(task.get("name")),
        "volcano.sh/job-namespace": text(mapping(job.get("metadata")).get("namespace")),
        "volcano.sh/queue-name": text(mapping(job.get("spec")).get("queue")),
        **part,
    }


def _volcano_annotations(job: Object, task: Object, index: int) -> dict[str, str]:
    """Return the annotations that do not depend on the job's uid or on how often it was started."""
    name = text(mapping(job.get("metadata")).get("name"))
    topology = text(task.get("topologyPolicy"))
    return {
        "volcano.sh/task-index": str(index),
        "volcano.sh/task-spec": text(task.get("name")),
        "volcano.sh/job-name": name,
        "volcano.sh/queue-name": text(mapping(job.get("spec")).get("queue")),
        "volcano.sh/template-uid": f"{name}-{text(task.get('name'))}",
        **({"volcano.sh/numa-topology-policy": topology} if topology else {}),
    }


def claims(job: Object) -> Iterator[tuple[str, Object]]:
    """Yield the claims that the controller makes for `spec.volumes`: name and spec."""
    name, spec = text(mapping(job.get("metadata")).get("name")), mapping(job.get("spec"))
    for position, volume in entries(spec.get("volumes")):
        if isinstance(volume.get("volumeClaim"), dict):
            yield _claim_of(name, position, volume), volume["volumeClaim"]


def _claim_of(job: str, position: int, volume: Object) -> str:
    """Return the claim of a job's volume; of several that are made, all but the first tell their position."""
    return text(volume.get("volumeClaimName")) or f"{job}-pvc-{_random(position)}"


def _random(position: int) -> str:
    return f"{_OF_VOLUMES[len(str(position)) :]}{position}" if position else _OF_VOLUMES


def _with_job_volumes(pod: Object, job: str, spec: Object) -> Object:
    """Mount `spec.volumes` in the main containers; of two with one claim, the first alone takes effect."""
    by_claim: dict[str, tuple[Object, Object]] = {}
    for position, volume in entries(spec.get("volumes")):
        claim, name = _claim_of(job, position, volume), f"{job}-{_random(position)}"
        made = {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        by_claim.setdefault(claim, (made, {"name": name, "mountPath": text(volume.get("mountPath"))}))
    return _with_volumes(pod, by_claim.values(), init=False) if by_claim else pod


def _with_plugins(pod: Object, member: Member, wanted: Object, version: Version) -> Object:
    for added in added_variables(wanted, member, version):
        variables = added.make()
        for kind in ("initContainers", "containers") if added.init else ("containers",):
            pod = _with_containers(pod, kind, partial(_appended, key="env", added=variables))
    files = [_plugin_volume(member.job, plugin, path) for path, plugin in mounts_of_plugins(wanted, version).items()]
    pod = _with_volumes(pod, files, init=True) if files else pod
    for name, flags in _flags_of(wanted, version):
        if name in _CHANGES:
            pod = _CHANGES[name](pod, replace(member, flags=flags))
    return pod


def _plugin_volume(job: str, plugin: str, path: str) -> tuple[Object, Object]:
    name = f"{job}-{plugin}"
    if plugin == "svc":
        return {"name": name, "configMap": {"name": name}}, {"name": name, "mountPath": path}
    items = [{"key": key, "path": f".ssh/{key}"} for key in _KEY_FILES]
    mode = 0o600 if path == KEYS_FOLDER else 0o644
    secret = {"secretName": name, "items": items, "defaultMode": mode}
    return {"name": name, "secret": secret}, {"name": name, "mountPath": path, "subPath": ".ssh"}


def _waiting_for_master(pod: Object, member: Member) -> Object:
    """Add the init container by which workers of the pytorch plugin wait for their master."""
    waits = member.flags.get("wait-master-enabled", "false").lower() in {"1", "t", "true"}
    there = any(c.get("name") == "wait-for-master" for _, c in entries(pod.get("initContainers")))
    master = member.named("master")
    if not waits or there or master is None or not member.plays("worker"):
        return pod
    port, patience = member.number("port", 23456), member.number("wait-master-timeout", 300)
    container = {
        "name": "wait-for-master",
        "image": member.flags.get("wait-master-image", "busybox:1.36.1"),
        "command": ["sh", "-c", f"(waits {patience} s for {first_host(member.job, master)}:{port})"],
    }
    return {**pod, "initContainers": [*(c for _, c in entries(pod.get("initContainers"))), container]}


def _started_by_ray(pod: Object, member: Member) -> Object:
    """Replace the commands of the containers that form the ray cluster."""
    head, port = member.named("head"), member.number("port", 6379)
    if head is None:
        return pod
    if member.plays("head"):
        dashboard, client = member.number("dashboardPort", 8265), member.number("clientPort", 10001)
        command = (
            f"ray start --head --block --dashboard-host=0.0.0.0 --port={port} "
            f"--dashboard-port={dashboard} --ray-client-server-port={client}"
        )
        pod = _with_command(pod, member.flags.get("headContainer", "head"), command)
    if member.plays("worker"):
        command = f"ray start --block --address={first_host(member.job, head)}:{port}"
        pod = _with_command(pod, member.flags.get("workerContainer", "worker"), command)
    return pod


def _with_command(pod: Object, container: str, command: str) -> Object:
    started = ["sh", "-c", command]
    return _with_containers(pod, "containers", lambda c: {**c, "command": started} if c.get("name") == container else c)


_CHANGES: Mapping[str, Callable[[Object, Member], Object]] = {"pytorch": _waiting_for_master, "ray": _started_by_ray}


def hosts_config_map(job: Object, version: Version) -> Object | None:
    """Return the ConfigMap of host names that the svc plugin makes for a VolcanoJob; None without the plugin."""
    metadata, spec = mapping(job.get("metadata")), mapping(job.get("spec"))
    if "svc" not in dict(_flags_of(mapping(spec.get("plugins")), version)):
        return None
    name, data = text(metadata.get("name")), {}
    for _, task in entries(spec.get("tasks")):
        found, task_name = hosts(name, task), text(task.get("name"))
        data[f"{task_name.replace('-', '_')}.host"] = "\n".join(found)
        data[f"VC_{variable_stem(task_name)}_HOSTS"] = ",".join(found)
        data[f"VC_{variable_stem(task_name)}_NUM"] = str(len(found))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-svc"}, "data": data}


# other kinds


def pod_count(workload: Object) -> int:
    """Return how many pods a Job or a Deployment has at once."""
    spec = mapping(workload.get("spec"))
    if workload.get("kind") == "Deployment":
        return max(_one_unless(spec.get("replicas")), 0)
    at_once, completions = _one_unless(spec.get("parallelism")), optional_integer(spec.get("completions"))
    return max(at_once if completions is None else min(at_once, completions), 0)


def _one_unless(value: Any) -> int:
    stated = optional_integer(value)
    return 1 if stated is None else stated


def job_pods(job: Object, limit: int) -> Iterator[Object]:
    """Yield the first pods of a Job of Kubernetes' own, one for each completion that may run at once.

    Pods of an indexed job know their index, by which they are called.
    """
    metadata, spec = mapping(job.get("metadata")), mapping(job.get("spec"))
    name, indexed = text(metadata.get("name")), spec.get("completionMode") == "Indexed"
    template = mapping(spec.get("template"))
    common = {"batch.kubernetes.io/job-name": name, "job-name": name}
    for index in range(min(pod_count(job), limit)):
        own = {COMPLETION_INDEX: str(index)} if indexed else {}
        pod = mapping(template.get("spec"))
        if indexed:
            for kind in ("initContainers", "containers"):
                pod = _with_containers(pod, kind, _with_completion_index)
            pod = {**pod, "hostname": text(pod.get("hostname")) or f"{name}-{index}"}
        full = f"{name}-{index}-{_OF_PODS}" if indexed else f"{name}-{_OF_PODS}"
        yield _labelled(full, job, pod, {"labels": {**common, **own}, "annotations": own})


def _with_completion_index(container: Object) -> Object:
    name = "JOB_COMPLETION_INDEX"
    if any(variable.get("name") == name for _, variable in entries(container.get("env"))):
        return container
    variable = {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{COMPLETION_INDEX}']"}}}
    return _appended(container, "env", [variable])


def replicas(workload: Object, limit: int) -> Iterator[Object]:
    """Yield the pods of a Deployment, which are all the same but for their names."""
    metadata, spec = mapping(workload.get("metadata")), mapping(workload.get("spec"))
    template = mapping(spec.get("template"))
    for _ in range(min(pod_count(workload), limit)):
        name = f"{text(metadata.get('name'))}-{'x' * 10}-{_OF_PODS}"
        yield _labelled(name, workload, mapping(template.get("spec")), {})


def _labelled(name: str, owner: Object, spec: Object, own: Object) -> Object:
    """Return a pod of what `owner` describes, with labels and annotations of its own."""
    metadata = mapping(mapping(mapping(owner.get("spec")).get("template")).get("metadata"))
    found = {
        "name": name,
        **_namespace(owner),
        **{key: {**mapping(metadata.get(key)), **mapping(own.get(key))} for key in ("labels", "annotations")},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": found, "spec": spec}


def _namespace(owner: Object) -> Object:
    namespace = text(mapping(owner.get("metadata")).get("namespace"))
    return {"namespace": namespace} if namespace else {}


# the API server


def admitted(pod: Object) -> Object:
    """Return a pod as the API server stores it, as far as its containers see the difference.

    The ServiceAccount admission mounts a token for the API server in every container, unless the pod forbids it or
    has something else there (plugin/pkg/admission/serviceaccount).  The account itself may forbid it, too.
    """
    spec = pod["spec"]
    spec = {**spec, "serviceAccountName": text(spec.get("serviceAccountName")) or "default"}
    if spec.get("automountServiceAccountToken") is not False:
        name = f"kube-api-access-{_OF_PODS}"
        volume = {"name": name, "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
        mount = {"name": name, "mountPath": _TOKEN_FOLDER, "readOnly": True}
        spec = _with_volumes(spec, [(volume, mount)], init=True, where=_has_no_token)
    return {**pod, "spec": spec}


def _has_no_token(container: Object) -> bool:
    return all(mount.get("mountPath") != _TOKEN_FOLDER for _, mount in entries(container.get("volumeMounts")))


# changes of a pod's spec, which leave the given one as it is


def _with_volumes(
    pod: Object,
    added: Iterable[tuple[Object, Object]],
    *,
    init: bool,
    where: Callable[[Object], bool] = lambda _: True,
) -> Object:
    """Append volumes, and a mount of each to the containers."""
    volumes, mounts = zip(*added, strict=True)
    pod = {**pod, "volumes": [*(v for _, v in entries(pod.get("volumes"))), *volumes]}
    for kind in ("initContainers", "containers") if init else ("containers",):
        pod = _with_containers(pod, kind, lambda c: _appended(c, "volumeMounts", mounts) if where(c) else c)
    return pod


def _with_containers(pod: Object, kind: str, changed: Callable[[Object], Object]) -> Object:
    return {**pod, kind: [changed(c) for _, c in entries(pod.get(kind))]} if pod.get(kind) else pod


def _appended(container: Object, key: str, added: Iterable[Object]) -> Object:
    return {**container, key: [*(each for _, each in entries(container.get(key))), *added]}
