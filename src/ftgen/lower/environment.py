"""Environment variables: the only way by which values reach the scripts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ftgen.lower.objects import Identity, Inputs, Object, json_text
from ftgen.lower.storage import is_temporary
from ftgen.spec import Command, SecretReference, Spec
from ftgen.text import kube, yamlio
from ftgen.trainers import llamafactory
from ftgen.trainers.llamafactory import Configurations

# The folder that train.sh writes to unless it is told another.
_OUTPUT = "output_models"
# The groups that decide what is trained, and so may show in what Volcano holds immutable.
_TRAINED = ("model", "dataset", "trainer", "hardware")


def fetch_variables(spec: Spec) -> list[Object]:
    """Return the environment of both containers: what to fetch, and the secret that opens the git host."""
    git = spec.cluster.git
    models = spec.storage.models.path
    cached = spec.storage.cache is not None
    return [
        *_env(
            BASE_MODEL_URL="" if cached else spec.model.url or "",
            MODEL_REVISION=None if cached else spec.model.revision,
            MODEL_DIR=f"{models}/{spec.model.directory}",
            DATASET_URL=spec.dataset.url or "",
            DATASET_REVISION=spec.dataset.revision,
            DATASET_DIR=f"{models}/{spec.dataset.directory}",
        ),
        _secret("GIT_USER", git.secret, git.user_key),
        _secret("GIT_TOKEN", git.secret, git.token_key),
        *_env(
            GIT_SSL_NO_VERIFY=None if git.tls_verify else "true",
            GIT_SSL_CAINFO="/etc/ftgen/ca/ca.crt" if git.ca_config_map and git.tls_verify else None,
        ),
    ]


def job_name_variable() -> Object:
    """Take the job's name from the label that Volcano gives its pods: the name may be the API server's."""
    return {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['volcano.sh/job-name']"}}}


def dataset_variables(spec: Spec) -> list[Object]:
    """Return which entry of dataset_info.json to write where there is none, and which must be there before training."""
    names = None if isinstance(spec.trainer, Command) else llamafactory.datasets(spec)
    return _env(DATASET_INFO=dataset_info(spec), DATASET_NAMES=names)


def dataset_info(spec: Spec) -> str | None:
    """Return the data set's entry for dataset_info.json, as JSON text."""
    if spec.dataset.info is None:
        return None
    return json_text({spec.dataset.name: spec.dataset.info.model_dump(exclude_none=True)})


def space_variables(spec: Spec) -> list[Object]:
    """Return the free space that a download needs: a tenth more than the files, whose LFS objects become the files."""
    weights = spec.model.parameters * {"float32": 4}.get(spec.model.dtype, 2)
    data = kube.parse_quantity(spec.dataset.size)
    model = None if spec.storage.cache else _mebibytes(weights * Fraction(11, 10))
    return _env(MODEL_NEEDS_MIB=model, DATASET_NEEDS_MIB=_mebibytes(data * Fraction(11, 10)))


def training_variables(inputs: Inputs) -> Iterator[Object]:
    """Yield the environment of the training: its configurations, its ranks, its tracking, its push.

    What the script takes for granted, such as one process on one node, is left out: a reviewer reads what is special.
    """
    spec = inputs.spec
    yield from folder_variables(spec)
    yield from _framework(spec, inputs.configurations)
    yield from rank_variables(spec)
    yield from _tracking(spec, inputs.identity)
    if spec.model.output_url:
        yield from _env(OUTPUT_MODEL_URL=spec.model.output_url)
        yield {"name": "MODEL_CARD", "value": model_card(spec, inputs.identity)}
    yield from collective_variables(spec)


def folder_variables(spec: Spec) -> list[Object]:
    """Return where the training works and writes."""
    workspace = spec.storage.workspace
    # Several jobs may share a claim that stays; a temporary one belongs to its pod.
    own = "" if is_temporary(spec, workspace) else f"/{llamafactory.JOB_NAME}"
    work = {"name": "WORK_DIR", "value": f"{workspace.path}{own}"}
    output = spec.trainer.output if spec.trainer.output != _OUTPUT else None
    return [work, *_env(SOURCE_FILES=" ".join(spec.hardware.source) or None, OUTPUT_DIR=output)]


def _framework(spec: Spec, configurations: Configurations | None) -> Iterator[Object]:
    if configurations is None:
        return
    text = kube.escape_dollars(yamlio.dump(configurations.training))
    yield {"name": "TRAIN_CONFIG", "value": text + _run_name(spec)}
    export = configurations.export
    if export is not None:
        yield from _env(
            EXPORT_CONFIG=yamlio.dump(export),
            EXPORT_DIR=merged if (merged := str(export["export_dir"])) != f"{spec.trainer.output}_merged" else None,
            RESTORE_BASE_FILES=None if llamafactory.keeps_base_files(spec) else "false",
        )


