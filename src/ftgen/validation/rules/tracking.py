"""Rules about the tracker of runs: its key, its files, its tags, and what it registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ftgen import lower
from ftgen.diagnostics import Severity
from ftgen.spec import Command, Files, Hosted, MLflow, Spec, TensorBoard
from ftgen.validation import Finding, rule
from ftgen.validation.rules import SPEC
from ftgen.validation.rules.trainer.setting import is_within

# Variables of `hardware.env` that say how a tracker's client logs in, or that it does not.
_LOGINS: Mapping[str, frozenset[str]] = {
    "wandb": frozenset({"WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE"}),
    "swanlab": frozenset({"SWANLAB_API_KEY", "SWANLAB_MODE"}),
}


@rule("FT770", "tracker-without-key", on=SPEC)
def _key(spec: Spec) -> Iterator[Finding]:
    """A tracker in the cloud that nothing gives a key.

    Its client asks for the key at the terminal when the training starts, where nobody answers, and the training ends
    with an error.

    Refused: `tracking=wandb`.
    Write: `tracking.key={secret: wandb, key: api-key}`, or `tracking.offline=true`.
    """
    tracking = spec.tracking
    if not isinstance(tracking, Hosted) or tracking.key or tracking.offline:
        return
    name = tracking.report_to
    if not _LOGINS[name].intersection(spec.hardware.env):
        headline = f"{name} needs an API key, and tracking.key names none"
        help_ = f"write 'tracking.key={{secret: {name}, key: api-key}}', or tracking.offline=true"
        yield Finding(headline, "tracking.key", "", help_)


@rule("FT771", "tracking-files-that-vanish", Severity.WARNING, on=SPEC)
def _vanishing(spec: Spec) -> Iterator[Finding]:
    """A tracker's files on a workspace that goes with the pod.

    TensorBoard has nothing but its files, and a run that was tracked offline is to be sent later.

    Refused: `tracking=tensorboard tracking.push=false` with a workspace without a claim.
    Write: `tracking.push=true`, which pushes them with the result; `tracking.volume.claim=…`; or a workspace that
    stays.
    """
    tracking = spec.tracking
    is_all = isinstance(tracking, TensorBoard) or (isinstance(tracking, Hosted) and tracking.offline)
    if not (is_all and isinstance(tracking, Files)) or tracking.volume.claim or lower.pushes_tracking_files(spec):
        return
    if lower.is_temporary(spec, spec.storage.workspace):
        headline = f"the files of {tracking.report_to} go with the pod"
        push = "tracking.push=true, or " if spec.model.output_url else ""
        yield Finding(headline, "tracking.volume.claim", "", f"write {push}tracking.volume.claim=<claim>")


@rule("FT772", "nothing-to-register", on=SPEC)
def _unregistered(spec: Spec) -> Iterator[Finding]:
    """A result that is to be registered and is not pushed.

    A version of a registered model names the branch and the commit that hold it.

    Refused: `tracking.register=true model.output_url=null`.
    Write: `model.output_url=…`, or `tracking.register=false`.
    """
    tracking = spec.tracking
    if not isinstance(tracking, MLflow):
        return
    if tracking.registered_model and spec.model.output_url is None:
        headline = "the result would be registered by its branch, and none is pushed"
        help_ = "set model.output_url, or write tracking.register=false"
        yield Finding(headline, "tracking.register", str(tracking.registered_model), help_)
    elif tracking.must_register and not tracking.registered_model:
        headline = "tracking.must_register registers nothing by itself"
        yield Finding(headline, "tracking.must_register", "true", "write tracking.register=true")


@rule("FT773", "tag-that-is-no-word", on=SPEC)
def _tags(spec: Spec) -> Iterator[Finding]:
    """A tag that the tracker's client refuses, or splits.

    Weights & Biases and SwanLab take tags as words in one variable, separated by commas; Weights & Biases ends the
    training where one is longer than 64 characters.

    Refused: `tracking=wandb tracking.tags.team="a,b"`.
    Write: a tag for each word.
    """
    tracking = spec.tracking
    if not isinstance(tracking, Hosted):
        return
    for name, value in tracking.tags.items():
        word = f"{name}:{value}"
        if "," in word or len(word) > lower.LONGEST_TAG or not word.isprintable():
            headline = f"{word!r} is no tag of {tracking.report_to}"
            help_ = f"write at most {lower.LONGEST_TAG} characters, name and value together, without commas"
            yield Finding(headline, f"tracking.tags.{name}", value, help_)


@rule("FT774", "tracking-volume-in-the-way", on=SPEC)
def _place(spec: Spec) -> Iterator[Finding]:
    """A volume of tracking files that is mounted over another volume of the job, or inside one.

    Refused: `tracking=tensorboard tracking.volume.claim=events tracking.volume.path=/mnt/workspace`.
    Write: a path of its own, such as `/mnt/tracking`.
    """
    tracking = spec.tracking
    if not isinstance(tracking, Files) or tracking.volume.claim is None:
        return
    path = tracking.volume.path
    for key in ("workspace", "models"):
        other = getattr(spec.storage, key).path
        if is_within(path, other) or is_within(other, path):
            headline = f"{path} and the {key} volume at {other} lie in each other"
            yield Finding(headline, "tracking.volume.path", path, "write tracking.volume.path=/mnt/tracking")


@rule("FT775", "mlflow-of-another-release", Severity.WARNING, on=SPEC)
def _other_server(spec: Spec) -> Iterator[Finding]:
    """An MLflow server that has the name of the platform's, in another namespace.

    Releases of a platform move their services: Alauda AI 1.3 has MLflow in `aml-system`, 2.x in `kubeflow`, behind a
    login.  A trainer that cannot reach its tracker ends with an error before the first step.

    Refused: `cluster=alauda-2` with the default `tracking=mlflow`.
    Write: `tracking=mlflow-alauda-2`; or the server's address, both in `tracking.uri` and `cluster.facts.mlflow`.
    """
    tracking, known = spec.tracking, spec.cluster.facts.mlflow
    if not isinstance(tracking, MLflow) or known is None:
        return
    asked, there = (_service(address) for address in (tracking.uri, known))
    if asked[:1] == there[:1] and asked[:2] != there[:2]:
        headline = f"{tracking.uri} is not the cluster's MLflow server, which is {known}"
        yield Finding(headline, "tracking.uri", tracking.uri, f"write tracking.uri={known}, with what opens it")


def _service(address: str) -> list[str]:
    """Return the labels of a service's host: its name and its namespace first."""
    try:
        return (urlsplit(address).hostname or "").split(".")
    except ValueError:
        return []


@rule("FT776", "framework-without-the-tracker", Severity.WARNING, on=SPEC)
def _unreported(spec: Spec) -> Iterator[Finding]:
    """A tracker that the framework of a command does not report to by itself: nothing of the training reaches it.

    Ultralytics reports to MLflow; Weights & Biases and TensorBoard are off in its settings, and it knows no SwanLab.

    Refused: `trainer=yolo tracking=tensorboard`.
    Write: `tracking=mlflow`, `tracking=none`, or a command of your own that reports there.
    """
    trainer, tracker = spec.trainer, spec.tracking.report_to
    if not isinstance(trainer, Command) or not (reached := _REACHED.get(trainer.package or "")):
        return
    if tracker not in {*reached, "none"}:
        headline = f"{trainer.package} reports nothing to {tracker}"
        yield Finding(headline, "tracking.report_to", tracker, f"write tracking={reached[0]}, or tracking=none")


_REACHED: Mapping[str, tuple[str, ...]] = {"ultralytics": ("mlflow",)}
"""Trackers by `trainer.package` that its framework reports to (`SettingsManager` of ultralytics/utils/__init__.py)."""
