"""Import of a VolcanoJob: find the options and values that come closest to it.

They only make the leftover overlay shorter and the experiment easier to change; the overlay alone makes the result
exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Location, Rejected, error, note
from ftgen.interop.importing.proposal import ImportedConfig, Options
from ftgen.lower import Object
from ftgen.text import kube, yamlio
from ftgen.text.paths import Steps
from ftgen.text.shapes import mapping
from ftgen.text.yamlio import Document
from ftgen.validation import check
from ftgen.validation.manifest import objects as objects_in
from ftgen.validation.rules.lint import devices

_API = "batch.volcano.sh/v1alpha1"
# Fields of metadata that the API server adds.
_SERVER_FIELDS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NAME_LIMIT = 40


# --- the object ----------------------------------------------------------------------------------------


class ManifestJob(Struct, frozen=True):
    """The VolcanoJob of a file.

    Attributes:
        job: the job without fields that the API server adds.
        document: YAML document that contains it.
        path: path of the job in the document.
        text: text of the whole file.
        others: notes on the file's other objects, which are not imported.
    """

    job: Object
    document: Document
    path: Steps
    text: str
    others: tuple[Diagnostic, ...] = ()

    def located(self, found: Diagnostic) -> Diagnostic:
        """Locate a diagnostic about the job at its subject in the file, or at the place where it is missing."""
        return found if found.locations else found.at(check.locate(self.document, self.path, found, self.text))


def read_manifest(text: str, file: str) -> ManifestJob:
    """Return the VolcanoJob of a file, with a note for each other object.

    Raises:
        Rejected: FT541, if there is not exactly one, or it has no name; errors of `yamlio`, if the text is no YAML.
    """
    objects = [(d, path, value) for d in yamlio.documents(text, file) for path, value in objects_in(d.value)]
    jobs = [(d, path, value) for d, path, value in objects if _is_job(value)]
    if len(jobs) != 1:
        headline = f"{file} holds {len(jobs) or 'no'} VolcanoJob{'s' if len(jobs) > 1 else ''} ({_API}, kind Job)"
        cure = "give a file with exactly one; for a container, `-- docker run …`"
        at = [_at(d, path) for d, path, _ in jobs] or [Location(file)]
        raise Rejected([error("FT541", headline, value=file, help=cure).at(*at)])
    ((document, path, job),) = jobs
    others = [
        note("FT542", f"{_title(value)} is not imported; keep its file", value=file).at(_at(d, at))
        for d, at, value in objects
        if value and value is not job
    ]
    found = ManifestJob(_cleaned(job), document, path, text, tuple(others))
    if not (found.job["metadata"].get("name") or found.job["metadata"].get("generateName")):
        nameless = error("FT541", f"the VolcanoJob in {file} has no name", "metadata", help="give it metadata.name")
        raise Rejected([found.located(nameless)])
    return found


def _at(document: Document, path: Steps) -> Location:
    mark = document.nearest(path)
    return Location(document.file, mark.line, mark.column)


def _is_job(value: Any) -> bool:
    return isinstance(value, dict) and value.get("kind") == "Job" and value.get("apiVersion") == _API


def _title(document: Any) -> str:
    return (
        f"{document.get('kind', 'an object')} {mapping(document.get('metadata')).get('name', '')}".strip()
        if isinstance(document, dict)
        else "a list"
    )


def _cleaned(job: Object) -> Object:
    plain = _without_nulls({key: value for key, value in job.items() if key != "status"})
    metadata = {key: value for key, value in mapping(plain.get("metadata")).items() if key not in _SERVER_FIELDS}
    annotations = {key: value for key, value in mapping(metadata.get("annotations")).items() if key != _LAST_APPLIED}
    if "annotations" in metadata and annotations != metadata["annotations"]:
        metadata = {key: value for key, value in metadata.items() if key != "annotations"} | (
            {"annotations": annotations} if annotations else {}
        )
    return {**plain, "metadata": metadata}


def _without_nulls(value: Any) -> Any:
    """Remove nulls, as the API server does."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


# --- the configuration ---------------------------------------------------------------------------------


