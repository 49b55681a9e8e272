"""What the tracker of runs needs in the training's container: variables, arguments of the trainer, and a volume."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.lower.objects import Identity, Object, json_text
from ftgen.lower.storage import is_temporary
from ftgen.lower.variables import secret_variable, variable, variables
from ftgen.spec import Files, Hosted, MLflow, NoTracking, Spec, SwanLab, TensorBoard, Wandb
from ftgen.text import kube, yamlio
from ftgen.trainers.llamafactory import JOB_NAME

# Groups that determine the training, so that they may appear in the immutable part of the job.
_TRAINING_GROUPS = ("model", "dataset", "trainer", "hardware")
_FOLDER = "runs"
LONGEST_TAG = 64
"""Characters of a tag of Weights & Biases (wandb_settings.py, `validate_run_tags`)."""


def tracking_variables(spec: Spec, identity: Identity) -> Iterator[Object]:
    """Yield the variables by which the tracker's client finds its server, names the run and files it."""
    match spec.tracking:
        case MLflow() as mlflow:
            yield from _mlflow(mlflow, spec, identity)
        case Wandb() as wandb:
            yield from _wandb(wandb, spec, identity)
        case SwanLab() as swanlab:
            yield from _swanlab(swanlab, spec, identity)
        case TensorBoard() | NoTracking():
            pass
    if (folder := files_folder(spec)) is not None:
        yield {"name": "TRACKING_DIR", "value": folder}
        yield from variables(TRACKING_PUSH="true" if pushes_tracking_files(spec) else None)


def tracking_arguments(spec: Spec) -> str:
    """Return the trainer's arguments for its tracker as YAML; Kubernetes expands the job's name in them.

    The user's own come before them.
    """
    tracking, given = spec.tracking, getattr(spec.trainer, "args", {})
    if isinstance(tracking, TensorBoard):
        return "" if "logging_dir" in given else f"logging_dir: {files_folder(spec)}\n"
    if not isinstance(tracking, (MLflow, Hosted)) or "run_name" in given:
        return ""
    if tracking.run_name is None:
        return f"run_name: {JOB_NAME}\n"
    return kube.escape_dollars(yamlio.dump({"run_name": tracking.run_name}))


def files_folder(spec: Spec) -> str | None:
    """Return the folder of the tracker's files, one for each run; None if it writes none that matter."""
    tracking = spec.tracking
    if not isinstance(tracking, Files):
        return None
    if tracking.volume.claim:
        return f"{tracking.volume.path}/{JOB_NAME}"
    workspace = spec.storage.workspace
    return f"{workspace.path}/{_FOLDER}" if is_temporary(spec, workspace) else f"{workspace.path}/{JOB_NAME}/{_FOLDER}"


def pushes_tracking_files(spec: Spec) -> bool:
    """Return whether the tracker's files are pushed with the result."""
    return isinstance(spec.tracking, Files) and spec.tracking.push and spec.model.output_url is not None


def tracking_volume(spec: Spec) -> list[Object]:
    """Return the volume of the tracker's files; none if they are on the workspace."""
    claim = spec.tracking.volume.claim if isinstance(spec.tracking, Files) else None
    return [{"name": "tracking", "persistentVolumeClaim": {"claimName": claim}}] if claim else []


def tracking_mount(spec: Spec) -> list[Object]:
    """Return the mount of the volume of the tracker's files."""
    if not isinstance(spec.tracking, Files) or not spec.tracking.volume.claim:
        return []
    return [{"name": "tracking", "mountPath": spec.tracking.volume.path}]


