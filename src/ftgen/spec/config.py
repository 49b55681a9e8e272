"""Whole configuration, as conf/config.yaml composes it: all sections, and the keys that belong to none."""

from typing import Any, Literal

from pydantic import Field

from ftgen.spec.cluster import Cluster
from ftgen.spec.dataset import Dataset
from ftgen.spec.delivery import Delivery
from ftgen.spec.hardware import Hardware
from ftgen.spec.job import Job
from ftgen.spec.model import Model
from ftgen.spec.network import Network
from ftgen.spec.serving import Serving
from ftgen.spec.storage import Storage
from ftgen.spec.tracking import Tracking
from ftgen.spec.trainer import Trainer
from ftgen.spec.types import Line, Name, Section, Text


class Spec(Section):
    """A whole fine-tuning job.

    Attributes:
        name: base of every object's name; null: stage and model.
        model: the base model.
        dataset: the training data.
        hardware: the accelerator and how much of it.
        storage: where models and work lie.
        trainer: what trains, and how.
        tracking: where runs are tracked.
        cluster: what is true of the cluster and the namespace.
        delivery: how the manifest reaches the cluster.
        network: how the nodes of one job talk to each other.
        job: the job's life.
        serving: what serves the result, for `ftgen serve`; null: a training.
        target: kind of the job: Volcano's, or Kubernetes' own to try an image without Volcano.
        overlays: folders of further overlays, such as pkg://company.overlays in an installed Python package.
        allow: diagnostics that are accepted, by code, each with the reason.
    """

    name: Name | None
    model: Model
    dataset: Dataset
    hardware: Hardware
    storage: Storage
    trainer: Trainer
    tracking: Tracking
    cluster: Cluster
    delivery: Delivery
    network: Network = Field(default_factory=Network.model_construct)
    job: Job
    serving: Serving | None = None
    target: Literal["vcjob", "job"] = "vcjob"
    overlays: tuple[Line, ...] = ()
    allow: dict[str, Text] = {}

    @property
    def accepted(self) -> dict[str, str]:
        """Return the diagnostics that the configuration accepts, by code, with the reason."""
        return {**self.cluster.allow, **self.allow}

    @property
    def scripts(self) -> tuple[str, ...]:
        """Return the scripts of its containers by name: the one that fetches, the one that trains, what that calls."""
        launch = ("launch.sh",) if self.hardware.has_master else ()
        launcher = () if self.trainer.launcher == "pytorch" else (f"{self.trainer.launcher}.sh",)
        return (self.trainer.prepare_script, self.trainer.script, *launch, *launcher)

    @property
    def world_size(self) -> int:
        """Return the number of processes of the whole job: one for each card."""
        return self.hardware.nodes * self.hardware.devices


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a whole configuration (draft 2020-12), each section under `$defs` by its class."""
    return Spec.model_json_schema()
