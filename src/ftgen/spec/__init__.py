"""Specification of a job: the configuration as typed, frozen sections that forbid unknown keys.

One module holds the section of one config group in conf/.  `admit` turns the plain mapping from `compose` into a
`Spec`, or reports every key whose value has the wrong shape.  No section knows of containers, and no later stage knows
of Hydra.
"""

from ftgen.spec.admit import admit, admit_facts
from ftgen.spec.cluster import Facts, StorageClass
from ftgen.spec.config import Spec, json_schema
from ftgen.spec.delivery import Delivery
from ftgen.spec.hardware import Base, Card, Hardware, PerCard, Resources, UnitResource
from ftgen.spec.keys import free_mappings, known_keys, knows, reference_names, refers, refuses
from ftgen.spec.model import Model
from ftgen.spec.network import NetworkTopology
from ftgen.spec.serving import Runtime, Serving
from ftgen.spec.storage import ModelCache, Storage, Volume
from ftgen.spec.tracking import Files, Hosted, MLflow, NoTracking, SwanLab, TensorBoard, Wandb
from ftgen.spec.trainer import Command, LlamaFactory
from ftgen.spec.types import NodeRequirement, SecretReference, Section

__all__ = [
    "Base",
    "Card",
    "Command",
    "Delivery",
    "Facts",
    "Files",
    "Hardware",
    "Hosted",
    "LlamaFactory",
    "MLflow",
    "Model",
    "ModelCache",
    "NetworkTopology",
    "NoTracking",
    "NodeRequirement",
    "PerCard",
    "Resources",
    "Runtime",
    "SecretReference",
    "Section",
    "Serving",
    "Spec",
    "Storage",
    "StorageClass",
    "SwanLab",
    "TensorBoard",
    "UnitResource",
    "Volume",
    "Wandb",
    "admit",
    "admit_facts",
    "free_mappings",
    "json_schema",
    "known_keys",
    "knows",
    "reference_names",
    "refers",
    "refuses",
]
