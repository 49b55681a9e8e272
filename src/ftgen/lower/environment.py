"""Environment variables of the containers, which alone bring values to the scripts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

from ftgen.lower.launch import launch_variables
from ftgen.lower.objects import Identity, Inputs, Object, json_text
from ftgen.lower.storage import is_temporary
from ftgen.lower.tracking import tracking_arguments, tracking_variables
from ftgen.lower.variables import secret_variable, variable, variables
from ftgen.spec import Command, SecretReference, Spec
from ftgen.text import kube, yamlio
from ftgen.trainers import command, llamafactory, quantization
from ftgen.trainers.llamafactory import Configurations

# Defaults of WORK_DIR, OUTPUT_DIR and GRACE_PERIOD in train.sh.
_WORK_DIR = "/mnt/workspace"
_OUTPUT = "output_models"
_GRACE_PERIOD = 60

SCRIPT_VARIABLES: Mapping[str, str] = {
    "NNODES": "hardware.nodes",
    "NODES": "hardware.nodes",
    "NPROC_PER_NODE": "hardware.devices",
    "MASTER_PORT": "network.master_port",
    "PEER_TIMEOUT": "job.peer_timeout",
    "GRACE_PERIOD": "job.grace_period",
    "JOB_NAME": "name",
    "SOURCE_FILES": "hardware.source",
    "WORK_DIR": "storage.workspace.path",
    "OUTPUT_DIR": "trainer.output",
    "OUTPUT_MODEL_URL": "model.output_url",
    "BASE_MODEL_URL": "model.url",
    "MODEL_REVISION": "model.revision",
    "MODEL_DIR": "model.folder",
    "MODEL_NEEDS_MIB": "model.parameters",
    "DATASET_URL": "dataset.url",
    "DATASET_REVISION": "dataset.revision",
    "DATASET_DIR": "dataset.folder",
    "DATASET_NEEDS_MIB": "dataset.size",
    "DATASET_INFO": "dataset.info",
    "DATASET_NAMES": "dataset.name",
    "GIT_USER": "cluster.git.secret",
    "GIT_TOKEN": "cluster.git.secret",
    "FTGEN_CREDENTIALS": "cluster.git.secret",
    "TRACKING_DIR": "tracking.volume",
    "TRACKING_PUSH": "tracking.push",
    "MLFLOW_SWEEP": "tracking.nested",
    "REGISTERED_MODEL": "tracking.register",
    "MUST_REGISTER": "tracking.must_register",
    # The scripts find these for each pod, or choose them by what the keys above say.
    **dict.fromkeys(("NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "RAY_ADDRESS", "FORCE_TORCHRUN"), ""),
    **dict.fromkeys(("VC_TASK_INDEX", "VC_TRAIN_HOSTS", "VC_MASTER_HOSTS", "VC_WORKER_HOSTS"), ""),
    **dict.fromkeys(("TRAIN_CONFIG", "EXPORT_CONFIG", "EXPORT_DIR", "DATASET_ARGUMENTS"), ""),
    **dict.fromkeys(("RESTORE_BASE_FILES", "MODEL_CARD"), ""),
}
"""Variables that the scripts read or set, each with the key that says the same; empty where no key does."""
_LLAMAFACTORY_KEYS: Mapping[str, str] = {
    "TRAIN_CONFIG": "trainer.args",
    "DATASET_ARGUMENTS": "trainer.args",
    "OUTPUT_DIR": "trainer.args.output_dir",
    "EXPORT_CONFIG": "trainer.export",
    "EXPORT_DIR": "trainer.export.export_dir",
}
"""Keys of LLaMA-Factory in place of those above: a command has no such arguments."""


def fetch_variables(spec: Spec) -> list[Object]:
    """Return the variables of both containers: repositories to fetch, and the credentials of the git host."""
    return [*_model_variables(spec), *_dataset_variables(spec), *credentials(spec)]


def _model_variables(spec: Spec) -> list[Object]:
    if spec.model.name is None:
        return []
    cached = spec.storage.cache is not None
    return variables(
        BASE_MODEL_URL="" if cached else spec.model.url or "",
        MODEL_REVISION=None if cached else spec.model.revision,
        MODEL_DIR=f"{spec.storage.models.path}/{spec.model.directory}",
    )


def _dataset_variables(spec: Spec) -> list[Object]:
    if spec.dataset.name is None:
        return []
    return variables(
        DATASET_URL=spec.dataset.url or "",
        DATASET_REVISION=spec.dataset.revision,
        DATASET_DIR=f"{spec.storage.models.path}/{spec.dataset.directory}",
    )


def credentials(spec: Spec) -> list[Object]:
    """Return the variables by which a script logs in to the git host and knows its certificate."""
    git = spec.cluster.git
    return [
        secret_variable("GIT_USER", git.secret, git.user_key),
        secret_variable("GIT_TOKEN", git.secret, git.token_key),
        *variables(
            GIT_SSL_NO_VERIFY=None if git.tls_verify else "true",
            GIT_SSL_CAINFO="/etc/ftgen/ca/ca.crt" if git.ca_config_map and git.tls_verify else None,
        ),
    ]


def job_name_variable() -> Object:
    """Return the variable of the job's name, from the label of Volcano's pods: the API server may generate the name."""
    return {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['volcano.sh/job-name']"}}}


def dataset_variables(inputs: Inputs) -> list[Object]:
    """Return the entry to write if there is no dataset_info.json, and what the training reads and how."""
    spec, configurations = inputs.spec, inputs.configurations
    if configurations is None:
        return variables(DATASET_INFO=dataset_info(spec))
    reading = llamafactory.reading(spec, configurations)
    return variables(
        DATASET_INFO=dataset_info(spec),
        DATASET_NAMES=llamafactory.datasets(spec),
        DATASET_ARGUMENTS=json.dumps(reading, ensure_ascii=False) if reading else None,
    )


def dataset_info(spec: Spec) -> str | None:
    """Return the data set's entry for dataset_info.json, as JSON text."""
    if spec.dataset.info is None or spec.dataset.name is None:
        return None
    return json_text({spec.dataset.name: spec.dataset.info.model_dump(exclude_none=True)})