def from_manifest(job: Object, source: str, options: Options, hardware: str = "") -> ImportedConfig:
    """Find the options and values that come closest to a job.

    Args:
        job: the job.
        source: file of the job, as the user named it.
        options: the options of each group.
        hardware: hardware option that the user chose; empty to detect it from the job's resources.

    Raises:
        Rejected: FT558, if the job requests cards of no hardware option.
    """
    metadata, spec = job["metadata"], mapping(job.get("spec"))
    name = str(metadata.get("name") or metadata["generateName"].rstrip("-"))
    task = _main_task(job, options)
    pod = mapping(mapping(task.get("template")).get("spec"))
    container = next(iter(_mappings(pod.get("containers"))), {})
    choices: dict[str, str] = {"delivery": _delivery(metadata)}
    # The job has its own command and needs no ConfigMap of scripts.
    values: dict[str, Any] = {"name": name, "job.scripts": "inline"}
    for group_choices, group_values in (
        _model(_environment(pod), options),
        _hardware(task, container, options, hardware),
        _storage(spec, pod, container, options),
        _trainer(container, options),
        _tracking(_environment(pod)),
        ({}, dict(_cluster(metadata, spec, pod, container))),
    ):
        choices |= group_choices
        values |= group_values
    if choices.get("trainer") == "command":
        # A program of its own: what it starts from and trains on is known only where the scripts' variables say so.
        choices |= {group: "none" for group in ("model", "dataset") if f"{group}.url" not in values}
        if "model.output_url" not in values:
            values |= {"model.output_url": None, "allow.FT260": f"as in {source}"}
    return ImportedConfig(kube.slug(name, _NAME_LIMIT), source, choices, values)


_Found = tuple[dict[str, str], dict[str, Any]]


def _delivery(metadata: Mapping[str, Any]) -> str:
    if "name" not in metadata:
        return "kubectl"
    annotations = mapping(metadata.get("annotations"))
    return "flux" if any("fluxcd.io/" in key for key in annotations) else "argocd"


def _main_task(job: Object, options: Options) -> Mapping[str, Any]:
    """Return the task that requests the most cards; the first of equals."""
    tasks = list(_mappings(mapping(job.get("spec")).get("tasks")))
    counts = {name for option in options("hardware").values() for name in _counts(option)}

    def cards(task: Mapping[str, Any]) -> int:
        pod = mapping(mapping(task.get("template")).get("spec"))
        resources = [_resources(container) for container in _mappings(pod.get("containers"))]
        return sum(_number(amounts.get(name)) for amounts in resources for name in counts)

    return max(tasks, key=cards, default={})