def _run_name(spec: Spec) -> str:
    if spec.tracking.report_to == "none" or "run_name" in getattr(spec.trainer, "args", {}):
        return ""
    if spec.tracking.run_name is None:
        return f"run_name: {llamafactory.JOB_NAME}\n"
    return kube.escape_dollars(yamlio.dump({"run_name": spec.tracking.run_name}))


def rank_variables(spec: Spec) -> list[Object]:
    """Return how many processes there are, and how they find each other."""
    several, cards = spec.hardware.nodes > 1, spec.hardware.devices
    return _env(
        NNODES=str(spec.hardware.nodes) if several else None,
        NPROC_PER_NODE=str(cards) if several or cards > 1 else None,
        # On the nodes' own network the processes of one pod may meet another pod's, too.
        MASTER_PORT=str(spec.network.master_port) if several or spec.network.host else None,
        PEER_TIMEOUT=str(spec.job.peer_timeout) if several else None,
    )


def _tracking(spec: Spec, identity: Identity) -> Iterator[Object]:
    if spec.tracking.report_to == "none":
        return
    yield from _env(MLFLOW_TRACKING_URI=spec.tracking.uri, MLFLOW_EXPERIMENT_NAME=spec.tracking.experiment)
    yield from _env(MLFLOW_WORKSPACE=spec.tracking.workspace)
    if spec.tracking.token:
        yield variable("MLFLOW_TRACKING_TOKEN", spec.tracking.token)
    if login := spec.tracking.login:
        yield _secret("MLFLOW_TRACKING_USERNAME", login.secret, login.user_key)
        yield _secret("MLFLOW_TRACKING_PASSWORD", login.secret, login.password_key)
    own = {f"ftgen.{group}": identity.choices[group] for group in _TRAINED if group in identity.choices}
    # MLflow's tags know no `@`.
    varied = {f"ftgen.{key.replace('@', '.')}": value for key, value in identity.swept.items()}
    tags = kube.escape_dollars(json_text({"ftgen.run": identity.stem, **own, **varied, **spec.tracking.tags})[:-1])
    yield {"name": "MLFLOW_TAGS", "value": f'{tags}, "ftgen.job": "{llamafactory.JOB_NAME}"}}'}


def model_card(spec: Spec, identity: Identity) -> str:
    """Write README.md of what is pushed: what it was made of, and which job made it.

    It is part of what Volcano holds immutable, so it tells nothing that does not change the training.
    """
    # JSON is YAML too, and takes one line of the manifest.
    front = {
        "base_model": spec.model.name,
        "datasets": [spec.dataset.name],
        "tags": ["ftgen", spec.trainer.framework],
    }
    base = _pinned(spec.model.url or spec.model.name, spec.model.revision)
    data = _pinned(spec.dataset.url or spec.dataset.name, spec.dataset.revision)
    trainer = identity.choices.get("trainer", spec.trainer.framework)
    cards = f"{spec.world_size} × {_card(spec)}"  # noqa: RUF001 - the sign for times
    story = (
        f"{trainer} of {base} on {data}: {cards}, image {spec.hardware.image}, namespace {spec.cluster.namespace}.\n"
    )
    return (
        kube.escape_dollars(f"---\n{json_text(front)}\n---\n")
        + f"# {llamafactory.JOB_NAME}\n\n"
        + kube.escape_dollars(story)
    )


def _card(spec: Spec) -> str:
    return spec.hardware.card.name or spec.hardware.cards or spec.hardware.vendor


def _pinned(url: str, revision: str | None) -> str:
    return f"{url} at {revision}" if revision else url


def collective_variables(spec: Spec) -> list[Object]:
    """Return the network's settings as the vendor's library of collectives calls them, and the hardware's variables."""
    return [*_collectives(spec), *(variable(name, value) for name, value in spec.hardware.env.items())]


def _collectives(spec: Spec) -> Iterator[Object]:
    names = spec.hardware.collectives
    for setting in ("interface", "adapters", "gid_index", "connect_timeout", "log_level"):
        name, value = getattr(names, setting), getattr(spec.network, setting)
        if name and value is not None:
            yield from _env(**{name: str(value)})
    if names.host_address and spec.network.host:
        yield {"name": names.host_address, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


def variable(name: str, value: str | SecretReference) -> Object:
    """Make an environment variable: its value, or where in which Secret it lies."""
    if isinstance(value, SecretReference):
        return _secret(name, value.secret, value.key, optional=value.optional)
    return {"name": name, "value": kube.escape_dollars(value)}


def _env(**values: str | None) -> list[Object]:
    return [variable(name, value) for name, value in values.items() if value is not None]


def _secret(name: str, secret: str, key: str, *, optional: bool = False) -> Object:
    where = {"name": secret, "key": key, **({"optional": True} if optional else {})}
    return {"name": name, "valueFrom": {"secretKeyRef": where}}


def _mebibytes(amount: Fraction) -> str:
    return str(-(-amount // 2**20))