def space_variables(spec: Spec) -> list[Object]:
    """Return the free space in MiB that a download needs: a tenth more than the files, as LFS objects become files."""
    size = spec.dataset.size
    model = None if spec.storage.cache else quantization.file_bytes(spec.model)
    data = None if spec.dataset.name is None or size is None else kube.parse_quantity(size)
    return variables(
        MODEL_NEEDS_MIB=None if model is None else _mebibytes_and_a_tenth(model),
        DATASET_NEEDS_MIB=None if data is None else _mebibytes_and_a_tenth(data),
    )


def training_variables(inputs: Inputs) -> Iterator[Object]:
    """Yield the variables of the training: folders, configurations, ranks, tracking and push.

    Values that are the script's defaults, such as one process on one node, are left out for the reviewer's sake.
    """
    spec = inputs.spec
    yield from folder_variables(spec)
    yield from _command_variables(spec)
    yield from _configuration_variables(spec, inputs.configurations)
    yield from rank_variables(spec)
    yield from tracking_variables(spec, inputs.identity)
    if spec.model.output_url:
        yield from variables(OUTPUT_MODEL_URL=spec.model.output_url)
        yield {"name": "MODEL_CARD", "value": model_card(spec, inputs.identity)}
    yield from collective_variables(spec)


def folder_variables(spec: Spec) -> list[Object]:
    """Return the working folder, the source files and the output folder of the training, and its time to end in."""
    workspace = spec.storage.workspace
    # Several jobs may share a permanent claim; a temporary one belongs to its pod.
    own = "" if is_temporary(spec, workspace) else f"/{llamafactory.JOB_NAME}"
    place, asked = f"{workspace.path}{own}", _referred(spec)
    work = [{"name": "WORK_DIR", "value": place}] if place != _WORK_DIR or "WORK_DIR" in asked else []
    output = folder if (folder := _without_slash(spec.trainer.output)) != _OUTPUT else None
    grace = str(spec.job.grace_period) if spec.job.grace_period != _GRACE_PERIOD else None
    source = " ".join(spec.hardware.source) or None
    devices = device_ids(spec) if "DEVICE_IDS" in asked else None
    named = _naming_job(OUTPUT_DIR=output)
    return [*work, *variables(SOURCE_FILES=source), *named, *variables(GRACE_PERIOD=grace, DEVICE_IDS=devices)]


def _without_slash(folder: str) -> str:
    """Return a folder as the script names it: what lies beside it has a name that begins with its own."""
    return folder.rstrip("/") or folder


def _naming_job(**values: str | None) -> list[Object]:
    """Return variables whose values may refer to the job's name, which Kubernetes replaces: no run shares them."""
    given = {name: value for name, value in values.items() if value is not None}
    return [{"name": name, "value": kube.escape_dollars(value, ("JOB_NAME",))} for name, value in given.items()]


def _referred(spec: Spec) -> Collection[str]:
    """Return the variables that the trainer's command refers to; others are left out where the script has a default."""
    return command.references(spec.trainer) if isinstance(spec.trainer, Command) else ()


def _command_variables(spec: Spec) -> Iterator[Object]:
    """Yield the variables of a command, but those that the hardware sets: these come last."""
    for name, value in (spec.trainer.env if isinstance(spec.trainer, Command) else {}).items():
        if name not in spec.hardware.env:
            yield variable(name, value) if isinstance(value, SecretReference) else _referring(name, value)


