"""The objects of a run, as plain dicts that read like their YAML, and what they are lowered from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftgen.spec import Spec
from ftgen.text import kube
from ftgen.trainers.llamafactory import Configurations

TASK = "train"
"""Name of the only task and of its container."""
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """A run's identity, whatever its content: what labels and annotations say of it.

    Attributes:
        folder: the folder under out/, and the base of the name.
        label: what tells it from the other points of a sweep; empty for a single job.
        overrides: the command line that made it.
        choices: the options chosen, by group.
        digest: sha256 of the resolved configuration, in hex.
        version: ftgen's.
        swept: the keys that the sweep varies, with this point's values as text.
    """

    folder: str
    label: str
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    digest: str
    version: str
    swept: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name before its content hash."""
        return f"{self.folder}-{self.label}" if self.label else self.folder


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run is lowered from.

    Attributes:
        spec: what is wanted.
        configurations: the trainer's configurations; None where a command of the user's trains.
        identity: who the run is.
        scripts: texts of the trainer's scripts by file name.
    """

    spec: Spec
    configurations: Configurations | None
    identity: Identity
    scripts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The objects of one run: the job, and what comes with it.

    Attributes:
        job: the VolcanoJob, or the plain Job made of it.
        companions: what must be there before the job: claims of storage and devices, and its scripts.
    """

    job: Object
    companions: tuple[Object, ...] = ()

    @property
    def objects(self) -> tuple[Object, ...]:
        """Return all objects, in the order they are applied."""
        return (*self.companions, self.job)


def optional(key: str, value: Any) -> Object:
    """Return a mapping of one key, or none where there is nothing to write."""
    return {} if value is None or value in ({}, []) else {key: value}


def run_label(identity: Identity) -> dict[str, str]:
    """Return the label by which the pods of one run find each other."""
    return {"ftgen.dev/run": kube.label_value(identity.stem)}


def managed_labels(spec: Spec) -> dict[str, str]:
    """Return the labels of an object that runs share."""
    return {"app.kubernetes.io/managed-by": "ftgen", **spec.cluster.labels}


def json_text(value: Any) -> str:
    """Write a value as JSON text on one line."""
    return json.dumps(value, ensure_ascii=False)
