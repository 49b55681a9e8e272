"""Values of lowering: its inputs, the identity of a run, and its bundle of objects, plain dicts like their YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from ftgen.config.pins import Pins
from ftgen.spec import Spec
from ftgen.text import kube
from ftgen.trainers.llamafactory import Configurations

TASK = "train"
"""Name of the only task, and of the container that trains."""
MASTER, WORKER = "master", "worker"
"""Names of the tasks of a job whose first pod is a task of its own."""
SERVICE_LABEL = "ftgen.dev/service"
"""Label of what serves a model, with the name of the service."""
Object = dict[str, Any]


class Identity(Struct, frozen=True):
    """Identity of a run, written into labels and annotations.

    Attributes:
        folder: folder under out/, and the base of the name.
        label: label of the job, unique among the points of its sweep; empty for a single job.
        overrides: command line that made it.
        choices: chosen options by group.
        digest: sha256 of the resolved configuration, in hex.
        version: version of ftgen.
        swept: keys that the sweep varies, with this point's values as text.
        pins: commits and digests that took the place of movable references.
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    digest: str
    version: str
    swept: Mapping[str, str] = field(default_factory=dict)
    pins: Pins = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Return the name without its content hash."""
        return f"{self.folder}-{self.label}" if self.label else self.folder


class Inputs(Struct, frozen=True):
    """Inputs of the lowering of a run.

    Attributes:
        spec: specification.
        configurations: configurations of the trainer; None if the user's own command trains.
        identity: identity of the run.
        scripts: texts of the trainer's scripts by file name.
    """

    spec: Spec
    configurations: Configurations | None
    identity: Identity
    scripts: Mapping[str, str]


class Bundle(Struct, frozen=True):
    """Objects of one run: the job and its companions.

    Attributes:
        job: VolcanoJob, or the plain Job made of it.
        companions: objects that must exist before the job: claims of storage and devices, and its scripts.
    """

    job: Object
    companions: tuple[Object, ...] = ()

    @property
    def objects(self) -> tuple[Object, ...]:
        """Return all objects, in the order they are applied."""
        return (*self.companions, self.job)


def optional(key: str, value: Any) -> Object:
    """Return a mapping of one key, or an empty one if the value is None or empty."""
    return {} if value is None or value in ({}, []) else {key: value}


def run_label(identity: Identity) -> dict[str, str]:
    """Return the label that selects the pods of one run."""
    return {"ftgen.dev/run": kube.label_value(identity.stem)}


def managed_labels(spec: Spec) -> dict[str, str]:
    """Return the labels of an object that several runs share."""
    return {"app.kubernetes.io/managed-by": "ftgen", **spec.cluster.labels}


def json_text(value: Any) -> str:
    """Return a value as JSON text on one line."""
    return _encode(value)


# `json.dumps` makes an encoder for each call that differs from its defaults.
_encode = json.JSONEncoder(ensure_ascii=False).encode