def _referring(name: str, value: str) -> Object:
    return {"name": name, "value": command.escape(value)}


def device_ids(spec: Spec) -> str:
    """Return the cards of a pod by their numbers, as torch's programs take them: `0,1`; `cpu` where there are none."""
    if spec.hardware.vendor == "cpu":
        return "cpu"
    numbers = ",".join(map(str, range(spec.hardware.devices)))
    return f"npu:{numbers}" if spec.hardware.vendor == "ascend" else numbers


def _configuration_variables(spec: Spec, configurations: Configurations | None) -> Iterator[Object]:
    if configurations is None:
        return
    (training,) = _naming_job(TRAIN_CONFIG=yamlio.dump(configurations.training))
    yield {**training, "value": training["value"] + tracking_arguments(spec)}
    export = configurations.export
    if export is not None:
        merged = _without_slash(str(export["export_dir"]))
        yield from _naming_job(
            EXPORT_CONFIG=yamlio.dump(export),
            EXPORT_DIR=merged if merged != f"{_without_slash(spec.trainer.output)}_merged" else None,
        )
        keeps = llamafactory.keeps_base_files(spec, configurations.training)
        yield from variables(RESTORE_BASE_FILES=None if keeps else "false")


def rank_variables(spec: Spec) -> list[Object]:
    """Return the numbers of nodes and processes, and the address by which ranks find each other."""
    several, cards = spec.hardware.nodes > 1, spec.hardware.devices
    # Volcano's pytorch plugin says MASTER_PORT itself.
    has_port = (several or spec.network.host) and not (spec.hardware.has_master and spec.trainer.launcher == "pytorch")
    numbers = variables(
        NNODES=str(spec.hardware.nodes) if several else None,
        NPROC_PER_NODE=str(cards) if several or cards > 1 else None,
        # On the host network, processes of different pods share the ports of a node.
        MASTER_PORT=str(spec.network.master_port) if has_port else None,
        PEER_TIMEOUT=str(spec.job.peer_timeout) if several else None,
    )
    return [*numbers, *launch_variables(spec)]


def model_card(spec: Spec, identity: Identity) -> str:
    """Return the README.md of the pushed model: its base, data set and trainer, and the job that made it.

    It is in the immutable part of the job, so it states only values that change the training.
    """
    model, dataset = spec.model, spec.dataset
    # JSON is valid YAML, and takes one line of the manifest.
    front = {
        **({"base_model": model.name} if model.name else {}),
        **({"datasets": [dataset.name]} if dataset.name else {}),
        "tags": ["ftgen", spec.trainer.name if isinstance(spec.trainer, Command) else spec.trainer.framework],
    }
    base = f" of {_pinned(model.url or model.name, model.revision)}" if model.name else ""
    data = f" on {_pinned(dataset.url or dataset.name, dataset.revision)}" if dataset.name else ""
    trainer = identity.choices.get("trainer", spec.trainer.framework)
    cards = f"{spec.world_size} × {_card(spec)}"  # noqa: RUF001 - the sign for times
    summary = f"{trainer}{base}{data}: {cards}, image {spec.hardware.image}, namespace {spec.cluster.namespace}.\n"
    return (
        kube.escape_dollars(f"---\n{json_text(front)}\n---\n")
        + f"# {llamafactory.JOB_NAME}\n\n"
        + kube.escape_dollars(summary)
    )


def _card(spec: Spec) -> str:
    return spec.hardware.card.name or spec.hardware.cards or spec.hardware.vendor


def _pinned(url: str, revision: str | None) -> str:
    return f"{url} at {revision}" if revision else url


def script_variable_key(name: str, spec: Spec) -> str | None:
    """Return the key that says what a variable tells the scripts; empty if none does, None if they do not read it."""
    key = SCRIPT_VARIABLES.get(name)
    return key if key is None or isinstance(spec.trainer, Command) else _LLAMAFACTORY_KEYS.get(name, key)


def collective_variables(spec: Spec) -> list[Object]:
    """Return the network's settings by the variable names of the vendor's collectives, and the hardware's variables."""
    return [*_collectives(spec), *(variable(name, value) for name, value in spec.hardware.env.items())]


def _collectives(spec: Spec) -> Iterator[Object]:
    names = spec.hardware.collectives
    for setting in ("interface", "adapters", "gid_index", "connect_timeout", "log_level"):
        name, value = getattr(names, setting), getattr(spec.network, setting)
        if name and value is not None:
            yield from variables(**{name: str(value)})
    if names.host_address and spec.network.host:
        yield {"name": names.host_address, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


@lru_cache(maxsize=256)
def _mebibytes_and_a_tenth(amount: Fraction | int) -> str:
    return str(-(-amount * Fraction(11, 10) // 2**20))
