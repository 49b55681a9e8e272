"""What each pod of a job will see: names, ranks, environment, mounts and command, before anything runs.

The pods are those that `ftgen.emulation` makes, which the rules read as well.  Everything here is a plain value, for
the command line, the review page and other programs; `msgspec.to_builtins` makes JSON of it.  Secrets are
named, and one that somebody has written into a manifest is hidden by asterisks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import credentials
from ftgen.emulation import controller, kubelet
from ftgen.emulation.kubelet import Environment, Value
from ftgen.schema.version import Version
from ftgen.text import kube
from ftgen.text.shapes import entries, integer, mapping, strings, text
from ftgen.validation.manifest import NEWEST, companions, name_of
from ftgen.validation.rules.defaults import mutate

Object = Mapping[str, Any]

LIMIT = 1000
"""Largest number of pods of a task that are made; the host names of the others are published all the same."""
_MOST_NAMES = 2**20
"""Each pod may see the names of all others: of a job with thousands of pods, fewer than `LIMIT` are made."""
_RANKS = ("RANK", "NODE_RANK", *reversed(controller.INDEX_VARIABLES), "JOB_COMPLETION_INDEX")
"""Variables that tell a pod its rank, the ones that name it first."""
_LONGEST_HOSTNAME = 63
_NUMBER = re.compile(r"[0-9]{1,9}")


class Variable(Struct, frozen=True):
    """Environment variable of a container, after Kubernetes' `$(NAME)` expansion.

    Attributes:
        name: its name.
        value: what the container sees; a part that only the cluster knows stands in angle brackets, such as
            `<secret git/token>`, and what looks like a secret itself is asterisks.
        source: where the value comes from: `secret NAME/KEY`, `config map NAME/KEY`, `field PATH` or `resource NAME`;
            empty for a value of the manifest.
        known: whether the value is exactly what the container sees.
    """

    name: str
    value: str
    source: str
    known: bool


class Volume(Struct, frozen=True):
    """Volume of a pod.

    Attributes:
        name: its name in the pod; `x` stands for random characters.
        kind: `claim`, `ephemeral claim`, `config map`, `secret`, `emptyDir`, `host path`, `projected` or another of
            Kubernetes' own names.
        source: name of the claim, ConfigMap or Secret; path on the node; driver or server; medium of an emptyDir.
        size: size that the claim asks for, or limit of an emptyDir; empty where it is not known.
        storage_class: storage class of the claim; empty for the cluster's default, or where it is not known.
        access_modes: access modes of the claim; none where they are not known.
        files: names of the files in it, where they are known.
    """

    name: str
    kind: str
    source: str
    size: str = ""
    storage_class: str = ""
    access_modes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Mount(Struct, frozen=True):
    """Volume mounted in a container.

    Attributes:
        path: where.
        volume: the volume.
        sub_path: folder or file of the volume that is mounted; empty for all of it.
        read_only: whether the container cannot write to it.
    """

    path: str
    volume: Volume
    sub_path: str
    read_only: bool


class Resource(Struct, frozen=True):
    """What a container asks for: a quantity as the manifest writes it, empty where it writes none."""

    name: str
    request: str
    limit: str


class Container(Struct, frozen=True):
    """Container of a pod.

    Attributes:
        name: its name.
        init: whether it runs before the others, to its end.
        image: its image.
        command: command with its arguments, expanded; empty where the image decides.
        working_dir: folder in which it starts; empty where the image decides.
        env: variables in the order in which they are set, each once.
        env_from: what else sets variables, by name only: `secret NAME`, `config map NAME`.
        mounts: mounted volumes in the order of the manifest.
        resources: requests and limits.
        devices: extended resources of these, such as cards: name to number.
        claims: dynamic claims of devices (DRA): names of `resourceClaims` of the pod.
    """

    name: str
    init: bool
    image: str
    command: tuple[str, ...]
    working_dir: str
    env: tuple[Variable, ...]
    env_from: tuple[str, ...]
    mounts: tuple[Mount, ...]
    resources: tuple[Resource, ...]
    devices: Mapping[str, str]
    claims: tuple[str, ...]


class Secret(Struct, frozen=True):
    """Use of a Secret: its name, its key (empty where all keys are taken), and what takes it."""

    name: str
    key: str
    use: str


class Pod(Struct, frozen=True):
    """Pod of a job.

    Attributes:
        kind: kind of what creates it: `VolcanoJob`, `Job` or `Deployment`.
        job: name of what creates it; `x` stands for what the API server completes.
        name: its name; `x` stands for random characters.
        namespace: its namespace; empty where the manifest leaves it to whoever applies it.
        task: task of a VolcanoJob that it belongs to; else empty.
        index: its index in the task.
        replicas: number of pods of its task, or of what creates it, whether or not all of them are made here.
        hostname: its host name; empty on the node's network, where it is the node's.
        dns_names: names by which other pods find it, the shortest first; none where no Service gives it any.
        rank: its rank among the pods that train together, as a variable or its index tells; None where nothing does, as
            where the pods of several tasks have the same index.
        ranks: the variables that tell it, such as VC_TASK_INDEX, with their values.
        master_address: host name that all pods of the training meet at; empty where nothing names one.
        master_port: port there, by MASTER_PORT; empty where no variable says.
        master_source: variable that names the address: `MASTER_ADDR`, or `VC_<TASK>_HOSTS`, whose first host it is.
        service_account: account that it speaks to the API server with.
        runtime_class: runtime class; empty for the cluster's default.
        host_network: whether it is on the node's network.
        containers: init containers in their order, then the others.
        secrets: Secrets that it uses.
    """

    kind: str
    job: str
    name: str
    namespace: str
    task: str
    index: int
    replicas: int
    hostname: str
    dns_names: tuple[str, ...]
    rank: int | None
    ranks: Mapping[str, str]
    master_address: str
    master_port: str
    master_source: str
    service_account: str
    runtime_class: str
    host_network: bool
    containers: tuple[Container, ...]
    secrets: tuple[Secret, ...]


def pods(objects: Iterable[Object], version: Version = NEWEST, *, limit: int = LIMIT) -> tuple[Pod, ...]:
    """Return the pods of the jobs and Deployments among some objects, in their order.

    Claims, ConfigMaps and Services among the objects say what the pods will find; what is not among them is named.

    Args:
        objects: manifests, such as `Bundle.objects`; they are not changed.
        version: Volcano version.
        limit: largest number of pods of a task.
    """
    return tuple(pod for _, made in jobs(objects, version, limit=limit) for pod in made)


def jobs(
    objects: Iterable[Object], version: Version = NEWEST, *, limit: int = LIMIT
) -> Iterator[tuple[Object, tuple[Pod, ...]]]:
    """Yield each object that has pods, and these; the arguments are those of `pods`."""
    given = [each for each in objects if isinstance(each, dict)]
    around = _Around.of(given)
    for each in given:
        if made := tuple(_pods(each, around, version, limit)):
            yield each, made


def replicas(pods: Iterable[Pod]) -> int:
    """Return how many pods a job has; of many, not all are made."""
    return sum({pod.task: pod.replicas for pod in pods}.values())


class _Around(Struct, frozen=True):
    """Objects beside a job: specs of claims, data of ConfigMaps, names of headless Services."""

    claims: Mapping[str, Object]
    config_maps: Mapping[str, Object]
    services: frozenset[str]

    @staticmethod
    def of(objects: Sequence[Object]) -> _Around:
        beside = companions(objects)
        services = (each for each in objects if each.get("kind") == "Service")
        headless = (each for each in services if mapping(each.get("spec")).get("clusterIP") == "None")
        names = frozenset(text(mapping(each.get("metadata")).get("name")) for each in headless)
        return _Around(dict(beside.claims), dict(beside.config_maps), names)


def _pods(manifest: Object, around: _Around, version: Version, limit: int) -> Iterator[Pod]:
    kind, group = text(manifest.get("kind")), text(manifest.get("apiVersion")).partition("/")[0]
    named = _named(manifest)
    if (kind, group) == ("CronJob", "batch.volcano.sh"):
        kind, named = "Job", controller.job_of_cron_job(named)
    if (kind, group) == ("Job", "batch.volcano.sh"):
        yield from _volcano_pods(mutate(named, volcano_version=version), around, version, limit)
    elif (kind, group) in _MAKERS:
        for index, pod in enumerate(_MAKERS[kind, group](named, limit)):
            place = _Place(kind, named["metadata"]["name"], "", index, controller.pod_count(named))
            yield _seen(pod, place, around)


_MAKERS = {("Job", "batch"): controller.job_pods, ("Deployment", "apps"): controller.replicas}
"""What makes the pods of a kind that is not Volcano's."""


