"""Section `tracking`: where runs are reported to, set by an option of conf/tracking/."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ftgen.spec.types import (
    Flag,
    Label,
    Line,
    MountPath,
    ObjectName,
    SecretKey,
    SecretName,
    SecretReference,
    Section,
    Text,
)

BOTH_SET = "both_set"
"""Type of the error that `token` and `login` are both set."""


def _address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", value):
        raise ValueError("must be the address of a server, such as https://tracker.example.com")
    return value


def _registered(value: object) -> object:
    # MLflow's utils/validation.py forbids slashes and colons; quotes would end the text in a search for the name.
    is_name = isinstance(value, str) and value.isprintable() and re.fullmatch(r"[^/:'\"`\\]*\w[^/:'\"`\\]*", value)
    if not is_name and not isinstance(value, bool):
        raise ValueError("must be true, false, or the name of a registered model, without slashes, colons and quotes")
    return value


Address = Annotated[Line, AfterValidator(_address)]
RegisteredModel = Annotated[bool | str, BeforeValidator(_registered)]


class Login(Section):
    """A user and a password in one Secret, such as one of type kubernetes.io/basic-auth.

    Attributes:
        secret: name of the Secret.
        user_key: key of the user name in the Secret.
        password_key: key of the password in the Secret.
    """

    secret: SecretName
    user_key: SecretKey = "username"
    password_key: SecretKey = "password"  # noqa: S105 - the name of a key


class MLflow(Section):
    """Experiment tracking by MLflow.

    Attributes:
        report_to: what tracks.
        uri: address of the tracking server.
        experiment: experiment that runs are filed under.
        workspace: workspace of the experiment (MLflow 3.10 with --enable-workspaces); null: the server's default.
        token: Secret of the bearer token that opens the server; null: none is sent.
        login: Secret of the user and password that open the server; null: none are sent.
        run_name: name of the run; null: the job's.
        tags: tags of the run.
        nested: whether the runs of a sweep lie under a parent run, which the first of them creates.
        register: registered model of which the pushed result becomes a version; true: by the run's base name.
        must_register: whether the job fails when the pushed result cannot be registered.
    """

    report_to: Literal["mlflow"]
    uri: Line
    experiment: Line
    workspace: Label | None = None
    token: SecretReference | None = None
    login: Login | None = None
    run_name: Line | None = None
    tags: dict[str, Text] = {}
    nested: Flag = True
    # Named otherwise in Python, where every class has a method `register`.
    registered_model: RegisteredModel = Field(default=False, alias="register")
    must_register: Flag = False

    @field_validator("login")
    @classmethod
    def _without_token(cls, login: Login | None, info: ValidationInfo) -> Login | None:
        # MLflow sends the token only where it has no user and password (utils/rest_utils.py).
        if login is not None and info.data.get("token") is not None:
            raise PydanticCustomError(BOTH_SET, "the token of tracking.token would never be sent")
        return login


class TrackingVolume(Section):
    """A claim that exists, for the files that a tracker writes; each run has a folder there.

    Attributes:
        claim: name of the claim; null: the files are in the run's folder of the workspace.
        path: where it is mounted.
    """

    claim: ObjectName | None = None
    path: MountPath = "/mnt/tracking"


class Files(Section):
    """Files that a tracker writes: events of TensorBoard, runs that are not sent to a server.

    Attributes:
        volume: where they are kept.
        push: whether they are pushed with the result, in its folder `runs`.
    """

    volume: TrackingVolume = Field(default_factory=TrackingVolume)
    push: Flag = False


class Hosted(Files):
    """Tracker with a cloud, or a server of one's own, that a key opens.

    Attributes:
        project: project that runs are filed under.
        url: address of a server of one's own; null: the cloud.
        key: Secret of the API key.
        offline: whether runs are only written to files.
        run_name: name of the run; null: the job's.
        tags: tags of the run; each becomes `name:value`.
    """

    project: Line
    url: Address | None = None
    key: SecretReference | None = None
    offline: Flag = False
    run_name: Line | None = None
    tags: dict[str, Text] = {}


class Wandb(Hosted):
    """Experiment tracking by Weights & Biases.

    Attributes:
        report_to: what tracks.
        project: project that runs are filed under.
        entity: user or team of the project; null: the key's own.
        url: address of a server of one's own; null: Weights & Biases' cloud.
        key: Secret of the API key.
        offline: whether runs are only written to files, for `wandb sync`.
        run_name: name of the run; null: the job's.
        tags: tags of the run; each becomes `name:value`.
        volume: where the files are kept.
        push: whether the files are pushed with the result, in its folder `runs`.
    """

    report_to: Literal["wandb"]
    entity: Line | None = None


class SwanLab(Hosted):
    """Experiment tracking by SwanLab.

    Attributes:
        report_to: what tracks.
        project: project that runs are filed under.
        workspace: user or organization of the project; null: the key's own.
        url: address of a server of one's own; null: SwanLab's cloud.
        key: Secret of the API key.
        offline: whether runs are only written to files, for `swanlab sync`.
        run_name: name of the run; null: the job's.
        tags: tags of the run; each becomes `name:value`.
        volume: where the files are kept.
        push: whether the files are pushed with the result, in its folder `runs`.
    """

    report_to: Literal["swanlab"]
    workspace: Line | None = None


class TensorBoard(Files):
    """Experiment tracking by the event files of TensorBoard.

    Attributes:
        report_to: what tracks.
        volume: where the files are kept.
        push: whether the files are pushed with the result, in its folder `runs`.
    """

    report_to: Literal["tensorboard"]


class NoTracking(Section):
    """No experiment tracking.

    Attributes:
        report_to: what tracks.
    """

    report_to: Literal["none"]


Tracking = Annotated[MLflow | Wandb | TensorBoard | SwanLab | NoTracking, Field(discriminator="report_to")]