def _cluster(
    metadata: Object, spec: Mapping[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    secrets = [mapping(secret).get("name") for secret in pod.get("imagePullSecrets", [])]
    values = {
        "cluster.namespace": metadata.get("namespace"),
        "cluster.queue": spec.get("queue"),
        "cluster.scheduler": spec.get("schedulerName"),
        "cluster.priority_class": spec.get("priorityClassName"),
        "cluster.image_pull_policy": container.get("imagePullPolicy"),
        "cluster.image_pull_secrets": secrets,
        "cluster.node_selector": pod.get("nodeSelector"),
        "cluster.tolerations": pod.get("tolerations"),
    }
    yield from ((key, value) for key, value in values.items() if value)
    for variable, key in (("GIT_USER", "user_key"), ("GIT_TOKEN", "token_key")):
        secret = mapping(mapping(_variable(pod, variable).get("valueFrom")).get("secretKeyRef"))
        if secret.get("name") and secret.get("key"):
            yield "cluster.git.secret", secret["name"]
            yield f"cluster.git.{key}", secret["key"]


def _model(environment: Mapping[str, str], options: Options) -> _Found:
    keys = {"BASE_MODEL_URL": "model.url", "OUTPUT_MODEL_URL": "model.output_url", "DATASET_URL": "dataset.url"}
    values = {key: environment[name] for name, key in keys.items() if environment.get(name)}
    name = values.get("model.url", "").rstrip("/").rpartition("/")[2].removesuffix(".git").lower()
    by_name = {str(content.get("name") or "").lower(): option for option, content in options("model").items()}
    return ({"model": by_name[name]} if name and name in by_name else {}), values


def _tracking(environment: Mapping[str, str]) -> _Found:
    if "MLFLOW_TRACKING_URI" not in environment:
        return {"tracking": "none"}, {}
    values = {
        "tracking.uri": environment["MLFLOW_TRACKING_URI"],
        "tracking.experiment": environment.get("MLFLOW_EXPERIMENT_NAME"),
    }
    return {"tracking": "mlflow"}, {key: value for key, value in values.items() if value}


# --- hardware ------------------------------------------------------------------------------------------


def _hardware(task: Mapping[str, Any], container: Mapping[str, Any], options: Options, chosen: str) -> _Found:
    amounts = _resources(container)
    values: dict[str, Any] = {"hardware.nodes": max(1, _number(task.get("replicas", 1)))}
    if container.get("image"):
        values["hardware.image"] = container["image"]
    option = chosen or _nearest(amounts, options("hardware")) or _same_vendor(amounts, options("hardware"))
    if option is None:
        raise Rejected([_unknown_cards(task, amounts, options)])
    content = mapping(options("hardware").get(option))
    devices_ = max((_number(amounts.get(name)) for name in _counts(content)), default=0)
    values |= {"hardware.devices": devices_} if devices_ else {}
    values |= dict(_shares(amounts, content))
    if devices_ == 1:
        values |= dict(_host(container))
    return {"hardware": option}, values


def _nearest(amounts: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the option with the most resources that a container requests, then with the fewest others; None if none.

    For a container without cards, return the first option without cards.
    """
    if not any(map(_is_card, amounts)):
        return next((option for option, content in options.items() if _has_no_cards(content)), None)

    def score(option: str) -> tuple[int, int, str]:
        names = list(filter(None, _resource_names(options[option])))
        return -sum(name in amounts for name in names), sum(name not in amounts for name in names), option

    best = min(options, key=score, default=None)
    return best if best is not None and score(best)[0] else None


def _same_vendor(amounts: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the vendor's option for whole cards if the very card has none; the overlay then names its resource."""
    domains = {name.partition("/")[0] for name in amounts if devices.vendor_of(name)}
    candidates = [
        (bool(content.get("memory") or content.get("cores")), len(count), option)
        for option, content in options.items()
        for count in [str(mapping(content.get("resources")).get("count") or "")]
        if count.partition("/")[0] in domains
    ]
    return min(candidates)[2] if candidates else None


_FABRIC = re.compile(r"rdma|hca|roce|infiniband|\bib|efa|sriov|nic\b|netdev|hugepages|kvm|fuse|tun\b|vhost|kubevirt")
"""Pattern of extended resources that are no accelerators."""


def _is_card(name: str) -> bool:
    """Return whether a resource may be an accelerator: an extended resource not known to be anything else."""
    return "/" in name and not _FABRIC.search(name) and not name.startswith(("kubernetes.io/", "hugepages-"))


def _unknown_cards(task: Mapping[str, Any], amounts: Mapping[str, Any], options: Options) -> Diagnostic:
    name = next(filter(_is_card, amounts))
    headline = f"task {task.get('name')} asks for {name}, and no hardware option knows whose cards these are"
    listed = ", ".join(options("hardware"))
    cure = f"say which comes nearest with hardware=OPTION after the file ({listed}), or describe it in conf/hardware"
    return error("FT558", headline, "spec.tasks", name, cure)


def _has_no_cards(option: Mapping[str, Any]) -> bool:
    resources = mapping(option.get("resources"))
    return "count" in resources and not resources["count"] and not resources.get("device_class")


def _counts(option: Mapping[str, Any]) -> list[str]:
    """Return the resources that count an option's cards and shares of cards."""
    resources = mapping(option.get("resources"))
    return [str(name) for name in (resources.get("count"), mapping(resources.get("share")).get("count")) if name]


def _resource_names(option: Mapping[str, Any]) -> list[Any]:
    shares = (mapping(mapping(option.get("resources")).get(part)).get("name") for part in ("memory", "cores"))
    return [*_counts(option), *shares]


def _shares(amounts: Mapping[str, Any], option: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the share of each card that the container requests; None for a share that only the option sets."""
    for part in ("memory", "cores"):
        resource = mapping(mapping(option.get("resources")).get(part))
        amount = _number(amounts.get(str(resource.get("name"))))
        if amount:
            total = amount * kube.parse_quantity(str(resource.get("unit", "1")))
            yield f"hardware.{part}", binary(total) if part == "memory" else int(total)
        elif option.get(part):
            yield f"hardware.{part}", None


def binary(amount: Fraction) -> str:
    """Format a number of bytes in the largest binary unit that divides it."""
    units = ((2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki"))
    return next((f"{amount // size}{unit}" for size, unit in units if amount % size == 0), str(amount))


def _host(container: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the host resources of a container with one card, which equal those per card."""
    limits = mapping(mapping(container.get("resources")).get("limits"))
    # Kubernetes fills in requests from limits.
    requests = {**limits, **mapping(mapping(container.get("resources")).get("requests"))}
    for name in ("cpu", "memory"):
        for bound, amounts in (("request", requests), ("limit", limits)):
            if amount := amounts.get(name):
                yield f"hardware.per_card.{name}.{bound}", str(amount)


# --- storage -------------------------------------------------------------------------------------------


def _storage(spec: Mapping[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any], options: Options) -> _Found:
    volumes = {str(volume.get("name")): volume for volume in _mappings(pod.get("volumes"))}
    mounted = {
        str(mount.get("mountPath")): volumes.get(str(mount.get("name")), {})
        for mount in _mappings(container.get("volumeMounts"))
    }
    values: dict[str, Any] = {}
    if size := mapping(mapping(mounted.get("/dev/shm")).get("emptyDir")).get("sizeLimit"):  # noqa: S108 - a mount point
        values["storage.shm"] = str(size)
    claims = {path: c for path, v in mounted.items() if (c := mapping(v.get("persistentVolumeClaim")).get("claimName"))}
    for path, claim in list(claims.items())[:1]:
        values |= {"storage.models.path": path, "storage.models.claim": claim}
    storage_class = None
    for volume in _mappings(spec.get("volumes")):
        claim_spec = mapping(volume.get("volumeClaim"))
        storage_class = storage_class or claim_spec.get("storageClassName")
        size = mapping(mapping(claim_spec.get("resources")).get("requests")).get("storage")
        values |= (
            {"storage.workspace.path": volume["mountPath"], "storage.workspace.size": str(size)}
            if size and "mountPath" in volume
            else {}
        )
    same = (option for option, content in options("storage").items() if content.get("storage_class") == storage_class)
    option = next(same, None) if storage_class else None
    return ({"storage": option} if option else {}), values


# --- trainer -------------------------------------------------------------------------------------------

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n(.*?)\n[ \t]*\2[ \t]*$", re.DOTALL | re.MULTILINE)
_SHORT = {
    "learning_rate": "lr",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "cutoff_len": "cutoff_len",
}
# Arguments that ftgen derives from other keys.
_DERIVED = frozenset(
    {
        *(
            "model_name_or_path",
            "dataset",
            "dataset_dir",
            "template",
            "output_dir",
            "stage",
            "do_train",
            "finetuning_type",
        ),
        *("report_to", "run_name", "overwrite_output_dir", "deepspeed", "bf16", "fp16"),
    }
)


def _trainer(container: Mapping[str, Any], options: Options) -> _Found:
    words = [str(word) for part in ("command", "args") for word in container.get(part) or ()]
    arguments = next((found for word in words for found in _configurations(word) if "stage" in found), {})
    if "llamafactory-cli" not in " ".join(words) or not arguments:
        return ({"trainer": "command"}, {"trainer.command": words}) if words else ({}, {})
    method = [arguments.get(name) for name in _METHOD]
    methods = {
        option: [mapping(content.get("args")).get(name) for name in _METHOD]
        for option, content in options("trainer").items()
    }
    option = next((option for option, values in methods.items() if values == method), None)
    return ({"trainer": option} if option else {}), dict(_arguments(arguments))


_METHOD = ("stage", "finetuning_type", "quantization_bit")
"""Arguments that identify a trainer option."""


def _configurations(script: str) -> Iterator[dict[str, Any]]:
    """Yield the YAML mappings in the here-documents of a shell script."""
    for match in _HEREDOC.finditer(script):
        try:
            content = yamlio.parse(match[3], "script")
        except Rejected:
            continue
        if isinstance(content, dict):
            yield content


def _arguments(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in arguments.items():
        if name in _SHORT:
            yield f"trainer.{_SHORT[name]}", value
        elif name not in _DERIVED and isinstance(value, (str, int, float)) and "$" not in str(value):
            yield f"trainer.args.{name}", value
    if arguments.get("bf16") or arguments.get("fp16"):
        yield "trainer.precision", "bf16" if arguments.get("bf16") else "fp16"


# --- reading -------------------------------------------------------------------------------------------


def _environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the plain variables of all containers; the last one that sets a name wins."""
    containers = [*_mappings(pod.get("initContainers")), *_mappings(pod.get("containers"))]
    variables = (variable for container in containers for variable in _mappings(container.get("env")))
    return {
        str(variable["name"]): str(variable["value"]) for variable in variables if {"name", "value"} <= variable.keys()
    }


def _variable(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = [*_mappings(pod.get("containers")), *_mappings(pod.get("initContainers"))]
    found = (variable for container in containers for variable in _mappings(container.get("env")))
    return next((variable for variable in found if variable.get("name") == name), {})


def _resources(container: Mapping[str, Any]) -> dict[str, Any]:
    resources = mapping(container.get("resources"))
    return {**mapping(resources.get("requests")), **mapping(resources.get("limits"))}


def _number(value: Any) -> int:
    """Parse a quantity that is a whole number; 0 if it is none."""
    try:
        amount = kube.parse_quantity(str(value))
    except ValueError:
        return 0
    return int(amount) if amount == Fraction(int(amount)) else 0


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