def _named(manifest: Object) -> dict[str, Any]:
    """Return a manifest with the name that it gets."""
    metadata = mapping(manifest.get("metadata"))
    return {**manifest, "metadata": {**metadata, "name": name_of(metadata)[0]}}


def _volcano_pods(job: dict[str, Any], around: _Around, version: Version, limit: int) -> Iterator[Pod]:
    hosts, name = controller.hosts_config_map(job, version), job["metadata"]["name"]
    around = replace(around, claims={**around.claims, **dict(controller.claims(job))})
    if hosts is not None:
        config_maps = {**around.config_maps, hosts["metadata"]["name"]: hosts["data"]}
        around = replace(around, config_maps=config_maps, services=around.services | {name})
    tasks = (task for _, task in entries(mapping(job.get("spec")).get("tasks")))
    wanted = {text(task.get("name")): integer(task.get("replicas")) for task in tasks}
    fewer = min(limit, max(_MOST_NAMES // max(sum(wanted.values()), 1), 2))
    for pod in controller.volcano_pods(job, version, fewer):
        labels = pod["metadata"]["labels"]
        task, index = labels["volcano.sh/task-spec"], int(labels["volcano.sh/task-index"])
        place = _Place("VolcanoJob", name, task, index, wanted[task], indexed=len(wanted) == 1)
        yield _seen(pod, place, around)


class _Place(Struct, frozen=True):
    """Place of a pod in what creates it."""

    kind: str
    job: str
    task: str
    index: int
    replicas: int
    indexed: bool = True
    """Whether no other pod has the index."""


def _seen(created: dict[str, Any], place: _Place, around: _Around) -> Pod:
    """Return what a pod sees that a controller has created."""
    pod = controller.admitted(created)
    metadata, spec = pod["metadata"], pod["spec"]
    name, namespace = metadata["name"], text(metadata.get("namespace"))
    on_host = spec.get("hostNetwork") is True
    hostname = "" if on_host else (text(spec.get("hostname")) or name)[:_LONGEST_HOSTNAME].rstrip("-.")
    volumes = {text(v.get("name")): _volume(v, name, around) for _, v in entries(spec.get("volumes"))}
    made = [
        (each, init, kubelet.environment(each, pod, around.config_maps))
        for key, init in (("initContainers", True), ("containers", False))
        for _, each in entries(spec.get(key))
    ]
    variables = {n: v.text for _, init, env in made if not init for n, v in env.values.items() if v.known}
    ranks = {name: variables[name] for name in _RANKS if name in variables}
    telling = (value for name, value in ranks.items() if place.indexed or name not in controller.INDEX_VARIABLES)
    address, source = _master(variables)
    return Pod(
        kind=place.kind,
        job=place.job,
        name=name,
        namespace=namespace,
        task=place.task,
        index=place.index,
        replicas=place.replicas,
        hostname=hostname,
        dns_names=_dns_names(spec, namespace, around),
        rank=next((int(value) for value in telling if _NUMBER.fullmatch(value)), None),
        ranks=ranks,
        master_address=address,
        master_port=variables.get("MASTER_PORT", ""),
        master_source=source,
        service_account=spec["serviceAccountName"],
        runtime_class=text(spec.get("runtimeClassName")),
        host_network=on_host,
        containers=tuple(_containers(pod, made, volumes, around)),
        secrets=tuple(_secrets(spec)),
    )


def _master(variables: Mapping[str, str]) -> tuple[str, str]:
    """Return where the pods of a training meet, and the variable that says so."""
    if variables.get("MASTER_ADDR"):
        return variables["MASTER_ADDR"], "MASTER_ADDR"
    for name, value in variables.items():
        if name.startswith("VC_") and name.endswith("_HOSTS") and value:
            return value.partition(",")[0], name
    return "", ""


def _dns_names(spec: Object, namespace: str, around: _Around) -> tuple[str, ...]:
    """Return the names of a pod that has host name and subdomain; a headless Service of that name publishes them."""
    hostname, domain = text(spec.get("hostname")), text(spec.get("subdomain"))
    if not hostname or domain not in around.services:
        return ()
    short = f"{hostname}.{domain}"
    return (short, f"{short}.{namespace}.svc") if namespace else (short,)


def _containers(
    pod: Object, made: Sequence[tuple[Object, bool, Environment]], volumes: Mapping[str, Volume], around: _Around
) -> Iterator[Container]:
    """Yield the containers of a pod; a secret of one is hidden wherever another, or a reference to it, repeats it."""
    known = {
        secret
        for _, _, environment in made
        for name, value in environment.values.items()
        if len(value.text) <= kube.LONGEST_WORD
        for secret in credentials.secrets_in(value.text, name)
    }
    for body, init, environment in made:
        hidden = kubelet.environment(body, pod, around.config_maps, _hidden) if known else environment
        yield _container(body, environment, _Shown(hidden, frozenset(known)), volumes, init=init)


def _hidden(name: str, value: str) -> str:
    return str(credentials.redact_value(value, name)) if len(value) <= kube.LONGEST_WORD else value


class _Shown(Struct, frozen=True):
    """What is shown of an environment: its secrets are hidden before others refer to them; and those of the pod."""

    environment: Environment
    secrets: frozenset[str]

    def words(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words of a command."""
        expanded = [self.environment.expand(word).text for word in words]
        return tuple(map(self.text, credentials.redact_words(expanded, self.secrets)))

    def text(self, text: str, name: str = "") -> str:
        """Return a text without secrets, if a program could be given it at all; `name` is that of its variable."""
        if len(name) + len(text) > kube.LONGEST_WORD:
            return kubelet.too_long(len(text))
        return str(credentials.redact_value(text, name, self.secrets))

    def variable(self, name: str, value: Value) -> Variable:
        """Return a variable; the name tells, too, whether its value is a secret that somebody has written down."""
        shown = self.text(self.environment.values[name].text, name)
        return Variable(name, shown, value.source, value.known and shown == value.text)


def _container(
    body: Object, environment: Environment, shown: _Shown, volumes: Mapping[str, Volume], *, init: bool
) -> Container:
    words = (*strings(body.get("command")), *strings(body.get("args")))
    resources = _resources(mapping(body.get("resources")))
    return Container(
        name=text(body.get("name")),
        init=init,
        image=text(body.get("image")),
        command=shown.words(words),
        working_dir=text(body.get("workingDir")),
        env=tuple(shown.variable(name, value) for name, value in environment.values.items()),
        env_from=tuple(_imports(body)),
        mounts=tuple(_mount(each, shown.environment, volumes) for _, each in entries(body.get("volumeMounts"))),
        resources=resources,
        devices={each.name: each.limit or each.request for each in resources if "/" in each.name},
        claims=tuple(text(claim.get("name")) for _, claim in entries(mapping(body.get("resources")).get("claims"))),
    )


def _imports(container: Object) -> Iterator[str]:
    for _, source in entries(container.get("envFrom")):
        prefix = f" as {source['prefix']}…" if text(source.get("prefix")) else ""
        for key, what in (("secretRef", "secret"), ("configMapRef", "config map")):
            if isinstance(source.get(key), dict):
                yield f"{what} {text(source[key].get('name'))}{prefix}"


def _mount(mount: Object, environment: Environment, volumes: Mapping[str, Volume]) -> Mount:
    name = text(mount.get("name"))
    expression = text(mount.get("subPathExpr"))
    folder = environment.expand(expression).text if expression else text(mount.get("subPath"))
    return Mount(
        path=text(mount.get("mountPath")),
        volume=volumes.get(name) or Volume(name, "missing", ""),
        sub_path=folder,
        read_only=mount.get("readOnly") is True,
    )


def _resources(resources: Object) -> tuple[Resource, ...]:
    requests, limits = mapping(resources.get("requests")), mapping(resources.get("limits"))
    return tuple(
        Resource(name, str(requests.get(name, limits.get(name, ""))), str(limits.get(name, "")))
        for name in {**requests, **limits}
        if text(name)
    )


# volumes


def _volume(volume: Object, pod: str, around: _Around) -> Volume:
    name = text(volume.get("name"))
    kind = next((key for key, value in volume.items() if key != "name" and isinstance(value, dict)), "emptyDir")
    source = mapping(volume.get(kind))
    if kind == "persistentVolumeClaim":
        claim = text(source.get("claimName"))
        return _of_claim(name, "claim", claim, around.claims.get(claim, {}))
    if kind == "ephemeral":
        template = mapping(mapping(source.get("volumeClaimTemplate")).get("spec"))
        return _of_claim(name, "ephemeral claim", f"{pod}-{name}", template)
    shown, field = _KINDS.get(kind, (kind, "driver"))
    found, size = text(source.get(field)), source.get("sizeLimit")
    files = tuple(text(item.get("path")) for _, item in entries(source.get("items")))
    if kind == "configMap":
        files = files or tuple(around.config_maps.get(found, ()))
    return Volume(name, shown, found, "" if size is None else str(size), files=files)


_KINDS = {
    "configMap": ("config map", "name"),
    "secret": ("secret", "secretName"),
    "emptyDir": ("emptyDir", "medium"),
    "hostPath": ("host path", "path"),
    "nfs": ("nfs", "path"),
    "image": ("image", "reference"),
}
"""Kind of a volume -> what it is called here, and the field that names its source."""


def _of_claim(name: str, kind: str, claim: str, spec: Object) -> Volume:
    size = mapping(mapping(spec.get("resources")).get("requests")).get("storage")
    modes = tuple(strings(spec.get("accessModes")))
    return Volume(name, kind, claim, "" if size is None else str(size), text(spec.get("storageClassName")), modes)


# secrets


def _secrets(spec: Object) -> Iterator[Secret]:
    """Yield the uses of Secrets, in the order of the manifest."""
    for _, reference in entries(spec.get("imagePullSecrets")):
        yield Secret(text(reference.get("name")), "", "pulls images")
    mounted = {
        text(volume.get("name")): text(mapping(volume.get("secret")).get("secretName"))
        for _, volume in entries(spec.get("volumes"))
        if isinstance(volume.get("secret"), dict)
    }
    for key in ("initContainers", "containers"):
        for _, container in entries(spec.get(key)):
            yield from _secrets_of(container, mounted)


def _secrets_of(container: Object, mounted: Mapping[str, str]) -> Iterator[Secret]:
    name = text(container.get("name"))
    for _, source in entries(container.get("envFrom")):
        if isinstance(source.get("secretRef"), dict):
            yield Secret(text(source["secretRef"].get("name")), "", f"variables of {name}")
    for _, variable in entries(container.get("env")):
        reference = mapping(variable.get("valueFrom")).get("secretKeyRef")
        if isinstance(reference, dict):
            use = f"{text(variable.get('name'))} of {name}"
            yield Secret(text(reference.get("name")), text(reference.get("key")), use)
    for _, mount in entries(container.get("volumeMounts")):
        if text(mount.get("name")) in mounted:
            yield Secret(mounted[text(mount.get("name"))], "", f"{text(mount.get('mountPath'))} of {name}")


# side by side


class Row(Struct, frozen=True):
    """Line of a comparison of pods.

    Attributes:
        label: what it is about, such as the name of a variable or the path of a mount.
        values: its value in each pod; None where a pod does not have it.
    """

    label: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Return whether the pods differ in it."""
        return any(value != self.values[0] for value in self.values)


class Section(Struct, frozen=True):
    """Part of a comparison.

    Attributes:
        container: container that it is about; empty for the pod itself.
        title: `pod`, `container`, `env`, `mounts` or `secrets`.
        rows: its lines.
    """

    container: str
    title: str
    rows: tuple[Row, ...]


def compare(shown: Sequence[Pod]) -> tuple[Section, ...]:
    """Lay pods side by side: all that they see, section by section, the same lines for all of them."""
    found = [sections(pod) for pod in shown]
    keys = dict.fromkeys(key for each in found for key in each)
    return tuple(Section(*key, _rows([each.get(key, {}) for each in found])) for key in keys)


def _rows(columns: Sequence[Mapping[str, str]]) -> tuple[Row, ...]:
    labels = dict.fromkeys(label for column in columns for label in column)
    return tuple(Row(label, tuple(column.get(label) for column in columns)) for label in labels)


def sections(pod: Pod) -> dict[tuple[str, str], dict[str, str]]:
    """Return all that a pod sees: lines by label, by container and title of their section."""
    return dict(_sections(pod))


def _sections(pod: Pod) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    yield ("", "pod"), dict(_identity(pod))
    for container in pod.containers:
        yield (container.name, "container"), dict(_basics(container))
        yield (container.name, "env"), {each.name: each.value for each in container.env}
        yield (container.name, "mounts"), {each.path: described(each) for each in container.mounts}
    if pod.secrets:
        yield ("", "secrets"), {secret.use: f"{secret.name}/{secret.key or '*'}" for secret in pod.secrets}


def _identity(pod: Pod) -> Iterator[tuple[str, str]]:
    yield "name", pod.name
    yield "hostname", pod.hostname or "(the node's)"
    if pod.dns_names:
        yield "found as", pod.dns_names[0]
    if pod.rank is not None:
        yield "rank", str(pod.rank)
    if pod.master_address:
        port = f":{pod.master_port}" if pod.master_port else ""
        yield "master", f"{pod.master_address}{port}"
    if pod.namespace:
        yield "namespace", pod.namespace
    yield "account", pod.service_account
    if pod.runtime_class:
        yield "runtime", pod.runtime_class


def _basics(container: Container) -> Iterator[tuple[str, str]]:
    yield "image", container.image
    yield "command", " ".join(container.command) or "(the image's own)"
    if container.working_dir:
        yield "in", container.working_dir
    for each in container.resources:
        yield each.name, each.request if each.request == each.limit else f"{each.request or 0} to {each.limit or 'any'}"
    for claim in container.claims:
        yield f"claim {claim}", "device"
    if container.env_from:
        yield "also sets", ", ".join(container.env_from)


def described(mount: Mount) -> str:
    """Return what is mounted, in one line: `claim data (50Gi, nfs), read-only`."""
    volume = mount.volume
    details = ", ".join(filter(None, (volume.size, volume.storage_class, " ".join(volume.access_modes))))
    source = f"{volume.kind} {volume.source}".rstrip() + (f" ({details})" if details else "")
    folder = f", folder {mount.sub_path}" if mount.sub_path else ""
    return f"{source}{folder}{', read-only' if mount.read_only else ''}"