def _mlflow(tracking: MLflow, spec: Spec, identity: Identity) -> Iterator[Object]:
    yield from variables(MLFLOW_TRACKING_URI=tracking.uri, MLFLOW_EXPERIMENT_NAME=tracking.experiment)
    yield from variables(MLFLOW_WORKSPACE=tracking.workspace)
    if tracking.token:
        yield variable("MLFLOW_TRACKING_TOKEN", tracking.token)
    if login := tracking.login:
        yield secret_variable("MLFLOW_TRACKING_USERNAME", login.secret, login.user_key)
        yield secret_variable("MLFLOW_TRACKING_PASSWORD", login.secret, login.password_key)
    # MLflow's tags allow no `@`.
    swept = {f"ftgen.{key.replace('@', '.')}": value for key, value in identity.swept.items()}
    chosen = {f"ftgen.{group}": option for group, option in _choices(spec, identity)}
    tags = kube.escape_dollars(json_text({"ftgen.run": identity.stem, **chosen, **swept, **tracking.tags})[:-1])
    yield {"name": "MLFLOW_TAGS", "value": f'{tags}, "ftgen.job": "{JOB_NAME}"}}'}
    yield from variables(MLFLOW_SWEEP=identity.folder if tracking.nested and identity.label else None)
    if tracking.registered_model:
        name = identity.folder if tracking.registered_model is True else tracking.registered_model
        yield from variables(REGISTERED_MODEL=name, MUST_REGISTER="true" if tracking.must_register else None)


def _wandb(tracking: Wandb, spec: Spec, identity: Identity) -> Iterator[Object]:
    yield from variables(WANDB_PROJECT=tracking.project, WANDB_ENTITY=tracking.entity, WANDB_BASE_URL=tracking.url)
    if tracking.key:
        yield variable("WANDB_API_KEY", tracking.key)
    yield _name("WANDB_NAME", tracking.run_name)
    yield from variables(
        WANDB_TAGS=",".join(tags(tracking, spec, identity)), WANDB_RUN_GROUP=identity.folder if identity.label else None
    )
    if tracking.offline:
        yield from variables(WANDB_MODE="offline")
    else:
        # The pod of a restarted job goes on with the run of the one before.
        yield {"name": "WANDB_RUN_ID", "value": JOB_NAME}
        yield from variables(WANDB_RESUME="allow")


def _swanlab(tracking: SwanLab, spec: Spec, identity: Identity) -> Iterator[Object]:
    # Not SWANLAB_PROJECT: since 0.8 the client reads it as JSON.
    yield from variables(
        SWANLAB_PROJ_NAME=tracking.project, SWANLAB_WORKSPACE=tracking.workspace, SWANLAB_API_HOST=tracking.url
    )
    if tracking.key:
        yield variable("SWANLAB_API_KEY", tracking.key)
    yield _name("SWANLAB_EXP_NAME", tracking.run_name)
    yield from variables(
        SWANLAB_TAGS=",".join(tags(tracking, spec, identity)), SWANLAB_GROUP=identity.folder if identity.label else None
    )
    yield from variables(
        SWANLAB_MODE="offline" if tracking.offline else None, SWANLAB_RESUME=None if tracking.offline else "allow"
    )


def tags(tracking: Hosted, spec: Spec, identity: Identity) -> Iterator[str]:
    """Yield the tags of a tracker that has words for tags: choices, swept values and the user's, as `name:value`.

    Commas separate tags; what is longer than a tag may be is cut, because the trainer's arguments are logged whole.
    """
    pairs = (*_choices(spec, identity), *identity.swept.items(), *tracking.tags.items())
    for name, value in pairs:
        yield f"{name}:{value}".replace(",", ";")[:LONGEST_TAG]


def _choices(spec: Spec, identity: Identity) -> Iterator[tuple[str, str]]:
    """Yield the options of a training that say what it is: where it has no base model, or no data set, none of that."""
    absent = {group for group in ("model", "dataset") if getattr(spec, group).name is None}
    yield from ((g, identity.choices[g]) for g in _TRAINING_GROUPS if g in identity.choices and g not in absent)


def _name(variable_name: str, name: str | None) -> Object:
    return {"name": variable_name, "value": JOB_NAME if name is None else kube.escape_dollars(name)}
