"""Section `tracking`: MLflow or nothing, set by an option of conf/tracking/."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ftgen.spec.types import Label, Line, ObjectName, SecretKey, SecretReference, Section, Text

BOTH_SET = "both_set"
"""Type of the error that `token` and `login` are both set."""


class Login(Section):
    """A user and a password in one Secret, such as one of type kubernetes.io/basic-auth.

    Attributes:
        secret: name of the Secret.
        user_key: key of the user name in the Secret.
        password_key: key of the password in the Secret.
    """

    secret: ObjectName
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
    """

    report_to: Literal["mlflow"]
    uri: Line
    experiment: Line
    workspace: Label | None = None
    token: SecretReference | None = None
    login: Login | None = None
    run_name: Line | None = None
    tags: dict[str, Text] = {}

    @field_validator("login")
    @classmethod
    def _without_token(cls, login: Login | None, info: ValidationInfo) -> Login | None:
        # MLflow sends the token only where it has no user and password (utils/rest_utils.py).
        if login is not None and info.data.get("token") is not None:
            raise PydanticCustomError(BOTH_SET, "the token of tracking.token would never be sent")
        return login


class NoTracking(Section):
    """No experiment tracking.

    Attributes:
        report_to: what tracks.
    """

    report_to: Literal["none"]


Tracking = Annotated[MLflow | NoTracking, Field(discriminator="report_to")]
